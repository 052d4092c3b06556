"""The web page: templates, styles and scripts, and the routes that serve them."""

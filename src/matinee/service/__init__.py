"""A trained run behind an HTTP API and a web page; needs the extra `service`."""

"""A run behind an HTTP API and a page; the extra ``matinee[service]``."""

"""Ids in paths. An id may be any text, so a path stays percent-encoded until a route has been
found; each id in it is decoded alone, and `a%2Fb` is one id.
"""

from urllib.parse import quote, unquote

from starlette.types import ASGIApp, Receive, Scope, Send

DOTS = {"%2E": ".", "%2E%2E": ".."}
"""Clients take `.` and `..` for steps, also encoded once: in a path these two are encoded twice."""


class EncodedPaths:
    """The middleware: routes see a path as it was sent, in the one spelling that it has."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if "raw_path" in scope:
            parts = scope["raw_path"].decode("latin-1").split("/")
            path = "/".join(quote(unquote(part), safe="") for part in parts)
            scope = {**scope, "path": path}
        await self.app(scope, receive, send)


def decoded(part: str) -> str:
    """The id that a part of a path stands for."""
    text = unquote(part)
    return DOTS.get(text.upper(), text)

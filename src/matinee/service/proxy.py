"""Behind a reverse proxy: who asks, and whether over HTTPS, as the proxy says it.

A proxy appends the address that it was asked from to what the client has sent in
``X-Forwarded-For``. So the last address is the proxy's word, and all before it may be invented.
(uvicorn's own middleware would have to know the proxy's address, which in a network of containers
is another one at each start.)
"""

from ipaddress import ip_address

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

SCHEMES = ("http", "https")


class BehindProxy:
    """The middleware that puts the client in the place of the proxy."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            if address := _address(_last(headers, "x-forwarded-for")):
                scope["client"] = address, 0
            if (scheme := _last(headers, "x-forwarded-proto")) in SCHEMES:
                scope["scheme"] = scheme
        await self.app(scope, receive, send)


def _last(headers: Headers, name: str) -> str:
    """The last value of a header, which may be sent several times and hold several values."""
    return ",".join(headers.getlist(name)).rpartition(",")[2].strip()


def _address(written: str) -> str | None:
    """An address in its one form, without a port, or None where it is none."""
    if written.startswith("["):
        written = written[1:].partition("]")[0]
    elif written.count(":") == 1:
        written = written.partition(":")[0]
    try:
        return str(ip_address(written))
    except ValueError:
        return None

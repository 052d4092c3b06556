"""What stands before all routes: sizes and rates are limited, headers are strict, and each request
is measured and told in the log by its route, which names nobody.
"""

import asyncio
import time
from collections import OrderedDict
from typing import Any

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from matinee.service import problems
from matinee.service.identity import give_user, user_of
from matinee.service.page.routes import POLICY
from matinee.service.settings import is_local
from matinee.service.state import ServiceState

API = "/api/v1"
MAX_BODY = 2**20  # bytes
MAX_IMPORT = 2**23
BURST = 4  # seconds' worth of requests that an address may send at once
BODY_SECONDS = 20.0  # to wait for the next part of a body
MAX_ADDRESSES = 10_000
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
API_HEADERS = [  # of answers that are no pages
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
]
TOO_LARGE = "The body is too large."
READING = ("GET", "HEAD", "OPTIONS")
METHODS = (*READING, "POST", "PUT", "DELETE", "PATCH")
FOREIGN = ("cross-site", "same-site")  # what browsers say of requests that another site makes
log = structlog.get_logger("matinee.service")


class Guards:
    """The middleware; plain ASGI, for it sees every request."""

    def __init__(self, app: ASGIApp, state: ServiceState) -> None:
        self.app, self.state = app, state
        self.tokens: OrderedDict[str, tuple[float, float]] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if scope["path"].startswith(API):
                    message["headers"] = [*message.get("headers", ()), *API_HEADERS]
                else:
                    self._guard_page(scope, MutableHeaders(scope=message))
            await send(message)

        refused = self._refusal(scope)
        if refused is not None:
            await refused(scope, receive, send_with_headers)
        else:
            await self._answer(scope, receive, send_with_headers)
        seconds = time.perf_counter() - started
        prefix = API if scope["path"].startswith(API) else ""
        route = prefix + getattr(scope.get("route"), "path", "none")
        method = scope["method"] if scope["method"] in METHODS else "other"  # any word may be sent
        self.state.measures.requests.labels(route, method, str(status)).observe(seconds)
        log.info("request", route=route, method=method, status=status,
                 ms=round(1000 * seconds, 2))  # fmt: skip

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, its body counted; it has to come in time."""
        left, whole = _limit(scope), False

        async def counted() -> Message:
            nonlocal left, whole
            try:
                async with asyncio.timeout(None if whole else BODY_SECONDS):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(
                    408, "The body did not come.", {"Connection": "close"}
                ) from None
            whole = not message.get("more_body", False)
            left -= len(message.get("body", b""))
            if left < 0:
                raise HTTPException(413, TOO_LARGE)  # what reads the body passes it on
            return message

        await self.app(scope, counted, send)

    def _guard_page(self, scope: Scope, headers: MutableHeaders) -> None:
        """Strict headers, and an id for whoever opens a page, before its scripts ask anything."""
        for name, value in HEADERS.items():
            headers.setdefault(name, value)
        request = Request(scope)
        is_page = headers.get("content-type", "").startswith("text/html")
        if is_page and user_of(request, self.state.secret) is None:
            response = Response()
            give_user(request, response, self.state.secret)
            headers.append("set-cookie", response.headers["set-cookie"])

    def _refusal(self, scope: Scope) -> Any:
        """The answer to a request that goes no further, or None."""
        headers = Headers(scope=scope)
        if not self._is_meant(headers.get("host", "")):
            return problems.answer(421, "Local names only, unless a token or a proxy guards this.")
        if scope["method"] not in READING and headers.get("sec-fetch-site") in FOREIGN:
            return problems.answer(403, "Other sites may change nothing here.")
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length[:20]) > _limit(scope):
            return problems.answer(413, TOO_LARGE)
        client = scope.get("client")
        if client is not None and not self._may_ask(client[0]):
            return problems.answer(429, "Too many requests.", {"Retry-After": "1"})
        return None

    def _is_meant(self, host: str) -> bool:
        """Whether a request is for this service. A page elsewhere can let its own name lead to
        this machine (DNS rebinding), and would be let in where nothing but the address guards.
        """
        settings = self.state.settings
        if settings.token or settings.behind_proxy or not host:
            return True
        name, _, _ = host.removeprefix("[").partition("]" if host.startswith("[") else ":")
        return is_local(name.lower())

    def _may_ask(self, address: str) -> bool:
        """Whether an address has a token left in its bucket."""
        now, rate = time.monotonic(), self.state.settings.rate
        tokens, last = self.tokens.pop(address, (BURST * rate, now))
        tokens = min(BURST * rate, tokens + rate * (now - last))
        self.tokens[address] = max(0.0, tokens - 1), now
        if len(self.tokens) > MAX_ADDRESSES:
            self.tokens.popitem(last=False)
        return tokens >= 1


def _limit(scope: Scope) -> int:
    return MAX_IMPORT if scope["path"].endswith("/import") else MAX_BODY

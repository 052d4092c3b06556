"""Who asks: callers of the API by a token, users of the page by a random id in a signed cookie."""

import hmac
import secrets
from typing import Annotated

from fastapi import Depends, Request, Response
from itsdangerous import BadSignature, Signer

from matinee.service.problems import ProblemError
from matinee.service.state import ServiceState, state_of

COOKIE = "matinee_user"
SALT = b"matinee.page"
COOKIE_SECONDS = 400 * 86_400  # the longest that browsers keep one
PAGE_PREFIX = "page-"  # of the ids of the page's users: no data have such ids
WRITE_HEADER = "x-matinee"
"""A header that other sites cannot send: browsers ask first, and are told no."""


def check_token(request: Request, state: Annotated[ServiceState, Depends(state_of)]) -> None:
    """401 unless the caller has sent the token that the service was started with."""
    token = state.settings.token
    if token is None:
        return
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(given.encode(), token.encode()):
        raise ProblemError(401, "A token is needed: Authorization: Bearer TOKEN.")


def page_user(
    request: Request, response: Response, state: Annotated[ServiceState, Depends(state_of)]
) -> str:
    """The id of the page's user; whoever has none gets one. Writes must come from the page."""
    if request.method not in ("GET", "HEAD") and request.headers.get(WRITE_HEADER) != "page":
        raise ProblemError(403, "Only the page itself may write for its user.")
    user = user_of(request, state.secret)
    return user or give_user(request, response, state.secret)


def user_of(request: Request, secret: bytes) -> str | None:
    """The id in the cookie of a request, if we have signed it."""
    try:
        return Signer(secret, SALT).unsign(request.cookies.get(COOKIE, "")).decode()
    except (BadSignature, UnicodeDecodeError):
        return None


def give_user(request: Request, response: Response, secret: bytes) -> str:
    """A new id, in a cookie of the response."""
    user = PAGE_PREFIX + secrets.token_urlsafe(16)
    response.set_cookie(
        COOKIE,
        Signer(secret, SALT).sign(user).decode(),
        max_age=COOKIE_SECONDS,
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )
    return user


PageUser = Annotated[str, Depends(page_user)]

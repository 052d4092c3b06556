"""Who asks: callers of the API by a token, users of the page by a random id in a signed cookie."""

import hmac
import secrets
from typing import Annotated

from fastapi import Depends, Request, Response
from fastapi.security import APIKeyHeader, HTTPBearer
from itsdangerous import BadSignature, Signer

from matinee.service.problems import ProblemError
from matinee.service.state import ServiceState, state_of

COOKIE = "matinee_user"
SALT = b"matinee.page"
COOKIE_SECONDS = 400 * 86_400  # the longest that browsers keep one
PAGE_PREFIX = "page-"  # of the ids of the page's users, which the store alone knows
TOKEN = HTTPBearer(scheme_name="token", auto_error=False)
WRITE_HEADER = APIKeyHeader(
    name="X-Matinee",
    scheme_name="page",
    description="`page`. Other sites cannot send it: browsers ask first, and are told no.",
    auto_error=False,
)


async def token_sent(request: Request, state: Annotated[ServiceState, Depends(state_of)]) -> None:
    """401 unless the caller has sent the token that the service was started with."""
    check_token(request, state)


def check_token(request: Request, state: ServiceState) -> None:
    """The same."""
    token = state.settings.token
    if token is None:
        return
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(given.encode(), token.encode()):
        raise ProblemError(
            401, "A token is needed: Authorization: Bearer TOKEN.", {"WWW-Authenticate": "Bearer"}
        )


async def page_user(
    request: Request, response: Response, state: Annotated[ServiceState, Depends(state_of)]
) -> str:
    """The id of the page's user; whoever has none gets one."""
    user = user_of(request, state.secret)
    return user or give_user(request, response, state.secret)


PageUser = Annotated[str, Depends(page_user)]


async def page_writer(user: PageUser, sent: Annotated[str | None, Depends(WRITE_HEADER)]) -> str:
    """The same where the user changes something, which must come from the page."""
    if sent != "page":
        raise ProblemError(403, "Only the page itself may write for its user.")
    return user


PageWriter = Annotated[str, Depends(page_writer)]


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

"""What a user tells of an item, and what can be kept of it; the cursors of lists."""

import base64
import binascii
import hashlib
import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple, cast, get_args

from matinee.errors import SettingError, StoreError, check_choice, check_number, shortened

Kind = Literal["rating", "seen", "later"]
KINDS: tuple[Kind, ...] = get_args(Kind)
LONGEST_TENANT = 64  # characters; with two ids, four bytes each, a key of an index of PostgreSQL
LONGEST_ID = 256
LONGEST_KEY = 256
MOST_ROWS = 20_000  # of a user, who is folded in with all of them at each request
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
DIGEST_BYTES = 8
LONGEST_CURSOR = 2048  # characters


class UserKey(NamedTuple):
    """A user of one of the pages or shops that share a store."""

    tenant: str
    user_id: str


@dataclass(frozen=True)
class Feedback:
    """What a user has told of an item, and since when that stands.

    Attributes
    ----------
    user_id, item_id : str
    rating : float or None
        In the units of the scale; None unless the kind is "rating".
    kind : {"rating", "seen", "later"}
        "seen": watched it, without a rating; "later": not tonight.
    updated_at : datetime
        In UTC, to the microsecond.
    """

    user_id: str
    item_id: str
    rating: float | None
    kind: Kind
    updated_at: datetime


class NewFeedback(NamedTuple):
    """A row to import: as `Feedback`, with the time at which it was told, if that is known."""

    item_id: str
    rating: float | None
    kind: Kind
    told_at: datetime | None = None


def check_user(user: UserKey) -> None:
    """Refuse a tenant or a user that no database could keep."""
    check_text("tenant", user.tenant, LONGEST_TENANT)
    check_text("user_id", user.user_id, LONGEST_ID)


def check_text(name: str, text: Any, longest: int) -> None:
    """Refuse what is no text of 1 to `longest` characters, or has some that databases refuse."""
    if not isinstance(text, str):
        raise SettingError(f"{name} must be text, got {shortened(text)}.")
    if not 1 <= len(text) <= longest:
        raise SettingError(
            f"{name} must have 1 to {longest} characters, got {len(text):,}: {shortened(text)}."
        )
    if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise SettingError(f"{name} must be text in Unicode without NUL, got {shortened(text)}.")


def checked(
    item_id: str, rating: float | None, kind: str, told_at: datetime | None = None
) -> NewFeedback:
    """What can be kept: a rating with the kind "rating", none with the others."""
    check_text("item_id", item_id, LONGEST_ID)
    check_choice("kind", kind, KINDS)
    if kind == "rating":
        check_number("rating", rating, math.isfinite, "a finite number")
    elif rating is not None:
        raise SettingError(f"rating must be None where kind is {kind!r}, got {shortened(rating)}.")
    if told_at is not None and told_at.tzinfo is None:
        raise SettingError(f"told_at must say in which time zone, got {told_at.isoformat()}.")
    number = None if rating is None else float(rating) + 0.0  # a negative zero is zero
    return NewFeedback(item_id, number, cast(Kind, kind), told_at)


def microseconds(moment: datetime) -> int:
    """Microseconds since 1970, as databases keep a moment."""
    return (moment - EPOCH) // MICROSECOND


def moment_of(stamp: int) -> datetime:
    """The moment of so many microseconds since 1970; StoreError if there is none."""
    try:
        return EPOCH + timedelta(microseconds=stamp)
    except (TypeError, OverflowError):
        raise StoreError(f"the store is damaged: {shortened(stamp)} is no time.") from None


def cursor_of(user: UserKey, stamp: int, item_id: str) -> str:
    """Where a list of a user continues after this row; letters that are safe in a URL.

    No secret: it only says from where on the user's own rows are wanted. What was cut, altered or
    given to another user does not have the right digest.
    """
    position = json.dumps([stamp, item_id], separators=(",", ":")).encode()
    whole = _digest(user, position) + position
    return base64.urlsafe_b64encode(whole).decode().rstrip("=")


def position_of(user: UserKey, cursor: str) -> tuple[int, str]:
    """The time and item of a cursor; SettingError for anything that `cursor_of` did not give."""
    refusal = SettingError(
        f"cursor must be the next_cursor of an earlier answer, got {shortened(cursor)}."
    )
    if not isinstance(cursor, str) or len(cursor) > LONGEST_CURSOR or not cursor.isascii():
        raise refusal
    try:
        whole = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        raise refusal from None
    digest, position = whole[:DIGEST_BYTES], whole[DIGEST_BYTES:]
    if digest != _digest(user, position):
        raise refusal
    try:
        stamp, item_id = json.loads(position)
        check_text("item_id", item_id, LONGEST_ID)
    except (ValueError, TypeError, RecursionError, SettingError):
        raise refusal from None
    if type(stamp) is not int or not -(2**63) <= stamp < 2**63:
        raise refusal
    return stamp, item_id


def _digest(user: UserKey, position: bytes) -> bytes:
    whose = json.dumps(user).encode()
    return hashlib.blake2b(whose + b"\n" + position, digest_size=DIGEST_BYTES).digest()

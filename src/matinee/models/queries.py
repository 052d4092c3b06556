"""Users as models see them: who is asked about, and what each has rated."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from matinee._types import F32, I32, I64
from matinee.data.catalog import Catalog
from matinee.data.id_map import IdMap, as_many, is_one
from matinee.data.ratings import RatingScale
from matinee.errors import SettingError, UnknownIdError
from matinee.kernels.csr import Rows, take_rows

if TYPE_CHECKING:
    from matinee.models.recommender import Recommender


@dataclass(frozen=True, eq=False)
class UserProfile:
    """Somebody's ratings: all that a model needs to know of a person.

    `Recommender.fold_in` makes one for somebody new; wherever a model takes a user's id, it
    takes a `UserProfile` as well.

    Parameters
    ----------
    items : int32 (n,)
        Codes of the movies rated, ascending.
    values : float32 (n,)
    """

    items: I32
    values: F32

    def __repr__(self) -> str:
        return f"UserProfile({len(self.items)} ratings)"


@dataclass(frozen=True, eq=False)
class UserBatch:
    """Several users: what heads score, and lists are made for.

    Parameters
    ----------
    codes : int32 (users,)
        Training users by code; -1 for somebody new.
    interactions : Rows
        A row per user, movies ascending.
    """

    codes: I32
    interactions: Rows

    def part(self, start: int, stop: int) -> "UserBatch":
        """The users `start` to `stop`."""
        return UserBatch(
            self.codes[start:stop],
            take_rows(self.interactions, np.arange(start, min(stop, len(self)))),
        )

    def __len__(self) -> int:
        return len(self.codes)


def find_profile(ids: IdMap, interactions: Rows, user: Any) -> UserProfile:
    """The ratings of the user with this id (or the `UserProfile` itself)."""
    if isinstance(user, UserProfile):
        return user
    code = user_code(ids, interactions, user)
    first, last = interactions.indptr[code : code + 2]
    return UserProfile(interactions.indices[first:last], interactions.values[first:last])


def find_batch(ids: IdMap, interactions: Rows, items: int, user: Any) -> UserBatch:
    """One user or several, by id or as `UserProfile`, or all with ratings (None)."""
    asked = [] if user is None else as_many(user)
    if any(isinstance(one, UserProfile) for one in asked):
        known = [
            -1 if isinstance(one, UserProfile) else user_code(ids, interactions, one)
            for one in asked
        ]
        users = [find_profile(ids, interactions, one) for one in asked]
        return batch_of(users, np.array(known, np.int32), items)
    if user is None:
        codes = np.flatnonzero(np.diff(interactions.indptr)).astype(np.int32)
    elif is_one(user):
        codes = np.array([user_code(ids, interactions, user)], np.int32)
    else:
        codes = user_codes(ids, interactions, asked, "error")
    return UserBatch(codes, take_rows(interactions, codes))


def batch_of(users: list[UserProfile], codes: I32, n_items: int) -> UserBatch:
    """Users and their codes (-1 for somebody new) for a model of so many movies."""
    counts = [len(user.items) for user in users]
    indptr = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
    items = np.concatenate([np.empty(0, np.int32), *(one.items for one in users)])
    values = np.concatenate([np.empty(0, np.float32), *(one.values for one in users)])
    if len(items) and not (items.min() >= 0 and items.max() < n_items):
        raise SettingError("This user was folded into another model.")
    return UserBatch(codes, Rows(indptr, items.astype(np.int32), values.astype(np.float32)))


def new_profile(
    item: Callable[[Any], int], catalog: Catalog, scale: RatingScale, ratings: Any
) -> UserProfile:
    """Somebody new from a dict of id or title to stars, or pairs of them; `item` finds codes."""
    pairs = list(ratings.items() if isinstance(ratings, Mapping) else ratings)
    codes = np.array([item(wanted) for wanted, _ in pairs], np.int32)
    values = np.array([given for _, given in pairs], np.float32)
    order = np.argsort(codes, kind="stable")
    codes, values = codes[order], values[order]
    _check_ratings(catalog, scale, codes, values)
    return UserProfile(codes, values)


def _check_ratings(catalog: Catalog, scale: RatingScale, codes: I32, values: F32) -> None:
    """Refuse stars off the scale, and a movie rated twice; codes are in ascending order."""
    off = ~scale.holds(values)
    if off.any():
        first = int(off.argmax())
        title = catalog.titles[codes[first]]
        raise SettingError(f"{title}: {values[first]:g} stars are not on the scale {scale}.")
    twice = codes[1:][codes[1:] == codes[:-1]]
    if len(twice):
        raise SettingError(f"{catalog.titles[twice[0]]} is rated twice.")


def user_code(ids: IdMap, interactions: Rows, user: Any) -> int:
    """Code of a user who has training ratings; UnknownIdError for any other."""
    code = ids.code(user)
    if interactions.indptr[code] == interactions.indptr[code + 1]:
        raise UnknownIdError(
            f"User {user} has no ratings in the training part. Fold in some that they gave."
        )
    return code


def user_codes(ids: IdMap, interactions: Rows, asked: Any, unknown: str) -> I32:
    """Codes of users who have training ratings; others are an error, or -1 (``"average"``)."""
    codes = ids.codes(asked)
    codes[
        interactions.indptr[codes] == interactions.indptr[codes + 1]
    ] = -1  # of those there are, the unrated
    if unknown == "error":  # an id given as text is found, all else raises
        for at in np.flatnonzero(codes < 0):
            codes[at] = user_code(ids, interactions, asked[at])
    return codes


@dataclass(frozen=True, eq=False)
class Pairs:
    """What stars are asked for.

    Parameters
    ----------
    users, items : int32 (n,)
        Codes; -1 is the user or movie nothing is known of.
    times : int64 (n,) or None
        Unix seconds.
    profile : UserBatch or None
        The one user that all pairs are about, where they came as a `UserProfile`.
    """

    users: I32
    items: I32
    times: I64 | None
    profile: UserBatch | None = None


def pairs_of(model: "Recommender", users: Any, items: Any, timestamps: Any, unknown: str) -> Pairs:
    """The codes behind ids and titles; see `Recommender.predict`."""
    if unknown not in ("error", "average"):
        raise SettingError(f"unknown is 'error' or 'average', not {unknown!r}.")
    asked_items = as_many(items)
    if isinstance(users, UserProfile):
        if timestamps is not None:
            raise SettingError("Somebody new has no history in time; leave timestamps out.")
        codes = np.array([model.item(one) for one in asked_items], np.int32)
        return Pairs(np.full(len(codes), -1, np.int32), codes, None, model.user_batch([users]))
    asked_users = as_many(users)
    length = max(len(asked_users), len(asked_items))
    if {len(asked_users), len(asked_items)} - {1, length}:
        raise SettingError(f"{len(asked_users)} users do not pair with {len(asked_items)} movies.")
    user = user_codes(model.user_ids, model.interactions, asked_users, unknown)
    item = model.catalog.ids.codes(asked_items)
    if unknown == "error":  # a title is found, all else raises
        for at in np.flatnonzero(item < 0):
            item[at] = model.item(asked_items[at])
    user, item = (np.ascontiguousarray(np.broadcast_to(c, length)) for c in (user, item))
    return Pairs(user, item, _times(timestamps, length))


def _times(timestamps: Any, length: int) -> I64 | None:
    if timestamps is None:
        return None
    times = np.atleast_1d(np.asarray(timestamps))
    whole = times.dtype.kind in "iu" and (times <= np.iinfo(np.int64).max).all()
    if not whole or times.ndim > 1 or len(times) not in (1, length):
        raise SettingError(
            f"timestamps are whole Unix seconds, one for all or one for each of {length} pairs."
        )
    return np.ascontiguousarray(np.broadcast_to(times, length), np.int64)

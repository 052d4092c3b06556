"""Questions as models see them: ids and titles become indices, users become their interactions."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from matinee._types import F32, I32, I64, Floats
from matinee.data.catalog import Catalog
from matinee.data.dataset import Dataset
from matinee.data.id_map import IdMap, as_sequence, is_scalar
from matinee.data.ratings import NOT_RATED, RatingScale
from matinee.errors import SettingError, UnknownIdError
from matinee.kernels.csr import Rows, take_rows


@dataclass(frozen=True, eq=False)
class UserProfile:
    """The ratings of one user: all that a model needs to know of a person.

    `Recommender.fold_in` makes one for a new user; wherever a model takes a user's id, it takes a
    `UserProfile` as well.

    Parameters
    ----------
    items : int32 (n,)
        Indices of the items rated, ascending.
    values : float32 (n,)
        The ratings, on the scale.
    """

    items: I32
    values: F32

    def __repr__(self) -> str:
        return f"UserProfile({len(self.items)} ratings)"


@dataclass(frozen=True, eq=False)
class UserBatch:
    """Several users: what heads score, and what lists are made for."""

    codes: I32  # (users,) indices of training users; -1 for a new user
    interactions: Rows  # a row for each user, items ascending

    def part(self, start: int, stop: int) -> "UserBatch":
        """The users `start` to `stop`."""
        rows = np.arange(start, min(stop, len(self)))
        return UserBatch(self.codes[start:stop], take_rows(self.interactions, rows))

    def __len__(self) -> int:
        return len(self.codes)


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of a user and an item to predict, as indices; -1 stands for an unknown one."""

    users: I32  # (n,)
    items: I32  # (n,)
    times: I64 | None  # (n,) Unix seconds
    profile: UserBatch | None = None  # the one user of all pairs, where given as a `UserProfile`


@dataclass(frozen=True, eq=False)
class TrainingIndex:
    """What a model was trained on: ids, titles, the scale, and who rated what."""

    user_ids: IdMap  # all of the data set; one without training ratings counts as unknown
    catalog: Catalog  # all items; one without ratings is known by its genres
    scale: RatingScale | None  # None: interactions without ratings
    interactions: Rows  # the training ratings by user

    @classmethod
    def of(cls, train: Dataset) -> "TrainingIndex":
        """The index of a training set."""
        ratings = train.ratings
        return cls(ratings.user_ids, train.catalog, ratings.scale, ratings.by_user)

    @cached_property
    def item_counts(self) -> I64:
        """Training ratings of each item, (items,)."""
        return np.bincount(self.interactions.indices, minlength=len(self.catalog))

    def same_as(self, other: "TrainingIndex") -> bool:
        """Whether both hold the same users, items and training ratings."""
        return (
            self.user_ids.equals(other.user_ids)
            and self.catalog.ids.equals(other.catalog.ids)
            and np.array_equal(self.interactions.indptr, other.interactions.indptr)
            and np.array_equal(self.interactions.indices, other.interactions.indices)
            and np.array_equal(self.interactions.values, other.interactions.values)
        )

    @property
    def unit(self) -> str:
        """What an interaction is, as in `Dataset.unit`: a ``"rating"``, or an ``"interaction"``."""
        return "interaction" if self.scale is None else "rating"

    def on_scale(self, ratings: Floats) -> F32:
        """Ratings clipped to the scale."""
        if self.scale is None:
            raise SettingError(NOT_RATED)
        return np.asarray(np.clip(ratings, self.scale.low, self.scale.high), np.float32)

    # ids and titles to indices

    def item(self, query: Any) -> int:
        """Index of an item, from its id or its title; see `Catalog.find`."""
        return self.catalog.find(query, self.item_counts)

    def user(self, user: Any) -> int:
        """Index of a user who has training ratings; UnknownIdError for any other."""
        code = self.user_ids.code(user)
        start, stop = self.interactions.indptr[code : code + 2]
        if start == stop:
            raise UnknownIdError(
                f"User {user} has no ratings in the training set. Fold in some that they gave."
            )
        return code

    def users(self, users: Any, unknown: str) -> I32:
        """Indices of users with training ratings; others are an error, or -1 (``"average"``)."""
        codes = self.user_ids.codes(users)
        indptr = self.interactions.indptr
        codes[indptr[codes] == indptr[codes + 1]] = -1
        if unknown == "error":  # an id given as text is found, all else raises
            for place in np.flatnonzero(codes < 0):
                codes[place] = self.user(users[place])
        return codes

    # users as their interactions

    def profile(self, user: Any) -> UserProfile:
        """The ratings of the user with this id (or the `UserProfile` itself)."""
        if isinstance(user, UserProfile):
            return user
        code = self.user(user)
        indptr, items, values = self.interactions
        start, stop = indptr[code : code + 2]
        return UserProfile(items[start:stop], values[start:stop])

    def batch(self, user: Any = None) -> UserBatch:
        """One user or several, by id or as `UserProfile`, or all with ratings (None)."""
        users = [] if user is None else as_sequence(user)
        if any(isinstance(user, UserProfile) for user in users):
            places = [-1 if isinstance(user, UserProfile) else self.user(user) for user in users]
            return self._stack([self.profile(user) for user in users], np.array(places, np.int32))
        if user is None:
            codes = np.flatnonzero(np.diff(self.interactions.indptr)).astype(np.int32)
        elif is_scalar(user):
            codes = np.array([self.user(user)], np.int32)
        else:
            codes = self.users(users, "error")
        return UserBatch(codes, take_rows(self.interactions, codes))

    def _stack(self, profiles: list[UserProfile], codes: I32) -> UserBatch:
        """Profiles as rows, their indices checked: kernels follow them without looking."""
        lengths = [len(profile.items) for profile in profiles]
        indptr = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
        items = np.concatenate([np.empty(0, np.int32), *(p.items for p in profiles)])
        values = np.concatenate([np.empty(0, np.float32), *(p.values for p in profiles)])
        if len(items) and not (items.min() >= 0 and items.max() < len(self.catalog)):
            raise SettingError("This user was folded into another model.")
        return UserBatch(codes, Rows(indptr, items.astype(np.int32), values.astype(np.float32)))

    def fold_in(self, ratings: Any) -> UserProfile:
        """A new user, from a dict of id or title to rating, or pairs of them."""
        pairs = list(ratings.items() if isinstance(ratings, Mapping) else ratings)
        items = np.array([self.item(query) for query, _ in pairs], np.int32)
        values = np.array([rating for _, rating in pairs], np.float32)
        order = np.argsort(items, kind="stable")
        items, values = items[order], values[order]
        off = ~self.scale.contains(values) if self.scale else ~(values > 0)
        if off.any():
            first = int(off.argmax())
            title = self.catalog.titles[items[first]]
            wanted = f"on the scale {self.scale}" if self.scale else "> 0: how often, or a weight"
            raise SettingError(f"{title}: {values[first]:g} is not {wanted}.")
        twice = items[1:][items[1:] == items[:-1]]
        if len(twice):
            raise SettingError(f"{self.catalog.titles[twice[0]]} is rated twice.")
        return UserProfile(items, values)

    def pairs(self, users: Any, items: Any, timestamps: Any, unknown: str) -> Pairs:
        """The indices behind ids and titles; see `Recommender.predict`."""
        if unknown not in ("error", "average"):
            raise SettingError(f"unknown must be 'error' or 'average', got {unknown!r}.")
        queries = as_sequence(items)
        if isinstance(users, UserProfile):
            if timestamps is not None:
                raise SettingError("A folded-in user has no history in time; omit timestamps.")
            codes = np.array([self.item(query) for query in queries], np.int32)
            return Pairs(np.full(len(codes), -1, np.int32), codes, None, self.batch([users]))
        users = as_sequence(users)
        length = max(len(users), len(queries))
        if {len(users), len(queries)} - {1, length}:
            raise SettingError(f"{len(users)} users do not pair with {len(queries)} items.")
        user, item = self.users(users, unknown), self.catalog.ids.codes(queries)
        if unknown == "error":  # a title is found, all else raises
            for place in np.flatnonzero(item < 0):
                item[place] = self.item(queries[place])
        user, item = (np.ascontiguousarray(np.broadcast_to(c, length)) for c in (user, item))
        return Pairs(user, item, _times(timestamps, length))


def _times(timestamps: Any, length: int) -> I64 | None:
    if timestamps is None:
        return None
    times = np.atleast_1d(np.asarray(timestamps))
    whole = times.dtype.kind in "iu" and (times <= np.iinfo(np.int64).max).all()
    if not whole or times.ndim > 1 or len(times) not in (1, length):
        raise SettingError(
            f"timestamps must be whole Unix seconds, one for all or one for each of {length} pairs."
        )
    return np.ascontiguousarray(np.broadcast_to(times, length), np.int64)

"""Questions as models see them: ids and titles become indices, users become their interactions."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from matinee._types import F32, I32, I64, Bools, Floats
from matinee.data.catalog import Catalog
from matinee.data.dataset import Dataset
from matinee.data.id_map import IdMap
from matinee.data.ratings import NOT_RATED, RatingScale
from matinee.errors import SettingError, UnknownIdError
from matinee.kernels.csr import Rows, take_rows
from matinee.models.inputs import Ids, ids_of, one_id, plain, rated_items, shown


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
        The ratings, on the scale; of interactions without ratings, how often, or their weight.
    rated : bool
        Whether these are ratings.
    """

    items: I32
    values: F32
    rated: bool = True

    def __repr__(self) -> str:
        count = len(self.items)
        noun = "rating" if self.rated else "item"
        return f"UserProfile({count} {noun}{'' if count == 1 else 's'})"


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

    def has_item(self, item: int) -> Bools:
        """Which users have interacted with an item in training, (users,)."""
        mask = np.zeros(len(self.user_ids), bool)
        entries = np.flatnonzero(self.interactions.indices == item)
        mask[np.searchsorted(self.interactions.indptr, entries, side="right") - 1] = True
        return mask

    def same_as(self, other: "TrainingIndex") -> bool:
        """Whether both hold the same users, items and training ratings."""
        return (
            self.user_ids.equals(other.user_ids)
            and self.catalog.ids.equals(other.catalog.ids)
            and np.array_equal(self.interactions.indptr, other.interactions.indptr)
            and np.array_equal(self.interactions.indices, other.interactions.indices)
            and np.array_equal(self.interactions.values, other.interactions.values)
        )

    def on_scale(self, ratings: Floats) -> F32:
        """Ratings clipped to the scale."""
        if self.scale is None:
            raise SettingError(NOT_RATED)
        return np.asarray(np.clip(ratings, self.scale.low, self.scale.high), np.float32)

    # ids and titles to indices

    def item(self, query: Any) -> int:
        """Index of an item, from its id or its title; see `Catalog.find`."""
        query = one_id(query, self.catalog.noun)
        if isinstance(query, str):
            return self.catalog.find(query, self.item_counts)
        return _code(self.catalog.ids, query, self.catalog.noun)

    def items(self, queries: Any, unknown: str = "error") -> I32:
        """Indices of items, by id or title; unknown ones are an error, or -1 (``"average"``)."""
        ids = ids_of(queries, "items")
        codes = _codes(self.catalog.ids, ids)
        if unknown == "error":
            return _filled(codes, ids, self.item)
        return codes if isinstance(ids, np.ndarray) else _filled(codes, ids, self._item_or_none)

    def _item_or_none(self, query: Any) -> int:
        """Index of the item with this id or title, or -1; `item` would look for similar titles."""
        if isinstance(query, str):
            for codes in self.catalog.matches(query):
                if len(codes):
                    return int(codes[np.argmax(self.item_counts[codes])])
            return -1
        return _or_none(self.item, query)

    def user(self, user: Any) -> int:
        """Index of a user who has training ratings; UnknownIdError for any other."""
        code = _code(self.user_ids, one_id(user, "user"), "user")
        start, stop = self.interactions.indptr[code : code + 2]
        if start == stop:
            noun = "interactions" if self.scale is None else "ratings"
            raise UnknownIdError(
                f"User {shown(plain(user))} has no {noun} in the training set. "
                "Fold in some of theirs."
            )
        return code

    def users(self, users: Any, unknown: str = "error") -> I32:
        """Indices of users with training ratings; others are an error, or -1 (``"average"``)."""
        ids = ids_of(users, "users")
        codes = _codes(self.user_ids, ids)
        indptr = self.interactions.indptr
        codes[indptr[codes] == indptr[codes + 1]] = -1
        if unknown == "error":
            return _filled(codes, ids, self.user)
        return codes if isinstance(ids, np.ndarray) else _filled(codes, ids, self._user_or_none)

    def _user_or_none(self, query: Any) -> int:
        """Index of the user with this id, or -1; all texts that are ids have been found."""
        if isinstance(query, str) and self.user_ids.are_text:
            return -1
        return _or_none(self.user, query)

    # users as their interactions

    def profile(self, user: Any) -> UserProfile:
        """The ratings of the user with this id (or the `UserProfile` itself)."""
        if isinstance(user, UserProfile):
            return user
        code = self.user(user)
        indptr, items, values = self.interactions
        start, stop = indptr[code : code + 2]
        return UserProfile(items[start:stop], values[start:stop], self.scale is not None)

    def batch(self, user: Any = None) -> UserBatch:
        """One user or several, by id or as `UserProfile`, or all with ratings (None)."""
        if user is None:
            codes = np.flatnonzero(np.diff(self.interactions.indptr)).astype(np.int32)
            return UserBatch(codes, take_rows(self.interactions, codes))
        ids = ids_of(user, "users")
        if any(isinstance(each, UserProfile) for each in ids):
            places = [-1 if isinstance(each, UserProfile) else self.user(each) for each in ids]
            return self._stack([self.profile(each) for each in ids], np.array(places, np.int32))
        codes = self.users(ids)
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
        """A new user, from ratings or items in any of the forms of `Recommender.fold_in`."""
        pairs = rated_items(ratings)
        items = self.items([item for item, _ in pairs])
        values = np.empty(len(items), np.float32)
        for place, (_, value) in enumerate(pairs):
            values[place] = self._value(value, self.catalog.titles[items[place]])
        order = np.argsort(items, kind="stable")
        items, values = items[order], values[order]
        twice = items[1:][items[1:] == items[:-1]]
        if len(twice):
            raise SettingError(f"{self.catalog.titles[twice[0]]} is named twice.")
        return UserProfile(items, values, self.scale is not None)

    def _value(self, value: Any, title: str) -> float:
        """A rating, or the weight of an interaction; SettingError for what is neither."""
        if value is None:
            if self.scale is None:
                return 1.0
            raise SettingError(
                f"{title} comes without a rating. This model learned from ratings, "
                f"{self.scale}: give each item one."
            )
        try:
            number = np.nan if isinstance(value, str | bytes | bool | np.bool_) else float(value)
        except (TypeError, ValueError, OverflowError):
            number = np.nan
        if self.scale is None:
            limits = np.finfo(np.float32)
            right = float(limits.tiny) <= number <= float(limits.max)
        else:
            right = bool(self.scale.contains(np.array([number]))[0])
        if not right:
            meant = "a number > 0" if self.scale is None else f"on the scale {self.scale}"
            raise SettingError(f"{title}: {shown(plain(value))} is not {meant}.")
        return number

    def pairs(self, users: Any, items: Any, timestamps: Any, unknown: str) -> Pairs:
        """The indices behind ids and titles; see `Recommender.predict`."""
        if unknown not in ("error", "average"):
            raise SettingError(f"unknown must be 'error' or 'average', got {unknown!r}.")
        item = self.items(items, unknown)
        if isinstance(users, UserProfile):
            if timestamps is not None:
                raise SettingError("A folded-in user has no history in time; omit timestamps.")
            return Pairs(np.full(len(item), -1, np.int32), item, None, self.batch([users]))
        user = self.users(users, unknown)
        length = max(len(user), len(item))
        if {len(user), len(item)} - {1, length}:
            raise SettingError(f"{len(user)} users do not pair with {len(item)} items.")
        user, item = (np.ascontiguousarray(np.broadcast_to(c, length)) for c in (user, item))
        return Pairs(user, item, _times(timestamps, length))


def _code(ids: IdMap, wanted: Any, noun: str) -> int:
    """The code of one plain id; UnknownIdError if there is none."""
    if not isinstance(wanted, int | float | str):  # a date, None ...
        raise UnknownIdError(f"No {noun} {shown(wanted)} in the training set.")
    return ids.code(wanted, noun)


def _codes(ids: IdMap, wanted: Ids) -> I32:
    """Codes of plain ids; -1 for what is none, or may be a title."""
    if isinstance(wanted, np.ndarray):
        return ids.codes(wanted)
    if ids.are_text:
        texts = [value if isinstance(value, str) else None for value in wanted]
        return ids.codes(texts)
    return np.full(len(wanted), -1, np.int32)


def _or_none(find: Callable[[Any], int], query: Any) -> int:
    """What `find` finds, or -1."""
    try:
        return find(query)
    except UnknownIdError:
        return -1


def _filled(codes: I32, ids: Ids, find: Callable[[Any], int]) -> I32:
    """Codes with those that are -1 looked up, each different id once."""
    found: dict[Any, int] = {}
    for place in np.flatnonzero(codes < 0):
        query = ids[place]
        if not isinstance(query, int | float | str):
            codes[place] = find(query)  # which refuses it
            continue
        key = type(query), query  # for True == 1
        if key not in found:
            found[key] = find(query)
        codes[place] = found[key]
    return codes


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

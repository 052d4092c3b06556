"""Questions as models see them: ids and titles become indices, users become their interactions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from matinee._types import F32, F64, I32, I64, Bools, Floats, Ints
from matinee.data.attributes import Attributes
from matinee.data.catalog import Catalog
from matinee.data.dataset import Dataset
from matinee.data.id_map import IdMap
from matinee.data.ratings import NOT_RATED, TIE, RatingScale, may_be, value_name
from matinee.errors import SettingError, UnknownIdError, check_choice, shortened
from matinee.kernels.csr import Rows, take_rows
from matinee.models.inputs import Ids, ids_of, one_id, plain, rated_items
from matinee.models.population import Population
from matinee.models.profiles import UserBatch, UserProfile, stacked, take_moments


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of a user and an item to predict, as indices; -1 stands for an unknown one."""

    users: I32  # (n,)
    items: I32  # (n,)
    times: I64 | None  # (n,) Unix seconds
    profile: UserBatch | None = None  # the one user of all pairs, where given as a `UserProfile`


class Sizes(NamedTuple):
    """The size of a model: its users and items, and the features of what is known of users."""

    users: int
    items: int
    user_features: int = 1  # the constant included


@dataclass(frozen=True, eq=False)
class TrainingIndex:
    """What a model was trained on: ids, titles, the scale, and who rated what."""

    user_ids: IdMap  # all of the data set; one without training ratings counts as unknown
    catalog: Catalog  # all items; one without ratings is known by its genres
    scale: RatingScale | None  # None: interactions without ratings
    interactions: Rows  # the training ratings by user
    user_attributes: pl.DataFrame | None = None  # by user, as in `Dataset`
    population: Population | None = None  # where these are some of its users
    moments: F64 | None = None  # of the interactions, as `Ratings.moments`, if the model asks

    @classmethod
    def of(cls, train: Dataset, *, moments: bool = False) -> "TrainingIndex":
        """The index of a training set, and the moments of its interactions if they are wanted."""
        ratings, attributes = train.ratings, train.user_attributes
        index = cls(ratings.user_ids, train.catalog, ratings.scale, ratings.by_user, attributes)
        if moments:
            index = replace(index, moments=ratings.moments)
        if attributes is not None and train.users.groups:  # what training has made of them
            vars(index)["attributes"] = train.users
        return index

    @cached_property
    def users_known(self) -> Bools:
        """Which users have training ratings, or attributes by which they are known, (users,)."""
        rated = self.user_counts > 0
        return rated if self.attributes is None else rated | self.attributes.known

    @cached_property
    def attributes(self) -> Attributes | None:
        """What is known of the users beside ratings; None if nothing is."""
        if self.user_attributes is None:
            return None
        frame = self.user_attributes.drop("user_id", strict=False)
        attributes = Attributes.of(frame, len(self.user_ids))
        return attributes if attributes.groups else None

    @property
    def known_attributes(self) -> Attributes:
        """The same; SettingError if nothing is known of users."""
        if self.attributes is None:
            raise SettingError("This model was trained without attributes of users.")
        return self.attributes

    @cached_property
    def mean_features(self) -> F32:
        """Those of the average user with training ratings, (features,)."""
        return self.known_attributes.means(self.user_counts > 0)

    @cached_property
    def _average_features(self) -> Rows:
        """Those of a user of whom nothing is known, as a row."""
        return self.known_attributes.of_new({}, self.mean_features)

    @cached_property
    def user_counts(self) -> I64:
        """Training ratings of each user, (users,)."""
        return np.diff(self.interactions.indptr)

    @cached_property
    def item_counts(self) -> I64:
        """Training ratings of each item, (items,)."""
        if self.population is not None:
            return self.population.item_counts
        return np.bincount(self.interactions.indices, minlength=len(self.catalog))

    def has_item(self, item: int) -> Bools:
        """Which users have interacted with an item in training, (users,)."""
        mask = np.zeros(len(self.user_ids), bool)
        entries = np.flatnonzero(self.interactions.indices == item)
        mask[np.searchsorted(self.interactions.indptr, entries, side="right") - 1] = True
        return mask

    @property
    def sizes(self) -> Sizes:
        """How many users, items and features of either there are."""
        return Sizes(
            len(self.user_ids),
            len(self.catalog),
            self.attributes.n_features if self.attributes else 1,
        )

    def same_as(self, other: "TrainingIndex") -> bool:
        """Whether both hold the same users, items, features of users and training ratings."""
        groups = [index.attributes and index.attributes.groups for index in (self, other)]
        return (
            groups[0] == groups[1]
            and self.user_ids.equals(other.user_ids)
            and self.catalog.ids.equals(other.catalog.ids)
            and np.array_equal(self.interactions.indptr, other.interactions.indptr)
            and np.array_equal(self.interactions.indices, other.interactions.indices)
            and np.array_equal(self.interactions.values, other.interactions.values)
        )

    @property
    def unit(self) -> str:
        """What an interaction is, as in `Dataset.unit`: a ``"rating"``, or an ``"interaction"``."""
        return "interaction" if self.scale is None else "rating"

    @property
    def value_name(self) -> str:
        """What a value of an interaction is, for the head of its column."""
        if self.population is not None:
            return self.population.value_name
        return value_name(self.scale, self.interactions.values)

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
        wanted, named = one_id(user, "user"), shortened(plain(user))
        try:
            code = _code(self.user_ids, wanted, "user")
            if self.users_known[code]:
                return code
        except UnknownIdError:
            if self.population is None:
                raise
        if self.population is not None:
            raise UnknownIdError(f"No user {named} in the training set, or none was loaded.")
        raise UnknownIdError(
            f"User {named} has no {self.unit}s in the training set. Fold in some of theirs."
        )

    def users(self, users: Any, unknown: str = "error") -> I32:
        """Indices of users with training ratings; others are an error, or -1 (``"average"``)."""
        ids = ids_of(users, "users")
        codes = _codes(self.user_ids, ids)
        codes[~self.users_known[codes]] = -1
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
        return self.profile_of(self.user(user))

    def profile_of(self, code: int) -> UserProfile:
        """The ratings of the user with this index."""
        indptr, items, values = self.interactions
        own = slice(*indptr[code : code + 2])
        moments = None if self.moments is None else self.moments[own]
        rated = self.scale is not None
        return UserProfile(items[own], values[own], self._features([code]), rated, moments)

    def _features(self, codes: Ints | list[int]) -> Rows | None:
        if self.attributes is None:
            return None
        return take_rows(self.attributes.features, np.asarray(codes))

    def batch(self, user: Any = None) -> UserBatch:
        """One user or several, by id or as `UserProfile`, or all with ratings (None)."""
        if user is None:
            codes = np.flatnonzero(self.user_counts).astype(np.int32)
            return self.batch_of(codes)
        ids = ids_of(user, "users")
        if any(isinstance(each, UserProfile) for each in ids):
            places = [-1 if isinstance(each, UserProfile) else self.user(each) for each in ids]
            return self._stack([self.profile(each) for each in ids], np.array(places, np.int32))
        return self.batch_of(self.users(ids))

    def batch_of(self, codes: I32) -> UserBatch:
        """Training users by index."""
        moments = take_moments(self.interactions, self.moments, codes)
        return UserBatch(codes, take_rows(self.interactions, codes), self._features(codes), moments)

    def _stack(self, profiles: list[UserProfile], codes: I32) -> UserBatch:
        """Profiles as rows, their indices checked: kernels follow them without looking."""
        rows, moments = stacked(profiles)
        if moments is not None and len(moments) != len(rows.indices):
            raise SettingError("A profile has as many moments as items, or None.")
        items = rows.indices
        if len(items) and not (items.min() >= 0 and items.max() < len(self.catalog)):
            raise SettingError("This user was folded into another model.")
        return UserBatch(codes, rows, self._stack_features(profiles), moments)

    def _stack_features(self, profiles: list[UserProfile]) -> Rows | None:
        """Their features, those of the average user where nothing is known."""
        if self.attributes is None:
            return None
        rows = [profile.features or self._average_features for profile in profiles]
        indices = np.concatenate([row.indices for row in rows])
        if indices.max() >= self.attributes.n_features or indices.min() < 0:
            raise SettingError("This user was folded into another model.")
        lengths = [len(row.indices) for row in rows]
        indptr = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
        return Rows(indptr, indices, np.concatenate([row.values for row in rows]))

    def features_of_new(self, attributes: Mapping[str, Any] | None) -> Rows | None:
        """The features of a new user; SettingError for an attribute that training did not have."""
        if not (attributes is None or isinstance(attributes, Mapping)):
            raise SettingError(
                f"attributes must be a dict of names and values, got {shortened(attributes)}."
            )
        if not attributes:
            return None
        return self.known_attributes.of_new(attributes, self.mean_features)

    def fold_in(self, ratings: Any, attributes: Mapping[str, Any] | None = None) -> UserProfile:
        """A new user, from ratings or items in any of the forms of `Recommender.fold_in`."""
        pairs = rated_items(ratings)
        items = self.items([item for item, _ in pairs])
        titles = self.catalog.titles
        numbers = [
            self._number(value, titles[item])
            for (_, value), item in zip(pairs, items.tolist(), strict=True)
        ]
        given = np.array(numbers, np.float64)
        wrong = ~self.may_be(given)
        if wrong.any():
            place = int(wrong.argmax())
            meant = f"on the scale {self.limits}" if self.scale else self.limits
            value = shortened(plain(pairs[place][1]))
            raise SettingError(f"{titles[items[place]]}: {value} is not {meant}.")
        values = given.astype(np.float32)
        order = np.argsort(items, kind="stable")
        items, values = items[order], values[order]
        twice = items[1:][items[1:] == items[:-1]]
        if len(twice):
            raise SettingError(f"{self.catalog.titles[twice[0]]} is named twice.")
        features = self.features_of_new(attributes)
        moments = np.asarray(order * TIE, np.float64)
        return UserProfile(items, values, features, self.scale is not None, moments)

    def _number(self, value: Any, title: str) -> float:
        """A rating, or the weight of an interaction, as a number; NaN for what is none."""
        if value is None:
            if self.scale is None:
                return 1.0
            raise SettingError(
                f"{title} comes without a rating. This model learned from ratings, "
                f"{self.scale}: give each item one."
            )
        try:
            return np.nan if isinstance(value, str | bytes | bool | np.bool_) else float(value)
        except (TypeError, ValueError, OverflowError):
            return np.nan

    @property
    def limits(self) -> str:
        """What a rating or a weight must be, in words."""
        return "> 0: how often, or a weight" if self.scale is None else str(self.scale)

    def may_be(self, values: Floats) -> Bools:
        """Which values can be ratings, or the weights of interactions."""
        return may_be(self.scale, values)

    def pairs(self, users: Any, items: Any, timestamps: Any, unknown: str) -> Pairs:
        """The indices behind ids and titles; see `Recommender.predict`."""
        check_choice("unknown", unknown, ("error", "average"))
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
        raise UnknownIdError(f"No {noun} {shortened(wanted)} in the training set.")
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
    try:
        times = np.atleast_1d(np.asarray(timestamps))
    except (ValueError, pl.exceptions.PolarsError):  # lists within a list, 128 bits
        times = np.array([None])
    whole = times.dtype.kind in "iu" and (times <= np.iinfo(np.int64).max).all()
    if not whole or times.ndim > 1 or len(times) not in (1, length):
        raise SettingError(
            f"timestamps must be whole Unix seconds, one for all or one for each of {length} pairs."
        )
    return np.ascontiguousarray(np.broadcast_to(times, length), np.int64)

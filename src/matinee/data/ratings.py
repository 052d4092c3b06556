"""Ratings, or interactions without ratings, as aligned columns of numbers."""

import hashlib
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from matinee._types import F32, F64, I32, I64, Array, Bools, Floats
from matinee.data.id_map import IdMap
from matinee.errors import SettingError
from matinee.kernels.codes import bincount, distinct, in_range, release, slices
from matinee.kernels.csr import Rows, csr_and_csc

NOT_RATED = (
    "These are interactions without ratings, so there is no rating to predict. A ranking model "
    "learns from them: ImplicitALS (ials), EASE, ItemKNN, BPR ..."
)
MOST = 1e30
"""Of a rating: differences and sums of a few are numbers of 32 bits, too."""
MAX_LEVELS = 100
"""A column with more distinct values is taken as continuous."""
DAY = 86_400.0
"""Seconds."""
TIE = 1e-6
"""Seconds between interactions of a user that share a second, or whose order alone is known."""


@dataclass(frozen=True)
class RatingScale:
    """The ratings one may give: from `low` to `high` in steps of `step` (0: anything between)."""

    low: float
    high: float
    step: float = 0.0

    def __post_init__(self) -> None:
        for name in ("low", "high", "step"):  # 5 and 5.0 are one scale, also to a fingerprint
            object.__setattr__(self, name, float(getattr(self, name)))
        moderate = all(abs(limit) <= MOST for limit in (self.low, self.high, self.step))
        if not (moderate and self.low <= self.high and self.step >= 0):
            raise SettingError(
                f"scale must be finite (up to {MOST:g}) with low ≤ high and step ≥ 0, "
                f"got {self.low:g} to {self.high:g} in steps of {self.step:g}."
            )

    def __str__(self) -> str:
        steps = f" in steps of {self.step:g}" if self.step else ""
        return f"{self.low:g} to {self.high:g}{steps}"

    def contains(self, values: Floats) -> Bools:
        """Which values are finite and on the scale."""
        with np.errstate(all="ignore"):  # NaN, and steps too small for these numbers: not on it
            valid = (values >= self.low) & (values <= self.high)
            if self.step:
                steps = (values - self.low) / self.step
                valid &= np.abs(steps - np.round(steps)) < 1e-3
        return valid

    def first_outside(self, values: Floats) -> int | None:
        """Position of the first value that is not on the scale, or None."""
        for start, stop in slices(len(values)):
            outside = ~self.contains(values[start:stop])
            if outside.any():
                return start + int(outside.argmax())
        return None

    @classmethod
    def infer(cls, values: Floats) -> "RatingScale":
        """The scale that a column of ratings seems to be on: its range and smallest step."""
        levels = distinct(values, MAX_LEVELS)
        if levels is None:
            return cls(float(values.min()), float(values.max()))
        levels = levels.astype(np.float64)
        step = float(np.diff(levels).min(initial=np.inf))
        scale = cls(float(levels[0]), float(levels[-1]), round(step, 6) if len(levels) > 1 else 0.0)
        return scale if scale.contains(levels).all() else replace(scale, step=0.0)


def may_be(scale: RatingScale | None, values: Floats) -> Bools:
    """Which values can be ratings on a scale, or, without one, the weights of interactions."""
    if scale is not None:
        return scale.contains(values)
    limits = np.finfo(np.float32)
    return np.asarray((values >= limits.tiny) & (values <= limits.max))


def value_name(scale: RatingScale | None, values: F32) -> str:
    """What a value is, for the head of its column: ``"rating"``; of interactions without ratings
    ``"times"``, where all are whole numbers, else ``"weight"``.
    """
    if scale is not None:
        return "rating"
    return "times" if bool((values == np.floor(values)).all()) else "weight"


@dataclass(frozen=True, eq=False)
class Ratings:
    """Ratings, or interactions without them, as aligned columns; immutable, every row checked.

    Parameters
    ----------
    user, item : int32 (n,)
        Codes: 0-based positions in `user_ids` and `item_ids`.
    values : float32 (n,)
        The ratings themselves; of interactions without ratings, how often, or their weight: > 0.
    timestamp : int64 (n,) or None
        Unix seconds; of an interaction that was repeated, the last time.
    user_ids, item_ids : IdMap
        Original ids. The training and test set of a split share them, so that codes mean the
        same in both; an id may then have no rating.
    scale : RatingScale or None
        None: these are interactions without ratings.
    first_timestamp : int64 (n,) or None
        The first time, where interactions that were repeated have been added up.
    """

    user: I32
    item: I32
    values: F32
    timestamp: I64 | None
    user_ids: IdMap
    item_ids: IdMap
    scale: RatingScale | None
    first_timestamp: I64 | None = None

    def __post_init__(self) -> None:
        for name, column in self.columns.items():
            view = column.view()
            view.flags.writeable = False
            object.__setattr__(self, name, view)
        for codes, ids in ((self.user, self.user_ids), (self.item, self.item_ids)):
            # kernels index by codes without checking bounds
            if not in_range(codes, len(ids)):
                raise ValueError(f"codes must be ≥ 0 and < {len(ids)}, the number of ids")

    def __repr__(self) -> str:
        return f"Ratings({len(self):,}, {f'scale {self.scale}' if self.scale else 'unrated'})"

    def __len__(self) -> int:
        return len(self.values)

    @property
    def columns(self) -> dict[str, Array]:
        """Those of the columns that there are, by the names of the fields."""
        names = ("user", "item", "values", "timestamp", "first_timestamp")
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}

    @cached_property
    def spread(self) -> float:
        """The standard deviation of the values; a little above zero where all are the same."""
        largest = max(-float(self.values.min(initial=0.0)), float(self.values.max(initial=0.0)))
        least = float(np.finfo(np.float32).eps) * max(1.0, largest)
        return max(float(self.values.std(dtype=np.float64)), least)

    @property
    def known_scale(self) -> RatingScale:
        """The scale; SettingError where there are no ratings, for whatever needs them."""
        if self.scale is None:
            raise SettingError(NOT_RATED)
        return self.scale

    def timestamp_for(self, purpose: str) -> I64:
        """The timestamps, for something that needs them; SettingError where there are none."""
        if self.timestamp is None:
            rows = "interactions" if self.scale is None else "ratings"
            raise SettingError(f"{purpose} needs timestamps; these {rows} have none.")
        return self.timestamp

    def recent(self, days: float, purpose: str) -> Bools:
        """Which ratings are of the last so many days of all; `purpose` as in `timestamp_for`."""
        timestamp = self.timestamp_for(purpose)
        return np.asarray(timestamp > timestamp.max() - days * DAY)

    @property
    def differ(self) -> bool:
        """Whether these are ratings, and not all the same: else there is nothing to predict."""
        rated = self.scale is not None and len(self) > 0
        return rated and bool(self.values.min() < self.values.max())

    def to_frame(self) -> pl.DataFrame:
        """Columns `user_id`, `item_id`, `rating` (`weight`, of interactions without ratings) and,
        if there are any, `timestamp` and `first_timestamp`.
        """
        columns = {
            "user_id": self.user_ids.values[self.user],
            "item_id": self.item_ids.values[self.item],
            "weight" if self.scale is None else "rating": self.values,
        }
        names = ("timestamp", "first_timestamp")
        stamps = {name: self.columns[name] for name in names if name in self.columns}
        return pl.DataFrame({**columns, **stamps})

    def take(self, rows: Bools | I64) -> "Ratings":
        """The ratings at `rows` (a mask or positions), with the same ids and codes."""
        taken: dict[str, Any] = {}
        for name, column in self.columns.items():
            taken[name] = column[rows]
            release(column)
        return replace(self, **taken)

    def same_codes_as(self, other: "Ratings") -> bool:
        """Whether codes mean the same in both, as in the training and test set of a split."""
        return self.user_ids.equals(other.user_ids) and self.item_ids.equals(other.item_ids)

    def with_rows(self, by_user: Rows, by_item: Rows) -> "Ratings":
        """The same ratings with both sorted orders given rather than made when first needed."""
        ratings = copy(self)
        vars(ratings)["_rows"] = by_user, by_item
        return ratings

    @cached_property
    def _rows(self) -> tuple[Rows, Rows]:
        sizes = len(self.user_ids), len(self.item_ids)
        return csr_and_csc(self.user, self.item, self.values, *sizes)

    @property
    def by_user(self) -> Rows:
        """Each user's item codes, ascending, and ratings."""
        return self._rows[0]

    @property
    def by_item(self) -> Rows:
        """Each item's user codes, ascending, and ratings."""
        return self._rows[1]

    @cached_property
    def moments(self) -> F64:
        """When each entry of `by_user` happened, float64 (n,): in Unix seconds, and those of a user
        that share a second a microsecond apart, in the order of the rows. SettingError without
        timestamps.
        """
        timestamp = self.timestamp_for("The order in which things were watched")
        order = np.lexsort((timestamp, self.user))
        user, seconds = self.user[order], timestamp[order]
        first = np.ones(len(order), bool)
        first[1:] = (user[1:] != user[:-1]) | (seconds[1:] != seconds[:-1])
        place = np.arange(len(order))
        moments = np.empty(len(order))
        moments[order] = seconds + TIE * (place - np.maximum.accumulate(np.where(first, place, 0)))
        return moments[np.lexsort((self.item, self.user))]

    @property
    def user_counts(self) -> I64:
        """Number of ratings of each user, (users,)."""
        return bincount(self.user, len(self.user_ids))

    @property
    def item_counts(self) -> I64:
        """Number of ratings of each item, (items,)."""
        return bincount(self.item, len(self.item_ids))

    def fingerprint(self) -> str:
        """SHA-256 of the ratings, times, ids and scale, by which a run recognizes its data."""
        digest = hashlib.sha256(repr(self.scale).encode())
        for column in self.columns.values():
            digest.update(np.ascontiguousarray(column).data)
            release(column)
        for ids in (self.user_ids, self.item_ids):
            digest.update("\n".join(ids.values.cast(pl.String).to_list()).encode())
        return digest.hexdigest()

"""Who gave how many stars to what, as aligned columns of numbers."""

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from matinee._types import F32, I32, I64, Bools, Floats
from matinee.data.id_map import IdMap
from matinee.errors import SettingError
from matinee.kernels.csr import Rows, bincount, csr_and_csc, in_range, release, slices


@dataclass(frozen=True)
class RatingScale:
    """The stars one may give: from `low` to `high` in steps of `step` (0: anything between)."""

    low: float
    high: float
    step: float = 0.0

    def __post_init__(self) -> None:
        finite = np.isfinite([self.low, self.high, self.step]).all()
        if not (finite and self.low <= self.high and self.step >= 0):
            raise SettingError(f"A scale runs from low to high, not {self.low:g} to {self.high:g}.")

    def __str__(self) -> str:
        steps = f" in steps of {self.step:g}" if self.step else ""
        return f"{self.low:g} to {self.high:g}{steps}"

    def holds(self, values: Floats) -> Bools:
        """Which of the given stars are finite and on the scale."""
        with np.errstate(invalid="ignore"):
            on = (values >= self.low) & (values <= self.high)
            if self.step:
                steps = (values - self.low) / self.step
                on &= np.abs(steps - np.round(steps)) < 1e-3
        return on

    def first_off(self, values: Floats) -> int | None:
        """Where the first of many stars is that is not on the scale, or None."""
        for start, stop in slices(len(values)):
            off = ~self.holds(values[start:stop])
            if off.any():
                return start + int(off.argmax())
        return None

    @classmethod
    def of(cls, values: Floats) -> "RatingScale":
        """The scale that a column of stars seems to be on: its range and smallest step."""
        some = [pl.Series(values[start:stop]).unique() for start, stop in slices(len(values))]
        levels = pl.concat(some).unique().sort().cast(pl.Float64)
        # over a hundred different values is a continuous scale for all purposes
        stepped = 1 < len(levels) <= 100
        step = float(levels.diff().min()) if stepped else 0.0  # type: ignore[arg-type]
        scale = cls(float(levels[0]), float(levels[-1]), round(step, 6))
        return scale if scale.holds(levels.to_numpy()).all() else replace(scale, step=0.0)


@dataclass(frozen=True, eq=False)
class Ratings:
    """Ratings as aligned columns. Immutable; every row was checked on the way in.

    Parameters
    ----------
    user, item : int32 (n,)
        Codes, 0-based: positions in `user_ids` and `item_ids`.
    values : float32 (n,)
    timestamp : int64 (n,) or None
        Unix seconds.
    user_ids, item_ids : IdMap
        Original ids. Parts of a split share them, so that codes mean the same in
        each; some ids may then have no rating.
    scale : RatingScale
    """

    user: I32
    item: I32
    values: F32
    timestamp: I64 | None
    user_ids: IdMap
    item_ids: IdMap
    scale: RatingScale

    def __post_init__(self) -> None:
        for column in (self.user, self.item, self.values, self.timestamp):
            if column is not None:
                column.flags.writeable = False
        for codes, ids in ((self.user, self.user_ids), (self.item, self.item_ids)):
            # kernels go where codes point without looking
            if not in_range(codes, len(ids)):
                raise ValueError("a code points at no id")

    def __repr__(self) -> str:
        return f"Ratings({len(self):,}, stars {self.scale})"

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: Bools | I64) -> "Ratings":
        """The ratings at `rows` (a mask or positions), with the same ids and codes."""
        columns: dict[str, Any] = {"user": self.user, "item": self.item, "values": self.values}
        if self.timestamp is not None:
            columns["timestamp"] = self.timestamp
        taken = {}
        for name, column in columns.items():
            taken[name] = column[rows]
            release(column)
        return replace(self, **taken)

    def has_codes_of(self, other: "Ratings") -> bool:
        """Whether codes mean the same here and there, as in all parts of a split."""
        return self.user_ids.values.equals(other.user_ids.values) and self.item_ids.values.equals(
            other.item_ids.values
        )

    def sorted_as(self, by_user: Rows, by_item: Rows) -> "Ratings":
        """The same ratings, with both orders given rather than made when asked for."""
        ready = replace(self)
        vars(ready)["_both_ways"] = by_user, by_item
        return ready

    @cached_property
    def _both_ways(self) -> tuple[Rows, Rows]:
        sizes = len(self.user_ids), len(self.item_ids)
        return csr_and_csc(self.user, self.item, self.values, *sizes)

    @property
    def by_user(self) -> Rows:
        """Each user's movie codes, ascending, and stars."""
        return self._both_ways[0]

    @property
    def by_item(self) -> Rows:
        """Each movie's user codes, ascending, and stars."""
        return self._both_ways[1]

    @property
    def user_counts(self) -> I64:
        """Ratings of each user, (users,)."""
        return bincount(self.user, len(self.user_ids))

    @property
    def item_counts(self) -> I64:
        """Ratings of each movie, (items,)."""
        return bincount(self.item, len(self.item_ids))

    def fingerprint(self) -> str:
        """SHA-256 of the ratings, times, ids and scale, by which a run knows its data again."""
        digest = hashlib.sha256()
        digest.update(repr(self.scale).encode())
        for column in (self.user, self.item, self.values, self.timestamp):
            if column is not None:
                digest.update(np.ascontiguousarray(column).data)
                release(column)
        for ids in (self.user_ids, self.item_ids):
            digest.update("\n".join(ids.values.cast(pl.String).to_list()).encode())
        return digest.hexdigest()

"""Original ids and the dense codes that stand for them inside."""

import difflib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from matinee._types import I32, I64, Bools
from matinee.errors import UnknownIdError
from matinee.kernels.csr import dense_rank, mark_seen

SPARSEST = 16
"""Times as many numbers as ids among which codes are looked up rather than searched for."""
WIDEST = 2**26
"""The most numbers among which ids are counted rather than searched."""


@dataclass(frozen=True, eq=False)
class IdMap:
    """The ids of one side, whole numbers or text, sorted; the code of an id is its position.

    Parameters
    ----------
    values : polars.Series
        Distinct ids in ascending order, Int64 or String.

    Examples
    --------
    >>> ids = IdMap(pl.Series([10, 20, 40]))
    >>> ids.codes([40, 30, 10]).tolist()
    [2, -1, 0]
    """

    values: pl.Series

    def __post_init__(self) -> None:
        ascending = (self.values.slice(1) > self.values.head(max(0, len(self.values) - 1))).all()
        if self.values.dtype not in (pl.Int64, pl.String) or self.values.has_nulls():
            raise ValueError(f"ids are Int64 or String without nulls, not {self.values.dtype}")
        if not ascending:
            raise ValueError("ids are in ascending order, each once")

    def __repr__(self) -> str:
        return f"Ids({len(self):,} {'texts' if self.are_text else 'numbers'})"

    def __len__(self) -> int:
        return len(self.values)

    @property
    def are_text(self) -> bool:
        """Whether ids are text rather than whole numbers."""
        return self.values.dtype == pl.String

    @cached_property
    def _numbers(self) -> I64:
        return self.values.to_numpy()

    @cached_property
    def _table(self) -> I32 | None:
        """Code by id, -1 elsewhere; None where numbers are not small and would need a large one."""
        numbers = self._numbers
        if len(numbers) == 0 or numbers[0] < 0 or numbers[-1] >= SPARSEST * len(numbers):
            return None
        table = np.full(int(numbers[-1]) + 1, -1, np.int32)
        table[numbers] = np.arange(len(numbers), dtype=np.int32)
        return table

    def codes(self, wanted: Any) -> I32:
        """Codes of many ids, int32 of the same length; -1 where an id is unknown."""
        asked = pl.Series("id", wanted, dtype=self.values.dtype, strict=False)
        if self.are_text:
            known = pl.DataFrame({"id": self.values}).with_row_index("code")
            found = asked.to_frame().join(known, on="id", how="left", maintain_order="left")
            return found["code"].cast(pl.Int32).fill_null(-1).to_numpy(writable=True)
        given = pl.Series("id", wanted, strict=False)
        if given.dtype.is_float():  # 1.5 is not user 1
            asked = asked.set(given != given.floor(), None)
        numbers = asked.fill_null(-(2**62)).to_numpy()
        known_numbers = self._numbers
        if len(known_numbers) == 0:
            return np.full(len(numbers), -1, np.int32)
        if self._table is not None:
            inside = (numbers >= 0) & (numbers < len(self._table))
            return np.where(inside, self._table[np.where(inside, numbers, 0)], np.int32(-1))
        at = np.minimum(np.searchsorted(known_numbers, numbers), len(known_numbers) - 1)
        return np.where(known_numbers[at] == numbers, at, -1).astype(np.int32)

    def code(self, wanted: Any, what: str = "user") -> int:
        """Code of one id, which may be given as text (``"42"``) where ids are numbers.

        Raises
        ------
        UnknownIdError
            If there is no such id; the message suggests ids spelled alike.
        """
        value = wanted
        if not self.are_text and isinstance(wanted, str):
            text = wanted.strip().removeprefix("-")
            value = int(wanted) if text.isdecimal() and len(text) < 19 else None
        if self.are_text and not isinstance(wanted, str):
            value = str(wanted)
        if type(value) is int and -(2**63) <= value < 2**63:
            at = int(np.searchsorted(self._numbers, value))
            if at < len(self) and self._numbers[at] == value:
                return at
        elif value is not None and not isinstance(value, bool):
            found = int(self.codes([value])[0])
            if found >= 0:
                return found
        raise UnknownIdError(f"There is no {what} {echo(wanted)} here.{self._suggestion(wanted)}")

    def _suggestion(self, wanted: Any) -> str:
        if len(self) == 0:
            return ""
        if not self.are_text:
            return f" Ids run from {self.values[0]} to {self.values[-1]}."
        close = difflib.get_close_matches(str(wanted), self.values.to_list(), n=3)
        return f" Close ones: {', '.join(close)}." if close else f" One that is: {self.values[0]}."


def encode(column: pl.Series, also: pl.Series | None = None) -> tuple[IdMap, I32]:
    """Dense codes for a column of ids.

    Parameters
    ----------
    column : polars.Series
        Int64 or String ids, one per rating.
    also : polars.Series, optional
        Further ids of the same type that get a code although no rating has them.

    Returns
    -------
    (Ids, int32 array)
        The distinct ids in ascending order, and the code of each row.
    """
    both = [column] if also is None else [column, also.cast(column.dtype)]
    if column.dtype == pl.Int64:
        numbers = [one.to_numpy() for one in both if len(one)]
        low = min((int(one.min()) for one in numbers), default=0)
        span = max((int(one.max()) for one in numbers), default=0) - low + 1
        if span < min(16 * len(column) + 1_000_000, WIDEST):
            seen = np.zeros(span, np.bool_)
            for one in numbers:
                mark_seen(one, low, seen)
            codes = np.empty(len(column), np.int32)
            dense_rank(column.to_numpy(), low, seen, codes)
            return ids_seen(seen, low), codes
    ids = IdMap(pl.concat(both).unique().sort())
    return ids, ids.codes(column)


def ids_seen(seen: Bools, low: int = 0) -> IdMap:
    """The ids that were marked, `low` being the first that could be."""
    return IdMap(pl.Series(np.flatnonzero(seen) + low))


def echo(value: Any) -> str:
    """What a person passed, for a message."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def is_one(value: Any) -> bool:
    """Whether a person passed one id or title rather than several."""
    return isinstance(value, str) or not hasattr(value, "__iter__")


def as_many(one_or_many: Any) -> Any:
    """What a person passed as one or several ids, as a list, an array or a polars series."""
    if is_one(one_or_many):
        return [one_or_many]
    if isinstance(one_or_many, pl.Series):
        return one_or_many
    if isinstance(one_or_many, np.ndarray):
        return np.atleast_1d(one_or_many)
    if hasattr(one_or_many, "to_numpy"):  # a column of a pandas frame
        return one_or_many.to_numpy()
    return list(one_or_many)

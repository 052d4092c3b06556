"""Original ids and the dense codes that stand for them."""

import difflib
import os
from bisect import bisect_left
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from matinee._types import I32, I64, Bools
from matinee.errors import UnknownIdError, cut, shortened
from matinee.kernels.codes import dense_rank, mark_seen

MAX_TABLE_RATIO = 16
"""Codes are looked up in a table if the largest id is below this many times the number of ids."""
FEW = 1000  # texts that are sooner looked up one by one
PROCESS = os.getpid()  # another one was forked from it, and lacks the threads that join tables
MAX_SPAN = 2**26
"""Ids that span fewer numbers are ranked by counting, others by sorting."""


@dataclass(frozen=True, eq=False)
class IdMap:
    """Sorted user or item ids, whole numbers or text; the code of an id is its position.

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
            raise ValueError(f"ids must be Int64 or String without nulls, got {self.values.dtype}")
        if not ascending:
            raise ValueError("ids must be distinct and in ascending order")

    def __repr__(self) -> str:
        return f"IdMap({len(self):,} {'texts' if self.are_text else 'numbers'})"

    def __len__(self) -> int:
        return len(self.values)

    @property
    def are_text(self) -> bool:
        """Whether ids are text rather than whole numbers."""
        return self.values.dtype == pl.String

    def equals(self, other: "IdMap") -> bool:
        """Whether codes mean the same in both."""
        return self.values is other.values or self.values.equals(other.values)

    @cached_property
    def _numbers(self) -> I64:
        return self.values.to_numpy()

    @cached_property
    def _table(self) -> I32 | None:
        """Code by id, -1 for unknown ids; None if ids are negative or too sparse for a table."""
        numbers = self._numbers
        if len(numbers) == 0 or numbers[0] < 0 or numbers[-1] >= MAX_TABLE_RATIO * len(numbers):
            return None
        table = np.full(int(numbers[-1]) + 1, -1, np.int32)
        table[numbers] = np.arange(len(numbers), dtype=np.int32)
        return table

    def codes(self, ids: Any) -> I32:
        """Codes of many ids, int32 (n,); -1 where an id is unknown."""
        if isinstance(ids, list) and all(type(each) is int for each in ids):
            with suppress(OverflowError):
                ids = np.array(ids, np.int64)
        if not self.are_text and isinstance(ids, np.ndarray) and ids.dtype.kind == "i":
            return self._codes_of_numbers(ids.astype(np.int64, copy=False))
        cast = pl.Series("id", ids, dtype=self.values.dtype, strict=False)
        if self.are_text:
            if len(cast) <= FEW or os.getpid() != PROCESS:
                return np.array([self._position(text) for text in cast.to_list()], np.int32)
            table = pl.DataFrame({"id": self.values}).with_row_index("code")
            joined = cast.to_frame().join(table, on="id", how="left", maintain_order="left")
            return joined["code"].cast(pl.Int32).fill_null(-1).to_numpy(writable=True)
        given = pl.Series("id", ids, strict=False)
        if given.dtype.is_float():  # 1.5 is not user 1
            cast = cast.set(given != given.floor(), None)
        return self._codes_of_numbers(cast.fill_null(-(2**62)).to_numpy())

    def _position(self, text: str | None) -> int:
        """Code of an id that is text, or -1."""
        if text is None:
            return -1
        place = bisect_left(self.values, text)
        return place if place < len(self) and self.values[place] == text else -1

    def _codes_of_numbers(self, numbers: I64) -> I32:
        if len(self) == 0:
            return np.full(len(numbers), -1, np.int32)
        if self._table is not None:
            inside = (numbers >= 0) & (numbers < len(self._table))
            return np.where(inside, self._table[np.where(inside, numbers, 0)], np.int32(-1))
        positions = np.minimum(np.searchsorted(self._numbers, numbers), len(self) - 1)
        return np.where(self._numbers[positions] == numbers, positions, -1).astype(np.int32)

    def code(self, wanted: Any, noun: str = "user") -> int:
        """Code of one id, also as text (``"42"``); else UnknownIdError, naming similar ones."""
        value = _text(wanted) if self.are_text else wanted
        if not self.are_text and isinstance(wanted, str):
            text = wanted.strip().removeprefix("-")
            value = int(wanted) if text.isdecimal() and len(text) < 19 else None
        if type(value) is int and -(2**63) <= value < 2**63:
            position = int(np.searchsorted(self._numbers, value))
            if position < len(self) and self._numbers[position] == value:
                return position
        elif value is not None and not isinstance(value, bool):
            code = int(self.codes([value])[0])
            if code >= 0:
                return code
        raise UnknownIdError(
            f"No {noun} {shortened(wanted)} in the training set.{self._suggestion(wanted)}"
        )

    def _suggestion(self, wanted: Any) -> str:
        if len(self) == 0:
            return ""
        if not self.are_text:
            return f" Ids run from {self.values[0]} to {self.values[-1]}."
        close = difflib.get_close_matches(_text(wanted)[:200], self.values.to_list(), n=3)
        if close:
            return f" Did you mean {' or '.join(map(cut, close))}?"
        return f" Ids look like {cut(self.values[0])}."


def _text(wanted: Any) -> str:
    """An id as text; Python refuses to write numbers of thousands of digits."""
    long = isinstance(wanted, int) and wanted.bit_length() > 1000
    return shortened(wanted) if long else str(wanted)


def encode(column: pl.Series, extra: pl.Series | None = None) -> tuple[IdMap, I32]:
    """The distinct ids of a column (Int64 or String) and of `extra`, and the code of each row."""
    columns = [column] if extra is None else [column, extra.cast(column.dtype)]
    if column.dtype == pl.Int64:
        arrays = [ids.to_numpy() for ids in columns if len(ids)]
        low = min((int(ids.min()) for ids in arrays), default=0)
        span = max((int(ids.max()) for ids in arrays), default=0) - low + 1
        if span < min(16 * len(column) + 1_000_000, MAX_SPAN):
            seen = np.zeros(span, np.bool_)
            for ids in arrays:
                mark_seen(ids, low, seen)
            codes = np.empty(len(column), np.int32)
            dense_rank(column.to_numpy(), low, seen, codes)
            return id_map_of(seen, low), codes
    id_map = IdMap(pl.concat(columns).unique().sort())
    return id_map, id_map.codes(column)


def id_map_of(seen: Bools, low: int = 0) -> IdMap:
    """The ids marked in `seen`, whose first entry stands for the id `low`."""
    return IdMap(pl.Series(np.flatnonzero(seen) + low))


def is_scalar(value: Any) -> bool:
    """Whether a person passed one id or title rather than several."""
    return isinstance(value, str) or not hasattr(value, "__iter__")


def as_sequence(values: Any) -> Any:
    """One or several ids as a list, an array or a polars series."""
    if is_scalar(values):
        return [values]
    if isinstance(values, pl.Series):
        return values
    if isinstance(values, np.ndarray):
        return np.atleast_1d(values)
    if hasattr(values, "to_numpy"):  # a column of a pandas frame
        return values.to_numpy()
    return list(values)

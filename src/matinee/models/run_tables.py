"""Tables of users and items as the arrays of a run's files, and back. Nothing in them is compressed
or nested, so a reader only counts and compares; docs/run-format.md has the form of each type.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from matinee._types import Array
from matinee.errors import RunError, shortened

LINE, PART = "\n", "\x1f"
"""What ends the text of a row, and stands between the texts of a list."""
NO_YEAR = int(np.iinfo(np.int32).min)
MAX_TEXT = 2**31  # bytes of a column
DTYPES: dict[str, Any] = {
    "integers": np.int64,
    "years": np.int32,
    "numbers": np.float64,
    "texts": np.uint8,
    "text_lists": np.uint8,
}
UNPRINTABLE = r"[\p{Cc}\p{Cf}\u2028\u2029--[\n\x1f]]"


def to_arrays(table: pl.DataFrame) -> tuple[dict[str, str], dict[str, Array]]:
    """The type of each column by its name, and their arrays by their positions."""
    types, arrays = {}, {}
    for position, column in enumerate(table):
        types[column.name], arrays[str(position)] = _to_array(column)
    return types, arrays


def _to_array(column: pl.Series) -> tuple[str, Array]:
    if column.dtype == pl.Int64:
        return "integers", column.to_numpy()
    if column.dtype == pl.Int32:
        return "years", column.fill_null(NO_YEAR).to_numpy()
    if column.dtype == pl.Float64:
        return "numbers", column.fill_null(float("nan")).to_numpy()
    if column.dtype == pl.String:
        return "texts", _to_bytes(column, column.fill_null(""), 0)
    lists = column.cast(pl.List(pl.String))
    parts = int((lists.list.len().fill_null(2).cast(pl.Int64) - 1).clip(0).sum())
    return "text_lists", _to_bytes(column, lists.list.join(PART).fill_null(PART), parts)


def _to_bytes(column: pl.Series, lines: pl.Series, parts: int) -> Array:
    """Lines as UTF-8, each with its end; RunError if texts hold what stands between them."""
    text = "".join(f"{line}{LINE}" for line in lines.to_list())
    if text.count(LINE) != len(column) or text.count(PART) != parts:
        raise RunError(f"{shortened(column.name)}: texts with control characters cannot be saved.")
    return np.frombuffer(text.encode(), np.uint8)


def height(types: Mapping[str, str], arrays: Mapping[str, Array]) -> int:
    """How many rows the first column has, those of the ids."""
    kinds, first = list(types.values()), arrays["0"]
    return bytes(first).count(LINE.encode()) if DTYPES[kinds[0]] == np.uint8 else len(first)


def to_table(types: Mapping[str, str], arrays: Mapping[str, Array], rows: int) -> pl.DataFrame:
    """The table of `rows` rows that arrays hold; ValueError if they hold none, or another."""
    if arrays.keys() != {str(position) for position in range(len(types))}:
        raise ValueError("a column is missing or unknown")
    return pl.DataFrame(
        [
            _to_column(name, kind, arrays[str(position)], rows)
            for position, (name, kind) in enumerate(types.items())
        ]
    )


def _to_column(name: str, kind: str, array: Array, rows: int) -> pl.Series:
    if array.dtype != DTYPES[kind] or array.ndim != 1:
        raise ValueError(f"column {shortened(name)} has the wrong type")
    if array.dtype == np.uint8:
        return _to_texts(array, rows, kind == "text_lists").alias(name)
    if len(array) != rows:
        raise ValueError(f"column {shortened(name)} has the wrong length")
    column = pl.Series(name, array)
    if kind == "years":
        return column.set(column == NO_YEAR, None)
    return column.fill_nan(None) if kind == "numbers" else column


def _to_texts(array: Array, rows: int, are_lists: bool) -> pl.Series:
    """Texts or lists of texts, from one that has them all: much quicker than one by one."""
    if len(array) > MAX_TEXT:
        raise ValueError("a column of text is too large")
    text = bytes(array).decode()
    whole = pl.Series([text[:-1]])
    if text.count(LINE) != rows or text[-1:] not in ("", LINE):
        raise ValueError("a column of text has another number of lines")
    if whole.str.contains(UNPRINTABLE)[0] or (PART in text and not are_lists):
        raise ValueError("a column of text has control characters")
    lines = whole.str.split(LINE)[0] if rows else whole.clear()
    if are_lists:
        lines = lines.set(lines == PART, None) if _has_line(text, PART) else lines
        lists = lines.str.split(PART)
        if _has_line(text, ""):
            lists = lists.list.eval(pl.element().filter(pl.element() != ""))
        return lists
    return lines.set(lines == "", None) if _has_line(text, "") else lines


def _has_line(text: str, line: str) -> bool:
    return text.startswith(f"{line}{LINE}") or f"{LINE}{line}{LINE}" in text

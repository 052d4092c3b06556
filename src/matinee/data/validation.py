"""Every rating is checked here, once, before it becomes a code; the first bad cell is named. Row 1
is the first line of a file, header or not, as an editor shows it, and the first row of a frame.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import polars as pl

from matinee.data.ratings import RatingScale
from matinee.errors import DataError

EXTREME_ID = 2**62
LAST_SECOND = 253_402_300_799  # of the year 9999


@dataclass(frozen=True)
class Origin:
    """Where a table came from, for messages: its file, first row and column names."""

    file: str
    first_row: int = 1
    names: dict[str, str] = field(default_factory=dict)

    def error(self, row: int, column: str, problem: str, advice: str = "") -> DataError:
        """The error to raise for a cell; `row` counts from 0 in the table."""
        cell = f"{self.file}, row {row + self.first_row}, column {self.names.get(column, column)}"
        return DataError(f"{cell}: {problem}{'. ' + advice if advice else ''}.")

    def type_error(self, column: pl.Series, expected: str) -> DataError:
        """The error to raise for a column of a type that cannot be read."""
        name = self.names.get(column.name, column.name)
        return DataError(f"{self.file}, column {name}: must be {expected}, got {column.dtype}.")


def first_true(mask: pl.Series) -> int | None:
    """Position of the first true value of a boolean column, or None."""
    row = mask.arg_max()
    return row if row is not None and mask[row] else None


def check_ratings(
    table: pl.DataFrame, origin: Origin, scale: RatingScale | None, positive_ids: bool
) -> tuple[pl.DataFrame, RatingScale]:
    """The table in its final types, and its scale (None: inferred); a bad cell is refused."""
    if table.height == 0:
        raise DataError(f"{origin.file}: there are no ratings in it.")
    # first of all: what is too large for a float32 is infinite from here on
    table = table.with_columns(pl.col("rating").cast(pl.Float32))
    for column, invalid, problem in _cell_problems(table, positive_ids):
        if (row := first_true(invalid)) is not None:
            raise origin.error(row, column, problem.format(table[column][row]))
    values = table["rating"].to_numpy()
    scale = scale or RatingScale.infer(values)
    if (row := scale.first_outside(values)) is not None:
        advice = "If that is right, give the scale: scale=(low, high) (--scale LOW:HIGH)"
        raise origin.error(row, "rating", f"{values[row]:g} is not on the scale {scale}", advice)
    return table, scale


def _cell_problems(table: pl.DataFrame, positive_ids: bool) -> Iterator[tuple[str, pl.Series, str]]:
    """(column, mask of invalid rows, what is wrong with the value), in the order of checking."""
    for column in table.columns:
        yield column, table[column].is_null(), "the cell is empty"
    yield "rating", ~table["rating"].is_finite(), "{} is not a finite number"
    if "timestamp" in table.columns:
        too_late = table["timestamp"].abs() > LAST_SECOND
        yield "timestamp", too_late, "{} is not in Unix seconds"
    for column in ("user_id", "item_id"):
        if table[column].dtype == pl.String:
            yield column, table[column].str.strip_chars() == "", "the id is empty"
            unprintable = table[column].str.contains(r"[\p{Cc}\p{Cf}\u2028\u2029]")
            yield column, unprintable, "the id {!r} has control characters in it"
        else:
            extreme = ~table[column].is_between(-EXTREME_ID, EXTREME_ID, closed="none")
            yield column, extreme, "{} is too large for an id"
            if positive_ids:
                yield column, table[column] < 1, "ids must be ≥ 1, got {}"


def id_column(column: pl.Series, origin: Origin) -> pl.Series:
    """A column of ids as Int64 or String; fractions are refused."""
    if column.dtype == pl.String:
        return column
    if column.dtype == pl.Null:
        return column.cast(pl.Int64)
    if column.dtype.is_integer():
        ids = column.cast(pl.Int64, strict=False)
        if (row := first_true(ids.is_null() & column.is_not_null())) is not None:
            raise origin.error(row, column.name, f"{column[row]} is too large for an id")
        return ids
    if column.dtype.is_float():
        invalid = column.is_not_null() & ~(column == column.round()).fill_null(True)
        invalid |= column.is_nan() | column.is_infinite() | (column.abs() >= EXTREME_ID)
        if (row := first_true(invalid.fill_null(False))) is not None:
            problem = f"ids must be whole numbers or text, got {column[row]}"
            raise origin.error(row, column.name, problem)
        return column.cast(pl.Int64)
    if isinstance(column.dtype, pl.Categorical | pl.Enum):
        return column.cast(pl.String)
    raise origin.type_error(column, "whole numbers or text")


def unix_seconds(column: pl.Series, origin: Origin) -> pl.Series:
    """A column of times (Unix seconds, dates, or text that reads as a date) as Int64."""
    seconds = column
    if column.dtype == pl.String:
        seconds = column.cast(pl.Int64, strict=False).fill_null(_parse_dates(column))
    elif isinstance(column.dtype, pl.Date | pl.Datetime):
        seconds = column.cast(pl.Datetime("us")).dt.epoch("s")
    elif column.dtype.is_float():
        seconds = column.cast(pl.Int64, strict=False)
    elif not column.dtype.is_integer() and column.dtype != pl.Null:
        raise origin.type_error(column, "Unix seconds or dates")
    if (row := first_true(seconds.is_null() & column.is_not_null())) is not None:
        raise origin.error(row, column.name, f"{column[row]!r} is not a time")
    return seconds.cast(pl.Int64)


def _parse_dates(text: pl.Series) -> pl.Series:
    """Unix seconds of dates as text; null where a text is not a date."""
    try:
        return text.str.to_datetime(strict=False).dt.epoch("s")
    except pl.exceptions.PolarsError:  # the first text is not a date in any known format
        return pl.Series(text.name, [None] * len(text), pl.Int64)

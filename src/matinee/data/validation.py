"""Where bad rows stop: every rating is checked here, once, before it becomes a code.

Rows are counted as an editor or a spreadsheet shows them: the first line of a
file is row 1, header or not. Of a frame, the first row is row 1.
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

    def error(self, row: int, column: str, what: str, advice: str = "") -> DataError:
        """The error to raise for a cell; `row` counts from 0 in the table."""
        name = self.names.get(column, column)
        place = f"{self.file}, row {row + self.first_row}, column {name}"
        return DataError(f"{place}: {what}{'. ' + advice if advice else ''}.")


def check_ratings(
    table: pl.DataFrame, origin: Origin, scale: RatingScale | None, positive_ids: bool
) -> tuple[pl.DataFrame, RatingScale]:
    """Refuse the first bad cell; give back the table in its final types and its scale.

    Parameters
    ----------
    table : polars.DataFrame
        Columns `user_id`, `item_id`, `values` and perhaps `timestamp`.
    origin : Origin
    scale : RatingScale or None
        None: take it from the stars themselves.
    positive_ids : bool
        Whether ids below 1 are refused, as in all MovieLens editions.
    """
    if table.height == 0:
        raise DataError(f"{origin.file}: there are no ratings in it.")
    # first of all: what is too large for a float32 is infinite from here on
    table = table.with_columns(pl.col("rating").cast(pl.Float32))
    for problem in _cell_problems(table, positive_ids):
        column, bad, what = problem
        row = bad.arg_max()
        if row is not None and bad[row]:
            raise origin.error(row, column, what.format(table[column][row]))
    values = table["rating"].to_numpy()
    scale = scale or RatingScale.of(values)
    first = scale.first_off(values)
    if first is not None:
        value = table["rating"][first]
        advice = "If that is right, say so with scale=(low, high) (--scale LOW:HIGH)"
        raise origin.error(first, "rating", f"{value:g} is not on the scale {scale}", advice)
    return table, scale


def _cell_problems(table: pl.DataFrame, positive_ids: bool) -> Iterator[tuple[str, pl.Series, str]]:
    """(column, which rows are bad, what is wrong with the value), in the order of checking."""
    for column in table.columns:
        yield column, table[column].is_null(), "the cell is empty"
    yield "rating", ~table["rating"].is_finite(), "{} is not a number of stars"
    if "timestamp" in table.columns:
        far = table["timestamp"].abs() > LAST_SECOND
        yield "timestamp", far, "{} is not in Unix seconds"
    for column in ("user_id", "item_id"):
        if table[column].dtype == pl.String:
            yield column, table[column].str.strip_chars() == "", "the id is empty"
            unprintable = table[column].str.contains(r"[\p{Cc}\p{Cf}\u2028\u2029]")
            yield column, unprintable, "the id {!r} has control characters in it"
        else:
            extreme = ~table[column].is_between(-EXTREME_ID, EXTREME_ID, closed="none")
            yield column, extreme, "{} is too large for an id"
            if positive_ids:
                yield column, table[column] < 1, "{} is no id: ids here start at 1"


def id_column(column: pl.Series, origin: Origin) -> pl.Series:
    """A column of ids as Int64 or String; fractions are refused."""
    if column.dtype == pl.String:
        return column
    if column.dtype == pl.Null:
        return column.cast(pl.Int64)
    if column.dtype.is_integer():
        whole = column.cast(pl.Int64, strict=False)
        too_large = whole.is_null() & column.is_not_null()
        if too_large.any():
            at = too_large.arg_max() or 0
            raise origin.error(at, column.name, f"{column[at]} is too large for an id")
        return whole
    if column.dtype.is_float():
        fraction = (column.is_not_null()) & ~(column == column.round()).fill_null(True)
        fraction |= column.is_nan() | column.is_infinite() | (column.abs() >= EXTREME_ID)
        row = fraction.fill_null(False).arg_max()
        if row is not None and fraction[row]:
            raise origin.error(row, column.name, f"{column[row]} is no id: ids are whole or text")
        return column.cast(pl.Int64)
    if isinstance(column.dtype, pl.Categorical | pl.Enum):
        return column.cast(pl.String)
    raise DataError(
        f"{origin.file}, column {origin.names.get(column.name, column.name)}: "
        f"ids are whole numbers or text, not {column.dtype}."
    )


def unix_seconds(column: pl.Series, origin: Origin) -> pl.Series:
    """A column of times (Unix seconds, dates, or text that reads as a date) as Int64."""
    seconds = column
    if column.dtype == pl.String:
        seconds = column.cast(pl.Int64, strict=False).fill_null(_epoch(column))
    elif isinstance(column.dtype, pl.Date | pl.Datetime):
        seconds = column.cast(pl.Datetime("us")).dt.epoch("s")
    elif column.dtype.is_float():
        seconds = column.cast(pl.Int64, strict=False)
    elif not column.dtype.is_integer() and column.dtype != pl.Null:
        raise DataError(
            f"{origin.file}, column {origin.names.get(column.name, column.name)}: "
            f"times are Unix seconds or dates, not {column.dtype}."
        )
    lost = seconds.is_null() & column.is_not_null()
    row = lost.arg_max()
    if row is not None and lost[row]:
        raise origin.error(row, column.name, f"{column[row]!r} is not a time")
    return seconds.cast(pl.Int64)


def _epoch(text: pl.Series) -> pl.Series:
    """Unix seconds of dates written out; null where a text is none."""
    try:
        return text.str.to_datetime(strict=False).dt.epoch("s")
    except pl.exceptions.PolarsError:  # the first text looks like no date at all
        return pl.Series(text.name, [None] * len(text), pl.Int64)

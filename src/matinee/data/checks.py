"""Where bad rows stop: every rating is checked here, once, before it becomes a code.

Rows are counted as an editor or a spreadsheet shows them: the first line of a
file is row 1, header or not. Of a frame, the first row is row 1.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import polars as pl

from matinee.data.ratings import Scale
from matinee.errors import DataError

EXTREME_ID = 2**62


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
    table: pl.DataFrame, origin: Origin, scale: Scale | None, positive_ids: bool
) -> tuple[pl.DataFrame, Scale]:
    """Refuse the first bad cell; give back the table in its final types and its scale.

    Parameters
    ----------
    table : polars.DataFrame
        Columns `user`, `item`, `stars` and perhaps `timestamp`.
    origin : Origin
    scale : Scale or None
        None: take it from the stars themselves.
    positive_ids : bool
        Whether ids below 1 are refused, as in all MovieLens editions.
    """
    if table.height == 0:
        raise DataError(f"{origin.file}: there are no ratings in it.")
    for problem in _cell_problems(table, positive_ids):
        column, bad, what = problem
        row = bad.arg_max()
        if row is not None and bad[row]:
            raise origin.error(row, column, what.format(table[column][row]))
    table = table.with_columns(pl.col("stars").cast(pl.Float32))
    scale = scale or Scale.of(table["stars"])
    off = ~scale.holds(table["stars"].to_numpy())
    if off.any():
        first = int(off.argmax())
        value = table["stars"][first]
        advice = "If that is right, say so with scale=(low, high)"
        raise origin.error(first, "stars", f"{value:g} is not on the scale {scale}", advice)
    return table, scale


def _cell_problems(table: pl.DataFrame, positive_ids: bool) -> Iterator[tuple[str, pl.Series, str]]:
    """(column, which rows are bad, what is wrong with the value), in the order of checking."""
    for column in table.columns:
        yield column, table[column].is_null(), "the cell is empty"
    yield "stars", ~table["stars"].is_finite(), "{} is not a number of stars"
    for column in ("user", "item"):
        if table[column].dtype == pl.String:
            yield column, table[column].str.strip_chars() == "", "the id is empty"
            unprintable = table[column].str.contains(r"[\p{Cc}\p{Cf}\u2028\u2029]")
            yield column, unprintable, "the id {!r} has control characters in it"
        else:
            yield column, table[column].abs() >= EXTREME_ID, "{} is too large for an id"
            if positive_ids:
                yield column, table[column] < 1, "{} is no id: ids here are 1, 2, 3 ..."


def whole_numbers(column: pl.Series, origin: Origin) -> pl.Series:
    """A column of ids as Int64 or String; fractions are refused."""
    if column.dtype == pl.String:
        return column
    if column.dtype.is_integer():
        too_large = (column > EXTREME_ID).fill_null(False)
        if too_large.any():
            at = too_large.arg_max() or 0
            raise origin.error(at, column.name, f"{column[at]} is too large for an id")
        return column.cast(pl.Int64)
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
        moments = column.str.to_datetime(strict=False)
        seconds = column.cast(pl.Int64, strict=False).fill_null(moments.dt.epoch("s"))
    elif column.dtype.is_temporal():
        seconds = column.cast(pl.Datetime("us")).dt.epoch("s")
    elif column.dtype.is_float():
        seconds = column.cast(pl.Int64, strict=False)
    lost = seconds.is_null() & column.is_not_null()
    row = lost.arg_max()
    if row is not None and lost[row]:
        raise origin.error(row, column.name, f"{column[row]!r} is not a time")
    return seconds.cast(pl.Int64)

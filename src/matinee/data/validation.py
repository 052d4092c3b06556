"""Every rating is checked here, once, before it becomes a code; the first bad cell is named. Row 1
is the first line of a file, header or not, as an editor shows it, and the first row of a frame.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import polars as pl

from matinee.data.ratings import RatingScale
from matinee.errors import DataError, cut, shortened

EXTREME_ID = 2**62
WHOLE_ID = r"^(0|-?[1-9][0-9]{0,18})$"
FRACTION = r"^-?(0|[1-9][0-9]*)\.[0-9]*$"
UNPRINTABLE = r"[\p{Cc}\p{Cf}\u2028\u2029]"
DECIMAL_COMMA = r"^[-+]?[0-9]+,[0-9]+$"
THOUSANDS = r"^[-+]?[1-9][0-9]*,[0-9]{3}$"
MAX_ID_BYTES = 4096
LAST_SECOND = 253_402_300_799  # of the year 9999


@dataclass(frozen=True)
class Origin:
    """Where a table came from, for messages: its file, first row and column names."""

    file: str
    first_row: int = 1
    names: Mapping[str, str] = field(default_factory=dict)
    line_of: Callable[[int], int] | None = None  # where rows are not lines, the line of a row
    parts: tuple[tuple[int, "Origin"], ...] = ()  # of several files, the number of rows of each

    def place(self, row: int) -> tuple[str, int]:
        """The file of a row, which counts from 0 in the table, and the line where it begins."""
        for height, part in self.parts:
            if row < height:
                return part.place(row)
            row -= height
        return self.file, self.line_of(row) if self.line_of else row + self.first_row

    def only(self, rows: pl.Series) -> "Origin":
        """The origin of a table that has only some rows of this one."""
        kept = rows.to_list() if len(rows) < 1000 else rows
        moved = self

        def line_of(row: int) -> int:
            return moved.place(int(kept[row]))[1]

        return Origin(self.file, self.first_row, self.names, line_of)

    def error(self, row: int, column: str, problem: str, advice: str = "") -> DataError:
        """The error to raise for a cell; `row` counts from 0 in the table."""
        file, line = self.place(row)
        name = cut(self.names.get(column, column))
        cell = f"{cut(file)}, row {line}, column {name}"
        return DataError(f"{cell}: {problem}{'. ' + advice if advice else ''}.")

    def type_error(self, column: pl.Series, expected: str) -> DataError:
        """The error to raise for a column of a type that cannot be read."""
        name = cut(self.names.get(column.name, column.name))
        kind = cut(str(column.dtype))
        return DataError(f"{cut(self.file)}, column {name}: must be {expected}, got {kind}.")


def first_true(mask: pl.Series) -> int | None:
    """Position of the first true value of a boolean column, or None."""
    row = mask.arg_max()
    return row if row is not None and mask[row] else None


def check_ratings(
    table: pl.DataFrame, origin: Origin, scale: RatingScale | None, positive_ids: bool
) -> tuple[pl.DataFrame, RatingScale | None]:
    """The table in its final types, and its scale (None: inferred); a bad cell is refused.

    Without a column of ratings, `weight` is how much each interaction counts, and there is no
    scale.
    """
    value = "rating" if "rating" in table.columns else "weight"
    if table.height == 0:
        unit = "ratings" if value == "rating" else "interactions"
        raise DataError(f"{cut(origin.file)}: there are no {unit} in it.")
    # first of all: what is too large for a float32 is infinite from here on
    table = table.with_columns(pl.col(value).cast(pl.Float32))
    for column, invalid, problem in _cell_problems(table, value, positive_ids):
        if (row := first_true(invalid)) is not None:
            advice = ADVICE.get(column, "") if table[column][row] is None else ""
            raise origin.error(row, column, problem.format(_shown(table[column][row])), advice)
    if value == "weight":
        return table, None
    values = table["rating"].to_numpy()
    scale = scale or RatingScale.infer(values)
    if (row := scale.first_outside(values)) is not None:
        advice = "If that is right, give the scale: scale=(low, high) (--scale LOW:HIGH)"
        raise origin.error(row, "rating", f"{values[row]:g} is not on the scale {scale}", advice)
    return table, scale


ADVICE = {
    "rating": 'Where that means "not rated", say so: --missing "", or missing=""',
    "timestamp": "Leave the column out: --columns timestamp=none",
}
"""What to do about an empty cell."""


def _shown(value: object) -> str:
    return shortened(value) if isinstance(value, str) else str(value)


def _cell_problems(
    table: pl.DataFrame, value: str, positive_ids: bool
) -> Iterator[tuple[str, pl.Series, str]]:
    """(column, mask of invalid rows, what is wrong with the value), in the order of checking."""
    for column in table.columns:
        yield column, table[column].is_null(), "the cell is empty"
    yield value, ~table[value].is_finite(), "{} is not a finite number"
    if value == "weight":
        yield value, table[value] < 0, "a weight must be > 0, got {}"
    if "timestamp" in table.columns:
        stamps = table["timestamp"]
        too_late = ~stamps.is_between(-LAST_SECOND, LAST_SECOND)
        yield "timestamp", too_late, "{} is not in Unix seconds"
    for column in ("user_id", "item_id"):
        for invalid, problem in id_problems(table[column]):
            yield column, invalid, problem
        if positive_ids and table[column].dtype != pl.String:
            yield column, table[column] < 1, "ids must be ≥ 1, got {}"


def id_problems(ids: pl.Series) -> Iterator[tuple[pl.Series, str]]:
    """(mask of invalid rows, what is wrong with the id) of a column without empty cells."""
    if ids.dtype == pl.String:
        yield ids.str.strip_chars() == "", "the id is empty"
        unprintable = ids.str.contains(UNPRINTABLE)
        yield unprintable, "the id {} has control characters in it"
        yield ids.str.len_bytes() > MAX_ID_BYTES, "the id {} is too long"
    else:
        extreme = ~ids.is_between(-EXTREME_ID, EXTREME_ID, closed="none")
        yield extreme, "{} is too large for an id"


def id_column(column: pl.Series, origin: Origin) -> pl.Series:
    """A column of ids as Int64 or String (whole numbers that are too large, too), no fractions."""
    kind = column.dtype
    if kind == pl.String:
        return column.str.strip_chars(" ")
    if kind == pl.Null:
        return column.cast(pl.Int64)
    if kind.is_integer():
        ids = column.cast(pl.Int64, strict=False)
        small = ids.is_between(-EXTREME_ID, EXTREME_ID, closed="none").fill_null(False)
        return ids if (small | column.is_null()).all() else column.cast(pl.String)
    if kind.is_float() or kind.is_decimal():
        invalid = column.is_not_null() & ~(column == column.round()).fill_null(True)
        if kind.is_float():
            invalid |= column.is_nan() | column.is_infinite() | (column.abs() >= EXTREME_ID)
        if (row := first_true(invalid.fill_null(False))) is not None:
            problem = f"ids must be whole numbers or text, got {column[row]}"
            raise origin.error(row, column.name, problem)
        whole = column.cast(pl.Int64 if kind.is_float() else pl.Int128)
        return whole if kind.is_float() else id_column(whole, origin)
    if isinstance(kind, pl.Categorical | pl.Enum):
        return column.cast(pl.String).str.strip_chars(" ")
    raise origin.type_error(column, "whole numbers or text")


def numbers_in(text: pl.Series) -> pl.Series:
    """A column of text as numbers if all its cells are such; "007" would lose its zeros."""
    given = text.is_not_null() & (text != "")
    whole = text.str.contains(WHOLE_ID)
    if (whole | ~given).all():
        numbers = text.cast(pl.Int64, strict=False)
        fits = numbers.is_between(-EXTREME_ID, EXTREME_ID, closed="none").fill_null(False)
        return numbers if (fits | ~given).all() else text
    fraction = text.str.contains(FRACTION)
    return text.cast(pl.Float64, strict=False) if (whole | fraction | ~given).all() else text


def value_column(column: pl.Series, origin: Origin) -> pl.Series:
    """A column of ratings or weights as numbers; text is read, with decimal commas, too."""
    if column.dtype.is_numeric() or column.dtype == pl.Null:
        return column
    if isinstance(column.dtype, pl.Categorical | pl.Enum):
        column = column.cast(pl.String)
    if column.dtype != pl.String:
        first = first_true(column.is_not_null()) or 0
        problem = f"{shortened(column[first])} is not a number"
        raise origin.error(first, column.name, problem)
    text = column.str.strip_chars(" ").replace("", None)
    values = text.cast(pl.Float32, strict=False)
    invalid = values.is_null() & text.is_not_null()
    if invalid.any():
        with_comma = text.str.contains(DECIMAL_COMMA).fill_null(False)
        thousands = text.filter(with_comma).str.contains(THOUSANDS)
        if not thousands.all():  # then commas are those of decimals
            if not (invalid & ~with_comma).any():
                return text.str.replace(",", ".", literal=True).cast(pl.Float32)
            invalid &= ~with_comma
    if (row := first_true(invalid)) is not None:
        raise origin.error(row, column.name, f"{shortened(text[row])} is not a number")
    return values

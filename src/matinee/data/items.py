"""What a table says of its items: titles, genres in whatever form, years, and attributes."""

import polars as pl

from matinee.data.validation import Origin, first_true, id_column
from matinee.errors import shortened

QUOTED = r"""'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)\""""
"""A text in quotes, as Python and JSON write it."""
NAMED = r"""['"]name['"]\s*:\s*(?:'([^']*)'|"([^"]*)")"""
"""The name in an object, as in ``[{'id': 18, 'name': 'Drama'}]``."""


def items_table(table: pl.DataFrame, origin: Origin) -> pl.DataFrame:
    """Columns `item_id`, those of `title`, `genres` and `year` that there are, and attributes."""
    columns = [id_column(table["item_id"], origin)]
    if "title" in table.columns:
        title = table["title"]
        if title.dtype.is_nested() or title.dtype == pl.Binary:
            raise origin.type_error(title, "text")
        columns.append(title.cast(pl.String))
    if "genres" in table.columns:
        columns.append(_genres(table["genres"], origin))
    if "year" in table.columns:
        columns.append(_years(table["year"], origin))
    known = ("item_id", "title", "genres", "year")
    return pl.DataFrame(columns).hstack(table.drop(known, strict=False))


def check_genres(column: pl.Series, origin: Origin) -> None:
    """DataError for a column of a type that cannot be genres; its cells are not looked at."""
    kind = column.dtype
    inner = kind.inner if isinstance(kind, pl.List | pl.Array) else kind
    if inner.is_nested() or inner in (pl.Binary, pl.Object):
        raise origin.type_error(column, "text or lists of text (or --columns genres=none)")


def _genres(column: pl.Series, origin: Origin) -> pl.Series:
    """A column of genres as lists of text."""
    check_genres(column.clear(), origin)
    if isinstance(column.dtype, pl.List | pl.Array):
        return column.cast(pl.List(column.dtype.inner)).cast(pl.List(pl.String))
    text = column.cast(pl.String).str.strip_chars(" ")
    present = text.drop_nulls().replace("", None).drop_nulls()
    if len(present) and present.str.contains(r"^\[.*\]$").all():  # as Python or JSON writes lists
        pattern = NAMED if present.str.contains("{", literal=True).any() else QUOTED
        found = text.str.extract_all(pattern)
        inside = (pl.element().str.extract(pattern, group) for group in (1, 2))
        return found.list.eval(pl.coalesce(*inside)).alias(column.name)
    # "Drama|War", "Drama, War" and "Drama;War" are all common
    return text.str.replace_all(r"\s*[,;|]\s*", "|").str.split("|")


def _years(column: pl.Series, origin: Origin) -> pl.Series:
    """A column of years as Int32, NaN as missing; anything else is refused."""
    if isinstance(column.dtype, pl.Date | pl.Datetime):
        return column.dt.year()
    if column.dtype.is_nested() or column.dtype == pl.Binary:
        raise origin.type_error(column, "years (or --columns year=none)")
    given = column.is_not_null()
    if column.dtype == pl.String:
        column = column.str.strip_chars(" ")
        given &= column != ""
    years = column.cast(pl.Float64, strict=False).fill_nan(None).cast(pl.Int32, strict=False)
    invalid = years.is_null() & given
    if column.dtype.is_float():
        invalid &= column.is_not_nan()
    if (row := first_true(invalid)) is not None:
        advice = "Leave the column out: --columns year=none"
        raise origin.error(row, "year", f"{shortened(column[row])} is not a year", advice)
    return years

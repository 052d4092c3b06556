"""What is known of users or items beside interactions, and the features that models make of it.

Text and lists are categories, dates are years, numbers are cut at quantiles. Each becomes a group
of features, zeros and ones, on which the prior means of factors depend.
"""

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from numbers import Real
from typing import Any

import numpy as np
import polars as pl

from matinee._types import F32, F64, I64, Bools
from matinee.data.id_map import as_sequence, shortened
from matinee.errors import SettingError
from matinee.kernels.csr import Rows, compress, filter_entries, row_of_entries

MOST_VALUES = 1_000  # of an attribute that get a feature each: the most frequent
RARE = 3  # rows: values of fewer tell nothing of others
SPAN = 5  # years that count as the same time
MOST_BINS = 10  # of numbers, equally filled
YEARS = (1800, 2100)  # whole numbers that all lie between are years
LISTED, LENGTH = 12, 40  # names in a message, and characters of each


@dataclass(frozen=True)
class Categories:
    """An attribute of texts: a feature for each frequent value, and one for all others."""

    name: str
    values: tuple[str, ...]  # ascending
    others: bool

    @classmethod
    def of(cls, column: pl.Series) -> "Categories":
        """The values that enough rows have; all if none is rare."""
        values = column.alias("value")
        if isinstance(column.dtype, pl.List):
            values = values.list.unique().explode()
        counts = (
            values.drop_nulls()
            .value_counts(name="rows")
            .sort("rows", "value", descending=[True, False])
        )
        kept = counts.filter(pl.col("rows") >= RARE).head(MOST_VALUES)["value"]
        return cls(column.name, tuple(kept.sort()), 0 < len(kept) < counts.height)

    @property
    def columns(self) -> int:
        """How many features."""
        return len(self.values) + self.others

    def entries(self, column: pl.Series) -> tuple[I64, I64]:
        """Row and feature of each value, all of them 1."""
        table = pl.DataFrame({"value": column}).with_row_index("row")
        if isinstance(column.dtype, pl.List):
            table = table.explode("value", empty_as_null=True, keep_nulls=True)
        places = pl.DataFrame(
            {"value": self.values, "place": range(len(self.values))},
            schema={"value": pl.String, "place": pl.Int64},
        )
        table = table.drop_nulls().join(places, on="value", how="left", maintain_order="left")
        if self.others:
            table = table.with_columns(pl.col("place").fill_null(len(self.values)))
        table = table.drop_nulls().unique(["row", "place"], maintain_order=True)
        return table["row"].to_numpy().astype(np.int64), table["place"].to_numpy()


@dataclass(frozen=True)
class Bins:
    """An attribute of numbers or years: a feature for each range of values."""

    name: str
    edges: tuple[float, ...]  # ascending: a range begins at each, and one ends before the first

    @classmethod
    def of(cls, column: pl.Series) -> "Bins":
        """Spans of years; else each value if there are few, else quantiles."""
        values = column.alias("value").drop_nulls().to_numpy()
        if column.dtype == pl.Int32:
            starts = np.unique(values // SPAN) * SPAN
        else:
            starts = np.unique(values)
            if len(starts) > MOST_BINS:
                parts = np.linspace(0, 1, MOST_BINS + 1)[:-1]
                starts = np.unique(np.quantile(values, parts, method="lower"))
        return cls(column.name, tuple(map(float, starts[1:])))

    @property
    def columns(self) -> int:
        """How many features."""
        return len(self.edges) + 1

    def entries(self, column: pl.Series) -> tuple[I64, I64]:
        """Row and feature of each value, all of them 1."""
        column = column.alias("value")
        rows = column.is_not_null().arg_true().to_numpy().astype(np.int64)
        values = column.drop_nulls().to_numpy().astype(np.float64)
        return rows, np.searchsorted(self.edges, values, side="right").astype(np.int64)


Group = Categories | Bins


@dataclass(frozen=True, eq=False)
class Attributes:
    """Attributes of all users or all items, and how they become features.

    Parameters
    ----------
    frame : polars.DataFrame
        A column for each attribute, a row for each user or item in the order of their codes: text
        (String, or List of String), years (Int32) or numbers (Float64), null where unknown.
    rows : int
        Number of rows, also where there is no attribute.
    groups : tuple of Categories or Bins
        The features of each attribute that has any.

    Examples
    --------
    >>> frame = pl.DataFrame({"language": ["fr", "en"] * 3, "minutes": [90.0, 120.0, None] * 2})
    >>> attributes = Attributes.of(frame, 6)
    >>> attributes.names, attributes.n_features
    (('language', 'minutes'), 5)
    >>> attributes.matching("minutes", (100, 150)).nonzero()[0].tolist()
    [1, 4]
    """

    frame: pl.DataFrame
    rows: int
    groups: tuple[Group, ...]

    def __repr__(self) -> str:
        return f"Attributes({self.rows:,} rows, {', '.join(self.names) or 'none'})"

    @classmethod
    def of(cls, frame: pl.DataFrame, rows: int) -> "Attributes":
        """Features as the values of all rows suggest them."""
        frame = normalized(frame)
        groups = (
            (Categories if column.dtype in TEXTS else Bins).of(column)
            for column in frame
            if column.null_count() < rows
        )
        return cls(frame, rows, tuple(group for group in groups if group.columns))

    @property
    def names(self) -> tuple[str, ...]:
        """Those attributes that have features."""
        return tuple(group.name for group in self.groups)

    @cached_property
    def starts(self) -> I64:
        """Where each group's features begin, and the last one's end; feature 0 is the constant."""
        return np.cumsum([1, *(group.columns for group in self.groups)])

    @property
    def n_features(self) -> int:
        """How many there are, the constant included."""
        return int(self.starts[-1])

    @cached_property
    def features(self) -> Rows:
        """A row for each user or item, features ascending, the constant first."""
        return self._encode(self.frame, self.rows)

    def dense(self) -> F64:
        """The features as a full matrix, (rows, n_features)."""
        matrix = np.zeros((self.rows, self.n_features))
        matrix[row_of_entries(self.features), self.features.indices] = self.features.values
        return matrix

    @cached_property
    def known(self) -> Bools:
        """Which rows have any attribute, (rows,)."""
        return np.asarray(np.diff(self.features.indptr) > 1)

    def select(self, names: Iterable[str]) -> tuple[Rows, I64]:
        """The constant and the features of these attributes, numbered anew; which of all they are.

        Attributes that there are none of are passed over: users may have them, or items.
        """
        wanted = set(names)
        chosen = [
            np.arange(first, last)
            for group, first, last in zip(self.groups, self.starts, self.starts[1:], strict=False)
            if group.name in wanted
        ]
        columns = np.concatenate([np.zeros(1, np.int64), *chosen])
        kept = filter_entries(self.features, np.isin(self.features.indices, columns))
        return kept._replace(
            indices=np.searchsorted(columns, kept.indices).astype(np.int32)
        ), columns

    def means(self, counted: Bools) -> F32:
        """The mean of each feature over some of the rows, (n_features,)."""
        kept = filter_entries(self.features, np.repeat(counted, np.diff(self.features.indptr)))
        sums = np.bincount(kept.indices, kept.values, self.n_features)
        return np.asarray(sums / max(1, int(np.count_nonzero(counted))), np.float32)

    def of_new(self, given: Mapping[str, Any], means: F32) -> Rows:
        """The features of one who is new; where an attribute is not given, its mean.

        SettingError for an attribute that there is none of, or a value of another type. A value
        that is None, or that no row has, is no feature. `means` are float32 (n_features,).
        """
        columns = {}
        for name, value in given.items():
            self.check_name(name)
            columns[name] = _value_of_new(name, value, self.frame[name].dtype)
        encoded = self._encode(pl.DataFrame(columns), 1)
        dense = means.copy()
        for group, first, last in zip(self.groups, self.starts, self.starts[1:], strict=False):
            if group.name in given:
                dense[first:last] = 0.0
        dense[encoded.indices] = encoded.values
        indices = np.flatnonzero(dense).astype(np.int32)
        return Rows(np.array([0, len(indices)]), indices, dense[indices])

    def _encode(self, frame: pl.DataFrame, rows: int) -> Rows:
        row, column = [np.arange(rows)], [np.zeros(rows, np.int64)]
        for group, start in zip(self.groups, self.starts, strict=False):
            if group.name in frame.columns:
                places = group.entries(frame[group.name])
                row.append(places[0])
                column.append(places[1] + start)
        of_row, of_column = (np.concatenate(part).astype(np.int32) for part in (row, column))
        order = np.lexsort((of_column, of_row))
        ones = np.ones(len(order), np.float32)
        return compress(of_row[order], of_column[order], ones, rows)

    def check_name(self, name: str) -> None:
        """Refuse an attribute that there is none of."""
        if name not in self.frame.columns:
            named = listed(self.frame.columns) or "none"
            raise SettingError(f"No attribute {shortened(name)}; there are {named}.")

    def matching(self, name: str, wanted: Any) -> Bools:
        """Which rows have an attribute, bool (rows,): one of these texts, or in a range of numbers.

        A text or several for categories, in any case of letters; a number or ``(low, high)``, None
        for an open end, for numbers and years. SettingError for what cannot be.
        """
        self.check_name(name)
        column = self.frame[name]
        if column.dtype in TEXTS:
            return self._with_text(column, wanted)
        low, high = (
            wanted if isinstance(wanted, tuple | list) and len(wanted) == 2 else [wanted] * 2
        )
        limits = [limit for limit in (low, high) if limit is not None]
        if not limits or not all(_is_number(limit) for limit in limits):
            raise SettingError(
                f"{_cut(name)} must be a number or (low, high), got {shortened(wanted)}."
            )
        low, high = -np.inf if low is None else low, np.inf if high is None else high
        if low > high:
            raise SettingError(
                f"{_cut(name)}: the lower number comes first, got {shortened(wanted)}."
            )
        values = column.alias("value").cast(pl.Float64).fill_null(np.nan).to_numpy()
        return np.asarray((values >= low) & (values <= high))

    def _with_text(self, column: pl.Series, wanted: Any) -> Bools:
        texts = list(as_sequence(wanted))
        if not texts or not all(isinstance(text, str) for text in texts):
            raise SettingError(
                f"{_cut(column.name)} must be a text or several, got {shortened(wanted)}."
            )
        table = pl.DataFrame({"value": column}).with_row_index("row")
        if isinstance(column.dtype, pl.List):
            table = table.explode("value", empty_as_null=True, keep_nulls=True)
        folded = table.with_columns(folded=pl.col("value").str.to_lowercase())
        mask = np.zeros(len(column), bool)
        for text, lower in zip(texts, pl.Series(texts).str.to_lowercase(), strict=True):
            rows = folded.filter(pl.col("folded") == lower)["row"]
            if len(rows) == 0:
                raise SettingError(_no_value(column.name, text, folded["value"]))
            mask[rows.to_numpy()] = True
        return mask


TEXTS = (pl.String, pl.List(pl.String))
NUMBERS = (pl.Int32, pl.Float64)


def normalized(table: pl.DataFrame) -> pl.DataFrame:
    """Attributes in their final types; a column of a type that tells nothing is left out."""
    # polars reads a name such as ^.*$ as a pattern: columns are given another one meanwhile
    columns = {column.name: _normalized(column.alias("value")) for column in table}
    return pl.DataFrame({name: column for name, column in columns.items() if column is not None})


def _normalized(column: pl.Series) -> pl.Series | None:
    dtype = column.dtype
    if isinstance(dtype, pl.Date | pl.Datetime):
        return _numbers(column.dt.year())
    if dtype == pl.Boolean or _is_categorical(dtype):
        column = column.cast(pl.String)
    elif dtype.is_numeric():
        return _numbers(column)
    elif isinstance(dtype, pl.List | pl.Array):
        inner = dtype.inner
        if not (inner in (pl.String, pl.Null) or inner.is_numeric() or _is_categorical(inner)):
            return None
        return _texts(column.cast(pl.List(pl.String)))
    if column.dtype != pl.String:
        return None
    text = column.to_frame().select(printable_text(pl.col("value"))).to_series()
    if text.str.contains("|", literal=True).any():
        return _texts(text.str.split("|"))
    return text.set(text == "", None)


def _is_categorical(dtype: Any) -> bool:
    return isinstance(dtype, pl.Categorical | pl.Enum)


def _texts(lists: pl.Series) -> pl.Series:
    """Lists of printable texts, none of them empty."""
    printable = lists.list.eval(printable_text(pl.element()))
    return printable.list.eval(pl.element().filter(pl.element() != ""))


def _numbers(column: pl.Series) -> pl.Series:
    """Whole numbers that are years as such, all else as Float64 without infinities."""
    values = column.cast(pl.Float64, strict=False)
    values = values.set((values.is_nan() | values.is_infinite()).fill_null(False), None)
    known = values.drop_nulls()
    whole = bool((known == known.round()).all()) and bool(known.is_between(*YEARS).all())
    return values.cast(pl.Int32) if whole and len(known) else values


def _value_of_new(name: str, value: Any, dtype: pl.DataType) -> pl.Series:
    """The value of one who is new as a column, in the type that the attribute has."""
    if value is None:
        return pl.Series([None], dtype=dtype)
    try:
        column = normalized(pl.DataFrame({"value": pl.Series([value], strict=False)}))["value"]
        return _as_texts(column, dtype) if dtype in TEXTS else _as_number(column)
    except (pl.exceptions.PolarsError, TypeError, ValueError, OverflowError):
        kind = {pl.String: "a text", pl.List(pl.String): "a text or several"}
        raise SettingError(
            f"{_cut(name)} must be {kind.get(dtype, 'a number')}, got {shortened(value)}."
        ) from None


def _as_texts(column: pl.Series, dtype: pl.DataType) -> pl.Series:
    if column.dtype in NUMBERS and (column % 1 == 0).all():  # 7 and not 7.0
        column = column.cast(pl.Int64)
    if isinstance(dtype, pl.List) and not isinstance(column.dtype, pl.List):
        column = column.cast(pl.String).implode()
    return column.cast(dtype)


def _as_number(column: pl.Series) -> pl.Series:
    number = column.cast(pl.Float64)
    if not number.is_finite().all():
        raise ValueError("a text that names no finite number")
    return number


def _is_number(value: Any) -> bool:
    """Whether this is a number that others can be compared with."""
    try:
        return isinstance(value, Real) and not isinstance(value, bool) and not math.isnan(value)
    except OverflowError:
        return False


def listed(values: Sequence[str]) -> str:
    """The first of some values, for a message."""
    return ", ".join(_cut(value) for value in values[:LISTED])


def _cut(value: str) -> str:
    """The beginning of a name or a value, as it may be printed."""
    text = "".join(letter if letter.isprintable() else " " for letter in value[:LENGTH])
    return text if len(value) <= LENGTH else f"{text}..."


def _no_value(name: str, text: str, values: pl.Series) -> str:
    """What to say of a value that no row has: similar ones, or a few."""
    present = values.drop_nulls().unique().sort().to_list()
    close = difflib.get_close_matches(text[:LENGTH], present[: 10 * MOST_VALUES], n=3, cutoff=0.5)
    noun = _cut(name.removesuffix("s"))
    if close:
        return f"No {noun} {_cut(text)!r}. Did you mean {' or '.join(map(_cut, close))}?"
    more = f" and {len(present) - LISTED:,} more" if len(present) > LISTED else ""
    return f"No {noun} {_cut(text)!r}; there are {listed(present)}{more}."


def printable_text(text: pl.Expr) -> pl.Expr:
    """Text without control characters and surrounding spaces: it is printed on terminals."""
    return text.str.replace_all(r"[\p{Cc}\p{Cf}\u2028\u2029]", " ").str.strip_chars()

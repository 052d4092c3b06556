"""What is known of users or items beside interactions, and the features that models make of it.

Text and lists are categories, dates are years, numbers are cut at quantiles. Each becomes a group
of features, zeros and ones, on which the prior means of factors depend.
"""

import difflib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
import polars as pl

from matinee._types import F32, F64, I64, Bools
from matinee.errors import SettingError, cut, shortened
from matinee.kernels.csr import Rows, compress, filter_entries, row_of_entries

MOST_VALUES = 1_000  # of an attribute that get a feature each: the most frequent
RARE = 3  # rows: values of fewer tell nothing of others
SPAN = 5  # years that count as the same time
MOST_BINS = 10  # of numbers, equally filled
YEARS = (1800, 2100)  # whole numbers that all lie between are years
DATE = r"^\d{4}-\d{2}-\d{2}"  # texts that all begin so are dates
LISTED = 8  # names in a message


@dataclass(frozen=True)
class Categories:
    """An attribute of texts: a feature for each frequent value, and one for all others."""

    name: str
    values: tuple[str, ...]  # ascending
    others: bool

    @classmethod
    def of(cls, column: pl.Series) -> "Categories":
        """The values that enough rows have; all if none is rare."""
        counts = count_values(column)
        kept = [value for value, rows in counts[:MOST_VALUES] if rows >= RARE]
        return cls(column.name, tuple(sorted(kept)), 0 < len(kept) < len(counts))

    @property
    def columns(self) -> int:
        """How many features."""
        return len(self.values) + self.others

    def entries(self, column: pl.Series) -> tuple[I64, I64]:
        """Row and feature of each value, all of them 1."""
        rows, values = _spread(column)
        places = {value: place for place, value in enumerate(self.values)}
        other = len(self.values) if self.others else -1
        place = np.fromiter((places.get(value, other) for value in values), np.int64, len(rows))
        # a value that a list has twice counts once
        keys = np.unique((rows * self.columns + place)[place >= 0])
        return keys // max(1, self.columns), keys % max(1, self.columns)


@dataclass(frozen=True)
class Bins:
    """An attribute of numbers or years: a feature for each range of values."""

    name: str
    edges: tuple[float, ...]  # ascending: a range begins at each, and one ends before the first

    @classmethod
    def of(cls, column: pl.Series) -> "Bins":
        """Spans of years; else each value if there are few, else quantiles."""
        values = column.drop_nulls().to_numpy()
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

    def __repr__(self) -> str:
        return f"Attributes({self.rows:,} rows, {', '.join(self.frame.columns) or 'none'})"

    @classmethod
    def of(cls, frame: pl.DataFrame, rows: int) -> "Attributes":
        """The same from columns of any type."""
        return cls(normalized(frame), rows)

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """The features of each attribute that has any, as the values of all rows suggest them."""
        groups = (
            (Categories if column.dtype in TEXTS else Bins).of(column)
            for column in self.frame
            if column.null_count() < self.rows
        )
        return tuple(group for group in groups if group.columns)

    @property
    def names(self) -> tuple[str, ...]:
        """Those attributes that have features."""
        return tuple(group.name for group in self.groups)

    @cached_property
    def places(self) -> dict[str, slice]:
        """Where the features of each attribute stand; the first of all is the constant."""
        ends = np.cumsum([1, *(group.columns for group in self.groups)]).tolist()
        return {name: slice(*ends[k : k + 2]) for k, name in enumerate(self.names)}

    @property
    def n_features(self) -> int:
        """How many there are, the constant included."""
        return 1 + sum(group.columns for group in self.groups)

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
        chosen = np.zeros(self.n_features, bool)
        chosen[0] = True
        for name in set(names) & self.places.keys():
            chosen[self.places[name]] = True
        columns = np.flatnonzero(chosen)
        kept = filter_entries(self.features, chosen[self.features.indices])
        return kept._replace(
            indices=np.searchsorted(columns, kept.indices).astype(np.int32)
        ), columns

    def means(self, counted: Bools) -> F32:
        """The mean of each feature over some of the rows, (n_features,)."""
        return feature_means(self.features, counted, self.n_features).astype(np.float32)

    def of_new(self, given: Mapping[str, Any], means: F32) -> Rows:
        """The features of one who is new; where an attribute is not given, its mean.

        SettingError for an attribute that there is none of. `means` are float32 (n_features,).
        """
        frame = pl.DataFrame({name: [value] for name, value in given.items()}, strict=False)
        frame = normalized(frame)
        columns = []
        for name in frame.columns:
            self.check_name(name)
            if frame[name].null_count() == 0:
                columns.append(_as_type(frame[name], self.frame[name].dtype))
        encoded = self._encode(pl.DataFrame(columns), 1)
        dense = means.copy()
        for name in given.keys() & self.places.keys():
            dense[self.places[name]] = 0.0
        dense[encoded.indices] = encoded.values
        indices = np.flatnonzero(dense).astype(np.int32)
        return Rows(np.array([0, len(indices)]), indices, dense[indices])

    def _encode(self, frame: pl.DataFrame, rows: int) -> Rows:
        row, column = [np.arange(rows)], [np.zeros(rows, np.int64)]
        for group in self.groups:
            if group.name in frame.columns:
                rows_of_group, columns = group.entries(frame[group.name])
                row.append(rows_of_group)
                column.append(columns + self.places[group.name].start)
        of_row, of_column = (np.concatenate(part).astype(np.int32) for part in (row, column))
        order = np.lexsort((of_column, of_row))
        ones = np.ones(len(order), np.float32)
        return compress(of_row[order], of_column[order], ones, rows)

    def check_name(self, name: str) -> None:
        """Refuse an attribute that there is none of."""
        if name not in self.frame.columns:
            named = cut(", ".join(self.frame.columns[:LISTED]), 200) or "none"
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
        numbers = [limit for limit in (low, high) if limit is not None]
        if not numbers or not all(map(_is_limit, numbers)):
            raise SettingError(f"{name} must be a number or (low, high), got {shortened(wanted)}.")
        values = np.array(column.to_list(), np.float64)  # None becomes nan
        low, high = -np.inf if low is None else low, np.inf if high is None else high
        return np.asarray((values >= low) & (values <= high))

    def _with_text(self, column: pl.Series, wanted: Any) -> Bools:
        several = hasattr(wanted, "__iter__") and not isinstance(wanted, str)
        several = several and getattr(wanted, "ndim", 1) > 0
        texts = list(wanted) if several else [wanted]
        if not texts or not all(isinstance(text, str) for text in texts):
            raise SettingError(f"{column.name} must be a text or several, got {shortened(wanted)}.")
        rows, values = _spread(column)
        folded = [value.lower() for value in values]
        mask = np.zeros(len(column), bool)
        for text in texts:
            places = [place for place, value in enumerate(folded) if value == text.lower()]
            if not places:
                raise SettingError(_no_value(column.name, text, set(values)))
            mask[rows[places]] = True
        return mask


def feature_means(features: Rows, counted: Bools, n_features: int) -> F64:
    """The mean of each feature over the rows that are counted, (n_features,)."""
    kept = counted[row_of_entries(features)]
    sums = np.bincount(features.indices[kept], features.values[kept], n_features)
    return np.asarray(sums / max(1, int(np.count_nonzero(counted))))


def count_values(column: pl.Series) -> list[tuple[str, int]]:
    """The values of a column of texts or lists of them, and how often each occurs, most first."""
    counts = Counter(_spread(column)[1])
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))


def _spread(column: pl.Series) -> tuple[I64, list[str]]:
    """The row of each text of a column of texts or lists of them, and the texts.

    Without expressions of polars, which never end in a forked child: its threads are gone there.
    """
    lists: list[Any] = column.to_list()
    if not isinstance(column.dtype, pl.List):
        known = [row for row, text in enumerate(lists) if text is not None]
        return np.array(known, np.int64), [text for text in lists if text is not None]
    texts = [[text for text in texts or () if text is not None] for texts in lists]
    rows = np.repeat(np.arange(len(texts)), [len(row) for row in texts])
    return rows.astype(np.int64), list(chain.from_iterable(texts))


TEXTS = (pl.String, pl.List(pl.String))
NUMBERS = (pl.Int32, pl.Float64)


def normalized(table: pl.DataFrame) -> pl.DataFrame:
    """Attributes in their final types; a column of a type that tells nothing is left out."""
    columns = (_normalized(column) for column in table)
    return pl.DataFrame([column for column in columns if column is not None])


def _normalized(column: pl.Series) -> pl.Series | None:
    dtype = column.dtype
    if isinstance(dtype, pl.Date | pl.Datetime):
        return _numbers(column.dt.year())
    if dtype == pl.Boolean or isinstance(dtype, pl.Categorical | pl.Enum):
        column = column.cast(pl.String)
    elif dtype.is_numeric():
        return _numbers(column)
    elif isinstance(dtype, pl.List | pl.Array):
        inner = dtype.inner
        if not (inner == pl.String or inner.is_numeric() or isinstance(inner, pl.Categorical)):
            return None
        texts = column.cast(pl.List(pl.String)).list.eval(printable_text(pl.element()))
        return texts.list.eval(pl.element().filter(pl.element() != ""))
    if column.dtype != pl.String:
        return None
    text = column.to_frame().select(printable_text(pl.col(column.name))).to_series()
    if text.drop_nulls().str.contains(DATE).all() and text.null_count() < len(text):
        return _numbers(text.str.slice(0, 4).cast(pl.Int32))
    if text.str.contains("|", literal=True).any():
        return text.str.split("|").list.eval(pl.element().str.strip_chars())
    return text.set(text == "", None)


def _numbers(column: pl.Series) -> pl.Series:
    """Whole numbers that are years as such, all else as Float64 without infinities."""
    values = column.cast(pl.Float64, strict=False)
    values = values.set((values.is_nan() | values.is_infinite()).fill_null(False), None)
    known = values.drop_nulls()
    whole = bool((known == known.round()).all()) and bool(known.is_between(*YEARS).all())
    return values.cast(pl.Int32) if whole and len(known) else values


def _as_type(column: pl.Series, dtype: pl.DataType) -> pl.Series:
    """The value of one who is new, in the type that the attribute has."""
    if isinstance(dtype, pl.List):
        return column if isinstance(column.dtype, pl.List) else column.cast(pl.String).implode()
    try:
        if dtype == pl.String and column.dtype in NUMBERS:  # 7 and not 7.0
            column = column.cast(pl.Int64)
        return column.cast(dtype)
    except pl.exceptions.PolarsError:
        kind = "text" if dtype == pl.String else "a number"
        raise SettingError(f"{column.name} must be {kind}, got {shortened(column[0])}.") from None


def _is_limit(limit: Any) -> bool:
    """Whether this is a number that floats have, too: Python's whole numbers know no end."""
    return type(limit) is float or (type(limit) is int and abs(limit) < 2**1000)


def _no_value(name: str, text: str, values: set[str]) -> str:
    """What to say of a value that no row has: similar ones, or a few."""
    present = sorted(values)
    close = difflib.get_close_matches(text, present[: 10 * MOST_VALUES], n=3, cutoff=0.5)
    noun = name.removesuffix("s")
    if close:
        return f"No {noun} {shortened(text)}. Did you mean {' or '.join(map(cut, close))}?"
    more = f" and {len(present) - LISTED:,} more" if len(present) > LISTED else ""
    return f"No {noun} {shortened(text)}; there are {cut(', '.join(present[:LISTED]), 200)}{more}."


def printable_text(text: pl.Expr) -> pl.Expr:
    """Text without control characters and surrounding spaces: it is printed on terminals."""
    return text.str.replace_all(r"[\p{Cc}\p{Cf}\u2028\u2029]", " ").str.strip_chars()

"""Tables in memory, whatever made them, as polars frames."""

import datetime as dt
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl

from matinee.errors import DataError, cut, shortened

POSITIONS = ("user_id", "item_id", "rating", "timestamp")
NESTED = (list, tuple, set, frozenset, dict, np.ndarray)
LIKE_LISTS = (tuple, set, frozenset, np.ndarray)
PLAIN = (str, bool, int, float, dt.date, dt.time, dt.timedelta, Decimal, bytes, *NESTED)
FORMS = (
    "a path, a name, a frame (polars, pandas, Arrow), a sparse matrix, an array of 2 to 4 columns, "
    "or a list of tuples or dicts"
)


def to_frame(source: Any, rated: bool) -> pl.DataFrame:
    """A table in memory as a polars frame; DataError if it is none.

    The values of a sparse matrix, or of a pandas Series without a name, are ratings if `rated`,
    else weights.
    """
    try:
        if isinstance(source, pl.LazyFrame):
            source = source.collect()
        frame = _frame(source, "rating" if rated else "weight")
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError) as problem:
        reason = cut(str(problem).split("\n")[0], 120)
        raise DataError(f"The source must be {FORMS}: {reason}.") from None
    except (pl.exceptions.PanicException, RecursionError) as problem:
        raise DataError(f"The source is damaged ({cut(str(problem), 120)}).") from None
    return pl.DataFrame([known_type(column) for column in frame])


def _frame(source: Any, value: str) -> pl.DataFrame:
    if isinstance(source, pl.DataFrame):
        return source
    if hasattr(source, "tocoo") and hasattr(source, "nnz"):
        return _from_sparse(source, value)
    if hasattr(source, "index") and hasattr(source, "to_numpy"):  # pandas
        return _from_pandas(source, value)
    if isinstance(source, np.ndarray):
        return _from_array(source)
    if isinstance(source, Mapping):
        lists = {str(name): _column(str(name), values) for name, values in source.items()}
        return pl.DataFrame(list(lists.values()))
    if hasattr(source, "__arrow_c_stream__"):
        return pl.DataFrame(source)
    if isinstance(source, Sequence) and not isinstance(source, str | bytes):
        return _from_rows(source)
    raise TypeError(f"got {shortened(type(source).__name__)}")


def _from_sparse(matrix: Any, value: str) -> pl.DataFrame:
    """What a sparse matrix stores: rows are users, columns are items, numbered from 0."""
    entries = matrix.tocoo()
    if len(entries.shape) != 2:
        raise TypeError("a sparse matrix must have two dimensions")
    row, column, data = (np.asarray(part) for part in (entries.row, entries.col, entries.data))
    return pl.DataFrame(
        {"user_id": row.astype(np.int64), "item_id": column.astype(np.int64), value: data}
    )


def _from_array(array: Any) -> pl.DataFrame:
    """An array whose columns are users, items, and perhaps ratings and times; or with names."""
    if array.dtype.names:
        return pl.DataFrame([_column(name, array[name]) for name in array.dtype.names])
    if array.ndim != 2 or not 2 <= array.shape[1] <= len(POSITIONS):
        raise TypeError(f"an array must have 2 to {len(POSITIONS)} columns, got {array.shape}")
    columns = zip(POSITIONS, array.T, strict=False)
    return pl.DataFrame([_column(name, values) for name, values in columns])


def _from_rows(rows: Sequence[Any]) -> pl.DataFrame:
    """Rows as dicts, or as tuples of user, item, and perhaps rating and time."""
    if rows and all(isinstance(row, Mapping) for row in rows):
        names = dict.fromkeys(str(name) for row in rows for name in row)
        return pl.DataFrame([_column(name, [row.get(name) for row in rows]) for name in names])
    widths = {len(row) if isinstance(row, tuple | list) else 0 for row in rows}
    if len(widths) != 1 or not 2 <= min(widths) <= len(POSITIONS):
        raise TypeError(f"each row must have 2 to {len(POSITIONS)} cells")
    columns = zip(POSITIONS, zip(*rows, strict=True), strict=False)
    return pl.DataFrame([_column(name, list(values)) for name, values in columns])


def repeated_names(source: Any) -> list[str]:
    """Names of further columns of a pandas frame, of which `to_frame` keeps the first."""
    names = [str(name) for name in source.columns] if _is_pandas_frame(source) else []
    return [name for position, name in enumerate(names) if name in names[:position]]


def _is_pandas_frame(source: Any) -> bool:
    return hasattr(source, "iloc") and hasattr(source, "columns")


def _from_pandas(source: Any, value: str) -> pl.DataFrame:
    """A pandas frame, with its index where that has names; or a Series by user and item."""
    if not hasattr(source, "columns"):
        if getattr(source.index, "nlevels", 1) != 2:
            raise TypeError("a Series must have an index of two levels, user and item")
        names = [
            ours if name is None else str(name)
            for ours, name in zip(POSITIONS, source.index.names, strict=False)
        ]
        source = source.rename(value if source.name is None else str(source.name))
        source = source.rename_axis(names).reset_index()
    elif any(name is not None for name in source.index.names):
        source = source.reset_index(
            level=[level for level, name in enumerate(source.index.names)
                   if name is not None and name not in source.columns]
        )  # fmt: skip
    columns: dict[str, pl.Series] = {}
    for position, name in enumerate(source.columns):
        columns.setdefault(str(name), _pandas_column(str(name), source.iloc[:, position]))
    return pl.DataFrame(list(columns.values()))


def _pandas_column(name: str, column: Any) -> pl.Series:
    """A pandas column of any type, without needing pyarrow; whatever is missing becomes null."""
    if str(column.dtype).startswith("datetime64[ns, ") or hasattr(column.dtype, "tz"):
        column = column.dt.tz_convert("UTC").dt.tz_localize(None)
    is_numpy = isinstance(column.dtype, np.dtype)
    if is_numpy and column.dtype.kind in "iufb":
        return pl.Series(name, column.to_numpy())
    if is_numpy and column.dtype.kind == "M":
        return pl.Series(name, column.to_numpy().astype("datetime64[us]"))
    missing = column.isna().to_numpy()
    if not is_numpy and not missing.any():
        return _column(name, column.to_numpy())
    if not is_numpy and getattr(column.dtype, "kind", "O") in "iuf":
        filled = _column(name, column.fillna(0).to_numpy())
        return filled.set(pl.Series(missing), None)
    values = column.to_numpy(dtype=object).tolist()
    return _column(name, [None if m else v for v, m in zip(values, missing, strict=True)])


def _column(name: str, values: Any) -> pl.Series:
    """A column of anything; where types are mixed, or are none that a table has, as text."""
    if isinstance(values, pl.Series):
        return values.alias(name)
    if hasattr(values, "to_numpy") and hasattr(values, "isna"):
        return _pandas_column(name, values)
    if isinstance(values, np.ndarray) and values.dtype.kind in "OSU":
        values = values.tolist()
    elif isinstance(values, np.ndarray) and values.dtype.kind == "M":
        values = values.astype("datetime64[us]")
    if isinstance(values, str | bytes) or not hasattr(values, "__len__"):
        raise TypeError(f"the column {cut(name)} must be a list")
    if isinstance(values, np.ndarray):
        return pl.Series(name, values)
    return _from_cells(name, [_cell(value) for value in values])


def _from_cells(name: str, cells: list[Any]) -> pl.Series:
    """A column of Python objects; of mixed kinds, or of those that no table has, as text."""
    kinds = {type(cell) for cell in cells if cell is not None}
    nested = any(issubclass(kind, NESTED) for kind in kinds)
    if nested:
        cells = [list(cell) if isinstance(cell, LIKE_LISTS) else cell for cell in cells]
    if (
        nested
        or kinds <= {int, float}
        or (len(kinds) == 1 and issubclass(next(iter(kinds)), PLAIN))
    ):
        try:
            column = pl.Series(name, cells, strict=False)
            if column.dtype != pl.Object:  # as which polars keeps lists beside what is none
                return column
        except (TypeError, OverflowError, pl.exceptions.PolarsError):
            if nested:
                raise
    texts = [None if cell is None or cell != cell else str(cell) for cell in cells]
    return pl.Series(name, texts, pl.String)


def _cell(value: Any) -> Any:
    """A cell as Python has it; None for all that stands for a missing one."""
    if isinstance(value, np.generic):
        value = value.item()
    return None if type(value).__name__ in ("NoneType", "NAType", "NaTType") else value


def known_type(column: pl.Series) -> pl.Series:
    """Objects, bytes, dictionaries of texts and decimals as plainer columns."""
    kind = column.dtype
    if kind == pl.Object:
        return _from_cells(column.name, [_cell(value) for value in column.to_list()])
    if kind == pl.Binary:
        try:
            return column.cast(pl.String)
        except pl.exceptions.PolarsError:
            return column
    return column.cast(pl.String) if isinstance(kind, pl.Categorical | pl.Enum) else column

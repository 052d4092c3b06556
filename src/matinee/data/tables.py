"""Tables of ratings of one's own: CSV, TSV, Parquet, Arrow, or a frame in memory."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from matinee.data.builder import ParsedTable
from matinee.data.delimited import (
    COLUMNS,
    HEADER_BYTES,
    Schema,
    header_of,
    join_names,
    read_delimited,
    read_plain,
)
from matinee.data.validation import Origin, first_true, id_column, unix_seconds
from matinee.errors import DataError, SettingError
from matinee.kernels.csr import Empty

COMMON_NAMES: dict[str, tuple[str, ...]] = {
    "user_id": ("user", "userid", "viewer", "viewerid", "customer", "customerid", "member", "uid",
                "u"),
    "item_id": ("item", "itemid", "movie", "movieid", "film", "filmid", "product", "productid",
                "isbn", "asin", "iid", "i"),
    "rating": ("stars", "rating", "score", "ratings", "overall", "value", "bookrating", "r"),
    "timestamp": ("timestamp", "time", "date", "datetime", "ratedat", "unixreviewtime", "ts", "t"),
    "title": ("title", "movietitle", "itemtitle", "name", "moviename"),
    "genres": ("genres", "genre", "categories", "tags"),
    "year": ("year", "releaseyear"),
}  # fmt: skip
"""Names by which a column is recognized, in lower case, without spaces and punctuation."""
REQUIRED = ("user_id", "item_id", "rating")
BINARY_FORMATS: dict[str, tuple[Callable[..., pl.LazyFrame], str]] = {
    ".parquet": (pl.scan_parquet, "Parquet"),
    ".arrow": (pl.scan_ipc, "Arrow"),
    ".feather": (pl.scan_ipc, "Arrow"),
}
SUFFIXES = (".csv", ".tsv", ".txt", *BINARY_FORMATS)


def read_table(path: Path, columns: Mapping[str, str], empty: Empty = np.empty) -> ParsedTable:
    """A file of ratings, with the table of items beside it (`movies.csv` and the like), if any."""
    parsed = _read_plain_table(path, columns, empty) or _to_parsed(
        *_read_columns(path, columns, REQUIRED)
    )
    for suffix in SUFFIXES:
        items_path = path.with_name(f"movies{suffix}")
        if parsed.items is None and items_path.exists() and items_path != path:
            items, items_origin = _read_columns(items_path, columns, ("item_id",))
            items = _items(items, items_origin)
            return ParsedTable(parsed.ratings, parsed.origin, items, items_origin)
    return parsed


def read_frame(frame: Any, columns: Mapping[str, str]) -> ParsedTable:
    """A polars frame, a pandas frame, or any mapping of column names to columns."""
    if isinstance(frame, pl.LazyFrame):
        frame = frame.collect()
    if not isinstance(frame, pl.DataFrame):
        if hasattr(frame, "columns") and hasattr(frame, "to_numpy"):  # pandas
            frame = {str(name): _from_pandas(frame[name]) for name in frame.columns}
        try:
            frame = pl.DataFrame(frame)
        except (TypeError, ValueError, pl.exceptions.PolarsError) as problem:
            reason = str(problem).splitlines()[0]
            raise DataError(
                f"The source must be a path, a name or a table of ratings: {reason}."
            ) from None
    chosen = match_columns(frame.columns, columns, REQUIRED, "the frame")
    table = frame.select(pl.col(theirs).alias(ours) for ours, theirs in chosen.items())
    return _to_parsed(table, Origin("the frame", 1, chosen))


def _from_pandas(column: Any) -> Any:
    """A pandas column as something polars takes without needing pyarrow."""
    values = column.to_numpy()
    if values.dtype == object:
        return [None if value is None or value != value else value for value in values.tolist()]
    return values


def match_columns(
    present: list[str], columns: Mapping[str, str], required: tuple[str, ...], file: str
) -> dict[str, str]:
    """Our column names to the table's: as given in `columns`, else by `COMMON_NAMES`."""
    for ours, theirs in columns.items():
        if ours not in COMMON_NAMES:
            valid = ", ".join(COMMON_NAMES)
            raise SettingError(f"The keys of columns must be among {valid}, got {ours!r}.")
        if ours in (*required, "timestamp") and theirs not in present:
            raise DataError(
                f"{file}: there is no column {theirs!r}. There are {join_names(present)}."
            )
    chosen = {ours: theirs for ours, theirs in columns.items() if theirs in present}
    simplified = {
        "".join(c for c in name.casefold() if c.isalnum()): name for name in reversed(present)
    }
    for ours, common_names in COMMON_NAMES.items():
        for name in common_names:
            column = simplified.get(name)
            if ours not in chosen and column is not None and column not in chosen.values():
                chosen[ours] = column
    missing = [ours for ours in required if ours not in chosen]
    if missing:
        raise DataError(
            f"{file}: no column looks like {' or '.join(missing)} among {join_names(present)}. "
            f"Name it: --columns {missing[0]}=NAME, or columns={{{missing[0]!r}: ...}}."
        )
    return {ours: chosen[ours] for ours in COMMON_NAMES if ours in chosen}


def _read_columns(
    path: Path, columns: Mapping[str, str], required: tuple[str, ...]
) -> tuple[pl.DataFrame, Origin]:
    """The columns of a file that we know, under our names."""
    if path.suffix in BINARY_FORMATS:
        scan, format_name = BINARY_FORMATS[path.suffix]
        try:
            lazy = scan(path, glob=False)
            chosen = match_columns(lazy.collect_schema().names(), columns, required, path.name)
            table = lazy.select(pl.col(theirs).alias(ours) for ours, theirs in chosen.items())
            return table.collect(), Origin(path.name, 1, chosen)
        except (pl.exceptions.PolarsError, OSError) as problem:
            reason = str(problem).splitlines()[0]
            raise DataError(
                f"{path.name}: this is not a complete {format_name} file ({reason})."
            ) from None
    separator, present, chosen = _header(path, columns, required)
    types = _guess_types(path, separator, chosen)
    ours = {theirs: name for name, theirs in chosen.items()}
    schema: Schema = {
        ours.get(name, f"_{position}"): types.get(name, pl.Null)
        for position, name in enumerate(present)
    }
    return read_delimited(path, separator, schema, header=True, names=chosen)


def _read_plain_table(path: Path, columns: Mapping[str, str], empty: Empty) -> ParsedTable | None:
    """A text file of nothing but ratings in plain numbers; None for any other."""
    if path.suffix in BINARY_FORMATS:
        return None
    separator, present, chosen = _header(path, columns, REQUIRED)
    ours = {theirs: name for name, theirs in chosen.items()}
    names = tuple(ours.get(name, "") for name in present)
    if not set(names) <= set(COLUMNS):
        return None
    plain = read_plain(path, separator, names, header=True, empty=empty)
    return ParsedTable(plain, Origin(path.name, 2, chosen)) if plain else None


def _header(
    path: Path, columns: Mapping[str, str], required: tuple[str, ...]
) -> tuple[str, list[str], dict[str, str]]:
    """The separator of a text file, its column names, and ours to theirs."""
    separator = _separator(path)
    present = header_of(path, separator)
    if len(set(present)) < len(present):
        raise DataError(f"{path.name}, row 1: two columns have the same name.")
    return separator, present, match_columns(present, columns, required, path.name)


def _separator(path: Path) -> str:
    """The separator that the first line uses most, a tab in .tsv."""
    if path.suffix == ".tsv":
        return "\t"
    with path.open("rb") as file:
        line = file.readline(HEADER_BYTES).decode("utf-8", "replace")
    return max(",\t;|", key=line.count)


def _guess_types(path: Path, separator: str, chosen: dict[str, str]) -> Schema:
    """A type for each column that is read; ids are whole numbers only if all of them are."""
    fixed: Schema = {"title": pl.String, "genres": pl.String, "rating": pl.Float32}
    fixed["year"] = pl.Float64  # "1999.0" is common where some years are missing
    text = pl.scan_csv(path, separator=separator, infer_schema=False, glob=False)
    types: Schema = {}
    for name, theirs in chosen.items():
        if name in fixed:
            types[theirs] = fixed[name]
            continue
        column = pl.col(theirs).str.strip_chars()
        # "007" is text: as a number it would lose its zeros
        whole = column.str.contains(r"^(0|-?[1-9][0-9]{0,17})$") | column.is_null()
        fraction = column.str.contains(r"^-?[0-9]+\.[0-9]*$")
        try:
            checks = text.select(whole=whole.all(), numeric=(whole | fraction).all())
            all_whole, all_numeric = checks.collect().row(0)
        except pl.exceptions.PolarsError:
            all_whole = all_numeric = True  # `read_delimited` will name the cell
        types[theirs] = pl.Int64 if all_whole else pl.Float64 if all_numeric else pl.String
    return types


def _to_parsed(table: pl.DataFrame, origin: Origin) -> ParsedTable:
    """Ratings, and items where the table of ratings describes them."""
    for name in ("user_id", "item_id"):
        table = table.with_columns(id_column(table[name], origin).alias(name))
    if "timestamp" in table.columns:
        table = table.with_columns(unix_seconds(table["timestamp"], origin).alias("timestamp"))
    rating = table["rating"]
    if not (rating.dtype.is_numeric() or rating.dtype == pl.Null):
        row = first_true(rating.is_not_null()) or 0
        raise origin.error(row, "rating", f"{rating[row]!r} is not a number")
    items = None
    if "title" in table.columns or "genres" in table.columns:
        if "year" in table.columns:  # before rows are dropped, so that a bad one is named rightly
            table = table.with_columns(_years(table["year"], origin).alias("year"))
        items = _items(table.unique("item_id", keep="first", maintain_order=True), origin)
    ratings = table.select(name for name in COLUMNS if name in table.columns)
    return ParsedTable(ratings, origin, items)


def _items(table: pl.DataFrame, origin: Origin) -> pl.DataFrame:
    """Columns `item_id` and those of `title`, `genres`, `year` that there are."""
    table = table.with_columns(id_column(table["item_id"], origin).alias("item_id"))
    if "title" in table.columns:
        table = table.with_columns(pl.col("title").cast(pl.String))
    if "genres" in table.columns:
        genres = pl.col("genres").cast(pl.List(pl.String))
        if not isinstance(table["genres"].dtype, pl.List):
            # "Drama|War", "Drama, War" and "Drama;War" are all common
            text = pl.col("genres").cast(pl.String)
            genres = text.str.replace_all(r"\s*[,;]\s*", "|").str.split("|")
        table = table.with_columns(genres.alias("genres"))
    if "year" in table.columns:
        table = table.with_columns(_years(table["year"], origin).alias("year"))
    names = ("item_id", "title", "genres", "year")
    return table.select(name for name in names if name in table.columns)


def _years(column: pl.Series, origin: Origin) -> pl.Series:
    """A column of years as Int32, NaN as missing; anything else is refused."""
    years = column.cast(pl.Float64, strict=False).fill_nan(None).cast(pl.Int32, strict=False)
    invalid = years.is_null() & column.is_not_null()
    if column.dtype.is_float():
        invalid &= column.is_not_nan()
    if (row := first_true(invalid)) is not None:
        raise origin.error(row, column.name, f"{column[row]!r} is not a year")
    return years

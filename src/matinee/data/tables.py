"""Anyone's own table of ratings: CSV, TSV, Parquet, Arrow, or a frame in memory."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from matinee.data.delimited import ORDER, Schema, header_of, listed, read_delimited, read_plain
from matinee.data.movielens import ParsedTable
from matinee.data.validation import Origin, id_column, unix_seconds
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
REQUIRED = ("user_id", "item_id", "rating")
STORED: dict[str, tuple[Callable[..., pl.LazyFrame], str]] = {
    ".parquet": (pl.scan_parquet, "Parquet"),
    ".arrow": (pl.scan_ipc, "Arrow"),
    ".feather": (pl.scan_ipc, "Arrow"),
}
"""Files of typed columns: how to open them, and what they are called."""
SUFFIXES = (".csv", ".tsv", ".txt", *STORED)


def read_own_file(path: Path, columns: Mapping[str, str], empty: Empty = np.empty) -> ParsedTable:
    """A file of ratings; a table of movies may lie beside it (`items.csv` and the like)."""
    parts = _read_plain(path, columns, empty) or _parts(*_read_any(path, columns, REQUIRED))
    for suffix in SUFFIXES:
        beside = path.with_name(f"movies{suffix}")
        if parts.items is None and beside.exists() and beside != path:
            items, where = _read_any(beside, columns, ("item_id",))
            return ParsedTable(parts.ratings, parts.origin, _items(items, where), where)
    return parts


def read_frame(frame: Any, columns: Mapping[str, str]) -> ParsedTable:
    """A polars frame, a pandas frame, or any mapping of column names to columns."""
    if isinstance(frame, pl.LazyFrame):
        frame = frame.collect()
    if not isinstance(frame, pl.DataFrame):
        if hasattr(frame, "columns") and hasattr(frame, "to_numpy"):  # pandas
            frame = {str(name): _series(frame[name]) for name in frame.columns}
        try:
            frame = pl.DataFrame(frame)
        except (TypeError, ValueError, pl.exceptions.PolarsError) as problem:
            reason = str(problem).splitlines()[0]
            raise DataError(f"This is no path, name or table of ratings: {reason}.") from None
    chosen = match_columns(frame.columns, columns, REQUIRED, "the frame")
    table = frame.select(pl.col(theirs).alias(ours) for ours, theirs in chosen.items())
    return _parts(table, Origin("the frame", 1, chosen))


def _series(column: Any) -> Any:
    """A pandas column as something polars takes without needing pyarrow."""
    values = column.to_numpy()
    if values.dtype == object:
        return [None if one is None or one != one else one for one in values.tolist()]
    return values


def match_columns(
    present: list[str], columns: Mapping[str, str], required: tuple[str, ...], where: str
) -> dict[str, str]:
    """Which column of a table plays which part: as told, else by the usual names.

    Returns
    -------
    dict
        Our name to the table's name.

    Raises
    ------
    DataError
        If a required part is played by no column.

    Examples
    --------
    >>> match_columns(["User ID", "Film", "Score"], {}, REQUIRED, "t.csv")
    {'user_id': 'User ID', 'item_id': 'Film', 'rating': 'Score'}
    """
    for ours, theirs in columns.items():
        if ours not in COMMON_NAMES:
            raise SettingError(f"No part is called {ours!r}; there are {', '.join(COMMON_NAMES)}.")
        if ours in (*required, "timestamp") and theirs not in present:
            raise DataError(f"{where}: there is no column {theirs!r}. There are {listed(present)}.")
    chosen = {ours: theirs for ours, theirs in columns.items() if theirs in present}
    plain = {"".join(c for c in name.casefold() if c.isalnum()): name for name in reversed(present)}
    for ours, default in COMMON_NAMES.items():
        for name in default:
            if ours not in chosen and name in plain and plain[name] not in chosen.values():
                chosen[ours] = plain[name]
    missing = [ours for ours in required if ours not in chosen]
    if missing:
        raise DataError(
            f"{where}: no column looks like {' or '.join(missing)} among {listed(present)}. "
            f"Say which it is: --columns {missing[0]}=NAME, or columns={{{missing[0]!r}: ...}}."
        )
    return {ours: chosen[ours] for ours in COMMON_NAMES if ours in chosen}


def _read_any(
    path: Path, columns: Mapping[str, str], required: tuple[str, ...]
) -> tuple[pl.DataFrame, Origin]:
    """The columns that play a part, under our names."""
    if path.suffix in STORED:
        scan, kind = STORED[path.suffix]
        try:
            stored = scan(path, glob=False)
            chosen = match_columns(stored.collect_schema().names(), columns, required, path.name)
            table = stored.select(pl.col(theirs).alias(ours) for ours, theirs in chosen.items())
            return table.collect(), Origin(path.name, 1, chosen)
        except (pl.exceptions.PolarsError, OSError) as problem:
            raise DataError(
                f"{path.name}: this is no whole {kind} file ({str(problem).splitlines()[0]})."
            ) from None
    separator, present, chosen = _header(path, columns, required)
    ours = {theirs: name for name, theirs in chosen.items()}
    guessed = _guess_types(path, separator, ours)
    schema: Schema = {
        ours.get(name, f"_{at}"): guessed.get(name, pl.Null) for at, name in enumerate(present)
    }
    return read_delimited(path, separator, schema, header=True, names=chosen)


def _read_plain(path: Path, columns: Mapping[str, str], empty: Empty) -> ParsedTable | None:
    """A text file of nothing but ratings in plain numbers; None for any other."""
    if path.suffix in STORED:
        return None
    separator, present, chosen = _header(path, columns, REQUIRED)
    ours = {theirs: name for name, theirs in chosen.items()}
    parts = tuple(ours.get(name, "") for name in present)
    if not set(parts) <= set(ORDER):
        return None
    plain = read_plain(path, separator, parts, header=True, empty=empty)
    return ParsedTable(plain, Origin(path.name, 2, chosen)) if plain else None


def _header(
    path: Path, columns: Mapping[str, str], required: tuple[str, ...]
) -> tuple[str, list[str], dict[str, str]]:
    """The separator of a text file, its columns, and which of them plays which part."""
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
        line = file.readline(65536).decode("utf-8", "replace")
    return max(",\t;|", key=line.count)


def _guess_types(path: Path, separator: str, ours: dict[str, str]) -> Schema:
    """A type for each column that plays a part: ids are whole numbers only if all of them are."""
    types: Schema = {}
    text = pl.scan_csv(path, separator=separator, infer_schema=False, glob=False)
    for theirs, name in ours.items():
        if name in ("title", "genres"):
            types[theirs] = pl.String
        elif name == "rating":
            types[theirs] = pl.Float32
        elif name == "year":
            types[theirs] = pl.Float64  # "1999.0" is usual where some years are missing
        else:
            column = pl.col(theirs).str.strip_chars()
            # "007" is text: as a number it would lose its zeros
            number = column.str.contains(r"^(0|-?[1-9][0-9]{0,17})$")
            fraction = column.str.contains(r"^-?[0-9]+\.[0-9]*$")
            try:
                all_whole, all_numbers = (
                    text.select(
                        whole=(number | column.is_null()).all(),
                        numbers=(number | fraction | column.is_null()).all(),
                    )
                    .collect()
                    .row(0)
                )
            except pl.exceptions.PolarsError:
                all_whole = all_numbers = True  # the reading proper will name the cell
            types[theirs] = pl.Int64 if all_whole else pl.Float64 if all_numbers else pl.String
    return types


def _parts(table: pl.DataFrame, origin: Origin) -> ParsedTable:
    for name in ("user_id", "item_id"):
        table = table.with_columns(id_column(table[name], origin).alias(name))
    if "timestamp" in table.columns:
        table = table.with_columns(unix_seconds(table["timestamp"], origin).alias("timestamp"))
    if not (table["rating"].dtype.is_numeric() or table["rating"].dtype == pl.Null):
        row = table["rating"].is_not_null().arg_max() or 0
        raise origin.error(row, "rating", f"{table['rating'][row]!r} is not a number of stars")
    items = None
    if "title" in table.columns or "genres" in table.columns:
        if "year" in table.columns:  # before rows go, so that a bad one is named rightly
            table = table.with_columns(_years(table["year"], origin).alias("year"))
        items = _items(table.unique("item_id", keep="first", maintain_order=True), origin)
    ratings = ["user_id", "item_id", "rating", "timestamp"]
    return ParsedTable(
        table.select(name for name in ratings if name in table.columns), origin, items
    )


def _items(table: pl.DataFrame, origin: Origin) -> pl.DataFrame:
    """Columns `item_id` and those of `title`, `genres`, `year` that there are."""
    table = table.with_columns(id_column(table["item_id"], origin).alias("item_id"))
    if "title" in table.columns:
        table = table.with_columns(pl.col("title").cast(pl.String))
    if "genres" in table.columns:
        genres = pl.col("genres").cast(pl.List(pl.String))
        if not isinstance(table["genres"].dtype, pl.List):
            # "Drama|War", "Drama, War" and "Drama;War" are all usual
            text = pl.col("genres").cast(pl.String)
            genres = text.str.replace_all(r"\s*[,;]\s*", "|").str.split("|")
        table = table.with_columns(genres.alias("genres"))
    if "year" in table.columns:
        table = table.with_columns(_years(table["year"], origin).alias("year"))
    return table.select(
        name for name in ("item_id", "title", "genres", "year") if name in table.columns
    )


def _years(column: pl.Series, origin: Origin) -> pl.Series:
    """A column of years as Int32, NaN as missing; anything else is refused."""
    years = column.cast(pl.Float64, strict=False).fill_nan(None).cast(pl.Int32, strict=False)
    lost = years.is_null() & column.is_not_null()
    if column.dtype.is_float():
        lost &= column.is_not_nan()
    row = lost.arg_max()
    if row is not None and lost[row]:
        raise origin.error(row, column.name, f"{column[row]!r} is not a year")
    return years

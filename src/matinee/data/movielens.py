"""The three file layouts of the MovieLens editions.

========================  ==========================================================
`u.data` and companions   ml-100k: tabs, genres as flags, official splits
`ratings.dat`             ml-1m, ml-10m: ``::`` between fields
`ratings.csv`             ml-20m, ml-25m, ml-32m, ml-latest, ml-latest-small, Kaggle
========================  ==========================================================
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl

from matinee._types import Bools
from matinee.data.delimited import (
    PlainColumns,
    Schema,
    header_of,
    listed,
    read_delimited,
    read_lines,
    read_plain,
)
from matinee.data.ratings import RatingScale
from matinee.data.validation import Origin
from matinee.errors import DataError, SettingError
from matinee.kernels.csr import Empty

WHOLE = RatingScale(1, 5, 1)
HALVES = RatingScale(0.5, 5, 0.5)
CSV_HEADER = ["userId", "movieId", "rating", "timestamp"]
RATING: Schema = {
    "user_id": pl.Int64,
    "item_id": pl.Int64,
    "rating": pl.Float32,
    "timestamp": pl.Int64,
}


@dataclass(frozen=True)
class ParsedTable:
    """What a reader found, before ids become codes.

    Parameters
    ----------
    ratings : polars.DataFrame or PlainColumns
        Columns `user_id`, `item_id`, `values` and perhaps `timestamp`, not yet checked.
    origin : Origin
        Where the ratings are from, for messages.
    items : polars.DataFrame or None
        Columns `item_id`, `title`, `genres`.
    items_origin : Origin
        Where the movies are from.
    users : polars.DataFrame or None
        Column `user_id` and traits.
    scale : RatingScale or None
    positive_ids : bool
    official : dict of str to polars.DataFrame
        The test part of each official split: columns `user_id`, `item_id`.
    """

    ratings: pl.DataFrame | PlainColumns
    origin: Origin
    items: pl.DataFrame | None = None
    items_origin: Origin = field(default_factory=lambda: Origin("items"))
    users: pl.DataFrame | None = None
    scale: RatingScale | None = None
    positive_ids: bool = False
    official: dict[str, pl.DataFrame] = field(default_factory=dict)


def read_100k(folder: Path) -> ParsedTable:
    """ml-100k: `u.data`, `u.item`, `u.genre`, `u.user`, and the splits u1 ... u5, ua, ub."""
    ratings, origin = read_delimited(folder / "u.data", "\t", RATING, header=False)
    return ParsedTable(
        ratings,
        origin,
        _items_100k(folder) if (folder / "u.item").exists() else None,
        Origin("u.item"),
        _users_100k(folder) if (folder / "u.user").exists() else None,
        WHOLE,
        positive_ids=True,
        official={
            name: read_delimited(folder / f"{name}.test", "\t", RATING, header=False)[0]
            for name in ("u1", "u2", "u3", "u4", "u5", "ua", "ub")
            if (folder / f"{name}.test").exists()
        },
    )


def _items_100k(folder: Path) -> pl.DataFrame:
    genres = read_lines(folder / "u.genre", "|", 2) if (folder / "u.genre").exists() else None
    names = [] if genres is None else [name for name in genres["0"] if name]
    table = read_lines(folder / "u.item", "|", 5 + len(names))
    # each flag column gives its genre's name or nothing
    flags = [
        pl.when(pl.col(str(5 + at)) == "1").then(pl.lit(name)) for at, name in enumerate(names)
    ]
    return table.select(
        _ids(table["0"], folder / "u.item", "item_id"),
        pl.col("1").alias("title"),
        (pl.concat_list(flags).list.drop_nulls() if flags else pl.lit(None)).alias("genres"),
    )


def _users_100k(folder: Path) -> pl.DataFrame:
    path = folder / "u.user"
    table = read_lines(path, "|", 5)
    return table.select(
        _ids(table["0"], path, "user_id"),
        pl.col("1").cast(pl.Int32, strict=False).alias("age"),
        pl.col("2").alias("gender"),
        pl.col("3").alias("occupation"),
    )


def read_dat(folder: Path, empty: Empty = np.empty) -> ParsedTable:
    """ml-1m and ml-10m: `ratings.dat`, `items.dat`, and `users.dat` where there is one."""
    ratings, origin = _read_ratings(folder / "ratings.dat", "::", header=False, empty=empty)
    items = users = None
    if (path := folder / "movies.dat").exists():
        table = read_lines(path, "::", 3)
        items = table.select(
            _ids(table["0"], path, "item_id"),
            pl.col("1").alias("title"),
            pl.col("2").str.split("|").alias("genres"),
        )
    if (path := folder / "users.dat").exists():
        table = read_lines(path, "::", 5)
        users = table.select(
            _ids(table["0"], path, "user_id"),
            pl.col("2").cast(pl.Int32, strict=False).alias("age"),
            pl.col("1").alias("gender"),
            pl.col("3").alias("occupation"),
        )
    # ml-10m has half stars and no user traits; ml-1m has whole ones
    values = ratings.values if isinstance(ratings, PlainColumns) else ratings["rating"]
    scale = HALVES if (values % 1 == 0.5).any() else WHOLE
    return ParsedTable(
        ratings, origin, items, Origin("movies.dat"), users, scale, positive_ids=True
    )


def read_csv_edition(folder: Path, empty: Empty = np.empty) -> ParsedTable:
    """The CSV editions: `ratings.csv` and `items.csv`."""
    names = dict(zip(RATING, CSV_HEADER, strict=True))
    path = folder / "ratings.csv"
    ratings, origin = _read_ratings(path, ",", header=True, names=names, empty=empty)
    items, where = None, Origin("movies.csv")
    if (path := folder / "movies.csv").exists():
        header = header_of(path, ",")
        if header[:3] != ["movieId", "title", "genres"]:
            raise DataError(
                f"{path.name}, row 1: the columns are {listed(header)}; "
                "movieId, title, genres belong there."
            )
        schema: Schema = {"item_id": pl.Int64, "title": pl.String, "genres": pl.String}
        schema |= dict.fromkeys(header[3:], pl.Null)
        table, where = read_delimited(path, ",", schema, header=True, names={"item_id": "movieId"})
        items = table.with_columns(pl.col("genres").str.split("|"))
    return ParsedTable(ratings, origin, items, where, None, HALVES, positive_ids=True)


def _read_ratings(
    path: Path,
    separator: str,
    *,
    header: bool,
    names: dict[str, str] | None = None,
    empty: Empty,
) -> tuple[pl.DataFrame | PlainColumns, Origin]:
    """The four columns in their usual order, by the quick way if the file is plain."""
    if plain := read_plain(path, separator, header=header, empty=empty):
        return plain, Origin(path.name, 1 + header, names or {})
    return read_delimited(path, separator, RATING, header=header, names=names)


def official_masks(
    official: dict[str, pl.DataFrame], user: pl.Series, item: pl.Series
) -> dict[str, Bools]:
    """For each official split, which of the ratings (user, item) are its test part."""
    ratings = pl.DataFrame({"user_id": user, "item_id": item}).with_row_index("row")
    masks = {}
    for name, test in official.items():
        mask = np.zeros(len(user), bool)
        found = ratings.join(test.select("user_id", "item_id"), on=["user_id", "item_id"])["row"]
        if len(found) != test.height:
            raise DataError(
                f"{name}.test: {test.height - len(found)} of its rows are not in u.data. "
                "Get a fresh copy of the archive."
            )
        mask[found.to_numpy()] = True
        masks[name] = mask
    return masks


def _ids(text: pl.Series, path: Path, name: str) -> pl.Series:
    """A column of text as ids, refusing the first that is no number."""
    number = text.cast(pl.Int64, strict=False)
    if number.is_null().any():
        row = number.is_null().arg_max() or 0
        raise Origin(path.name).error(row, name, f"{text[row]!r} is not a whole number")
    return number.alias(name)


GROUPLENS = "https://files.grouplens.org/datasets/movielens/"
TERMS = "GroupLens, research use; cite Harper & Konstan 2015, doi 10.1145/2827872"


@dataclass(frozen=True)
class Edition:
    """One published archive.

    Parameters
    ----------
    name : str
        As in ``matinee data fetch NAME``.
    ratings, users, items : int
        As its README states them (0: it grows and changes).
    values : str
        The scale.
    year : str
        When it was published.
    """

    name: str
    ratings: int
    users: int
    items: int
    values: str
    year: str

    @property
    def url(self) -> str:
        """Where GroupLens publishes the archive; its MD5 is at the same address plus ``.md5``."""
        return f"{GROUPLENS}{self.name}.zip"


def refuse_misnamed(name: str, ratings: int) -> None:
    """Refuse other data under the name of an edition: results would be taken for the edition's."""
    published = EDITIONS[name].ratings if name in EDITIONS else 0
    if published not in (0, ratings):
        raise SettingError(
            f"{name} has {published:,} ratings and these are {ratings:,}; choose another name."
        )


EDITIONS = {
    edition.name: edition
    for edition in (
        Edition("ml-latest-small", 100_836, 610, 9_742, "0.5-5", "2018"),
        Edition("ml-100k", 100_000, 943, 1_682, "1-5", "1998"),
        Edition("ml-1m", 1_000_209, 6_040, 3_883, "1-5", "2003"),
        Edition("ml-10m", 10_000_054, 69_878, 10_681, "0.5-5", "2009"),
        Edition("ml-20m", 20_000_263, 138_493, 27_278, "0.5-5", "2015"),
        Edition("ml-25m", 25_000_095, 162_541, 62_423, "0.5-5", "2019"),
        Edition("ml-32m", 32_000_204, 200_948, 87_585, "0.5-5", "2024"),
        Edition("ml-latest", 0, 0, 0, "0.5-5", "changes"),
    )
}

"""The MovieLens editions, and their layouts without a header: `u.data` and companions (ml-100k)
and `ratings.dat` (ml-1m, ml-10m). The others (`ratings.csv`) are tables like anybody's.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from matinee.data.builder import ParsedTable
from matinee.data.delimited import (
    PlainColumns,
    Schema,
    read_delimited,
    read_lines,
    read_plain,
)
from matinee.data.ratings import RatingScale
from matinee.data.validation import Origin, first_true
from matinee.errors import SettingError, shortened
from matinee.kernels.csr import Empty

GROUPLENS = "https://files.grouplens.org/datasets/movielens/"
TERMS = "GroupLens, research use; cite Harper & Konstan 2015, doi 10.1145/2827872"
WHOLE_STARS = RatingScale(1, 5, 1)
HALF_STARS = RatingScale(0.5, 5, 0.5)
OFFICIAL_SPLITS = ("u1", "u2", "u3", "u4", "u5", "ua", "ub")
CSV_HEADER = ["userId", "movieId", "rating", "timestamp"]
RATINGS_SCHEMA = Schema(user_id=pl.Int64, item_id=pl.Int64, rating=pl.Float32, timestamp=pl.Int64)


@dataclass(frozen=True)
class Edition:
    """One published archive; counts as its README states them (0: it grows and changes)."""

    name: str
    ratings: int
    users: int
    items: int
    scale: str
    year: str

    @property
    def url(self) -> str:
        """Where GroupLens publishes the archive; its MD5 is at the same address plus ``.md5``."""
        return f"{GROUPLENS}{self.name}.zip"


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


def check_edition(name: str, n_ratings: int) -> None:
    """Refuse other data under the name of an edition: results would be taken for the edition's."""
    published = EDITIONS[name].ratings if name in EDITIONS else 0
    if published not in (0, n_ratings):
        raise SettingError(
            f"{name} has {published:,} ratings, these data have {n_ratings:,}; choose another name."
        )


def read_100k(folder: Path) -> ParsedTable:
    """ml-100k: `u.data`, `u.item`, `u.genre`, `u.user`, and the splits u1 to u5, ua, ub."""
    ratings, origin = read_delimited(folder / "u.data", "\t", RATINGS_SCHEMA)
    return ParsedTable(
        ratings,
        origin,
        items_100k(folder) if (folder / "u.item").exists() else None,
        Origin("u.item"),
        _users(folder / "u.user", "|", ["age", "gender", "occupation"]),
        Origin("u.user"),
        WHOLE_STARS,
        positive_ids=True,
        official={
            name: read_delimited(folder / f"{name}.test", "\t", RATINGS_SCHEMA)[0]
            for name in OFFICIAL_SPLITS
            if (folder / f"{name}.test").exists()
        },
    )


def items_100k(folder: Path) -> pl.DataFrame:
    """Items of ml-100k: `u.item`, with the genres of `u.genre`."""
    genres = folder / "u.genre"
    names = [name for name in read_lines(genres, "|", 2)["0"] if name] if genres.exists() else []
    table = read_lines(folder / "u.item", "|", 5 + len(names))
    # each flag column gives its genre's name or nothing
    flags = [
        pl.when(pl.col(str(column)) == "1").then(pl.lit(name))
        for column, name in enumerate(names, start=5)
    ]
    return table.select(
        _ids(table["0"], folder / "u.item", "item_id"),
        pl.col("1").alias("title"),
        (pl.concat_list(flags).list.drop_nulls() if flags else pl.lit(None)).alias("genres"),
    )


def _users(path: Path, separator: str, columns: list[str]) -> pl.DataFrame | None:
    """The table of users, if there is one: ids, then attributes in the order of the file."""
    if not path.exists():
        return None
    table = read_lines(path, separator, 5)
    attributes = {name: pl.col(str(column)) for column, name in enumerate(columns, start=1)}
    attributes["age"] = attributes["age"].cast(pl.Int32, strict=False)
    return table.select(
        _ids(table["0"], path, "user_id"),
        *(attributes[name].alias(name) for name in ("age", "gender", "occupation")),
    )


def read_dat(folder: Path, empty: Empty = np.empty) -> ParsedTable:
    """ml-1m and ml-10m: `ratings.dat`, `movies.dat`, and `users.dat` where there is one."""
    path = folder / "ratings.dat"
    ratings: pl.DataFrame | PlainColumns
    if plain := read_plain(path, "::", empty=empty):
        ratings, origin = plain, Origin(path.name)
    else:
        ratings, origin = read_delimited(path, "::", RATINGS_SCHEMA)
    items = items_dat(folder) if (folder / "movies.dat").exists() else None
    users = _users(folder / "users.dat", "::", ["gender", "age", "occupation"])
    # ml-10m has half stars, ml-1m whole ones
    values = ratings.values if isinstance(ratings, PlainColumns) else ratings["rating"]
    scale = HALF_STARS if (values % 1 == 0.5).any() else WHOLE_STARS
    return ParsedTable(
        ratings,
        origin,
        items,
        Origin("movies.dat"),
        users,
        Origin("users.dat"),
        scale,
        positive_ids=True,
    )


def items_dat(folder: Path) -> pl.DataFrame:
    """Items of ml-1m and ml-10m: `movies.dat`."""
    path = folder / "movies.dat"
    table = read_lines(path, "::", 3)
    return table.select(
        _ids(table["0"], path, "item_id"),
        pl.col("1").alias("title"),
        pl.col("2").str.split("|").alias("genres"),
    )


def _ids(text: pl.Series, path: Path, name: str) -> pl.Series:
    """A column of text as whole numbers; the first that is not one is refused."""
    ids = text.cast(pl.Int64, strict=False)
    if (row := first_true(ids.is_null())) is not None:
        raise Origin(path.name).error(row, name, f"{shortened(text[row])} is not a whole number")
    return ids.alias(name)

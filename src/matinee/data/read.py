"""From a name, a folder, an archive, a file or a frame to a `Dataset`."""

import difflib
import os
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from matinee.data import cache
from matinee.data.archives import extract
from matinee.data.catalog import Catalog
from matinee.data.checks import Origin, check_ratings
from matinee.data.dataset import Dataset
from matinee.data.editions import EDITIONS, TERMS
from matinee.data.ids import encode
from matinee.data.movielens import (
    CSV_HEADER,
    Parts,
    official_masks,
    read_100k,
    read_csv_edition,
    read_dat,
)
from matinee.data.own import SUFFIXES, read_frame, read_own_file
from matinee.data.ratings import Ratings, Scale
from matinee.data.tables import header_of
from matinee.errors import DataError, SettingError
from matinee.kernels import repeated_entry
from matinee.progress import progress

DUPLICATES = ("refuse", "last", "mean")
RATINGS_FILES = ("u.data", "ratings.dat", *(f"ratings{suffix}" for suffix in SUFFIXES))


def read(
    source: Any,
    *,
    columns: Mapping[str, str] | None = None,
    scale: tuple[float, ...] | Scale | None = None,
    duplicates: str | None = None,
    name: str | None = None,
) -> Dataset:
    """Read ratings, and the movies they are about, from wherever they are.

    Parameters
    ----------
    source : str, Path or frame
        The name of a MovieLens edition or of data added to the cache; a folder; a ``.zip``
        archive as published; a file (any MovieLens layout, CSV, TSV, Parquet); or a polars or
        pandas frame.
    columns : dict, optional
        For one's own tables, which column plays which part, where it cannot be guessed:
        ``{"user": "reader", "item": "book", "stars": "grade"}``; further parts are
        `timestamp`, `title`, `genres`, `year`.
    scale : (low, high) or (low, high, step), optional
        The stars one may give. MovieLens editions know theirs; otherwise it is taken from the
        stars themselves.
    duplicates : {"refuse", "last", "mean"}, optional
        What to do when a viewer rated a movie twice: refuse the table, keep the latest (by
        time, else by row), or average. By default, like the two above, what was said when the
        data were added to the cache, else refuse.
    name : str, optional
        What to call the data set; by default the name of the folder or file.

    Raises
    ------
    DataError
        If there is no such source or it holds a bad row; the message names file, row and column.

    Examples
    --------
    >>> import polars as pl
    >>> table = pl.DataFrame({"user": ["ann", "ann", "bob"], "film": [1, 2, 1], "stars": [4, 5, 3]})
    >>> data = read(table)
    >>> len(data), data.ratings.user_ids.values.to_list(), str(data.ratings.scale)
    (3, ['ann', 'bob'], '3 to 5 in steps of 1')
    """
    path = locate(source) if isinstance(source, str | os.PathLike) else None
    kept = cache.kept_reading(path) if path else {}
    columns = columns or kept.get("columns", {})
    scale = scale or kept.get("scale")
    duplicates = duplicates or kept.get("duplicates", "refuse")
    if duplicates not in DUPLICATES:
        raise SettingError(f"duplicates is one of {', '.join(DUPLICATES)}, not {duplicates!r}.")
    if scale is not None and not isinstance(scale, Scale):
        try:
            scale = Scale(*scale)
        except TypeError:
            raise SettingError(
                f"A scale is (low, high) or (low, high, step), not {scale!r}."
            ) from None
    if path:
        with progress(f"Reading {path.name}"):
            parts = _read_path(path, columns)
        path = path.resolve()
        known = path.name.removesuffix("" if path.is_dir() else path.suffix)
        place = str(path)
    else:
        parts, known, place = read_frame(source, columns), "table", ""
    dataset = _assemble(parts, scale or parts.scale, duplicates)
    return replace(
        dataset,
        name=name or known,
        source=place,
        licence=TERMS if known in EDITIONS else "",
        reading={
            "columns": dict(columns),
            "scale": None if scale is None else [scale.low, scale.high, scale.step],
            "duplicates": duplicates,
        },
    )


def locate(source: str | os.PathLike[str]) -> Path:
    """The file or folder that a person means by a path or a name.

    Raises
    ------
    DataError
        Saying how to get an edition that is not here yet, or which names sound alike.
    """
    try:
        path = Path(source).expanduser()
        if path.exists():
            return path
    except (OSError, RuntimeError):  # too long for a path, or the home of nobody
        pass
    if found := cache.cached(str(source)):
        return found
    if str(source) in EDITIONS:
        raise DataError(
            f"{source} is not here yet. Download it: matinee data fetch {source}; "
            f"or add your copy: matinee data add {source}.zip"
        )
    if "://" in str(source):
        raise DataError(f"{source}: download it first; matinee data fetch is for editions only.")
    names = [*EDITIONS, *cache.cached_names()]
    close = difflib.get_close_matches(str(source), names, n=1)
    hint = f"Did you mean {close[0]}?" if close else "See matinee data list."
    raise DataError(f"There is no file, folder or data set {str(source)!r}. {hint}")


def _read_path(path: Path, columns: Mapping[str, str]) -> Parts:
    if path.is_dir():
        return _read_file(_ratings_file(path), columns)
    if path.suffix.lower() == ".zip":
        with tempfile.TemporaryDirectory(prefix="matinee-") as folder:
            extract(path, Path(folder))
            return _read_file(_ratings_file(Path(folder), path.name), columns)
    return _read_file(path, columns)


def _ratings_file(folder: Path, called: str | None = None) -> Path:
    """The file of ratings in a folder or one level below it."""
    for pattern in ("", "*/"):
        for file in RATINGS_FILES:
            if found := sorted(folder.glob(pattern + file)):
                return found[0]
    tables = [
        path
        for pattern in ("*", "*/*")
        for path in sorted(folder.glob(pattern))
        if path.suffix in SUFFIXES and not path.name.lower().startswith(("movies", "readme"))
    ]
    if len(tables) == 1:
        return tables[0]
    raise DataError(
        f"{called or folder}: there is no file of ratings in it "
        f"(one of {', '.join(RATINGS_FILES)}, or a single table)."
    )


def _read_file(path: Path, columns: Mapping[str, str]) -> Parts:
    """Read a file by its layout, with the movies that lie beside it."""
    if not path.is_file():
        raise DataError(f"{path}: this is not a file.")
    if path.name == "u.data":
        return read_100k(path.parent)
    if path.name == "ratings.dat":
        return read_dat(path.parent)
    if path.name == "ratings.csv" and not columns and header_of(path, ",") == CSV_HEADER:
        return read_csv_edition(path.parent)
    if path.suffix not in SUFFIXES:
        raise DataError(
            f"{path.name}: matinee reads MovieLens files and tables ({', '.join(SUFFIXES)})."
        )
    return read_own_file(path, columns)


def _assemble(parts: Parts, scale: Scale | None, duplicates: str) -> Dataset:
    """Check every row, turn ids into codes, and line movies and viewers up with them."""
    table, scale = check_ratings(parts.ratings, parts.origin, scale, parts.positive_ids)
    movie_ids = None
    if parts.movies is not None:
        movie_ids = parts.movies["item"]
        again = ~movie_ids.is_first_distinct()
        for bad, what in (
            (movie_ids.is_null(), "the cell is empty"),
            (again, "movie {} stands here for the second time"),
        ):
            if bad.any():
                row = bad.arg_max() or 0
                raise parts.movies_origin.error(row, "item", what.format(movie_ids[row]))
        if (movie_ids.dtype == pl.String) != (table["item"].dtype == pl.String):
            # "007" beside 7: text holds both
            table = table.with_columns(pl.col("item").cast(pl.String))
            movie_ids = movie_ids.cast(pl.String)
    user_ids, user = encode(table["user"])
    item_ids, item = encode(table["item"], movie_ids)
    stamps = table["timestamp"].to_numpy() if "timestamp" in table.columns else None
    ratings = Ratings(user, item, table["stars"].to_numpy(), stamps, user_ids, item_ids, scale)
    if repeated := repeated_entry(ratings.by_user):
        if duplicates == "refuse":
            raise _repeated(ratings, *repeated, parts.origin)
        if parts.official:
            raise DataError("The official splits need every pair once; these data were changed.")
        ratings = _merge(ratings, duplicates)
    viewers = None
    if parts.viewers is not None:
        viewers = pl.DataFrame({"user": user_ids.values}).join(
            parts.viewers, on="user", how="left", maintain_order="left"
        )
    return Dataset(
        ratings,
        Catalog.build(item_ids, parts.movies),
        viewers,
        official=official_masks(parts.official, table["user"], table["item"]),
    )


def _repeated(ratings: Ratings, user: int, item: int, origin: Origin) -> DataError:
    first, again = ((ratings.user == user) & (ratings.item == item)).nonzero()[0][:2]
    return origin.error(
        int(again),
        "item",
        f"viewer {ratings.user_ids.values[user]} rated movie {ratings.item_ids.values[item]} "
        f"already in row {int(first) + origin.first_row}",
        'Keep one: duplicates="last" or "mean" (--duplicates last)',
    )


def _merge(ratings: Ratings, how: str) -> Ratings:
    """One rating for each (viewer, movie), in the order of first appearance."""
    table = pl.DataFrame({"user": ratings.user, "item": ratings.item, "stars": ratings.stars})
    latest = [pl.col("stars").last()]
    if ratings.timestamp is not None:
        table = table.with_columns(timestamp=pl.Series(ratings.timestamp))
        latest = [
            pl.col("stars").sort_by("timestamp", maintain_order=True).last(),
            pl.col("timestamp").max(),
        ]
    if how == "mean":
        latest[0] = pl.col("stars").mean()
    merged = table.group_by("user", "item", maintain_order=True).agg(latest)
    stars = merged["stars"].cast(pl.Float32).to_numpy()
    between_steps = not ratings.scale.holds(stars).all()
    return replace(
        ratings,
        user=merged["user"].to_numpy(),
        item=merged["item"].to_numpy(),
        stars=stars,
        timestamp=merged["timestamp"].to_numpy() if ratings.timestamp is not None else None,
        scale=replace(ratings.scale, step=0.0) if between_steps else ratings.scale,
    )

"""From a name, a folder, an archive, a file or a frame to a `Dataset`."""

import difflib
import os
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from matinee.data import cache
from matinee.data.archives import extract
from matinee.data.builder import ParsedTable, build_dataset
from matinee.data.dataset import Dataset
from matinee.data.delimited import header_of
from matinee.data.movielens import (
    CSV_HEADER,
    EDITIONS,
    TERMS,
    read_100k,
    read_csv_edition,
    read_dat,
)
from matinee.data.parsed_cache import read_through
from matinee.data.ratings import RatingScale
from matinee.data.tables import SUFFIXES, read_frame, read_table
from matinee.errors import DataError, SettingError
from matinee.kernels.csr import Empty
from matinee.progress import progress

DUPLICATES = ("error", "last", "mean")
RATINGS_FILES = ("u.data", "ratings.dat", *(f"ratings{suffix}" for suffix in SUFFIXES))


def read(
    source: Any,
    *,
    columns: Mapping[str, str] | None = None,
    scale: tuple[float, ...] | RatingScale | None = None,
    duplicates: str | None = None,
    name: str | None = None,
) -> Dataset:
    """Read ratings, and the items they are about.

    Raises DataError if there is no such source or it holds a bad row; the message names file, row
    and column.

    Parameters
    ----------
    source : str, Path or frame
        The name of a MovieLens edition or of data added to the cache; a folder; a ``.zip``
        archive as published; a file (any MovieLens layout, CSV, TSV, Parquet, Arrow); or a polars
        or pandas frame.
    columns : dict, optional
        For tables of your own, the name of a column where it cannot be guessed:
        ``{"user_id": "reader", "item_id": "book", "rating": "grade"}``; also `timestamp`, `title`,
        `genres` and `year`.
    scale : (low, high) or (low, high, step), optional
        The ratings one may give. MovieLens editions know theirs; otherwise it is inferred from
        the ratings.
    duplicates : {"error", "last", "mean"}, optional
        What to do if a user rated an item twice: refuse the table, keep the latest (by time, else
        by row), or average. By default, as for the two arguments above, what was chosen when
        the data were added to the cache, else ``"error"``.
    name : str, optional
        What to call the data set; by default the name of the folder or file.

    Examples
    --------
    >>> import polars as pl
    >>> users, films = ["ann", "ann", "bob"], [1, 2, 1]
    >>> data = read(pl.DataFrame({"user": users, "film": films, "rating": [4, 5, 3]}))
    >>> len(data), data.ratings.user_ids.values.to_list(), str(data.ratings.scale)
    (3, ['ann', 'bob'], '3 to 5 in steps of 1')
    """
    path = locate(source) if isinstance(source, str | os.PathLike) else None
    columns, scale, duplicates = _options(path, columns, scale, duplicates)
    reading = {
        "columns": dict(columns),
        "scale": None if scale is None else [scale.low, scale.high, scale.step],
        "duplicates": duplicates,
    }
    if path is None:
        dataset = build_dataset(read_frame(source, columns), scale, duplicates)
        return replace(dataset, name=name or dataset.name, reading=reading)
    dataset = _read_path(path, columns, scale, duplicates, reading)
    path = path.resolve()
    stem = path.name if path.is_dir() else path.name.removesuffix(path.suffix)
    licence = TERMS if stem in EDITIONS else ""
    return replace(dataset, name=name or stem, source=str(path), licence=licence, reading=reading)


def _options(
    path: Path | None,
    columns: Mapping[str, str] | None,
    scale: tuple[float, ...] | RatingScale | None,
    duplicates: str | None,
) -> tuple[Mapping[str, str], RatingScale | None, str]:
    """The options of `read`, with those stored beside the data as defaults."""
    stored = cache.stored_reading(path) if path else {}
    scale = scale or stored.get("scale")
    duplicates = duplicates or stored.get("duplicates", "error")
    if duplicates not in DUPLICATES:
        valid = ", ".join(map(repr, DUPLICATES))
        raise SettingError(f"duplicates must be one of {valid}, got {duplicates!r}.")
    if scale is not None and not isinstance(scale, RatingScale):
        try:
            scale = RatingScale(*scale)
        except TypeError:
            expected = "(low, high) or (low, high, step)"
            raise SettingError(f"scale must be {expected}, got {scale!r}.") from None
    return columns or stored.get("columns", {}), scale, duplicates


def _read_path(
    path: Path,
    columns: Mapping[str, str],
    scale: RatingScale | None,
    duplicates: str,
    reading: Mapping[str, Any],
) -> Dataset:
    """Read a file or folder through the cache of parsed data."""
    file = _ratings_file(path) if path.is_dir() else path

    def read_file(empty: Empty) -> Dataset:
        parsed = _parse_file(file, columns, empty)
        return build_dataset(parsed, scale or parsed.scale, duplicates, empty)

    with progress(f"Reading {path.name}"):
        return read_through(file, reading, read_file)


def locate(source: str | os.PathLike[str]) -> Path:
    """The file or folder that a person means by a path or a name."""
    try:
        path = Path(source).expanduser()
        if path.exists():
            return path
    except (OSError, RuntimeError):  # too long for a path, or the home of an unknown user
        pass
    name = str(source)
    if cached_path := cache.cached(name):
        return cached_path
    if name in EDITIONS:
        raise DataError(
            f"{name} is not on this machine. Download it: matinee data fetch {name}; "
            f"or add your copy: matinee data add {name}.zip"
        )
    if "://" in name:
        raise DataError(f"{name}: download it first; matinee data fetch is for editions only.")
    close = difflib.get_close_matches(name, [*EDITIONS, *cache.cached_names()], n=1)
    hint = f"Did you mean {close[0]}?" if close else "See matinee data list."
    raise DataError(f"There is no file, folder or data set {name!r}. {hint}")


def _ratings_file(folder: Path, label: str | None = None) -> Path:
    """The file of ratings in a folder or one level below it; `label` is its name in messages."""
    for pattern in ("", "*/"):
        for file in RATINGS_FILES:
            if matches := sorted(folder.glob(pattern + file)):
                return matches[0]
    tables = [
        path
        for pattern in ("*", "*/*")
        for path in sorted(folder.glob(pattern))
        if path.suffix in SUFFIXES and not path.name.lower().startswith(("movies", "readme"))
    ]
    if len(tables) == 1:
        return tables[0]
    raise DataError(
        f"{label or folder}: there is no file of ratings in it "
        f"(one of {', '.join(RATINGS_FILES)}, or a single table)."
    )


def _parse_file(path: Path, columns: Mapping[str, str], empty: Empty) -> ParsedTable:
    """Read a file by its layout, with the items that are beside it."""
    if not path.is_file():
        raise DataError(f"{path}: this is not a file.")
    if path.suffix.lower() == ".zip":
        with tempfile.TemporaryDirectory(prefix="matinee-") as folder:
            extract(path, Path(folder))
            return _parse_file(_ratings_file(Path(folder), path.name), columns, empty)
    if path.name == "u.data":
        return read_100k(path.parent)
    if path.name == "ratings.dat":
        return read_dat(path.parent, empty)
    if path.name == "ratings.csv" and not columns and header_of(path, ",") == CSV_HEADER:
        return read_csv_edition(path.parent, empty)
    if path.suffix not in SUFFIXES:
        raise DataError(
            f"{path.name}: must be a MovieLens file or a table ({', '.join(SUFFIXES)})."
        )
    return read_table(path, columns, empty)

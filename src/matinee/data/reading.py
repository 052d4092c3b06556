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
from matinee.data.builder import assemble
from matinee.data.dataset import Dataset
from matinee.data.delimited import header_of
from matinee.data.movielens import (
    CSV_HEADER,
    EDITIONS,
    TERMS,
    ParsedTable,
    read_100k,
    read_csv_edition,
    read_dat,
)
from matinee.data.parsed_cache import prepared
from matinee.data.ratings import RatingScale
from matinee.data.tables import SUFFIXES, read_frame, read_own_file
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
    """Read ratings, and the movies they are about, from wherever they are.

    Parameters
    ----------
    source : str, Path or frame
        The name of a MovieLens edition or of data added to the cache; a folder; a ``.zip``
        archive as published; a file (any MovieLens layout, CSV, TSV, Parquet); or a polars or
        pandas frame.
    columns : dict, optional
        For one's own tables, which column plays which part, where it cannot be guessed:
        ``{"user_id": "reader", "item_id": "book", "rating": "grade"}``; further parts are
        `timestamp`, `title`, `genres`, `year`.
    scale : (low, high) or (low, high, step), optional
        The stars one may give. MovieLens editions know theirs; otherwise it is taken from the
        stars themselves.
    duplicates : {"error", "last", "mean"}, optional
        What to do when a user rated a movie twice: refuse the table, keep the latest (by
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
    >>> table = pl.DataFrame({"user_id": ["ann", "ann", "bob"], "film": [1, 2, 1], "rating": [4, 5, 3]})
    >>> data = read(table)
    >>> len(data), data.ratings.user_ids.values.to_list(), str(data.ratings.scale)
    (3, ['ann', 'bob'], '3 to 5 in steps of 1')
    """
    path = locate(source) if isinstance(source, str | os.PathLike) else None
    kept = cache.kept_reading(path) if path else {}
    columns = columns or kept.get("columns", {})
    scale = scale or kept.get("scale")
    duplicates = duplicates or kept.get("duplicates", "error")
    if duplicates not in DUPLICATES:
        raise SettingError(f"duplicates is one of {', '.join(DUPLICATES)}, not {duplicates!r}.")
    if scale is not None and not isinstance(scale, RatingScale):
        try:
            scale = RatingScale(*scale)
        except TypeError:
            raise SettingError(
                f"A scale is (low, high) or (low, high, step), not {scale!r}."
            ) from None
    reading = {
        "columns": dict(columns),
        "scale": None if scale is None else [scale.low, scale.high, scale.step],
        "duplicates": duplicates,
    }
    if path:
        file = _ratings_file(path) if path.is_dir() else path

        def prepare(empty: Empty) -> Dataset:
            parts = _read_file(file, columns, empty)
            return assemble(parts, scale or parts.scale, duplicates, empty)

        with progress(f"Reading {path.name}"):
            dataset = prepared(file, reading, prepare)
        path = path.resolve()
        known = path.name.removesuffix("" if path.is_dir() else path.suffix)
        place = str(path)
    else:
        parts, known, place = read_frame(source, columns), "table", ""
        dataset = assemble(parts, scale, duplicates)
    return replace(
        dataset,
        name=name or known,
        source=place,
        licence=TERMS if known in EDITIONS else "",
        reading=reading,
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


def _read_file(path: Path, columns: Mapping[str, str], empty: Empty) -> ParsedTable:
    """Read a file by its layout, with the movies that lie beside it."""
    if not path.is_file():
        raise DataError(f"{path}: this is not a file.")
    if path.suffix.lower() == ".zip":
        with tempfile.TemporaryDirectory(prefix="matinee-") as folder:
            extract(path, Path(folder))
            return _read_file(_ratings_file(Path(folder), path.name), columns, empty)
    if path.name == "u.data":
        return read_100k(path.parent)
    if path.name == "ratings.dat":
        return read_dat(path.parent, empty)
    if path.name == "ratings.csv" and not columns and header_of(path, ",") == CSV_HEADER:
        return read_csv_edition(path.parent, empty)
    if path.suffix not in SUFFIXES:
        raise DataError(
            f"{path.name}: matinee reads MovieLens files and tables ({', '.join(SUFFIXES)})."
        )
    return read_own_file(path, columns, empty)

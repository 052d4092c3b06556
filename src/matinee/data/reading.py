"""From a name, a folder, an archive, files or tables in memory to a `Dataset`."""

import difflib
import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from matinee.data import cache
from matinee.data.archives import extract
from matinee.data.builder import ParsedTable, build_dataset
from matinee.data.compression import Scratch
from matinee.data.dataset import Dataset
from matinee.data.forks import check_threads
from matinee.data.movielens import EDITIONS, TERMS, read_100k, read_dat
from matinee.data.parsed_cache import read_through
from matinee.data.ratings import RatingScale
from matinee.data.reading_options import ReadingOptions
from matinee.data.sources import Sources, check_file, find, matches, stem_of
from matinee.data.tables import TableReader
from matinee.errors import DataError, bounded, cut, shortened
from matinee.kernels.csr import Empty
from matinee.progress import progress
from matinee.storage.atomic import read_steadily

log = logging.getLogger(__name__)


def read(
    source: Any,
    *,
    columns: Mapping[str, str | None] | None = None,
    scale: tuple[float, ...] | RatingScale | None = None,
    duplicates: str | None = None,
    event_weights: Mapping[str, float] | None = None,
    missing: float | str | Sequence[float | str] | None = None,
    time_format: str | None = None,
    items: Any = None,
    users: Any = None,
    name: str | None = None,
) -> Dataset:
    """Read ratings, or interactions without ratings, and the users and items they are about.

    Raises DataError if there is no such source or it holds a bad row; the message names file, row
    and column. Options that are not given are those with which the data were added to the cache.

    Parameters
    ----------
    source : str, Path or table
        The name of a MovieLens edition or of data added to the cache; a file (CSV, TSV, JSON lines,
        Parquet, Arrow, any MovieLens layout; compressed, too); a folder; a pattern such as
        ``"part-*.parquet"``; a ``.zip`` archive as published. Or in memory: a polars or pandas
        frame or anything with Arrow's interface; a pandas Series by user and item; a dict of
        columns; a list of dicts, or of tuples (user, item, rating, time); an array of such
        columns; a scipy sparse matrix (users by items; what it stores are ratings if there is a
        `scale`, else weights).
    columns : dict, optional
        The name of a column where it cannot be guessed: ``{"user_id": "reader", "item_id":
        "book", "rating": "grade"}``; also `timestamp`, `weight`, `event`, `title`, `genres` and
        `year`. Names are given once for all tables; ``"items.item_id"`` is for that of the items
        alone. None leaves an optional column out. Without a header, columns are named by
        position: ``{"user_id": "1", "item_id": "2"}``.
    scale : (low, high) or (low, high, step), optional
        The ratings one may give. By default that of the edition, or inferred from the ratings.
    duplicates : {"error", "sum", "last", "mean"}, optional
        What to do with a pair of user and item that is repeated: refuse the table (by default,
        where there are ratings), add up (by default, where there are none), keep the latest (by
        time, else by row), or average.
    event_weights : dict, optional
        For interactions with a column of events, how much each counts: ``{"view": 1, "cart": 3}``.
        Rows of weight 0 are left out.
    missing : float, str or several, optional
        Ratings that mean "not rated", as in ``missing=-1``; ``""`` is an empty cell. Their rows
        are left out; if no row is left, all of them are interactions.
    time_format : str, optional
        The form of times, as in ``"%d/%m/%Y"``, or the unit of numbers: ``"s"``, ``"ms"``,
        ``"us"``, ``"ns"``. By default ISO dates and a few others are known, and numbers are
        seconds, milli-, micro- or nanoseconds by their magnitude.
    items, users : path or table, optional
        What is known of each item, of each user: an id, and any further columns. By default the
        file ``movies.*`` or ``items.*``, and ``users.*``, beside the ratings.
    name : str, optional
        What to call the data set; by default the name of the folder or file.

    Examples
    --------
    >>> import polars as pl
    >>> watched = {"user": ["ann", "ann", "bob"], "film": [1, 2, 1]}
    >>> data = read(pl.DataFrame(watched | {"rating": [4, 5, 3]}))
    >>> len(data), data.ratings.user_ids.values.to_list(), str(data.ratings.scale)
    (3, ['ann', 'bob'], '3 to 5 in steps of 1')
    >>> read(pl.DataFrame(watched))
    Dataset('table', 2 users, 2 items, 3 interactions)
    """
    check_threads("Reading data")
    path = locate(source) if isinstance(source, str | os.PathLike) else None
    given = {
        "columns": columns or None, "scale": scale, "duplicates": duplicates,
        "event_weights": event_weights, "missing": missing, "time_format": time_format,
        "items": _path_of(items, "items"), "users": _path_of(users, "users"),
    }  # fmt: skip
    given = {option: value for option, value in given.items() if value is not None}
    if path is None:
        options = ReadingOptions.of(given)
        tables = _Described(items, users, options)
        with Scratch() as scratch:
            reader = TableReader(options, scratch)
            parsed = reader.read_frame(source, tables.items, tables.users)
            dataset = build_dataset(parsed, options)
        return replace(dataset, name=str(name or dataset.name), reading=options.to_dict())

    def read_stored(path: Path = path) -> tuple[Dataset, _Described, dict[str, Any]]:
        options = ReadingOptions.of(cache.stored_reading(path) | given)
        tables = _Described(items, users, options)
        return _read_path(path, options, tables), tables, options.to_dict()

    started = time.monotonic()
    dataset, tables, reading = read_steadily(path, read_stored)
    seconds = time.monotonic() - started
    size = f"{len(dataset):,} {dataset.unit}s"
    log.info("read %s from %s in %.1f s", size, bounded(str(path)), seconds)
    path = path.resolve()
    folder = path if path.is_dir() else path.parent  # of a pattern
    stem = stem_of(path) if path.is_file() else folder.name
    return replace(
        dataset,
        name=str(name or stem),
        source="" if tables.in_memory else str(path),
        licence=TERMS if stem in EDITIONS else "",
        reading=reading,
    )


class _Described:
    """The tables of items and users that are given: paths, or tables in memory."""

    def __init__(self, items: Any, users: Any, options: ReadingOptions) -> None:
        self.items = Path(options.items) if options.items else items
        self.users = Path(options.users) if options.users else users
        given = (self.items, self.users)
        self.paths = tuple(table for table in given if isinstance(table, Path))
        self.in_memory = any(table is not None and not isinstance(table, Path) for table in given)


def _path_of(table: Any, argument: str) -> str | None:
    """The whole path of a table of items or users; None if it is not given, or in memory."""
    if not isinstance(table, str | os.PathLike):
        return None
    try:
        path = Path(table).expanduser().resolve()
        if path.is_file():
            return str(path)
    except (OSError, RuntimeError, ValueError):
        pass
    raise DataError(f"{argument}: there is no file {shortened(str(table))}.")


def _read_path(path: Path, options: ReadingOptions, tables: _Described) -> Dataset:
    """Read files through the cache of parsed data."""
    is_archive = path.suffix.lower() == ".zip" and path.exists() and not path.is_dir()
    sources = Sources((path,)) if is_archive else find(path)
    for file in (*sources.files, *tables.paths):
        check_file(file)

    def read_files(empty: Empty) -> Dataset:
        with Scratch() as scratch:
            found = sources
            if is_archive:
                folder = scratch.new_folder()
                extract(path, folder)
                found = find(folder, path.name)
            parsed = _parse(found, options, tables, scratch, empty)
            return build_dataset(parsed, options, empty)

    with progress(f"Reading {path.name}"), _named_in_errors(path):
        if tables.in_memory:
            return read_files(np.empty)
        files = (*sources.files, *tables.paths)
        return read_through(path, files, options.to_dict(), read_files)


@contextmanager
def _named_in_errors(path: Path) -> Iterator[None]:
    """What a disk refuses in the midst of reading, said of the source: no file is named there."""
    try:
        yield
    except OSError as problem:
        if problem.errno is None or problem.filename is not None:
            raise
        raise DataError(f"{path}: cannot be read ({problem.strerror}).") from None


def _parse(
    sources: Sources, options: ReadingOptions, tables: _Described, scratch: Scratch, empty: Empty
) -> ParsedTable:
    """Read files by their layout."""
    path = sources.ratings[0]
    reader = TableReader(options, scratch)
    if path.name == "u.data":
        return reader.describe(read_100k(path.parent), tables.items, tables.users)
    if path.name == "ratings.dat" and is_movielens(path):
        return reader.describe(read_dat(path.parent, empty), tables.items, tables.users)
    return reader.read(sources, tables.items, tables.users, empty)


def is_movielens(path: Path) -> bool:
    """Whether a file called `ratings.dat` has the separator of the editions."""
    with path.open("rb") as file:
        line = file.readline(1000)
    return b"::" in line or not line.strip()


def locate(source: str | os.PathLike[str]) -> Path:
    """The file or folder that a person means by a path or a name; a pattern stays one."""
    try:
        path = Path(source).expanduser()
        if path.exists() or matches(path):
            return path
    except (OSError, RuntimeError, ValueError):  # too long, a zero byte, an unknown user's home
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
        raise DataError(f"{cut(name)}: download it first; matinee data fetch is for editions only.")
    close = difflib.get_close_matches(name[:200], [*EDITIONS, *cache.cached_names()], n=1)
    hint = f"Did you mean {close[0]}?" if close else "See matinee data list."
    raise DataError(f"There is no file, folder or data set {shortened(name)}. {hint}")

"""Large data sets, prepared once: checked, coded and sorted both ways, in files to be mapped.

An entry is a folder below ``.prepared/`` in the cache folder, named by the file of ratings and how
it is read. It holds ``N.npy`` for each array, ``NAME.parquet`` for each table, and
``manifest.json``, which says what is what, what the source looked like, and how each file adds up.
It is good for nothing but speed: what is missing, stale, damaged or of another version is made
anew without a word, and where the cache cannot be written, all goes on in memory.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from matinee._types import Array
from matinee.data.cache import BESIDE, cache_folder
from matinee.data.catalog import Catalog
from matinee.data.dataset import Dataset
from matinee.data.id_map import IdMap
from matinee.data.ratings import Ratings, RatingScale
from matinee.kernels.csr import Empty, Rows, checksum_words, release, slices
from matinee.kernels.parallel import run_blocks
from matinee.storage.atomic import new_folder

FORMAT = 1
KEPT_FROM = 32 * 2**20  # bytes of the source; smaller ones are read in well under a second
KEPT = 4  # entries; the one not used for longest goes first
COLUMNS = {"user_id": np.int32, "item_id": np.int32, "rating": np.float32, "timestamp": np.int64}
FIELDS = ("user", "item", "values", "timestamp")  # the columns, as `Ratings` calls them
WAYS = ("by_user", "by_item")
ROWS = {"indptr": np.int64, "indices": np.int32, "values": np.float32}
ARRAYS = COLUMNS | {f"{way}.{part}": ROWS[part] for way in WAYS for part in ROWS}
BROKEN = (OSError, ValueError, KeyError, TypeError, AttributeError, pl.exceptions.PolarsError)
"""All that reading an entry raises if it is not as it was written."""

Array = Array


def prepared(
    file: Path, reading: Mapping[str, Any], prepare: Callable[[Empty], Dataset]
) -> Dataset:
    """What `prepare` makes of the ratings in `file`, from the cache if it was made before.

    Parameters
    ----------
    file : Path
        The file of ratings, or the archive it is in.
    reading : dict
        Options it is read with.
    prepare : callable
        Reads the file into arrays from the given maker; raises whatever is wrong with it.
    """
    file = file.resolve()
    if file.stat().st_size < KEPT_FROM or file.name == "u.data":  # which has official splits
        return prepare(np.empty)
    key = repr([str(file), dict(reading)])
    entry = _shelf() / hashlib.sha256(key.encode()).hexdigest()[:32]
    stamp = _stamp(file)
    with suppress(*BROKEN):
        return _load(entry, stamp)
    try:
        # checksums tell after a power cut what was not on disk yet, so nobody waits for the disk
        with new_folder(entry, durable=False) as folder:
            _write(_Arrays(folder), prepare, stamp)
        _remove_unused()
        return _load(entry, stamp, trusted=True)
    except OSError:  # nowhere to write, or no room
        dataset = prepare(np.empty)
        # both orders are made again when asked for, where all must stay in memory
        return replace(dataset, ratings=replace(dataset.ratings))


def clear() -> int:
    """Remove all entries; what was prepared is prepared anew when needed. Returns bytes freed."""
    files = [path for path in _shelf().rglob("*") if path.is_file()]
    freed = sum(path.stat().st_size for path in files)
    shutil.rmtree(_shelf(), ignore_errors=True)
    return freed


def _shelf() -> Path:
    return cache_folder() / ".prepared"  # no name for a data set


def _stamp(file: Path) -> dict[str, list[int]]:
    """By what a change of the file, or of one that is read beside it, shows."""
    stamp = {}
    for path in (file, *(file.with_name(name) for name in BESIDE)):
        with suppress(OSError):
            found = path.stat()
            stamp[path.name] = [found.st_ino, found.st_size, found.st_mtime_ns]
    return stamp


def _remove_unused() -> None:
    used = sorted(_shelf().glob("*/manifest.json"), key=os.path.getmtime, reverse=True)
    for manifest in used[KEPT:]:
        shutil.rmtree(manifest.parent, ignore_errors=True)


class _Arrays:
    """Arrays that are files of a folder from the start, so that nothing is written twice."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mapped: list[Array] = []

    def empty(self, n: int, dtype: Any) -> Array:
        """An array of the folder; its room on disk is taken now, for later it is too late to ask.

        Raises
        ------
        OSError
            If there is no room.
        """
        path = self.folder / f"{len(self.mapped)}.npy"
        mapped = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=(n,))
        if hasattr(os, "posix_fallocate"):
            with path.open("r+b") as file:
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
        self.mapped.append(np.asarray(mapped).view(np.ndarray))
        return self.mapped[-1]

    def number_of(self, array: Array) -> int:
        """Which file holds the array, now at the latest."""
        for number, mapped in enumerate(self.mapped):
            if mapped is array:
                return number
        self.empty(len(array), array.dtype)[:] = array
        return len(self.mapped) - 1


def _write(arrays: _Arrays, prepare: Callable[[Empty], Dataset], stamp: dict[str, Any]) -> None:
    dataset = prepare(arrays.empty)
    ratings, catalog, folder = dataset.ratings, dataset.catalog, arrays.folder
    named = {name: getattr(ratings, field) for name, field in zip(COLUMNS, FIELDS, strict=True)}
    for way in WAYS:
        rows = getattr(ratings, way)
        named |= {f"{way}.{part}": getattr(rows, part) for part in Rows._fields}
    numbers = {n: arrays.number_of(array) for n, array in named.items() if array is not None}
    tables = {
        "users": pl.DataFrame({"id": ratings.user_ids.values}),
        "items": catalog.frame.with_columns(id=catalog.ids.values),
    }
    if dataset.user_attributes is not None:
        tables["user_attributes"] = dataset.user_attributes
    for name, table in tables.items():
        table.write_parquet(folder / f"{name}.parquet")
    sums = {}
    for number, array in enumerate(arrays.mapped):
        path = folder / f"{number}.npy"
        release(array)
        if number in numbers.values():
            sums[number], _, _ = _add_up(path, array)
        else:
            path.unlink()
    manifest = {
        "format": FORMAT,
        "matinee": version("matinee"),
        "stamp": stamp,
        "scale": [ratings.scale.low, ratings.scale.high, ratings.scale.step],
        "genres": catalog.genre_names,
        "arrays": {name: [number, sums[number]] for name, number in numbers.items()},
        "tables": {name: _digest(folder / f"{name}.parquet") for name in tables},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def _load(entry: Path, stamp: dict[str, Any], trusted: bool = False) -> Dataset:
    """The data set of an entry, mapped; raises one of `BROKEN` unless all is as it was written."""
    manifest = json.loads((entry / "manifest.json").read_text(encoding="utf-8"))
    expected = {"format": FORMAT, "matinee": version("matinee"), "stamp": stamp}
    if any(manifest[name] != value for name, value in expected.items()):
        raise ValueError("another version, or of what the source was before")
    tables = {}
    for name, digest in manifest["tables"].items():
        path = entry / f"{Path(name).name}.parquet"
        if _digest(path) != digest:
            raise ValueError("a damaged table")
        tables[name] = pl.read_parquet(path)
    user_ids, item_ids = IdMap(tables["users"]["id"]), IdMap(tables["items"]["id"])
    users, items = len(user_ids), len(item_ids)
    limits = {
        "user_id": users,
        "item_id": items,
        "by_user.indices": items,
        "by_item.indices": users,
    }
    arrays = {}
    for name, (number, total) in manifest["arrays"].items():
        path = entry / f"{int(number)}.npy"
        # private: writable to compiled loops, which know no other kind, but never on disk
        arrays[name] = np.lib.format.open_memmap(path, mode="c").view(np.ndarray)
        if not trusted:
            found, low, high = _add_up(path, arrays[name])
            if found != total or (name in limits and not 0 <= low <= high < limits[name]):
                raise ValueError("a damaged array, or one that leads nowhere")
    n = len(arrays["user_id"])
    lengths = {"by_user.indptr": users + 1, "by_item.indptr": items + 1}
    for name, array in arrays.items():
        if array.shape != (lengths.get(name, n),) or array.dtype != ARRAYS[name]:
            raise ValueError("an array of another kind")
        if name in lengths and not (
            array[0] == 0 and array[-1] == n and np.all(array[1:] >= array[:-1])
        ):
            raise ValueError("rows that lead nowhere")
    columns = (arrays["user_id"], arrays["item_id"], arrays["rating"], arrays.get("timestamp"))
    ratings = Ratings(*columns, user_ids, item_ids, RatingScale(*manifest["scale"])).sorted_as(
        *(Rows(*(arrays[f"{way}.{part}"] for part in Rows._fields)) for way in WAYS)
    )
    for array in arrays.values():
        release(array)
    os.utime(entry / "manifest.json")
    catalog = Catalog(item_ids, tables["items"].drop("id"), tuple(manifest["genres"]))
    return Dataset(ratings, catalog, tables.get("user_attributes"))


def _add_up(path: Path, array: Array) -> tuple[str, int, int]:
    """The checksum of a mapped array, and its least and greatest word, by reading its file.

    To read is quicker than to have each page mapped, and takes no memory.
    """
    offset = path.stat().st_size - array.nbytes

    def of_block(start: int, stop: int) -> tuple[int, ...]:
        words = np.empty(stop - start, np.int32)
        with path.open("rb", buffering=0) as file:
            file.seek(offset + 4 * start)
            if file.readinto(words.data) < words.nbytes:
                raise ValueError("the file was cut short")
        return tuple(int(one) for one in checksum_words(words, start))

    sums = run_blocks(of_block, slices(array.nbytes // 4))
    plain, weighted, low, high = zip(*sums, strict=True)
    total = f"{sum(plain) % 2**64:016x}{sum(weighted) % 2**64:016x}"
    return total, min(low), max(high)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()

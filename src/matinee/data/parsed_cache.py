"""Large data sets, parsed once: checked, coded and sorted both ways, in memory-mapped files.

Entries only save time: one that is missing, stale, damaged or of another version is rebuilt, and
where the cache cannot be written, data are read into memory.
"""

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from matinee._types import Array
from matinee.data.catalog import Catalog
from matinee.data.dataset import Dataset
from matinee.data.id_map import IdMap
from matinee.data.ratings import Ratings, RatingScale
from matinee.errors import WriteError
from matinee.kernels.codes import checksum_words, release, slices
from matinee.kernels.csr import Empty, Rows
from matinee.kernels.parallel import run_blocks
from matinee.storage.atomic import new_folder, remove_folder
from matinee.storage.cache_folder import cache_folder

FORMAT = 4
MIN_SOURCE_BYTES = 32 * 2**20  # smaller sources are read in well under a second
CHUNK = 2**20  # bytes written at a time
MAX_ENTRIES = 4  # the least recently used goes first
ORDERS = ("by_user", "by_item")
DTYPES = {
    "user": np.int32,
    "item": np.int32,
    "values": np.float32,
    "timestamp": np.int64,
    "first_timestamp": np.int64,
} | {
    f"{order}.{name}": dtype
    for order in ORDERS
    for name, dtype in zip(Rows._fields, (np.int64, np.int32, np.float32), strict=True)
}
INVALID = (
    OSError, MemoryError, ValueError, KeyError, TypeError, AttributeError,
    pl.exceptions.PolarsError,
)  # fmt: skip
"""All that loading an entry raises if it is not as it was written."""


def read_through(
    source: Path,
    files: Sequence[Path],
    reading: Mapping[str, Any],
    read_files: Callable[[Empty], Dataset],
) -> Dataset:
    """What `read_files` makes of the files of a source, from the cache if possible."""
    # ml-100k has official splits, which entries do not hold
    small = sum(file.stat().st_size for file in files) < MIN_SOURCE_BYTES
    if small or files[0].name == "u.data":
        return read_files(np.empty)
    key = repr([str(source.resolve()), dict(reading)])
    entry = _entries_folder() / hashlib.sha256(key.encode()).hexdigest()[:32]
    stamp = _stamp(files)
    with suppress(*INVALID):
        return _load(entry, stamp)
    with suppress(WriteError):  # no permission to write, or no space
        # checksums reveal what a power cut kept from the disk, so there is no waiting for it
        with new_folder(entry, durable=False, origins=files) as folder:
            _write(_MappedArrays(folder), read_files, stamp)
        _remove_unused(entry)
        with suppress(*INVALID):
            return _load(entry, stamp, trusted=True)
    dataset = read_files(np.empty)
    # without the sorted orders, which are made again when needed: all must stay in memory
    return replace(dataset, ratings=replace(dataset.ratings))


def clear() -> int:
    """Remove all entries, which are rebuilt when needed; returns the bytes freed."""
    files = [path for path in _entries_folder().rglob("*") if path.is_file()]
    freed = sum(path.stat().st_size for path in files)
    if _entries_folder().is_dir():
        remove_folder(_entries_folder())
    return freed


def _entries_folder() -> Path:
    return cache_folder() / ".parsed"  # not a valid name for a data set


def _stamp(files: Sequence[Path]) -> dict[str, list[int]]:
    """Inode, size and time of each file, by which changes show."""
    stamp = {}
    for path in files:
        with suppress(OSError):
            stat = path.stat()
            stamp[str(path.resolve())] = [stat.st_ino, stat.st_size, stat.st_mtime_ns]
    return stamp


def _remove_unused(written: Path) -> None:
    """Keep the entries used last, and the one just written, whatever the clock says."""
    manifests = _entries_folder().glob("*/manifest.json")
    others = [path for path in manifests if path.parent != written]
    for manifest in sorted(others, key=os.path.getmtime, reverse=True)[MAX_ENTRIES - 1 :]:
        remove_folder(manifest.parent)


class _MappedArrays:
    """Arrays that are files of a folder from the start, so that nothing is written twice."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.arrays: list[Array] = []

    def empty(self, n: int, dtype: Any) -> Array:
        """An array of the folder; its disk space is reserved now, or an OSError raised."""
        path = self.folder / f"{len(self.arrays)}.npy"
        mapped = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=(n,))
        with path.open("r+b") as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
            else:  # macOS: a hole in a file takes space when it is written, too late for an error
                file.seek(path.stat().st_size - mapped.nbytes)
                for start in range(0, mapped.nbytes, CHUNK):
                    file.write(bytes(min(CHUNK, mapped.nbytes - start)))
        self.arrays.append(np.asarray(mapped).view(np.ndarray))
        return self.arrays[-1]

    def number_of(self, array: Array) -> int:
        """Which file holds the array, written now if none did."""
        for number, mapped in enumerate(self.arrays):
            if mapped.ctypes.data == array.ctypes.data and mapped.nbytes == array.nbytes:
                return number
        self.empty(len(array), array.dtype)[:] = array
        return len(self.arrays) - 1


def _write(
    mapped: _MappedArrays, read_files: Callable[[Empty], Dataset], stamp: dict[str, Any]
) -> None:
    dataset = read_files(mapped.empty)
    ratings, catalog, folder = dataset.ratings, dataset.catalog, mapped.folder
    arrays = ratings.columns
    for order in ORDERS:
        rows = getattr(ratings, order)._asdict()
        arrays |= {f"{order}.{name}": array for name, array in rows.items()}
    numbers = {name: mapped.number_of(array) for name, array in arrays.items()}
    tables = {
        "users": pl.DataFrame({"user_id": ratings.user_ids.values}),
        "items": catalog.frame.with_columns(item_id=catalog.ids.values),
    }
    if dataset.user_attributes is not None:
        tables["user_attributes"] = dataset.user_attributes
    for name, table in tables.items():
        table.write_parquet(folder / f"{name}.parquet")
    checksums = {}
    for number, array in enumerate(mapped.arrays):
        path = folder / f"{number}.npy"
        release(array)
        if number in numbers.values():
            checksums[number], _, _ = _checksum(path, array.nbytes)
        else:
            path.unlink()
    manifest = {
        "format": FORMAT,
        "matinee": version("matinee"),
        "stamp": stamp,
        "scale": ratings.scale and [ratings.scale.low, ratings.scale.high, ratings.scale.step],
        "notes": dataset.notes,
        "arrays": {name: [number, checksums[number]] for name, number in numbers.items()},
        "tables": {name: _sha256(folder / f"{name}.parquet") for name in tables},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def _load(entry: Path, stamp: dict[str, Any], trusted: bool = False) -> Dataset:
    """The data set of an entry, mapped; raises one of `INVALID` unless all is as it was written."""
    manifest = json.loads((entry / "manifest.json").read_text(encoding="utf-8"))
    expected = {"format": FORMAT, "matinee": version("matinee"), "stamp": stamp}
    if any(manifest[name] != value for name, value in expected.items()):
        raise ValueError("written by another version, or of a source that has changed")
    tables = {}
    for name, digest in manifest["tables"].items():
        path = entry / f"{Path(name).name}.parquet"
        if _sha256(path) != digest:
            raise ValueError("a damaged table")
        tables[name] = pl.read_parquet(path)
    user_ids, item_ids = IdMap(tables["users"]["user_id"]), IdMap(tables["items"]["item_id"])
    arrays = _load_arrays(entry, manifest["arrays"], len(user_ids), len(item_ids), trusted)
    user, item, values = arrays["user"], arrays["item"], arrays["values"]
    scale = manifest["scale"] and RatingScale(*manifest["scale"])
    times = (arrays.get(name) for name in ("timestamp", "first_timestamp"))
    ratings = Ratings(user, item, values, next(times), user_ids, item_ids, scale, next(times))
    ratings = ratings.with_rows(
        *(Rows(*(arrays[f"{order}.{name}"] for name in Rows._fields)) for order in ORDERS)
    )
    for array in arrays.values():
        release(array)
    with suppress(OSError):  # a cache that may only be read
        os.utime(entry / "manifest.json")
    catalog = Catalog(item_ids, tables["items"].drop("item_id"))
    notes = tuple(str(note) for note in manifest["notes"])
    return Dataset(ratings, catalog, tables.get("user_attributes"), notes=notes)


def _load_arrays(
    entry: Path, files: dict[str, Any], users: int, items: int, trusted: bool
) -> dict[str, Array]:
    """The arrays of an entry, mapped; their contents are checked, too, unless `trusted`."""
    # whoever forges checksums: kernels index by codes without checking bounds
    limits = {"user": users, "item": items, "by_user.indices": items, "by_item.indices": users}
    arrays = {}
    checked = cache(_checksum)  # sorted ratings are in the order by user already: the same files
    for name, (number, expected) in files.items():
        path = entry / f"{int(number)}.npy"
        # copy on write: kernels are compiled for writable arrays, the file never changes
        arrays[name] = np.lib.format.open_memmap(path, mode="c").view(np.ndarray)
        if not trusted:
            checksum, low, high = checked(path, arrays[name].nbytes)
            if checksum != expected or (name in limits and not 0 <= low <= high < limits[name]):
                raise ValueError("a damaged array, or codes out of range")
    n = len(arrays["user"])
    lengths = {"by_user.indptr": users + 1, "by_item.indptr": items + 1}
    for name, array in arrays.items():
        if array.shape != (lengths.get(name, n),) or array.dtype != DTYPES[name]:
            raise ValueError("an array of another shape or dtype")
        if name in lengths and not (
            array[0] == 0 and array[-1] == n and np.all(array[1:] >= array[:-1])
        ):
            raise ValueError("row pointers out of range")
    return arrays


def _checksum(path: Path, n_bytes: int) -> tuple[str, int, int]:
    """The checksum of the array at the end of a file, and its smallest and largest 32-bit word."""
    offset = path.stat().st_size - n_bytes  # read: faster than mapping, and takes no memory

    def checksum_block(start: int, stop: int) -> tuple[int, ...]:
        words = np.empty(stop - start, np.int32)
        with path.open("rb", buffering=0) as file:
            file.seek(offset + 4 * start)
            if file.readinto(words.data) < words.nbytes:
                raise ValueError("the file is truncated")
        return tuple(int(part) for part in checksum_words(words, start))

    sums = run_blocks(checksum_block, slices(n_bytes // 4))
    plain, weighted, low, high = zip(*sums, strict=True)
    checksum = f"{sum(plain) % 2**64:016x}{sum(weighted) % 2**64:016x}"
    return checksum, min(low), max(high)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()

"""Which files a source is made of, as Spark names them: of this machine, or behind a URL."""

import math
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from pyspark.sql import functions as sf

from matinee.data.archives import extract
from matinee.data.compression import SUFFIXES, Scratch
from matinee.data.reading import locate
from matinee.data.sources import (
    BESIDE,
    FORMATS,
    ITEMS,
    LINES,
    RATINGS,
    TEXT,
    check_file,
    find,
    format_of,
    is_other,
    stem_of,
)
from matinee.errors import DataError, cut, shortened
from matinee.spark.session import Workspace, literal

URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
READABLE = (*TEXT, *LINES, ".parquet")
UNPACKED = (".gz", ".bz2")
"""Compressions that every Spark can unpack."""
PART_BYTES = 2**24
MOST_PARTS = 4000


@dataclass(frozen=True)
class Files:
    """The files of one source.

    `ratings` are URLs of the parts of one table, `n_bytes` their size, and `suffix` says what they
    hold. `head` is a file of this machine that begins as the first of them, with all that belongs
    to its layout beside it; it is empty where only Spark need look into them. `items` is a table
    of items.
    """

    ratings: tuple[str, ...]
    n_bytes: int
    head: Path
    items: Path | None
    name: str
    source: str

    @property
    def suffix(self) -> str:
        """The suffix that says what the files hold."""
        return format_of(self.head)

    @property
    def label(self) -> str:
        """What to call the table in messages."""
        return cut(self.head.name if len(self.ratings) == 1 else self.name)

    @property
    def n_parts(self) -> int:
        """Into how many partitions to shuffle what is in them."""
        return min(max(1, math.ceil(self.n_bytes / PART_BYTES)), MOST_PARTS)

    def shown(self, url: str) -> str:
        """A file for a message: what tells it from the others."""
        if len(self.ratings) == 1:
            return cut(_name_of(url))
        inner = [unquote(part) for part in self.ratings]
        above = os.path.commonpath([str(PurePosixPath(_path_of(part)).parent) for part in inner])
        return cut(os.path.relpath(_path_of(unquote(url)), above))


def find_files(workspace: Workspace, source: str, scratch: Scratch, items: str | None) -> Files:
    """The files of a path, a pattern, a name in the cache, or a URL that Spark can read.

    Raises DataError if there are none, or they are of a kind that Spark does not read. `items` is
    the path of a table of items, if it is given.
    """
    if URL.match(source):
        return _behind_url(workspace, source, scratch, items)
    path = locate(source)
    whole = path.resolve()
    name = stem_of(whole) if path.is_file() else (whole if path.is_dir() else whole.parent).name
    if path.suffix.lower() == ".zip" and path.is_file():
        if URL.match(workspace.folder):
            raise DataError(f"{path.name}: unpack it where all of Spark can read it.")
        path = Path(workspace.folder, "unpacked")
        path.mkdir(parents=True)
        extract(whole, path)
    try:
        found = find(path)
    except DataError:
        if not path.is_dir():
            raise
        deep = _behind_url(workspace, literal(f"file://{path.resolve()}"), scratch, items)
        return replace(deep, name=name, source=str(whole))
    urls = tuple(f"file://{file.absolute()}" for file in found.ratings)
    head = found.ratings[0]
    for file in found.ratings:
        check_file(file)
    _check_readable(head.name)
    if head.suffix.lower() in UNPACKED:
        head = _copy_of_head(workspace, urls[0], scratch)
    size = sum(file.stat().st_size for file in found.ratings)
    return Files(urls, size, head, Path(items) if items else found.items, name, str(whole))


def _behind_url(workspace: Workspace, url: str, scratch: Scratch, items: str | None) -> Files:
    """The files behind a URL: those of a folder, however deep, by the names that they have."""
    spark = workspace.spark
    listing = spark.read.format("binaryFile").option("recursiveFileLookup", "true")
    rows = listing.load(url).select("path", "length").toArrow()
    sizes = dict(zip(rows["path"].to_pylist(), rows["length"].to_pylist(), strict=True))
    tables = sorted(path for path in sizes if format_of(_pure(path)) in FORMATS)
    ratings = _ratings_among(tables)
    if not ratings:
        raise DataError(f"{shortened(url)}: there is no table of ratings in it.")
    formats = {format_of(_pure(path)) for path in ratings}
    if len(formats) > 1:
        raise DataError(
            f"{shortened(url)}: the parts of a table must have one format, got "
            f"{', '.join(sorted(formats))}. Name those of the ratings by a pattern."
        )
    _check_readable(_name_of(ratings[0]))
    head = _copy_of_head(workspace, ratings[0], scratch)
    beside = str(PurePosixPath(_path_of(ratings[0])).parent)
    near = [path for path in sizes if str(PurePosixPath(_path_of(path)).parent) == beside]
    described = None
    for path in sorted(near):
        is_items = stem_of(_pure(path)).lower() in ITEMS and path in tables
        if is_items or _name_of(path) in BESIDE.get(head.name, ()):
            content = spark.read.format("binaryFile").load(literal(path)).select("content").head()
            copy = head.with_name(_name_of(path))
            copy.write_bytes(content[0] if content else b"")
            described = copy if is_items else described
    stem = stem_of(_pure(url.rstrip("/")))
    size = sum(sizes[path] for path in ratings)
    return Files(tuple(ratings), size, head, Path(items) if items else described, stem, url)


def _ratings_among(tables: list[str]) -> list[str]:
    """Those of some tables that hold ratings, as in a folder of this machine."""
    for name in BESIDE:
        if named := [path for path in tables if _name_of(path) == name]:
            return named[:1]
    for stem in RATINGS:
        for suffix in FORMATS:
            for path in tables:
                if stem_of(_pure(path)).lower() == stem and format_of(_pure(path)) == suffix:
                    return [path]
    return [path for path in tables if not is_other(stem_of(_pure(path)).lower())]


def _copy_of_head(workspace: Workspace, url: str, scratch: Scratch) -> Path:
    """A file of this machine with the first line of a text file, empty for another format."""
    name = _name_of(url)
    for suffix in UNPACKED:
        name = name.removesuffix(suffix)
    head = scratch.new_file(name)
    content = b""
    if format_of(head) in TEXT:  # in blocks, if it is long
        begins = sf.col("_metadata.file_block_start") == 0
        first = workspace.spark.read.text(literal(url)).filter(begins).head()
        content = f"{first[0]}\n".encode() if first else b""
    head.write_bytes(content)
    return head


def _check_readable(name: str) -> None:
    """DataError for a file that Spark cannot read."""
    suffix = Path(name).suffix.lower()
    packed = suffix in SUFFIXES and suffix not in UNPACKED
    if packed or format_of(Path(name)) not in READABLE:
        raise DataError(
            f"{cut(name)}: Spark reads text ({', '.join(TEXT)}, also {' and '.join(UNPACKED)}), "
            "JSON lines and Parquet. Convert it to one of them."
        )


def _path_of(url: str) -> str:
    """The path in a URL."""
    return re.sub(r"^[^/]+:/+([^/]*)", r"/\1", url)


def _name_of(url: str) -> str:
    return unquote(url).rsplit("/", 1)[-1]


def _pure(url: str) -> Path:
    return Path(_name_of(url))

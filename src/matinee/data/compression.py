"""Compressed files, unpacked to a temporary file before they are read, and never to more bytes
than ratings could honestly hold.
"""

import bz2
import gzip
import lzma
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import polars as pl

from matinee.data.archives import allowance_of
from matinee.errors import ArchiveError, cut
from matinee.storage.hidden import fresh_folder, sweep

SUFFIXES = (".gz", ".zst", ".bz2", ".xz")
MAGIC = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"\x78\x01": "zlib",
    b"\x78\x9c": "zlib",
    b"\x78\xda": "zlib",
}
CHUNK = 2**20
ZSTD_BLOCK = 2**17  # bytes that a block unpacks to, at most
DAMAGE = (OSError, EOFError, zlib.error, lzma.LZMAError, ValueError, pl.exceptions.PolarsError)


class Scratch:
    """A temporary folder, made when it is first needed; use it as a context."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._folder: Path | None = None
        self._count = 0

    def __enter__(self) -> "Scratch":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def new_folder(self) -> Path:
        """A new, empty folder in it."""
        if self._folder is None:
            place = Path(tempfile.gettempdir(), "matinee")
            sweep(place.parent)  # what killed processes unpacked there
            self._folder = self._stack.enter_context(fresh_folder(place, mode=0o700))
        self._count += 1
        folder = self._folder / str(self._count)
        folder.mkdir()
        return folder

    def new_file(self, name: str) -> Path:
        """A path in it where there is no file yet."""
        return self.new_folder() / name

    def plain(self, path: Path) -> Path:
        """The file itself, or what it unpacks to, under its name without the suffix."""
        with path.open("rb") as file:
            start = file.read(6)
        kinds = [kind for magic, kind in MAGIC.items() if start.startswith(magic)]
        if not kinds:
            return path
        name = path.name.removesuffix(path.suffix) if path.suffix.lower() in SUFFIXES else path.name
        target, allowance = self.new_file(name), allowance_of(path)
        try:
            with target.open("wb") as out:
                for chunk in _unpacked(path, kinds[0], allowance):
                    allowance -= len(chunk)
                    if allowance < 0:
                        raise _too_much(path)
                    out.write(chunk)
        except DAMAGE as problem:
            reason = cut(str(problem).split("\n")[0], 120)
            raise ArchiveError(
                f"{path.name}: it is damaged, truncated, or does not unpack ({reason})."
            ) from None
        return target


def _too_much(path: Path) -> ArchiveError:
    return ArchiveError(f"{path.name}: it unpacks to more than ratings could hold; refused.")


def _unpacked(path: Path, kind: str, allowance: int) -> Iterator[bytes]:
    """What a compressed file holds, in pieces."""
    if kind == "zstd":
        if _zstd_bound(path.read_bytes()) > max(allowance, ZSTD_BLOCK):
            raise _too_much(path)
        yield from _unpacked_zstd(path)
        return
    if kind == "zlib":
        unpack = zlib.decompressobj()
        with path.open("rb") as file:
            while chunk := unpack.unconsumed_tail or file.read(CHUNK):
                yield unpack.decompress(chunk, CHUNK)
        if not unpack.eof:
            raise EOFError("it ends too early")
        return
    openers: dict[str, Callable[..., Any]] = {"gzip": gzip.open, "bzip2": bz2.open, "xz": lzma.open}
    with openers[kind](path, "rb") as file:
        while chunk := file.read(CHUNK):
            yield bytes(chunk)


def _unpacked_zstd(path: Path) -> Iterator[bytes]:
    """The lines of a zstd file by polars, for Python has no zstd before 3.14."""
    lines = pl.scan_csv(
        path,
        separator="\x01",  # whatever byte ends no field serves as the separator of whole lines
        has_header=False,
        schema={"line": pl.String},
        quote_char=None,
        truncate_ragged_lines=True,
        encoding="utf8",
        glob=False,
    )
    for batch in lines.collect_batches():
        yield ("\n".join(batch["line"].fill_null("").to_list()) + "\n").encode()


def _zstd_bound(content: bytes) -> int:
    """At most how many bytes a zstd file unpacks to, by the headers of its blocks (RFC 8878)."""
    bound, at = 0, 0
    while at + 5 <= len(content):
        magic = int.from_bytes(content[at : at + 4], "little")
        if magic & 0xFFFFFFF0 == 0x184D2A50:  # a frame to skip
            at += 8 + int.from_bytes(content[at + 4 : at + 8], "little")
            continue
        if magic != 0xFD2FB528:
            raise ValueError("no zstd frame")
        flags = content[at + 4]
        single = flags >> 5 & 1
        size_bytes = (single, 2, 4, 8)[flags >> 6]
        at += 5 + (1 - single) + (0, 1, 2, 4)[flags & 3] + size_bytes
        last = False
        while not last:
            header = int.from_bytes(content[at : at + 3], "little")
            if at + 3 > len(content):
                raise ValueError("it ends too early")
            last, kind, size = bool(header & 1), header >> 1 & 3, header >> 3
            bound += ZSTD_BLOCK if kind == 2 else size
            at += 3 + (1 if kind == 1 else size)
        at += 4 * (flags >> 2 & 1)
    return bound

"""What an Arrow file says of its size and shape, found before a reader believes it; see
`parquet_bounds.py` for why.

Its footer and messages are flatbuffers: a table names its fields by their numbers, and says how far
ahead each of them stands (https://arrow.apache.org/docs/format/Columnar.html).
"""

import base64
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from os import SEEK_END
from pathlib import Path

from matinee.storage.regular import open_regular

MAGIC = b"ARROW1"
MAX_DEPTH = 64  # of columns within columns: two for each list, in Parquet
MAX_MESSAGE = 2**26  # bytes of a footer or of what describes a batch
TABLE_BATCH, DICTIONARY_BATCH, SCHEMA = 3, 2, 1  # what a message may be
CONTINUES = b"\xff\xff\xff\xff"  # in front of a message


@dataclass(frozen=True)
class Bounds:
    """What reading a whole file takes at most."""

    rows: int
    values: int  # of the column that has most
    unpacked: int  # bytes of all columns


def arrow_bounds(path: Path) -> Bounds:
    """The bounds of a file; ValueError if it is none, damaged, or nested too deep."""
    with mapped(path, 24) as content:
        end = len(content) - len(MAGIC) - 4
        n_footer = int.from_bytes(content[end : end + 4], "little")
        if content[:6] != MAGIC or content[end + 4 :] != MAGIC:
            raise ValueError("its beginning or its end is missing")
        if not 0 < n_footer <= min(end - 8, MAX_MESSAGE):
            raise ValueError("its footer is missing or too large")
        try:
            return _bounds(content, content[end - n_footer : end])
        except struct.error:
            raise ValueError("a part of it points outside") from None


@contextmanager
def mapped(path: Path, least: int) -> Iterator[mmap]:
    """The bytes of a plain file; ValueError if they are fewer than `least`."""
    with open_regular(path) as file:
        if file.seek(0, SEEK_END) < least:
            raise ValueError("it is too short")
        with mmap(file.fileno(), 0, access=ACCESS_READ) as content:
            yield content


def check_schema(encoded: bytes) -> None:
    """ValueError if a schema, as Parquet files hold it besides their own, is nested too deep."""
    try:
        message = base64.b64decode(encoded, validate=True)
        start = 8 if message.startswith(CONTINUES) else 4
        root = _Table.root(message[start:])
        if root.number(1, "<B") != SCHEMA:
            raise ValueError("its schema makes no sense")
        _check_fields(root.table(2), len(message))
    except struct.error:
        raise ValueError("its schema makes no sense") from None


def _bounds(content: mmap, footer: bytes) -> Bounds:
    root = _Table.root(footer)
    _check_fields(root.table(1), len(footer))
    rows = values = unpacked = 0
    for number in (2, 3):  # dictionaries, batches of rows
        for place in root.structs(number, 24):
            offset, n_message, _, n_body = struct.unpack_from("<qiiq", footer, place)
            body = offset + n_message
            inside = 8 <= offset <= body <= body + n_body <= len(content)
            if not (inside and 8 <= n_message <= MAX_MESSAGE):
                raise ValueError("a batch is not inside the file")
            start = 8 if content[offset : offset + 4] == CONTINUES else 4
            message = content[offset + start : body]
            batch = _Table.root(message).table(2)
            if _Table.root(message).number(1, "<B") == DICTIONARY_BATCH:
                batch = batch.table(1)
            rows += batch.number(0, "<q") if number == 3 else 0
            lengths = [struct.unpack_from("<q", message, at)[0] for at in batch.structs(1, 16)]
            values += max([0, *lengths])
            if min([0, *lengths, batch.number(0, "<q")]) < 0:
                raise ValueError("a batch of negative length")
            unpacked += sum(_buffer_sizes(content, message, batch, body, n_body))
    return Bounds(rows, max(rows, values), unpacked)


def _buffer_sizes(
    content: mmap, message: bytes, batch: "_Table", body: int, n_body: int
) -> Iterator[int]:
    """Bytes that each buffer of a batch unpacks to."""
    packed = batch.has(3)
    for at in batch.structs(2, 16):
        offset, length = struct.unpack_from("<qq", message, at)
        if not 0 <= offset <= offset + length <= n_body:
            raise ValueError("a buffer is not inside its batch")
        size = length
        if packed and length:
            if length < 8:
                raise ValueError("a buffer is too short")
            size = struct.unpack_from("<q", content, body + offset)[0]
            size = length if size == -1 else size
        if size < 0:
            raise ValueError("a buffer of negative size")
        yield size


def _check_fields(schema: "_Table", limit: int) -> None:
    """ValueError if columns nest too deep; as many as `limit` are looked at."""
    waiting = [(field, 1) for field in schema.tables(1)]
    seen = 0
    while waiting:
        field, depth = waiting.pop()
        seen += 1
        if depth > MAX_DEPTH:
            raise ValueError(f"its columns are nested more than {MAX_DEPTH} deep")
        if seen > limit:
            raise ValueError("its schema makes no sense")
        waiting += [(child, depth + 1) for child in field.tables(5)]


@dataclass(frozen=True)
class _Table:
    """A table of a flatbuffer; struct.error where it points outside."""

    content: bytes
    place: int

    @classmethod
    def root(cls, content: bytes) -> "_Table":
        return cls(content, struct.unpack_from("<I", content)[0])

    def _field(self, number: int) -> int:
        """Where a field stands; 0 if the table lacks it."""
        fields = self.place - struct.unpack_from("<i", self.content, self.place)[0]
        if fields < 0:
            raise struct.error("before the beginning")
        if 4 + 2 * number >= struct.unpack_from("<H", self.content, fields)[0]:
            return 0
        offset = struct.unpack_from("<H", self.content, fields + 4 + 2 * number)[0]
        return self.place + offset if offset else 0

    def has(self, number: int) -> bool:
        return self._field(number) > 0

    def number(self, number: int, form: str) -> int:
        """A field that is a number, 0 by default."""
        place = self._field(number)
        return int(struct.unpack_from(form, self.content, place)[0]) if place else 0

    def table(self, number: int) -> "_Table":
        """A field that is a table, which must be there."""
        place = self._field(number)
        if not place:
            raise struct.error("a table is missing")
        return _Table(self.content, place + struct.unpack_from("<I", self.content, place)[0])

    def structs(self, number: int, size: int) -> range:
        """Where the entries of a list stand, each of so many bytes."""
        place = self._field(number)
        if not place:
            return range(0)
        place += struct.unpack_from("<I", self.content, place)[0]
        count = struct.unpack_from("<I", self.content, place)[0]
        if place + 4 + count * size > len(self.content):
            raise struct.error("a list is too long")
        return range(place + 4, place + 4 + count * size, size)

    def tables(self, number: int) -> list["_Table"]:
        """The entries of a list of tables."""
        return [
            _Table(self.content, place + struct.unpack_from("<I", self.content, place)[0])
            for place in self.structs(number, 4)
        ]

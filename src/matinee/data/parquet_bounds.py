"""What a Parquet file says of its size and shape, found before a reader believes it: a few bytes
may announce billions of rows, unpack to gigabytes, or nest so deep that the reader crashes.

Footer and page headers are structs of Thrift's compact protocol, and nothing is decoded but them
(https://github.com/apache/parquet-format). Sizes are taken from the headers of all pages, for the
footer need not tell the truth about them.
"""

from collections.abc import Iterator
from mmap import mmap
from pathlib import Path
from typing import Any

from matinee.data.arrow_bounds import MAX_DEPTH, Bounds, check_schema, mapped

MAGIC = b"PAR1"
MAX_FOOTER = 2**26  # bytes; a table of twenty thousand columns has two million
MAX_NESTING = 16  # of structs within structs: those of Parquet have half of it
STOP, TRUE, FALSE, BYTE, I64, DOUBLE, BINARY, LIST, STRUCT = 0, 1, 2, 3, 6, 7, 8, 9, 12
SCHEMA, ROWS, GROUPS, PAIRS = 2, 3, 4, 5  # fields of the footer
DATA_PAGE, DICTIONARY_PAGE, DATA_PAGE_2 = 5, 7, 8  # fields of the header of a page


def parquet_bounds(path: Path) -> Bounds:
    """The bounds of a file; ValueError if it is none, damaged, or nested too deep."""
    with mapped(path, 12) as content:
        return _bounds(content)


def _bounds(content: mmap) -> Bounds:
    end = len(content) - 8
    n_footer = int.from_bytes(content[end : end + 4], "little")
    if content[:4] != MAGIC or content[end + 4 :] != MAGIC or not 0 < n_footer <= end - 4:
        raise ValueError("its footer is missing")
    if n_footer > MAX_FOOTER:
        raise ValueError("its footer is too large")
    try:
        footer, _ = _Reader(content[end - n_footer : end]).struct()
        _check_schema(footer[SCHEMA])
        for pair in footer.get(PAIRS, ()):
            if pair[1] == b"ARROW:schema":  # which readers believe rather than the other
                check_schema(pair[2])
        rows, values, unpacked = footer[ROWS], 0, 0
        if rows != sum(group[3] for group in footer[GROUPS]):
            raise ValueError("its row groups have another number of rows")
        columns: dict[int, int] = {}
        for group in footer[GROUPS]:
            for position, column in enumerate(group[1]):
                count, size = _column_bounds(content, column[3], end - n_footer)
                columns[position] = columns.get(position, 0) + count
                unpacked += size
        values = max(columns.values(), default=0)
    except (LookupError, TypeError, AttributeError):
        raise ValueError("its footer makes no sense") from None
    return Bounds(rows, values, unpacked)


def _check_schema(elements: list[dict[int, Any]]) -> None:
    """ValueError unless elements, each followed by its children, make one tree of few levels."""
    waiting = [1]  # children that are still to come, by level
    for element in elements:
        while waiting and waiting[-1] == 0:
            waiting.pop()
        if not waiting:
            raise ValueError("its schema makes no sense")
        waiting[-1] -= 1
        children = element.get(5, 0)
        if children < 0:
            raise ValueError("its schema makes no sense")
        waiting.append(children)
        if len(waiting) > MAX_DEPTH:
            raise ValueError(f"its columns are nested more than {MAX_DEPTH} deep")
    if any(waiting):
        raise ValueError("its schema makes no sense")


def _column_bounds(content: mmap, column: dict[int, Any], end: int) -> tuple[int, int]:
    """Values and bytes of the pages of a column in a row group, by their headers."""
    start = column[9]
    if 0 < column.get(11, 0) < start:  # dictionaries come first
        start = column[11]
    stop = start + column[7]
    if not 4 <= start <= stop <= end:
        raise ValueError("a column is not inside the file")
    values = unpacked = 0
    for header in _pages(content, start, stop):
        for kind in (DATA_PAGE, DATA_PAGE_2):
            values += header[kind][1] if kind in header else 0
        unpacked += header[2] + (header[DICTIONARY_PAGE][1] if DICTIONARY_PAGE in header else 0)
        if min(values, header[2]) < 0:
            raise ValueError("a page of negative size")
    return max(values, column[5]), unpacked


def _pages(content: mmap, start: int, stop: int) -> Iterator[dict[int, Any]]:
    """The headers of the pages between two places."""
    while start < stop:
        size = 1024  # which holds nearly all headers
        while True:
            try:
                header, n_bytes = _Reader(content[start : min(start + size, stop)]).struct()
                break
            except IndexError:
                if start + size >= stop:
                    raise
                size *= 8
        yield header
        if header[3] < 0:
            raise ValueError("a page of negative size")
        start += n_bytes + header[3]


class _Reader:
    """Reads structs of the compact protocol; IndexError where they end too early."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.at = 0

    def struct(self, level: int = 0) -> tuple[dict[int, Any], int]:
        """Values by the numbers of their fields, and how many bytes have been read so far."""
        if level > MAX_NESTING:
            raise ValueError("its footer is nested too deep")
        fields, number = {}, 0
        while kind := self._byte():
            number = number + (kind >> 4) if kind >> 4 else self._signed()
            kind &= 15
            fields[number] = kind == TRUE if kind in (TRUE, FALSE) else self._value(kind, level)
        return fields, self.at

    def _byte(self) -> int:
        self.at += 1
        return self.content[self.at - 1]

    def _number(self) -> int:
        """A whole number in groups of seven bits."""
        number = shift = 0
        while True:
            byte = self._byte()
            number |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return number
            if shift > 63:
                raise ValueError("its footer holds a number that is too large")

    def _signed(self) -> int:
        number = self._number()
        return number >> 1 ^ -(number & 1)

    def _skip(self, n_bytes: int) -> bytes:
        self.at += n_bytes
        if self.at > len(self.content):
            raise IndexError("it ends too early")
        return self.content[self.at - n_bytes : self.at]

    def _value(self, kind: int, level: int) -> Any:
        if BYTE < kind <= I64:
            return self._signed()
        if kind == BINARY:
            return self._skip(self._number())
        if kind == STRUCT:
            return self.struct(level + 1)[0]
        if kind in (LIST, LIST + 1):
            return self._list(level + 1)
        if kind in (TRUE, FALSE, BYTE, DOUBLE):
            return self._skip(8 if kind == DOUBLE else 1)
        raise ValueError("its footer holds a value of an unknown kind")

    def _list(self, level: int) -> list[Any]:
        if level > MAX_NESTING:
            raise ValueError("its footer is nested too deep")
        head = self._byte()
        count = head >> 4 if head >> 4 < 15 else self._number()
        if count > len(self.content) - self.at:  # each takes a byte at least
            raise IndexError("it ends too early")
        return [self._value(head & 15, level) for _ in range(count)]

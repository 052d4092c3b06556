"""Any delimited text as columns of text: quotes, stray quotes, line breaks in cells, short and
long rows. Rows are never lost: what cannot be told apart is refused, and the line named.
"""

import csv
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from matinee.data.compression import Scratch
from matinee.data.delimited import HEADER_BYTES, check_utf8, decode
from matinee.data.validation import Origin
from matinee.errors import DataError, cut
from matinee.kernels.text import QUOTED, SCANNED, scan_fields

SCAN_BYTES = 2**24
SEPARATORS = ",\t;|"
DIALECTS: tuple[dict[str, Any], ...] = (
    {},
    {"skipinitialspace": True},
    {"escapechar": "\\", "doublequote": False},
)
"""Ways of quoting that only Python's slower reader knows, tried in this order."""


@dataclass(frozen=True)
class Quoting:
    """How the cells of a file are quoted."""

    quoted: bool  # whether a quote is more than a letter
    breaks: bool  # whether cells hold line breaks
    dialect: dict[str, Any] | None = None  # the file has to be rewritten from this first


@dataclass(frozen=True)
class Header:
    """The first row of a text file."""

    separator: str
    cells: list[str]
    n_lines: int  # 0: the file begins with data, and `cells` are the positions 1, 2, ...
    n_bytes: int


def read_header(path: Path, separator: str | None = None, *, by_position: bool = False) -> Header:
    """The separator and the column names of a text file."""
    check_utf8(path)
    with path.open("rb") as file:
        first = file.readline(HEADER_BYTES)
        if b"\n" not in first and b"\r" in first.strip():
            raise DataError(
                f"{path.name}, row 1: lines must end in a line feed, these end in a bare carriage "
                "return. Save the file with other line ends."
            )
        text = first.decode("utf-8-sig", "replace")
        separator = separator or max(SEPARATORS, key=_without_quoted(text).count)
        quotes = text.count('"')
        while quotes % 2 and len(first) < HEADER_BYTES and (more := file.readline(HEADER_BYTES)):
            first += more
            quotes += more.count(b'"')
    text = first.decode("utf-8-sig", "replace")
    try:
        cells = next(csv.reader([text], delimiter=separator, skipinitialspace=True), [])
    except csv.Error:  # a cell that is too long
        cells = text.split(separator)
    cells = [cell.strip().strip('"').strip() for cell in cells]
    if not any(cells):
        raise DataError(
            f"{path.name}, row 1: it is empty; the names of the columns must stand there."
        )
    if by_position:
        return Header(separator, [str(at + 1) for at in range(len(cells))], 0, 0)
    return Header(separator, cells, max(1, first.count(b"\n")), len(first))


def _without_quoted(text: str) -> str:
    """A line without what stands between quotes."""
    return "".join(text.split('"')[::2])


def read_text(
    path: Path, header: Header, wanted: dict[str, str], scratch: Scratch
) -> tuple[pl.DataFrame, Origin]:
    """Columns of a text file as text, null where a cell is empty or missing.

    `wanted` gives the new name of each column by its name in the header.
    """
    check_utf8(path)
    positions = {ours: header.cells.index(theirs) for ours, theirs in wanted.items()}
    names = {ours: theirs for ours, theirs in wanted.items() if ours != theirs}
    quoting, records = _quoting(path, header, list(wanted.values()))
    origin = Origin(path.name, header.n_lines + 1, names)
    if quoting.breaks or quoting.dialect:
        origin = Origin(path.name, 1, names, _Lines(path, header, quoting).line_of)
    if quoting.dialect is not None:
        path = _rewritten(path, header, quoting.dialect, scratch)
    # a file that was rewritten has a header of one line
    n_lines = header.n_lines if quoting.dialect is None else min(header.n_lines, 1)
    schema = {f"_{at}": pl.String for at in range(len(header.cells))}
    try:
        table = (
            pl.scan_csv(
                path,
                separator=header.separator,
                has_header=False,
                skip_lines=n_lines,
                schema=schema,
                quote_char='"' if quoting.quoted else None,
                truncate_ragged_lines=True,
                missing_columns="insert",
                extra_columns="ignore",
                glob=False,
            )
            .select(_cell(f"_{at}", quoting.quoted).alias(ours) for ours, at in positions.items())
            .collect(engine="streaming")
        )
    except pl.exceptions.NoDataError:
        table = pl.DataFrame(schema=dict.fromkeys(wanted, pl.String))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as problem:
        decode(path)  # raises if the encoding is wrong
        reason = cut(str(problem).splitlines()[0], 120)
        raise DataError(f"{path.name}: this text cannot be read ({reason}).") from None
    if quoting.dialect is None and table.height != records:
        raise DataError(
            f"{path.name}: {records} rows are in it, but {table.height} could be read. "
            'Quotes (") in its cells may be the cause: double them, or remove them.'
        )
    while table.height and all(cell is None for cell in table.row(-1)):  # no row: an empty line
        table = table.head(-1)
    return table, origin


def _cell(name: str, quoted: bool) -> pl.Expr:
    """A cell without the spaces around it, null if nothing is left."""
    text = pl.col(name).str.strip_chars_end("\r").str.strip_chars(" ")
    if not quoted:
        whole = text.str.contains('^".*"$') & (text.str.len_bytes() > 1)
        bare = text.str.slice(1, text.str.len_chars() - 2).str.replace_all('""', '"', literal=True)
        text = pl.when(whole).then(bare).otherwise(text)
    return text.str.strip_chars(" ")


def _quoting(path: Path, header: Header, wanted: list[str]) -> tuple[Quoting, int]:
    """How the file is quoted, and how many rows it has; DataError if that cannot be told."""
    n_fields = len(header.cells)
    found = dict(zip(SCANNED, _scan(path, header).tolist(), strict=True))
    n_lines = found["line"]
    if found["quotes"] == 0:
        _check_surplus(path, header, found["surplus"], wanted)
        return Quoting(False, False), n_lines
    unclosed = found["place"] == QUOTED
    malformed = unclosed or found["bad_quote"] > 0
    # where every line has all fields anyway, a quote that spans lines is a stray one
    even = n_fields == found["raw_min"] == found["raw_max"]
    if even and (malformed or found["breaks"]):
        return Quoting(False, False), n_lines
    if not malformed:
        _check_surplus(path, header, found["surplus"], wanted)
        return Quoting(True, found["breaks"] > 0), found["records"]
    for dialect in DIALECTS:
        if all(len(cells) in (0, n_fields) for cells in _python_rows(path, header, dialect)):
            return Quoting(True, True, dialect), 0
    line = found["opened"] if unclosed and not found["bad_quote"] else found["bad_quote"]
    what = 'a quote (") is not closed' if unclosed else 'a quote (") stands within a cell'
    raise DataError(
        f"{path.name}, row {line + header.n_lines}: {what}. "
        "Put the whole cell in quotes and double those within, or remove them."
    )


def _check_surplus(path: Path, header: Header, line: int, wanted: list[str]) -> None:
    if line:
        raise DataError(
            f"{path.name}, row {line + header.n_lines}, column {cut(wanted[-1])}: "
            f"the row has more than {len(header.cells)} fields."
        )


def _scan(path: Path, header: Header) -> np.ndarray[Any, Any]:
    """What `scan_fields` finds in the rows below the header."""
    state = np.zeros(len(SCANNED), np.int64)
    separator, last = ord(header.separator[0]), 10
    with path.open("rb") as file:
        file.seek(header.n_bytes)
        while chunk := file.read(SCAN_BYTES):
            last = chunk[-1]
            block = np.frombuffer(chunk, np.uint8).copy()
            scan_fields(block, separator, len(header.cells), state)
    if last != 10:
        end = np.array([10], np.uint8)
        scan_fields(end, separator, len(header.cells), state)
    return state


def _python_rows(path: Path, header: Header, dialect: dict[str, Any]) -> Iterator[list[str]]:
    """The rows below the header as Python's reader sees them; a bad row is one of a single text."""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        reader = csv.reader(file, delimiter=header.separator, strict=True, **dialect)
        try:
            yield from itertools.islice(reader, min(header.n_lines, 1), None)
        except csv.Error as problem:
            yield [str(problem)]


def _rewritten(path: Path, header: Header, dialect: dict[str, Any], scratch: Scratch) -> Path:
    """A copy of the file in the quoting that every reader knows."""
    copy = scratch.new_file(path.name)
    decode(path)  # raises if the encoding is wrong
    with copy.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=header.separator, lineterminator="\n")
        if header.n_lines:
            file.write("\n")
        for cells in _python_rows(path, header, dialect):
            writer.writerow(cells or [""] * len(header.cells))
    return copy


@dataclass(frozen=True)
class _Lines:
    """Finds the line of a row in a file whose cells hold line breaks."""

    path: Path
    header: Header
    quoting: Quoting

    def line_of(self, row: int) -> int:
        """The line where a row (from 0 on) begins, as an editor counts; its number if unknown."""
        line = self.header.n_lines
        dialect = self.quoting.dialect or {}
        try:
            with self.path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
                reader = csv.reader(file, delimiter=self.header.separator, **dialect)
                for _ in range(row + min(self.header.n_lines, 1)):
                    next(reader)
                line = reader.line_num
        except (csv.Error, StopIteration, OSError):
            return self.header.n_lines + row + 1
        return line + 1

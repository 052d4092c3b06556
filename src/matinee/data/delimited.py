"""Ratings out of plain text files: the way that nearly every large file goes.

A file of nothing but unsigned numbers, four (or three) to a line, is read in blocks on all
processors, straight into columns of their final types. There is no table in between. Whatever is
not as plain as that (quotes, empty cells, text, signs, ids in the hundred millions) is left to
`tables.read_delimited`, which is slower and knows what to say.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from matinee._types import F32, I32, I64, Bools
from matinee.data.validation import Origin
from matinee.errors import DataError, printable
from matinee.kernels.csr import Empty
from matinee.kernels.parallel import run_blocks
from matinee.kernels.text import count_lines, parse_ratings

LARGEST_ID = 2**26 - 1
BLOCK = 2**20  # bytes of text
TAIL = 256  # more than a plain line can hold, whose numbers have 18 digits at most
ORDER = ("user_id", "item_id", "rating", "timestamp")


@dataclass(frozen=True, eq=False)
class PlainColumns:
    """Columns of ratings as they stand in a file: whole ids from 0 on, no cell empty.

    Parameters
    ----------
    user, item : int32 (n,)
        Ids, up to `LARGEST_ID`.
    values : float32 (n,)
    timestamp : int64 (n,) or None
        Unix seconds.
    seen : bool (2, LARGEST_ID + 1)
        Which ids there are, of users and of items.
    """

    user: I32
    item: I32
    values: F32
    timestamp: I64 | None
    seen: Bools

    def __len__(self) -> int:
        return len(self.values)

    def frame(self) -> pl.DataFrame:
        """The same as a table, for those who look closer."""
        columns = {"user_id": self.user, "item_id": self.item, "rating": self.values}
        table = pl.DataFrame(columns).with_columns(pl.col("user_id", "item_id").cast(pl.Int64))
        if self.timestamp is None:
            return table
        return table.with_columns(timestamp=pl.Series(self.timestamp))


def read_plain(
    path: Path,
    separator: str,
    columns: tuple[str, ...] = ORDER,
    *,
    header: bool,
    empty: Empty = np.empty,
) -> PlainColumns | None:
    """The ratings in a plain file, or None if it is not plain from end to end.

    Parameters
    ----------
    path : Path
    separator : str
        One character, or ``"::"``.
    columns : tuple of str
        `user_id`, `item_id`, `values` and perhaps `timestamp`, in the order of the file.
    header : bool
        Whether the first line holds names.
    empty : callable
        Makes the columns, given a length and a dtype.
    """
    begin = 0
    if header:
        with path.open("rb") as file:
            line = file.readline(65536)
        if not line.endswith(b"\n") or b'"' in line:
            return None
        begin = len(line)
    end = path.stat().st_size
    starts = [*range(begin, end, BLOCK), end]
    blocks = [(at, at + 1) for at in range(len(starts) - 1)]

    def lines_of(block: int, _: int) -> int:
        start, stop = starts[block : block + 2]
        return int(count_lines(_text(path, start, stop)[: stop - start]))

    before = np.concatenate(([0], np.cumsum(run_blocks(lines_of, blocks), dtype=np.int64)))
    n = int(before[-1])
    timed = "timestamp" in columns
    found = PlainColumns(
        empty(n, np.int32),
        empty(n, np.int32),
        empty(n, np.float32),
        empty(n, np.int64) if timed else None,
        np.zeros((2, LARGEST_ID + 1), np.bool_),
    )
    stamps = np.empty(0, np.int64) if found.timestamp is None else found.timestamp
    order = tuple(ORDER.index(name) for name in columns)
    byte, width = ord(separator[0]), len(separator)

    def parse(block: int, _: int) -> bool:
        start, stop = starts[block : block + 2]
        text = _text(path, start, stop)
        row = int(before[block])
        if row == before[block + 1]:  # all of the block belongs to a line that starts earlier
            return True
        filled = found.user, found.item, found.values, stamps, found.seen
        last = parse_ratings(text, stop - start + 1, byte, width, order, row, *filled)
        return bool(last == before[block + 1])

    # most files that are not plain show it soon
    plain = n > 0 and parse(*blocks[0]) and all(run_blocks(parse, blocks[1:]))
    return found if plain else None


def _text(path: Path, start: int, stop: int) -> NDArray[np.uint8]:
    """The bytes from `start` to `stop`, the one before them, and the rest of the last line.

    A line belongs to a block if the line end before it does, counted from the byte before the
    block to the last but one of it. The first line of a file has a line end before it, too.
    """
    text = np.empty(1 + stop - start + TAIL, np.uint8)
    text[0] = 10
    with path.open("rb", buffering=0) as file:
        file.seek(max(0, start - 1))
        got = file.readinto((text[1:] if start == 0 else text).data)
    return text[: got + (start == 0)]


Schema = dict[str, pl.DataType | type[pl.DataType]]


def read_delimited(
    path: Path,
    separator: str,
    schema: Schema,
    *,
    header: bool,
    names: dict[str, str] | None = None,
) -> tuple[pl.DataFrame, Origin]:
    """The columns of a text file that have a type in `schema`.

    Parameters
    ----------
    path : Path
    separator : str
        One character, or ``"::"``.
    schema : dict
        Every column of the file, in order, with its type; `pl.Null` for one to leave out.
    header : bool
        Whether the first row holds names.
    names : dict, optional
        How a column is called in the file where that differs, for messages.

    Raises
    ------
    DataError
        Naming the file, the row and the column.
    """
    origin = Origin(path.name, 2 if header else 1, names or {})
    _refuse_wrong_encoding(path)
    # "a::b" is "a", "", "b" to a reader that knows only single characters
    spaced: Schema = {}
    for at, (name, dtype) in enumerate(schema.items()):
        if at and separator == "::":
            spaced[f"_{at}"] = pl.String
        spaced[name] = pl.String if dtype == pl.Null else dtype
    wanted = [name for name, dtype in schema.items() if dtype != pl.Null]
    # polars counts the fields of a row only where it reads every column
    filled = [pl.col(name).is_not_null() for name in spaced if name not in wanted]
    try:
        table = (
            pl.scan_csv(
                path,
                separator=separator[0],
                has_header=False,
                skip_rows=int(header),
                schema=spaced,
                quote_char=None if separator == "::" else '"',
                glob=False,
            )
            .select(*wanted, *filled)
            .collect(engine="streaming")
        )
    except pl.exceptions.NoDataError:
        raise DataError(f"{path.name}: the file is empty.") from None
    except pl.exceptions.PolarsError as problem:
        decoded(path)  # raises where the trouble is the encoding
        raise _blame(path, separator, schema, origin, header) or DataError(
            f"{path.name}: {str(problem).splitlines()[0]}."
        ) from None
    # an empty last line is no row
    while table.height and all(value is None or value is False for value in table.row(-1)):
        table = table.head(-1)
    if separator == "::":
        for at, name in enumerate(wanted[1:], start=1):
            if table[f"_{at}"].any():
                row = table[f"_{at}"].arg_max() or 0
                raise origin.error(row, name, "the fields are not separated by '::'")
    return table.select(wanted), origin


def _blame(
    path: Path, separator: str, schema: Schema, origin: Origin, header: bool
) -> DataError | None:
    """The error for the first row that does not fit the schema, read as bare lines of text."""
    wanted = [name for name, dtype in schema.items() if dtype != pl.Null]
    # whatever byte ends no field serves as the separator of whole lines
    lines = pl.scan_csv(
        path,
        separator="\x01",
        has_header=False,
        skip_rows=int(header),
        quote_char=None,
        schema={"line": pl.String},
        truncate_ragged_lines=True,
        encoding="utf8-lossy",
        glob=False,
    ).select(pl.col("line").fill_null("").str.strip_chars_end("\r"))
    if separator == "::":
        split = pl.col("line").str.split(separator)
    else:  # a separator between quotes is none
        field = rf'[{separator}]("(?:[^"]|"")*"|[^{separator}]*)'
        split = (separator + pl.col("line")).str.extract_all(field)
        split = split.list.eval(pl.element().str.slice(1).str.replace('^"(.*)"$', "$1"))
    fields = lines.select(split).collect().to_series()
    surplus = fields.list.len() > len(schema)
    first_wide = surplus.arg_max() if surplus.any() else None
    worst: tuple[int, str, str] | None = None
    for at, (name, dtype) in enumerate(schema.items()):
        if dtype in (pl.Null, pl.String):
            continue
        text = fields.list.get(at, null_on_oob=True)
        bad = text.is_not_null() & (text != "") & text.cast(dtype, strict=False).is_null()
        row = bad.arg_max()
        if row is not None and bad[row] and (worst is None or row < worst[0]):
            kind = "whole number" if dtype == pl.Int64 else "number"
            worst = (row, name, f"{text[row]!r} is not a {kind}")
    if first_wide is not None and (worst is None or first_wide <= worst[0]):
        return origin.error(first_wide, wanted[-1], f"the row has more than {len(schema)} fields")
    if worst:
        return origin.error(*worst)
    # polars takes the number of fields from the first row
    present = 0 if fields[0].to_list() == [""] else len(fields[0])
    if present < len(schema):
        absent = [name for name in list(schema)[present:] if name in wanted]
        what = f"the row has fewer than {len(schema)} fields"
        return origin.error(0, absent[0] if absent else wanted[-1], what)
    return None


def _refuse_wrong_encoding(path: Path) -> None:
    """Refuse what is plainly not text in UTF-8, before a parser says something odd about it."""
    with path.open("rb") as file:
        start = file.read(4096)
    if not start:
        raise DataError(f"{path.name}: the file is empty.")
    if start.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in start:
        raise DataError(f"{path.name}, row 1: this is not UTF-8 text. Save it as UTF-8.")


def header_of(path: Path, separator: str) -> list[str]:
    """The names in the first line of a delimited file."""
    _refuse_wrong_encoding(path)
    with path.open("rb") as file:
        line = file.readline(65536).decode("utf-8-sig", "replace").strip("\r\n")
    return [name.strip().strip('"') for name in line.split(separator)]


def listed(names: list[str]) -> str:
    """Column names for a message, not too many."""
    shown = ", ".join(name[:40] for name in names[:12])
    return printable(shown) + (", ..." if len(names) > 12 else "")


def decoded(path: Path, latin_allowed: bool = False) -> str:
    """The text of a file, UTF-8 or, where that is usual, ISO-8859-1.

    Text that decodes as UTF-8 is UTF-8: hardly any other text does by chance. (ml-100k and
    ml-1m are ISO-8859-1; the same layout in ml-10m is UTF-8.)
    """
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        if latin_allowed:
            return content.decode("iso-8859-1")
        row = content.count(b"\n", 0, problem.start) + 1
        raise DataError(
            f"{path.name}, row {row}: this is not UTF-8 text. Save the file as UTF-8."
        ) from None


def read_lines(path: Path, separator: str, fields: int) -> pl.DataFrame:
    """A small text file of unquoted fields, in UTF-8 or ISO-8859-1, as columns of text.

    Returns
    -------
    polars.DataFrame
        Columns `0` to `fields - 1`.

    Raises
    ------
    DataError
        If a row has another number of fields.
    """
    text = decoded(path, latin_allowed=True).rstrip("\r\n")
    if not text:
        raise DataError(f"{path.name}: the file is empty.")
    lines = pl.Series("line", text.split("\n")).str.strip_chars_end("\r")
    split = lines.str.split(separator)
    odd = split.list.len() != fields
    if odd.any():
        row = odd.arg_max() or 0
        raise DataError(
            f"{path.name}, row {row + 1}: {split[row].len()} fields where {fields} belong."
        )
    return pl.DataFrame({str(at): split.list.get(at) for at in range(fields)})

"""Two readers of delimited numbers: one for plain ones, in blocks on all processors and without a
table in between; one for `u.data` and `ratings.dat` otherwise, which names the wrong cell.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from matinee._types import F32, I32, I64, Bools
from matinee.data.validation import Origin, first_true
from matinee.errors import DataError, cut, shortened
from matinee.kernels.csr import Empty
from matinee.kernels.digits import PADDING
from matinee.kernels.parallel import run_blocks
from matinee.kernels.text import LINE_FEED, count_lines, parse_ratings

COLUMNS = ("user_id", "item_id", "rating", "timestamp")
VALUE = COLUMNS.index("rating")
"""Where a rating stands in `COLUMNS`, or what stands in for it: a weight."""
MAX_PLAIN_ID = 2**26 - 1
BLOCK_BYTES = 2**20
LINE_BYTES = 256
"""More than a plain line can hold, whose numbers have 16 digits at most."""
HEADER_BYTES = 2**24

Schema = dict[str, pl.DataType | type[pl.DataType]]


# plain numbers, fast


@dataclass(frozen=True, eq=False)
class PlainColumns:
    """Columns of ratings as they are in a file: whole ids from 0 on, no cell empty."""

    user: I32  # (n,) ids up to `MAX_PLAIN_ID`
    item: I32  # (n,)
    values: F32  # (n,)
    timestamp: I64 | None  # (n,) Unix seconds
    seen: Bools  # (2, MAX_PLAIN_ID + 1) which ids there are, of users and of items
    value: str = "rating"  # or "weight", of interactions without ratings

    def __len__(self) -> int:
        return len(self.values)

    def frame(self) -> pl.DataFrame:
        """The same as a table, for `check_ratings` to find the bad cell in."""
        columns = {"user_id": self.user, "item_id": self.item, self.value: self.values}
        table = pl.DataFrame(columns).with_columns(pl.col("user_id", "item_id").cast(pl.Int64))
        stamps = {} if self.timestamp is None else {"timestamp": self.timestamp}
        return table.hstack(pl.DataFrame(stamps))


def read_plain(
    path: Path,
    separator: str,
    columns: tuple[str, ...] = COLUMNS,
    *,
    begin: int = 0,
    empty: Empty = np.empty,
) -> PlainColumns | None:
    """The ratings of a file with these columns, in arrays from `empty`; None if not all plain.

    `begin` is where the first row starts, after the header. There may be `weight` in place of
    `rating`; without either, each row weighs 1.
    """
    end = path.stat().st_size
    starts = [*range(begin, end, BLOCK_BYTES), end]
    blocks = [(block, block + 1) for block in range(len(starts) - 1)]

    def count(block: int, _: int) -> int:
        start, stop = starts[block : block + 2]
        return int(count_lines(_block_text(path, start, stop)[: stop - start]))

    first_rows = np.concatenate(([0], np.cumsum(run_blocks(count, blocks), dtype=np.int64)))
    n = int(first_rows[-1])
    parsed = PlainColumns(
        empty(n, np.int32),
        empty(n, np.int32),
        empty(n, np.float32),
        empty(n, np.int64) if "timestamp" in columns else None,
        np.zeros((2, MAX_PLAIN_ID + 1), np.bool_),
        "rating" if "rating" in columns else "weight",
    )
    order = tuple(VALUE if name == "weight" else COLUMNS.index(name) for name in columns)
    if VALUE not in order:
        parsed.values.fill(1)
    stamps = np.empty(0, np.int64) if parsed.timestamp is None else parsed.timestamp
    arrays = parsed.user, parsed.item, parsed.values, stamps, parsed.seen
    byte, width = ord(separator[0]), len(separator)

    def parse(block: int, _: int) -> bool:
        start, stop = starts[block : block + 2]
        text = _block_text(path, start, stop)
        row = int(first_rows[block])
        if row == first_rows[block + 1]:  # the whole block belongs to a line that starts earlier
            return True
        last = parse_ratings(text, stop - start + 1, byte, width, order, row, *arrays)
        return bool(last == first_rows[block + 1])

    # most files that are not plain show it in their first block
    plain = n > 0 and parse(*blocks[0]) and all(run_blocks(parse, blocks[1:]))
    return parsed if plain else None


def _block_text(path: Path, start: int, stop: int) -> NDArray[np.uint8]:
    """The bytes from `start` to `stop`, the one before, the rest of the last line, and padding."""
    # a line belongs to a block if the line end before it does, counted from the byte before the
    # block to the last but one of it; the first line of a file has a line end before it, too
    text = np.empty(1 + stop - start + LINE_BYTES + PADDING, np.uint8)
    text[0] = LINE_FEED
    with path.open("rb", buffering=0) as file:
        file.seek(max(0, start - 1))
        n_read = file.readinto(text[start == 0 : -PADDING].data) + (start == 0)
    text[n_read:] = 0
    if n_read < len(text) - PADDING:  # the end of the file is that of a line
        text[n_read] = LINE_FEED
    return text


# the same, carefully


def read_delimited(path: Path, separator: str, schema: Schema) -> tuple[pl.DataFrame, Origin]:
    """The columns of a file without header and quotes, all of which have a type in `schema`."""
    origin = Origin(path.name)
    check_utf8(path)
    # "a::b" is "a", "", "b" to a reader that knows only single characters
    spaced: Schema = {}
    for position, (name, dtype) in enumerate(schema.items()):
        if position and separator == "::":
            spaced[f"_{position}"] = pl.String
        spaced[name] = dtype
    try:
        table = pl.scan_csv(
            path, separator=separator[0], has_header=False, schema=spaced, quote_char=None,
            glob=False,
        ).collect(engine="streaming")  # fmt: skip
    except pl.exceptions.NoDataError:
        raise DataError(f"{path.name}: the file is empty.") from None
    except pl.exceptions.PolarsError as problem:
        decode(path)  # raises if the encoding is wrong
        raise _first_bad_row(path, separator, schema, origin) or DataError(
            f"{path.name}: {cut(str(problem).splitlines()[0], 120)}."
        ) from None
    # an empty last line is not a row
    while table.height and all(value is None for value in table.row(-1)):
        table = table.head(-1)
    if separator == "::":
        for position, name in enumerate(list(schema)[1:], start=1):
            if (row := first_true(table[f"_{position}"].is_not_null())) is not None:
                raise origin.error(row, name, "the fields are not separated by '::'")
    return table.select(list(schema)), origin


def _first_bad_row(path: Path, separator: str, schema: Schema, origin: Origin) -> DataError | None:
    """The error for the first row that does not fit the schema, read as bare lines of text."""
    names = list(schema)
    fields = _fields(path, separator)
    bad_cell: tuple[int, str, str] | None = None
    for position, (name, dtype) in enumerate(schema.items()):
        text = fields.list.get(position, null_on_oob=True)
        invalid = text.is_not_null() & (text != "") & text.cast(dtype, strict=False).is_null()
        row = first_true(invalid)
        if row is not None and (bad_cell is None or row < bad_cell[0]):
            expected = "whole number" if dtype == pl.Int64 else "number"
            bad_cell = (row, name, f"{shortened(text[row])} is not a {expected}")
    too_long = first_true(fields.list.len() > len(schema))
    if too_long is not None and (bad_cell is None or too_long <= bad_cell[0]):
        return origin.error(too_long, names[-1], f"the row has more than {len(schema)} fields")
    if bad_cell:
        return origin.error(*bad_cell)
    # polars takes the number of fields from the first row
    n_fields = 0 if fields[0].to_list() == [""] else len(fields[0])
    if n_fields < len(schema):
        return origin.error(0, names[n_fields], f"the row has fewer than {len(schema)} fields")
    return None


def _fields(path: Path, separator: str) -> pl.Series:
    """The fields of each line, as a list of text."""
    lines = pl.scan_csv(
        path,
        separator="\x01",  # whatever byte ends no field serves as the separator of whole lines
        has_header=False,
        quote_char=None,
        schema={"line": pl.String},
        truncate_ragged_lines=True,
        encoding="utf8-lossy",
        glob=False,
    )
    line = pl.col("line").fill_null("").str.strip_chars_end("\r")
    return lines.select(line.str.split(separator)).collect().to_series()


def check_utf8(path: Path) -> None:
    """Refuse what is plainly not UTF-8 text, before a parser complains in other words."""
    with path.open("rb") as file:
        start = file.read(4096)
    if not start:
        raise DataError(f"{path.name}: the file is empty.")
    if start.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in start:
        raise DataError(f"{path.name}, row 1: this is not UTF-8 text. Save the file as UTF-8.")


def decode(path: Path, latin_allowed: bool = False) -> str:
    """The text of a file, UTF-8 or, if allowed and it is not, ISO-8859-1 (ml-100k and ml-1m)."""
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


def read_lines(path: Path, separator: str, n_fields: int) -> pl.DataFrame:
    """A small file of unquoted fields, UTF-8 or ISO-8859-1, as text columns `0`, `1`, ...."""
    text = decode(path, latin_allowed=True).rstrip("\r\n")
    if not text:
        raise DataError(f"{path.name}: the file is empty.")
    lines = pl.Series("line", text.split("\n")).str.strip_chars_end("\r")
    fields = lines.str.split(separator)
    if (row := first_true(fields.list.len() != n_fields)) is not None:
        raise DataError(
            f"{path.name}, row {row + 1}: must have {n_fields} fields, got {fields[row].len()}."
        )
    return pl.DataFrame({str(column): fields.list.get(column) for column in range(n_fields)})

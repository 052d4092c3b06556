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

from matinee.kernels import Empty, count_lines, parse_ratings, run_blocks

LARGEST_ID = 2**26 - 1
BLOCK = 2**20  # bytes of text
TAIL = 256  # more than a plain line can hold, whose numbers have 18 digits at most
ORDER = ("user", "item", "stars", "timestamp")


@dataclass(frozen=True, eq=False)
class Plain:
    """Columns of ratings as they stand in a file: whole ids from 0 on, no cell empty.

    Parameters
    ----------
    user, item : int32 (n,)
        Ids, up to `LARGEST_ID`.
    stars : float32 (n,)
    timestamp : int64 (n,) or None
        Unix seconds.
    seen : bool (2, LARGEST_ID + 1)
        Which ids there are, of users and of items.
    """

    user: NDArray[np.int32]
    item: NDArray[np.int32]
    stars: NDArray[np.float32]
    timestamp: NDArray[np.int64] | None
    seen: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.stars)

    def frame(self) -> pl.DataFrame:
        """The same as a table, for those who look closer."""
        columns = {"user": self.user, "item": self.item, "stars": self.stars}
        table = pl.DataFrame(columns).with_columns(pl.col("user", "item").cast(pl.Int64))
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
) -> Plain | None:
    """The ratings in a plain file, or None if it is not plain from end to end.

    Parameters
    ----------
    path : Path
    separator : str
        One character, or ``"::"``.
    columns : tuple of str
        `user`, `item`, `stars` and perhaps `timestamp`, in the order of the file.
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
    found = Plain(
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
        filled = found.user, found.item, found.stars, stamps, found.seen
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

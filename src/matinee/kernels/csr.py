"""Compressed rows: the ratings of each user, or of each movie, side by side."""

import mmap
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from matinee._types import F32, I32, I64, Array, Bools, Ints
from matinee.kernels.jit import jit
from matinee.kernels.parallel import balanced_blocks, run_blocks

Empty = Callable[[int, Any], Array]
"""Makes an array of a length and a dtype, not filled: `numpy.empty` and its likes."""


class Rows(NamedTuple):
    """A sparse matrix by rows: row r holds entries ``indptr[r]`` to ``indptr[r + 1]``.

    Eight bytes per rating, plus eight per row.
    """

    indptr: I64  # (rows + 1,)
    indices: I32  # (entries,) column of each entry
    values: F32  # (entries,)


@jit
def _tally(block, _, cuts, rows, slots):
    """slots[block, r] = how many entries of a block are of row r."""
    mine = slots[block]
    for entry in range(cuts[block], cuts[block + 1]):
        mine[rows[entry]] += 1


@jit
def _place(block, _, cuts, rows, columns, values, slots, indices, out):
    """Put each entry of a block at the next free slot of its row."""
    slot = slots[block]
    for entry in range(cuts[block], cuts[block + 1]):
        row = rows[entry]
        indices[slot[row]] = columns[entry]
        out[slot[row]] = values[entry]
        slot[row] += 1


@jit
def _place_transposed(block, _, cuts, indptr, columns, values, slots, indices, out):
    """The same for the entries of a block of rows, which go where their columns say."""
    slot = slots[block]
    for row in range(cuts[block], cuts[block + 1]):
        for entry in range(indptr[row], indptr[row + 1]):
            column = columns[entry]
            indices[slot[column]] = row
            out[slot[column]] = values[entry]
            slot[column] += 1


def compress(
    rows: I32,
    columns: I32,
    values: F32,
    n_rows: int,
    empty: Empty = np.empty,
) -> Rows:
    """Group entries by row, keeping their order within a row.

    Examples
    --------
    >>> found = compress(np.int32([1, 0, 1]), np.int32([5, 6, 7]), np.float32([3, 4, 5]), 2)
    >>> found.indptr.tolist(), found.indices.tolist()
    ([0, 1, 3], [6, 5, 7])
    """
    blocks = _blocks_of(len(rows))
    cuts = np.linspace(0, len(rows), blocks + 1).astype(np.int64)
    return _sorted_by(rows, n_rows, empty, cuts, _place, cuts, rows, columns, values)


def transpose(matrix: Rows, n_columns: int, empty: Empty = np.empty) -> Rows:
    """The same entries by column, each sorted by row whatever the order they came in.

    Transposing twice therefore sorts the entries of every row.
    """
    blocks = balanced_blocks(matrix.indptr, _blocks_of(len(matrix.indices)))
    cuts = np.array([0] + [stop for _, stop in blocks], np.int64)
    starts = matrix.indptr[cuts]
    return _sorted_by(matrix.indices, n_columns, empty, starts, _place_transposed, cuts, *matrix)


def _sorted_by(
    rows: I32,
    n_rows: int,
    empty: Empty,
    cuts: I64,
    place: Callable[..., None],
    *arguments: Any,
) -> Rows:
    """A counting sort in blocks: each knows from the tallies of all where its own entries go."""
    each = [(block, block + 1) for block in range(len(cuts) - 1)]
    slots = np.zeros((len(each), n_rows), np.int64)
    run_blocks(_tally, each, cuts, rows, slots)
    indptr = empty(n_rows + 1, np.int64)
    indptr[0] = 0
    np.cumsum(slots.sum(axis=0), out=indptr[1:])
    slots[:] = indptr[:-1] + np.cumsum(slots, axis=0) - slots
    indices = empty(len(rows), np.int32)
    out = empty(len(rows), np.float32)
    run_blocks(place, each, *arguments, slots, indices, out)
    return Rows(indptr, indices, out)


def _blocks_of(entries: int) -> int:
    return 8 if entries > 500_000 else 1


def csr_and_csc(
    rows: I32,
    columns: I32,
    values: F32,
    n_rows: int,
    n_columns: int,
    empty: Empty = np.empty,
) -> tuple[Rows, Rows]:
    """The entries by row and by column, each row's and each column's in ascending order.

    `empty` makes the arrays of the result, given a length and a dtype.
    """
    # rows that ascend leave each column in order; else a second transposition sorts them
    ascending = bool(np.all(rows[1:] >= rows[:-1]))
    by_column = compress(columns, rows, values, n_columns, empty if ascending else np.empty)
    by_row = transpose(by_column, n_rows, empty)
    if not ascending:
        by_column = transpose(by_row, n_columns, empty)
    return by_row, by_column


def row_of_entries(matrix: Rows) -> I64:
    """The row that each entry stands in, (entries,)."""
    return np.repeat(np.arange(len(matrix.indptr) - 1), np.diff(matrix.indptr))


def take_rows(matrix: Rows, rows: Ints) -> Rows:
    """Some rows of a matrix, in the order asked for; views of it if they stand side by side."""
    if len(rows) and (rows[1:] == rows[:-1] + 1).all():
        indptr = matrix.indptr[rows[0] : rows[-1] + 2]
        first, last = indptr[0], indptr[-1]
        return Rows(indptr - first, matrix.indices[first:last], matrix.values[first:last])
    counts = matrix.indptr[rows + 1] - matrix.indptr[rows]
    indptr = np.concatenate(([0], np.cumsum(counts)))
    entries = np.repeat(matrix.indptr[rows] - indptr[:-1], counts) + np.arange(indptr[-1])
    return Rows(indptr, matrix.indices[entries], matrix.values[entries])


def filter_entries(rows: Rows, mask: Bools) -> Rows:
    """Some entries of each row, by a mask over all entries."""
    before = np.concatenate(([0], np.cumsum(mask)))
    return Rows(before[rows.indptr], rows.indices[mask], rows.values[mask])


def find_duplicate(matrix: Rows) -> tuple[int, int] | None:
    """(row, column) of the first pair that is there twice, or None.

    The entries of each row must be sorted, as `transpose` leaves them.
    """
    row, entry = _repeated(matrix.indptr, matrix.indices)
    return None if row < 0 else (int(row), int(matrix.indices[entry]))


@jit
def _repeated(indptr, indices):
    for row in range(len(indptr) - 1):
        for entry in range(indptr[row] + 1, indptr[row + 1]):
            if indices[entry] == indices[entry - 1]:
                return row, entry
    return -1, -1


@jit
def sum_over_entries(start, stop, indptr, indices, numbers, out):
    """out[r] = sum of ``numbers[column]`` over the entries of row r, from `start` to `stop`."""
    for row in range(start, stop):
        total = 0.0
        for entry in range(indptr[row], indptr[row + 1]):
            total += numbers[indices[entry]]
        out[row] = total


@jit
def sum_weighted_rows(start, stop, indptr, indices, weights, table, out):
    """out[r] = sum of ``weight * table[column]`` over the entries of row r."""
    for row in range(start, stop):
        out[row] = 0.0
        for entry in range(indptr[row], indptr[row + 1]):
            weight, added = weights[entry], table[indices[entry]]
            for i in range(out.shape[1]):
                out[row, i] += weight * added[i]


@jit
def count_cooccurrences(start, stop, by_column, columns, by_row, rows, out):
    """out[c, d] = in how many rows both columns have an entry, for c from `start` to `stop`.

    Parameters
    ----------
    by_column, columns : int64 (columns + 1,), int32: the matrix by column (indptr, indices)
    by_row, rows : the same matrix by row
    out : float (columns, columns), zero where it is to be filled
    """
    for column in range(start, stop):
        counts = out[column]
        for entry in range(by_column[column], by_column[column + 1]):
            row = columns[entry]
            for at in range(by_row[row], by_row[row + 1]):
                counts[rows[at]] += 1


BLOCK = 2**20


@jit
def _mark(start, stop, numbers, low, seen):
    for at in range(start, stop):
        seen[numbers[at] - low] = True


@jit
def _look_up(start, stop, numbers, low, table, out):
    for at in range(start, stop):
        out[at] = table[numbers[at] - low]


@jit
def _add_up(numbers, counts):
    for at in range(len(numbers)):
        counts[numbers[at]] += 1


def mark_seen(numbers: Ints, low: int, seen: Bools) -> None:
    """Set `seen` at each number less `low`."""
    run_blocks(_mark, slices(len(numbers)), numbers, low, seen)


def dense_rank(numbers: Ints, low: int, seen: Bools, out: I32) -> None:
    """Write for each number how many smaller ones were marked; `out` may be `numbers` itself.

    Parameters
    ----------
    numbers : int (n,)
        Each of them marked.
    low : int
    seen : bool (limit,)
        As `mark_seen` left it.
    out : int32 (n,)
    """
    table = np.cumsum(seen, dtype=np.int32) - np.int32(1)
    run_blocks(_look_up, slices(len(numbers)), numbers, low, table, out)


def bincount(codes: I32, n: int) -> I64:
    """How often each code from 0 to n - 1 occurs, (n,)."""
    counts = np.zeros(n, np.int64)
    _add_up(codes, counts)
    return counts


def slices(n: int) -> list[tuple[int, int]]:
    """Ranges that cover `n` entries, each small enough to need little room beside them."""
    return [(start, min(start + BLOCK, n)) for start in range(0, n, BLOCK)]


@jit
def checksum_words(words, first):
    """By which a change of an array shows, and how far its numbers go.

    Parameters
    ----------
    words : int32 (n,)
    first : int
        The place of the first of them in the array that they are a part of.

    Returns
    -------
    (uint64, uint64, int32, int32)
        The sum of the words as unsigned numbers, and the sum of each times its place from 1 on,
        both modulo 2**64 and so good for adding up; the least and the greatest word.
    """
    plain = np.uint64(0)
    weighted = np.uint64(0)
    low, high = words[0], words[0]
    for at in range(len(words)):
        word = np.uint64(np.uint32(words[at]))
        plain += word
        weighted += word * np.uint64(np.uint32(first + at + 1))
        low = min(low, words[at])
        high = max(high, words[at])
    return plain, weighted, low, high


@jit
def _within(start, stop, codes, limit):
    good = True
    for at in range(start, stop):
        good &= (codes[at] >= 0) & (codes[at] < limit)
    return good


def in_range(codes: I32, limit: int) -> bool:
    """Whether all codes are from 0 to `limit` - 1."""
    return all(run_blocks(_within, slices(len(codes)), codes, limit))


def release(array: NDArray[np.generic]) -> None:
    """Give back the memory that a mapped file takes up now; it is read again where needed.

    Other arrays are left as they are.
    """
    owner = array
    while isinstance(owner, np.ndarray):
        owner = owner.base  # type: ignore[assignment]
    if isinstance(owner, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        owner.madvise(mmap.MADV_DONTNEED)

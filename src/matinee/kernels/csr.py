"""Compressed sparse rows (CSR): sorting entries into them, and what is computed of them."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from matinee._types import F32, I32, I64, Array, Bools, Ints
from matinee.kernels.codes import bincount, slices
from matinee.kernels.digits import lowest
from matinee.kernels.jit import jit
from matinee.kernels.parallel import balanced_blocks, run_blocks

Empty = Callable[[int, Any], Array]
"""Makes an uninitialized array, given a length and a dtype, as `numpy.empty` does."""


class Rows(NamedTuple):
    """A CSR matrix: row r has the entries ``indptr[r]`` to ``indptr[r + 1]``; 8 bytes per entry."""

    indptr: I64  # (rows + 1,)
    indices: I32  # (entries,) column of each entry
    values: F32  # (entries,)


@jit
def _tally(block, _, cuts, rows, slots):
    """slots[block, r] = number of entries of row r in a block."""
    mine = slots[block]
    for entry in range(cuts[block], cuts[block + 1]):
        mine[rows[entry]] += 1


@jit
def _place(block, _, cuts, rows, columns, values, slots, indices, out):
    """Write each entry of a block to the next free slot of its row."""
    slot = slots[block]
    for entry in range(cuts[block], cuts[block + 1]):
        row = rows[entry]
        indices[slot[row]] = columns[entry]
        out[slot[row]] = values[entry]
        slot[row] += 1


@jit
def _place_transposed(block, _, cuts, indptr, columns, values, slots, indices, out):
    """Write each entry of a block of rows to the next free slot of its column."""
    slot = slots[block]
    for row in range(cuts[block], cuts[block + 1]):
        for entry in range(indptr[row], indptr[row + 1]):
            column = columns[entry]
            indices[slot[column]] = row
            out[slot[column]] = values[entry]
            slot[column] += 1


def compress(rows: I32, columns: I32, values: F32, n_rows: int, empty: Empty = np.empty) -> Rows:
    """Group entries by row, in their order within a row."""
    blocks = _count_blocks(len(rows))
    cuts = np.linspace(0, len(rows), blocks + 1).astype(np.int64)
    return _sorted_by(rows, n_rows, empty, cuts, _place, cuts, rows, columns, values)


def transpose(matrix: Rows, n_columns: int, empty: Empty = np.empty) -> Rows:
    """The entries by column, sorted by row within each; so transposing twice sorts every row."""
    blocks = balanced_blocks(matrix.indptr, _count_blocks(len(matrix.indices)))
    cuts = np.array([0] + [stop for _, stop in blocks], np.int64)
    starts = matrix.indptr[cuts]
    return _sorted_by(matrix.indices, n_columns, empty, starts, _place_transposed, cuts, *matrix)


def _sorted_by(
    rows: I32, n_rows: int, empty: Empty, cuts: I64, place: Callable[..., None], *arguments: Any
) -> Rows:
    """A counting sort in blocks: the counts of all tell each where its own entries go."""
    blocks = [(block, block + 1) for block in range(len(cuts) - 1)]
    slots = np.zeros((len(blocks), n_rows), np.int64)
    run_blocks(_tally, blocks, cuts, rows, slots)
    indptr = empty(n_rows + 1, np.int64)
    indptr[0] = 0
    np.cumsum(slots.sum(axis=0), out=indptr[1:])
    slots[:] = indptr[:-1] + np.cumsum(slots, axis=0) - slots
    indices = empty(len(rows), np.int32)
    out = empty(len(rows), np.float32)
    run_blocks(place, blocks, *arguments, slots, indices, out)
    return Rows(indptr, indices, out)


def _count_blocks(entries: int) -> int:
    return 8 if entries > 500_000 else 1


def csr_and_csc(
    rows: I32, columns: I32, values: F32, n_rows: int, n_columns: int, empty: Empty = np.empty
) -> tuple[Rows, Rows]:
    """The entries by row and by column, sorted within each row and column."""
    ascend = run_blocks(_ascend, slices(len(rows)), rows, columns)
    by_rows, by_pairs = (all(found[which] for found in ascend) for which in (0, 1))
    if not by_rows:
        by_row = transpose(compress(columns, rows, values, n_columns), n_rows, empty)
        return by_row, transpose(by_row, n_columns, empty)
    by_column = compress(columns, rows, values, n_columns, empty)  # in each, rows ascend
    indptr = empty(n_rows + 1, np.int64)
    indptr[0] = 0
    np.cumsum(bincount(rows, n_rows), out=indptr[1:])
    if by_pairs:
        return Rows(indptr, _writable(columns), _writable(values)), by_column
    by_row = Rows(indptr, empty(len(rows), np.int32), empty(len(rows), np.float32))
    arguments = indptr, columns, values, n_columns, *by_row[1:]
    if n_columns > 64**3 or not all(run_blocks(_sort_rows, balanced_blocks(indptr), *arguments)):
        by_row = transpose(by_column, n_rows, empty)
    return by_row, by_column


@jit
def _ascend(start, stop, rows, columns):
    """Whether entries are sorted by row, and whether by row and then column, up to `stop`."""
    by_rows = by_pairs = True
    for entry in range(max(start, 1), stop):
        row, before = rows[entry], rows[entry - 1]
        by_rows &= row >= before
        by_pairs &= (row > before) | (columns[entry] >= columns[entry - 1])
    return by_rows, by_rows & by_pairs


def _writable(array: Any) -> Any:
    """A view that is writable, for kernels are compiled for such arrays; a copy where none is."""
    view = array.view()
    try:
        view.flags.writeable = True
    except ValueError:  # the owner of the memory is read-only
        view = array.copy()
    return view


@jit
def _sort_rows(start, stop, indptr, columns, values, n_columns, indices, out):
    """Sort each row by column; False if one has a column twice, and all is in vain.

    A set of columns, up to 64^3 of them, is three levels of words, whose bits say which words of
    the next level are not 0: so they are found in order, and each takes a few steps.
    """
    one, level = np.uint64(1), np.int64(64)
    low = np.zeros(n_columns // 64 + 1, np.uint64)
    middle = np.zeros(64, np.uint64)
    found = np.empty(n_columns, np.float32)
    for row in range(start, stop):
        high = np.uint64(0)
        for entry in range(indptr[row], indptr[row + 1]):
            column = np.int64(columns[entry])
            word = column // level
            bit = one << np.uint64(column % level)
            if low[word] & bit:
                return False
            low[word] |= bit
            middle[word // level] |= one << np.uint64(word % level)
            high |= one << np.uint64(word // level)
            found[column] = values[entry]
        entry = indptr[row]
        while high:
            group = lowest(high)
            high &= high - one
            while middle[group]:
                word = group * level + lowest(middle[group])
                middle[group] &= middle[group] - one
                while low[word]:
                    column = word * level + lowest(low[word])
                    low[word] &= low[word] - one
                    indices[entry] = column
                    out[entry] = found[column]
                    entry += 1
    return True


def row_of_entries(matrix: Rows) -> I64:
    """The row of each entry, (entries,)."""
    return np.repeat(np.arange(len(matrix.indptr) - 1), np.diff(matrix.indptr))


def take_rows(matrix: Rows, rows: Ints) -> Rows:
    """Some rows of a matrix, in the given order; views of it if they are consecutive."""
    if len(rows) and (rows[1:] == rows[:-1] + 1).all():
        indptr = matrix.indptr[rows[0] : rows[-1] + 2]
        first, last = indptr[0], indptr[-1]
        return Rows(indptr - first, matrix.indices[first:last], matrix.values[first:last])
    counts = matrix.indptr[rows + 1] - matrix.indptr[rows]
    indptr = np.concatenate(([0], np.cumsum(counts)))
    entries = np.repeat(matrix.indptr[rows] - indptr[:-1], counts) + np.arange(indptr[-1])
    return Rows(indptr, matrix.indices[entries], matrix.values[entries])


def filter_entries(rows: Rows, mask: Bools) -> Rows:
    """The entries that a mask over all entries selects."""
    before = np.concatenate(([0], np.cumsum(mask)))
    return Rows(before[rows.indptr], rows.indices[mask], rows.values[mask])


def pair_keys(rows: Ints, columns: Ints, n_columns: int) -> I64:
    """A number for each place of a matrix, ascending by row, then by column."""
    return rows.astype(np.int64) * n_columns + columns


def rows_of_pairs(rows: I32, columns: I32, shape: tuple[int, int]) -> Rows:
    """A matrix with ones at these places, columns ascending; a place may be named twice."""
    ones = np.ones(len(rows), np.float32)
    matrix, _ = csr_and_csc(rows, columns, ones, *shape)
    row = row_of_entries(matrix)
    distinct = np.ones(len(row), bool)
    distinct[1:] = (row[1:] != row[:-1]) | (matrix.indices[1:] != matrix.indices[:-1])
    return matrix if distinct.all() else filter_entries(matrix, distinct)


def united(one: Rows, other: Rows, n_columns: int) -> Rows:
    """Ones wherever either matrix has an entry."""
    rows = np.concatenate([row_of_entries(one), row_of_entries(other)]).astype(np.int32)
    columns = np.concatenate([one.indices, other.indices])
    return rows_of_pairs(rows, columns, (len(one.indptr) - 1, n_columns))


def without(matrix: Rows, other: Rows) -> Rows:
    """The entries where the other matrix has none; the rows of both ascend."""
    kept = np.empty(len(matrix.indices), bool)
    blocks = balanced_blocks(matrix.indptr)
    run_blocks(_mark_missing, blocks, *matrix[:2], *other[:2], kept)
    return filter_entries(matrix, kept)


@jit
def _mark_missing(start, stop, indptr, indices, other_indptr, others, missing):
    """missing[entry] = whether the row of the other matrix lacks it; both walk along together."""
    for row in range(start, stop):
        other, end = other_indptr[row], other_indptr[row + 1]
        for entry in range(indptr[row], indptr[row + 1]):
            while other < end and others[other] < indices[entry]:
                other += 1
            missing[entry] = other == end or others[other] != indices[entry]


def find_duplicate(matrix: Rows) -> tuple[int, int] | None:
    """(row, column) of the first duplicate entry, or None; each row must be sorted."""
    row, entry = _find_duplicate(matrix.indptr, matrix.indices)
    return None if row < 0 else (int(row), int(matrix.indices[entry]))


@jit
def _find_duplicate(indptr, indices):
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
def weighted_gram(indptr, indices, values, weights, out):
    """out += sum over rows of ``weight * row' row``, out being square in the columns."""
    for row in range(len(weights)):
        for first in range(indptr[row], indptr[row + 1]):
            scaled = values[first] * weights[row]
            for second in range(indptr[row], indptr[row + 1]):
                out[indices[first], indices[second]] += scaled * values[second]


@jit
def count_cooccurrences(start, stop, by_column, columns, by_row, rows, out):
    """out[c, d] += rows with entries in both columns, c from `start` to `stop`, of a matrix by
    column, (by_column, columns), and by row, (by_row, rows).
    """
    for column in range(start, stop):
        counts = out[column]
        for entry in range(by_column[column], by_column[column + 1]):
            row = columns[entry]
            for other in range(by_row[row], by_row[row + 1]):
                counts[rows[other]] += 1


@jit
def sum_rows_of(start, stop, codes, weights, indptr, indices, out):
    """out[u, indices of row codes[u, k]] += weights[u, k], users `start` to `stop`; -1: none."""
    for user in range(start, stop):
        for place in range(codes.shape[1]):
            row = codes[user, place]
            if row < 0:
                continue
            for entry in range(indptr[row], indptr[row + 1]):
                out[user, indices[entry]] += weights[user, place]

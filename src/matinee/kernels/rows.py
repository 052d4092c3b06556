"""Compressed rows: the ratings of each viewer, or of each movie, side by side."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from matinee.kernels.jit import jit


class Rows(NamedTuple):
    """A sparse matrix by rows: row r holds entries ``indptr[r]`` to ``indptr[r + 1]``.

    Eight bytes per rating, plus eight per row.
    """

    indptr: NDArray[np.int64]  # (rows + 1,)
    indices: NDArray[np.int32]  # (entries,) column of each entry
    values: NDArray[np.float32]  # (entries,)


@jit
def _fill(rows, columns, values, indptr, indices, out):
    """Counting sort: place each entry at the next free slot of its row."""
    slot = indptr[:-1].copy()
    for entry in range(len(rows)):
        row = rows[entry]
        indices[slot[row]] = columns[entry]
        out[slot[row]] = values[entry]
        slot[row] += 1


def compress(
    rows: NDArray[np.int32],
    columns: NDArray[np.int32],
    values: NDArray[np.float32],
    n_rows: int,
) -> Rows:
    """Group entries by row, keeping their order within a row.

    Examples
    --------
    >>> found = compress(np.int32([1, 0, 1]), np.int32([5, 6, 7]), np.float32([3, 4, 5]), 2)
    >>> found.indptr.tolist(), found.indices.tolist()
    ([0, 1, 3], [6, 5, 7])
    """
    indptr = np.zeros(n_rows + 1, np.int64)
    np.cumsum(np.bincount(rows, minlength=n_rows), out=indptr[1:])
    indices = np.empty(len(rows), np.int32)
    out = np.empty(len(rows), np.float32)
    _fill(rows, columns, values, indptr, indices, out)
    return Rows(indptr, indices, out)


def transpose(matrix: Rows, n_columns: int) -> Rows:
    """The same entries by column, each sorted by row whatever the order they came in.

    Transposing twice therefore sorts the entries of every row.
    """
    rows = np.repeat(np.arange(len(matrix.indptr) - 1, dtype=np.int32), np.diff(matrix.indptr))
    return compress(matrix.indices, rows, matrix.values, n_columns)


def row_of_entries(matrix: Rows) -> NDArray[np.int64]:
    """The row that each entry stands in, (entries,)."""
    return np.repeat(np.arange(len(matrix.indptr) - 1), np.diff(matrix.indptr))


def take_rows(matrix: Rows, rows: NDArray[np.integer]) -> Rows:
    """Some rows of a matrix, in the order asked for; views of it if they stand side by side."""
    if len(rows) and (rows[1:] == rows[:-1] + 1).all():
        indptr = matrix.indptr[rows[0] : rows[-1] + 2]
        first, last = indptr[0], indptr[-1]
        return Rows(indptr - first, matrix.indices[first:last], matrix.values[first:last])
    counts = matrix.indptr[rows + 1] - matrix.indptr[rows]
    indptr = np.concatenate(([0], np.cumsum(counts)))
    entries = np.repeat(matrix.indptr[rows] - indptr[:-1], counts) + np.arange(indptr[-1])
    return Rows(indptr, matrix.indices[entries], matrix.values[entries])


def keep_entries(rows: Rows, mask: NDArray[np.bool_]) -> Rows:
    """Some entries of each row, by a mask over all entries."""
    before = np.concatenate(([0], np.cumsum(mask)))
    return Rows(before[rows.indptr], rows.indices[mask], rows.values[mask])


def repeated_entry(matrix: Rows) -> tuple[int, int] | None:
    """(row, column) of the first pair that is there twice, or None.

    The entries of each row must be sorted, as `transpose` leaves them.
    """
    again = np.flatnonzero(matrix.indices[1:] == matrix.indices[:-1]) + 1
    # equal neighbours across the border of two rows are no repetition
    again = again[~np.isin(again, matrix.indptr)]
    if len(again) == 0:
        return None
    row = int(np.searchsorted(matrix.indptr, again[0], side="right")) - 1
    return row, int(matrix.indices[again[0]])


@jit
def sum_over_entries(start, stop, indptr, indices, numbers, out):
    """out[r] = sum of ``numbers[column]`` over the entries of row r, from `start` to `stop`."""
    for row in range(start, stop):
        total = 0.0
        for entry in range(indptr[row], indptr[row + 1]):
            total += numbers[indices[entry]]
        out[row] = total


@jit
def count_together(start, stop, by_column, columns, by_row, rows, out):
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

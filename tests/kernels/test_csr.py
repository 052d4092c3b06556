"""Compressed rows against the slow and obvious way: lists that grow."""

from itertools import pairwise

import numpy as np
import pytest

from matinee.kernels import codes, csr
from matinee.kernels.codes import bincount
from matinee.kernels.csr import (
    compress,
    count_cooccurrences,
    csr_and_csc,
    find_duplicate,
    row_of_entries,
    rows_of_pairs,
    sum_weighted_rows,
    take_rows,
    transpose,
    united,
    without,
)
from matinee.kernels.parallel import balanced_blocks, run_blocks


def as_lists(matrix):
    """The (column, value) pairs of each row."""
    pairs = list(zip(matrix.indices.tolist(), matrix.values.tolist(), strict=True))
    return [pairs[a:b] for a, b in zip(matrix.indptr[:-1], matrix.indptr[1:], strict=True)]


def grown(entries, n_rows):
    """The same: each entry goes to the end of the list of its row."""
    lists = [[] for _ in range(n_rows)]
    for row, column, value in entries:
        lists[row].append((column, value))
    return lists


@pytest.fixture(params=[1, 2, 7], autouse=True)
def blocks(request, monkeypatch):
    """As if the data were large enough for one, two or seven blocks."""
    monkeypatch.setattr(csr, "_count_blocks", lambda entries: request.param)


def check(entries):
    triples = [(row, column, float(index)) for index, (row, column) in enumerate(entries)]
    row, column = (np.array([triple[k] for triple in triples], np.int32) for k in (0, 1))
    value = np.array([triple[2] for triple in triples], np.float32)
    flipped = [(c, r, v) for r, c, v in triples]
    assert as_lists(compress(row, column, value, 6)) == grown(triples, 6)
    by_column = grown(sorted(flipped, key=lambda entry: entry[1]), 8)
    assert as_lists(transpose(compress(row, column, value, 6), 8)) == by_column
    by_row, by_column_directly = csr_and_csc(row, column, value, 6, 8)
    assert as_lists(by_row) == grown(sorted(triples, key=lambda entry: entry[1]), 6)
    assert as_lists(by_column_directly) == by_column
    pairs = sorted(entries)
    duplicates = [a for a, b in pairwise(pairs) if a == b]
    assert find_duplicate(by_row) == (duplicates[0] if duplicates else None)
    assert bincount(row, 6).tolist() == [len(entries) for entries in as_lists(by_row)]


def test_rows_are_what_lists_would_be():
    rng = np.random.default_rng(0)
    for n in (0, 1, 2, 5, 40, 300):
        for ordered in (False, True):
            entries = list(zip(rng.integers(0, 6, n).tolist(), rng.integers(0, 8, n).tolist(),
                               strict=True))  # fmt: skip
            check(sorted(entries) if ordered else entries)


def test_entries_that_are_sorted_by_row_and_column_stay_where_they_are(monkeypatch):
    monkeypatch.setattr(codes, "BLOCK", 2)
    row = np.array([0, 0, 2, 2, 2], np.int32)
    column = np.array([1, 3, 0, 3, 4], np.int32)
    value = np.arange(5, dtype=np.float32)
    by_row, _ = csr_and_csc(row, column, value, 4, 5)
    assert by_row.indptr.tolist() == [0, 2, 2, 5, 5]
    assert np.shares_memory(by_row.indices, column)
    assert np.shares_memory(by_row.values, value)
    for moved in ([0, 3, 2, 1, 4], [3, 1, 0, 3, 4], [1, 3, 3, 0, 4]):  # in either of two blocks
        by_row, _ = csr_and_csc(row, np.array(moved, np.int32), value, 4, 5)
        assert as_lists(by_row) == grown(
            sorted(zip(row, moved, value, strict=True), key=lambda entry: entry[:2]), 4
        )
        assert not np.shares_memory(by_row.values, value)
    for array in (column, value):
        array.flags.writeable = False
    by_row, _ = csr_and_csc(row, column, value, 4, 5)
    assert all(array.flags.writeable for array in by_row)  # as kernels are compiled for


def random_matrix(rows, columns, seed=0):
    """(dense, compressed), with an empty row."""
    rng = np.random.default_rng(seed)
    dense = np.where(rng.random((rows, columns)) < 0.4, rng.normal(size=(rows, columns)), 0)
    dense[3] = 0
    row, column = (codes.astype(np.int32) for codes in np.nonzero(dense))
    return dense, compress(row, column, dense[row, column].astype(np.float32), rows)


def test_rows_are_added_up_by_weight():
    dense, matrix = random_matrix(7, 13)
    table = np.random.default_rng(1).normal(0, 0.5, (13, 21)).astype(np.float32)
    out = np.full((7, 21), 9, np.float32)
    sum_weighted_rows(0, 6, *matrix, table, out)
    np.testing.assert_allclose(out[:6], (dense @ table)[:6], atol=1e-5)
    assert (out[3] == 0).all()
    assert (out[6] == 9).all()


def test_items_rated_by_the_same_users_are_counted():
    dense, matrix = random_matrix(41, 30)
    by_column = transpose(matrix, 30)
    counts = np.zeros((30, 30))
    blocks = balanced_blocks(by_column.indptr, 5)
    run_blocks(count_cooccurrences, blocks, *by_column[:2], *matrix[:2], counts, threads=3)
    assert np.array_equal(counts, (dense != 0).T.astype(float) @ (dense != 0))


def test_consecutive_rows_are_taken_like_any_others():
    rng = np.random.default_rng(0)
    row, column = (rng.integers(0, 9, 60).astype(np.int32) for _ in range(2))
    matrix = compress(row, column, np.arange(60, dtype=np.float32), 9)
    for wanted in ([2, 3, 4, 5], list(range(9)), [8], [4, 2, 3], [3, 3], []):
        taken = as_lists(take_rows(matrix, np.array(wanted, np.int64)))
        assert taken == [as_lists(matrix)[row] for row in wanted]


def dense_mask(matrix, n_columns):
    mask = np.zeros((len(matrix.indptr) - 1, n_columns), bool)
    mask[row_of_entries(matrix), matrix.indices] = True
    return mask


def ascending(matrix):
    row = row_of_entries(matrix)
    return (np.diff(row * 1000 + matrix.indices) > 0).all()


@pytest.mark.parametrize("entries", [(0, 0), (0, 30), (30, 0), (60, 40), (300, 300)])
def test_sets_of_places_are_those_of_dense_masks(entries):
    rng = np.random.default_rng(sum(entries))
    matrices = [
        rows_of_pairs(*rng.integers(0, (9, 13), (n, 2)).T.astype(np.int32), (9, 13))
        for n in entries
    ]
    one, other = (dense_mask(matrix, 13) for matrix in matrices)
    for found, expected in (
        (united(*matrices, 13), one | other),
        (without(*matrices), one & ~other),
    ):
        assert np.array_equal(dense_mask(found, 13), expected)
        assert len(found.indices) == expected.sum()
        assert len(found.indptr) == 10
        assert ascending(found)

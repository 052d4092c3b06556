"""Scores and best-n lists against plain numpy."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from matinee.kernels.als import predict_pairs, squared_error
from matinee.kernels.csr import compress, sum_weighted_rows, take_rows
from matinee.kernels.parallel import balanced_blocks, uniform_blocks

MEAN = np.float32(3.5)


def rows(count, factors, seed):
    return np.random.default_rng(seed).normal(0, 0.5, (count, 1 + factors)).astype(np.float32)


def dense_scores(users, items):
    users, items = users.astype(np.float64), items.astype(np.float64)
    return MEAN + users[:, :1] + items[:, 0] + users[:, 1:] @ items[:, 1:].T


def test_pairs_and_lists_of_scores_equal_the_dense_product():
    users, items = rows(11, 7, 0), rows(13, 7, 1)
    expected = dense_scores(users, items)
    user, item = np.divmod(np.arange(11 * 13, dtype=np.int32), 13)
    out = np.empty(len(user), np.float32)
    default_user, nothing = users[3] + 1, items[2] - 1
    predict_pairs(0, len(out), user, item, MEAN, users, items, default_user, nothing, out)
    np.testing.assert_allclose(out.reshape(11, 13), expected, rtol=1e-5)
    unknown = np.int32([-1])
    for codes, rows_of in (((unknown, item[:1]), (default_user, items[0])),
                           ((user[:1], unknown), (users[0], nothing))):  # fmt: skip
        predict_pairs(0, 1, *codes, MEAN, users, items, default_user, nothing, out)
        np.testing.assert_allclose(out[0], dense_scores(*(r[None] for r in rows_of)), rtol=1e-5)


def test_rows_are_added_up_by_weight():
    rng = np.random.default_rng(0)
    dense = np.where(rng.random((7, 13)) < 0.4, rng.normal(size=(7, 13)), 0).astype(np.float32)
    dense[3] = 0
    row, column = (codes.astype(np.int32) for codes in np.nonzero(dense))
    matrix = compress(row, column, dense[row, column], 7)
    other = rows(13, 20, 1)
    out = np.full((7, 21), 9, np.float32)
    sum_weighted_rows(0, 6, *matrix, other, out)
    np.testing.assert_allclose(out[:6], (dense.astype(np.float64) @ other)[:6], atol=1e-5)
    assert (out[3] == 0).all()
    assert (out[6] == 9).all()


def test_squared_error_sums_over_the_ratings_of_the_rows():
    users, items = rows(5, 3, 0), rows(6, 3, 1)
    user, item = np.int32([0, 0, 2, 4, 4]), np.int32([1, 5, 0, 2, 3])
    values = np.float32([1, 5, 3, 4, 2])
    matrix = compress(user, item, values, 5)
    miss = (values - dense_scores(users, items)[user, item]) ** 2
    assert np.isclose(squared_error(0, 5, *matrix, MEAN, users, items), miss.sum(), rtol=1e-5)
    assert np.isclose(squared_error(1, 4, *matrix, MEAN, users, items), miss[2], rtol=1e-5)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 50), max_size=60), st.integers(1, 20))
def test_blocks_cover_every_row_once_in_order(counts, blocks):
    indptr = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
    found = balanced_blocks(indptr, blocks)
    assert [row for start, stop in found for row in range(start, stop)] == list(range(len(counts)))
    assert len(found) <= blocks


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 1000), st.integers(1, 200))
def test_even_blocks_cover_every_row_once_in_order(rows, least):
    found = uniform_blocks(rows, least)
    assert [row for start, stop in found for row in range(start, stop)] == list(range(rows))
    sizes = [stop - start for start, stop in found]
    assert max(sizes) - min(sizes) <= 1
    assert len(found) == 1 or min(sizes) >= least


def test_rows_side_by_side_are_taken_like_any_others():
    rng = np.random.default_rng(0)
    row, column = (rng.integers(0, 9, 60).astype(np.int32) for _ in range(2))
    matrix = compress(row, column, np.arange(60, dtype=np.float32), 9)
    for wanted in ([2, 3, 4, 5], list(range(9)), [8], [4, 2, 3], [3, 3], []):
        found = take_rows(matrix, np.array(wanted, np.int64))
        assert len(found.indptr) == len(wanted) + 1
        for at, one in enumerate(wanted):
            mine, theirs = (
                slice(*found.indptr[at : at + 2]), slice(*matrix.indptr[one : one + 2])
            )  # fmt: skip
            assert np.array_equal(found.values[mine], matrix.values[theirs])
            assert np.array_equal(found.indices[mine], matrix.indices[theirs])

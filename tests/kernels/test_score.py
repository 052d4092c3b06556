"""Scores and best-n lists against plain numpy."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from matinee.kernels import (
    best_items,
    compress,
    equal_blocks,
    predict_pairs,
    run_blocks,
    score_items,
    squared_error,
    top_n,
)

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
    nobody, nothing = users[3] + 1, items[2] - 1
    predict_pairs(0, len(out), user, item, MEAN, users, items, nobody, nothing, out)
    np.testing.assert_allclose(out.reshape(11, 13), expected, rtol=1e-5)
    unknown = np.int32([-1])
    for codes, rows_of in (((unknown, item[:1]), (nobody, items[0])),
                           ((user[:1], unknown), (users[0], nothing))):  # fmt: skip
        predict_pairs(0, 1, *codes, MEAN, users, items, nobody, nothing, out)
        np.testing.assert_allclose(out[0], dense_scores(*(r[None] for r in rows_of)), rtol=1e-5)
    for u in range(11):
        row = np.empty(13, np.float32)
        score_items(MEAN, users[u], items, row)
        np.testing.assert_allclose(row, expected[u], rtol=1e-5)


def test_squared_error_sums_over_the_ratings_of_the_rows():
    users, items = rows(5, 3, 0), rows(6, 3, 1)
    user, item = np.int32([0, 0, 2, 4, 4]), np.int32([1, 5, 0, 2, 3])
    stars = np.float32([1, 5, 3, 4, 2])
    matrix = compress(user, item, stars, 5)
    miss = (stars - dense_scores(users, items)[user, item]) ** 2
    assert np.isclose(squared_error(0, 5, *matrix, MEAN, users, items), miss.sum(), rtol=1e-5)
    assert np.isclose(squared_error(1, 4, *matrix, MEAN, users, items), miss[2], rtol=1e-5)


def best_by_sorting(scores, allowed, n):
    order = sorted(np.flatnonzero(allowed), key=lambda code: (-scores[code], code))[:n]
    return order + [-1] * (n - len(order))


@settings(deadline=None, max_examples=150)
@given(
    st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=60),
    st.integers(1, 70),
)
def test_top_n_is_a_sort_with_ties_by_code(entries, n):
    scores = np.array([score / 2 for score, _ in entries], np.float32)
    allowed = np.array([ok for _, ok in entries])
    codes, best = np.empty(n, np.int32), np.empty(n, np.float32)
    top_n(scores, allowed, codes, best)
    assert codes.tolist() == best_by_sorting(scores, allowed, n)
    found = codes >= 0
    assert np.array_equal(best[found], scores[codes[found]])
    assert np.isnan(best[~found]).all()


def test_best_items_leaves_out_the_seen_ones_of_each_user():
    users, items = rows(50, 4, 2), rows(40, 4, 3)
    rng = np.random.default_rng(4)
    seen_pairs = rng.permutation(50 * 40)[:600]
    seen = compress(
        (seen_pairs // 40).astype(np.int32),
        (seen_pairs % 40).astype(np.int32),
        np.ones(600, np.float32),
        50,
    )
    allowed = rng.random(40) < 0.8
    codes, scores = np.empty((50, 9), np.int32), np.empty((50, 9), np.float32)
    blocks = equal_blocks(np.arange(51), blocks=6)
    arguments = (MEAN, users, items, allowed, seen.indptr, seen.indices, codes, scores)
    run_blocks(best_items, blocks, *arguments, threads=3)
    for user in range(50):
        mask = allowed.copy()
        mask[seen.indices[seen.indptr[user] : seen.indptr[user + 1]]] = False
        own = np.empty(40, np.float32)
        score_items(MEAN, users[user], items, own)
        assert codes[user].tolist() == best_by_sorting(own, mask, 9)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 50), max_size=60), st.integers(1, 20))
def test_blocks_cover_every_row_once_in_order(counts, blocks):
    indptr = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
    found = equal_blocks(indptr, blocks)
    assert [row for start, stop in found for row in range(start, stop)] == list(range(len(counts)))
    assert len(found) <= blocks

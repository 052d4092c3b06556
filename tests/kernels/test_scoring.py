"""Scores of packed items against the dense product."""

import numpy as np
import pytest

from matinee.kernels.parallel import run_blocks
from matinee.kernels.scoring import groups_of_users, pack, score_pairs, score_rows

MEAN = np.float32(3.5)


def rows(count, factors, seed):
    return np.random.default_rng(seed).normal(0, 0.5, (count, 1 + factors)).astype(np.float32)


def every_score(users, items, biased, threads=None):
    out = np.full((len(users), len(items)), np.nan, np.float32)
    packed = pack(items, users, biased)[:3]
    mean = MEAN if biased else np.float32(0)
    blocks = groups_of_users(len(users))
    run_blocks(score_rows, blocks, users, mean, biased, *packed, out, threads=threads)
    return out


@pytest.mark.parametrize("n_users", [1, 7, 8, 21])
@pytest.mark.parametrize("n_items", [1, 15, 16, 17, 101])
@pytest.mark.parametrize("factors", [1, 7, 16, 24])
def test_scores_equal_the_dense_product(n_users, n_items, factors):
    users, items = rows(n_users, factors, 0), rows(n_items, factors, 1)
    wide_users, wide_items = users.astype(np.float64), items.astype(np.float64)
    expected = wide_users[:, 1:] @ wide_items[:, 1:].T + wide_users[:, :1] + wide_items[:, 0] + MEAN
    np.testing.assert_allclose(every_score(users, items, True), expected, rtol=1e-5, atol=1e-6)
    scores = every_score(users, items, False)
    np.testing.assert_allclose(scores, wide_users @ wide_items.T, rtol=1e-5, atol=1e-6)


def test_scores_of_biases_alone():
    users, items = rows(5, 0, 0), rows(37, 0, 1)
    scores = every_score(users, items, True)
    np.testing.assert_allclose(scores, MEAN + users + items[:, 0], rtol=1e-6)


def test_only_the_given_groups_are_scored():
    users, items = rows(20, 3, 0), rows(9, 3, 1)
    out = np.full((20, 9), 7, np.float32)
    score_rows(1, 2, users, MEAN, True, *pack(items, users, True)[:3], out)
    assert (out[:8] == 7).all()
    assert (out[16:] == 7).all()
    assert np.array_equal(out[8:16], every_score(users, items, True)[8:16])


def test_a_score_has_the_same_bits_whatever_other_users_and_items_are_scored():
    users, items = rows(50, 33, 0), rows(300, 33, 1)
    together = every_score(users, items, True, threads=3)
    for user in (0, 8, 49):
        assert np.array_equal(every_score(users[[user]], items, True)[0], together[user])
    some = np.random.default_rng(0).permutation(300)[:40]
    assert np.array_equal(every_score(users, items[some], True, threads=1), together[:, some])


def test_items_are_packed_by_the_highest_score_they_could_have():
    users, items = rows(50, 8, 0), rows(100, 8, 1)
    packed = pack(items, users, True)
    codes = packed.codes.ravel()
    assert sorted(codes[:100]) == list(range(100))
    assert (codes[100:] == -1).all()
    assert (packed.biases.ravel()[100:] == -np.inf).all()
    np.testing.assert_array_equal(packed.biases.ravel()[:100], items[codes[:100], 0])
    item_factors = packed.item_factors.reshape(-1, 8, 16).transpose(0, 2, 1).reshape(-1, 8)
    np.testing.assert_array_equal(item_factors[:100], items[codes[:100], 1:])
    exact = np.linalg.norm(items[:, 1:].astype(np.float64), axis=1)[codes[:100]]
    lengths = packed.lengths.ravel()[:100]
    assert (lengths > exact).all()
    np.testing.assert_allclose(lengths, exact, rtol=1e-6)
    typical = np.linalg.norm(users[:, 1:], axis=1).mean()
    reach = items[codes[:100], 0] + typical * exact
    assert (np.diff(reach) < 1e-5).all()
    assert packed.highest == np.abs(items[:, 0]).max()


@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("factors", [1, 16, 24])
def test_scores_of_pairs_are_those_of_all_to_the_last_bit(biased, factors):
    users, items = rows(21, factors, 0), rows(101, factors, 1)
    expected = every_score(users, items, biased)
    rng = np.random.default_rng(2)
    who, what = rng.integers(0, 21, 500), rng.integers(0, 101, 500).astype(np.int32)
    biases = items[:, 0] if biased else np.zeros(101, np.float32)
    of_items = np.ascontiguousarray(items[:, int(biased) :])
    mean, out = MEAN if biased else np.float32(0), np.empty(500, np.float32)
    score_pairs(0, 500, who, what, users, mean, biased, of_items, biases, out)
    assert np.array_equal(out, expected[who, what])

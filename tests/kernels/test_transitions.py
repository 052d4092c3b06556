"""Sums over all places of histories against a row of features written out at each place."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matinee.kernels.transitions import (
    count_before,
    fading_weights,
    sum_products,
    sum_tails,
    sum_targets,
    sum_transitions,
)

ITEMS = 6


def written_out(histories, decays, last):
    """(user's items up to a place, their features): a row per place; `last` includes the end."""
    places, entry = [], 0
    for history in histories:
        for at in range(len(history) - (not last)):
            features = np.zeros((decays.shape[1], ITEMS))
            weight = np.ones(decays.shape[1])
            for before in range(at, -1, -1):
                features[:, history[before]] += weight
                weight = weight * decays[entry + before]
            places.append((history, at, features))
        entry += len(history)
    return places


def in_csr(histories):
    indptr = np.concatenate(([0], np.cumsum([len(h) for h in histories]))).astype(np.int64)
    items = np.array([item for h in histories for item in h], np.int32)
    users = np.repeat(np.arange(len(histories), dtype=np.int32), np.diff(indptr))
    order = np.argsort(items, kind="stable").astype(np.int32)
    counts = np.bincount(items, minlength=ITEMS)
    return indptr, items, users, np.concatenate(([0], np.cumsum(counts))), order


histories_of = st.lists(
    st.permutations(range(ITEMS)).flatmap(
        lambda items: st.integers(1, ITEMS).map(lambda n: items[:n])
    ),
    min_size=1,
    max_size=5,
)


@settings(deadline=None, max_examples=60)
@given(histories_of, st.integers(1, 3), st.integers(0, 2**31), st.sampled_from([0.0, 0.3, 0.5]))
def test_sums_are_those_of_features_written_out(histories, features, seed, discount):
    rng = np.random.default_rng(seed)
    indptr, items, users, by_item, entries = in_csr(histories)
    decays = rng.uniform(0.4, 1, (len(items), features)).astype(np.float32)
    sources = np.array([0, -1, 1, 2, 3, 4], np.int32)  # item 1 is no source
    chosen = [0, 2, 3, 4, 5]
    tails = np.empty((len(items), features, features), np.float32)
    sum_tails(0, len(histories), indptr, decays, tails)
    shared = users, indptr, items, decays
    where = [entries[by_item[item] : by_item[item + 1]] for item in chosen]
    ends = np.concatenate(([0], np.cumsum([len(one) for one in where]))).astype(np.int64)
    products = np.zeros((features, 5, features, 5), np.float32)
    sum_products(0, 5, ends, np.concatenate(where), *shared, tails, sources, products)
    targets = np.zeros((ITEMS, features, 5), np.float32)
    sum_targets(0, ITEMS, by_item, entries, *shared, sources, np.float32(discount), targets)

    expected = np.zeros((features, ITEMS, features, ITEMS))
    wanted = np.zeros((ITEMS, features, ITEMS))
    for history, at, row in written_out(histories, decays.astype(np.float64), last=False):
        expected += row[:, :, None, None] * row
        for later in range(at + 1, len(history)):
            wanted[history[later]] += discount ** (later - at - 1) * row
    assert products == pytest.approx(expected[:, chosen][:, :, :, chosen], rel=1e-4, abs=1e-4)
    assert targets == pytest.approx(wanted[:, :, chosen], rel=1e-4, abs=1e-4)


@settings(deadline=None, max_examples=60)
@given(histories_of, st.integers(1, 3), st.integers(0, 2**31))
def test_scores_are_products_of_the_last_features(histories, features, seed):
    rng = np.random.default_rng(seed)
    indptr, items, *_ = in_csr(histories)
    decays = rng.uniform(0.4, 1, (len(items), features)).astype(np.float32)
    weights = np.empty((len(items), features), np.float32)
    fading_weights(0, len(histories), indptr, decays, weights)
    dense = rng.normal(size=(features * ITEMS, ITEMS)) * (rng.random((features * ITEMS, 1)) < 0.7)
    row, column = np.nonzero(dense)
    rows = np.concatenate(([0], np.cumsum((dense != 0).sum(axis=1)))).astype(np.int64)
    scores = np.full((len(histories), ITEMS), np.nan, np.float32)
    csr = rows, column.astype(np.int32), dense[row, column].astype(np.float32)
    sum_transitions(0, len(histories), indptr, items, weights, *csr, scores)
    ends = [
        features_there.ravel() @ dense
        for history, at, features_there in written_out(histories, decays, last=True)
        if at == len(history) - 1
    ]
    assert scores == pytest.approx(np.array(ends), rel=1e-4, abs=1e-4)


@settings(deadline=None, max_examples=60)
@given(histories_of, st.integers(1, 4), st.integers(0, 2**31))
def test_what_was_watched_before_is_counted_within_reach(histories, reach, seed):
    rng = np.random.default_rng(seed)
    indptr, items, users, by_item, entries = in_csr(histories)
    decays = rng.uniform(0.4, 1, len(items)).astype(np.float32)
    codes = np.full(reach * len(items), -1, np.int32)
    sums, found = np.empty(len(codes), np.float32), np.zeros(ITEMS, np.int64)
    walk = users, indptr, items, decays, reach, ITEMS
    count_before(0, ITEMS, by_item, entries, *walk, codes, sums, found)
    dense, expected = np.zeros((2, ITEMS, ITEMS))
    for target in range(ITEMS):
        first = reach * by_item[target]
        own = slice(first, first + found[target])
        dense[target, codes[own]] = sums[own]
        assert len(set(codes[own])) == found[target]
    entry = 0
    for history in histories:
        for at in range(len(history)):
            weight = 1.0
            for before in range(at - 1, max(0, at - reach) - 1, -1):
                expected[history[at], history[before]] += weight
                weight *= decays[entry + before]
        entry += len(history)
    assert dense == pytest.approx(expected, rel=1e-5)


def test_what_has_faded_is_not_looked_at():
    indptr, items, users, by_item, entries = in_csr([[0, 1, 2, 3]])
    decays = np.full((4, 1), 0.01, np.float32)  # so a weight has faded two places later
    tails = np.empty((4, 1, 1), np.float32)
    sum_tails(0, 1, indptr, decays, tails)
    every = np.arange(ITEMS, dtype=np.int32)
    products = np.zeros((1, ITEMS, 1, ITEMS), np.float32)
    sum_products(0, ITEMS, by_item, entries, users, indptr, items, decays, tails, every, products)
    found = products[0, :, 0]
    assert np.array_equal(found, found.T)
    assert found[0, 1] == pytest.approx(0.01 * (1 + 1e-4), rel=1e-3)
    assert found[0, 2] == 0
    weights = np.empty((4, 1), np.float32)
    fading_weights(0, 1, indptr, decays, weights)
    assert weights[:, 0].tolist() == pytest.approx([0, 0, 0.01, 1])

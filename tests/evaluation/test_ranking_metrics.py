"""Ranking metrics by hand, against trec_eval, and against plain loops."""

import math
from itertools import combinations

import numpy as np
import pytest
import pytrec_eval
from hypothesis import given
from hypothesis import strategies as st

from matinee.evaluation.ranking_metrics import (
    average_precision,
    coverage,
    genre_diversity,
    gini,
    hit_rate,
    ndcg,
    novelty,
    popularity_share,
    precision,
    recall,
    recall_capped,
    reciprocal_rank,
)

# a miss, a hit, a miss, a hit; nothing; all that the user has
HITS = np.array([[0, 1, 0, 1], [0, 0, 0, 0], [1, 1, 0, 0]], bool)
RELEVANT = np.array([5, 1, 2])
WITH_RELEVANT = (recall, recall_capped, ndcg, average_precision)


def test_accuracy_by_hand():
    second, fourth = 1 / math.log2(3), 1 / math.log2(5)
    best = 1 + second + 1 / math.log2(4)
    for result, expected in [
        (hit_rate(HITS[:, :1]), [0, 0, 1]),
        (hit_rate(HITS[:, :2]), [1, 0, 1]),
        (precision(HITS[:, :3]), [1 / 3, 0, 2 / 3]),
        (precision(HITS), [1 / 2, 0, 1 / 2]),
        (recall(HITS, RELEVANT), [2 / 5, 0, 1]),
        (recall(HITS[:, :1], RELEVANT), [0, 0, 1 / 2]),
        (recall_capped(HITS, RELEVANT), [2 / 4, 0, 1]),
        (recall_capped(HITS[:, :1], RELEVANT), [0, 0, 1]),
        (ndcg(HITS[:, :3], RELEVANT), [second / best, 0, 1]),
        (ndcg(HITS, RELEVANT), [(second + fourth) / (best + fourth), 0, 1]),
        (average_precision(HITS[:, :3], RELEVANT), [1 / 2 / 3, 0, 1]),
        (average_precision(HITS, RELEVANT), [(1 / 2 + 2 / 4) / 4, 0, 1]),
        (reciprocal_rank(HITS), [1 / 2, 0, 1]),
    ]:
        assert result.dtype == np.float64
        assert result == pytest.approx(expected)


@pytest.mark.parametrize("metric", WITH_RELEVANT)
def test_users_without_test_movies_are_refused(metric):
    with pytest.raises(ValueError, match="2 users have no relevant items"):
        metric(HITS, np.array([5, 0, 0]))
    with pytest.raises(ValueError, match="has 1 users, hits have 3"):
        metric(HITS, RELEVANT[:1])


@pytest.mark.parametrize("k", [1, 5, 10, 20])
def test_accuracy_is_that_of_trec_eval(k):
    users, n, items = 200, 20, 60
    random = np.random.default_rng(k)
    ranked = [random.permutation(items)[:n] for _ in range(users)]
    expected = [
        random.choice(items, size=random.integers(1, 30), replace=False) for _ in range(users)
    ]
    names = range(users)
    evaluate_ranking = pytrec_eval.RelevanceEvaluator(
        {str(v): {str(item): 1 for item in expected[v]} for v in names},
        {f"{name}.{k}" for name in ("P", "recall", "ndcg_cut", "map_cut", "success")}
        | {"recip_rank"},
    )
    trec_eval = evaluate_ranking.evaluate(
        {str(v): {str(item): float(n - at) for at, item in enumerate(ranked[v])} for v in names}
    )

    def trec(name):
        return pytest.approx(np.array([trec_eval[str(v)][name] for v in names]))

    hits = np.array([np.isin(a, b) for a, b in zip(ranked, expected, strict=True)])
    relevant = np.array([len(items) for items in expected])
    top, capped = hits[:, :k], np.minimum(k, relevant)
    assert precision(top) == trec(f"P_{k}")
    assert hit_rate(top) == trec(f"success_{k}")
    assert recall(top, relevant) == trec(f"recall_{k}")
    assert recall_capped(top, relevant) * capped / relevant == trec(f"recall_{k}")
    assert ndcg(top, relevant) == trec(f"ndcg_cut_{k}")
    # trec_eval divides by all relevant movies
    assert average_precision(top, relevant) * capped / relevant == trec(f"map_cut_{k}")
    assert reciprocal_rank(hits) == trec("recip_rank")


def test_the_rest_by_hand():
    lists = np.int32([[0, 1, 2], [1, -1, -1], [-1, -1, -1]])
    counts = np.array([2, 8, 0, 8])
    nan = math.nan
    assert coverage(lists, 4) == 3 / 4
    # one movie in ten, rounded up, and the lower code of the two with 8 ratings
    assert popularity_share(lists, counts) == pytest.approx([1 / 3, 1, nan], nan_ok=True)
    # the movie without ratings as if it had one
    assert novelty(lists, counts, 8) == pytest.approx([(2 + 0 + 3) / 3, 0, nan], nan_ok=True)
    # listed 0, 1, 1 and 2 times
    assert gini(lists, 4) == pytest.approx((-3 * 0 - 1 * 1 + 1 * 1 + 3 * 2) / (4 * 4))


def test_genre_diversity_by_hand():
    genres = np.float32([[1, 1, 0], [0, 1, 1], [0, 0, 0], [0, 0, 0]])
    lists = np.int32([[0, 1, -1], [0, 0, -1], [2, 3, -1], [1, 2, 3], [0, -1, -1], [-1, -1, -1]])
    expected = [2 / 3, 0, 0, (1 + 1 + 0) / 3, math.nan, math.nan]
    assert genre_diversity(lists, genres) == pytest.approx(expected, nan_ok=True)


def test_gini_is_0_for_equal_shares_and_nearly_1_for_one_movie():
    assert gini(np.int32([[0, 1], [2, 3]]), 4) == 0
    assert gini(np.int32([[5], [5], [5]]), 1000) == pytest.approx(1 - 1 / 1000)
    assert math.isnan(gini(np.int32([[-1, -1]]), 4))
    with pytest.raises(ValueError, match="item 4 is recommended, of 4"):
        gini(np.int32([[4]]), 4)


def test_coverage_of_no_lists_and_of_no_movies():
    assert coverage(np.int32([[-1, -1]]), 4) == 0
    with pytest.raises(ValueError, match="n_items must be >= 1"):
        coverage(np.int32([[-1]]), 0)


def test_no_movie_is_popular_without_ratings():
    assert popularity_share(np.int32([[0, 1]]), np.zeros(2, np.int64)) == pytest.approx([0])


@given(
    st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(1, 8), st.sampled_from([8, 25, 60])
)
def test_the_rest_as_plain_loops(seed, users, n, items):
    random = np.random.default_rng(seed)
    lists = np.full((users, n), -1, np.int32)
    for row in lists:
        length = random.integers(0, n + 1)
        row[:length] = random.permutation(items)[:length]
    counts = random.integers(0, 6, items)
    genres = random.integers(0, 2, (items, 4)).astype(np.float32)
    plain = [[int(code) for code in row if code >= 0] for row in lists]
    flat = [code for codes in plain for code in codes]

    assert coverage(lists, items) == len(set(flat)) / items

    interactions = sorted((-count, code) for code, count in enumerate(counts) if count > 0)
    most = {code for _, code in interactions[: math.ceil(len(interactions) / 10)]}
    bits = [-math.log2(max(count, 1) / 100) for count in counts]
    kinds = [set(np.flatnonzero(row)) for row in genres]

    def mean(values):
        return sum(values) / len(values) if values else math.nan

    def unlike(a, b):
        either = kinds[a] | kinds[b]
        return 1 - len(kinds[a] & kinds[b]) / len(either) if either else 0

    for result, expected in [
        (popularity_share(lists, counts), [mean([c in most for c in row]) for row in plain]),
        (novelty(lists, counts, 100), [mean([bits[c] for c in row]) for row in plain]),
        (
            genre_diversity(lists, genres),
            [mean([unlike(a, b) for a, b in combinations(row, 2)]) for row in plain],
        ),
    ]:
        assert result == pytest.approx(expected, nan_ok=True, abs=1e-6)

    if flat:
        times = [flat.count(code) for code in range(items)]
        # half the mean difference of all pairs, relative to the mean
        difference = sum(abs(a - b) for a in times for b in times) / items**2
        assert gini(lists, items) == pytest.approx(difference / 2 / (len(flat) / items))


def test_genre_diversity_does_not_depend_on_the_blocks(monkeypatch):
    random = np.random.default_rng(0)
    lists = random.integers(-1, 50, (30, 6), dtype=np.int32)
    genres = random.integers(0, 2, (50, 5)).astype(np.float32)
    whole = genre_diversity(lists, genres)
    monkeypatch.setattr("matinee.evaluation.ranking_metrics.PAIRS_AT_ONCE", 7 * 6 * 6)
    assert genre_diversity(lists, genres) == pytest.approx(whole, nan_ok=True)

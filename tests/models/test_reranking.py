"""Recommending what fewer people know, and genres in the proportions of what a user likes."""

from itertools import combinations

import numpy as np
import pytest

import matinee
from matinee.errors import SettingError
from matinee.kernels.csr import Rows
from matinee.models import EASE, Popularity
from matinee.models.reranking import (
    DISCOVERY,
    SMOOTHING,
    calibrated,
    discovery_offsets,
    prominence,
)


def all_scores(model, head=None):
    users = np.flatnonzero(np.diff(model.interactions.indptr))
    return model.scores(model.user_ids.values[users].to_list(), head=head).astype(np.float64)


@pytest.mark.parametrize("head", [None, "ranking", "rating"])
def test_what_stands_out_is_known_and_disputed(both, head):
    users = np.flatnonzero(np.diff(both.interactions.indptr))
    step = -(-len(users) // 256)
    deviations = all_scores(both, head)[::step].std(axis=0)
    expected = deviations * (1 + np.sqrt(both.item_counts / len(users)))
    found = prominence(both.head(head), both.index)
    np.testing.assert_allclose(found, expected, atol=2e-4)


@pytest.mark.parametrize("head", [None, "ranking", "rating"])
@pytest.mark.parametrize("discover", [0.3, 1.0])
def test_lists_are_the_best_of_scores_less_deviations(both, head, discover):
    offsets = discovery_offsets(both.head(head), both.index, discover)
    np.testing.assert_allclose(
        offsets, -DISCOVERY * discover * prominence(both.head(head), both.index), rtol=1e-6
    )
    for user in (1, 17, both.fold_in({1: 5, 2: 1})):
        scores = both.scores(user, head=head) + offsets
        seen = both.user_profile(user).items
        order = [code for code in np.argsort(-scores, kind="stable") if code not in seen]
        listed = both.recommend(user, n=20, head=head, discover=discover)
        assert listed["item_id"].to_list() == both.items[order[:20]].to_list()
        np.testing.assert_allclose(listed["score"], scores[order[:20]], atol=1e-5)
        predicted = both.predict(user, listed["item_id"])
        np.testing.assert_allclose(listed["predicted_rating"], predicted, atol=1e-5)


def test_a_model_that_scores_every_item_by_itself_can_discover_too(parts):
    model = EASE().fit(parts[0])
    scores = model.scores(3) + discovery_offsets(model.head(), model.index, 0.5)
    listed = model.recommend(3, n=5, discover=0.5, exclude_seen=False)
    best = np.argsort(-scores, kind="stable")[:5]
    assert listed["item_id"].to_list() == model.items[best].to_list()


def test_all_users_are_of_one_opinion_on_popularity(parts):
    model = Popularity().fit(parts[0])
    assert model.recommend(3, discover=1.0).equals(model.recommend(3))


def test_the_further_the_less_known(parts):
    model = matinee.fit(parts[0])
    counts = [
        model.item_counts[model.catalog.ids.codes(model.recommend(n=10, discover=far)["item_id"])]
        for far in (0.0, 0.5, 1.0)
    ]
    means = [float(each.mean()) for each in counts]
    assert means[0] > means[1] > means[2]


@pytest.mark.parametrize("name", ["discover", "diverse"])
@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_dials_go_from_0_to_1(both, name, value):
    with pytest.raises(SettingError, match=f"{name} must be between 0 and 1"):
        both.recommend(1, **{name: value})


def divergence(liked, items, parts):
    sums = parts[items].sum(axis=0)
    mixed = (1 - SMOOTHING) * sums / max(sums.sum(), 1e-12) + SMOOTHING * liked
    return sum(p * np.log(p / q) for p, q in zip(liked, mixed, strict=True) if p > 0)


@pytest.mark.parametrize("diverse", [0.0, 0.4, 0.7, 0.95, 1.0])
def test_each_place_goes_to_what_gains_most(diverse):
    share = diverse**3
    rng = np.random.default_rng(7)
    genres = (rng.random((40, 5)) < 0.4).astype(np.float32)
    parts = genres / np.maximum(genres.sum(axis=1, keepdims=True), 1)
    rated = [np.array([0, 3, 5, 8]), np.array([], int), np.array([2, 7])]
    values = [np.array([5, 1, 4, 4.5]), np.array([]), np.array([3, 3])]
    indptr = np.array([0, 4, 4, 6])
    interactions = Rows(
        indptr, np.concatenate(rated).astype(np.int32), np.concatenate(values).astype(np.float32)
    )
    codes = np.stack([rng.permutation(np.arange(10, 40))[:12] for _ in rated]).astype(np.int32)
    scores = -np.sort(-rng.random((3, 12)).astype(np.float32), axis=1)
    codes[2, 9:], scores[2, 9:] = -1, np.nan
    found, found_scores = calibrated(codes, scores, interactions, genres, 4, diverse)
    for user in range(3):
        own = scores[user][codes[user] >= 0].astype(float)
        relative = (scores[user] - own.min()) / (own.max() - own.min())
        kept = values[user] >= values[user].mean() if len(values[user]) else []
        liked = parts[rated[user][kept]].sum(axis=0).astype(float)
        liked /= max(liked.sum(), 1e-12)
        listed: list[int] = []
        for _ in range(4):
            rest = [k for k in range(len(own)) if k not in listed]
            listed.append(
                max(
                    rest,
                    key=lambda k: (
                        (1 - share) * relative[[*listed, k]].sum() / 4
                        - share * divergence(liked, codes[user][[*listed, k]], parts)
                    ),
                )
            )
        assert found[user].tolist() == codes[user][listed].tolist()
        assert found_scores[user].tolist() == scores[user][listed].tolist()


def test_a_list_shorter_than_wanted_ends_with_nothing():
    interactions = Rows(np.array([0, 1]), np.int32([0]), np.float32([4]))
    codes, scores = np.int32([[2, 1, -1, -1]]), np.float32([[0.9, 0.2, np.nan, np.nan]])
    found, _ = calibrated(codes, scores, interactions, np.eye(3, dtype=np.float32), 4, 0.5)
    assert found.tolist() == [[2, 1, -1, -1]]


def test_diverse_lists_have_the_genres_of_what_is_liked(both):
    parts = both.catalog.genre_matrix
    parts = parts / np.maximum(parts.sum(axis=1, keepdims=True), 1)
    distances = {}
    for diverse in (0.0, 0.5, 1.0):
        distances[diverse] = []
        for user in both.user_ids.values[:40].to_list():
            profile = both.user_profile(user)
            liked = parts[profile.items[profile.values >= profile.values.mean() - 1e-6]].sum(axis=0)
            listed = both.recommend(user, diverse=diverse)
            assert listed.height == 10
            assert not set(both.catalog.ids.codes(listed["item_id"])) & set(profile.items)
            items = both.catalog.ids.codes(listed["item_id"])
            distances[diverse].append(divergence(liked / liked.sum(), items, parts))
    assert np.mean(distances[0.0]) > np.mean(distances[0.5]) > np.mean(distances[1.0])


def test_both_dials_go_together(both):
    lists = [
        both.recommend(n=10, discover=discover, diverse=diverse)["item_id"].to_list()
        for discover in (0.0, 0.8)
        for diverse in (0.0, 0.8)
    ]
    assert all(one != other for one, other in combinations(lists, 2))

"""Clusters: planted ones are found, named and scored; scores against loops over pairs."""

import json
import math

import numpy as np
import polars as pl
import pytest

pytest.importorskip("sklearn")

from matinee.analysis import clusters
from matinee.analysis.clusters import EXAMPLES, K_RANGE, find_clusters
from matinee.errors import SettingError
from matinee.models import EASE, Bias, ImplicitALS, Popularity

BUNDLES = {"Horror": 30, "Comedy": 24, "War": 18, "Western": 12, "Musical": 8}  # see `bundles`


@pytest.fixture(scope="module")
def found(bundles):
    return find_clusters(bundles[0])


def test_planted_bundles_are_found_without_being_told_how_many(found, bundles):
    truth = bundles[1][found.embeddings.indices]
    # numbered from the largest on, as the bundles are
    assert found.labels.tolist() == truth.tolist()
    assert found.names == list(BUNDLES)
    assert found.table["size"].to_list() == list(BUNDLES.values())
    assert found.table["cluster"].to_list() == [1, 2, 3, 4, 5]
    assert found.titles[0] == "1 Horror"
    assert found.silhouettes["k"].to_list() == list(K_RANGE)
    best = found.silhouettes.sort("silhouette", descending=True).row(0)
    assert best == (5, found.silhouette)
    assert found.silhouette > 0.9
    assert found.stability == 1
    assert found.genre_agreement == pytest.approx(1)


def test_the_silhouette_is_that_of_its_definition(model):
    found = find_clusters(model, 3)
    rows = found.embeddings.factors.astype(np.float64)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    labels, scores = found.labels.tolist(), []
    for row, own in enumerate(labels):
        distances = {cluster: [] for cluster in set(labels)}
        for other, cluster in enumerate(labels):
            if other != row:
                distances[cluster].append(1 - sum(rows[row] * rows[other]))
        mean = {cluster: sum(far) / len(far) for cluster, far in distances.items() if far}
        inside = mean.pop(own)
        outside = min(mean.values())
        scores.append((outside - inside) / max(inside, outside))
    assert found.silhouette == pytest.approx(sum(scores) / len(scores), abs=1e-5)
    assert found.silhouettes.rows() == [(3, found.silhouette)]


def mutual_information(both, first, second):
    """Of two divisions of ten, from the sizes of their parts and of the parts' overlaps."""
    return sum(
        n / 10 * math.log(10 * n / (first[a] * second[b])) for (a, b), n in both.items() if n
    )


def test_the_genre_agreement_is_mutual_information_beyond_chance(by_hand):
    item_factors = [[1, 0]] * 3 + [[1, 0.01]] * 3 + [[0, 1]] * 2 + [[0.01, 1]] * 2
    genres = [["War"]] * 4 + [["Drama"]] * 6
    found = find_clusters(by_hand(item_factors, genres=genres), 2)
    assert found.table["size"].to_list() == [6, 4]

    def overlap(k):  # k of the six in the first cluster are War
        both = {(0, 0): k, (0, 1): 6 - k, (1, 0): 4 - k, (1, 1): k}
        return mutual_information(both, [6, 4], [4, 6])

    ways = {k: math.comb(4, k) * math.comb(6, 6 - k) for k in range(5)}
    by_chance = sum(n * overlap(k) for k, n in ways.items()) / sum(ways.values())
    entropy = -(0.6 * math.log(0.6) + 0.4 * math.log(0.4))  # of either division
    expected = (overlap(4) - by_chance) / (entropy - by_chance)
    assert found.genre_agreement == pytest.approx(expected)


def test_typical_movies_lie_at_the_centre_and_popular_ones_are_the_most_rated(found, bundles):
    model, bundle = bundles
    for row in found.table.rows(named=True):
        members = np.flatnonzero(bundle == row["cluster"] - 1).tolist()
        item_factors = {
            m: model.rating_head.item_factors[m] / math.hypot(*model.rating_head.item_factors[m])
            for m in members
        }
        centre = sum(item_factors.values())
        near = sorted(members, key=lambda m: -float(item_factors[m] @ centre))[:EXAMPLES]
        popular = sorted(members, key=lambda m: -int(model.item_counts[m]))[:EXAMPLES]
        assert row["typical"] == [f"Movie {m}" for m in near]
        assert row["popular"] == [f"Movie {m}" for m in popular]


def test_traits_say_how_much_more_a_cluster_holds(found):
    items = sum(BUNDLES.values())
    first = found.traits.group_by("cluster", maintain_order=True).first()
    assert first["trait"].to_list() == list(BUNDLES)
    assert first["share"].to_list() == [1] * 5
    assert first["lift"].to_list() == pytest.approx([items / n for n in BUNDLES.values()])
    assert found.traits["cluster"].unique(maintain_order=True).to_list() == [1, 2, 3, 4, 5]


def test_what_is_left_out_belongs_to_no_cluster(found):
    assert len(found.labels) == len(found.embeddings) == sum(BUNDLES.values())
    assert found.embeddings.left_out == "Left out: 5 movies with under 10 ratings."


def directions(sizes):
    """So many movies along each axis, a little apart from one another."""
    rows = np.repeat(np.eye(len(sizes)), sizes, axis=0)
    return rows + 0.02 * np.random.default_rng(0).normal(size=rows.shape)


def test_names_hold_two_genres_and_a_decade_of_which_there_are_more(by_hand):
    genres = [["War", "Drama", "Crime"]] * 12 + [["Comedy"]] * 10 + [[]] * 8
    years = [1944] * 12 + [None] * 10 + [1990, 2000] * 4
    found = find_clusters(by_hand(directions([12, 10, 8]), genres=genres, years=years), 3)
    assert found.names == ["Crime, Drama, 1940s", "Comedy", "1990s"]


def test_clusters_that_two_genres_cannot_tell_apart_have_a_third(by_hand):
    genres = [["A", "B", "C"]] * 10 + [["A", "B", "D"]] * 9 + [["E"]] * 8
    found = find_clusters(by_hand(directions([10, 9, 8]), genres=genres), 3)
    assert found.names == ["C, A", "D, A", "E"]  # two do
    genres = [["A", "B"]] * 10 + [["A", "B", "D"]] * 9 + [["E"]] * 20
    genres[10:16] = [["A", "B"]] * 6  # so few have it that it does not come first
    found = find_clusters(by_hand(directions([10, 9, 20]), genres=genres), 3)
    assert found.names == ["E", "A, B", "A, B, D"]


def test_what_few_of_a_cluster_have_names_it_not(by_hand):
    genres = [["War"]] + [["Drama"]] * 14 + [["Drama"]] * 12  # a fifteenth is War
    found = find_clusters(by_hand(directions([15, 12]), genres=genres), 2)
    assert found.names == ["mixed"] * 2


def test_movies_without_genres_and_years(by_hand):
    titles = [f"<script>alert({i})</script>" for i in range(20)]
    found = find_clusters(by_hand(directions([8, 6, 6]), titles=titles), 3)
    assert found.genre_agreement == 0
    assert found.names == ["mixed"] * 3
    assert set(found.table["popular"][0]) <= set(titles[:8])


def test_without_structure_stability_and_silhouette_are_low(by_hand):
    item_factors = np.random.default_rng(1).normal(size=(150, 12))
    genres = [["War"], ["Drama"]] * 75
    noise = find_clusters(by_hand(item_factors, genres=genres), 8)
    assert noise.stability < 0.6
    assert noise.silhouette < 0.2
    assert noise.genre_agreement < 0.2


def test_clusters_of_users_are_found_and_named_by_what_they_watch(by_hand):
    kinds = 3
    rng = np.random.default_rng(2)
    group = rng.permutation(np.repeat(np.arange(kinds), [16, 12, 9]))
    genres = [[("War", "Drama", "Comedy")[i // 20]] for i in range(60)]
    seen = [
        sorted({*rng.choice(20, 12, replace=False) + 20 * g, *rng.choice(60, 3)}) for g in group
    ]
    user_factors = 5 + np.eye(kinds)[group] + 0.02 * rng.normal(size=(len(group), kinds))
    model = by_hand(np.ones((60, kinds)), seen=seen, user_factors=user_factors, genres=genres)
    found = find_clusters(model, 3, of="users")
    assert found.labels.tolist() == group[found.embeddings.indices].tolist()
    assert found.names == ["War", "Drama", "Comedy"]
    assert found.genre_agreement == pytest.approx(1)
    assert found.stability == 1
    for row in found.table.rows(named=True):
        members = np.flatnonzero(group == row["cluster"] - 1).tolist()
        assert {int(one) - 1 for one in row["typical"]} <= set(members)
        weights = {}
        for item in range(60):
            here = sum(item in seen[m] for m in members) / len(members)
            overall = sum(item in watched for watched in seen) / len(seen)
            weights[item] = here * math.log(here / overall) if here else 0.0
        best = sorted(weights, key=lambda item: -weights[item])[:EXAMPLES]
        assert [weights[int(title.split()[1])] for title in row["popular"]] == pytest.approx(
            [weights[item] for item in best]
        )


@pytest.mark.slow
def test_the_same_seed_gives_the_same_and_another_the_same_bundles(model, bundles, found):
    one, two = (find_clusters(model, 6, seed=4) for _ in range(2))
    assert np.array_equal(one.labels, two.labels)
    assert one.to_dict() == two.to_dict()
    assert np.array_equal(find_clusters(bundles[0], seed=9).labels, found.labels)


def test_there_are_no_more_clusters_than_directions(by_hand):
    found = find_clusters(by_hand([[one] for one in (1, 2, -1) * 5]))
    assert found.labels.tolist() == [0, 0, 1] * 5
    assert found.silhouettes.rows() == [(2, pytest.approx(1))]


@pytest.mark.parametrize("items", [3, 4, 5, 6])
def test_very_few_movies(items, by_hand):
    found = find_clusters(by_hand(np.eye(items) + 0.1))
    tried = [k for k in K_RANGE if k < items] or [2]
    assert found.silhouettes["k"].to_list() == tried
    assert found.table["size"].sum() == items
    assert len(set(found.labels.tolist())) == found.table.height
    assert -1 <= found.silhouette <= 1


def test_lists_and_item_weights_have_clusters_too(parts):
    for estimator in (ImplicitALS(factors=4, iterations=2), EASE()):
        model = estimator.fit(parts[0])
        found = find_clusters(model, 4)
        assert found.embeddings.head == "ranking"
        assert found.table["size"].sum() == (model.item_counts >= 10).sum()


def test_as_plain_values(found):
    plain = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert (plain["of"], plain["head"], plain["k"]) == ("items", "rating", 5)
    assert [one["name"] for one in plain["clusters"]] == list(BUNDLES)
    assert pl.DataFrame(plain["traits"]).equals(found.traits)


@pytest.mark.slow
def test_nonsense_is_refused(model, by_hand, parts):
    items = int((model.item_counts >= 10).sum())
    for k in (-1, 0, 1, items, items + 1):
        with pytest.raises(SettingError, match=f"between 2 and {items - 1}, got {k}"):
            find_clusters(model, k)
    with pytest.raises(SettingError, match="'items', 'users', got 'actors'"):
        find_clusters(model, of="actors")
    for estimator in (Bias(iterations=1), Popularity()):
        with pytest.raises(SettingError, match=r"without factors|no rating head"):
            find_clusters(estimator.fit(parts[0]))
    with pytest.raises(SettingError, match="no user factors"):
        find_clusters(EASE().fit(parts[0]), of="users")
    assert find_clusters(model, 2).table.height == 2


def test_clusters_of_users_who_all_watch_the_same_watch_nothing_more(by_hand):
    user_factors = np.eye(4)[np.arange(20) % 2]
    model = by_hand(np.eye(4)[np.arange(12) % 4], counts=[20] * 12, user_factors=user_factors)
    found = find_clusters(model, 2, of="users")
    assert found.table["popular"].to_list() == [[], []]


def test_a_seed_below_zero_is_refused_in_one_line(by_hand):
    with pytest.raises(SettingError, match="seed must be >= 0, got -1"):
        find_clusters(by_hand(np.eye(12)), 2, seed=-1)


@pytest.mark.slow
def test_more_rows_than_k_is_tried_on_are_all_divided(bundles, monkeypatch):
    model, bundle = bundles
    monkeypatch.setattr(clusters, "MAX_ROWS", 40)
    found = find_clusters(model)
    for group in range(found.table.height):
        of_group = bundle[found.embeddings.indices[found.labels == group]]
        assert len(set(of_group.tolist())) == 1
    assert len(found.labels) == len(found.embeddings) > 40

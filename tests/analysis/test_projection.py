"""Projections: what lies where, and the table that maps are made of."""

import math
import sys

import numpy as np
import pytest

pytest.importorskip("sklearn")

from matinee.analysis.clusters import find_clusters
from matinee.analysis.projection import project
from matinee.errors import ExtraError, SettingError
from matinee.models import ALS, Bias, ImplicitALS


@pytest.fixture(scope="module")
def flat(bundles, found):
    return project(bundles[0], "pca", clusters=found)


def places(found):
    return found.points.select("x", "y").to_numpy()


def share_with_a_neighbour_of_the_same_kind(where, kinds):
    """Of the points, how many have a nearest one of their kind."""
    hits = 0
    for here, kind in zip(where, kinds, strict=True):
        far = [math.dist(here, there) for there in where]
        far[int(np.argmin(far))] = math.inf
        hits += kinds[int(np.argmin(far))] == kind
    return hits / len(kinds)


@pytest.mark.slow
def test_pca_is_the_two_widest_axes_up_to_sign(model):
    found = project(model, "pca")
    rows = found.embeddings.factors.astype(np.float64)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    rows -= rows.mean(axis=0)
    _, axes = np.linalg.eigh(rows.T @ rows)
    right = rows @ axes[:, [-1, -2]]
    right /= math.sqrt((right**2).mean())
    where = places(found)
    for axis in (0, 1):
        sign = np.sign(where[:, axis] @ right[:, axis])
        np.testing.assert_allclose(where[:, axis], sign * right[:, axis], atol=2e-3)


@pytest.mark.slow
def test_tsne_keeps_bundles_together(bundles):
    model, bundle = bundles
    found = project(model)
    assert found.method == "tsne"
    kinds = bundle[found.embeddings.indices].tolist()
    assert share_with_a_neighbour_of_the_same_kind(places(found), kinds) == 1


@pytest.mark.thorough
def test_umap_keeps_bundles_together(bundles):
    pytest.importorskip("umap")
    model, bundle = bundles
    found = project(model, "umap")
    kinds = bundle[found.embeddings.indices].tolist()
    assert share_with_a_neighbour_of_the_same_kind(places(found), kinds) == 1
    assert places(project(model, "umap")).tolist() == places(found).tolist()


@pytest.mark.slow
@pytest.mark.parametrize("method", ["tsne", "pca"])
def test_the_same_seed_gives_the_same_picture_centred_and_of_spread_one(method, bundles, found):
    one, two = (project(bundles[0], method, clusters=found, seed=3) for _ in range(2))
    assert one.points.equals(two.points)
    np.testing.assert_allclose(places(one).mean(axis=0), 0, atol=1e-3)
    assert places(one).std() == pytest.approx(1, abs=2e-3)


@pytest.fixture(scope="module")
def found(bundles):
    return find_clusters(bundles[0])


def test_points_tell_what_is_known_of_each_movie(bundles, flat):
    model, _ = bundles
    assert flat.points["item_id"].to_list() == (flat.embeddings.indices + 1).tolist()
    given = {}
    for user in model.user_ids.values:
        interactions = model.user_profile(user)
        for item, values in zip(
            interactions.items.tolist(), interactions.values.tolist(), strict=True
        ):
            given.setdefault(item, []).append(values)
    for row in flat.points.rows(named=True):
        item = row["item_id"] - 1
        assert row["title"] == f"Movie {item}"
        assert row["year"] is None
        assert row["genres"] == row["genre"] == model.catalog.frame["genres"][item][0]
        assert row["n_ratings"] == len(given[item])
        assert row["mean_rating"] == pytest.approx(sum(given[item]) / len(given[item]), abs=0.006)
        number = ["Horror", "Comedy", "War", "Western", "Musical"].index(row["genre"]) + 1
        assert row["cluster"] == f"{number} {row['genre']}"


@pytest.mark.parametrize("head", ["rating", "ranking"])
def test_the_nearest_named_are_the_similar_ones(both, head):
    found = project(both, "pca", head=head)
    for item, near in found.points.select("item_id", "neighbours").rows():
        assert near.split("\n") == both.similar_items(item, 5, head=head)["title"].to_list()


def test_years_and_several_genres_are_kept(model):
    points = project(model, "pca").points
    frame = model.catalog.frame
    for item, year, genres in points.select("item_id", "year", "genres").rows():
        assert year == frame["year"][item - 1]
        assert genres == "|".join(frame["genres"][item - 1])


def test_only_the_most_rated_lie_there_but_all_are_clustered(bundles, found):
    few = project(bundles[0], "pca", clusters=found, max_items=20)
    assert few.clusters is found
    assert few.points.height == len(few.embeddings) == 20
    assert few.points["item_id"].to_list() == (found.embeddings.indices[:20] + 1).tolist()
    labels = (found.labels[:20] + 1).tolist()
    assert [int(name.split()[0]) for name in few.points["cluster"]] == labels
    assert "72 not among the 20 most popular" in few.embeddings.left_out


def test_a_model_for_lists_is_laid_out_by_its_only_head(parts):
    found = project(ImplicitALS(factors=4, iterations=2).fit(parts[0]), "pca")
    assert found.embeddings.head == "ranking"
    assert found.clusters is None


def test_text_stays_text_without_genres_and_years(by_hand):
    titles = [f"<script>alert({i})</script>" for i in range(12)]
    item_factors = np.random.default_rng(0).normal(size=(12, 3))
    points = project(by_hand(item_factors, titles=titles), "pca").points
    assert points["title"].to_list() == titles
    assert set(points["genre"]) == {"no genre"}
    assert set(points["genres"]) == {""}
    assert set(points["neighbours"].str.split("\n").explode()) <= set(titles)


@pytest.mark.parametrize("method", [pytest.param("tsne", marks=pytest.mark.slow), "pca"])
@pytest.mark.parametrize("items", [3, 4, 7])
def test_very_few_movies(method, items, by_hand):
    found = project(by_hand(np.random.default_rng(1).normal(size=(items, 4))), method)
    assert found.points.height == items
    assert np.isfinite(places(found)).all()
    assert (
        found.points["neighbours"].str.split("\n").list.len().to_list()
        == [min(5, items - 1)] * items
    )


@pytest.mark.parametrize("method", ["tsne", "pca"])
def test_factors_of_one_dimension_are_refused(method, parts):
    model = ALS(factors=1, iterations=2).fit(parts[0])
    with pytest.raises(SettingError, match="on a line or in one point"):
        project(model, method)


def test_an_unknown_method_or_head_is_refused(model, parts):
    with pytest.raises(SettingError, match="one of 'tsne', 'pca', 'umap', got 'mds'"):
        project(model, "mds")
    with pytest.raises(SettingError, match="no ranking head"):
        project(model, head="ranking")
    with pytest.raises(SettingError, match="without factors"):
        project(Bias(iterations=1).fit(parts[0]))
    with pytest.raises(SettingError, match="max_items must be >= 3, got 0"):
        project(model, max_items=0)


def test_without_umap_one_is_told_what_to_install(model, monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(ExtraError, match="pip install umap-learn"):
        project(model, "umap")


def test_without_ratings_points_have_no_mean_and_what_is_left_out_speaks_of_interactions(unrated):
    layout = project(ImplicitALS(factors=4, iterations=2).fit(unrated), "pca")
    assert layout.points["mean_rating"].null_count() == len(layout.points)
    assert layout.embeddings.unit == "interaction"
    assert layout.embeddings.left_out.endswith("with under 10 interactions.")

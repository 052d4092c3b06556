"""Warm starts: from the same data, from fewer factors, and from other users and items."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import matinee
from matinee.data.synthetic import generate
from matinee.errors import SettingError
from matinee.models import ALS, EASE, Bias, ImplicitALS, ItemKNN, Popularity, UserKNN
from matinee.models.als_common import FactorMatrix


def rows(model):
    head = model.rating_head or model.ranking_head
    return head.user_params, head.item_params


@pytest.mark.parametrize("cls", [ALS, ImplicitALS])
def test_two_halves_are_nearly_the_whole(parts, cls):
    """Conjugate gradients of a last iteration are exact, and so one half knows a little more."""
    train = parts[0]
    whole = cls(factors=3, iterations=12).fit(train)
    half = cls(factors=3, iterations=6)
    warm = half.fit(train, warm_start=half.fit(train))
    cold = half.fit(train)
    for one, other, first in zip(rows(warm), rows(whole), rows(cold), strict=True):
        assert np.abs(one - other).max() < 0.5 * np.abs(first - other).max()


def test_exact_solves_start_warm_but_for_the_rounding_of_what_is_kept(parts):
    estimator = ALS(factors=3, iterations=4, solver="cholesky")
    whole = ALS(factors=3, iterations=8, solver="cholesky").fit(parts[0])
    warm = estimator.fit(parts[0], warm_start=estimator.fit(parts[0]))
    for one, other in zip(rows(warm), rows(whole), strict=True):
        assert np.allclose(one, other, atol=1e-5)


@pytest.mark.parametrize("cls", [ALS, ImplicitALS])
def test_further_factors_join_those_that_are_there(parts, cls):
    small = cls(factors=2, iterations=8).fit(parts[0])
    grown = cls(factors=5, iterations=3).fit(parts[0], warm_start=small)
    cold = cls(factors=5, iterations=3).fit(parts[0])
    loss = {
        name: float(model.history["loss"][-1])
        for name, model in (("small", small), ("grown", grown), ("cold", cold))
    }
    assert loss["grown"] < loss["cold"]
    assert loss["grown"] < 1.01 * loss["small"]


@pytest.mark.parametrize("cls", [ALS, ImplicitALS])
def test_a_warm_start_from_itself_changes_little(parts, cls):
    model = cls(factors=3, iterations=30, regularization=0.05).fit(parts[0])
    one = replace(cls(factors=3, regularization=0.05), iterations=1)
    moved, cold = one.fit(parts[0], warm_start=model), one.fit(parts[0])
    loss = model.history["loss"][-1]
    assert 0.99 * loss < moved.history["loss"][-1] <= (1 + 1e-6) * loss < cold.history["loss"][-1]
    for one, other, first in zip(rows(moved), rows(model), rows(cold), strict=True):
        assert np.square(one - other).mean() < 0.02 * np.square(first - other).mean()


@pytest.mark.parametrize("cls", [ALS, ImplicitALS])
def test_a_model_with_more_factors_is_refused(parts, cls):
    wide = cls(factors=4, iterations=1).fit(parts[0])
    with pytest.raises(SettingError, match="has 4 factors, more than 3; a model can only grow"):
        cls(factors=3, iterations=1).fit(parts[0], warm_start=wide)


@pytest.mark.slow
def test_a_model_without_factors_is_refused(parts, both):
    train = parts[0]
    rankers = [EASE(), Popularity(), ItemKNN(), UserKNN()]
    for earlier in (*rankers, ImplicitALS(factors=2, iterations=1)):
        with pytest.raises(SettingError, match=r"^warm_start has no factors that predict ratings"):
            ALS(factors=8, iterations=1).fit(train, warm_start=earlier.fit(train))
    for earlier in (*rankers, ALS(factors=2, iterations=1)):
        with pytest.raises(SettingError, match=r"^warm_start has no factors that rank"):
            ImplicitALS(factors=8, iterations=1).fit(train, warm_start=earlier.fit(train))
    for cls in (ALS, ImplicitALS):  # of both heads each takes its own
        cls(factors=6, iterations=1).fit(train, warm_start=both)


def test_biases_are_a_start_too(parts):
    train = parts[0]
    warm, cold = (
        ALS(factors=3, iterations=1).fit(train, warm_start=start)
        for start in (Bias().fit(train), None)
    )
    assert warm.history["loss"][-1] < cold.history["loss"][-1]


# --- other users and items


def subset(data, users, items):
    """The ratings of some users of some items, which have other indices there."""
    kept = np.isin(data.ratings.user, users) & np.isin(data.ratings.item, items)
    frame = data.to_frame().filter(pl.Series(kept))
    return matinee.read(frame.sample(fraction=1.0, shuffle=True, seed=0))


@pytest.fixture(scope="module")
def large():
    """(earlier, train, test): today's data, and those of before, of other users and items."""
    data, _ = generate(users=1_000, items=300, ratings=60_000, seed=2)
    train, test = data.split("random", test_fraction=0.1, seed=0)
    rng = np.random.default_rng(1)
    users, items = np.sort(rng.permutation(1_000)[:850]), np.sort(rng.permutation(300)[:270])
    return subset(train, users, items), train, test


def error(model, test):
    ids = test.ratings.user_ids.values[test.ratings.user]
    items = test.ratings.item_ids.values[test.ratings.item]
    predicted = model.predict(ids, items, unknown="average")
    return float(np.sqrt(np.square(predicted - test.ratings.values).mean()))


def gain(model, test):
    """How well the test set is ranked: NDCG over all unseen items."""
    scores = model.scores(model.user_ids.values)
    seen = model.interactions
    for user in range(len(scores)):
        scores[user, seen.indices[seen.indptr[user] : seen.indptr[user + 1]]] = -np.inf
    ranks = (-scores).argsort(axis=1, kind="stable").argsort(axis=1)
    return float((1 / np.log2(2 + ranks[test.ratings.user, test.ratings.item])).mean())


def loss(model):
    return float(model.history["loss"][-1])


@pytest.mark.slow
def test_ratings_end_as_good_after_a_quarter_of_the_iterations(large):
    earlier, train, test = large
    assert len(earlier.ratings.user_ids) == 850
    assert len(earlier.ratings.item_ids) <= 270
    whole, quarter = ALS(factors=8, iterations=16), ALS(factors=8, iterations=4)
    full, cold = whole.fit(train), quarter.fit(train)
    warm = quarter.fit(train, warm_start=whole.fit(earlier))
    assert loss(warm) - loss(full) < 0.05 * (loss(cold) - loss(full))
    assert error(warm, test) - error(full, test) < 0.25 * (error(cold, test) - error(full, test))
    assert error(cold, test) > error(full, test) + 0.01


@pytest.mark.slow
def test_lists_end_as_good_after_a_quarter_of_the_iterations(large):
    earlier, train, test = large
    settings = {"factors": 8, "regularization": 0.02, "unobserved": 0.25}
    whole, quarter = ImplicitALS(iterations=16, **settings), ImplicitALS(iterations=4, **settings)
    full, cold = whole.fit(train), quarter.fit(train)
    warm = quarter.fit(train, warm_start=whole.fit(earlier))
    assert loss(warm) - loss(full) < 0.05 * (loss(cold) - loss(full))
    assert gain(warm, test) > gain(full, test) - 0.002
    assert gain(cold, test) < gain(full, test) - 0.003


@pytest.mark.slow
@pytest.mark.parametrize("cls", [ALS, ImplicitALS])
def test_items_and_users_that_are_gone_are_forgotten(large, cls):
    """The other way round: most of today's are known, and more that are there no longer."""
    later, train, _ = large
    estimator = cls(factors=8, iterations=2)
    warm = estimator.fit(later, warm_start=cls(factors=8, iterations=12).fit(train))
    assert len(warm.user_ids) == 850
    assert loss(warm) < loss(estimator.fit(later))


@pytest.mark.slow
@pytest.mark.parametrize("cls", [ALS, ImplicitALS])
def test_a_model_may_grow_in_factors_while_users_join(large, cls):
    earlier, train, _ = large
    warm = cls(factors=6, iterations=4).fit(
        train, warm_start=cls(factors=3, iterations=8).fit(earlier)
    )
    for params, bias in zip(rows(warm), (1, 1) if cls is ALS else (0, 0), strict=True):
        factors = params[:, bias:].astype(np.float64)
        lengths = np.linalg.svd(factors - factors.mean(axis=0), compute_uv=False)
        assert lengths[5] > 0.1 * lengths[0]  # all six are in use


@pytest.mark.parametrize("cls", [ALS, ImplicitALS])
def test_ids_count_and_not_their_order(parts, cls):
    """The same table with other ids in front: all indices move by two, and nothing else."""
    train = parts[0]
    more = pl.DataFrame({"user_id": [-1, -2], "item_id": [-1, -2], "rating": [3.0, 3.5]})
    frame = train.to_frame().drop("timestamp")
    shifted = matinee.read(pl.concat([frame, more], how="diagonal_relaxed"))
    estimator = cls(factors=3, iterations=20, regularization=0.05)
    earlier, one_more = estimator.fit(train), replace(estimator, iterations=1)
    warm = one_more.fit(shifted, warm_start=earlier)
    assert loss(warm) == pytest.approx(loss(earlier), rel=0.005)
    assert loss(one_more.fit(shifted)) > 1.1 * loss(warm)


@pytest.mark.parametrize("cls", [ALS, ImplicitALS])
def test_without_any_item_in_common_there_is_nothing_to_start_from(parts, cls):
    """All users may be new, for items tell of them; but users alone tell nothing of items."""
    train = parts[0]
    frame, estimator = train.to_frame(), cls(factors=3, iterations=2)
    earlier = estimator.fit(train)
    others = matinee.read(frame.with_columns(pl.col("user_id") + 1_000))
    warm = estimator.fit(others, warm_start=earlier)
    assert loss(warm) < loss(estimator.fit(others))
    others = matinee.read(frame.with_columns(pl.col("item_id") + 1_000))
    with pytest.raises(SettingError, match="warm_start knows none of these items"):
        estimator.fit(others, warm_start=earlier)


def test_who_is_new_starts_at_the_prior_mean_of_those_who_are_not(parts):
    """Ridge regression of known rows on their features, whoever else there is."""
    ratings, attributes = parts[0].ratings, parts[0].catalog.attributes
    weights = np.sqrt(ratings.item_counts)
    side = FactorMatrix.start(ratings.by_item, attributes, attributes.names, 3, weights)
    known = np.where(np.arange(200) % 3 > 0, np.arange(200)[::-1], -1).astype(np.int32)
    earlier = np.random.default_rng(0).normal(1, 1, (200, 3)).astype(np.float32)
    side.warm_start(known, earlier, 7.0)
    old, design = known >= 0, attributes.dense()
    assert np.array_equal(side.rows[old], earlier[known[old]])
    weighted = (np.where(old, weights, 0)[:, None] * design).T
    gram = weighted @ design + 7.0 * np.eye(design.shape[1])
    coefficients = np.linalg.solve(gram, weighted[:, old] @ earlier[known[old]])
    np.testing.assert_allclose(side.coefficients, coefficients, atol=1e-4)
    np.testing.assert_allclose(side.rows[~old], (design @ coefficients)[~old], atol=1e-4)
    # and from then on all rows count
    side.update_prior(7.0)
    weighted = (weights[:, None] * design).T
    gram = weighted @ design + 7.0 * np.eye(design.shape[1])
    expected = np.linalg.solve(gram, weighted @ side.rows)
    np.testing.assert_allclose(side.coefficients, expected, atol=1e-4)

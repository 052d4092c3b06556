"""The default regularization: what the formula says, and what it is for."""

from dataclasses import replace

import numpy as np
import pytest

import matinee
from matinee.data.synthetic import generate
from matinee.evaluation import evaluate_ratings
from matinee.models import ALS, Bias, ImplicitALS
from matinee.models.als_common import RANKING_SHARE, RATING_SHARE, noise_regularization


@pytest.mark.parametrize("exponent", [0.0, 0.3, 0.5, 1.0])
def test_it_is_what_the_formula_says(exponent):
    ratings = generate(users=50, items=40, ratings=900, seed=2)[0].ratings
    of_user = ratings.user_counts[ratings.user].astype(float)
    of_item = ratings.item_counts[ratings.item].astype(float)
    lengths = [
        np.sqrt(np.mean(own ** (1 - exponent) / other**exponent))
        for own, other in ((of_user, of_item), (of_item, of_user))
    ]
    expected = RATING_SHARE * ratings.values.astype(float).std() * sum(lengths)
    assert noise_regularization(ratings, exponent) == pytest.approx(expected, rel=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0])
def test_all_of_it_is_about_the_largest_singular_value_of_noise(exponent):
    data, _ = generate(users=700, items=500, ratings=40_000, seed=1)
    ratings = data.ratings
    noise = np.zeros((700, 500))
    noise[ratings.user, ratings.item] = np.random.default_rng(0).normal(0, 0.8, len(ratings))
    users, items = ratings.user_counts, np.maximum(ratings.item_counts, 1)
    noise /= np.outer(users, items) ** (exponent / 2)
    whole = noise_regularization(ratings, exponent) / RATING_SHARE * 0.8 / ratings.values.std()
    assert 0.6 < whole / np.linalg.norm(noise, 2) < 1.2


def test_a_head_knows_which_regularization_was_used():
    data, _ = generate(users=60, items=50, ratings=2400, seed=0)
    model = ALS(factors=2, iterations=1).fit(data)
    prior_weight = noise_regularization(data.ratings, 0.5)
    assert model.rating_head.regularization == pytest.approx(prior_weight, rel=1e-6)
    assert model.rating_head.estimator["regularization"] is None
    same = ALS(factors=2, iterations=1, regularization=prior_weight).fit(data)
    assert np.array_equal(same.rating_head.user_params, model.rating_head.user_params)


def test_values_that_are_all_the_same_train():
    data, _ = generate(users=60, items=50, ratings=1500, seed=0)
    flat = replace(data, ratings=replace(data.ratings, values=np.full(1500, 3, np.float32)))
    assert np.allclose(matinee.ALS(factors=2).fit(flat).predict(1, [1, 2]), 3)


@pytest.mark.parametrize(
    ("exponent", "unobserved", "min_rating"), [(1.0, 0.25, None), (0.7, 0.1, 4.0)]
)
def test_the_regularization_of_rankings_is_what_the_formula_says(exponent, unobserved, min_rating):
    ratings = generate(users=50, items=40, ratings=900, seed=2)[0].ratings
    estimator = ImplicitALS(exponent=exponent, unobserved=unobserved, min_rating=min_rating)
    watched = np.zeros((50, 40))
    kept = np.ones(900, bool) if min_rating is None else ratings.values >= min_rating
    watched[ratings.user[kept], ratings.item[kept]] = 1
    users, items = watched.sum(axis=1), watched.sum(axis=0)
    prior_weights = [
        (own + unobserved * (other > 0).sum()) ** exponent
        for own, other in ((users, items), (items, users))
    ]
    scaled = watched / np.outer(*prior_weights)
    lengths = [
        np.sqrt((counts * scaled.sum(axis=axis)).sum() / watched.sum())
        for axis, counts in ((1, users), (0, items))
    ]
    expected = RANKING_SHARE * sum(lengths)
    assert estimator.default_regularization(ratings) == pytest.approx(expected, rel=1e-9)


@pytest.mark.slow
def test_all_of_it_is_about_what_chance_brings_about_in_lists():
    data, _ = generate(users=700, items=500, ratings=40_000, seed=1)
    ratings = data.ratings
    users, items = ratings.user_counts, ratings.item_counts
    estimator = ImplicitALS()
    chances = np.outer(users, items) / users.sum()
    drawn = np.random.default_rng(0).random(chances.shape) < chances
    noise = drawn - chances.clip(max=1)
    prior_weights = users + 0.25 * np.count_nonzero(items), items + 0.25 * len(users)
    scaled = noise / np.sqrt(np.outer(*prior_weights))
    whole = estimator.default_regularization(ratings) / RANKING_SHARE
    assert 0.8 < whole / np.linalg.norm(scaled, 2) < 1.6


def test_a_ranking_head_knows_which_regularization_was_used():
    data, _ = generate(users=60, items=50, ratings=1500, seed=0)
    estimator = ImplicitALS(factors=2, iterations=1)
    model = estimator.fit(data)
    prior_weight = estimator.default_regularization(data.ratings)
    assert model.ranking_head.regularization == prior_weight
    assert model.ranking_head.estimator["regularization"] is None
    same = replace(estimator, regularization=prior_weight).fit(data)
    assert np.array_equal(same.ranking_head.user_params, model.ranking_head.user_params)


@pytest.mark.thorough
@pytest.mark.parametrize("strength", [0.0, 1.0])
def test_where_rows_are_short_no_model_is_worse_than_its_biases(strength):
    """With factors or without in the truth, of five ratings each hardly one can be seen."""
    data, truth = generate(users=1500, items=3000, ratings=7500, seed=3)
    user, item = data.ratings.user, data.ratings.item
    inner = np.einsum("nk,nk->n", truth.user_factors[user], truth.item_factors[item])
    noise = np.random.default_rng(0).normal(0, 0.75, len(data))
    values = 3.5 + truth.user_bias[user] + truth.item_bias[item] + strength * inner + noise
    ratings = replace(data.ratings, values=np.clip(np.round(2 * values) / 2, 0.5, 5).astype("f4"))
    train, test = replace(data, ratings=ratings).split("random", test_fraction=0.2, seed=0)
    model, biases = ALS(seed=1).fit(train), Bias().fit(train)
    error, of_biases = (evaluate_ratings(m, train, test).rmse for m in (model, biases))
    assert error < 1.005 * of_biases
    fixed = ALS(regularization=noise_regularization(train.ratings, 0.5)).fit(train)
    assert evaluate_ratings(fixed, train, test).rmse > 1.01 * of_biases
    # a warm start keeps what was chosen
    warm = ALS(iterations=2).fit(train, warm_start=model)
    assert warm.rating_head.ridge == model.rating_head.ridge

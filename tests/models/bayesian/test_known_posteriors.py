"""Chains recover posteriors that are known, and are as sure of ratings as they may be."""

from dataclasses import replace

import numpy as np
import pytest
from forward import sampler_of, tiny_data

from matinee.data import RatingScale
from matinee.data.synthetic import generate
from matinee.kernels.ordinal import normal_cdf
from matinee.models.bayesian import BayesianMF

PRECISION = np.array([[1.5, 0.3, 0.0], [0.3, 0.8, -0.2], [0.0, -0.2, 1.1]])


def hold_prior(sampler, side, monkeypatch):
    """Rows of this side are normal around 0.2, whatever they are now; nothing else is drawn."""
    side.precision = PRECISION[: 1 + sampler.factors, : 1 + sampler.factors]
    prior = np.full((side.size, 1 + sampler.factors), 0.2)
    monkeypatch.setattr(type(side), "draw_prior", lambda *_: prior)
    sampler.sides = [side]
    return prior


@pytest.mark.parametrize("number", [0, 1, 2])
def test_rows_follow_their_normal_posterior_given_all_others(number, monkeypatch):
    """Of users, of movies, of dates: ridge regression on what the other sides have."""
    monkeypatch.setattr("matinee.models.bayesian.temporal.MIN_RATINGS", 1)
    sampler = sampler_of(tiny_data(), 2, None, ("date",))
    rng = np.random.default_rng(0)
    sampler.biases[:] = rng.normal(size=len(sampler.biases))
    sampler.table[:, :2] = rng.normal(size=(len(sampler.table), 2))
    side = sampler.sides[number]
    values = rng.normal(size=len(sampler.codes))
    sampler.likelihood.residual[:] = values - sampler.scores(sampler.codes)
    sampler.likelihood.values[:] = values
    sampler.likelihood.precision = 2.3
    monkeypatch.setattr(type(sampler.likelihood), "draw", lambda *_: None)
    others = [s for s in range(3) if s != number]
    rest = sum(sampler.biases[sampler.codes[:, s]].astype(np.float64) for s in others)
    tables = [sampler.table[sampler.codes[:, s], :2].astype(np.float64) for s in others]
    target = values - rest - (tables[0] * tables[1]).sum(axis=1)
    design = np.column_stack([np.ones(len(values)), tables[0] + tables[1]])
    prior = hold_prior(sampler, side, monkeypatch)
    draws = []
    for _ in range(3000):
        sampler.draw()
        draws.append(sampler.rows(side))
    draws = np.array(draws)
    for row in range(side.size):
        mine = sampler.codes[:, number] == side.first + row
        matrix = PRECISION + 2.3 * design[mine].T @ design[mine]
        right = PRECISION @ prior[row] + 2.3 * design[mine].T @ target[mine]
        covariance = np.linalg.inv(matrix)
        miss = draws[:, row].mean(axis=0) - np.linalg.solve(matrix, right)
        assert np.abs(miss / np.sqrt(np.diag(covariance) / len(draws))).max() < 4.5
        found = np.cov(draws[:, row].T)
        np.testing.assert_allclose(found, covariance, atol=0.12 * covariance.max())


@pytest.mark.thorough
@pytest.mark.slow
def test_a_bias_follows_its_posterior_under_the_probit(monkeypatch):
    """Without factors one number a user is left, and its posterior a sum over a grid."""
    sampler = sampler_of(tiny_data(), 1, [1, 2, 3], ())
    sampler.table[:] = 0.0
    sampler.biases[:] = np.random.default_rng(0).normal(size=len(sampler.biases))
    sampler.likelihood.cuts[1:-1] = [-0.6, 0.9]
    sampler.likelihood.steps[:] = 0.0
    sampler.likelihood.residual[:] = sampler.likelihood.latent - sampler.scores(sampler.codes)
    side = sampler.sides[0]
    hold_prior(sampler, side, monkeypatch)
    draws = []
    for _ in range(4000):
        sampler.table[: side.size] = 0.0  # drawn as well, against nothing
        sampler.draw()
        draws.append(sampler.biases[: side.size].copy())
    draws = np.array(draws[100:], np.float64)
    grid = np.linspace(-4, 4, 801)
    alone = 1 / np.linalg.inv(PRECISION[:2, :2])[0, 0]  # precision of a bias, its factor unknown
    for user in range(side.size):
        mine = sampler.codes[:, 0] == user
        away = sampler.likelihood.cuts[:, None] - sampler.biases[sampler.codes[mine, 1]]
        upto = normal_cdf(away[:, :, None] - grid)
        level = sampler.likelihood.levels[mine]
        seen = (upto[level + 1, np.arange(mine.sum())] - upto[level, np.arange(mine.sum())]).prod(0)
        weight = seen * np.exp(-0.5 * alone * (grid - 0.2) ** 2)
        weight /= weight.sum()
        mean = weight @ grid
        spread = np.sqrt(weight @ grid**2 - mean**2)
        assert draws[:, user].mean() == pytest.approx(mean, abs=0.12 * spread)
        assert draws[:, user].std() == pytest.approx(spread, rel=0.1)


def of_the_model(ordinal, seed):
    """Ratings of 60 users drawn from the model; (train, test, variance of the noise)."""
    data, _ = generate(users=60, items=40, ratings=1500, seed=2)
    ratings, rng = data.ratings, np.random.default_rng(seed)
    users, items = (rng.normal(0, 0.6, (n, 3)) for n in (60, 40))
    biases = rng.normal(0, 0.5, 60)[ratings.user] + rng.normal(0, 0.5, 40)[ratings.item]
    scores = biases + (users[ratings.user] * items[ratings.item]).sum(axis=1)
    noise = rng.standard_normal(len(scores))
    values = 3 + 0.5 * (scores + noise)
    if ordinal:
        values = 1 + np.searchsorted([-1.5, -0.5, 0.4, 1.3], scores + noise)
    scale = RatingScale(1, 5, 1) if ordinal else RatingScale(-9, 15)
    seen = replace(ratings, values=values.astype(np.float32), scale=scale)
    parts = replace(data, ratings=seen).split("random", test_fraction=0.3, seed=0)
    return *parts, 0.25 * np.square(noise).mean()


@pytest.fixture(scope="module", params=["ordinal", "normal"])
def said(request):
    """(model, test pairs, ratings, noise) for data that come from the model itself."""
    train, test, noise = of_the_model(request.param == "ordinal", seed=1)
    model = BayesianMF(
        factors=3, iterations=150, burn_in=50, features="none", likelihood=request.param
    ).fit(train)
    pairs = test.ratings.user_ids.values[test.ratings.user], model.items[test.ratings.item]
    return model, pairs, test.ratings.values, noise


@pytest.mark.slow
@pytest.mark.parametrize("level", [0.5, 0.8, 0.9])
def test_intervals_hold_the_values_as_often_as_they_say(said, level):
    model, pairs, values, _ = said
    expected, ranges = model.predict(*pairs, interval=level)
    inside = (ranges[:, 0] <= values) & (values <= ranges[:, 1])
    assert inside.mean() == pytest.approx(level, abs=0.06)
    if model.rating_head.ordinal:  # which of five levels are inside, and how probable they are
        chances = model.predict_proba(*pairs).to_numpy()
        levels = np.arange(1, 6)
        held = (ranges[:, :1] <= levels) & (levels <= ranges[:, 1:])
        own = (chances * held).sum(axis=1).mean()
        assert inside.mean() == pytest.approx(own, abs=0.05)
    assert (ranges[:, 0] <= expected).all()
    assert (expected <= ranges[:, 1]).all()


def test_levels_are_seen_as_often_as_their_probabilities_say(said):
    model, pairs, values, _ = said
    if not model.rating_head.ordinal:  # then of what is nearest
        values = np.digitize(values, np.arange(1.5, 5)) + 1
        model = replace(
            model, rating_head=replace(model.rating_head, levels=np.arange(1, 6, dtype=np.float32))
        )
    chances = model.predict_proba(*pairs).to_numpy()
    for level in range(5):
        chance, seen = chances[:, level], values == level + 1
        assert seen.mean() == pytest.approx(chance.mean(), abs=0.05)
        likely = chance > np.median(chance)  # among those where it is likely, and where not
        for part in (likely, ~likely):
            error = np.sqrt((chance[part] * (1 - chance[part])).mean() / part.sum())
            assert abs(seen[part].mean() - chance[part].mean()) < 4 * error


def test_the_noise_is_found(said):
    model, *_, noise = said
    if model.rating_head.ordinal:
        cuts = model.rating_head.draw_cuts.mean(axis=0)
        assert np.diff(cuts) == pytest.approx([1.0, 0.9, 0.9], abs=0.2)
    else:
        found = model.rating_head.draw_noise.mean() * model.rating_head.unit**2
        assert found == pytest.approx(noise, rel=0.15)

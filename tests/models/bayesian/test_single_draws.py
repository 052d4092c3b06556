"""Models of a single draw, where what they answer can be computed by hand."""

from dataclasses import replace

import numpy as np
import pytest
from forward import SHORT

from matinee.kernels.csr import Rows
from matinee.models.bayesian import BayesianMF
from matinee.models.bayesian.fold_in import fold_in_draws
from matinee.models.profiles import UserBatch

ONE = BayesianMF(**{**SHORT, "iterations": 41, "burn_in": 40})


@pytest.fixture(scope="module")
def normal(small):
    return replace(ONE, likelihood="normal").fit(small)


@pytest.fixture(scope="module")
def probit(small):
    return replace(ONE, likelihood="ordinal").fit(small)


def exact_rows(model):
    """(users, movies, date) of the draw, bias first; the date is none in particular."""
    draw = model.rating_head.draws[0]
    rows = np.column_stack([draw.biases, draw.table[:, : ONE.factors].astype(np.float64)])
    users, items = len(model.user_ids), len(model.items)
    return rows[:users], rows[users : users + items], rows[-3]


def exact_scores(model):
    """Of every user and movie, at no time in particular."""
    users, items, date = exact_rows(model)
    products = (users @ np.diag([0, 1, 1, 1.0])) @ items.T
    both = users[:, 0] + users[:, 1:] @ date[1:] + model.rating_head.draws[0].mean_drift
    return date[0] + both[:, None] + items[:, 0] + items[:, 1:] @ date[1:] + products


@pytest.mark.slow
@pytest.mark.parametrize("likelihood", ["normal", "probit"])
def test_the_average_is_the_draw_on_a_straight_line(likelihood, request):
    one = request.getfixturevalue(likelihood)
    assert len(one.rating_head.draws) == 1
    scores = exact_scores(one)[:40]
    found = np.array([one.scores(user) for user in one.user_ids.values[:40]])
    slope, start = np.polyfit(scores.ravel(), found.ravel(), 1)
    np.testing.assert_allclose(slope * scores + start, found, atol=0.01 * found.std())
    values = np.array([one.predict(user, one.items) for user in one.user_ids.values[:40]])
    if not one.rating_head.ordinal:
        outcome = one.rating_head.outcome
        ratings = outcome.center + outcome.unit * scores
        np.testing.assert_allclose(values, np.clip(ratings, 0.5, 5), atol=1e-3)
        assert slope == pytest.approx(outcome.unit, rel=0.01)
    assert np.corrcoef(values.ravel(), scores.ravel())[0, 1] > 0.97


def folded(model, batch):
    head = model.rating_head
    return fold_in_draws(head.draws, batch, len(head.user_params), head.outcome, head.dated)


def test_new_users_are_drawn_as_the_sampler_would_have_drawn_them(normal):
    """Many of the same ratings, against ridge regression with everything dense."""
    copies, rng = 3000, np.random.default_rng(0)
    items, values = np.arange(3, 20, dtype=np.int32), rng.uniform(1, 5, 17).astype(np.float32)
    interactions = Rows(17 * np.arange(copies + 1), np.tile(items, copies), np.tile(values, copies))
    rows = next(iter(folded(normal, UserBatch(np.full(copies, -1, np.int32), interactions))))
    draw = normal.rating_head.draws[0]
    _, rated_items, date = exact_rows(normal)
    unit = 1 / draw.noise[0]
    outcome = normal.rating_head.outcome
    spread = np.linalg.inv(draw.precision.astype(np.float64))
    spread[0, 0] += draw.drifts[:, 1].sum()
    prior = np.concatenate([[draw.biases[-2]], draw.table[-2, : ONE.factors]]).astype(np.float64)
    prior += draw.rated[items].astype(np.float64).sum(axis=0) / np.sqrt(17)
    design = np.column_stack([np.ones(17), rated_items[items, 1:] + date[1:]])
    values = (values - outcome.center) / outcome.unit
    target = values - date[0] - rated_items[items, 0] - rated_items[items, 1:] @ date[1:]
    matrix = np.linalg.inv(spread) + unit * design.T @ design
    mean = np.linalg.solve(matrix, np.linalg.solve(spread, prior) + unit * design.T @ target)
    covariance = np.linalg.inv(matrix)
    error = np.sqrt(np.diag(covariance) / copies)
    assert (np.abs(rows.mean(axis=0) - mean) < 4.5 * error + 2e-4).all()
    np.testing.assert_allclose(np.cov(rows.T), covariance, atol=0.1 * covariance.max())


def test_new_users_of_the_probit_converge(probit):
    """Started from the prior, a few turns come nearer to what many turns give."""
    own, copies = probit.user_profile(1), 200
    indptr = len(own.items) * np.arange(copies + 1)
    interactions = Rows(indptr, np.tile(own.items, copies), np.tile(own.values, copies))
    user_batch = UserBatch(np.full(copies, -1, np.int32), interactions)
    few = next(iter(folded(probit, user_batch))).mean(axis=0)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("matinee.models.bayesian.fold_in.TURNS", 40)
        many = next(iter(folded(probit, user_batch))).mean(axis=0)
        patched.setattr("matinee.models.bayesian.fold_in.TURNS", 1)
        least = next(iter(folded(probit, user_batch))).mean(axis=0)
    assert abs(few[0] - many[0]) < 0.5 * abs(least[0] - many[0])

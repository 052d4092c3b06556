"""Chains that are interrupted from the keyboard, and what is averaged and kept of draws."""

from dataclasses import replace

import numpy as np
import pytest
from forward import SHORT, sampler_of

from matinee.models.bayesian import BayesianMF
from matinee.models.bayesian import posterior as draws
from matinee.models.bayesian.posterior import DrawBuffer, PosteriorDraw

ESTIMATOR = BayesianMF(**SHORT)


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2])
def test_interrupted_it_returns_what_has_been_averaged(small, end_at, threads):
    end_at(19, KeyboardInterrupt)
    model = ESTIMATOR.fit(small, threads=threads)
    end_at(0)
    short = replace(ESTIMATOR, iterations=18).fit(small)
    for name in ("draw_table", "user_params", "item_params"):
        assert np.array_equal(getattr(model.rating_head, name), getattr(short.rating_head, name))
    assert model.history.height == 18


@pytest.mark.slow
@pytest.mark.parametrize("sweep", [1, 8])
def test_interrupted_before_anything_counts_it_ends(small, end_at, sweep):
    end_at(sweep, KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        ESTIMATOR.fit(small)


def end_of_call(monkeypatch, home, name, call):
    """Interrupt the process at the end of this call of a function."""
    function, calls = getattr(home, name), []

    def interrupted(*arguments, **named):
        found = function(*arguments, **named)
        calls.append(name)
        if len(calls) == call:
            raise KeyboardInterrupt
        return found

    monkeypatch.setattr(home, name, interrupted)


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.parametrize(
    ("home", "name", "call"),
    [
        (draws, "times", 5),
        (draws, "scores_of", 5),
        (draws, "inner", 5),
        (draws.Predictive, "add", 5),
        (PosteriorDraw, "of", 5),
    ],
)
def test_interrupted_while_a_draw_is_added_it_counts_or_not(small, monkeypatch, home, name, call):
    """As a whole: of the fifth draw, nothing is left in the average of four."""
    with monkeypatch.context() as patched:
        end_of_call(patched, home, name, call)
        model = ESTIMATOR.fit(small)
    short = replace(ESTIMATOR, iterations=12).fit(small)
    assert model.rating_head.draw_table.shape[0] == 4
    for array in ("draw_table", "draw_noise", "user_params", "item_params"):
        assert np.array_equal(
            getattr(model.rating_head, array), getattr(short.rating_head, array)
        ), array


def test_what_is_averaged_is_turned_to_the_first_draw(small):
    """The same factors in another basis are the same draw: their average is theirs."""
    sampler = sampler_of(small, 3, None, BayesianMF().groups(small))
    for _ in range(5):
        sampler.draw()
    keeper = DrawBuffer(sampler, 2**20)
    rng, table = np.random.default_rng(0), sampler.table.copy()
    mean, link = sampler.sides[0].mean.copy(), sampler.sides[0].link.table.copy()
    items = sampler.sides[1].mean.copy(), sampler.sides[1].link.table.copy()
    for _ in range(6):
        turn = np.linalg.qr(rng.standard_normal((3, 3)))[0]
        whole = np.eye(4)
        whole[1:, 1:] = turn
        sampler.table[:, :3] = table[:, :3] @ turn
        for side, (centre, links) in zip(sampler.sides, ((mean, link), items), strict=False):
            side.mean, side.link.table = centre @ whole, (links @ whole).astype(np.float32)
        keeper.add(sampler)
    first = keeper.draws[0].table.astype(np.float64)
    np.testing.assert_allclose(keeper.average()[0], first, atol=5e-3)
    assert keeper.count == 6

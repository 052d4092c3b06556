"""Getting it right (Geweke 2004): sweeps leave the joint distribution of everything as it is.

All unknowns are drawn from the prior, data from them, and a few sweeps of the chain follow, given
those data. If every step draws from its conditional distribution, what the sweeps end with is
distributed as what they started from. Priors have heavy tails, so bounded functions are compared,
before and after, in many independent repetitions.
"""

import numpy as np
import pytest
from forward import draw_from_prior, draw_side_from_prior, sampler_of, tiny_data

from matinee.models.bayesian import sampler as samplers
from matinee.models.bayesian import temporal as drifts
from matinee.models.bayesian import temporal as moments
from matinee.models.bayesian.sampler import FactorBlock
from matinee.models.bayesian.side_information import features_of_items

FAR = 4.5  # standard errors


def about_side(side, rows):
    """Bounded functions of all that a side has."""
    table = side.link.table.astype(np.float64)
    diagonal = np.diag(side.precision)
    found = [np.tanh(rows).mean(axis=0), np.tanh(rows**2).mean(axis=0)]
    found += [np.tanh(rows[:, :1] * rows[:, 1:]).mean(axis=0), np.tanh(side.mean)]
    found += [np.tanh(side.mean**2), diagonal / (1 + diagonal), np.tanh(side.precision[0, 1:])]
    found += [np.tanh(side.precision[0, 1:] * rows[:, :1] * rows[:, 1:]).mean(axis=0)]
    if len(table):
        found += [np.tanh(table).mean(axis=0), np.tanh(table**2).mean(axis=0)]
        found += [side.link.precisions / (1 + side.link.precisions)]
    return np.concatenate(found)


def about_chain(sampler):
    found = [about_side(side, sampler.rows(side)) for side in sampler.sides]
    noise = np.square(sampler.likelihood.residual, dtype=np.float64) * sampler.likelihood.precision
    found += [
        [sampler.likelihood.precision / (1 + sampler.likelihood.precision), np.tanh(noise).mean()]
    ]
    for drift in sampler.drifts:
        path = drift.path.astype(np.float64) / np.sqrt(drift.variance)
        found += [[np.tanh(path).mean(), np.tanh(path**2).mean()]]
        found += [[np.tanh(path[1:] * path[:-1]).mean()]]
    return np.concatenate(found)


def far_off(before, after):
    """How many standard errors each function has moved by."""
    moved = np.array(after) - np.array(before)
    spread = moved.std(axis=0)
    mean = moved.mean(axis=0)
    errors = mean / np.maximum(spread, 1e-12) * np.sqrt(len(moved))
    return np.where(np.abs(mean) < 1e-6, 0.0, errors)  # of what never moves: the mean of dates


CASES = {
    "normal": (None, 2, (), 700),
    "normal, with links": (None, 1, ("year", "gender", "rated"), 500),
    "normal, in time": (None, 1, ("date", "drift"), 500),
    "ordinal": ([1, 2, 3], 1, (), 700),
    "ordinal, with all": ([1, 2, 3], 1, ("gender", "raters", "date", "drift"), 400),
}


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_sweeps_leave_the_joint_distribution_as_it_is(case, monkeypatch):
    levels, factors, features, repetitions = CASES[case]
    monkeypatch.setattr(samplers, "BURN_IN", 0)
    monkeypatch.setattr(drifts, "DELAY", 99)  # memory and variance have no proper prior
    monkeypatch.setattr(moments, "MIN_RATINGS", 1)
    sampler = sampler_of(tiny_data(), factors, levels, features)
    assert len(sampler.sides) == 2 + ("date" in features)
    for drift in sampler.drifts:
        drift.variance = 0.7
    if levels:  # no more have cuts
        sampler.likelihood.cuts[1:-1] = [-0.8, 0.7]
        sampler.likelihood.steps[:] = 0.0
    rng, before, after = np.random.default_rng(3), [], []
    for repetition in range(repetitions):
        draw_from_prior(sampler, rng)
        before.append(about_chain(sampler))
        sampler.seed, sampler.sweep = repetition, 0
        for _ in range(3):
            sampler.draw()
        after.append(about_chain(sampler))
    errors = far_off(before, after)
    assert np.abs(errors).max() < FAR, np.round(errors, 1)


@pytest.mark.thorough
@pytest.mark.slow
def test_what_rows_come_from_is_drawn_from_its_posterior():
    """The same for one side alone, with many repetitions."""
    features = features_of_items(tiny_data(), ("genres", "raters"))
    side = FactorBlock.start(1, 0, np.zeros(4, np.int32), features, 3)
    rng, before, after = np.random.default_rng(4), [], []
    for _ in range(2500):
        rows = draw_side_from_prior(side, rng)
        before.append(about_side(side, rows))
        side.draw_prior(rows, False, rng)
        after.append(about_side(side, rows))
    errors = far_off(before, after)
    assert np.abs(errors).max() < FAR, np.round(errors, 1)

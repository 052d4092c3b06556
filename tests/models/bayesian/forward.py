"""The generative model in plain numpy, chains put into a state drawn from it, and short ones."""

from dataclasses import replace

import numpy as np
import polars as pl

from matinee.data.synthetic import generate
from matinee.models.bayesian.likelihoods import Outcome
from matinee.models.bayesian.sampler import GibbsSampler

DAY = 86_400
SHORT = {"factors": 3, "iterations": 24, "burn_in": 8}


class KilledError(Exception):
    """What stands for the end of the process."""


def tiny_data(ratings=16, days=3):
    """5 users with traits, 4 movies; a few days, and several ratings in one moment."""
    data, _ = generate(users=5, items=4, ratings=ratings, seed=0)
    rng = np.random.default_rng(1)
    times = DAY * rng.integers(0, days, ratings) + 200 * rng.integers(0, 3, ratings)
    traits = pl.DataFrame({"age": [20, 31, 44, 21, 30], "gender": ["M", "F", "F", "M", "F"]})
    values = np.resize(np.float32([1, 2, 3]), ratings)
    timed = replace(data.ratings, timestamp=times.astype(np.int64), values=values)
    return replace(data, ratings=timed, user_attributes=traits)


def sampler_of(data, factors, levels, features):
    """A sampler of these levels, or of normal ratings if there are none."""
    values = np.unique(data.ratings.values) if levels is None else np.float32(levels)
    outcome = Outcome.of(data.ratings, values, levels is not None)
    return GibbsSampler(data, factors, outcome, features)


def wishart(width, scale, rng):
    """`width` degrees of freedom: a sum of so many squares of normal vectors."""
    root = rng.standard_normal((width, width)) * np.sqrt(scale)
    return root.T @ root


def dense(features):
    """Sparse features as one matrix, float64."""
    out = np.zeros((len(features.by_row.indptr) - 1, features.columns))
    for row, (first, last) in enumerate(
        zip(features.by_row.indptr[:-1], features.by_row.indptr[1:], strict=True)
    ):
        out[row, features.by_row.indices[first:last]] = features.by_row.values[first:last]
    return out


def rows_around(means, precision, rng):
    """Normal rows around some means."""
    root = np.linalg.cholesky(np.linalg.inv(precision))
    return means + rng.standard_normal(means.shape) @ root.T


def draw_side_from_prior(side, rng):
    """Precision, mean, groups' precisions and links of a side; its rows are returned."""
    width = len(side.mean)
    side.precision = wishart(width, 1.0 if side.mean_is_free else 100.0, rng)
    if side.mean_is_free:  # the prior of the mean counts for two rows
        side.mean = rows_around(np.zeros((1, width)), 2.0 * side.precision, rng)[0]
    link = side.link
    link.precisions = rng.gamma(1.0, size=len(link.precisions))
    weight = link.precisions[link.features.group]
    table = rows_around(np.zeros((len(weight), width)), side.precision, rng)
    link.table = (table / np.sqrt(weight)[:, None]).astype(np.float32)
    means = side.mean + dense(link.features) @ link.table
    return rows_around(means, side.precision, rng)


def scores(sampler):
    """Scores of the training ratings as the model is defined, drifts included, float64."""
    total = np.zeros(len(sampler.codes))
    for s in range(sampler.codes.shape[1]):
        total += sampler.biases[sampler.codes[:, s]].astype(np.float64)
        for t in range(s):
            pair = sampler.table[sampler.codes[:, s]].astype(np.float64)
            total += (pair * sampler.table[sampler.codes[:, t]]).sum(axis=1)
    counts = np.diff(sampler.timeline.first)
    for drift in sampler.drifts:
        total += np.repeat(drift.path, counts)
    return total


def covariance_of_path(sampler, drift):
    """Covariance of a drift's states at all moments, by the definition of the process."""
    moments = sampler.timeline.moments
    user = np.repeat(np.arange(len(moments.starts) - 1), np.diff(moments.starts))
    apart = np.abs(moments.times[:, None] - moments.times)
    same = user[:, None] == user
    return np.where(same, drift.variance * np.exp(-apart / drift.memory), 0.0)


def draw_from_prior(sampler, rng):
    """Put a chain into a state drawn from the model, data included."""
    for side in sampler.sides:
        rows = draw_side_from_prior(side, rng)
        part = slice(side.first, side.first + side.size)
        sampler.biases[part], sampler.table[part, : sampler.factors] = rows[:, 0], rows[:, 1:]
    for drift in sampler.drifts:
        drift.path[:] = rng.multivariate_normal(
            np.zeros(len(drift.path)), covariance_of_path(sampler, drift), method="eigh"
        )
    likelihood, ordinal = sampler.likelihood, len(sampler.likelihood.cuts) > 0
    if not ordinal:
        likelihood.precision = rng.gamma(1.0)
    noise = rng.standard_normal(len(sampler.codes)) / np.sqrt(likelihood.precision)
    seen = scores(sampler) + noise
    likelihood.residual[:] = noise
    if ordinal:
        likelihood.latent[:] = seen
        likelihood.levels[:] = np.searchsorted(likelihood.cuts[1:-1], seen)
    else:
        likelihood.values[:] = seen


def assert_same(one, other):
    """The same model to the last bit, and the same history but for its seconds."""
    for name, value in vars(one.rating_head).items():
        if isinstance(value, np.ndarray):
            assert np.array_equal(value, getattr(other.rating_head, name)), name
    for name in ("mean", "regularization", "exponent"):
        assert getattr(one.rating_head, name) == getattr(other.rating_head, name), name
    assert one.history.drop("seconds").equals(other.history.drop("seconds"))

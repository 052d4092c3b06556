"""The draws that are kept, thinned to a stated memory, and their average."""

from copy import copy
from typing import NamedTuple

import numpy as np

from matinee._types import F16, F32, F64, I8, Array
from matinee.data.ratings import Ratings
from matinee.kernels.linalg import inner, times
from matinee.models.bayesian.predictive import (
    LooCalibration,
    PredictionQuery,
    Predictive,
    scores_of,
)
from matinee.models.bayesian.sampler import GibbsSampler

PROBES = 20_000  # training ratings that scores and intervals are calibrated on
STEPS = 127  # of a path's values on either side of zero, as they are kept


class PosteriorDraw(NamedTuple):
    """One draw as it is kept, in rows of users, items, dates, no date in particular (if there are
    dates), an unknown user, an unknown item; in units of scores.
    """

    table: F16  # (rows, width) factors
    biases: F32  # (rows,)
    paths: I8  # (drifts, moments) states of the drifts, in units of `steps`
    steps: F32  # (drifts,)
    drifts: F64  # (drifts, 2) memory and variance of each
    mean_drift: F32  # (users,) for what is asked at no time in particular
    drift_variance: F64  # (1,) around it
    cuts: F64  # (levels - 1,) between levels; none with the normal likelihood
    noise: F64  # (1,) its variance
    precision: F32  # (1 + factors, 1 + factors) of users around their prior means
    rated: F16  # (items, 1 + factors) how a rated item shifts a user's prior; (0, ...) if off
    traits: F16  # (features, 1 + factors) the prior mean of users by their attributes; or (0, ...)

    @classmethod
    def of(cls, sampler: GibbsSampler) -> "PosteriorDraw":
        """The state of a sampler."""
        table, biases = with_average_rows(sampler)
        paths = [drift.path for drift in sampler.drifts]
        steps = np.array([max(np.abs(path).max(), 1e-6) / STEPS for path in paths], np.float32)
        states = [np.rint(path / step) for path, step in zip(paths, steps, strict=True)]
        moments = len(sampler.timeline.gaps)
        link = sampler.sides[0].link
        mean_drift, drift_variance = sampler.mean_drift()
        rated = link.table[:0]
        if "rated" in link.features.names:
            rated = link.table[link.features.group == link.features.names.index("rated")]
        return cls(
            table.astype(np.float16),
            biases,
            np.array(states, np.int8).reshape(len(paths), moments),
            steps,
            np.array([(d.memory, d.variance) for d in sampler.drifts], np.float64).reshape(-1, 2),
            mean_drift,
            np.array([drift_variance]),
            sampler.likelihood.cuts[1:-1].copy(),
            np.array([1 / sampler.likelihood.precision]),
            sampler.sides[0].precision.astype(np.float32),
            rated.astype(np.float16),
            user_coefficients(sampler).astype(np.float16),
        )

    @property
    def limits(self) -> F64:
        """The cuts with infinite ends, (levels + 1,)."""
        return np.concatenate(([-np.inf], self.cuts, [np.inf]))

    def with_rows(self, rows: F32) -> tuple[F32, F32]:
        """Table and biases with further rows, float32 (n, 1 + factors), at the end."""
        count, width = self.table.shape
        table = np.zeros((count + len(rows), width), np.float32)
        table[:count] = self.table
        table[count:, : rows.shape[1] - 1] = rows[:, 1:]
        return table, np.concatenate([self.biases, rows[:, 0]])

    @property
    def bytes(self) -> int:
        return sum(array.nbytes for array in self)


def user_coefficients(sampler: GibbsSampler) -> F32:
    """What prior means of users are made of, apart from what they rated; the constant first."""
    users, columns = sampler.sides[0], sampler.user_features
    table = np.zeros((sampler.n_user_features, 1 + sampler.factors), np.float32)
    if len(columns) < 2:
        return table[:0]
    table[0] = users.mean
    table[columns[1:]] = users.link.table[: len(columns) - 1]
    return table


def with_average_rows(sampler: GibbsSampler) -> tuple[F32, F32]:
    """Table and biases of a sampler, with the rows of unknown ones: see `PosteriorDraw`."""
    users, items, *dates = sampler.sides
    average_rows = []
    if dates:
        counts = np.diff(dates[0].indptr)
        average_rows.append(np.average(sampler.rows(dates[0]), axis=0, weights=counts))
    # a user without ratings is like the average one in all but what they rated
    traits = users.link.features.only(set(users.link.features.names) - {"rated"}, users.link.table)
    average_rows.append(users.mean + users.link.features.times(traits).mean(axis=0))
    average_rows.append(items.mean + items.link.means().mean(axis=0))
    rows = np.array(average_rows, np.float32)
    table = np.zeros((len(rows), sampler.table.shape[1]), np.float32)
    table[:, : sampler.factors] = rows[:, 1:]
    biases = np.concatenate([sampler.biases, rows[:, 0]])
    return np.vstack([sampler.table, table]), biases


def prior_weights_of(sampler: GibbsSampler) -> F64:
    """Ridge penalties of bias and of factors of users, in units of the noise's precision, (2,)."""
    spread = np.diag(np.linalg.inv(sampler.sides[0].precision)).copy()
    spread[0] += sum(drift.variance for drift in sampler.drifts)
    return 1 / (np.array([spread[0], spread[1:].mean()]) * sampler.likelihood.precision)


class DrawBuffer:
    """Averages over all draws of a sampler, and keeps evenly spaced ones within a memory limit."""

    def __init__(self, sampler: GibbsSampler, memory: int) -> None:
        self.memory, self.spacing, self.count = memory, 1, 0
        self.draws: dict[int, PosteriorDraw] = {}
        self.reference = np.empty((0, 0), np.float32)
        self.total, self.total_bias = np.empty((0, 0)), np.empty(0)
        self.prior_weights = np.zeros(2)
        n = len(sampler.codes)
        self.sample = np.random.default_rng(0).permutation(n)[:PROBES]
        codes = sampler.codes[self.sample].copy()
        if codes.shape[1] > 2:  # at no date in particular
            codes[:, 2] = len(sampler.table)
        self.probes = PredictionQuery.at(codes, sampler.timeline.moments, codes[:, 0], None)
        self.loo = LooCalibration(sampler.values[self.sample], sampler.outcome)
        self.probed = Predictive(len(self.sample), sampler.outcome)

    def add(self, sampler: GibbsSampler) -> None:
        """Average over the present draw, and keep it if its turn has come: all or nothing."""
        if self.count == 0:
            self.begin(sampler)
        table, biases = with_average_rows(sampler)
        # factors of different draws are rotated against each other: rotated back before the sum
        left, _, right = np.linalg.svd(inner(table, self.reference).astype(np.float64))
        total = self.total + times(table, left @ right)
        mean_drift, drift_variance = sampler.mean_drift()
        total_bias = self.total_bias + biases
        total_bias[: len(mean_drift)] += mean_drift
        scores = scores_of(self.probes, table, biases, [], mean_drift, drift_variance)
        noise, cuts = 1 / sampler.likelihood.precision, sampler.likelihood.cuts
        probed = self.probed.copy()
        probed.add(*scores, noise, cuts)
        sampled = (sampler.likelihood.target() - sampler.likelihood.residual)[self.sample]
        loo = copy(self.loo)  # which adds to sums of its own
        loo.add(sampled, noise, cuts)
        draws, spacing = self.draws, self.spacing
        if self.count % spacing == 0:
            new = PosteriorDraw.of(sampler)
            draws = {**draws, self.count: new}
            if len(draws) > max(1, self.memory // new.bytes):  # from now on half as many
                spacing *= 2
                draws = {k: draw for k, draw in draws.items() if k % spacing == 0}
        vars(self).update(  # at once
            total=total,
            total_bias=total_bias,
            prior_weights=self.prior_weights + prior_weights_of(sampler),
            probed=probed,
            loo=loo,
            draws=draws,
            spacing=spacing,
            count=self.count + 1,
        )

    def begin(self, sampler: GibbsSampler) -> None:
        """Take the present factors as those that all others are rotated to."""
        self.reference, biases = with_average_rows(sampler)
        self.total, self.total_bias = np.zeros(self.reference.shape), np.zeros(len(biases))

    def average(self) -> tuple[F32, F32]:
        """Mean table and biases, with rows as `PosteriorDraw` has them."""
        table, biases = self.total / self.count, self.total_bias / self.count
        return table.astype(np.float32), biases.astype(np.float32)

    def state(self) -> dict[str, Array]:
        """What a checkpoint has to hold beside the draws."""
        return {
            "reference": self.reference,
            "total": self.total,
            "total_bias": self.total_bias,
            "prior_weights": self.prior_weights,
            "probed": self.probed.sums,
            "loo": self.loo.sums,
        }

    def restore(self, count: int, spacing: int, state: dict[str, Array]) -> None:
        """Resume after so many draws."""
        self.count, self.spacing, self.probed.draws = count, spacing, count
        self.reference, self.total = state["reference"].copy(), state["total"].copy()
        self.total_bias, self.probed.sums = state["total_bias"].copy(), state["probed"].copy()
        self.loo.sums = state["loo"].copy()
        self.prior_weights = state["prior_weights"].copy()


class MonitoredSet:
    """Predictions of held-out ratings of the same users and items, averaged over the draws."""

    def __init__(self, sampler: GibbsSampler, ratings: Ratings) -> None:
        self.ratings = ratings
        codes = [ratings.user, ratings.item + sampler.firsts[1]]
        if len(sampler.sides) > 2:
            date = np.full(len(ratings), len(sampler.table))  # no date in particular
            if ratings.timestamp is not None:
                date = np.searchsorted(sampler.date_cuts, ratings.timestamp, side="right")
                date += sampler.firsts[2]
            codes.append(date)
        stacked = np.ascontiguousarray(np.stack(codes, axis=1).astype(np.int32))
        self.query = PredictionQuery.at(
            stacked, sampler.timeline.moments, ratings.user, ratings.timestamp
        )
        self.average = self._empty(sampler)

    def _empty(self, sampler: GibbsSampler) -> Predictive:
        return Predictive(len(self.ratings), sampler.outcome)

    def rmse(self, sampler: GibbsSampler, counts: bool) -> float:
        """RMSE of the average with the present draw, or of that alone where it does not count."""
        table, biases = with_average_rows(sampler)
        paths = [(drift.memory, drift.variance, drift.path) for drift in sampler.drifts]
        predictive = self.average if counts else self._empty(sampler)
        noise, cuts = 1 / sampler.likelihood.precision, sampler.likelihood.cuts
        scores = scores_of(self.query, table, biases, paths, *sampler.mean_drift())
        predictive.add(*scores, noise, cuts)
        scale = self.ratings.known_scale
        errors = np.clip(predictive.mean(), scale.low, scale.high) - self.ratings.values
        return float(np.sqrt(np.square(errors).mean()))

"""The draws that are kept, thinned to a stated memory, and their average."""

from copy import copy
from dataclasses import dataclass, fields

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

PROBES = 20_000  # training ratings that tell how to read scores in stars, and how wide ranges are
STEPS = 127  # of a path's values on either side of zero, as they are kept


@dataclass(frozen=True, eq=False)
class PosteriorDraw:
    """One draw as it is kept: 16 bits for a factor, 8 for a state of a drift.

    Parameters
    ----------
    table : float16 (rows, width), biases : float32 (rows,)
        Rows of users, movies, dates, then of no date in particular (if there are dates), of a
        user, and of a movie, of whom nothing is known. Of normal stars, the biases of movies
        hold the mean.
    paths : int8 (drifts, moments), steps : float32 (drifts,)
        States of the drifts, in steps of so much.
    drifts : float64 (drifts, 2)
        Memory and variance of each.
    default : float32 (users,)
        Mean drift of each user, for what is asked at no time in particular.
    restless : float64 (1,)
        Variance of drifts around it.
    cuts : float64 (levels - 1,)
        Between levels; none with the normal likelihood.
    noise : float64 (1,)
        Variance of the noise.
    precision : float32 (1 + factors, 1 + factors)
        Of users around their prior means.
    rated : float16 (items, 1 + factors)
        What having rated a movie says of a user; (0, ...) where that was no feature.
    """

    table: F16
    biases: F32
    paths: I8
    steps: F32
    drifts: F64
    default: F32
    restless: F64
    cuts: F64
    noise: F64
    precision: F32
    rated: F16

    @classmethod
    def of(cls, sampler: GibbsSampler) -> "PosteriorDraw":
        """The chain as it stands."""
        table, biases = with_average_rows(sampler)
        paths = [drift.path for drift in sampler.drifts]
        steps = np.array([max(np.abs(path).max(), 1e-6) / STEPS for path in paths], np.float32)
        states = [np.rint(path / step) for path, step in zip(paths, steps, strict=True)]
        moments = len(sampler.timeline.gaps)
        link = sampler.sides[0].link
        default, restless = sampler.default()
        rated = link.table[:0]
        if "rated" in link.features.names:
            rated = link.table[link.features.group == link.features.names.index("rated")]
        return cls(
            table.astype(np.float16),
            biases,
            np.array(states, np.int8).reshape(len(paths), moments),
            steps,
            np.array([(d.memory, d.variance) for d in sampler.drifts], np.float64).reshape(-1, 2),
            default,
            np.array([restless]),
            sampler.likelihood.cuts[1:-1].copy(),
            np.array([1 / sampler.likelihood.precision]),
            sampler.sides[0].precision.astype(np.float32),
            rated.astype(np.float16),
        )

    def arrays(self) -> dict[str, Array]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @property
    def bytes(self) -> int:
        return sum(array.nbytes for array in self.arrays().values())


def with_average_rows(sampler: GibbsSampler, threads: int | None = None) -> tuple[F32, F32]:
    """Table and biases of a chain, and the rows of what nothing is known of: see `PosteriorDraw`."""
    users, items, *dates = sampler.sides
    added = []
    if dates:
        counts = np.diff(dates[0].indptr)
        added.append(np.average(sampler.rows(dates[0]), axis=0, weights=counts))
    # who has rated nothing is like the average user in all but what they rated
    traits = users.link.features.only(set(users.link.features.names) - {"rated"}, users.link.table)
    added.append(users.mean + users.link.features.times(traits, threads).mean(axis=0))
    added.append(items.mean + items.link.means(threads).mean(axis=0))
    rows = np.array(added, np.float32)
    table = np.zeros((len(rows), sampler.table.shape[1]), np.float32)
    table[:, : sampler.factors] = rows[:, 1:]
    biases = np.concatenate([sampler.biases, rows[:, 0]])
    biases[items.first : items.first + items.size] += np.float32(sampler.mean)
    biases[-1] += np.float32(sampler.mean)
    return np.vstack([sampler.table, table]), biases


def prior_weights_of(sampler: GibbsSampler) -> F64:
    """How strongly bias and factors of a user are pulled to their means, as ridge penalties.

    In units of the noise's precision, (2,). What a drift adds to a user is bias to whoever asks
    at no time in particular.
    """
    spread = np.diag(np.linalg.inv(sampler.sides[0].precision)).copy()
    spread[0] += sum(drift.variance for drift in sampler.drifts)
    return 1 / (np.array([spread[0], spread[1:].mean()]) * sampler.likelihood.precision)


class DrawBuffer:
    """Keeps draws of a chain as it goes.

    When the memory is full, every other draw is dropped, and from then on half as many are kept:
    at any time the draws kept lie as far apart as can be.

    Parameters
    ----------
    sampler : GibbsSampler
    memory : int
        Bytes that all draws together may have.
    levels : float32 (levels,)
    """

    def __init__(self, sampler: GibbsSampler, memory: int, levels: F32) -> None:
        self.memory, self.apart, self.count = memory, 1, 0
        self.draws: dict[int, PosteriorDraw] = {}
        self.reference = np.empty((0, 0), np.float32)
        self.total, self.total_bias = np.empty((0, 0)), np.empty(0)
        self.prior_weights = np.zeros(2)
        n = len(sampler.codes)
        some = np.random.default_rng(0).permutation(n)[:PROBES]
        codes = sampler.codes[some].copy()
        if codes.shape[1] > 2:  # at no date in particular
            codes[:, 2] = len(sampler.table)
        self.probes = PredictionQuery.at(codes, sampler.timeline.moments, codes[:, 0], None)
        self.some = some
        self.left_out = LooCalibration(sampler.values[some], levels)
        self.probed = Predictive(len(some), levels, len(sampler.likelihood.cuts) > 0)

    def add(self, sampler: GibbsSampler, threads: int | None = None) -> None:
        """Keep the chain's present draw if it is one that counts; average over all of them.

        Whoever interrupts this finds all of the draw added, or nothing.
        """
        if self.count == 0:
            self.begin(sampler)
        table, biases = with_average_rows(sampler, threads)
        # factors of different draws are turned against each other: turned back before the sum
        left, _, right = np.linalg.svd(inner(table, self.reference, threads).astype(np.float64))
        total = self.total + times(table, left @ right, threads)
        default, restless = sampler.default()
        total_bias = self.total_bias + biases
        total_bias[: len(default)] += default
        found = scores_of(self.probes, table, biases, [], default, restless, threads)
        noise, cuts = 1 / sampler.likelihood.precision, sampler.likelihood.cuts
        probed = self.probed.copy()
        probed.add(*found, noise, cuts, threads)
        score = (sampler.likelihood.target() - sampler.likelihood.residual)[self.some]
        left_out = copy(self.left_out)  # which adds to sums of its own
        left_out.add(score, noise, cuts, sampler.mean, threads)
        draws, apart = self.draws, self.apart
        if self.count % apart == 0:
            new = PosteriorDraw.of(sampler)
            draws = {**draws, self.count: new}
            if len(draws) > max(1, self.memory // new.bytes):
                apart *= 2
                draws = {at: it for at, it in draws.items() if at % apart == 0}
        vars(self).update(  # at once
            total=total,
            total_bias=total_bias,
            prior_weights=self.prior_weights + prior_weights_of(sampler),
            probed=probed,
            left_out=left_out,
            draws=draws,
            apart=apart,
            count=self.count + 1,
        )

    def begin(self, sampler: GibbsSampler) -> None:
        """Take the chain's present factors for those that all others are turned to."""
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
            "left_out": self.left_out.sums,
        }

    def restore(self, count: int, apart: int, state: dict[str, Array]) -> None:
        """Go on after so many draws."""
        self.count, self.apart, self.probed.draws = count, apart, count
        self.reference, self.total = state["reference"].copy(), state["total"].copy()
        self.total_bias, self.probed.sums = state["total_bias"].copy(), state["probed"].copy()
        self.left_out.sums, self.prior_weights = (
            state["left_out"].copy(),
            state["prior_weights"].copy(),
        )


class MonitoredSet:
    """What a chain says of held-out ratings, averaged over its draws.

    Parameters
    ----------
    sampler : GibbsSampler
    ratings : Ratings
        Of the same codes.
    levels : float32 (levels,)
    """

    def __init__(self, sampler: GibbsSampler, ratings: Ratings, levels: F32) -> None:
        self.ratings, self.levels = ratings, levels
        codes = [ratings.user, ratings.item + sampler.firsts[1]]
        if len(sampler.sides) > 2:
            at = np.full(len(ratings), len(sampler.table))  # at no date in particular
            if ratings.timestamp is not None:
                at = np.searchsorted(sampler.date_cuts, ratings.timestamp, side="right")
                at += sampler.firsts[2]
            codes.append(at)
        stacked = np.ascontiguousarray(np.stack(codes, axis=1).astype(np.int32))
        self.asked = PredictionQuery.at(
            stacked, sampler.timeline.moments, ratings.user, ratings.timestamp
        )
        self.average = self._fresh(sampler)

    def _fresh(self, sampler: GibbsSampler) -> Predictive:
        return Predictive(len(self.ratings), self.levels, len(sampler.likelihood.cuts) > 0)

    def rmse(self, sampler: GibbsSampler, counts: bool, threads: int | None = None) -> float:
        """RMSE of the average with the present draw, or of that alone where it does not count."""
        table, biases = with_average_rows(sampler, threads)
        paths = [(drift.memory, drift.variance, drift.path) for drift in sampler.drifts]
        found = self.average if counts else self._fresh(sampler)
        noise, cuts = 1 / sampler.likelihood.precision, sampler.likelihood.cuts
        scores = scores_of(self.asked, table, biases, paths, *sampler.default(), threads)
        found.add(*scores, noise, cuts, threads)
        scale = self.ratings.scale
        miss = np.clip(found.values(), scale.low, scale.high) - self.ratings.values
        return float(np.sqrt(np.square(miss).mean()))

"""From draws to answers: the predictive distribution of ratings, and calibrated intervals."""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from numbers import Real

import numpy as np

from matinee._types import F32, F64, I32, I64, Array, Bools
from matinee.errors import SettingError
from matinee.kernels.drift import bridge
from matinee.kernels.gibbs import score_entries
from matinee.kernels.ordinal import add_probabilities, normal_cdf, normal_quantile
from matinee.kernels.parallel import run_blocks, uniform_blocks
from matinee.models.bayesian.likelihoods import Outcome
from matinee.models.bayesian.temporal import RatingTimes

MIN_BLOCK = 1000  # pairs: done sooner than another thread would start


@dataclass(frozen=True, eq=False)
class PredictionQuery:
    """Pairs of a user and an item, and the times at which they are asked for."""

    codes: I32  # (n, sides) their rows in the table of a draw
    users: I32  # (n,) -1: unknown
    timed: bool  # else they are asked for at no time in particular
    before: I64  # (n,) the user's moments around that time, -1: none
    after: I64
    since: F32  # (n,) seconds from the one, and to the other
    until: F32

    @classmethod
    def at(
        cls, codes: I32, moments: RatingTimes, users: I32, times: I64 | None
    ) -> "PredictionQuery":
        if times is None:
            none, zero = np.empty(0, np.int64), np.empty(0, np.float32)
            return cls(codes, users, False, none, none, zero, zero)
        return cls(codes, users, True, *moments.around(users, times))

    def __len__(self) -> int:
        return len(self.codes)


Path = tuple[float, float, F32]
"""Memory and variance of a drift, and its states at all moments."""


def scores_of(
    query: PredictionQuery,
    table: Array,
    biases: F32,
    paths: Sequence[Path],
    default: F32,
    restless: float,
) -> tuple[F32, F32]:
    """Score of each pair by one draw, and the variance that its drift has left, both (n,)."""
    scores, spread = np.empty(len(query), np.float32), np.zeros(len(query), np.float32)
    blocks = uniform_blocks(len(query), MIN_BLOCK)
    run_blocks(score_entries, blocks, query.codes, table, biases, scores)
    if not query.timed:
        known = query.users >= 0
        scores[known] += default[query.users[known]]
        spread[known] += np.float32(restless)
        return scores, spread
    around = query.before, query.after, query.since, query.until
    for path in paths:
        run_blocks(bridge, blocks, *around, *path, scores, spread)
    return scores, spread


class Predictive:
    """The predictive distribution of n pairs, ordinal or normal, averaged over the draws added."""

    def __init__(
        self, n: int, outcome: Outcome, stretch: F32 | None = None, unknown: Bools | None = None
    ) -> None:
        self.stretch = stretch  # of intervals, of known users and of others: see `stretch_of`
        self.unknown = unknown  # (n,) which pairs are of users of whom no rating is known
        self.outcome, self.levels, self.draws = outcome, outcome.levels.astype(np.float64), 0
        self.sums = np.zeros((n, len(self.levels) if outcome.ordinal else 3))

    def copy(self) -> "Predictive":
        """The same, to add other draws to."""
        other = copy(self)
        other.sums = self.sums.copy()
        return other

    def add(self, scores: F32, spread: F32, noise: float, cuts: F64) -> None:
        """Add a draw: scores, their variances, variance of the noise, cuts (if ordinal)."""
        self.draws += 1
        if self.outcome.ordinal:
            blocks = uniform_blocks(len(scores), MIN_BLOCK)
            arguments = cuts, scores, spread + np.float32(noise), self.sums
            run_blocks(add_probabilities, blocks, *arguments)
        else:
            exact = self.outcome.center + self.outcome.unit * scores.astype(np.float64)
            variance = self.outcome.unit**2 * (spread + noise)
            for column, part in enumerate((exact, exact * exact, variance)):
                self.sums[:, column] += part

    def mean(self) -> F64:
        """Expected ratings, (n,)."""
        if self.outcome.ordinal:
            return np.asarray((self.sums @ self.levels) / self.draws)
        return self.sums[:, 0] / self.draws

    def deviation(self) -> F64:
        """Standard deviation of the ratings, (n,)."""
        if self.outcome.ordinal:
            square = (self.sums @ self.levels**2) / self.draws
            return np.asarray(np.sqrt(np.maximum(square - self.mean() ** 2, 0.0)))
        mean, square, noise = self.sums.T / self.draws
        return np.asarray(np.sqrt(np.maximum(square - mean * mean, 0.0) + noise))

    def distribution(self) -> F64:
        """Probability of each level, (n, levels); of normal ratings, of what is nearest to it."""
        if self.outcome.ordinal:
            return self.sums / self.draws
        between = (self.levels[1:] + self.levels[:-1]) / 2
        away = (between - self.mean()[:, None]) / self.deviation()[:, None]
        upto = np.pad(normal_cdf(away), ((0, 0), (1, 1)), constant_values=(0.0, 1.0))
        return np.diff(upto, axis=1)

    def interval(self, level: float) -> F64:
        """The interval around the mean that holds the rating with this probability, (n, 2)."""
        if not (isinstance(level, Real) and 0 < level < 1):
            raise SettingError(f"interval must be a probability in (0, 1), got {level!r}.")
        # so many standard deviations wide, for between two levels there is no quantile to point at
        mean, deviation = self.mean(), self.deviation()
        reach = normal_quantile((1 + level) / 2)
        if self.stretch is not None:
            known, others = (np.interp(level, COVERAGES, row) for row in self.stretch)
            reach = reach * (
                known if self.unknown is None else np.where(self.unknown, others, known)
            )
        away = reach * deviation
        return np.stack([mean - away, mean + away], axis=1)


COVERAGES = np.arange(1, 200) / 200
"""Probabilities of intervals for which the stretch is known."""
MIN_PROBABILITY = 1e-6  # that is divided by


class LooCalibration:
    """Leave-one-out means and variances of some training ratings, by importance weighting: they
    say how much intervals must be stretched.
    """

    def __init__(self, values: F32, outcome: Outcome) -> None:
        self.values, self.outcome = values.astype(np.float64), outcome
        self.sums = np.zeros((3, len(values)))  # of weights, of weighted ratings, of their squares

    def add(self, scores: F32, noise: float, cuts: F64) -> None:
        """Add a draw: scores with drift, variance of the noise, cuts (if ordinal)."""
        if self.outcome.ordinal:
            levels = self.outcome.levels.astype(np.float64)
            probabilities = np.zeros((len(scores), len(levels)))
            spread = np.full(len(scores), noise, np.float32)
            arguments = cuts, scores, spread, probabilities
            blocks = uniform_blocks(len(scores))
            run_blocks(add_probabilities, blocks, *arguments)
            level = np.searchsorted(levels, self.values)
            probability = probabilities[np.arange(len(level)), level]
            first, second = probabilities @ levels, probabilities @ levels**2
        else:
            center, unit = self.outcome.center, self.outcome.unit
            first = center + unit * scores.astype(np.float64)
            away = (self.values - first) / unit
            probability = np.exp(-(away * away) / (2 * noise)) / np.sqrt(noise)
            second = first * first + unit**2 * noise
        weight = 1 / np.maximum(probability, MIN_PROBABILITY)
        self.sums = self.sums + weight * np.stack([np.ones(len(weight)), first, second])

    def stretch(self) -> F32:
        """See `stretch_of`."""
        mean, square = self.sums[1:] / self.sums[0]
        return stretch_of(self.values, mean, np.sqrt(np.maximum(square - mean * mean, 1e-12)))


def stretch_of(values: F64, mean: F64, deviation: F64) -> F32:
    """Width of intervals that hold so many of the values, relative to those of a normal number,
    for each of `COVERAGES`.
    """
    reach = np.quantile(np.abs(values - mean) / deviation, COVERAGES)
    normal = [normal_quantile((1 + coverage) / 2) for coverage in COVERAGES]
    return np.asarray(np.maximum(reach, 1e-3) / np.array(normal), np.float32)

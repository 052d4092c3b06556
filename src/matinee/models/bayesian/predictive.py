"""From draws to what is asked: the distribution of the stars that pairs would get."""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from numbers import Real

import numpy as np

from matinee._types import F32, F64, I32, I64, Array
from matinee.errors import SettingError
from matinee.kernels.drift import bridge
from matinee.kernels.gibbs import score_entries
from matinee.kernels.ordinal import add_probabilities, normal_cdf, normal_quantile
from matinee.kernels.parallel import run_blocks, uniform_blocks
from matinee.models.bayesian.temporal import RatingTimes

FEW = 1000  # pairs: sooner done than another thread would start


@dataclass(frozen=True, eq=False)
class PredictionQuery:
    """Pairs of a user and a movie, and the times at which they are asked for.

    Parameters
    ----------
    codes : int32 (n, sides)
        Their rows in the table of a draw.
    users : int32 (n,)
        Codes of users; -1 where there are none of these moments.
    timed : bool
        Whether there are times; else they are asked for at no time in particular.
    before, after : int64 (n,)
        The user's moments around that time, -1: none.
    since, until : float32 (n,)
        Seconds from the one, and to the other.
    """

    codes: I32
    users: I32
    timed: bool
    before: I64
    after: I64
    since: F32
    until: F32

    @classmethod
    def at(
        cls,
        codes: I32,
        moments: RatingTimes,
        users: I32,
        times: I64 | None,
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
    asked: PredictionQuery,
    table: Array,
    biases: F32,
    paths: Sequence[Path],
    default: F32,
    restless: float,
    threads: int | None = None,
) -> tuple[F32, F32]:
    """Score of each pair by one draw, and the variance that its drift has left, both (n,).

    `default` and `restless` are what `GibbsSampler.default` gives, for what is asked without times.
    """
    scores, spread = np.empty(len(asked), np.float32), np.zeros(len(asked), np.float32)
    blocks = uniform_blocks(len(asked), FEW)
    run_blocks(score_entries, blocks, asked.codes, table, biases, scores, threads=threads)
    if not asked.timed:
        known = asked.users >= 0
        scores[known] += default[asked.users[known]]
        spread[known] += np.float32(restless)
        return scores, spread
    around = asked.before, asked.after, asked.since, asked.until
    for path in paths:
        run_blocks(bridge, blocks, *around, *path, scores, spread, threads=threads)
    return scores, spread


class Predictive:
    """What draws say of the stars of n pairs, averaged over the draws seen so far.

    Parameters
    ----------
    n : int
    levels : float32 (levels,)
        The stars there are.
    ordinal : bool
        Whether draws come with cuts between the levels; else stars are normal.
    stretch : float32 (promises,), optional
        What `LooCalibration.stretch` found.
    """

    def __init__(
        self,
        n: int,
        levels: F32,
        ordinal: bool,
        stretch: F32 | None = None,
    ) -> None:
        self.stretch = stretch
        self.levels, self.ordinal, self.draws = levels.astype(np.float64), ordinal, 0
        self.sums = np.zeros((n, len(levels) if ordinal else 3))

    def copy(self) -> "Predictive":
        """The same, to add other draws to."""
        other = copy(self)
        other.sums = self.sums.copy()
        return other

    def add(
        self,
        scores: F32,
        spread: F32,
        noise: float,
        cuts: F64,
        threads: int | None = None,
    ) -> None:
        """One draw more: scores with the normal likelihood in stars; variances of scores, of noise.

        Parameters
        ----------
        cuts : float64 (levels + 1,)
            Infinite at both ends; not looked at with the normal likelihood.
        """
        self.draws += 1
        if self.ordinal:
            blocks = uniform_blocks(len(scores), FEW)
            run_blocks(
                add_probabilities,
                blocks,
                cuts,
                scores,
                spread + np.float32(noise),
                self.sums,
                threads=threads,
            )
        else:
            exact = scores.astype(np.float64)
            for column, part in enumerate((exact, exact * exact, spread + noise)):
                self.sums[:, column] += part

    def values(self) -> F64:
        """Expected stars, (n,)."""
        if self.ordinal:
            return np.asarray((self.sums @ self.levels) / self.draws)
        return self.sums[:, 0] / self.draws

    def deviation(self) -> F64:
        """Standard deviation of the stars, (n,)."""
        if self.ordinal:
            square = (self.sums @ self.levels**2) / self.draws
            return np.asarray(np.sqrt(np.maximum(square - self.values() ** 2, 0.0)))
        mean, square, noise = self.sums.T / self.draws
        return np.asarray(np.sqrt(np.maximum(square - mean * mean, 0.0) + noise))

    def distribution(self) -> F64:
        """Probability of each level, (n, levels); of normal stars, of what is nearest to it."""
        if self.ordinal:
            return self.sums / self.draws
        between = (self.levels[1:] + self.levels[:-1]) / 2
        away = (between - self.values()[:, None]) / self.deviation()[:, None]
        upto = np.pad(normal_cdf(away), ((0, 0), (1, 1)), constant_values=(0.0, 1.0))
        return np.diff(upto, axis=1)

    def interval(self, level: float) -> F64:
        """Where the stars lie with that probability: as far below the mean as above it, (n, 2).

        Between two levels there is no quantile to point at, so ranges are so many standard
        deviations wide: as many as of a normal number, stretched as training ratings ask for.
        """
        if not (isinstance(level, Real) and 0 < level < 1):
            raise SettingError(f"interval is a probability between 0 and 1, not {level!r}.")
        values, deviation = self.values(), self.deviation()
        reach = normal_quantile((1 + level) / 2)
        if self.stretch is not None:
            reach *= float(np.interp(level, COVERAGES, self.stretch))
        away = reach * deviation
        return np.stack([values - away, values + away], axis=1)


COVERAGES = np.arange(1, 200) / 200
"""Probabilities of ranges for which the stretch is known."""
LEAST = 1e-6  # probability that is divided by


class LooCalibration:
    """Some training ratings, and the mean and variance of what each would be without itself.

    Parameters
    ----------
    values : float32 (n,)
    levels : float32 (levels,)
    """

    def __init__(self, values: F32, levels: F32) -> None:
        self.values, self.levels = values.astype(np.float64), levels.astype(np.float64)
        self.sums = np.zeros((3, len(values)))  # of weights, of weighted stars, of their squares

    def add(
        self,
        scores: F32,
        noise: float,
        cuts: F64,
        mean: float,
        threads: int | None = None,
    ) -> None:
        """One draw more.

        Parameters
        ----------
        scores : float32 (n,)
            Of these ratings, drift included.
        noise : float
            Variance of the noise.
        cuts : float64 (levels + 1,)
            None where stars are normal.
        mean : float
            Of normal stars.
        """
        if len(cuts):
            found = np.zeros((len(scores), len(self.levels)))
            spread = np.full(len(scores), noise, np.float32)
            asked = cuts, scores, spread, found
            run_blocks(add_probabilities, uniform_blocks(len(scores)), *asked, threads=threads)
            level = np.searchsorted(self.levels, self.values)
            chance = found[np.arange(len(level)), level]
            first, second = found @ self.levels, found @ self.levels**2
        else:
            first = scores + np.float64(mean)
            chance = np.exp(-((self.values - first) ** 2) / (2 * noise)) / np.sqrt(noise)
            second = first * first + noise
        weight = 1 / np.maximum(chance, LEAST)
        self.sums = self.sums + weight * np.stack([np.ones(len(weight)), first, second])

    def stretch(self) -> F32:
        """How many times a normal number's range a range must reach, for each of `COVERAGES`."""
        mean, square = self.sums[1:] / self.sums[0]
        deviation = np.sqrt(np.maximum(square - mean * mean, 1e-12))
        reach = np.quantile(np.abs(self.values - mean) / deviation, COVERAGES)
        default = [normal_quantile((1 + promise) / 2) for promise in COVERAGES]
        return np.asarray(np.maximum(reach, 1e-3) / np.array(default), np.float32)

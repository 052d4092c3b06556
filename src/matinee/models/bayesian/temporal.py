"""When ratings were given: the order of a user's ratings, their distinct times, and dates."""

import math
from dataclasses import dataclass

import numpy as np

from matinee._types import F32, I32, I64
from matinee.data.ratings import Ratings
from matinee.kernels.drift import draw_paths, path_likelihood
from matinee.kernels.parallel import balanced_blocks, run_blocks

DATES = 1024  # about so many at most; on days
FEWEST = 32  # ratings of a date; days with fewer share one


@dataclass(frozen=True, eq=False)
class RatingTimes:
    """The distinct times at which each user rated: where their drift is known.

    Parameters
    ----------
    starts : int64 (users + 1,)
        The moments of each user.
    times : int64 (moments,)
        Unix seconds.
    """

    starts: I64
    times: I64

    def around(self, users: I32, times: I64) -> tuple[I64, I64, F32, F32]:
        """The moments before and after given times: what `bridge` wants to know.

        Parameters
        ----------
        users : int32 (n,)
            -1: nobody, who has no moments.
        times : int64 (n,)
        """
        user = np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))
        # a moment's place among all, by user and time together
        ranks = np.unique(np.concatenate([self.times, times]), return_inverse=True)[1]
        ceiling = int(ranks.max(initial=0)) + 1
        keys = user * ceiling + ranks[: len(user)]
        wanted = users.astype(np.int64) * ceiling + ranks[len(user) :]
        after = np.searchsorted(keys, wanted, side="right")
        before = after - 1
        someone = np.maximum(users, 0)
        before = np.where((users >= 0) & (before >= self.starts[someone]), before, -1)
        after = np.where((users >= 0) & (after < self.starts[someone + 1]), after, -1)
        # as floating point numbers: far out, whole ones would wrap around
        since, until = np.zeros((2, len(times)), np.float32)
        some, more = before >= 0, after >= 0
        since[some] = times[some].astype(np.float64) - self.times[before[some]]
        until[more] = self.times[after[more]].astype(np.float64) - times[more]
        return before, after, since, until


@dataclass(frozen=True, eq=False)
class RatingTimeline:
    """The training ratings in the order of users and times.

    Parameters
    ----------
    order : int64 (ratings,)
        Where each stands among the ratings given.
    moments : RatingTimes
    first : int64 (moments + 1,)
        The ratings of each moment.
    gaps : float32 (moments,)
        Seconds since the user's moment before.
    """

    order: I64
    moments: RatingTimes
    first: I64
    gaps: F32

    @classmethod
    def of(cls, ratings: Ratings) -> "RatingTimeline":
        """Without times, all of a user's ratings are one moment."""
        times = ratings.timestamp
        if times is None:
            times = np.zeros(len(ratings), np.int64)
        order = np.lexsort((ratings.item, times, ratings.user))
        user, time = ratings.user[order], times[order]
        new = np.ones(len(user), bool)
        new[1:] = (user[1:] != user[:-1]) | (time[1:] != time[:-1])
        first = np.flatnonzero(new)
        starts = np.searchsorted(user[first], np.arange(len(ratings.user_ids) + 1))
        gaps = np.diff(time[first], prepend=time[:1]).astype(np.float32)
        return cls(
            order,
            RatingTimes(starts.astype(np.int64), time[first]),
            np.append(first, len(user)).astype(np.int64),
            gaps,
        )


def date_cuts(times: I64) -> I64:
    """Where one date ends and the next begins, Unix seconds, ascending.

    Dates are days; days with few ratings are joined to the next ones, and all of them to fewer
    where there are very many.

    Examples
    --------
    >>> date_cuts(np.repeat(np.int64([0, 1, 2, 9]), [40, 10, 30, 50]) * 86400).tolist()
    [86400, 777600]
    """
    days, counts = np.unique(times // 86400, return_counts=True)
    least = max(FEWEST, len(times) // DATES)
    cuts, held = [], 0
    for day, count in zip(days, counts, strict=True):
        if held >= least:
            cuts.append(int(day) * 86400)
            held = 0
        held += int(count)
    return np.array(cuts, np.int64)


FIRST_MEMORIES = (1.0, 300.0, 1e6)  # seconds: one page of movies, one sitting, some weeks
FIRST_VARIANCE = 0.03
PATIENCE = 5  # sweeps before memory and variance are drawn: the rest comes first
STEPS = 0.15, 0.2  # of the proposals for the logarithms of variance and memory
MEMORIES = 0.1, 1e9  # seconds, the shortest and the longest
VARIANCES = 1e-6, 1e3  # the least and the greatest


@dataclass
class Drift:
    """One Ornstein-Uhlenbeck process per user, of a memory and a variance that all share.

    Parameters
    ----------
    memory, variance : float
        Seconds; squared units of the score. Their logarithms have flat priors between bounds.
    path : float32 (moments,)
    """

    memory: float
    variance: float
    path: F32

    def draw(
        self,
        timeline: RatingTimeline,
        residual: F32,
        precision: float,
        sweep: int,
        rng: np.random.Generator,
        threads: int | None,
    ) -> None:
        """Draw variance or memory, in turn, with the paths integrated out, then the paths."""
        blocks = balanced_blocks(timeline.moments.starts)
        held = timeline.moments.starts, timeline.first, timeline.gaps
        seen = residual, precision

        def likelihood(memory: float, variance: float) -> float:
            parts = run_blocks(
                path_likelihood,
                blocks,
                *held,
                memory,
                variance,
                *seen,
                self.path,
                threads=threads,
            )
            return math.fsum(parts)

        if sweep > PATIENCE:
            known = likelihood(self.memory, self.variance)
            turn = sweep % 2
            proposed = [self.variance, self.memory]
            proposed[turn] *= math.exp(STEPS[turn] * rng.standard_normal())
            variance, memory = proposed
            found = likelihood(memory, variance)
            allowed = MEMORIES[0] < memory < MEMORIES[1] and VARIANCES[0] < variance < VARIANCES[1]
            if math.log(rng.random()) < found - known and allowed:
                self.variance, self.memory = variance, memory
        noise = rng.standard_normal(len(self.path), np.float32)
        run_blocks(
            draw_paths,
            blocks,
            *held,
            self.memory,
            self.variance,
            *seen,
            noise,
            self.path,
            threads=threads,
        )

"""Time: the distinct moments at which users rated, dates, and the drift of each user."""

import math
from dataclasses import dataclass

import numpy as np

from matinee._types import F32, I32, I64
from matinee.data.ratings import Ratings
from matinee.kernels.drift import draw_paths, path_likelihood
from matinee.kernels.parallel import balanced_blocks, run_blocks

DATES = 1024  # about so many at most; on days
MIN_RATINGS = 32  # of a date; days with fewer share one


@dataclass(frozen=True, eq=False)
class RatingTimes:
    """The distinct times at which each user rated: where their drift is known."""

    starts: I64  # (users + 1,) the moments of each user
    times: I64  # (moments,) Unix seconds

    def around(self, users: I32, times: I64) -> tuple[I64, I64, F32, F32]:
        """The moments before and after these times, as `bridge` takes them; user -1 has none."""
        user = np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))
        # a moment's place among all, by user and time together
        ranks = np.unique(np.concatenate([self.times, times]), return_inverse=True)[1]
        ceiling = int(ranks.max(initial=0)) + 1
        keys = user * ceiling + ranks[: len(user)]
        queries = users.astype(np.int64) * ceiling + ranks[len(user) :]
        after = np.searchsorted(keys, queries, side="right")
        before = after - 1
        known_user = np.maximum(users, 0)
        before = np.where((users >= 0) & (before >= self.starts[known_user]), before, -1)
        after = np.where((users >= 0) & (after < self.starts[known_user + 1]), after, -1)
        # as floating point numbers: far out, whole ones would wrap around
        since, until = np.zeros((2, len(times)), np.float32)
        has_before, has_after = before >= 0, after >= 0
        since[has_before] = times[has_before].astype(np.float64) - self.times[before[has_before]]
        until[has_after] = self.times[after[has_after]].astype(np.float64) - times[has_after]
        return before, after, since, until


@dataclass(frozen=True, eq=False)
class RatingTimeline:
    """The training ratings in the order of users and times."""

    order: I64  # (ratings,) where each stands among the ratings given
    moments: RatingTimes
    first: I64  # (moments + 1,) the ratings of each moment
    gaps: F32  # (moments,) seconds since the user's moment before

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
    """Where one date ends and the next begins, Unix seconds; days with few ratings are joined."""
    days, counts = np.unique(times // 86400, return_counts=True)
    least = max(MIN_RATINGS, len(times) // DATES)
    cuts, count_so_far = [], 0
    for day, count in zip(days, counts, strict=True):
        if count_so_far >= least:
            cuts.append(int(day) * 86400)
            count_so_far = 0
        count_so_far += int(count)
    return np.array(cuts, np.int64)


FIRST_MEMORIES = (1.0, 300.0, 1e6)  # seconds: a page, a sitting, some weeks
FIRST_VARIANCE = 0.03
DELAY = 5  # sweeps before memory and variance are drawn: the rest comes first
STEPS = 0.15, 0.2  # of the proposals for the logarithms of variance and memory
MEMORIES = 0.1, 1e9  # seconds, the shortest and the longest
VARIANCES = 1e-6, 1e3  # the least and the greatest


@dataclass
class Drift:
    """One Ornstein-Uhlenbeck process per user; all users share its memory (seconds) and variance,
    whose logarithms have flat priors between bounds.
    """

    memory: float
    variance: float
    path: F32  # (moments,)

    def draw(
        self,
        timeline: RatingTimeline,
        residual: F32,
        precision: float,
        sweep: int,
        rng: np.random.Generator,
    ) -> None:
        """Draw variance or memory, in turn, with the paths integrated out, then the paths."""
        blocks = balanced_blocks(timeline.moments.starts)
        layout = timeline.moments.starts, timeline.first, timeline.gaps
        data = residual, precision

        def likelihood(memory: float, variance: float) -> float:
            arguments = *layout, memory, variance, *data, self.path
            return math.fsum(run_blocks(path_likelihood, blocks, *arguments))

        if sweep > DELAY:
            current = likelihood(self.memory, self.variance)
            turn = sweep % 2
            proposed = [self.variance, self.memory]
            proposed[turn] *= math.exp(STEPS[turn] * rng.standard_normal())
            variance, memory = proposed
            candidate = likelihood(memory, variance)
            in_bounds = (
                MEMORIES[0] < memory < MEMORIES[1] and VARIANCES[0] < variance < VARIANCES[1]
            )
            if math.log(rng.random()) < candidate - current and in_bounds:
                self.variance, self.memory = variance, memory
        noise = rng.standard_normal(len(self.path), np.float32)
        arguments = *layout, self.memory, self.variance, *data, noise, self.path
        run_blocks(draw_paths, blocks, *arguments)

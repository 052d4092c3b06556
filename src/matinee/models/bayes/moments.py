"""When ratings were given: the order of a viewer's ratings, their distinct times, and dates."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matinee.data import Ratings

DATES = 1024  # about so many at most; on days
FEWEST = 32  # ratings of a date; days with fewer share one


@dataclass(frozen=True, eq=False)
class Moments:
    """The distinct times at which each viewer rated: where their drift is known.

    Parameters
    ----------
    starts : int64 (viewers + 1,)
        The moments of each viewer.
    times : int64 (moments,)
        Unix seconds.
    """

    starts: NDArray[np.int64]
    times: NDArray[np.int64]

    def around(
        self, users: NDArray[np.int32], times: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]:
        """The moments before and after given times: what `bridge` wants to know.

        Parameters
        ----------
        users : int32 (n,)
            -1: nobody, who has no moments.
        times : int64 (n,)
        """
        viewer = np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))
        # a moment's place among all, by viewer and time together
        ranks = np.unique(np.concatenate([self.times, times]), return_inverse=True)[1]
        ceiling = int(ranks.max(initial=0)) + 1
        keys = viewer * ceiling + ranks[: len(viewer)]
        wanted = users.astype(np.int64) * ceiling + ranks[len(viewer) :]
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
class Timeline:
    """The training ratings in the order of viewers and times.

    Parameters
    ----------
    order : int64 (ratings,)
        Where each stands among the ratings given.
    moments : Moments
    first : int64 (moments + 1,)
        The ratings of each moment.
    gaps : float32 (moments,)
        Seconds since the viewer's moment before.
    """

    order: NDArray[np.int64]
    moments: Moments
    first: NDArray[np.int64]
    gaps: NDArray[np.float32]

    @classmethod
    def of(cls, ratings: Ratings) -> "Timeline":
        """Without times, all of a viewer's ratings are one moment."""
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
            Moments(starts.astype(np.int64), time[first]),
            np.append(first, len(user)).astype(np.int64),
            gaps,
        )


def date_cuts(times: NDArray[np.int64]) -> NDArray[np.int64]:
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

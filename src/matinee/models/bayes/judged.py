"""Parts of the data that are watched as a chain goes: the error of the running average."""

import numpy as np
from numpy.typing import NDArray

from matinee.data import Ratings
from matinee.models.bayes.chain import Chain
from matinee.models.bayes.draws import with_average_rows
from matinee.models.bayes.predictive import Asked, Predictive, scores_of


class Judged:
    """What a chain says of held-out ratings, averaged over its draws.

    Parameters
    ----------
    chain : Chain
    ratings : Ratings
        Of the same codes.
    levels : float32 (levels,)
    """

    def __init__(self, chain: Chain, ratings: Ratings, levels: NDArray[np.float32]) -> None:
        self.ratings, self.levels = ratings, levels
        codes = [ratings.user, ratings.item + chain.firsts[1]]
        if len(chain.sides) > 2:
            at = np.full(len(ratings), len(chain.table))  # at no date in particular
            if ratings.timestamp is not None:
                at = np.searchsorted(chain.date_cuts, ratings.timestamp, side="right")
                at += chain.firsts[2]
            codes.append(at)
        stacked = np.ascontiguousarray(np.stack(codes, axis=1).astype(np.int32))
        self.asked = Asked.at(stacked, chain.timeline.moments, ratings.user, ratings.timestamp)
        self.average = self._fresh(chain)

    def _fresh(self, chain: Chain) -> Predictive:
        return Predictive(len(self.ratings), self.levels, len(chain.likelihood.cuts) > 0)

    def rmse(self, chain: Chain, counts: bool, threads: int | None = None) -> float:
        """RMSE of the average with the present draw, or of that alone where it does not count."""
        table, biases = with_average_rows(chain, threads)
        paths = [(drift.memory, drift.variance, drift.path) for drift in chain.drifts]
        found = self.average if counts else self._fresh(chain)
        noise, cuts = 1 / chain.likelihood.precision, chain.likelihood.cuts
        scores = scores_of(self.asked, table, biases, paths, *chain.usual(), threads)
        found.add(*scores, noise, cuts, threads)
        scale = self.ratings.scale
        miss = np.clip(found.stars(), scale.low, scale.high) - self.ratings.stars
        return float(np.sqrt(np.square(miss).mean()))

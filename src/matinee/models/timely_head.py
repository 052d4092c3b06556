"""The default order of lists where the order of what was watched is known: what suits a user, the
more so if it is likely to come next, or popular of late.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from matinee._types import F32, F64, Ints
from matinee.models.head import Components, Head
from matinee.models.next_head import LEAST_TASTE, NextHead, scaled_contributions
from matinee.models.profiles import UserBatch
from matinee.models.queries import Sizes


@dataclass(frozen=True, eq=False)
class TimelyHead:
    """``score(u, i) = max(score of lasting, LEAST_TASTE) * next ** next_weight * trend **
    trend_weight``, next being the score of `NextHead` without the user's taste, which has chosen
    the weights.
    """

    lasting: Head  # what the user would watch, or watch and like, whenever
    next: NextHead
    item_factors = user_factors = None  # the lasting heads have their own

    @property
    def estimator(self) -> Mapping[str, Any]:
        """Name and hyperparameters of the estimator that knows the order."""
        return self.next.estimator

    @property
    def history(self) -> pl.DataFrame:
        """That of its training."""
        return self.next.history

    def scores(self, batch: UserBatch) -> F32:
        """Score of every item for every user, float32 (users, items)."""
        timeliness = self.next.timeliness(*self.next.sums(batch))
        return np.maximum(self.lasting.scores(batch), LEAST_TASTE) * timeliness

    def contributions(self, batch: UserBatch, items: Ints) -> tuple[Components, F64]:
        """Those of the lasting head, each times how timely the item is."""
        general, from_ratings = self.lasting.contributions(batch, items)
        factors = self.next.timeliness(*self.next.sums(batch))[0, items]
        return scaled_contributions(general, from_ratings, factors, LEAST_TASTE)

    def check(self, sizes: Sizes) -> None:
        """Raise ValueError unless both heads fit a model of that size."""
        self.lasting.check(sizes)
        self.next.check(sizes)

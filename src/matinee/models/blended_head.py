"""The default order of lists: by both heads, what a user would watch and like."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from matinee._types import F32, F64, Ints
from matinee.kernels.csr import Rows, sum_weighted_rows, take_rows
from matinee.kernels.parallel import balanced_blocks, run_blocks
from matinee.kernels.scoring import SAMPLE, pack
from matinee.models.head import Components
from matinee.models.packed_items import PackedItems
from matinee.models.profiles import UserBatch
from matinee.models.queries import Sizes
from matinee.models.ranking_heads import FactorRankingHead
from matinee.models.rating_head import FactorRatingHead

BLEND = 0.05  # weight of a standard deviation of ratings, of the typical score of a positive:
# see docs/defaults.md


@dataclass(frozen=True, eq=False)
class BlendedHead:
    """``score(u, i)`` = score of the ranking head + `weight` * predicted rating.

    Both are products of rows, so their sum is one, of rows set side by side.
    """

    ranking: FactorRankingHead
    rating: FactorRatingHead
    weight: float  # per unit of rating
    item_factors = user_factors = None  # either head has its own

    @classmethod
    def of(
        cls, ranking: FactorRankingHead, rating: FactorRatingHead, interactions: Rows
    ) -> "BlendedHead":
        """The blend whose weight fits the spread of both in these training ratings by user."""
        spread = float(interactions.values.std(dtype=np.float64))
        users = np.arange(len(interactions.indptr) - 1)[:: len(interactions.indptr) // SAMPLE + 1]
        sample = take_rows(interactions, users)
        sums = np.empty((len(users), ranking.width), np.float32)
        ones = sample._replace(values=np.ones_like(sample.values))
        run_blocks(
            sum_weighted_rows, balanced_blocks(sample.indptr), *ones, ranking.item_params, sums
        )
        scores = np.einsum("uk,uk->", ranking.user_params[users], sums, dtype=np.float64)
        typical = float(scores) / max(1, len(sample.indices))
        return cls(ranking, rating, BLEND * max(typical, 0.0) / spread if spread else 0.0)

    @property
    def estimator(self) -> Mapping[str, Any]:
        """Name and hyperparameters of the ranking head's estimator."""
        return self.ranking.estimator

    @property
    def history(self) -> pl.DataFrame:
        """That of the ranking head's training."""
        return self.ranking.history

    @property
    def width(self) -> int:
        """Length of a row."""
        return self.ranking.width + self.rating.width

    @cached_property
    def packed(self) -> PackedItems:
        """Its items packed for scoring; made when it is first asked for scores."""
        items = self._side_by_side(self.ranking.item_params, self.rating.item_params)
        step = max(1, len(self.ranking.user_params) // SAMPLE)
        users = self._side_by_side(
            self.ranking.user_params[::step], self.rating.user_params[::step]
        )
        mean = np.float32(self.weight * self.rating.mean)
        return PackedItems(mean, True, pack(items, users, biased=True))

    def rows(self, batch: UserBatch) -> F32:
        """Bias and factors of each user, float32 (users, width)."""
        return self._side_by_side(self.ranking.rows(batch), self.rating.rows(batch))

    def scores(self, batch: UserBatch) -> F32:
        """Score of every item for every user, float32 (users, items)."""
        return self.packed.scores(self.rows(batch), len(self.ranking.item_params))

    def contributions(self, batch: UserBatch, items: Ints) -> tuple[Components, F64]:
        """Those of both heads together; what the rating head knows without the user, as one."""
        general, from_ratings = self.ranking.contributions(batch, items)
        of_rating, more = self.rating.contributions(batch, items)
        both = zip(general, of_rating, strict=True)
        return (
            [{**own, "item_rating": self.weight * sum(other.values())} for own, other in both],
            from_ratings + self.weight * more,
        )

    def _side_by_side(self, ranking: F32, rating: F32) -> F32:
        """Rows whose products are the blend: a bias, then the factors of both heads."""
        root = np.float32(np.sqrt(self.weight))
        bias = np.float32(self.weight) * rating[:, :1]
        return np.concatenate([bias, ranking, root * rating[:, 1:]], axis=1)

    def check(self, sizes: Sizes) -> None:
        """Raise ValueError unless both heads fit together and a model of that size."""
        self.ranking.check(sizes)
        self.rating.check(sizes)

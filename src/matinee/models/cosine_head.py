"""The order of lists by the angle between the factors of a user and of an item."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from matinee._types import F32, F64, Ints
from matinee.errors import SettingError
from matinee.kernels.scoring import pack
from matinee.models.head import Components
from matinee.models.packed_items import PackedItems
from matinee.models.profiles import UserBatch
from matinee.models.queries import Sizes
from matinee.models.ranking_heads import FactorRankingHead
from matinee.models.rating_head import FactorRatingHead
from matinee.models.similarity import unit_rows


@dataclass(frozen=True, eq=False)
class CosineHead:
    """``score(u, i)`` = cosine of ``p_u`` and ``q_i``: without biases, and without lengths.

    Long factors are those of items that many watch, or that divide opinions: by cosine these are
    listed less often than by the product.
    """

    head: FactorRatingHead | FactorRankingHead
    item_factors = user_factors = None  # the head has them

    @property
    def estimator(self) -> Mapping[str, Any]:
        """Name and hyperparameters of the head's estimator."""
        return self.head.estimator

    @property
    def history(self) -> pl.DataFrame:
        """That of the head's training."""
        return self.head.history

    @property
    def width(self) -> int:
        """Length of a row."""
        return int(self._factors(self.head.user_params[:1]).shape[1])

    def _factors(self, rows: F32) -> F32:
        """Rows without their bias, if they have one, divided by their lengths."""
        biased = isinstance(self.head, FactorRatingHead)
        return np.ascontiguousarray(unit_rows(rows[:, biased:]), np.float32)

    @cached_property
    def packed(self) -> PackedItems:
        """Its items packed for scoring; made when it is first asked for scores."""
        users, items = self._factors(self.head.user_params), self._factors(self.head.item_params)
        return PackedItems(np.float32(0.0), False, pack(items, users, biased=False))

    def rows(self, batch: UserBatch) -> F32:
        """Factors of each user divided by their length, float32 (users, factors)."""
        return self._factors(self.head.rows(batch))

    def scores(self, batch: UserBatch) -> F32:
        """Cosine of every item for every user, float32 (users, items)."""
        return self.packed.scores(self.rows(batch), len(self.head.item_params))

    def contributions(self, batch: UserBatch, items: Ints) -> tuple[Components, F64]:
        """Refused: a cosine is no sum over ratings."""
        raise SettingError("A cosine cannot be explained: it is not a sum over ratings.")

    def check(self, sizes: Sizes) -> None:
        """Raise ValueError unless the head fits a model of that size."""
        self.head.check(sizes)

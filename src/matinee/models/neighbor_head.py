"""The ranking head of users alike, and how alike two rows of interactions are."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from matinee._types import F32, F64, I32, I64, Ints
from matinee.kernels.csr import Rows, count_cooccurrences, sum_rows_of, transpose
from matinee.kernels.parallel import balanced_blocks, run_blocks, uniform_blocks
from matinee.kernels.topk import topk_dense
from matinee.models.head import Components, by_popularity, check_array, is_csr
from matinee.models.implicit_feedback import positives
from matinee.models.profiles import UserBatch
from matinee.models.queries import Sizes


@dataclass(frozen=True, eq=False)
class UserKNNHead:
    """``score(u, i)`` = sum of the similarities of the neighbours of u who have i."""

    indptr: I64  # (users + 1,), of the positives of each training user
    indices: I32  # (positives,)
    popularity: F32  # (items,): the scores of a user without positives
    neighbors: int
    shrinkage: float
    min_rating: float | None
    estimator: Mapping[str, Any]
    history: pl.DataFrame
    item_factors = user_factors = None  # a user is the set of their positives

    @cached_property
    def _by_item(self) -> Rows:
        ones = np.ones(len(self.indices), np.float32)
        return transpose(Rows(self.indptr, self.indices, ones), len(self.popularity))

    def scores(self, batch: UserBatch) -> F32:
        liked = positives(batch.interactions, self.min_rating)
        codes, similar = self._neighbors(batch, liked)
        out = np.zeros((len(batch), len(self.popularity)), np.float32)
        run_blocks(
            sum_rows_of, uniform_blocks(len(out)), codes, similar, self.indptr, self.indices, out
        )
        out[np.diff(liked.indptr) == 0] = self.popularity
        return out

    def _neighbors(self, batch: UserBatch, liked: Rows) -> tuple[I32, F32]:
        """Codes (-1: none) and similarities of the neighbours of each user, (users, neighbors)."""
        both = np.zeros((len(batch), len(self.indptr) - 1))
        arguments = *liked[:2], *self._by_item[:2], both
        run_blocks(count_cooccurrences, balanced_blocks(liked.indptr), *arguments)
        similar = cosine(both, np.diff(liked.indptr), np.diff(self.indptr), self.shrinkage)
        known = np.flatnonzero(batch.codes >= 0)
        similar[known, batch.codes[known]] = 0.0  # nobody is a neighbour of their own
        return nearest(similar, self.neighbors)

    def contributions(self, batch: UserBatch, items: Ints) -> tuple[Components, F64]:
        """What each positive adds: the similarity of neighbours with an item is a sum over it."""
        from_ratings = np.zeros((len(items), len(batch.interactions.indices)))
        liked = positives(batch.interactions, self.min_rating)
        if len(liked.indices) == 0:
            return by_popularity(self.popularity, items), from_ratings
        codes, _ = self._neighbors(batch, liked)
        places = np.isin(batch.interactions.indices, liked.indices)
        for neighbor in codes[codes >= 0]:
            theirs = self.indices[self.indptr[neighbor] : self.indptr[neighbor + 1]]
            size = np.sqrt(float(len(liked.indices) * len(theirs))) + self.shrinkage
            shared = np.isin(liked.indices, theirs) / size
            from_ratings[np.ix_(np.isin(items, theirs), places)] += shared
        return [{} for _ in items], from_ratings

    def check(self, sizes: Sizes) -> None:
        users, items = sizes.users, sizes.items
        check_array("popularity", self.popularity, (items,))
        fitting = (
            is_csr(self.indptr, self.indices, users, items)
            and self.neighbors >= 1
            and 0 <= self.shrinkage < np.inf
        )
        if not fitting:
            raise ValueError("the positives do not fit the users and items")


def cosine(both: F64, own: I64 | F32, others: I64 | F32, shrinkage: float) -> F32:
    """``both / (sqrt(own * others) + shrinkage)``, 0 where they have nothing in common."""
    sizes = np.sqrt(np.outer(own, others).astype(np.float64)) + shrinkage
    return np.divide(both, sizes, out=np.zeros_like(both), where=both > 0).astype(np.float32)


def nearest(similar: F32, neighbors: int) -> tuple[I32, F32]:
    """Codes and similarities of the most similar, best first; -1 and 0 where there are fewer."""
    rows, columns = similar.shape
    shape = rows, min(neighbors, columns)
    codes, values = np.empty(shape, np.int32), np.empty(shape, np.float32)
    none_seen = np.zeros(rows + 1, np.int64), np.empty(0, np.int32)
    run_blocks(
        topk_dense, uniform_blocks(rows), similar, np.ones(columns, bool), *none_seen, codes, values
    )
    empty = ~(values > 0)
    codes[empty], values[empty] = -1, 0.0
    return codes, values

"""Ranking heads: factors, item-to-item weights, popularity."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from matinee._types import F32, F64, Ints
from matinee.kernels.csr import Rows, sum_weighted_rows, take_rows
from matinee.kernels.implicit_als import update_rows_implicit_cg
from matinee.kernels.linalg import pad_to_lanes
from matinee.kernels.parallel import balanced_blocks, run_blocks
from matinee.kernels.scoring import pack
from matinee.models.head import (
    Components,
    WholeRowFactors,
    by_popularity,
    check_array,
    check_coefficients,
    solve,
)
from matinee.models.implicit_feedback import (
    CONFIDENCES,
    PreferenceScale,
    positives,
    shared_gram,
)
from matinee.models.packed_items import PackedItems
from matinee.models.profiles import UserBatch
from matinee.models.queries import Sizes

UNTIL_SOLVED = 100  # conjugate gradient steps at most; rows stop when they are solved


@dataclass(frozen=True, eq=False)
class FactorRankingHead(WholeRowFactors):
    """``score(u, i) = p_u . q_i``, near 1 for what the user would watch and 0 for the rest."""

    user_params: F32  # (users, factors)
    item_params: F32  # (items, factors); without positives, what its genres give it
    default_user: F32  # (factors,): of a user of whom nothing is known, the average one
    user_coefficients: (
        F32  # (features, factors): what prior means of users are made of; or (0, ...)
    )
    popularity: F32  # (items,): positives of each item in training
    regularization: float  # as in training, for new users; likewise all that follow
    exponent: float
    unobserved: float
    min_rating: float | None
    confidence: str
    average: float  # what confidence is relative to
    rating_weight: float  # how ratings become preferences, see `PreferenceScale`
    rating_mean: float
    rating_std: float
    estimator: Mapping[str, Any]
    history: pl.DataFrame

    @property
    def preference_scale(self) -> PreferenceScale:
        """How ratings become preferences."""
        return PreferenceScale(self.rating_weight, self.rating_mean, self.rating_std)

    @cached_property
    def packed(self) -> PackedItems:
        """Its items packed for scoring; made when it is first asked for scores."""
        panels = pack(self.item_params, self.user_params, biased=False)
        return PackedItems(np.float32(0.0), False, panels)

    @cached_property
    def _unobserved_gram(self) -> F32:
        """The weight of the unobserved times the sum of q q' over items with positives."""
        known = self.item_params * (self.popularity > 0)[:, None]
        return shared_gram(known, self.unobserved)

    @cached_property
    def _wide_rows(self) -> F32:
        return pad_to_lanes(self.item_params)

    @cached_property
    def _n_known(self) -> int:
        """How many items have positives."""
        return int(np.count_nonzero(self.popularity))

    def _penalty(self, counts: Ints) -> F32:
        weight = (counts + self.unobserved * self._n_known) ** self.exponent
        return (self.regularization * weight).astype(np.float32)

    def rows(self, batch: UserBatch) -> F32:
        """Factors of each user, float32 (users, factors); see `FactorRatingHead.rows`."""
        rows = self.user_params[batch.codes]
        new = np.flatnonzero(batch.codes < 0)
        if len(new):
            liked, preferences = self._positives(take_rows(batch.interactions, new))
            solved = np.zeros((len(new), rows.shape[1]), np.float32)
            counts = np.diff(liked.indptr)
            shared = self._wide_rows, self._unobserved_gram, self._penalty(counts)
            arguments = *liked, preferences, *shared, np.zeros_like(solved), solved, UNTIL_SOLVED
            run_blocks(update_rows_implicit_cg, balanced_blocks(liked.indptr), *arguments)
            priors = batch.prior_means(self.default_user, self.user_coefficients)[new]
            rows[new] = np.where(counts[:, None] > 0, solved, priors)
        return rows

    def scores(self, batch: UserBatch) -> F32:
        return self.packed.scores(self.rows(batch), len(self.item_params))

    def contributions(self, batch: UserBatch, items: Ints) -> tuple[Components, F64]:
        """What each positive adds: ``c_j t_j q_i A^-1 q_j`` (Hu et al. 2008, section 5).

        A rating below the user's mean takes away what its preference lacks to 1, for it counts
        against the item's kin; that the user chose to watch such items at all is one component.
        """
        liked, preferences = self._positives(batch.interactions)
        from_ratings = np.zeros((len(items), len(batch.interactions.indices)))
        targets = self.item_params[items].astype(np.float64)
        if len(liked.indices) == 0:
            prior = batch.prior_means(self.default_user, self.user_coefficients)[0]
            return [{"average_user": score} for score in (targets @ prior).tolist()], from_ratings
        design = self.item_params[liked.indices].astype(np.float64)
        normal = self._unobserved_gram + (design.T * liked.values) @ design
        normal[np.diag_indices_from(normal)] += self._penalty(np.array([len(design)]))[0]
        parts = liked.values * (design @ solve(normal, targets.T)).T
        general: Components = [{} for _ in items]
        below = preferences < 1
        if below.any():
            of_choosing = parts[:, below].sum(axis=1).tolist()
            general = [{"interactions": part} for part in of_choosing]
            preferences = preferences - below
        parts *= preferences
        from_ratings[:, np.searchsorted(batch.interactions.indices, liked.indices)] = parts
        return general, from_ratings

    def _positives(self, interactions: Rows) -> tuple[Rows, F32]:
        """The positives with their weights, and the preference of each."""
        return (
            positives(interactions, self.min_rating, self.confidence, self.average),
            self.preference_scale.of_users(interactions, self.min_rating),
        )

    def check(self, sizes: Sizes) -> None:
        width = len(self.default_user)
        check_array("user_params", self.user_params, (sizes.users, width))
        check_array("item_params", self.item_params, (sizes.items, width))
        check_array("default_user", self.default_user, (width,))
        check_array("popularity", self.popularity, (sizes.items,))
        check_coefficients(self.user_coefficients, sizes.user_features, width)
        positive = (self.regularization, self.unobserved, self.average)
        in_range = (
            all(0 < value < np.inf for value in positive)
            and 0 <= self.exponent <= 2
            and 0 <= self.rating_weight < np.inf
            and 0 <= self.rating_std < np.inf
            and np.isfinite(self.rating_mean)
        )
        if not in_range:
            raise ValueError("a number of the ranking head is out of range")
        if self.confidence not in CONFIDENCES or (self.popularity < 0).any() or width < 1:
            raise ValueError("a number of the ranking head is out of range")


@dataclass(frozen=True, eq=False)
class ItemItemHead:
    """``score(u, i) = sum over the user's positives j of weights[j, i]``."""

    weights: F32  # (items, items)
    popularity: F32  # (items,): the scores of a user without positives
    min_rating: float | None
    estimator: Mapping[str, Any]
    history: pl.DataFrame
    user_factors = None  # a user is the set of their positives

    @property
    def item_factors(self) -> F32 | None:
        """(items, items): a row says what else the users of an item watch."""
        return self.weights

    def scores(self, batch: UserBatch) -> F32:
        liked = positives(batch.interactions, self.min_rating)
        out = np.empty((len(batch), len(self.weights)), np.float32)
        blocks = balanced_blocks(liked.indptr)
        run_blocks(sum_weighted_rows, blocks, *liked, self.weights, out)
        out[np.diff(liked.indptr) == 0] = self.popularity
        return out

    def contributions(self, batch: UserBatch, items: Ints) -> tuple[Components, F64]:
        """The weight from each positive to each item."""
        liked = positives(batch.interactions, self.min_rating)
        from_ratings = np.zeros((len(items), len(batch.interactions.indices)))
        if len(liked.indices) == 0:
            return by_popularity(self.popularity, items), from_ratings
        mine = np.isin(batch.interactions.indices, liked.indices)
        from_ratings[:, mine] = self.weights[np.ix_(liked.indices, items)].T
        return [{} for _ in items], from_ratings

    def check(self, sizes: Sizes) -> None:
        check_array("weights", self.weights, (sizes.items, sizes.items))
        check_array("popularity", self.popularity, (sizes.items,))


@dataclass(frozen=True, eq=False)
class PopularityHead:
    """``score(u, i)`` = the number of users of the item, the same for all users."""

    popularity: F32  # (items,): positives of each item in training
    estimator: Mapping[str, Any]
    history: pl.DataFrame
    item_factors = user_factors = None  # popularity does not tell which items are similar

    def scores(self, batch: UserBatch) -> F32:
        return np.tile(self.popularity, (len(batch), 1))

    def contributions(self, batch: UserBatch, items: Ints) -> tuple[Components, F64]:
        """An item's users, and nothing from the user's own ratings."""
        none = np.zeros((len(items), len(batch.interactions.indices)))
        return by_popularity(self.popularity, items), none

    def check(self, sizes: Sizes) -> None:
        check_array("popularity", self.popularity, (sizes.items,))

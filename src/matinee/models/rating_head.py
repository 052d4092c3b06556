"""The rating head of factorizations: two matrices whose rows are a bias and factors."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from matinee._types import F32, F64, I32, I64, Ints
from matinee.kernels.als import Ridge, predict_pairs, update_rows_cholesky
from matinee.kernels.csr import take_rows
from matinee.kernels.parallel import balanced_blocks, run_blocks, uniform_blocks
from matinee.kernels.scoring import pack
from matinee.models.head import Components, check_array, check_coefficients, solve
from matinee.models.packed_items import PackedItems
from matinee.models.profiles import UserBatch
from matinee.models.queries import Sizes

FEW_PAIRS = 1000  # sooner scored than another thread would start
ROUNDING = 1e-4  # by which float32 rows may be off the exact solution, in rating units
VANISHED = 0.01  # of what the biases of items contribute: factors that contribute less say nothing


@dataclass(frozen=True, eq=False)
class FactorRatingHead:
    """``score(u, i) = mean + b_u + b_i + p_u . q_i``, in rating units."""

    mean: float
    user_params: F32  # (users, 1 + factors): bias, then factors
    item_params: F32  # (items, 1 + factors)
    user_prior: F32  # (1 + factors,): the row of a user of whom nothing is known
    item_prior: F32  # (1 + factors,): likewise
    user_coefficients: F32  # (features, 1 + factors): what prior means of users are made of; or (0,
    # 1 + factors) where nothing is known of users
    regularization: float  # as in training, for new users; likewise the exponent
    exponent: float
    bias_regularization: float  # the same for biases
    bias_exponent: float
    estimator: Mapping[str, Any]
    history: pl.DataFrame

    @property
    def item_factors(self) -> F32 | None:
        """Without the biases, (items, factors); None without factors."""
        return self.item_params[:, 1:] if self.item_params.shape[1] > 1 else None

    @property
    def user_factors(self) -> F32 | None:
        """Without the biases, (users, factors); None without factors."""
        return self.user_params[:, 1:] if self.user_params.shape[1] > 1 else None

    @property
    def vanished(self) -> bool:
        """Whether it has factors, but such as say nothing: what a regularization that is too large
        for the ratings leaves of them, and no place for a training to start from.
        """
        if self.user_factors is None or self.item_factors is None:
            return False
        sizes = [np.square(rows).mean() for rows in (self.user_factors, self.item_factors)]
        contribution = self.user_factors.shape[1] * sizes[0] * sizes[1]  # variance of p_u . q_i
        return bool(contribution <= VANISHED**2 * self.item_params[:, 0].var())

    @property
    def ridge(self) -> Ridge:
        """What new users are solved with."""
        return Ridge.of(
            self.regularization, self.exponent, self.bias_regularization, self.bias_exponent
        )

    @property
    def width(self) -> int:
        """Length of a row."""
        return int(self.user_params.shape[1])

    @cached_property
    def packed(self) -> PackedItems:
        """Its items packed for scoring; made when it is first asked for scores."""
        panels = pack(self.item_params, self.user_params, biased=True)
        return PackedItems(np.float32(self.mean), True, panels)

    def rows(self, batch: UserBatch) -> F32:
        """Rows of users, (users, 1 + factors); new ones get what training would have solved."""
        rows = self.user_params[batch.codes]
        new = np.flatnonzero(batch.codes < 0)
        if len(new):
            interactions = take_rows(batch.interactions, new)
            solved = np.empty((len(new), rows.shape[1]), np.float32)
            mean, prior = np.float32(self.mean), self._priors(batch)[new]
            arguments = *interactions, mean, self.item_params, prior, self.ridge, solved
            run_blocks(update_rows_cholesky, balanced_blocks(interactions.indptr), *arguments)
            rows[new] = solved
        return rows

    def _priors(self, batch: UserBatch) -> F32:
        """The prior mean of each user, (users, 1 + factors)."""
        return batch.prior_means(self.user_prior, self.user_coefficients)

    def scores(self, batch: UserBatch) -> F32:
        return self.packed.scores(self.rows(batch), len(self.item_params))

    def pairs(self, users: I32, items: I32, times: I64 | None = None) -> F32:
        ratings = np.empty(len(users), np.float32)
        blocks, mean = uniform_blocks(len(users), FEW_PAIRS), np.float32(self.mean)
        rows = self.user_params, self.item_params, self.user_prior, self.item_prior
        run_blocks(predict_pairs, blocks, users, items, mean, *rows, ratings)
        return ratings

    def listed(self, batch: UserBatch, who: Ints, items: I32) -> F32:
        batch_head = replace(self, user_params=self.rows(batch))
        return batch_head.pairs(who.astype(np.int32), items)

    def contributions(self, batch: UserBatch, items: Ints) -> tuple[Components, F64]:
        """Global mean, item bias, prior, and what each rating adds.

        A user's row is ridge regression on their ratings, so it is linear in them: with design
        rows ``z = [1, q]``, A the normal matrix and m the prior mean,

            score(u, i) = mean + b_i + z_i . m + sum_j (z_i A^-1 z_j) * (rating_j - what m predicts)

        (Hu, Koren & Volinsky 2008, section 5, with biases and a prior mean). In float64. Gradient
        steps end near that solution, not at it; ``"residual"`` is what they leave.
        """
        _, codes, values = batch.interactions
        prior = self._priors(batch)[0].astype(np.float64)
        rows = self.item_params[codes].astype(np.float64)
        design = np.column_stack([np.ones(len(rows)), rows[:, 1:]])
        targets = self.item_params[items].astype(np.float64)
        biases, targets[:, 0] = targets[:, 0].tolist(), 1.0
        residual = values - self.mean - rows[:, 0] - design @ prior
        normal = design.T @ design
        count = max(1, len(codes))
        penalty = np.full(len(normal), self.regularization * count**self.exponent)
        penalty[0] = self.bias_regularization * count**self.bias_exponent
        normal[np.diag_indices_from(normal)] += penalty
        from_ratings = (design @ solve(normal, targets.T)).T * residual
        general: Components = [
            {"global_mean": self.mean, "item_bias": bias, "prior": from_prior}
            for bias, from_prior in zip(biases, (targets @ prior).tolist(), strict=True)
        ]
        if batch.codes[0] >= 0:
            own = self.user_params[batch.codes[0]].astype(np.float64) - prior
            remainders = targets @ own - from_ratings.sum(axis=1)
            for of_item, remainder in zip(general, remainders.tolist(), strict=True):
                if abs(remainder) > ROUNDING * max(1.0, abs(self.mean)):
                    of_item["residual"] = remainder
        return general, from_ratings

    def check(self, sizes: Sizes) -> None:
        width = len(self.user_prior)
        if width < 1:
            raise ValueError("a row must have a bias")
        check_array("user_params", self.user_params, (sizes.users, width))
        check_array("item_params", self.item_params, (sizes.items, width))
        check_array("user_prior", self.user_prior, (width,))
        check_array("item_prior", self.item_prior, (width,))
        check_coefficients(self.user_coefficients, sizes.user_features, width)
        strengths = self.regularization, self.bias_regularization
        exponents = self.exponent, self.bias_exponent
        regularized = all(0 < s < np.inf for s in strengths) and all(0 <= e <= 1 for e in exponents)
        if not (np.isfinite(self.mean) and regularized):
            raise ValueError("a number of the rating head is out of range")

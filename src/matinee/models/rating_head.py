"""The head that knows stars: two matrices whose rows are biases and factors."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from matinee._types import F32, F64, I32, I64, Ints
from matinee.kernels.als import predict_pairs, update_rows_cholesky
from matinee.kernels.csr import take_rows
from matinee.kernels.parallel import balanced_blocks, run_blocks, uniform_blocks
from matinee.kernels.scoring import pack
from matinee.models.head import check_array
from matinee.models.packed_items import PackedItems
from matinee.models.queries import UserBatch

FEW_PAIRS = 1000  # sooner scored than another thread would start
ROUNDING = 1e-4  # stars: what float32 rows may be off the exact solution


@dataclass(frozen=True, eq=False)
class FactorRatingHead:
    """``score(u, i) = mean + b_u + b_i + p_u . q_i``, in stars.

    Parameters
    ----------
    mean : float
        Mean stars of the training ratings.
    user_params, item_params : float32 (users, 1 + factors), (items, 1 + factors)
        Bias first, then factors.
    user_prior : float32 (1 + factors,)
        The row of a user about whom nothing is known.
    item_prior : float32 (1 + genres, 1 + factors)
        What makes the prior mean of a movie: a constant, then a row for each genre that was a
        feature (none if features were off).
    regularization, exponent : float
        As in training, for new users.
    estimator : dict
    history : polars.DataFrame
        One row per iteration: loss, train and test error, seconds since the start.
    """

    mean: float
    user_params: F32
    item_params: F32
    user_prior: F32
    item_prior: F32
    regularization: float
    exponent: float
    estimator: Mapping[str, Any]
    history: pl.DataFrame

    @property
    def item_factors(self) -> F32 | None:
        """(items, factors) float32: what movies are compared by; None without factors."""
        return self.item_params[:, 1:] if self.item_params.shape[1] > 1 else None

    @property
    def user_factors(self) -> F32 | None:
        """(users, factors) float32: factors without the bias; None without factors."""
        return self.user_params[:, 1:] if self.user_params.shape[1] > 1 else None

    @cached_property
    def products(self) -> PackedItems:
        """Its movies packed for scoring; made when it is first asked for scores."""
        panels = pack(self.item_params, self.user_params, biased=True)
        return PackedItems(np.float32(self.mean), True, panels)

    def rows(self, user_batch: UserBatch) -> F32:
        """Bias and factors of each user, float32 (users, 1 + factors).

        Of a training user their own; of somebody new the row that training would have solved
        for them with everything else as it is.
        """
        rows = self.user_params[user_batch.codes]
        new = np.flatnonzero(user_batch.codes < 0)
        if len(new):
            interactions = take_rows(user_batch.interactions, new)
            solved = np.empty((len(new), rows.shape[1]), np.float32)
            run_blocks(
                update_rows_cholesky,
                balanced_blocks(interactions.indptr),
                *interactions,
                np.float32(self.mean),
                self.item_params,
                np.tile(self.user_prior, (len(new), 1)),
                np.float32(self.regularization),
                np.float32(self.exponent),
                solved,
            )
            rows[new] = solved
        return rows

    def scores(self, user_batch: UserBatch, threads: int | None = None) -> F32:
        """Stars of every movie for every user, not clipped, float32 (users, items)."""
        return self.products.scores(self.rows(user_batch), len(self.item_params), threads)

    def pairs(
        self,
        users: I32,
        items: I32,
        times: I64 | None = None,
        threads: int | None = None,
    ) -> F32:
        """Stars of pairs, not clipped; -1 is the user or movie nothing is known of."""
        values = np.empty(len(users), np.float32)
        run_blocks(
            predict_pairs,
            uniform_blocks(len(users), FEW_PAIRS),
            users,
            items,
            np.float32(self.mean),
            self.user_params,
            self.item_params,
            self.user_prior,
            self.item_prior[0],
            values,
            threads=threads,
        )
        return values

    def listed(self, user_batch: UserBatch, who: Ints, items: I32) -> F32:
        """Stars of movie ``items[k]`` for user ``who[k]`` of the audience, not clipped."""
        here = replace(self, user_params=self.rows(user_batch))
        return here.pairs(who.astype(np.int32), items)

    def contributions(self, user_batch: UserBatch, item: int) -> tuple[dict[str, float], F64]:
        """Mean, bias, prior, and what each rating adds.

        A user's row is ridge regression on their ratings, so it is linear in them: with design
        rows ``z = [1, q]``, A the normal matrix and m the prior mean,

            score(u, i) = mean + b_i + z_i . m + sum_j (z_i A^-1 z_j) * (stars_j - what m predicts)

        (Hu, Koren & Volinsky 2008, section 5, with biases and a prior mean). In float64. Gradient
        steps end near that solution, not at it; ``"residual"`` is what they leave.
        """
        _, codes, values = user_batch.interactions
        prior = self.user_prior.astype(np.float64)
        rows = self.item_params[codes].astype(np.float64)
        design = np.column_stack([np.ones(len(rows)), rows[:, 1:]])
        target = np.concatenate([[1.0], self.item_params[item, 1:]]).astype(np.float64)
        surprise = values - self.mean - rows[:, 0] - design @ prior
        normal = design.T @ design
        penalty = self.regularization * max(1, len(codes)) ** self.exponent
        normal[np.diag_indices_from(normal)] += penalty
        from_ratings = (design @ np.linalg.solve(normal, target)) * surprise
        general = {
            "global_mean": self.mean,
            "item_bias": float(self.item_params[item, 0]),
            "prior": float(target @ prior),
        }
        if user_batch.codes[0] >= 0:
            own = self.user_params[user_batch.codes[0]].astype(np.float64) - prior
            left = float(target @ own - from_ratings.sum())
            if abs(left) > ROUNDING:
                general["residual"] = left
        return general, from_ratings

    def check(self, users: int, items: int, genres: int) -> None:
        """Raise ValueError unless all fields fit together and a model of that size."""
        width, linked = len(self.user_prior), len(self.item_prior)
        if width < 1 or linked not in (1, 1 + genres):
            raise ValueError("the vectors do not fit the genres")
        check_array("user_params", self.user_params, (users, width))
        check_array("item_params", self.item_params, (items, width))
        check_array("user_prior", self.user_prior, (width,))
        check_array("item_prior", self.item_prior, (linked, width))
        if not (np.isfinite(self.mean) and 0 < self.regularization < np.inf):
            raise ValueError("a setting of the rating head makes no sense")
        if not 0 <= self.exponent <= 1:
            raise ValueError("a setting of the rating head makes no sense")

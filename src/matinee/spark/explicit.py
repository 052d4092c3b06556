"""ALS on ratings in Spark: the same sum as that of `matinee.models.als`, minimized block by block.

What differs is where rows start, the order of sums, and that attributes of users play no part.
"""

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from matinee._types import F32, F64, I32, Array
from matinee.kernels.als import Ridge, update_rows_cg, update_rows_cholesky
from matinee.kernels.linalg import float16_buffer
from matinee.models.als import ALS, INIT_STD
from matinee.models.als_common import FactorMatrix, check_converged, weights_in_prior
from matinee.models.rating_head import FactorRatingHead
from matinee.spark.blocks import Block, Sides
from matinee.spark.halves import alternate, random_rows, sums_of
from matinee.spark.session import Workspace

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True, eq=False)
class RatingSolver:
    """Solves rows of a bias and factors; see `matinee.kernels.als`."""

    width: int
    mean: np.float32
    unit: np.float32  # the spread of ratings
    ridge: Ridge
    steps: int  # of conjugate gradients
    exact: bool = False  # whether what was sent is in 32 bits, and rows are solved exactly
    sends_exact: bool = False  # whether the other side will be
    seed: int = 0  # of random factors to start with
    prior: F32 | None = None  # (width,), the prior mean of all rows; None: each is told its own

    def start(self, codes: I32) -> F32:
        """Small random factors without biases."""
        rows = np.zeros((len(codes), self.width), np.float32)
        rows[:, 1:] = random_rows(codes, self.width - 1, self.seed)
        return np.asarray(rows * np.float32(INIT_STD * math.sqrt(self.unit)), np.float32)

    def encode(self, rows: F32) -> Array:
        """As bytes: 32 bits for the bias, and 16 for each factor where that is enough."""
        if self.sends_exact:
            return rows
        bias, factors = np.ascontiguousarray(rows[:, :1]), rows[:, 1:].astype(np.float16)
        return np.hstack([bias.view(np.uint8), factors.view(np.uint8)])

    def solve(self, block: Block, sent: bytes, rows: F32, prior: F32 | None) -> F32:
        """The rows that minimize the sum, or a few steps towards them."""
        n, factors = len(rows), self.width - 1
        if prior is None:
            prior = np.tile(np.asarray(self.prior, np.float32), (n, 1))
        out, held = rows.copy(), (*block.rows, self.mean)
        if self.exact:
            other = np.frombuffer(sent, np.float32).reshape(-1, self.width)
            update_rows_cholesky(0, n, *held, other, prior, self.ridge, out)
            return out
        columns = np.frombuffer(sent, np.uint8).reshape(-1, 4 + 2 * factors)
        biases = np.ascontiguousarray(columns[:, :4]).view(np.float32)[:, 0]
        halves = float16_buffer(len(columns), factors)
        halves[:, :factors] = np.ascontiguousarray(columns[:, 4:]).view(np.uint16)
        arguments = biases, halves, prior, self.ridge, out, self.steps, self.unit
        update_rows_cg(0, n, *held, *arguments)
        return out

    def sums(self, block: Block, rows: F32) -> F64:
        """Of weights of biases and of factors, and of rows so weighted, (2 + width,)."""
        counts = np.diff(block.rows.indptr)
        weights = [weights_in_prior(counts, exponent) for exponent in self._exponents]
        biases, factors = weights[0] @ rows[:, 0], weights[1] @ rows[:, 1:]
        return np.array([*(weight.sum() for weight in weights), biases, *factors], np.float64)

    @property
    def _exponents(self) -> tuple[float, float]:
        return float(self.ridge.bias_exponent), float(self.ridge.exponent)


class _RatingObjective:
    """The sum that `ALS` minimizes."""

    def __init__(self, solver: RatingSolver, items: FactorMatrix) -> None:
        self.solver, self.items = solver, items
        self.prior_ridge = math.sqrt(items.interactions.indptr[-1])
        self.prior = np.zeros(solver.width, np.float32)

    def of_start(self) -> RatingSolver:
        return self.solver

    def of_items(self, users: F64, last: bool) -> RatingSolver:
        return replace(self.solver, sends_exact=last)

    def of_users(self, users: F64, last: bool) -> RatingSolver:
        """Fits the prior means of both sides, too: of items, then of users, as `ALS` does."""
        self.items.update_prior(self.prior_ridge)
        cold = self.items.weights == 0
        self.items.rows[cold] = self.items.prior[cold]
        self.prior = _prior_mean(users, self.prior_ridge)
        return replace(self.solver, exact=last, prior=self.prior)


def train_ratings(
    workspace: Workspace,
    estimator: ALS,
    sides: Sides,
    ridge: Ridge,
    moments: tuple[float, float],
    items: FactorMatrix,
) -> tuple[FactorRatingHead, "DataFrame"]:
    """A rating head without its users, and these as `halves.HALF` tells them.

    `moments` are mean and spread of the ratings; `items` the items with what is known of them and
    their weights in the prior mean.
    """
    width, (mean, spread) = 1 + estimator.factors, map(np.float32, moments)
    solver = RatingSolver(width, mean, spread, ridge, estimator.cg_steps, seed=estimator.seed)
    objective = _RatingObjective(solver, items)
    iterations = estimator.iterations
    users, history = alternate(workspace, "ratings", sides, items, objective, iterations)
    check_converged(float(ridge.factors), items.rows, sums_of(users))
    head = FactorRatingHead(
        mean=float(mean),
        user_params=np.zeros((0, width), np.float32),
        item_params=items.rows,
        user_prior=objective.prior,
        item_prior=items.average_prior,
        user_coefficients=np.zeros((0, width), np.float32),
        regularization=float(ridge.factors),
        exponent=float(ridge.exponent),
        bias_regularization=float(ridge.bias),
        bias_exponent=float(ridge.bias_exponent),
        estimator=estimator.to_config(),
        history=history,
    )
    return head, users


def _prior_mean(sums: F64, ridge: float) -> F32:
    """The weighted mean of all users' rows, by ridge regression on a constant."""
    of_biases, of_factors = sums[:2]
    mean = np.empty(len(sums) - 2)
    mean[1:] = sums[3:] / (of_factors + ridge)
    share = of_biases / of_factors
    mean[0] = sums[2] / (of_biases + share * ridge)
    return mean.astype(np.float32)

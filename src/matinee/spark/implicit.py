"""ALS on implicit feedback in Spark: the same sum as that of `matinee.models.implicit_als`.

What differs is where rows start, the order of sums, and that attributes of users play no part.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from matinee._types import F32, F64, I32, Array
from matinee.kernels.csr import Rows
from matinee.kernels.implicit_als import update_rows_implicit_cg
from matinee.kernels.linalg import float16_buffer, pad_to_lanes
from matinee.models.als_common import FactorMatrix, check_converged
from matinee.models.implicit_als import INIT_STD, PRIOR_RIDGE, ImplicitALS
from matinee.models.implicit_feedback import PreferenceScale, positives, shared_gram
from matinee.models.ranking_heads import UNTIL_SOLVED, FactorRankingHead
from matinee.spark.blocks import Block, Sides
from matinee.spark.halves import alternate, random_rows, sums_of
from matinee.spark.session import Workspace

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True, eq=False)
class Positives:
    """What is learned from ratings: which count, with what weight and preference."""

    min_rating: float | None
    confidence: str
    average: float  # weight of a positive, relative to which weights are
    scale: PreferenceScale

    def __call__(self, ratings: Rows) -> tuple[Rows, F32]:
        """The positives among ratings of users, with weights as values, and their preferences."""
        weighted = positives(ratings, self.min_rating, self.confidence, self.average)
        return weighted, self.scale.of_users(ratings, self.min_rating)


@dataclass(frozen=True, eq=False)
class RankingSolver:
    """Solves rows of factors; see `matinee.kernels.implicit_als`."""

    width: int
    regularization: float
    exponent: float
    unobserved: float
    others: int  # rows of the other side with positives
    whole: F32  # (width, width), the sum over all pairs, as all rows share it
    steps: int  # of conjugate gradients
    exact: bool = False  # whether what was sent is in 32 bits, and rows are solved until done
    sends_exact: bool = False  # whether the other side will be
    seed: int = 0  # of random factors to start with

    def start(self, codes: I32) -> F32:
        """Small random factors."""
        spread = np.float32(INIT_STD / np.sqrt(self.width))
        return np.asarray(spread * random_rows(codes, self.width, self.seed))

    def encode(self, rows: F32) -> Array:
        """In 16 bits where that is enough."""
        return rows if self.sends_exact else rows.astype(np.float16)

    def solve(self, block: Block, sent: bytes, rows: F32, prior: F32 | None) -> F32:
        """A few steps towards the rows that minimize the sum, or as many as it takes."""
        kind = np.float32 if self.exact else np.float16
        columns = np.frombuffer(sent, kind).reshape(-1, self.width)
        other: Array
        if self.exact:
            other = pad_to_lanes(columns.astype(np.float32))
        else:
            other = float16_buffer(len(columns), self.width)
            other[:, : self.width] = columns.view(np.uint16)
        out, counts = rows.copy(), np.diff(block.rows.indptr)
        weight = (counts + self.unobserved * self.others) ** self.exponent
        penalties = (self.regularization * weight).astype(np.float32)
        prior = np.zeros_like(rows) if prior is None else prior
        steps = UNTIL_SOLVED if self.exact else self.steps
        shared = self.whole, penalties, prior, out, steps
        update_rows_implicit_cg(0, len(rows), *block.rows, block.targets, other, *shared)
        return out

    def sums(self, block: Block, rows: F32) -> F64:
        """How many rows have positives, and of these the sum, and that of their squares."""
        known = rows[np.diff(block.rows.indptr) > 0]
        squares = shared_gram(known, 1.0) if len(known) else np.zeros((self.width, self.width))
        return np.concatenate([[len(known)], known.sum(axis=0, dtype=np.float64), squares.ravel()])


class _RankingObjective:
    """The sum that `ImplicitALS` minimizes."""

    def __init__(self, solver: RankingSolver, items: FactorMatrix) -> None:
        self.solver, self.items = solver, items
        self.cold = items.weights == 0
        self.cold_rows = items.rows[self.cold]
        self.prior_ridge = PRIOR_RIDGE * float(items.weights[~self.cold].mean())

    def of_start(self) -> RankingSolver:
        return self.solver

    def of_items(self, users: F64, last: bool) -> RankingSolver:
        n_users, _, squares = _parts(users, self.solver.width)
        whole = np.asarray(self.solver.unobserved * squares, np.float32)
        return replace(self.solver, others=n_users, whole=whole, sends_exact=last)

    def of_users(self, users: F64, last: bool) -> RankingSolver:
        """Fits the prior means of items, too."""
        self.items.update_prior(self.prior_ridge)
        self.cold_rows = self.items.prior[self.cold]
        self.items.prior[self.cold] = 0.0  # they take no part in the sums
        whole = shared_gram(self.items.rows, self.solver.unobserved)
        return replace(self.solver, whole=whole, exact=last)


def train_ranking(
    workspace: Workspace,
    estimator: ImplicitALS,
    sides: Sides,
    chosen: tuple[float, float],
    learned: Positives,
    items: FactorMatrix,
) -> tuple[FactorRankingHead, "DataFrame"]:
    """A ranking head without its users, and these as `halves.HALF` tells them.

    `chosen` are the regularization and the weight of the unobserved; `items` the items with what is
    known of them and their weights in the prior mean.
    """
    width, (regularization, unobserved) = estimator.factors, chosen
    none, n_items = np.zeros((width, width), np.float32), int(np.count_nonzero(items.weights))
    solver = RankingSolver(
        width, regularization, estimator.exponent, unobserved, n_items, none, estimator.cg_steps,
        seed=estimator.seed,
    )  # fmt: skip
    objective = _RankingObjective(solver, items)
    known = np.flatnonzero(~objective.cold).astype(np.int32)
    items.rows[known] = solver.start(-1 - known)  # other numbers than those of users
    iterations = estimator.iterations
    users, history = alternate(workspace, "ranking", sides, items, objective, iterations)
    items.rows[objective.cold] = objective.cold_rows
    sums = sums_of(users)
    check_converged(regularization, items.rows, sums)
    n_users, total, _ = _parts(sums, width)
    head = FactorRankingHead(
        user_params=np.zeros((0, width), np.float32),
        item_params=items.rows,
        default_user=(total / n_users).astype(np.float32),
        user_coefficients=np.zeros((0, width), np.float32),
        popularity=np.diff(items.interactions.indptr).astype(np.float32),
        regularization=regularization,
        exponent=estimator.exponent,
        unobserved=unobserved,
        min_rating=estimator.min_rating,
        confidence=learned.confidence,
        average=learned.average,
        rating_weight=learned.scale.rating_weight,
        rating_mean=learned.scale.mean,
        rating_std=learned.scale.std,
        estimator=estimator.to_config(),
        history=history,
    )
    return head, users


def _parts(sums: F64, width: int) -> tuple[int, F64, F64]:
    """The sums of `RankingSolver.sums`: how many rows, their sum, and that of their squares."""
    return int(sums[0]), sums[1 : 1 + width], sums[1 + width :].reshape(width, width)

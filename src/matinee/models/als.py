"""Matrix factorization with biases and genre factors, by alternating least squares."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from matinee._types import F64
from matinee.data.dataset import Dataset
from matinee.data.ratings import Ratings
from matinee.errors import SettingError, shortened
from matinee.kernels.als import (
    Ridge,
    predict_pairs,
    squared_error,
    update_rows_cg,
    update_rows_cholesky,
)
from matinee.kernels.csr import Rows
from matinee.kernels.parallel import balanced_blocks, run_blocks, uniform_blocks
from matinee.models.als_common import (
    FactorMatrix,
    check_converged,
    feature_names,
    known_rows,
    noise_regularization,
    weights_in_prior,
)
from matinee.models.base import Estimator, FitContext, check_features, check_width
from matinee.models.held_out import split_by_pair
from matinee.models.queries import TrainingIndex
from matinee.models.rating_head import FactorRatingHead
from matinee.models.recommender import Recommender
from matinee.progress import compilation_announced, metrics_note, progress

BIAS = 1.1  # times the regularization of factors, over the spread of ratings: that of biases
CHOICES = (1.0, None), (1.0, 4.0), (1.3, 4.0), (1.6, 4.0), (2.5, 4.0)
"""Multiples of the default regularization, and regularizations of biases whatever their number of
ratings: what suits many ratings, then what suits few, of which factors learn little but noise, and
with the last one nothing: factors vanish.
"""
SHORT = 20  # ratings per user or item on average: with fewer, all choices are tried
FEW_RATINGS = 1000  # in all: with fewer, a validation set tells nothing, and the last is safest
INIT_STD = 0.1  # of the user factors, in roots of the spread of ratings


@dataclass(frozen=True, kw_only=True)
class ALS(Estimator):
    """Explicit-feedback ALS: ``rating = mean + b_u + b_i + p_u . q_i`` by least squares.

    With x = [b_u, p_u] and w = [b_i, q_i], the sum

        (rating - prediction)^2 over ratings
        + regularization * (sum_u n_u^v |x_u - m_u|^2 + sum_i n_i^v |w_i - m_i|^2)
        + regularization * sqrt(N) * (|B_u|^2 + |B_i|^2)

    is minimized over all x, all w, and the weights B in turn; the regularization and v of biases
    may be others than those of factors. The prior means m are linear in features, ``m_i = f_i B_i``
    with f_i a constant and the item's attributes (genres, year, and what else there is), ``m_u``
    likewise, so an item or a user without ratings still has a bias and factors. Each step improves
    its part (solves it exactly with ``solver="cholesky"``), so the sum never rises. See Koren,
    Bell & Volinsky 2009 (model); Zhou et al. 2008 (weighting); Takács, Pilászy & Tikk 2011
    (conjugate gradients); the prior mean by features is that of Macau (Simm et al. 2015).

    Parameters
    ----------
    factors : int
        Number of latent dimensions; 0 leaves the biases alone.
    regularization : float, optional
        In rating units; by default derived from the number and spread of the ratings
        (`matinee.models.als_common`): 1.3 on ml-1m.
    bias_regularization : float, optional
        Of biases, as if so many ratings of each user and item were average, however many there
        are. By default theirs grows like that of factors. Where users and items have few ratings
        and neither is given, both kinds and larger regularizations are tried on a tenth of the
        ratings, held out.
    exponent : float
        v above: 0 is plain ridge regression, 1 weights by the number of ratings (ALS-WR).
    iterations : int
        Passes over all items and all users.
    features : str
        What prior means depend on: ``"all"``, ``"none"``, or names of attributes of items and
        users, joined by commas.
    solver : {"cg", "cholesky"}
        `cg_steps` conjugate gradient steps from where the last iteration left off, or exact
        solves: the same error on the published splits, in over twice the time at 64 factors. The
        last pass over users is exact anyway.
    cg_steps : int
    patience : int
        Stop when the validation error has not fallen for this many iterations, and keep the
        best; 0 runs them all. Needs `validation` in `fit`.
    seed : int

    Examples
    --------
    >>> model = ALS(factors=4, iterations=3).fit(data)
    >>> model.predict(1, [7, 8]).shape
    (2,)
    """

    predicts = "rating"
    supports_callback = True
    supports_warm_start = True
    equations = True

    factors: int = 64
    regularization: float | None = None
    bias_regularization: float | None = None
    exponent: float = 0.5
    iterations: int = 15
    features: str = "all"
    solver: str = "cg"
    cg_steps: int = 2
    patience: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_at_least(factors=0, iterations=1, cg_steps=1, patience=0, seed=0)
        self._check_positive("regularization", "bias_regularization")
        self._check_one_of(solver=("cg", "cholesky"))
        check_features(self.features)
        if not 0 <= self.exponent <= 1:
            raise SettingError(f"exponent must be in [0, 1], got {shortened(self.exponent)}.")

    def default_regularization(self, ratings: Ratings) -> float:
        """The regularization used where none is given, derived from the ratings."""
        return noise_regularization(ratings, self.exponent)

    def _fit(self, train: Dataset, context: FitContext) -> Recommender:
        earlier = context.warm_start
        head = earlier.rating_head if earlier is not None else None
        if isinstance(head, FactorRatingHead) and head.vanished:
            earlier = None
        state = _ALSState(self, self.choose_ridge(train, earlier), train)
        if earlier is not None:
            state.warm_start(earlier)
        history: list[dict[str, Any]] = []
        best: tuple[float, int, Any] = (np.inf, 0, None)
        started = time.perf_counter()
        with compilation_announced(), progress("Training", self.iterations) as tick:
            for iteration in range(1, self.iterations + 1):
                state.iterate(last=iteration == self.iterations)
                row = {"iteration": iteration, **state.errors()}
                for name, data in context.eval_sets.items():
                    row[f"{name}_rmse"] = state.rmse(data.ratings)
                row["seconds"] = time.perf_counter() - started
                history.append(row)
                tick(iteration, metrics_note(row))
                if context.callback:
                    context.callback(row)
                if self.patience:
                    error = row["validation_rmse"]
                    if error < best[0]:
                        best = error, iteration, (state.users.copy(), state.items.copy())
                    elif iteration - best[1] >= self.patience:
                        break
        if best[2] is not None:
            state.users, state.items = best[2]
            state.finish()
        return state.model(pl.DataFrame(history))

    def choose_ridge(self, train: Dataset, earlier: Recommender | None = None) -> Ridge:
        """The regularization to train with, chosen on a validation set where rows are short."""
        ratings = train.ratings
        rows = len(ratings.user_ids) + len(ratings.item_ids)
        given = self.regularization or self.bias_regularization
        if given or len(ratings) >= SHORT * rows:
            return self._ridge_of(ratings, CHOICES[0])
        head = earlier.rating_head if earlier is not None else None
        if isinstance(head, FactorRatingHead) and self._same_but_grown(head.estimator):
            return head.ridge  # what suited it suits what has grown out of it
        if len(ratings) < FEW_RATINGS:
            return self._ridge_of(ratings, CHOICES[-1])
        part, validation = split_by_pair(train, self.seed)
        errors: list[F64] = []
        with progress("Choosing regularization", len(CHOICES)) as tick:
            for number, choice in enumerate(CHOICES, 1):
                state = _ALSState(self, self._ridge_of(part.ratings, choice), part)
                # all iterations: with fewer, a weak regularization does no harm yet
                for iteration in range(1, self.iterations + 1):
                    state.iterate(last=iteration == self.iterations)
                errors.append(state.squared_errors(validation.ratings))
                tick(number, f"RMSE {math.sqrt(errors[-1].mean()):.4f}")
        return self._ridge_of(ratings, CHOICES[_surely_best(errors)])

    def _same_but_grown(self, earlier: Mapping[str, Any]) -> bool:
        """Whether another estimator would have chosen as this one does."""
        own, further = self.to_config(), ("factors", "iterations", "patience")
        return {**own, **{name: earlier.get(name) for name in further}} == earlier

    def _ridge_of(self, ratings: Ratings, choice: tuple[float, float | None]) -> Ridge:
        """The regularization of a choice, if what is given leaves one."""
        default = self.regularization or self.default_regularization(ratings)
        return self.ridge_of(default, ratings.spread, choice)

    def ridge_of(
        self, default: float, spread: float, choice: tuple[float, float | None] = CHOICES[0]
    ) -> Ridge:
        """The same, given the default regularization, and the spread of the ratings."""
        multiple, flat = choice
        strength = self.regularization or multiple * default
        flat = self.bias_regularization or flat
        if flat is not None:
            return Ridge.of(strength, self.exponent, flat, 0.0)
        return Ridge.of(strength, self.exponent, strength * BIAS / spread, self.exponent)


def _surely_best(errors: Sequence[F64]) -> int:
    """The last choice, or one before whose squared errors are lower by two standard errors."""
    best = len(errors) - 1
    for choice in reversed(range(best)):
        gain = errors[best] - errors[choice]
        if gain.mean() > 2 * gain.std() / math.sqrt(len(gain)):
            best = choice
    return best


class _ALSState:
    """The state of one training: factor matrices of users and items, and how to update them."""

    def __init__(self, estimator: ALS, ridge: Ridge, train: Dataset) -> None:
        ratings = train.ratings
        self.estimator, self.train, self.ridge = estimator, train, ridge
        self.prior_ridge = math.sqrt(len(ratings))
        self.mean = np.float32(ratings.values.mean(dtype=np.float64))
        self.unit = np.float32(ratings.spread)
        names, width = feature_names(estimator.features, train), 1 + estimator.factors
        self.users, self.items = (
            FactorMatrix.start(side, attributes, names, width, *self._weights(side))
            for side, attributes in (
                (ratings.by_user, train.users),
                (ratings.by_item, train.catalog.attributes),
            )
        )
        rng = np.random.default_rng(estimator.seed)
        start = rng.standard_normal((len(ratings.user_ids), estimator.factors), np.float32)
        self.users.rows[:, 1:] = np.float32(INIT_STD * math.sqrt(ratings.spread)) * start

    def _weights(self, interactions: Rows) -> list[F64]:
        """Those of each row in the prior mean, and the same of biases where their v is another."""
        counts = np.diff(interactions.indptr)
        exponents = dict.fromkeys((self.ridge.exponent, self.ridge.bias_exponent))
        return [weights_in_prior(counts, float(exponent)) for exponent in exponents]

    def warm_start(self, earlier: Recommender) -> None:
        """Start from earlier factors; further dimensions start at random as ever."""
        head = earlier.rating_head
        if not isinstance(head, FactorRatingHead):
            raise SettingError("warm_start has no factors that predict ratings.")
        check_width(head.user_params.shape[1] - 1, self.estimator.factors)
        users, items = known_rows(earlier, self.train)
        self.items.warm_start(items, head.item_params, self.prior_ridge)
        self.users.warm_start(users, head.user_params, self.prior_ridge)
        if (users < 0).any():  # whoever is new would draw items towards the average
            old = self.users.rows[users >= 0]  # with what is random in further dimensions
            self._update(self.users, self.items, exact=False)
            self.users.rows[users >= 0] = old

    def iterate(self, last: bool = False) -> None:
        """Update all items given the users, the prior means, then all users given the items."""
        exact = self.estimator.solver == "cholesky"
        self._update(self.items, self.users, exact)
        self.items.update_prior(self.prior_ridge)
        cold = self.items.weights == 0
        self.items.rows[cold] = self.items.prior[cold]
        self.users.update_prior(self.prior_ridge)
        self._update(self.users, self.items, exact or last)

    def finish(self) -> None:
        """Leave every user exactly where `fold_in` would, as a last iteration does."""
        self._update(self.users, self.items, exact=True)

    def _update(self, side: FactorMatrix, other: FactorMatrix, exact: bool) -> None:
        """One half of an iteration; the kernels are in `matinee.kernels.als`."""
        blocks = balanced_blocks(side.interactions.indptr)
        prior = side.prior, self.ridge, side.rows
        held = *side.interactions, self.mean
        if exact:
            run_blocks(update_rows_cholesky, blocks, *held, other.rows, *prior)
        else:
            against = np.ascontiguousarray(other.rows[:, 0]), other.float16(1)
            steps = self.estimator.cg_steps, self.unit
            run_blocks(update_rows_cg, blocks, *held, *against, *prior, *steps)

    def errors(self) -> dict[str, float]:
        """The sum that is minimized, and the RMSE on the training set."""
        blocks = balanced_blocks(self.users.interactions.indptr)
        arguments = *self.users.interactions, self.mean, self.users.rows, self.items.rows
        sums = run_blocks(squared_error, blocks, *arguments)
        total = float(sum(sums))  # in the order of blocks, whichever thread computed them
        strengths = np.full(1 + self.estimator.factors, self.ridge.factors, np.float64)
        strengths[0] = self.ridge.bias
        penalty = sum(
            float(strengths @ side.penalties(self.prior_ridge)) for side in (self.users, self.items)
        )
        return {
            "loss": total + penalty,
            "train_rmse": float(np.sqrt(total / len(self.train))),
        }

    def squared_errors(self, ratings: Ratings) -> F64:
        """Those of other ratings by the same users of the same items, clipped to the scale."""
        predicted = np.empty(len(ratings), np.float32)
        blocks = uniform_blocks(len(ratings))
        rows = self.users.rows, self.items.rows
        unknown = (side.average_prior for side in (self.users, self.items))
        arguments = ratings.user, ratings.item, self.mean, *rows, *unknown, predicted
        run_blocks(predict_pairs, blocks, *arguments)
        scale = ratings.known_scale
        errors = np.clip(predicted, scale.low, scale.high) - ratings.values
        return np.asarray(np.square(errors, dtype=np.float64))

    def rmse(self, ratings: Ratings) -> float:
        """The root of their mean."""
        return float(np.sqrt(np.mean(self.squared_errors(ratings))))

    def model(self, history: pl.DataFrame) -> Recommender:
        check_converged(float(self.ridge.factors), self.users.rows, self.items.rows)
        head = FactorRatingHead(
            mean=float(self.mean),
            user_params=self.users.rows,
            item_params=self.items.rows,
            user_prior=self.users.average_prior,
            item_prior=self.items.average_prior,
            user_coefficients=self.users.all_coefficients(self.train.users.n_features),
            regularization=float(self.ridge.factors),
            exponent=float(self.ridge.exponent),
            bias_regularization=float(self.ridge.bias),
            bias_exponent=float(self.ridge.bias_exponent),
            estimator=self.estimator.to_config(),
            history=history,
        )
        return Recommender(TrainingIndex.of(self.train), rating_head=head)

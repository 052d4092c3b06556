"""Matrix factorization with biases and genre factors, by alternating least squares."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from matinee._types import F64, Array
from matinee.data.dataset import Dataset
from matinee.data.ratings import Ratings
from matinee.errors import SettingError
from matinee.kernels.als import predict_pairs, squared_error, update_rows_cg, update_rows_cholesky
from matinee.kernels.csr import Rows
from matinee.kernels.parallel import balanced_blocks, run_blocks, uniform_blocks
from matinee.models.als_common import FactorMatrix, item_features, noise_regularization
from matinee.models.base import check_eval_sets, check_start
from matinee.models.rating_head import FactorRatingHead
from matinee.models.recommender import Recommender
from matinee.models.registry import to_params
from matinee.progress import compilation_announced, progress

INIT_STD = 0.1  # standard deviation of the first user factors, in stars per factor


@dataclass(frozen=True)
class ALS:
    """Recipe for ``values = mean + b_u + b_i + p_u . q_i`` by alternating least squares.

    With x = [b_u, p_u] and w = [b_i, q_i], the sum

        (stars - score)^2 over ratings
        + regularization * sum_u n_u^v |x_u - m_u|^2
        + regularization * sum_i n_i^v |w_i - m_i|^2
        + regularization * sqrt(N) * (|B_u|^2 + |B_i|^2)

    is minimized over all x, all w, and the links B in turn. The prior means m are linear in
    features, ``m_i = f_i B_i`` with f_i the movie's genres and a constant, so a movie that nobody
    rated still has a bias and factors; users have the constant alone. Each step improves
    its part (solves it exactly with ``solver="cholesky"``), so the sum never rises.

    Parameters
    ----------
    factors : int
        Length of a vector; 0 leaves the biases alone.
    regularization : float, optional
        Strength of the pull to the prior mean, in squared stars; by default what the number and
        spread of the ratings ask for (`matinee.models.als_common`): 1.3 on ml-1m.
    exponent : float
        v above: 0 is plain ridge regression, 1 weights by the number of ratings (ALS-WR).
    iterations : int
        Rounds over all movies and all users.
    features : {"genres", "none"}
        What the prior mean of a movie depends on.
    solver : {"cg", "cholesky"}
        `cg_steps` conjugate gradient steps from where the last iteration left off, or exact
        solves: the same error on the published splits, over twice the time at 64 factors. The
        last pass over users is exact anyway.
    cg_steps : int
    patience : int
        Stop when the validation error has not fallen for this many iterations, and keep the
        best; 0 runs them all. Needs `validation` in `fit`.
    seed : int

    Notes
    -----
    Koren, Bell & Volinsky 2009 (model); Zhou et al. 2008 (weighting); Takács, Pilászy & Tikk
    2011 (conjugate gradients); the prior mean by features is the one of Macau (Simm et al. 2015).

    Examples
    --------
    >>> from matinee.data.synthetic import generate
    >>> data, _ = generate(users=60, items=50, ratings=1500, seed=0)
    >>> model = ALS(factors=4, iterations=3).fit(data)
    >>> model.recommend(1, n=2).columns
    ['item_id', 'title', 'genres', 'stars', 'score']
    """

    factors: int = 64
    regularization: float | None = None
    exponent: float = 0.5
    iterations: int = 15
    features: str = "genres"
    solver: str = "cg"
    cg_steps: int = 2
    patience: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        least_of = {"factors": 0, "iterations": 1, "cg_steps": 1, "patience": 0, "seed": 0}
        for name, least in least_of.items():
            if getattr(self, name) < least:
                raise SettingError(f"{name} is at least {least}, not {getattr(self, name)}.")
        given = self.regularization
        if given is not None and not (given > 0 and np.isfinite(given)):
            raise SettingError(f"regularization is above 0, not {self.regularization}.")
        if not 0 <= self.exponent <= 1:
            raise SettingError(f"exponent lies between 0 and 1, not at {self.exponent}.")
        if self.features not in ("genres", "none"):
            raise SettingError(f"features are 'genres' or 'none', not {self.features!r}.")
        if self.solver not in ("cholesky", "cg"):
            raise SettingError(f"solver is 'cholesky' or 'cg', not {self.solver!r}.")

    def default_regularization(self, ratings: Ratings) -> float:
        """What these ratings ask for, in squared stars, where no regularization is given."""
        return noise_regularization(ratings, self.exponent)

    def fit(
        self,
        train: Dataset,
        *,
        validation: Dataset | None = None,
        test: Dataset | None = None,
        threads: int | None = None,
        start: Recommender | None = None,
    ) -> Recommender:
        """Train on `train` and return the model.

        Parameters
        ----------
        train : Dataset
        validation : Dataset, optional
            Judged after each iteration, for `patience`; from the same split, so that codes agree.
        test : Dataset, optional
            Judged after each iteration for the history alone; it decides nothing.
        threads : int, optional
            By default all processors. The model is the same for any number, to the last bit.
        start : Recommender, optional
            Go on from its rating head, of as many factors or fewer, which knows the same users
            and movies: the first iterations are saved where its settings are near.

        Raises
        ------
        SettingError
            If `patience` is set and there is no `validation`, if parts have other ids, if `start`
            does not fit, or if the regularization is too small for float32.
        """
        evaluated = check_eval_sets(train, self.patience, validation, test)
        training = _ALSState(self, train, threads)
        if start is not None:
            training.warm_start(start)
        history: list[dict[str, Any]] = []
        best: tuple[float, int, Any] = (np.inf, 0, None)
        started = time.perf_counter()
        with compilation_announced(), progress("Training", self.iterations) as tick:
            for iteration in range(1, self.iterations + 1):
                training.iterate(last=iteration == self.iterations)
                row = {"iteration": iteration, **training.errors()}
                for part, dataset in evaluated.items():
                    row[f"{part}_rmse"] = training.rmse(dataset.ratings)
                row["seconds"] = time.perf_counter() - started
                history.append(row)
                tick(iteration, _note(row))
                if self.patience:
                    watched = row["validation_rmse"]
                    if watched < best[0]:
                        best = watched, iteration, training.state()
                    elif iteration - best[1] >= self.patience:
                        break
        if best[2] is not None:
            training.restore(best[2])
            training.finish()
        return training.model(pl.DataFrame(history))


def _note(row: dict[str, Any]) -> str:
    return "  ".join(f"{name} {row[name]:.4f}" for name in row if name.endswith("_rmse"))


class _ALSState:
    """The state that one call of `ALS.fit` works on."""

    def __init__(self, estimator: ALS, train: Dataset, threads: int | None) -> None:
        ratings = train.ratings
        self.estimator, self.train, self.threads = estimator, train, threads
        self.regularization = estimator.regularization or estimator.default_regularization(ratings)
        self.mean = np.float32(ratings.values.mean(dtype=np.float64))
        self.link_ridge = float(np.sqrt(len(ratings)))
        width = 1 + estimator.factors
        constant = np.ones((len(ratings.user_ids), 1), np.float32)
        by_user, by_item = ratings.by_user, ratings.by_item
        self.users = FactorMatrix.start(by_user, constant, width, self._weights(by_user))
        features = item_features(train.catalog, estimator.features)
        self.items = FactorMatrix.start(by_item, features, width, self._weights(by_item))
        rng = np.random.default_rng(estimator.seed)
        start = rng.standard_normal((len(ratings.user_ids), estimator.factors), np.float32)
        self.users.rows[:, 1:] = INIT_STD * start

    def _weights(self, interactions: Rows) -> F64:
        """n^v of each row; 0 without ratings: such a row pulls at nothing."""
        counts = np.diff(interactions.indptr).astype(np.float64)
        return np.where(counts > 0, counts**self.estimator.exponent, 0.0)

    def warm_start(self, earlier: Recommender) -> None:
        """Begin where another training ended; further factors begin at random, as ever."""
        head = earlier.rating_head
        if not isinstance(head, FactorRatingHead):
            raise SettingError("start has no vectors for stars to go on from.")
        rows = head.user_params, head.item_params
        check_start(earlier, rows[0].shape[1] - 1, self.train, self.estimator.factors)
        self.users.warm_start(rows[0], head.user_prior[None])
        self.items.warm_start(rows[1], head.genre_rows)

    def iterate(self, last: bool = False) -> None:
        """All movies against the users, the prior means, all users against the movies."""
        exact = self.estimator.solver == "cholesky"
        self._solve(self.items, self.users, exact)
        self.items.update_prior(self.link_ridge, self.threads)
        cold = self.items.weights == 0
        self.items.rows[cold] = self.items.prior[cold]
        self.users.update_prior(self.link_ridge, self.threads)
        self._solve(self.users, self.items, exact or last)

    def finish(self) -> None:
        """Leave every user exactly where `fold_in` would put them, as a last iteration does."""
        self._solve(self.users, self.items, exact=True)

    def _solve(self, side: FactorMatrix, other: FactorMatrix, exact: bool) -> None:
        blocks = balanced_blocks(side.interactions.indptr)
        prior_weight = (
            side.prior,
            np.float32(self.regularization),
            np.float32(self.estimator.exponent),
            side.rows,
        )
        held, threads = (*side.interactions, self.mean), self.threads
        if exact:
            run_blocks(
                update_rows_cholesky, blocks, *held, other.rows, *prior_weight, threads=threads
            )
        else:
            against = np.ascontiguousarray(other.rows[:, 0]), other.halved(1, threads)
            steps = self.estimator.cg_steps
            run_blocks(
                update_rows_cg, blocks, *held, *against, *prior_weight, steps, threads=threads
            )

    def errors(self) -> dict[str, float]:
        """The sum that is minimized, and the RMSE on the training part."""
        blocks = balanced_blocks(self.users.interactions.indptr)
        sums = run_blocks(
            squared_error,
            blocks,
            *self.users.interactions,
            self.mean,
            self.users.rows,
            self.items.rows,
            threads=self.threads,
        )
        total = float(sum(sums))  # in the order of blocks, whoever computed them
        penalty = sum(side.penalty(self.link_ridge) for side in (self.users, self.items))
        return {
            "loss": total + self.regularization * penalty,
            "train_rmse": float(np.sqrt(total / len(self.train))),
        }

    def rmse(self, ratings: Ratings) -> float:
        """RMSE on other ratings of the same codes, predictions clipped to the scale."""
        values = np.empty(len(ratings), np.float32)
        run_blocks(
            predict_pairs,
            uniform_blocks(len(ratings)),
            ratings.user,
            ratings.item,
            self.mean,
            self.users.rows,
            self.items.rows,
            self.users.link[0].astype(np.float32),
            self.items.link[0].astype(np.float32),
            values,
            threads=self.threads,
        )
        scale = ratings.scale
        miss = np.clip(values, scale.low, scale.high) - ratings.values
        return float(np.sqrt(np.mean(np.square(miss, dtype=np.float64))))

    def state(self) -> tuple[Array, ...]:
        return tuple(
            array.copy()
            for side in (self.users, self.items)
            for array in (side.rows, side.link, side.prior)
        )

    def restore(self, state: tuple[Array, ...]) -> None:
        for side, arrays in ((self.users, state[:3]), (self.items, state[3:])):
            side.rows, side.link, side.prior = arrays

    def model(self, history: pl.DataFrame) -> Recommender:
        if not (np.isfinite(self.users.rows).all() and np.isfinite(self.items.rows).all()):
            raise SettingError(
                f"Training broke down with regularization {self.regularization:g}; "
                "choose a larger one."
            )
        ratings = self.train.ratings
        head = FactorRatingHead(
            mean=float(self.mean),
            user_params=self.users.rows,
            item_params=self.items.rows,
            user_prior=self.users.link[0].astype(np.float32),
            genre_rows=self.items.link.astype(np.float32),
            regularization=self.regularization,
            exponent=self.estimator.exponent,
            estimator=to_params(self.estimator),
            history=history,
        )
        return Recommender(
            ratings.user_ids, self.train.catalog, ratings.scale, ratings.by_user, rating_head=head
        )

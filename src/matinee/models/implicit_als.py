"""Ranking by factors of who watched what: implicit alternating least squares."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from matinee._types import F64, Array
from matinee.data.dataset import Dataset
from matinee.data.ratings import Ratings
from matinee.errors import SettingError
from matinee.kernels.csr import Rows
from matinee.kernels.implicit_als import update_rows_implicit_block, update_rows_implicit_cg
from matinee.kernels.linalg import pad_to_lanes
from matinee.kernels.parallel import balanced_blocks, run_blocks
from matinee.models.als_common import FactorMatrix, implicit_noise_regularization, item_features
from matinee.models.base import check_start
from matinee.models.implicit_feedback import (
    CONFIDENCES,
    check_liked,
    positives,
    shared_gram,
    user_positives,
)
from matinee.models.ranking_heads import UNTIL_SOLVED, FactorRankingHead
from matinee.models.recommender import Recommender
from matinee.models.registry import to_params
from matinee.progress import compilation_announced, progress

INIT_STD = 0.1  # length of the first vectors
LINK_RIDGE = 10.0  # as if so many average movies had no genres


@dataclass(frozen=True)
class ImplicitALS:
    """Recipe for ranking by ``p_u . q_i``, fitted to who watched what (iALS).

    With S the positives, c their weights, n a row's number of positives, and N the number of
    rows on the other side, the sum

        sum_S c (1 - p_u . q_i)^2 + unobserved * sum over all pairs (p_u . q_i)^2
        + regularization * sum_u (n_u + unobserved * N_i)^v |p_u|^2
        + regularization * sum_i (n_i + unobserved * N_u)^v |q_i - m_i|^2

    is minimized over movies and users in turn. The prior means ``m_i = f_i B`` are linear in
    the movie's genres and time, so a movie without positives has a vector, too; it takes no
    part in the sums.

    Parameters
    ----------
    factors : int
        Length of a vector.
    regularization : float, optional
        By default what the number of positives asks for (`matinee.models.als_common`): 0.007
        on ml-1m.
    unobserved : float
        Weight of a pair that was not observed, where a positive weighs 1.
    exponent : float
        v above. Rendle et al. recommend 1.
    iterations : int
        Rounds over all movies and all users.
    min_rating : float or None
        Least stars of a positive; None: every rating is one, for who rates has watched.
    confidence : {"none", "rating", "counts"}
        Weights of positives: all 1, in proportion to stars, or to log(1 + count).
    features : {"genres+years", "genres", "none"}
        What the prior mean of a movie depends on.
    solver : {"cg", "blocks", "cholesky"}
        `cg_steps` conjugate gradient steps from where the last round left off; exact solves of
        `block` dimensions at a time (iALS++), or of all of them. All end alike; what differs is
        the cost of a round. Users are solved to the end at last anyway.
    cg_steps, block, seed : int

    Notes
    -----
    Hu, Koren & Volinsky 2008 (model); Rendle, Krichene, Zhang & Koren 2021, "Revisiting the
    Performance of iALS on Item Recommendation Benchmarks" (form and weighting); Rendle et al.
    2021, "iALS++" (blocks); Takács, Pilászy & Tikk 2011 (conjugate gradients).

    Examples
    --------
    >>> from matinee.data.synthetic import generate
    >>> data, _ = generate(users=60, items=50, ratings=1500, seed=0)
    >>> model = ImplicitALS(factors=4, iterations=3).fit(data)
    >>> model.scores(1).shape
    (50,)
    >>> model.recommend(1, n=2).columns
    ['item_id', 'title', 'genres', 'score']
    """

    factors: int = 128
    regularization: float | None = None
    unobserved: float = 0.25
    exponent: float = 1.0
    iterations: int = 12
    min_rating: float | None = None
    confidence: str = "none"
    features: str = "genres+years"
    solver: str = "cg"
    cg_steps: int = 3
    block: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        least_of = {"factors": 1, "iterations": 1, "cg_steps": 1, "block": 1, "seed": 0}
        for name, least in least_of.items():
            if getattr(self, name) < least:
                raise SettingError(f"{name} is at least {least}, not {getattr(self, name)}.")
        for name in ("regularization", "unobserved"):
            given = getattr(self, name)
            if given is not None and not (given > 0 and np.isfinite(given)):
                raise SettingError(f"{name} is above 0, not {given}.")
        if not 0 <= self.exponent <= 2:
            raise SettingError(f"exponent lies between 0 and 2, not at {self.exponent}.")
        if self.confidence not in CONFIDENCES:
            known = ", ".join(map(repr, CONFIDENCES))
            raise SettingError(f"confidence is one of {known}, not {self.confidence!r}.")
        if self.features not in ("genres+years", "genres", "none"):
            known = "'genres+years', 'genres' or 'none'"
            raise SettingError(f"features are {known}, not {self.features!r}.")
        if self.solver not in ("cg", "blocks", "cholesky"):
            raise SettingError(f"solver is 'cg', 'blocks' or 'cholesky', not {self.solver!r}.")
        check_liked(self.min_rating)

    def default_regularization(self, ratings: Ratings) -> float:
        """What these ratings ask for where no regularization is given."""
        by_user, by_item = (
            positives(side, self.min_rating) for side in (ratings.by_user, ratings.by_item)
        )
        prior_weights = self.prior_weights(by_user, by_item), self.prior_weights(by_item, by_user)
        return implicit_noise_regularization((by_user, by_item), prior_weights)

    def prior_weights(self, side: Rows, other: Rows) -> F64:
        """(n + unobserved N)^v of each row; 0 without positives: such a row pulls at nothing."""
        counts, others = np.diff(side.indptr), np.count_nonzero(np.diff(other.indptr))
        weight = (counts + self.unobserved * others) ** self.exponent
        return np.where(counts > 0, weight, 0.0)

    def fit(
        self,
        train: Dataset,
        *,
        validation: Dataset | None = None,
        test: Dataset | None = None,
        threads: int | None = None,
        start: Recommender | None = None,
    ) -> Recommender:
        """Train on `train` and return a model whose ranking head this is.

        Parameters
        ----------
        train : Dataset
        validation, test : Dataset, optional
            Not judged: the sum that falls is all the history has.
        threads : int, optional
            By default all processors. The model is the same for any number, to the last bit.
        start : Recommender, optional
            Go on from its ranking head, of as many factors or fewer, which knows the same users
            and movies.

        Raises
        ------
        SettingError
            If no rating is a positive, `start` does not fit, or the regularization is too small
            for float32.
        """
        training = _ImplicitALSState(self, train, threads)
        if start is not None:
            training.warm_start(start)
        history: list[dict[str, Any]] = []
        started = time.perf_counter()
        with compilation_announced(), progress("Training for lists", self.iterations) as tick:
            for iteration in range(1, self.iterations + 1):
                loss = training.iterate()
                seconds = time.perf_counter() - started
                history.append({"iteration": iteration, "loss": loss, "seconds": seconds})
                tick(iteration, f"loss {loss:.0f}")
            training.finish()
        return training.model(pl.DataFrame(history))


class _ImplicitALSState:
    """The state that one call of `ImplicitALS.fit` works on."""

    def __init__(self, estimator: ImplicitALS, train: Dataset, threads: int | None) -> None:
        self.estimator, self.train, self.threads = estimator, train, threads
        ratings = train.ratings
        user_positives(train, estimator.min_rating)  # there is something to learn from
        # in the order of users: the same whatever the order of the rows
        unscaled = positives(ratings.by_user, estimator.min_rating, estimator.confidence)
        self.average = float(unscaled.values.mean(dtype=np.float64))
        by_user = positives(
            ratings.by_user, estimator.min_rating, estimator.confidence, self.average
        )
        by_item = positives(
            ratings.by_item, estimator.min_rating, estimator.confidence, self.average
        )
        none = np.zeros((len(ratings.user_ids), 1), np.float32)  # users are pulled to zero
        features = item_features(train.catalog, estimator.features)
        prior_weights = (
            estimator.prior_weights(by_user, by_item),
            estimator.prior_weights(by_item, by_user),
        )
        self.regularization = estimator.regularization or implicit_noise_regularization(
            (by_user, by_item), prior_weights
        )
        self.users = FactorMatrix.start(by_user, none, estimator.factors, prior_weights[0])
        self.items = FactorMatrix.start(by_item, features, estimator.factors, prior_weights[1])
        self.cold = np.flatnonzero(self.items.weights == 0)
        self.cold_rows = self.items.rows[self.cold]
        rng = np.random.default_rng(estimator.seed)
        spread = np.float32(INIT_STD / np.sqrt(estimator.factors))
        for side in (self.users, self.items):
            active = np.diff(side.interactions.indptr) > 0
            side.rows[:] = spread * rng.standard_normal(side.rows.shape, np.float32)
            side.rows[~active] = 0.0

    def warm_start(self, earlier: Recommender) -> None:
        """Begin where another training ended; further factors begin at random, as ever."""
        head = earlier.ranking_head
        if not isinstance(head, FactorRankingHead):
            raise SettingError("start has no vectors for lists to go on from.")
        rows = head.user_params, head.item_params
        check_start(earlier, rows[0].shape[1], self.train, self.estimator.factors)
        for side, earlier_rows in zip((self.users, self.items), rows, strict=True):
            active = (side.weights > 0)[:, None]
            side.warm_start(np.where(active, earlier_rows, np.float32(0.0)))

    @property
    def _link_ridge(self) -> float:
        weights = self.items.weights
        return LINK_RIDGE * float(weights[weights > 0].mean())

    def iterate(self) -> float:
        """All movies against the users, the prior means, all users; returns the whole sum."""
        self._solve(self.items, self.users)
        self.items.update_prior(self._link_ridge, self.threads)
        self.cold_rows = self.items.prior[self.cold]
        self.items.prior[self.cold] = 0.0  # they take no part in the sums
        loss = self._solve(self.users, self.items)
        return loss + self.regularization * self.items.penalty(self._link_ridge)

    def finish(self) -> None:
        """Leave every user where `fold_in` would put them, and cold movies at their genres."""
        self._solve(self.users, self.items, until_solved=True)
        self.items.rows[self.cold] = self.cold_rows

    def _solve(self, side: FactorMatrix, other: FactorMatrix, until_solved: bool = False) -> float:
        """Solve one side; returns the sum over its rows."""
        estimator = self.estimator
        prior_weight = (
            shared_gram(other.rows, estimator.unobserved, self.threads),
            (self.regularization * side.weights).astype(np.float32),
            side.prior,
            side.rows,
        )
        kernel: Any = update_rows_implicit_cg
        against: Array
        if until_solved:
            against, last = pad_to_lanes(other.rows), UNTIL_SOLVED
        elif estimator.solver == "cg":
            against, last = other.halved(0, self.threads), estimator.cg_steps
        else:
            kernel, against = update_rows_implicit_block, other.rows
            last = estimator.block if estimator.solver == "blocks" else estimator.factors
        blocks = balanced_blocks(side.interactions.indptr)
        arguments = (*side.interactions, against, *prior_weight, last)
        return float(sum(run_blocks(kernel, blocks, *arguments, threads=self.threads)))

    def model(self, history: pl.DataFrame) -> Recommender:
        rows = self.users.rows, self.items.rows
        if not all(np.isfinite(side).all() for side in rows):
            raise SettingError(
                f"Training broke down with regularization {self.regularization:g}; "
                "choose a larger one."
            )
        known = self.users.weights > 0
        default_user = self.users.rows[known].mean(axis=0, dtype=np.float64).astype(np.float32)
        self.users.rows[~known] = default_user
        estimator, ratings = self.estimator, self.train.ratings
        head = FactorRankingHead(
            user_params=self.users.rows,
            item_params=self.items.rows,
            default_user=default_user,
            popularity=np.diff(self.items.interactions.indptr).astype(np.float32),
            regularization=self.regularization,
            exponent=estimator.exponent,
            unobserved=estimator.unobserved,
            min_rating=estimator.min_rating,
            confidence=estimator.confidence,
            average=self.average,
            estimator=to_params(estimator),
            history=history,
        )
        return Recommender(
            ratings.user_ids, self.train.catalog, ratings.scale, ratings.by_user, ranking_head=head
        )

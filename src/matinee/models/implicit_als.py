"""Ranking by factors of who watched what: implicit alternating least squares."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from matinee.data.dataset import Dataset
from matinee.data.ratings import Ratings
from matinee.errors import SettingError
from matinee.kernels.csr import Rows
from matinee.kernels.implicit_als import improve_rows, solve_rows_blockwise
from matinee.kernels.linalg import on_whole_lanes
from matinee.kernels.parallel import equal_blocks, run_blocks
from matinee.models.als_common import Side, against_chance, movie_features
from matinee.models.base import check_start
from matinee.models.implicit_feedback import (
    CONFIDENCES,
    check_liked,
    positives,
    shared_gram,
    watched_by,
)
from matinee.models.ranking_heads import UNTIL_SOLVED, RankingFactors
from matinee.models.recommender import FactorModel
from matinee.models.registry import note_of
from matinee.progress import compilation_announced, progress

FIRST_SPREAD = 0.1  # length of the first vectors
LINK_RIDGE = 10.0  # as if so many average movies had no genres


@dataclass(frozen=True)
class ImplicitALS:
    """Recipe for ranking by ``p_u . q_i``, fitted to who watched what (iALS).

    With S the positives, c their weights, n a row's number of positives, and N the number of
    rows on the other side, the sum

        sum_S c (1 - p_u . q_i)^2 + unobserved * sum over all pairs (p_u . q_i)^2
        + regularization * sum_u (n_u + unobserved * N_i)^v |p_u|^2
        + regularization * sum_i (n_i + unobserved * N_u)^v |q_i - m_i|^2

    is minimized over movies and viewers in turn. The prior means ``m_i = f_i B`` are linear in
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
        Rounds over all movies and all viewers.
    liked : float or None
        Least stars of a positive; None: every rating is one, for who rates has watched.
    confidence : {"none", "stars", "counts"}
        Weights of positives: all 1, in proportion to stars, or to log(1 + count).
    features : {"genres+years", "genres", "none"}
        What the prior mean of a movie depends on.
    solver : {"cg", "blocks", "cholesky"}
        `cg_steps` conjugate gradient steps from where the last round left off; exact solves of
        `block` dimensions at a time (iALS++), or of all of them. All end alike; what differs is
        the cost of a round. Viewers are solved to the end at last anyway.
    cg_steps, block, seed : int

    Notes
    -----
    Hu, Koren & Volinsky 2008 (model); Rendle, Krichene, Zhang & Koren 2021, "Revisiting the
    Performance of iALS on Item Recommendation Benchmarks" (form and weighting); Rendle et al.
    2021, "iALS++" (blocks); Takács, Pilászy & Tikk 2011 (conjugate gradients).

    Examples
    --------
    >>> from matinee.data.synthetic import generate
    >>> data, _ = generate(viewers=60, movies=50, ratings=1500, seed=0)
    >>> model = ImplicitALS(factors=4, iterations=3).fit(data)
    >>> model.scores(1).shape
    (50,)
    >>> model.recommend(1, n=2).columns
    ['item', 'title', 'genres', 'score']
    """

    factors: int = 128
    regularization: float | None = None
    unobserved: float = 0.25
    exponent: float = 1.0
    iterations: int = 12
    liked: float | None = None
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
        check_liked(self.liked)

    def usual_regularization(self, ratings: Ratings) -> float:
        """What these ratings ask for where no regularization is given."""
        by_user, by_item = (
            positives(side, self.liked) for side in (ratings.by_user, ratings.by_item)
        )
        pulls = self.pulls(by_user, by_item), self.pulls(by_item, by_user)
        return against_chance((by_user, by_item), pulls)

    def pulls(self, side: Rows, other: Rows) -> NDArray[np.float64]:
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
        start: FactorModel | None = None,
    ) -> FactorModel:
        """Train on `train` and return a model whose ranking head this is.

        Parameters
        ----------
        train : Dataset
        validation, test : Dataset, optional
            Not judged: the sum that falls is all the history has.
        threads : int, optional
            By default all processors. The model is the same for any number, to the last bit.
        start : FactorModel, optional
            Go on from its ranking head, of as many factors or fewer, which knows the same viewers
            and movies.

        Raises
        ------
        SettingError
            If no rating is a positive, `start` does not fit, or the regularization is too small
            for float32.
        """
        training = Training(self, train, threads)
        if start is not None:
            training.go_on(start)
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


class Training:
    """The state that one call of `ImplicitALS.fit` works on."""

    def __init__(self, recipe: ImplicitALS, train: Dataset, threads: int | None) -> None:
        self.recipe, self.train, self.threads = recipe, train, threads
        ratings = train.ratings
        watched_by(train, recipe.liked)  # there is something to learn from
        # in the order of viewers: the same whatever the order of the rows
        unscaled = positives(ratings.by_user, recipe.liked, recipe.confidence)
        self.average = float(unscaled.values.mean(dtype=np.float64))
        by_user = positives(ratings.by_user, recipe.liked, recipe.confidence, self.average)
        by_item = positives(ratings.by_item, recipe.liked, recipe.confidence, self.average)
        none = np.zeros((len(ratings.user_ids), 1), np.float32)  # viewers are pulled to zero
        features = movie_features(train.catalog, recipe.features)
        pulls = recipe.pulls(by_user, by_item), recipe.pulls(by_item, by_user)
        self.regularization = recipe.regularization or against_chance((by_user, by_item), pulls)
        self.users = Side.start(by_user, none, recipe.factors, pulls[0])
        self.items = Side.start(by_item, features, recipe.factors, pulls[1])
        self.cold = np.flatnonzero(self.items.weights == 0)
        self.cold_rows = self.items.rows[self.cold]
        rng = np.random.default_rng(recipe.seed)
        spread = np.float32(FIRST_SPREAD / np.sqrt(recipe.factors))
        for side in (self.users, self.items):
            active = np.diff(side.rated.indptr) > 0
            side.rows[:] = spread * rng.standard_normal(side.rows.shape, np.float32)
            side.rows[~active] = 0.0

    def go_on(self, earlier: FactorModel) -> None:
        """Begin where another training ended; further factors begin at random, as ever."""
        head = earlier.ranking
        if not isinstance(head, RankingFactors):
            raise SettingError("start has no vectors for lists to go on from.")
        rows = head.user_rows, head.item_rows
        check_start(earlier, rows[0].shape[1], self.train, self.recipe.factors)
        for side, earlier_rows in zip((self.users, self.items), rows, strict=True):
            active = (side.weights > 0)[:, None]
            side.go_on(np.where(active, earlier_rows, np.float32(0.0)))

    @property
    def _link_ridge(self) -> float:
        weights = self.items.weights
        return LINK_RIDGE * float(weights[weights > 0].mean())

    def iterate(self) -> float:
        """All movies against the viewers, the prior means, all viewers; returns the whole sum."""
        self._solve(self.items, self.users)
        self.items.relink(self._link_ridge, self.threads)
        self.cold_rows = self.items.prior[self.cold]
        self.items.prior[self.cold] = 0.0  # they take no part in the sums
        loss = self._solve(self.users, self.items)
        return loss + self.regularization * self.items.penalty(self._link_ridge)

    def finish(self) -> None:
        """Leave every viewer where `fold_in` would put them, and cold movies at their genres."""
        self._solve(self.users, self.items, until_solved=True)
        self.items.rows[self.cold] = self.cold_rows

    def _solve(self, side: Side, other: Side, until_solved: bool = False) -> float:
        """Solve one side; returns the sum over its rows."""
        recipe = self.recipe
        pull = (
            shared_gram(other.rows, recipe.unobserved, self.threads),
            (self.regularization * side.weights).astype(np.float32),
            side.prior,
            side.rows,
        )
        kernel: Any = improve_rows
        against: NDArray[Any]
        if until_solved:
            against, last = on_whole_lanes(other.rows), UNTIL_SOLVED
        elif recipe.solver == "cg":
            against, last = other.halved(0, self.threads), recipe.cg_steps
        else:
            kernel, against = solve_rows_blockwise, other.rows
            last = recipe.block if recipe.solver == "blocks" else recipe.factors
        blocks = equal_blocks(side.rated.indptr)
        arguments = (*side.rated, against, *pull, last)
        return float(sum(run_blocks(kernel, blocks, *arguments, threads=self.threads)))

    def model(self, history: pl.DataFrame) -> FactorModel:
        rows = self.users.rows, self.items.rows
        if not all(np.isfinite(side).all() for side in rows):
            raise SettingError(
                f"Training broke down with regularization {self.regularization:g}; "
                "choose a larger one."
            )
        known = self.users.weights > 0
        nobody = self.users.rows[known].mean(axis=0, dtype=np.float64).astype(np.float32)
        self.users.rows[~known] = nobody
        recipe, ratings = self.recipe, self.train.ratings
        head = RankingFactors(
            user_rows=self.users.rows,
            item_rows=self.items.rows,
            nobody=nobody,
            popularity=np.diff(self.items.rated.indptr).astype(np.float32),
            regularization=self.regularization,
            exponent=recipe.exponent,
            unobserved=recipe.unobserved,
            liked=recipe.liked,
            confidence=recipe.confidence,
            average=self.average,
            trainer=note_of(recipe),
            history=history,
        )
        return FactorModel(
            ratings.user_ids, self.train.catalog, ratings.scale, ratings.by_user, ranking=head
        )

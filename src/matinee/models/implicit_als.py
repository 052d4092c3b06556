"""Ranking by factors of implicit feedback: implicit alternating least squares (iALS)."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import polars as pl

from matinee._types import F32, F64, Array
from matinee.data.dataset import Dataset
from matinee.data.ratings import Ratings, RatingScale
from matinee.errors import SettingError, shortened
from matinee.kernels.csr import Rows
from matinee.kernels.implicit_als import update_rows_implicit_block, update_rows_implicit_cg
from matinee.kernels.linalg import pad_to_lanes
from matinee.kernels.parallel import balanced_blocks, run_blocks
from matinee.models.als_common import (
    FactorMatrix,
    attribute_prior,
    check_converged,
    feature_names,
    implicit_noise_regularization,
    known_rows,
)
from matinee.models.base import Estimator, FitContext, check_features, check_width
from matinee.models.held_out import discounted_gain, split_by_pair
from matinee.models.implicit_feedback import (
    CONFIDENCES,
    PreferenceScale,
    check_min_rating,
    positives,
    shared_gram,
    user_positives,
)
from matinee.models.queries import TrainingIndex
from matinee.models.ranking_heads import UNTIL_SOLVED, FactorRankingHead
from matinee.models.recommender import Recommender
from matinee.progress import compilation_announced, progress

INIT_STD = 0.1  # length of the first factors
RATING_WEIGHT = 0.09  # see docs/defaults.md
PRIOR_RIDGE = 10.0  # as if so many average items had no genres

UNOBSERVED = 0.25  # unless chosen
# of `unobserved`, and multiples of the regularization that follows from the number of positives,
# from what suits many ratings per user to what suits few: see docs/defaults.md
CHOICES = ((UNOBSERVED, 1.0), (0.15, 1.25), (0.1, 1.5), (0.1, 2.0), (0.1, 3.0))
TRIAL_FACTORS, TRIAL_ITERATIONS = 64, 5  # enough to tell which choice is best
POSITIVES = (5_000, 20_000_000)  # fewer tell nothing; more take too long


@dataclass(frozen=True, kw_only=True)
class ImplicitALS(Estimator):
    """Implicit-feedback ALS: ranking by ``p_u . q_i``, fitted to who interacted with what (iALS).

    With S the positives, c their weights, t their preferences, n a row's number of positives, and N
    the number of rows on the other side, the sum

        sum_S c (t - p_u . q_i)^2 + unobserved * sum over all pairs (p_u . q_i)^2
        + regularization * sum_u (n_u + unobserved * N_i)^v |p_u|^2
        + regularization * sum_i (n_i + unobserved * N_u)^v |q_i - m_i|^2

    is minimized over items and users in turn. The prior means ``m_i = f_i B`` are linear in the
    item's genres and time, so an item without positives has factors, too; it takes no part in the
    sums. See Hu, Koren & Volinsky 2008 (model); Rendle, Krichene, Zhang & Koren 2021, "Revisiting
    the Performance of iALS on Item Recommendation Benchmarks" (form and weighting); Rendle et al.
    2021, "iALS++" (blocks); Takács, Pilászy & Tikk 2011 (conjugate gradients).

    Parameters
    ----------
    factors : int
        Number of latent dimensions.
    regularization, unobserved : float, optional
        `unobserved` is the weight of a pair that was not observed, where a positive weighs 1. By
        default both are what ranks a validation set best (`CHOICES`); with one of them given, or
        too few or too many positives for that, 0.25, and a regularization that follows from the
        number of positives (`matinee.models.als_common`): 0.008 on ml-1m.
    exponent : float
        v above. Rendle et al. recommend 1.
    iterations : int
        Passes over all items and all users.
    min_rating : float or None
        Lowest rating that is a positive; None: every rating is one, for who rates has watched.
    confidence : {"none", "rating", "counts"}, optional
        Weights of positives: all 1, in proportion to the rating, or to log(1 + count). By default
        "counts" for interactions without ratings (how often, or their weight), else "none".
    rating_weight : float, optional
        How far ratings move the preferences t: 1 for a rating at the user's mean, more above it,
        less below, under 0 where an item is hated (`matinee.models.implicit_feedback`). 0: t = 1
        for all, who watches what. By default 0.09 with confidence "none", otherwise 0.
    features : str
        What prior means depend on: ``"all"``, ``"none"``, or names of attributes of items and
        users, joined by commas.
    solver : {"cg", "blocks", "cholesky"}
        `cg_steps` conjugate gradient steps from where the last iteration left off; exact solves
        of `block` dimensions at a time (iALS++), or of all of them. All end alike; what differs
        is the cost of an iteration. Users are solved exactly at last anyway.
    cg_steps, block, seed : int

    Examples
    --------
    >>> ImplicitALS(factors=4, iterations=3).fit(data).recommend(1, n=2).columns
    ['item_id', 'title', 'genres', 'score']
    """

    predicts = "ranking"
    supports_callback = True
    supports_warm_start = True
    equations = True
    fallbacks: ClassVar[Mapping[str, Any]] = MappingProxyType({"unobserved": UNOBSERVED})

    factors: int = 128
    regularization: float | None = None
    unobserved: float | None = None
    exponent: float = 1.0
    iterations: int = 12
    min_rating: float | None = None
    confidence: str | None = None
    rating_weight: float | None = None
    features: str = "all"
    solver: str = "cg"
    cg_steps: int = 3
    block: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_at_least(factors=1, iterations=1, cg_steps=1, block=1, seed=0)
        self._check_positive("regularization", "unobserved")
        self._check_one_of(
            confidence=(None, *CONFIDENCES),
            solver=("cg", "blocks", "cholesky"),
        )
        check_features(self.features)
        if not 0 <= self.exponent <= 2:
            raise SettingError(f"exponent must be in [0, 2], got {shortened(self.exponent)}.")
        check_min_rating(self.min_rating)
        self._check_at_least(rating_weight=0)

    def preference_scale(self, ratings: Ratings) -> PreferenceScale:
        """How the ratings of this training set become preferences."""
        values = ratings.by_user.values  # in the order of users, whatever that of the rows
        moments = float(values.mean(dtype=np.float64)), float(values.std(dtype=np.float64))
        return PreferenceScale(self.rating_weight_of(ratings.scale), *moments)

    def rating_weight_of(self, scale: RatingScale | None) -> float:
        """How far ratings on this scale move preferences; not at all where there are none."""
        if scale is None:
            return 0.0
        if self.rating_weight is not None:
            return self.rating_weight
        return RATING_WEIGHT if self.confidence_of(scale) == "none" else 0.0

    def confidence_of(self, scale: RatingScale | None) -> str:
        """How positives are weighted, of ratings on this scale."""
        return self.confidence or ("counts" if scale is None else "none")

    def default_regularization(self, ratings: Ratings) -> float:
        """The regularization used where none is given, derived from the positives."""
        by_user, by_item = (
            positives(side, self.min_rating) for side in (ratings.by_user, ratings.by_item)
        )
        prior_weights = self.prior_weights(by_user, by_item), self.prior_weights(by_item, by_user)
        return implicit_noise_regularization((by_user, by_item), prior_weights)

    def prior_weights(self, side: Rows, other: Rows) -> F64:
        """(n + unobserved N)^v of each row; 0 without positives: no say in its prior mean."""
        counts, others = np.diff(side.indptr), np.count_nonzero(np.diff(other.indptr))
        unobserved = self.unobserved or UNOBSERVED
        weight = (counts + unobserved * others) ** self.exponent
        return np.where(counts > 0, weight, 0.0)

    def _fit(self, train: Dataset, context: FitContext) -> Recommender:
        state = _ImplicitALSState(self, *self.choose(train, context.warm_start), train)
        if context.warm_start is not None:
            state.warm_start(context.warm_start)
        history: list[dict[str, Any]] = []
        started = time.perf_counter()
        with compilation_announced(), progress("Training ranker", self.iterations) as tick:
            for iteration in range(1, self.iterations + 1):
                loss = state.iterate()
                seconds = time.perf_counter() - started
                history.append({"iteration": iteration, "loss": loss, "seconds": seconds})
                tick(iteration, f"loss {loss:.0f}")
                if context.callback:
                    context.callback(history[-1])
            state.finish()
        head = state.head(pl.DataFrame(history))
        return Recommender(TrainingIndex.of(train), ranking_head=head)

    def choose(self, train: Dataset, earlier: Recommender | None = None) -> tuple[float, float]:
        """The regularization and the weight of the unobserved to train with."""
        if earlier is not None and isinstance(earlier.ranking_head, FactorRankingHead):
            head = earlier.ranking_head  # what suited it suits what has grown out of it
            return self.regularization or head.regularization, self.unobserved or head.unobserved
        n_positives = len(user_positives(train, self.min_rating).indices)
        given = self.regularization or self.unobserved
        if given or not POSITIVES[0] <= n_positives <= POSITIVES[1]:
            regularization = self.regularization or self.default_regularization(train.ratings)
            return regularization, self.unobserved or UNOBSERVED
        part, validation = split_by_pair(train, self.seed)
        best, best_gain = CHOICES[0], -np.inf
        with progress("Choosing regularization", len(CHOICES)) as tick:
            for number, choice in enumerate(CHOICES, 1):
                head = self._trial(part, *self._params(choice, part.ratings))
                gain = discounted_gain(head, part, validation)
                tick(number, f"gain {gain:.4f}")
                if gain <= best_gain:  # and further ones are worse still
                    break
                best, best_gain = choice, gain
        return self._params(best, train.ratings)

    def _trial(self, part: Dataset, regularization: float, unobserved: float) -> FactorRankingHead:
        """A smaller model of a part of the ratings."""
        small = replace(self, factors=min(self.factors, TRIAL_FACTORS))
        state = _ImplicitALSState(small, regularization, unobserved, part)
        for _ in range(TRIAL_ITERATIONS):
            state.iterate()
        return state.head(pl.DataFrame())

    def _params(self, choice: tuple[float, float], ratings: Ratings) -> tuple[float, float]:
        """The regularization and the weight of the unobserved of a choice."""
        unobserved, multiple = choice
        default = replace(self, unobserved=unobserved).default_regularization(ratings)
        return multiple * default, unobserved


class _ImplicitALSState:
    """The state of one training: factor matrices of users and items, and how to update them."""

    def __init__(
        self, estimator: ImplicitALS, regularization: float, unobserved: float, train: Dataset
    ) -> None:
        self.estimator, self.train = estimator, train
        self.regularization, self.unobserved = regularization, unobserved
        ratings = train.ratings
        # in the order of users: the same whatever the order of the rows
        self.confidence = estimator.confidence_of(ratings.scale)
        unscaled = positives(ratings.by_user, estimator.min_rating, self.confidence)
        self.average = float(unscaled.values.mean(dtype=np.float64))
        by_user, by_item = (
            positives(side, estimator.min_rating, self.confidence, self.average)
            for side in (ratings.by_user, ratings.by_item)
        )
        self.scale = estimator.preference_scale(ratings)
        self.names = feature_names(estimator.features, train)
        sides = by_user, by_item
        weighing = replace(estimator, unobserved=unobserved).prior_weights
        prior_weights = weighing(*sides), weighing(*sides[::-1])
        self.users, self.items = (
            FactorMatrix.start(side, attributes, chosen, estimator.factors, weights)
            for side, attributes, chosen, weights in (
                (by_user, train.users, (), prior_weights[0]),  # their prior mean stays zero
                (by_item, train.catalog.attributes, self.names, prior_weights[1]),
            )
        )
        means = self.scale.user_means(ratings.by_user)
        for rows, matrix, of_user in (
            (ratings.by_user, self.users, np.repeat(means, np.diff(ratings.by_user.indptr))),
            (ratings.by_item, self.items, means[ratings.by_item.indices]),
        ):
            matrix.preferences = self.scale.preferences(rows.values, of_user, estimator.min_rating)
        self.cold = np.flatnonzero(self.items.weights == 0)
        self.cold_rows = self.items.rows[self.cold]
        rng = np.random.default_rng(estimator.seed)
        spread = np.float32(INIT_STD / np.sqrt(estimator.factors))
        for side in (self.users, self.items):
            active = np.diff(side.interactions.indptr) > 0
            side.rows[:] = spread * rng.standard_normal(side.rows.shape, np.float32)
            side.rows[~active] = 0.0

    def warm_start(self, earlier: Recommender) -> None:
        """Start from earlier factors; further dimensions start at random as ever."""
        head = earlier.ranking_head
        if not isinstance(head, FactorRankingHead):
            raise SettingError("warm_start has no factors that rank.")
        check_width(head.user_params.shape[1], self.estimator.factors)
        users, items = known_rows(earlier, self.train)
        self.items.warm_start(items, head.item_params, self._prior_ridge)
        self.items.rows[self.cold] = 0.0
        self.users.rows[:, : head.width] = np.where(
            users[:, None] < 0, 0.0, head.user_params[users]
        )
        self.users.rows[self.users.weights == 0] = 0.0
        if (users < 0).any():
            self._update(self.users, self.items, until_solved=True)

    @property
    def _prior_ridge(self) -> float:
        weights = self.items.weights
        return PRIOR_RIDGE * float(weights[weights > 0].mean())

    def iterate(self) -> float:
        """Update all items, the prior means, then all users; the sum that is minimized."""
        self._update(self.items, self.users)
        self.items.update_prior(self._prior_ridge)
        self.cold_rows = self.items.prior[self.cold]
        self.items.prior[self.cold] = 0.0  # they take no part in the sums
        loss = self._update(self.users, self.items)
        return loss + self.regularization * float(self.items.penalties(self._prior_ridge).sum())

    def finish(self) -> None:
        """Leave every user where `fold_in` would, and cold items at their prior means."""
        self._update(self.users, self.items, until_solved=True)
        self.items.rows[self.cold] = self.cold_rows

    def _update(self, side: FactorMatrix, other: FactorMatrix, until_solved: bool = False) -> float:
        """One half of an iteration, by `matinee.kernels.implicit_als`; the sum over its rows."""
        estimator = self.estimator
        shared = (
            shared_gram(other.rows, self.unobserved),
            (self.regularization * side.weights).astype(np.float32),
            side.prior,
            side.rows,
        )
        kernel: Any = update_rows_implicit_cg
        against: Array
        if until_solved:
            against, last = pad_to_lanes(other.rows), UNTIL_SOLVED
        elif estimator.solver == "cg":
            against, last = other.float16(0), estimator.cg_steps
        else:
            kernel, against = update_rows_implicit_block, other.rows
            last = estimator.block if estimator.solver == "blocks" else estimator.factors
        blocks = balanced_blocks(side.interactions.indptr)
        arguments = (*side.interactions, side.preferences, against, *shared, last)
        return float(sum(run_blocks(kernel, blocks, *arguments)))

    def _by_attributes(self, default_user: F32) -> tuple[F32, F32]:
        """Rows of users, those without positives as their attributes suggest, and coefficients.

        The average user's attributes give the row of an unknown user.
        """
        away, rows = attribute_prior(
            self.users.interactions, self.train.users, self.names, self.users.rows - default_user
        )
        coefficients = away.all_coefficients(self.train.users.n_features)
        coefficients[0] += default_user - away.average_prior
        return default_user + (rows - away.average_prior), coefficients

    def head(self, history: pl.DataFrame) -> FactorRankingHead:
        """What was learned so far."""
        check_converged(self.regularization, self.users.rows, self.items.rows)
        known = self.users.weights > 0
        default_user = self.users.rows[known].mean(axis=0, dtype=np.float64).astype(np.float32)
        self.users.rows[~known] = default_user
        coefficients = np.empty((0, len(default_user)), np.float32)
        if self.train.users.groups:
            rows, coefficients = self._by_attributes(default_user)
            self.users.rows[~known] = rows[~known]
        estimator = self.estimator
        return FactorRankingHead(
            user_params=self.users.rows,
            item_params=self.items.rows,
            default_user=default_user,
            user_coefficients=coefficients,
            popularity=np.diff(self.items.interactions.indptr).astype(np.float32),
            regularization=self.regularization,
            exponent=estimator.exponent,
            unobserved=self.unobserved,
            min_rating=estimator.min_rating,
            confidence=self.confidence,
            average=self.average,
            rating_weight=self.scale.rating_weight,
            rating_mean=self.scale.mean,
            rating_std=self.scale.std,
            estimator=estimator.to_config(),
            history=history,
        )

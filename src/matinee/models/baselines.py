"""Baselines: user and item biases, popularity, and EASE."""

import time
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import polars as pl

from matinee._types import F32, F64
from matinee.data.dataset import Dataset
from matinee.errors import SettingError
from matinee.kernels.csr import Rows, count_cooccurrences, transpose
from matinee.kernels.parallel import balanced_blocks, run_blocks
from matinee.models.als import ALS
from matinee.models.base import Estimator, FitContext
from matinee.models.implicit_feedback import check_min_rating, user_positives
from matinee.models.queries import TrainingIndex
from matinee.models.ranking_heads import ItemItemHead, PopularityHead
from matinee.models.rating_head import FactorRatingHead
from matinee.models.recommender import Recommender


@dataclass(frozen=True, kw_only=True)
class Bias(Estimator):
    """User and item biases: ``rating = mean + b_u + b_i``.

    The same least squares as `ALS` without factors and features, with plain ridge
    regularization (Koren, Bell & Volinsky 2009, equation 3).

    Parameters
    ----------
    regularization : float
        As if so many ratings of a user or item were average.
    iterations : int

    Examples
    --------
    >>> Bias().fit(data).rating_head.item_params.shape
    (50, 1)
    """

    predicts = "rating"

    regularization: float = 4.0
    iterations: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        self._als()  # which checks both

    def _als(self) -> ALS:
        return ALS(
            factors=0,
            bias_regularization=self.regularization,
            iterations=self.iterations,
            features="none",
        )

    def _fit(self, train: Dataset, context: FitContext) -> Recommender:
        model = self._als()._fit(train, context)
        head = replace(cast(FactorRatingHead, model.rating_head), estimator=self.to_config())
        return replace(model, rating_head=head)


MOST_ITEMS = 20_000  # whose item to item weights fit: 1.6 GB, and a few times that in `fit`
PRIOR_RIDGE = 10.0  # as if so many average items had no genres


@dataclass(frozen=True, kw_only=True)
class Popularity(Estimator):
    """The same list for all users: the most popular items.

    Parameters
    ----------
    min_rating : float or None
        Lowest rating that is a positive; None: every rating is one.
    days : float, optional
        Count only so many days before the latest rating of the training set.

    Examples
    --------
    >>> int(Popularity().fit(data).scores(1).sum())
    1500
    """

    predicts = "ranking"

    min_rating: float | None = None
    days: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_min_rating(self.min_rating)
        self._check_positive("days")

    def _fit(self, train: Dataset, context: FitContext) -> Recommender:
        counted = train
        if self.days is not None:
            recent = train.ratings.recent(self.days, "Popularity(days=...)")
            counted = replace(train, ratings=train.ratings.take(recent), official={})
        counts = item_counts(user_positives(counted, self.min_rating), len(train.catalog))
        head = PopularityHead(counts, self.to_config(), pl.DataFrame())
        return Recommender(TrainingIndex.of(train), ranking_head=head)


@dataclass(frozen=True, kw_only=True)
class EASE(Estimator):
    """Item-to-item weights in closed form: a shallow linear autoencoder.

    The weights B minimize ``|X - X B|^2 + regularization |B|^2`` with a zero diagonal, X being
    the interactions as 0 and 1: with ``P = (X'X + regularization I)^-1``, ``B_ij = -P_ij / P_jj``
    (Steck 2019, "Embarrassingly Shallow Autoencoders for Sparse Data"). Items without
    positives have the weights that their genres and years give them, by ridge regression on
    those of the others.

    Memory and time grow with the square and the cube of the number of items, so catalogues
    of more than 20,000 items are refused. The inverse is LAPACK's, so that the last
    digits depend on the machine.

    Parameters
    ----------
    regularization : float
    min_rating : float or None
        Lowest rating that is a positive; None: every rating is one.

    Examples
    --------
    >>> EASE(regularization=20).fit(data).scores(1).shape
    (50,)
    """

    predicts = "ranking"

    regularization: float = 300.0
    min_rating: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_positive("regularization")
        check_min_rating(self.min_rating)

    def _fit(self, train: Dataset, context: FitContext) -> Recommender:
        started = time.perf_counter()
        interactions = user_positives(train, self.min_rating)
        items = len(train.catalog)
        counts = item_counts(interactions, items)
        known = np.flatnonzero(counts)
        if items > MOST_ITEMS:
            raise SettingError(
                f"EASE keeps a weight for each pair of items, and {items:,} items are more than "
                f"{MOST_ITEMS:,}; choose ImplicitALS (ials)."
            )
        together = count_pairs(interactions, items)[np.ix_(known, known)]
        together[np.diag_indices_from(together)] += self.regularization
        inverse = np.linalg.inv(together)
        among_known = inverse / -np.diag(inverse)
        np.fill_diagonal(among_known, 0.0)
        weights = np.zeros((items, items), np.float32)
        weights[np.ix_(known, known)] = among_known
        cold = np.flatnonzero(counts == 0)
        if len(cold):
            features = train.catalog.attributes.dense()
            gram = features[known].T @ features[known] + PRIOR_RIDGE * np.eye(features.shape[1])
            coefficients = np.linalg.solve(gram, features[known].T @ among_known.T)
            weights[np.ix_(known, cold)] = (features[cold] @ coefficients).T
        seconds = time.perf_counter() - started
        history = pl.DataFrame({"iteration": [1], "seconds": [seconds]})
        head = ItemItemHead(weights, counts, self.min_rating, self.to_config(), history)
        return Recommender(TrainingIndex.of(train), ranking_head=head)


def item_counts(interactions: Rows, items: int) -> F32:
    """How many users interacted with each item, (items,)."""
    return np.bincount(interactions.indices, minlength=items).astype(np.float32)


def count_pairs(interactions: Rows, items: int) -> F64:
    """How many users interacted with both, for each pair of items, (items, items)."""
    counts = np.zeros((items, items))
    by_item = transpose(interactions, items)
    blocks = balanced_blocks(by_item.indptr)
    arguments = *by_item[:2], *interactions[:2], counts
    run_blocks(count_cooccurrences, blocks, *arguments)
    return counts

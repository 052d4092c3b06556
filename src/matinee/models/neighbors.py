"""Neighbourhood models, the classical baselines: items alike, and users alike."""

import time
from dataclasses import dataclass

import numpy as np
import polars as pl

from matinee.data.dataset import Dataset
from matinee.errors import SettingError
from matinee.models.base import Estimator, FitContext
from matinee.models.baselines import MOST_ITEMS, count_pairs, item_counts
from matinee.models.implicit_feedback import check_min_rating, user_positives
from matinee.models.neighbor_head import UserKNNHead, cosine, nearest
from matinee.models.queries import TrainingIndex
from matinee.models.ranking_heads import ItemItemHead
from matinee.models.recommender import Recommender


@dataclass(frozen=True, kw_only=True)
class _Neighborhood(Estimator):
    """The hyperparameters of both."""

    predicts = "ranking"

    neighbors: int = 100
    shrinkage: float = 10.0
    min_rating: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_at_least(neighbors=1, shrinkage=0)
        check_min_rating(self.min_rating)


@dataclass(frozen=True, kw_only=True)
class ItemKNN(_Neighborhood):
    """Items whose users are alike: the score of an item is its similarity to what one watched.

    The similarity of two items is the shrunk cosine of their users,
    ``both / (sqrt(n_i n_j) + shrinkage)``; each item counts for the `neighbors` that are most
    similar to it (Sarwar et al. 2001, "Item-based collaborative filtering"; Deshpande & Karypis
    2004, "Item-based top-N recommendation algorithms").

    Memory grows with the square of the number of items, so catalogs of more than 20,000 are
    refused.

    Parameters
    ----------
    neighbors : int
    shrinkage : float
        As if two items had so many more users, none of them in common.
    min_rating : float or None
        Lowest rating that is a positive; None: every rating is one.

    Examples
    --------
    >>> matinee.ItemKNN(neighbors=20).fit(data).recommend(1, n=3).columns
    ['item_id', 'title', 'genres', 'score']
    """

    def _fit(self, train: Dataset, context: FitContext) -> Recommender:
        started = time.perf_counter()
        interactions = user_positives(train, self.min_rating)
        items = len(train.catalog)
        if items > MOST_ITEMS:
            raise SettingError(
                f"ItemKNN compares each pair of items, and {items:,} items are more than "
                f"{MOST_ITEMS:,}; choose ImplicitALS (ials)."
            )
        counts = item_counts(interactions, items)
        similar = cosine(count_pairs(interactions, items), counts, counts, self.shrinkage)
        np.fill_diagonal(similar, 0.0)
        weights = np.zeros_like(similar)
        codes, values = nearest(similar, self.neighbors)
        row, place = np.nonzero(codes >= 0)
        weights[row, codes[row, place]] = values[row, place]
        history = pl.DataFrame({"iteration": [1], "seconds": [time.perf_counter() - started]})
        head = ItemItemHead(weights, counts, self.min_rating, self.to_config(), history)
        return Recommender(TrainingIndex.of(train), ranking_head=head)


@dataclass(frozen=True, kw_only=True)
class UserKNN(_Neighborhood):
    """What users with the same items watched: the classical collaborative filter.

    The score of an item is the sum of the similarities of those of a user's `neighbors` who
    watched it, similarity being the shrunk cosine of their items,
    ``both / (sqrt(n_u n_v) + shrinkage)`` (Herlocker et al. 1999, "An algorithmic framework for
    performing collaborative filtering"). Nothing is learned: a user costs a pass over all users of
    their items.

    Parameters
    ----------
    neighbors : int
    shrinkage : float
        As if two users had so many more items, none of them in common.
    min_rating : float or None
        Lowest rating that is a positive; None: every rating is one.

    Examples
    --------
    >>> matinee.UserKNN(neighbors=20).fit(data).recommend(1, n=3).columns
    ['item_id', 'title', 'genres', 'score']
    """

    def _fit(self, train: Dataset, context: FitContext) -> Recommender:
        interactions = user_positives(train, self.min_rating)
        head = UserKNNHead(
            interactions.indptr,
            interactions.indices,
            item_counts(interactions, len(train.catalog)),
            self.neighbors,
            self.shrinkage,
            self.min_rating,
            self.to_config(),
            pl.DataFrame(),
        )
        return Recommender(TrainingIndex.of(train), ranking_head=head)

"""The baseline that every other model has to beat."""

import time
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import polars as pl

from matinee._types import F32, F64
from matinee.data.dataset import Dataset
from matinee.errors import SettingError
from matinee.kernels.csr import Rows, count_together, transpose
from matinee.kernels.parallel import balanced_blocks, run_blocks
from matinee.models.als import ALS
from matinee.models.als_common import item_features
from matinee.models.implicit_feedback import check_liked, user_positives
from matinee.models.ranking_heads import ItemItemHead, PopularityHead
from matinee.models.rating_head import FactorRatingHead
from matinee.models.recommender import Recommender
from matinee.models.registry import to_params


@dataclass(frozen=True)
class Bias:
    """Recipe for ``values = mean + b_u + b_i``: who is generous, and what is liked.

    The same least squares as `ALS` without factors and features, with plain ridge
    regularization (Koren, Bell & Volinsky 2009, equation 3).

    Parameters
    ----------
    regularization : float
        As if so many ratings of a user or movie were average.
    iterations : int

    Examples
    --------
    >>> from matinee.data.synthetic import generate
    >>> data, _ = generate(users=60, items=50, ratings=1500, seed=0)
    >>> Bias().fit(data).rating_head.item_params.shape
    (50, 1)
    """

    regularization: float = 4.0
    iterations: int = 10

    def __post_init__(self) -> None:
        self._als()  # which refuses what makes no sense

    def _als(self) -> ALS:
        return ALS(
            factors=0,
            regularization=self.regularization,
            exponent=0.0,
            iterations=self.iterations,
            features="none",
        )

    def fit(
        self,
        train: Dataset,
        *,
        validation: Dataset | None = None,
        test: Dataset | None = None,
        threads: int | None = None,
    ) -> Recommender:
        """Train on `train` and return the model; arguments as in `ALS.fit`."""
        model = self._als().fit(train, validation=validation, test=test, threads=threads)
        rating = cast(FactorRatingHead, model.rating_head)
        head = replace(rating, estimator=to_params(self))
        return replace(model, rating_head=head)


MOST_ITEMS = 20_000  # whose item to item weights fit: 1.6 GB, and a few times that in `fit`
LINK_RIDGE = 10.0  # as if so many average movies had no genres


@dataclass(frozen=True)
class Popularity:
    """Recipe for one list for everybody: the movies that most users watched.

    Parameters
    ----------
    min_rating : float or None
        Least stars of a positive; None: every rating is one.

    Examples
    --------
    >>> from matinee.data.synthetic import generate
    >>> data, _ = generate(users=60, items=50, ratings=1500, seed=0)
    >>> int(Popularity().fit(data).scores(1).sum())
    1500
    """

    min_rating: float | None = None

    def __post_init__(self) -> None:
        check_liked(self.min_rating)

    def fit(
        self,
        train: Dataset,
        *,
        validation: Dataset | None = None,
        test: Dataset | None = None,
        threads: int | None = None,
    ) -> Recommender:
        """Count, and return a model whose ranking head this is; nothing else is judged."""
        watched = user_positives(train, self.min_rating)
        head = PopularityHead(_counts(watched, len(train.catalog)), to_params(self), pl.DataFrame())
        return _model(train, head)


@dataclass(frozen=True)
class EASE:
    """Recipe for weights from movie to movie in closed form: shallow linear autoencoder.

    The weights B minimize ``|X - X B|^2 + regularization |B|^2`` with a zero diagonal, X being who
    watched what as 0 and 1: with ``P = (X'X + regularization I)^-1``, ``B_ij = -P_ij / P_jj``
    (Steck 2019, "Embarrassingly Shallow Autoencoders for Sparse Data"). Movies without
    positives have the weights that their genres and years give them, by ridge regression on
    those of the others.

    Memory and time grow with the square and the cube of the number of movies, so catalogues
    of more than 20,000 movies are refused. The inverse is LAPACK's, so that the last
    digits depend on the machine.

    Parameters
    ----------
    regularization : float
    min_rating : float or None
        Least stars of a positive; None: every rating is one.

    Examples
    --------
    >>> from matinee.data.synthetic import generate
    >>> data, _ = generate(users=60, items=50, ratings=1500, seed=0)
    >>> EASE(regularization=20).fit(data).scores(1).shape
    (50,)
    """

    regularization: float = 300.0
    min_rating: float | None = None

    def __post_init__(self) -> None:
        if not (self.regularization > 0 and np.isfinite(self.regularization)):
            raise SettingError(f"regularization is above 0, not {self.regularization}.")
        check_liked(self.min_rating)

    def fit(
        self,
        train: Dataset,
        *,
        validation: Dataset | None = None,
        test: Dataset | None = None,
        threads: int | None = None,
    ) -> Recommender:
        """Solve, and return a model whose ranking head this is; nothing else is judged.

        Raises
        ------
        SettingError
            If the catalogue is too large for a matrix of movies by movies.
        """
        started = time.perf_counter()
        watched = user_positives(train, self.min_rating)
        items = len(train.catalog)
        counts = _counts(watched, items)
        known = np.flatnonzero(counts)
        if items > MOST_ITEMS:
            raise SettingError(
                f"EASE keeps a weight for each pair of movies, and {items:,} movies are too many "
                f"(more than {MOST_ITEMS:,}); choose ImplicitALS (ials)."
            )
        together = _watched_together(watched, items, threads)[np.ix_(known, known)]
        together[np.diag_indices_from(together)] += self.regularization
        inverse = np.linalg.inv(together)
        among_known = inverse / -np.diag(inverse)
        np.fill_diagonal(among_known, 0.0)
        weights = np.zeros((items, items), np.float32)
        weights[np.ix_(known, known)] = among_known
        cold = np.flatnonzero(counts == 0)
        if len(cold):
            features = item_features(train.catalog, "genres+years").astype(np.float64)
            gram = features[known].T @ features[known] + LINK_RIDGE * np.eye(features.shape[1])
            link = np.linalg.solve(gram, features[known].T @ among_known.T)
            weights[np.ix_(known, cold)] = (features[cold] @ link).T
        seconds = time.perf_counter() - started
        history = pl.DataFrame({"iteration": [1], "seconds": [seconds]})
        return _model(
            train, ItemItemHead(weights, counts, self.min_rating, to_params(self), history)
        )


def _counts(watched: Rows, items: int) -> F32:
    return np.bincount(watched.indices, minlength=items).astype(np.float32)


def _watched_together(watched: Rows, items: int, threads: int | None) -> F64:
    """How many users watched both, for each pair of movies, (items, items)."""
    together = np.zeros((items, items))
    by_item = transpose(watched, items)
    columns, rows = by_item[:2], watched[:2]
    blocks = balanced_blocks(by_item.indptr)
    run_blocks(count_together, blocks, *columns, *rows, together, threads=threads)
    return together


def _model(train: Dataset, head: Any) -> Recommender:
    ratings = train.ratings
    return Recommender(
        ratings.user_ids, train.catalog, ratings.scale, ratings.by_user, ranking_head=head
    )

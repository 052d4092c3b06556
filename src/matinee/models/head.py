"""What a recommender asks of its heads, whichever estimator trained them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
import polars as pl

from matinee._types import F32, F64, I32, I64, Array, Ints
from matinee.data.catalog import Catalog
from matinee.errors import RunError
from matinee.models.profiles import UserBatch
from matinee.models.queries import Sizes

if TYPE_CHECKING:
    from matinee.models.bayesian.predictive import Predictive


Components = list[dict[str, float]]
"""Of each item, the components of its score that come from no rating of the user, by name."""

COMPONENT_LABELS = {
    "global_mean": "global mean",
    "item_bias": "item bias",
    "prior": "prior (before any rating)",
    "residual": "optimization residual",
    "popularity": "popularity",
    "average_user": "average user",
    "interactions": "rated low, yet chosen",
    "lacking": "the least that counts",
    "item_rating": "predicted rating of an unknown user, weighted",
}
"""The components of a score that come from no rating of the user, as people read them."""


class Head(Protocol):
    """The part of a recommender that scores items: a frozen dataclass, saved with its arrays."""

    @property
    def estimator(self) -> Mapping[str, Any]:
        """Name and hyperparameters of the estimator."""

    @property
    def history(self) -> pl.DataFrame:
        """A row for each iteration of the training; empty if there were none."""

    @property
    def item_factors(self) -> F32 | None:
        """Factors of each item, float32 (items, factors); None if there are none."""

    @property
    def user_factors(self) -> F32 | None:
        """Factors of each training user, float32 (users, factors); None if there are none."""

    def scores(self, batch: UserBatch) -> F32:
        """Score of every item for every user, float32 (users, items)."""

    def contributions(self, batch: UserBatch, items: Ints) -> tuple[Components, F64]:
        """Components of a user's scores of items: of each item by name, and from each of their
        ratings, float64 (items, ratings).
        """

    def check(self, sizes: Sizes) -> None:
        """Raise ValueError unless all fields fit together and a model of that size."""


class WholeRowFactors:
    """Heads whose factors are all that their rows hold."""

    user_params: F32
    item_params: F32

    @property
    def item_factors(self) -> F32 | None:
        return self.item_params

    @property
    def user_factors(self) -> F32 | None:
        return self.user_params

    @property
    def width(self) -> int:
        """Length of a row."""
        return int(self.user_params.shape[1])


class RatingHead(Head, Protocol):
    """A head whose scores are ratings, which it can also predict for pairs."""

    def pairs(self, users: I32, items: I32, times: I64 | None = None) -> F32:
        """Ratings of pairs, not clipped, at `times` (Unix seconds); -1 is unknown."""

    def listed(self, batch: UserBatch, who: Ints, items: I32) -> F32:
        """Ratings of item ``items[k]`` by user ``who[k]`` of the batch, not clipped."""


@runtime_checkable
class ProbabilisticHead(RatingHead, Protocol):
    """A head that knows a distribution over ratings: its answers come as a `Predictive`."""

    def predictive(self, users: I32, items: I32, times: I64 | None = None) -> "Predictive":
        """The distribution for pairs, as `pairs`."""

    def predictive_of(self, batch: UserBatch, who: Ints, items: I32) -> "Predictive":
        """The distribution for users of a batch, as `listed`."""


EXTREME = np.errstate(all="ignore")
"""For what is computed with the numbers of a model, which may be forged: a sum beyond all limits is
infinite, and comes last in lists, without a warning."""


def check_array(name: str, array: Array, shape: tuple[int, ...]) -> None:
    """Raise ValueError unless this is float32 of that shape, and finite."""
    if array.dtype != np.float32 or array.shape != shape:
        raise ValueError(f"{name} has the wrong type or shape")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} holds a value that is not finite")


def is_csr(indptr: Array, indices: Array, height: int, width: int) -> bool:
    """Whether these are where rows begin, and columns, of a matrix of that size."""
    return bool(
        indptr.dtype == np.int64
        and indices.dtype == np.int32
        and indptr.shape == (height + 1,)
        and indices.shape == (int(indptr[-1]),)
        and indptr[0] == 0
        and (indptr[1:] >= indptr[:-1]).all()
        and (len(indices) == 0 or (indices.min() >= 0 and indices.max() < width))
    )


def check_coefficients(coefficients: F32, n_features: int, width: int) -> None:
    """The same of coefficients of users' features, of which there may be none."""
    check_array("user_coefficients", coefficients, (n_features if len(coefficients) else 0, width))


def solve(normal: F64, target: F64) -> F64:
    """``normal^-1 target``, of one column or several; RunError if the numbers of a head are so
    extreme that there is none.
    """
    try:
        solution = np.linalg.solve(normal, target)
    except np.linalg.LinAlgError:
        solution = np.full_like(target, np.nan)
    if not np.isfinite(solution).all():
        raise RunError("The numbers of this model are too extreme for an answer; train it again.")
    return np.asarray(solution, np.float64)


def by_popularity(popularity: F32, items: Ints) -> Components:
    """The components of scores that are the popularity of items."""
    return [{"popularity": number} for number in popularity[items].tolist()]


def components_table(
    catalog: Catalog, batch: UserBatch, general: dict[str, float], from_ratings: F64
) -> pl.DataFrame:
    """The components of a score as `Recommender.explain` returns them, for a batch of one user."""
    order = np.argsort(-np.abs(from_ratings), kind="stable")
    rated = catalog.rows(batch.interactions.indices[order])
    none = [None] * len(general)
    values = batch.interactions.values[order].tolist()
    contributions = [*general.values(), *from_ratings[order].tolist()]
    return pl.DataFrame(  # of whole columns: see `Catalog.rows`
        [
            pl.Series("component", [*general, *["rating"] * len(order)], pl.String),
            pl.Series("item_id", none + rated["item_id"].to_list(), rated["item_id"].dtype),
            pl.Series("title", none + rated["title"].to_list(), pl.String),
            pl.Series("rating", none + values, pl.Float32),
            pl.Series("contribution", contributions, pl.Float64),
        ]
    )


def fitted_params(head: Head) -> dict[str, Any]:
    """Name and hyperparameters of a head's estimator; computed defaults as what was used."""
    params = dict(head.estimator)
    for name in [name for name, value in params.items() if value is None]:
        computed = getattr(head, name, None)
        params[name] = computed if isinstance(computed, int | float | str) else None
    return params

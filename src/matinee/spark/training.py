"""Training in Spark: both heads, from ratings in blocks."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from matinee._types import F32, I64, Floats
from matinee.data.dataset import Dataset
from matinee.data.id_map import IdMap
from matinee.data.ratings import NOT_RATED, Ratings
from matinee.errors import SettingError
from matinee.kernels.csr import Rows
from matinee.models.als import ALS
from matinee.models.als_common import (
    RANKING_SHARE,
    RATING_SHARE,
    FactorMatrix,
    feature_names,
    weights_in_prior,
)
from matinee.models.base import Estimator
from matinee.models.implicit_als import POSITIVES, UNOBSERVED, ImplicitALS
from matinee.models.implicit_feedback import PreferenceScale, confidence_weights
from matinee.spark.assembling import SparkModel, users_of
from matinee.spark.blocks import (
    Cut,
    count_users,
    cut_into_blocks,
    into_blocks,
    item_counts,
    noise_bound,
)
from matinee.spark.dataset import SparkDataset
from matinee.spark.explicit import train_ratings
from matinee.spark.implicit import Positives, train_ranking
from matinee.spark.session import Workspace

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

MOST_HELD = POSITIVES[1]
"""Ratings of which the driver chooses regularization on a validation set, as the laptop does."""


@dataclass(frozen=True, eq=False)
class _TrainingSet:
    """What both heads are trained on."""

    workspace: Workspace
    data: SparkDataset
    ratings: "DataFrame"
    cut: Cut
    n_ratings: int
    held: Dataset | None  # the same in the memory of the driver, where they are few
    mean: float
    std: float
    largest: float  # absolute value
    whole: bool  # whether all values are whole numbers
    item_counts: I64

    @property
    def spread(self) -> float:
        """As `Ratings.spread`."""
        return max(self.std, float(np.finfo(np.float32).eps) * max(1.0, self.largest))

    def items(self, features: str, counts: I64, width: int, *weights: Floats) -> FactorMatrix:
        """The items, all rows zero, with their weights in prior means."""
        catalog, none = self.data.catalog, (np.empty(0, np.int32), np.empty(0, np.float32))
        rows = Rows(np.concatenate(([0], np.cumsum(counts))), *none)
        no_users = IdMap(pl.Series([], dtype=pl.Int64))
        described = Dataset(Ratings(none[0], *none, None, no_users, catalog.ids, None), catalog)
        names = feature_names(features, described)
        given = [np.asarray(weight, np.float64) for weight in weights]
        return FactorMatrix.start(rows, catalog.attributes, names, width, *given)


def train(
    workspace: Workspace,
    data: SparkDataset,
    ratings: "DataFrame",
    estimators: Sequence[Estimator],
) -> SparkModel:
    """Train heads on `ratings`, the training set of `data`; SettingError for other estimators."""
    check_estimators(data, estimators)
    workspace = workspace.within("training")
    given = _training_set(workspace, data, ratings)
    heads: dict[str, tuple[Any, DataFrame]] = {}
    seconds = {}
    for estimator in estimators:
        began = time.perf_counter()
        if isinstance(estimator, ALS):
            heads["rating"] = _fit_ratings(given, estimator)
        elif isinstance(estimator, ImplicitALS):
            heads["ranking"] = _fit_ranking(given, estimator)
        seconds[estimator.predicts] = time.perf_counter() - began
    users = users_of(workspace, data, ratings, given.cut, heads)
    bare = {name: head for name, (head, _) in heads.items()}
    counts, whole = given.item_counts, given.whole
    return SparkModel(data, bare, users, counts, given.std, whole, seconds)


def check_estimators(data: SparkDataset, estimators: Sequence[Estimator]) -> None:
    """Refuse what Spark does not train, or not on such data."""
    for estimator in estimators:
        if estimator.predicts == "rating" and data.scale is None:
            raise SettingError(f"{data.name}: {NOT_RATED}")
        if not isinstance(estimator, ALS | ImplicitALS):
            name = type(estimator).__name__
            raise SettingError(f"Spark trains als and ials, not {name}; leave out --engine spark.")
        if estimator.patience:
            raise SettingError("Spark trains without a validation set; leave out --patience.")
        if estimator.solver != "cg":
            raise SettingError(f"Spark solves by cg alone, not {estimator.solver}; leave it out.")


def as_dataset(data: SparkDataset, ratings: "DataFrame") -> Dataset:
    """Some of the ratings of a data set, in the memory of this machine."""
    table = ratings.select("user", "item", "rating").toArrow()
    user, item, rating = (table[name].to_numpy() for name in table.column_names)
    order = np.lexsort((item, user))  # whatever that of Spark
    user, item, rating = (column[order] for column in (user, item, rating))
    columns = user, item, rating, None, data.user_ids(), data.catalog.ids, data.scale
    return Dataset(Ratings(*columns), data.catalog, name=data.name, source=data.source)


def _training_set(workspace: Workspace, data: SparkDataset, ratings: "DataFrame") -> _TrainingSet:
    """Cut into blocks, counted and averaged."""
    value = "cast(rating as double)"
    row = ratings.selectExpr(
        "count(*)",
        f"avg({value})",
        f"stddev_pop({value})",
        f"max(abs({value}))",
        "bool_and(rating = floor(rating))",
    ).collect()[0]
    n_ratings = int(row[0])
    if n_ratings == 0:
        raise SettingError(f"{data.name}: no ratings to learn from.")
    cut = cut_into_blocks(workspace, data.n_users, len(data.catalog), n_ratings)
    held = as_dataset(data, ratings) if n_ratings <= MOST_HELD else None
    counts = np.zeros(len(data.catalog), np.int64)
    found = ratings.groupBy("item").count().toArrow()
    counts[found["item"].to_numpy()] = found["count"].to_numpy()
    mean, std, largest = (float(number) for number in row[1:4])
    whole = bool(row[4])
    return _TrainingSet(
        workspace, data, ratings, cut, n_ratings, held, mean, std, largest, whole, counts
    )


def _fit_ratings(given: _TrainingSet, estimator: ALS) -> tuple[Any, "DataFrame"]:
    """The rating head without its users, and these."""
    sides = into_blocks(given.workspace, "rated", given.ratings, given.cut, _as_they_are)
    counts = given.item_counts
    if given.held is not None:
        ridge = estimator.choose_ridge(given.held)
    else:
        exponent = estimator.exponent
        bound = noise_bound(sides, counts, (0.0, 0.0), exponent)
        ridge = estimator.ridge_of(RATING_SHARE * given.spread * bound, given.spread)
    exponents = dict.fromkeys((float(ridge.exponent), float(ridge.bias_exponent)))
    weights = [weights_in_prior(counts, exponent) for exponent in exponents]
    items = given.items(estimator.features, counts, 1 + estimator.factors, *weights)
    moments = given.mean, given.spread
    return train_ratings(given.workspace, estimator, sides, ridge, moments, items)


def _as_they_are(ratings: Rows) -> tuple[Rows, F32]:
    return ratings, np.empty(0, np.float32)


def _fit_ranking(given: _TrainingSet, estimator: ImplicitALS) -> tuple[Any, "DataFrame"]:
    """The ranking head without its users, and these."""
    learned = _positives(given, estimator)
    sides = into_blocks(given.workspace, "ranked", given.ratings, given.cut, learned)
    counts, n_users = item_counts(sides), count_users(sides)
    if given.held is not None:
        chosen = estimator.choose(given.held)
    else:
        unobserved = estimator.unobserved or UNOBSERVED
        shifts = unobserved * np.count_nonzero(counts), unobserved * n_users
        bound = noise_bound(sides, counts, shifts, estimator.exponent)
        chosen = estimator.regularization or RANKING_SHARE * bound, unobserved
    weights = (counts + chosen[1] * n_users) ** estimator.exponent
    weights = np.where(counts > 0, weights, 0.0)
    items = given.items(estimator.features, counts, estimator.factors, weights)
    return train_ranking(given.workspace, estimator, sides, chosen, learned, items)


def _positives(given: _TrainingSet, estimator: ImplicitALS) -> Positives:
    """What counts as a positive, and their average weight."""
    from pyspark.sql.functions import lit

    scale, least = given.data.scale, estimator.min_rating
    confidence = estimator.confidence_of(scale)
    weight = {"none": "1.0d", "rating": "cast(rating as double)", "counts": "log1p(rating)"}
    kept = given.ratings
    if least is not None:  # compared as numbers of 32 bits, as on one machine
        kept = kept.filter(kept["rating"] >= lit(float(least)).cast("float"))
    row = kept.selectExpr(f"avg({weight[confidence]})", "min(rating)").collect()[0]
    if row[0] is None:
        problem = f"no rating is >= {least:g}; lower min_rating"
        raise SettingError(f"{given.data.name}: {problem}.")
    confidence_weights(np.array([row[1]], np.float32), confidence)  # refuses what is not above 0
    preferences = PreferenceScale(estimator.rating_weight_of(scale), given.mean, given.std)
    return Positives(least, confidence, float(row[0]), preferences)

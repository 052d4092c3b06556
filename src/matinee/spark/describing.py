"""What is in a data set, counted by Spark."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from pyspark.sql import functions as sf

from matinee._types import I64
from matinee.spark.dataset import SparkDataset

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

QUANTILES = {"min": 0.0, "25%": 0.25, "median": 0.5, "75%": 0.75, "95%": 0.95, "max": 1.0}


@dataclass(frozen=True)
class SparkSummary:
    """Sizes and distributions of a data set, under the names of `DatasetSummary`.

    `items` counts all of the catalog, `rated_items` those with ratings. `cells` is the size of the
    full users × items matrix, `density` the share that is known of it. `ratings_per_user` and
    `ratings_per_item` (of the rated ones) have ``min``, ``25%``, ``median``, ``75%``, ``95%``,
    ``max`` and ``mean``.
    """

    name: str
    noun: str
    unit: str
    users: int
    items: int
    rated_items: int
    ratings: int
    cells: int
    density: float
    mean_rating: float | None
    mean_weight: float | None
    scale: str | None
    ratings_per_user: dict[str, float]
    ratings_per_item: dict[str, float]
    first_rating: datetime | None
    last_rating: datetime | None

    def to_dict(self) -> dict[str, Any]:
        """Plain values with stable keys."""
        return {
            name: value.isoformat() if isinstance(value, datetime) else value
            for name, value in asdict(self).items()
        }


def describe(dataset: SparkDataset) -> SparkSummary:
    """Describe a data set in Spark, in three passes over its ratings."""
    ratings, scale, catalog = dataset.ratings, dataset.scale, dataset.catalog
    timed = "timestamp" in ratings.columns
    times = [sf.min("timestamp"), sf.max("timestamp")] if timed else [sf.lit(None), sf.lit(None)]
    totals = ratings.agg(sf.avg(sf.col("rating").cast("double")), *times).head()
    mean, first, last = totals or (0.0, None, None)
    cells = dataset.n_users * len(catalog)
    of_items, n_rated = _per(ratings, "item")
    return SparkSummary(
        name=dataset.name,
        noun=catalog.noun,
        unit=dataset.unit,
        users=dataset.n_users,
        items=len(catalog),
        rated_items=n_rated,
        ratings=dataset.n_ratings,
        cells=cells,
        density=dataset.n_ratings / cells,
        mean_rating=mean if scale else None,
        mean_weight=None if scale else mean,
        scale=str(scale) if scale else None,
        ratings_per_user=_per(ratings, "user")[0],
        ratings_per_item=of_items,
        first_rating=_moment(first),
        last_rating=_moment(last),
    )


def _per(ratings: "DataFrame", side: str) -> tuple[dict[str, float], int]:
    """Quantiles of the number of ratings per user or item, and how many of these there are."""
    counts = ratings.groupBy(side).agg(sf.count(sf.lit(1)).alias("n_ratings"))
    found = counts.groupBy("n_ratings").count().orderBy("n_ratings").toArrow()
    values, members = (found[name].to_numpy().astype(np.int64) for name in ("n_ratings", "count"))
    upto = np.cumsum(members)
    n = int(upto[-1])
    quantiles = {name: _quantile(values, upto, q * (n - 1)) for name, q in QUANTILES.items()}
    return {**quantiles, "mean": float(values @ members / n)}, n


def _quantile(values: I64, upto: I64, place: float) -> float:
    """The value at a place, counted from 0, between two neighbours if it is between them."""
    low, high = np.floor(place), np.ceil(place)
    below, above = (values[np.searchsorted(upto, at, side="right")] for at in (low, high))
    return float(below + (above - below) * (place - low))


def _moment(seconds: int | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)

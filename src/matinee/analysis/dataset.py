"""What is in a dataset."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl

from matinee._types import F32, I64
from matinee.data.dataset import Dataset
from matinee.data.ratings import Ratings, value_name

MAX_LEVELS = 20  # different rating values; more are counted in bins
BIN_RATIO = 10 ** (1 / 5)  # of a bin's ends, in histograms of counts
BLOCKS = 40  # of users and of items, to show where the matrix is filled
PERIODS = {"1w": 7, "1mo": 30, "1y": 365}  # days
MAX_PERIODS = 200
QUANTILES = {"min": 0.0, "25%": 0.25, "median": 0.5, "75%": 0.75, "95%": 0.95, "max": 1.0}
SAMPLE = 5  # rows


@dataclass(frozen=True, repr=False)
class DatasetSummary:
    """Sizes, distributions and a sample of a dataset; from `describe`.

    `items` counts all of the catalog, `rated_items` those with ratings; `noun` is what an item is
    called on screen, `unit` what a row is: "rating", or "interaction" without one. `value_name` is
    what its value is: "rating", "times" or "weight"; there is a `mean_rating` and a `scale`, or a
    `mean_weight`. `cells` is the size of the full users × items matrix, `density` the share that
    is known of it. `ratings_per_user` and `ratings_per_item` (of the rated ones) have ``min``,
    ``25%``, ``median``, ``75%``, ``95%``, ``max``, ``mean``. The columns of the frames are

    - `rating_histogram`: `rating`, `n_ratings`; more than twenty different values are counted in
      twenty bins, each named by its lower end; empty for interactions without ratings
    - `weight_histogram`, of those: `weight` (as text), `low`, `high`, `n_ratings`: how many pairs
      of user and item have so many, or such a weight
    - `genres`: `genre`, `n_items`, `n_ratings`, `mean_rating` (null without ratings), the most
      frequent first; an item counts for each genre it has
    - `activity_histogram`: `of` ("users" or "items"), `low`, `high`, `members`: how many have
      between `low` and `high` ratings, in bins of about equal ratio
    - `long_tail`: `item_share`, `rating_share` of the most rated items
    - `over_time`: `start`, `n_ratings` by week, month or year, at most some two hundred; empty
      without times
    - `density_blocks`: `user_block`, `item_block`, `density`, in at most forty equal blocks each,
      the most active users and the most rated items first
    - `sample_ratings`, `sample_items`: the first five rows
    """

    name: str
    licence: str
    noun: str
    unit: str
    value_name: str
    users: int
    items: int
    rated_items: int
    ratings: int
    cells: int
    density: float
    mean_rating: float | None
    mean_weight: float | None
    scale: str | None
    rating_histogram: pl.DataFrame
    weight_histogram: pl.DataFrame
    ratings_per_user: dict[str, float]
    ratings_per_item: dict[str, float]
    genres: pl.DataFrame
    activity_histogram: pl.DataFrame
    long_tail: pl.DataFrame
    over_time: pl.DataFrame
    density_blocks: pl.DataFrame
    first_rating: datetime | None
    last_rating: datetime | None
    sample_ratings: pl.DataFrame
    sample_items: pl.DataFrame

    def __repr__(self) -> str:
        # the fields hold rows of single people, which have no place in a saved notebook
        return (
            f"DatasetSummary({self.name!r}, {self.users:,} users, {self.items:,} {self.noun}s, "
            f"{self.ratings:,} {self.unit}s, sparsity {self.sparsity:.2%})"
        )

    @property
    def sparsity(self) -> float:
        """Share of the full matrix that is empty."""
        return 1.0 - self.density

    def to_dict(self) -> dict[str, Any]:
        """Plain values with stable keys."""
        plain: dict[str, Any] = {}
        for name, value in {**vars(self), "sparsity": self.sparsity}.items():
            if isinstance(value, pl.DataFrame):
                times = pl.selectors.datetime()
                plain[name] = value.with_columns(times.dt.to_string("iso")).to_dicts()
            else:
                plain[name] = value.isoformat() if isinstance(value, datetime) else value
        return plain


def describe(dataset: Dataset) -> DatasetSummary:
    """Describe a dataset.

    Examples
    --------
    >>> describe(data)
    DatasetSummary('generated', 60 users, 50 movies, 1,500 ratings, sparsity 50.00%)
    """
    ratings, catalog = dataset.ratings, dataset.catalog
    scale, mean = ratings.scale, float(ratings.values.mean(dtype=np.float64))
    user_counts = ratings.user_counts[ratings.user_counts > 0]
    item_counts = ratings.item_counts[ratings.item_counts > 0]
    cells = len(user_counts) * len(catalog)
    first = ratings.take(np.arange(min(SAMPLE, len(ratings))))
    sample = {
        "user_id": first.user_ids.values[first.user],
        "item_id": first.item_ids.values[first.item],
        "weight" if scale is None else "rating": first.values,
    }
    if first.timestamp is not None:
        sample["timestamp"] = pl.from_epoch(pl.Series(first.timestamp), "s")
    stamps = ratings.timestamp
    return DatasetSummary(
        name=dataset.name,
        licence=dataset.licence,
        noun=catalog.noun,
        unit=dataset.unit,
        value_name=value_name(scale, ratings.values),
        users=len(user_counts),
        items=len(catalog),
        rated_items=len(item_counts),
        ratings=len(ratings),
        cells=cells,
        density=len(ratings) / cells,
        mean_rating=mean if scale else None,
        mean_weight=None if scale else mean,
        scale=str(scale) if scale else None,
        rating_histogram=_rating_histogram(ratings.values[: None if scale else 0]),
        weight_histogram=_weight_histogram(ratings.values[: 0 if scale else None]),
        ratings_per_user=_quantiles(user_counts),
        ratings_per_item=_quantiles(item_counts),
        genres=_genres(dataset),
        activity_histogram=pl.concat(
            [_count_histogram("users", user_counts), _count_histogram("items", item_counts)]
        ),
        long_tail=_long_tail(item_counts),
        over_time=_over_time(stamps),
        density_blocks=_density_blocks(ratings),
        first_rating=None if stamps is None else datetime.fromtimestamp(int(stamps.min()), UTC),
        last_rating=None if stamps is None else datetime.fromtimestamp(int(stamps.max()), UTC),
        sample_ratings=pl.DataFrame(sample),
        sample_items=catalog.rows(np.arange(min(SAMPLE, len(catalog)))),
    )


def _rating_histogram(values: F32) -> pl.DataFrame:
    levels, counts = np.unique(values, return_counts=True)
    if len(levels) > MAX_LEVELS:
        counts, edges = np.histogram(values, MAX_LEVELS)
        levels = edges[:-1].astype(np.float32)
    return pl.DataFrame({"rating": levels, "n_ratings": counts})


def _weight_histogram(weights: F32) -> pl.DataFrame:
    """How many pairs have each weight, or one between `low` and `high` in bins of equal ratio."""
    levels, counts = np.unique(weights.astype(np.float64), return_counts=True)
    low = high = levels
    whole = bool((levels == np.floor(levels)).all())
    if len(levels) > MAX_LEVELS:
        edges = np.geomspace(levels[0], levels[-1], MAX_LEVELS + 1)
        if whole:
            edges = _log_edges(levels[-1]).astype(np.float64)
        edges[[0, -1]] = min(edges[0], levels[0]), max(edges[-1], levels[-1])  # despite rounding
        counts, _ = np.histogram(weights, edges)
        low, high = edges[:-1], edges[1:] - whole
    bins = zip(low, high, strict=True)
    names = [f"{a:g}" if a == b else f"{a:,.4g} to {b:,.4g}" for a, b in bins]
    columns = {"weight": names, "low": low, "high": high, "n_ratings": counts}
    return pl.DataFrame(columns, schema_overrides={"weight": pl.String})


def _quantiles(counts: I64) -> dict[str, float]:
    quantiles = {name: float(np.quantile(counts, q)) for name, q in QUANTILES.items()}
    return {**quantiles, "mean": float(counts.mean())}


def _count_histogram(of: str, counts: I64) -> pl.DataFrame:
    """How many have so many ratings; bins are equal on a logarithmic axis."""
    edges = _log_edges(counts.max())
    members, _ = np.histogram(counts, edges)
    return pl.DataFrame({"of": of, "low": edges[:-1], "high": edges[1:] - 1, "members": members})


def _log_edges(highest: float) -> I64:
    """Edges of bins of whole numbers from 1 to `highest`, of about equal ratio."""
    n_bins = np.ceil(np.log(max(2.0, highest + 1.0)) / np.log(BIN_RATIO))
    return np.unique(np.ceil(BIN_RATIO ** np.arange(n_bins + 1) - 1e-9)).astype(np.int64)


def _long_tail(counts: I64) -> pl.DataFrame:
    shares = np.cumsum(np.sort(counts)[::-1]) / counts.sum()
    # points are dense where the curve is steep
    n_items = np.unique(np.rint(len(shares) * np.linspace(0, 1, 101) ** 2).astype(np.int64))[1:]
    return pl.DataFrame(
        {
            "item_share": np.append(0, n_items / len(shares)),
            "rating_share": np.append(0, shares[n_items - 1]),
        }
    )


def _over_time(stamps: I64 | None) -> pl.DataFrame:
    if stamps is None:
        return pl.DataFrame(schema={"start": pl.Datetime, "n_ratings": pl.UInt32})
    days = (stamps.max() - stamps.min()) / 86_400
    short_enough = [name for name, length in PERIODS.items() if days / length <= MAX_PERIODS]
    period = short_enough[0] if short_enough else "1y"
    times = pl.DataFrame({"start": pl.from_epoch(pl.Series(stamps), "s").dt.truncate(period)})
    counts = times.group_by("start").len("n_ratings").sort("start")
    return counts.upsample("start", every=period).fill_null(0)


def _density_blocks(ratings: Ratings) -> pl.DataFrame:
    """The share of each block of the matrix that is known."""
    sides = []
    for codes, counts in ((ratings.user, ratings.user_counts), (ratings.item, ratings.item_counts)):
        rank = np.argsort(np.argsort(-counts, kind="stable"))
        rated = int(np.count_nonzero(counts))
        n_blocks = min(BLOCKS, rated)
        block_of = rank * n_blocks // rated
        sides.append((block_of[codes], np.bincount(block_of[counts > 0], minlength=n_blocks)))
    (row, rows), (column, columns) = sides
    known = np.bincount(row * len(columns) + column, minlength=len(rows) * len(columns))
    return pl.DataFrame(
        {
            "user_block": np.repeat(np.arange(len(rows)), len(columns)),
            "item_block": np.tile(np.arange(len(columns)), len(rows)),
            "density": known / np.outer(rows, columns).ravel(),
        }
    )


def _genres(dataset: Dataset) -> pl.DataFrame:
    """The table of genres; of long lists, for there may be very many different ones."""
    ratings = dataset.ratings
    of_item = pl.DataFrame(
        {
            "genre": dataset.catalog.frame["genres"].list.unique(),
            "n_ratings": ratings.item_counts,
            "sum": np.bincount(ratings.item, ratings.values, len(dataset.catalog)),
        }
    )
    mean = pl.col("sum") / pl.col("n_ratings")
    rated = (pl.col("n_ratings") > 0) & pl.lit(ratings.scale is not None)
    return (
        of_item.explode("genre")
        .drop_nulls("genre")
        .group_by("genre")
        .agg(pl.len().cast(pl.Int64).alias("n_items"), pl.col("n_ratings", "sum").sum())
        .with_columns(mean_rating=pl.when(rated).then(mean))
        .drop("sum")
        .sort("n_ratings", "genre", descending=[True, False])
    )

"""What is in a data set, in figures."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl

from matinee._types import F32, I64
from matinee.data.dataset import Dataset
from matinee.data.ratings import Ratings

STEPS = 20  # of a histogram over many different stars
RATIO = 10 ** (1 / 5)  # of a step to the one before, in histograms of counts
PARTS = 40  # of users and of movies, to show where the matrix is filled
PERIODS = {"1w": 7, "1mo": 30, "1y": 365}  # days
MOST_PERIODS = 200
QUANTILES = {"least": 0.0, "25 %": 0.25, "median": 0.5, "75 %": 0.75, "95 %": 0.95, "most": 1.0}


@dataclass(frozen=True, repr=False)
class DatasetSummary:
    """Figures about a data set; see `describe`."""

    name: str
    licence: str
    users: int
    items: int
    rated_items: int
    ratings: int
    cells: int
    filled: float
    mean_rating: float
    scale: str
    values: pl.DataFrame
    ratings_per_user: dict[str, float]
    ratings_per_item: dict[str, float]
    genres: pl.DataFrame
    counts: pl.DataFrame
    long_tail: pl.DataFrame
    over_time: pl.DataFrame
    filled_parts: pl.DataFrame
    first_rating: datetime | None
    last_rating: datetime | None
    first_ratings: pl.DataFrame
    first_items: pl.DataFrame

    def __repr__(self) -> str:
        # the fields hold rows of single people, which have no place in a saved notebook
        return (
            f"Description({self.name!r}, {self.users:,} users, {self.items:,} movies, "
            f"{self.ratings:,} ratings, {self.sparsity:.2%} empty)"
        )

    @property
    def sparsity(self) -> float:
        """The part of the full matrix that is empty."""
        return 1.0 - self.filled

    def as_json(self) -> dict[str, Any]:
        """All figures as plain values."""
        plain: dict[str, Any] = {}
        for name, value in {**vars(self), "sparsity": self.sparsity}.items():
            if isinstance(value, pl.DataFrame):
                times = pl.selectors.datetime()
                plain[name] = value.with_columns(times.dt.to_string("iso")).to_dicts()
            else:
                plain[name] = value.isoformat() if isinstance(value, datetime) else value
        return plain


def describe(dataset: Dataset) -> DatasetSummary:
    """Describe a data set.

    Returns
    -------
    Description
        Numbers of users, movies and ratings; `cells`, the size of the full matrix users x
        movies, and `filled`, the part of it that is known; `values` (columns `values`, `ratings`;
        over twenty different values fall into twenty steps, each named by its lower end);
        quantiles of ratings per user and per rated movie; `genres` (columns `genre`, `items`,
        `ratings`, `mean_rating`), a movie counting for each of its genres; `counts` (columns `of`,
        `from`, `to`, `members`: how many users, and movies, have so many ratings, in steps of
        about equal ratio); `long_tail` (`items`, `ratings`: what part of the ratings the most
        rated part of the movies has); `over_time` (`from`, `ratings`, by week, month or year, at
        most some two hundred; no rows without times); `filled_parts` (`users`, `items`,
        `filled`: both in forty parts, the most active and the most rated first); the time of the
        first and last rating; the first rows of both tables.

    Examples
    --------
    >>> from matinee.data.synthetic import generate
    >>> data, _ = generate(users=50, items=80, ratings=1500, seed=0)
    >>> summary = describe(data)
    >>> summary.cells, round(summary.sparsity, 3)
    (4000, 0.625)
    """
    ratings, catalog = dataset.ratings, dataset.catalog
    user_counts, item_counts = ratings.user_counts, ratings.item_counts
    user_counts, interactions = user_counts[user_counts > 0], item_counts > 0
    cells = len(user_counts) * len(catalog)
    head = ratings.take(np.arange(min(5, len(ratings))))
    table = {
        "user_id": head.user_ids.values[head.user],
        "item_id": head.item_ids.values[head.item],
        "rating": head.values,
    }
    if head.timestamp is not None:
        table["time"] = pl.from_epoch(pl.Series(head.timestamp), "s")
    stamps = ratings.timestamp
    return DatasetSummary(
        name=dataset.name,
        licence=dataset.licence,
        users=len(user_counts),
        items=len(catalog),
        rated_items=int(interactions.sum()),
        ratings=len(ratings),
        cells=cells,
        filled=len(ratings) / cells,
        mean_rating=float(ratings.values.mean(dtype=np.float64)),
        scale=str(ratings.scale),
        values=_histogram(ratings.values),
        ratings_per_user=_quantiles(user_counts),
        ratings_per_item=_quantiles(item_counts[interactions]),
        genres=_genres(dataset),
        counts=pl.concat(
            [_in_ratios("users", user_counts), _in_ratios("items", item_counts[interactions])]
        ),
        long_tail=_long_tail(item_counts[interactions]),
        over_time=_over_time(stamps),
        filled_parts=_filled_parts(dataset.ratings),
        first_rating=None if stamps is None else datetime.fromtimestamp(int(stamps.min()), UTC),
        last_rating=None if stamps is None else datetime.fromtimestamp(int(stamps.max()), UTC),
        first_ratings=pl.DataFrame(table),
        first_items=catalog.rows(np.arange(min(5, len(catalog)))),
    )


def _histogram(values: F32) -> pl.DataFrame:
    levels, counts = np.unique(values, return_counts=True)
    if len(levels) > STEPS:
        counts, edges = np.histogram(values, STEPS)
        levels = edges[:-1].astype(np.float32)
    return pl.DataFrame({"rating": levels, "ratings": counts})


def _quantiles(counts: I64) -> dict[str, float]:
    found = {name: float(np.quantile(counts, at)) for name, at in QUANTILES.items()}
    return {**found, "mean": float(counts.mean())}


def _in_ratios(of: str, counts: I64) -> pl.DataFrame:
    """How many have so many ratings; steps are equal on a logarithmic axis."""
    steps = np.ceil(np.log(max(2.0, counts.max() + 1.0)) / np.log(RATIO))
    edges = np.unique(np.ceil(RATIO ** np.arange(steps + 1) - 1e-9)).astype(np.int64)
    members, _ = np.histogram(counts, edges)
    return pl.DataFrame({"of": of, "from": edges[:-1], "to": edges[1:] - 1, "members": members})


def _long_tail(counts: I64) -> pl.DataFrame:
    held = np.cumsum(np.sort(counts)[::-1]) / counts.sum()
    # points are dense where the curve is steep
    at = np.unique(np.rint(len(held) * np.linspace(0, 1, 101) ** 2).astype(np.int64))[1:]
    return pl.DataFrame(
        {"items": np.append(0, at / len(held)), "ratings": np.append(0, held[at - 1])}
    )


def _over_time(stamps: I64 | None) -> pl.DataFrame:
    if stamps is None:
        return pl.DataFrame(schema={"from": pl.Datetime, "ratings": pl.UInt32})
    days = (stamps.max() - stamps.min()) / 86_400
    fitting = [name for name, length in PERIODS.items() if days / length <= MOST_PERIODS]
    period = fitting[0] if fitting else "1y"
    times = pl.DataFrame({"from": pl.from_epoch(pl.Series(stamps), "s").dt.truncate(period)})
    found = times.group_by("from").len("ratings")
    return found.sort("from").upsample("from", every=period).fill_null(0)


def _filled_parts(ratings: Ratings) -> pl.DataFrame:
    """The part of each block of the matrix that is known."""
    sides = []
    for codes, counts in ((ratings.user, ratings.user_counts), (ratings.item, ratings.item_counts)):
        rank = np.argsort(np.argsort(-counts, kind="stable"))
        having = int(np.count_nonzero(counts))
        parts = min(PARTS, having)
        part_of = rank * parts // having
        sides.append((part_of[codes], np.bincount(part_of[counts > 0], minlength=parts)))
    (row, rows), (column, columns) = sides
    known = np.bincount(row * len(columns) + column, minlength=len(rows) * len(columns))
    return pl.DataFrame(
        {
            "users": np.repeat(np.arange(len(rows)), len(columns)),
            "items": np.tile(np.arange(len(columns)), len(rows)),
            "filled": known / np.outer(rows, columns).ravel(),
        }
    )


def _genres(dataset: Dataset) -> pl.DataFrame:
    ratings, matrix = dataset.ratings, dataset.catalog.genre_matrix
    rating_of = np.bincount(ratings.item, weights=ratings.values, minlength=len(dataset.catalog))
    given = matrix.T @ ratings.item_counts
    with np.errstate(invalid="ignore"):
        mean = (matrix.T @ rating_of) / given
    return pl.DataFrame(
        {
            "genre": list(dataset.catalog.genre_names),
            "items": matrix.sum(axis=0).astype(np.int64),
            "ratings": given.astype(np.int64),
            "mean_rating": pl.Series(mean, dtype=pl.Float64).fill_nan(None),
        },
        schema_overrides={"genre": pl.String},
    ).sort("ratings", "genre", descending=[True, False])

"""Rating metrics with their 95 % intervals, and the registry of all metrics.

To add a metric, define it here or in `matinee.evaluation.ranking_metrics` and add its line to
`METRICS`: evaluation, tables, charts and tuning read that list.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from matinee._types import F32, F64, I32, I64, Bools, Floats, Ints
from matinee.data.dataset import Dataset
from matinee.evaluation import ranking_metrics as ranking
from matinee.evaluation.protocols import RankingTask

NORMAL_95 = 1.959964  # standard deviations on either side that hold 95 % of a normal distribution


def rmse(predicted: Floats, actual: Floats) -> float:
    """Root mean squared error: ``sqrt(mean((predicted - actual)^2))``, summed in float64.

    Every rating counts the same, whoever gave it.

    Examples
    --------
    >>> rmse(np.array([3.0, 5.0]), np.array([3.0, 3.0]))
    1.4142135623730951
    """
    return float(np.sqrt(np.mean(np.square(signed_errors(predicted, actual)))))


def mae(predicted: Floats, actual: Floats) -> float:
    """Mean absolute error: ``mean(|predicted - actual|)``, summed in float64.

    Examples
    --------
    >>> mae(np.array([3.0, 5.0]), np.array([3.0, 3.0]))
    1.0
    """
    return float(np.mean(np.abs(signed_errors(predicted, actual))))


def rmse_interval(predicted: Floats, actual: Floats, user: Ints) -> tuple[float, float] | None:
    """The 95 % confidence interval of the RMSE over users, in units of ratings; None for one user.

    Errors of one user are correlated, so users are the sampling unit. The mean squared error is a
    ratio of two sums over users, with the variance of the linearized ratio (Cochran 1977,
    "Sampling techniques", section 6.3). The bootstrap over users gives the same interval.

    `predicted` and `actual` are float (n,); `user`, int (n,), says who gave each rating.
    """
    interval = _mean_interval(np.square(signed_errors(predicted, actual)), user)
    return interval and (interval[0] ** 0.5, interval[1] ** 0.5)


def mae_interval(predicted: Floats, actual: Floats, user: Ints) -> tuple[float, float] | None:
    """The 95 % confidence interval of the MAE over users, computed as in `rmse_interval`."""
    return _mean_interval(np.abs(signed_errors(predicted, actual)), user)


def _mean_interval(errors: F64, user: Ints) -> tuple[float, float] | None:
    """The 95 % interval of the mean of non-negative errors over all ratings."""
    _, owner = np.unique(user, return_inverse=True)
    counts = np.bincount(owner)
    users = len(counts)
    if users < 2:
        return None
    mean = float(errors.mean())
    residual = np.bincount(owner, weights=errors) - mean * counts
    return interval_around(mean, float(np.square(residual).sum()), users, len(errors))


def interval_around(
    mean: float, squared_residuals: float, users: int, n_ratings: int
) -> tuple[float, float]:
    """The same, given the sum over users of ``(sum of errors - mean * ratings)^2``."""
    variance = users / (users - 1) * squared_residuals / n_ratings**2
    half_width = NORMAL_95 * variance**0.5
    return max(0.0, mean - half_width), mean + half_width


def signed_errors(predicted: Floats, actual: Floats) -> F64:
    """``predicted - actual`` in float64; ValueError unless both have the same length above 0."""
    if len(predicted) != len(actual) or len(actual) == 0:
        raise ValueError(f"{len(predicted)} predictions for {len(actual)} ratings")
    errors: F64 = np.subtract(predicted, actual, dtype=np.float64)
    return errors


@dataclass(frozen=True, eq=False)
class TopK:
    """The rankings of all test users, cut at `k` places: what a metric is computed from."""

    items: I32  # (users, k), -1 beyond the end
    ratings: F32  # (users, k): the test rating where a place holds a relevant item, else nan
    task: RankingTask

    @property
    def train(self) -> Dataset:
        """The training set."""
        return self.task.train

    @property
    def hits(self) -> Bools:
        """Which places hold a relevant item, (users, k)."""
        return ~np.isnan(self.ratings)

    @property
    def n_relevant(self) -> I64:
        """Relevant items of each user, (users,)."""
        return np.diff(self.task.relevant.indptr)

    def first(self, k: int) -> "TopK":
        """The first `k` places; all, if there are fewer."""
        return replace(self, items=self.items[:, :k], ratings=self.ratings[:, :k])


Compute = Callable[[TopK], F64 | float]


@dataclass(frozen=True)
class Metric:
    """What a metric is called, what it measures and which direction is better.

    `name` is as in Python and JSON, ``"ndcg@10"``: what follows ``@`` is the cutoff k; `label` as
    in tables and charts, ``"NDCG@10"``. `direction` says which values are better, None if the
    metric describes a model and does not grade it. `format` is how tables print its values, and
    `in_tables` whether they show it by default; JSON has all metrics. `compute`, of a ranking
    metric, goes from the `TopK` of all users to float64 (users,), or to a float if the metric is of
    the catalogue rather than of users. What `needs_ratings` says how much users liked what they
    found: it is left out for interactions without ratings, and for ratings that are all the same.

    Examples
    --------
    >>> METRICS["recall_capped@20"].label, METRICS["rmse"].direction
    ('Recall@20 (capped)', 'lower')
    """

    name: str
    task: Literal["rating", "ranking", "time"]
    direction: Literal["lower", "higher"] | None
    label: str
    format: str = ".4f"
    in_tables: bool = True
    needs_ratings: bool = False
    compute: Compute | None = field(default=None, repr=False)

    @property
    def k(self) -> int:
        """How many places of a ranking the metric sees."""
        return int(self.name.partition("@")[2])


def _ranking(name: str, label: str, compute: Compute, **options: Any) -> Metric:
    options = {"direction": "higher", "in_tables": False, **options}
    return Metric(name, "ranking", label=label, compute=compute, **options)


def _ndcg(top: TopK) -> F64:
    return ranking.ndcg(top.hits, top.n_relevant)


def _liked_ndcg(top: TopK) -> F64:
    """NDCG of what the user rated at least their own mean; nan for users who liked nothing."""
    means = top.task.history_means
    row = np.repeat(np.arange(len(means)), top.n_relevant)
    n_liked = np.bincount(row[top.task.relevant.values >= means[row]], minlength=len(means))
    some = n_liked > 0
    result = np.full(len(means), np.nan)
    hits = top.ratings[some] >= means[some, None]
    result[some] = ranking.ndcg(hits, n_liked[some])
    return result


def _graded_ndcg(top: TopK) -> F64:
    """NDCG whose gains are ratings, from 0 for the lowest on the scale to 1 for the highest."""
    scale, relevant = top.train.ratings.known_scale, top.task.relevant
    span = max(scale.high - scale.low, np.finfo(float).tiny)
    gains = np.nan_to_num((top.ratings.astype(np.float64) - scale.low) / span)
    of_relevant = (relevant.values.astype(np.float64) - scale.low) / span
    return ranking.graded_ndcg(gains, relevant.indptr, of_relevant)


def _disliked_share(top: TopK) -> float:
    """Of all hits, the share rated a standard deviation or more under the user's mean."""
    disliked, hits = int(disliked_hits(top).sum()), int(np.count_nonzero(top.hits))
    return disliked / hits if hits else float("nan")


def disliked_hits(top: TopK) -> I64:
    """How many hits each user rated so low, (users,)."""
    limits = top.task.history_means - top.train.ratings.values.std(dtype=np.float64)
    return np.asarray((top.ratings <= limits[:, None]).sum(axis=1), np.int64)


def _recall_capped(top: TopK) -> F64:
    return ranking.recall_capped(top.hits, top.n_relevant)


def _popularity_share(top: TopK) -> F64:
    return ranking.popularity_share(top.items, top.train.ratings.item_counts)


def _novelty(top: TopK) -> F64:
    ratings = top.train.ratings
    n_users = int(np.count_nonzero(ratings.user_counts))
    return ranking.novelty(top.items, ratings.item_counts, n_users)


def _diversity(top: TopK) -> F64:
    return ranking.genre_diversity(top.items, top.train.catalog.genre_matrix)


def _coverage(top: TopK) -> float:
    return ranking.coverage(top.items, len(top.train.catalog))


def _gini(top: TopK) -> float:
    return ranking.gini(top.items, len(top.train.catalog))


_LIKED: dict[str, Any] = {"needs_ratings": True}
_DISLIKED: dict[str, Any] = {**_LIKED, "direction": "lower", "format": ".1%", "in_tables": True}
_SHARE: dict[str, Any] = {"direction": None, "format": ".1%", "in_tables": True}
METRICS = {
    metric.name: metric
    for metric in (
        Metric("rmse", "rating", "lower", "RMSE", needs_ratings=True),
        Metric("mae", "rating", "lower", "MAE", needs_ratings=True),
        _ranking("ndcg@10", "NDCG@10", _ndcg, in_tables=True),
        _ranking("liked_ndcg@10", "NDCG@10 (liked)", _liked_ndcg, in_tables=True, **_LIKED),
        _ranking("graded_ndcg@10", "NDCG@10 (graded)", _graded_ndcg, **_LIKED),
        _ranking("hit_rate@10", "HR@10", lambda t: ranking.hit_rate(t.hits), in_tables=True),
        _ranking("recall_capped@20", "Recall@20 (capped)", _recall_capped),
        _ranking("ndcg@100", "NDCG@100", _ndcg),
        _ranking("mrr@100", "MRR@100", lambda t: ranking.reciprocal_rank(t.hits)),
        _ranking("map@10", "MAP@10", lambda t: ranking.average_precision(t.hits, t.n_relevant)),
        _ranking("precision@10", "Precision@10", lambda t: ranking.precision(t.hits)),
        _ranking("recall@10", "Recall@10", lambda t: ranking.recall(t.hits, t.n_relevant)),
        _ranking("recall_capped@50", "Recall@50 (capped)", _recall_capped),
        _ranking("disliked_share@10", "Disliked hits", _disliked_share, **_DISLIKED),
        _ranking("coverage@10", "Coverage", _coverage, **_SHARE),
        _ranking("popularity_share@10", "Popular share", _popularity_share, **_SHARE),
        _ranking("novelty@10", "Novelty@10", _novelty, direction=None),
        _ranking("diversity@10", "Diversity@10", _diversity, direction=None),
        _ranking("gini@10", "Gini@10", _gini, direction=None),
        Metric("fit_seconds", "time", None, "Fit time (s)", ".2f"),
        Metric("test_seconds", "time", None, "Test time (s)", ".2f"),
    )
}
"""All metrics by name, in the order in which people see them."""
REPORTED_METRICS = {name: metric for name, metric in METRICS.items() if metric.in_tables}
"""Those that tables show."""
PRIMARY_METRIC = {"rating": "rmse", "ranking": "ndcg@10"}
"""The one to look at where there is room for one."""

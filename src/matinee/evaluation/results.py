"""What an evaluation results in: rating metrics, ranking metrics, and both."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from matinee._html import html_block, html_table
from matinee._types import F64
from matinee.evaluation.metrics import METRICS
from matinee.evaluation.protocols import RankingTask
from matinee.evaluation.uncertainty import MetricValue, mean_with_interval


@dataclass(frozen=True)
class RatingMetrics:
    """Errors of predicted ratings on a test set.

    Ratings by users, or of items, without training ratings count like all others: the model
    predicts them from what it knows, such as an average user or the genres of an item.

    Errors are in units of ratings; `rmse_ci` is the 95 % confidence interval over users, None for a
    single user. `cold_start_user_ratings` and `cold_start_item_ratings` are the test ratings by
    users, and of items, without training ratings.
    """

    n_ratings: int
    rmse: float
    rmse_ci: tuple[float, float] | None
    mae: float
    cold_start_user_ratings: int
    cold_start_item_ratings: int

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as in JSON."""
        return asdict(self)

    def _table(self) -> str:
        rmse = MetricValue(self.rmse, *(self.rmse_ci or ()))
        metrics = {"rmse": rmse, "mae": MetricValue(self.mae)}
        return _html(metrics, f"Rating prediction: {self.n_ratings:,} test ratings")


@dataclass(frozen=True)
class RankingMetrics:
    """Ranking metrics by name, such as ``metrics["ndcg@10"]``, over `n_users` test users.

    `matinee.evaluation.METRICS` lists them; `matinee.evaluation.ranking_metrics` defines them.
    Those that need ratings are missing where there are none, or all are the same.
    """

    protocol: str
    n_users: int
    metrics: Mapping[str, MetricValue]
    note: str = ""

    def __getitem__(self, name: str) -> float:
        return self.metrics[name].value

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as in JSON."""
        metrics = {name: metric.to_dict() for name, metric in self.metrics.items()}
        return {**vars(self), "metrics": metrics}

    def _table(self) -> str:
        return _html(self.metrics, f"Ranking ({self.protocol}): {self.n_users:,} test users")

    def _repr_html_(self) -> str:
        return html_block("Evaluation", self._table())


@dataclass(frozen=True)
class EvaluationResult:
    """How both heads of a recommender do on a test set.

    `rating` is None without a rating head, `ranking` if no test user has training ratings.
    """

    rating: RatingMetrics | None
    ranking: RankingMetrics | None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as in JSON."""
        return {
            "rating": self.rating and self.rating.to_dict(),
            "ranking": self.ranking and self.ranking.to_dict(),
        }

    def _repr_html_(self) -> str:
        tables = [metrics._table() for metrics in (self.rating, self.ranking) if metrics]
        return html_block("Evaluation", *tables)


@dataclass(frozen=True, eq=False)
class PerUserMetrics:
    """Ranking metrics of each test user.

    `values` are float64 (users,) by metric, in the order of ``task.users``; `catalog` holds the
    metrics of the whole catalogue, which no single user has.
    """

    task: RankingTask
    values: Mapping[str, F64]
    catalog: Mapping[str, float]

    def mean(self) -> RankingMetrics:
        """Means over users with their intervals, and the metrics of the catalogue."""
        metrics = {name: mean_with_interval(values) for name, values in self.values.items()}
        metrics |= {name: MetricValue(value) for name, value in self.catalog.items()}
        return RankingMetrics(self.task.protocol, len(self.task), metrics, self.task.note)


def _html(values: Mapping[str, MetricValue], caption: str) -> str:
    """A table of the metrics that tables show."""
    rows = []
    for name, value in values.items():
        metric = METRICS[name]
        if metric.in_tables:
            interval = [format(bound, metric.format) for bound in value.interval or ()]
            rows.append([metric.label, format(value.value, metric.format), " to ".join(interval)])
    columns = ("metric", "value", "95% CI")
    return html_table(columns, rows, caption=caption, numeric=columns[1:])

"""Judging lists: every figure of a model on one exam, with how sure it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import polars as pl

from matinee._types import F32, F64, I32, I64, Bools, Ints
from matinee.data.dataset import Dataset
from matinee.data.splits import cold_start_counts
from matinee.evaluation import ranking_metrics as lists
from matinee.evaluation.metrics import mae, rmse, rmse_interval
from matinee.evaluation.protocols import RankingTask
from matinee.evaluation.uncertainty import MetricValue, mean_with_interval
from matinee.kernels.csr import Rows, take_rows
from matinee.kernels.parallel import run_blocks, uniform_blocks
from matinee.kernels.topk import topk_dense
from matinee.models.queries import UserProfile
from matinee.models.topk import user_blocks
from matinee.progress import progress
from matinee.storage.runs import finite_or_none


class ScoringModel(Protocol):
    """Ids in, ids and titles out."""

    @property
    def items(self) -> pl.Series:
        """Ids of all movies the model can recommend, in the order of `scores`."""

    def predict(
        self, users: Any, items: Any, timestamps: Any = None, *, unknown: str = "error"
    ) -> F32:
        """Stars for pairs of a user and a movie, given at some time, float32 (n,)."""

    def scores(self, user: Any, *, head: str | None = None) -> F32:
        """What lists are ranked by: float32 (items,), of several users (users, items)."""

    def recommend(self, user: Any, n: int = 10, *, head: str | None = None) -> pl.DataFrame:
        """The best n movies: columns `item`, `title`, `genres`, `values`, `score`."""


@dataclass(frozen=True)
class RatingMetrics:
    """Errors on held-out ratings, in stars, and how many ratings they are over.

    `rmse_interval` says where the RMSE would lie with other users, at 95 %. Ratings by users,
    or of movies, that training has never seen are judged like all others: the model answers with
    what it knows, the average user or a movie's genres.
    """

    ratings: int
    rmse: float
    rmse_interval: tuple[float, float] | None
    mae: float
    cold_start_user_ratings: int
    cold_start_item_ratings: int


def evaluate(model: ScoringModel, train: Dataset, test: Dataset) -> RatingMetrics:
    """Predict every rating of `test` and compare.

    Parameters
    ----------
    model : ScoringModel
        Trained on `train`.
    train, test : Dataset
        The two parts of one split.

    Examples
    --------
    >>> import matinee
    >>> from matinee.data.synthetic import generate
    >>> data, _ = generate(users=60, items=50, ratings=1500, seed=0)
    >>> train, test = data.split("random", test_fraction=0.1)
    >>> evaluate(matinee.Bias().fit(train), train, test).ratings
    150
    """
    ratings, predicted = test.ratings, predict_all(model, test)
    by_unknown, of_unknown = cold_start_counts(train.ratings, ratings)
    return RatingMetrics(
        len(ratings),
        rmse(predicted, ratings.values),
        rmse_interval(predicted, ratings.values, ratings.user),
        mae(predicted, ratings.values),
        by_unknown,
        of_unknown,
    )


def predict_all(model: ScoringModel, test: Dataset) -> F32:
    """Predicted stars of every rating of `test`; what is unknown is the average, float32 (n,)."""
    ratings = test.ratings
    users, items = ratings.user_ids.values[ratings.user], ratings.item_ids.values[ratings.item]
    return model.predict(users, items, ratings.timestamp, unknown="average")


DEPTH = 100  # places of the longest list that a figure looks at
SHORT = 10  # places that fit a screen: for everything beyond accuracy


@dataclass(frozen=True)
class RankingMetrics:
    """How good lists are, by the names of the figures, and over how many users.

    ``hit_rate@10`` and so on are defined in `matinee.evaluation.ranking_metrics`.
    """

    protocol: str
    users: int
    metrics: Mapping[str, MetricValue]
    note: str = ""

    def __getitem__(self, name: str) -> float:
        return self.metrics[name].value

    def as_json(self) -> dict[str, Any]:
        """Plain values with stable keys."""
        metrics = {
            name: {
                "value": finite_or_none(one.value),
                "low": finite_or_none(one.ci_low),
                "high": finite_or_none(one.ci_high),
            }
            for name, one in self.metrics.items()
        }
        return {
            "protocol": self.protocol,
            "users": self.users,
            "note": self.note,
            "metrics": metrics,
        }


@dataclass(frozen=True, eq=False)
class PerUserMetrics:
    """How good each judged user's list is, and how good all of them are together.

    Parameters
    ----------
    task : RankingTask
    values : mapping of str to float64 (users,)
        By the names of the figures, in the order of ``task.users``.
    of_all : mapping of str to float
        Figures of the whole catalogue, which no single list has.
    """

    task: RankingTask
    values: Mapping[str, F64]
    of_all: Mapping[str, float]

    def metrics(self) -> RankingMetrics:
        """Means over the users, with their intervals."""
        metrics = {name: mean_with_interval(values) for name, values in self.values.items()}
        metrics |= {name: MetricValue(value) for name, value in self.of_all.items()}
        return RankingMetrics(self.task.protocol, len(self.task), metrics, self.task.note)


def evaluate_ranking(
    model: ScoringModel, task: RankingTask, *, head: str | None = None
) -> RankingMetrics:
    """Rank every movie for every judged user, and compare with what they went on to watch.

    Parameters
    ----------
    model : ScoringModel
        Trained on ``task.train``.
    task : RankingTask
    head : {"ranking", "rating"}, optional
        Which head makes the lists.

    Examples
    --------
    >>> import matinee
    >>> from matinee.data.synthetic import generate
    >>> from matinee.evaluation.protocols import leave_one_out
    >>> data, _ = generate(users=60, items=50, ratings=1500, seed=0)
    >>> task = leave_one_out(data)
    >>> found = evaluate_ranking(matinee.Popularity().fit(task.train), task)
    >>> found.users, 0 < found["ndcg@10"] < 1
    (60, True)
    """
    return evaluate_ranking_per_user(model, task, head=head).metrics()


def evaluate_ranking_per_user(
    model: ScoringModel, task: RankingTask, *, head: str | None = None
) -> PerUserMetrics:
    """The same as `evaluate_ranking`, user by user.

    Scores are exact and held for a block of users at a time, so memory does not grow with
    the number of users beyond their lists.

    Examples
    --------
    >>> import matinee
    >>> from matinee.data.synthetic import generate
    >>> from matinee.evaluation.protocols import leave_one_out
    >>> data, _ = generate(users=60, items=50, ratings=1500, seed=0)
    >>> task = leave_one_out(data)
    >>> found = evaluate_ranking_per_user(matinee.Popularity().fit(task.train), task)
    >>> found.values["ndcg@10"].shape
    (60,)
    """
    items = len(task.train.catalog)
    width = min(DEPTH, items)
    listed = np.empty((len(task), width), np.int32)
    hits = np.zeros((len(task), width), bool)
    with progress("Judging lists", len(task)) as tick:
        for first, last in user_blocks(len(task), items):
            rows = np.arange(first, last)
            scores = model.scores(_who(task, rows), head=head)
            relevant = take_rows(task.relevant, rows)
            if task.candidates is not None:
                rank = _sampled_rank(scores, take_rows(task.candidates, rows), relevant)
                shown = np.flatnonzero(rank < width)
                hits[first + shown, rank[shown]] = True
            else:
                known = take_rows(task.history, rows)
                _best(scores, known, listed[first:last])
                hits[first:last] = _members(listed[first:last], relevant, items)
            tick(last, "")
    counts = np.diff(task.relevant.indptr)
    values = _accuracy(hits, counts, sampled_negatives=task.candidates is not None)
    if task.candidates is not None:
        return PerUserMetrics(task, values, {})
    short = listed[:, :SHORT]
    return PerUserMetrics(task, values | _beyond_accuracy(short, task), _of_all(short, items))


def _who(task: RankingTask, rows: Ints) -> Any:
    """The judged users as the model is asked: ids of those it knows, else their ratings."""
    if not task.folded_in:
        return task.train.ratings.user_ids.values[task.users[rows]]
    indptr, items, values = take_rows(task.history, rows)
    cuts = indptr[1:-1]
    pairs = zip(np.split(items, cuts), np.split(values, cuts), strict=True)
    return [UserProfile(codes, given) for codes, given in pairs]


def _best(scores: F32, known: Rows, listed: I32) -> None:
    """Fill `listed` with the best movies of each user, but for those they are known by."""
    run_blocks(
        topk_dense,
        uniform_blocks(len(scores)),
        np.ascontiguousarray(scores),
        np.ones(scores.shape[1], bool),
        known.indptr,
        known.indices,
        listed,
        np.empty(listed.shape, np.float32),
    )


def _members(listed: I32, relevant: Rows, items: int) -> Bools:
    """Which places hold a movie of the same row of `relevant`."""
    row = np.repeat(np.arange(len(listed)), np.diff(relevant.indptr))
    wanted = row * items + relevant.indices
    keys = np.arange(len(listed))[:, None] * items + listed
    return np.isin(keys, wanted) & (listed >= 0)


def _sampled_rank(scores: F32, candidates: Rows, relevant: Rows) -> I64:
    """How many other candidates score as high as the one positive, or higher: ties count against.

    A model that scores everything the same would otherwise look perfect.
    """
    row = np.repeat(np.arange(len(scores)), np.diff(candidates.indptr))
    own = scores[np.arange(len(scores)), relevant.indices]
    rivals = scores[row, candidates.indices] >= own[row]
    return np.bincount(row, weights=rivals, minlength=len(scores)).astype(np.int64) - 1


def _accuracy(hits: Bools, counts: I64, sampled_negatives: bool) -> dict[str, F64]:
    def at(k: int) -> int:
        return int(min(k, hits.shape[1]))

    found = {
        "hit_rate@10": lists.hit_rate(hits, at(10)),
        "ndcg@10": lists.ndcg(hits, counts, at(10)),
        f"mrr@{DEPTH}": lists.reciprocal_rank(hits),
    }
    if not sampled_negatives:
        found |= {
            "ndcg@100": lists.ndcg(hits, counts, at(100)),
            "precision@10": lists.precision(hits, at(10)),
            "recall@10": lists.recall(hits, counts, at(10)),
            "recall_capped@20": lists.recall_capped(hits, counts, at(20)),
            "recall_capped@50": lists.recall_capped(hits, counts, at(50)),
            "map@10": lists.average_precision(hits, counts, at(10)),
        }
    return found


def _beyond_accuracy(listed: I32, task: RankingTask) -> dict[str, F64]:
    ratings, catalog = task.train.ratings, task.train.catalog
    counts = ratings.item_counts
    users = int(np.count_nonzero(ratings.user_counts))
    return {
        f"popularity_share@{SHORT}": lists.popularity_share(listed, counts),
        f"novelty@{SHORT}": lists.novelty(listed, counts, users),
        f"diversity@{SHORT}": lists.genre_diversity(listed, catalog.genre_matrix),
    }


def _of_all(listed: I32, items: int) -> dict[str, float]:
    return {
        f"coverage@{SHORT}": lists.coverage(listed, items),
        f"gini@{SHORT}": lists.gini(listed, items),
    }

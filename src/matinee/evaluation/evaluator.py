"""Evaluate a recommender: errors of predicted ratings, and ranking metrics with their intervals.

A model is asked by the ids of users and items alone, as anybody would ask it, so that models that
are not matinee's can be evaluated by the same code.
"""

from typing import Any, Protocol

import numpy as np

from matinee._types import F32, I32, I64, Bools, Ints
from matinee.data.dataset import Dataset
from matinee.data.splits import cold_start_counts
from matinee.errors import SettingError
from matinee.evaluation.metrics import METRICS, TopK, mae, rmse, rmse_interval
from matinee.evaluation.ncf import SAMPLED_METRICS
from matinee.evaluation.protocols import RankingTask, holdout
from matinee.evaluation.results import (
    EvaluationResult,
    PerUserMetrics,
    RankingMetrics,
    RatingMetrics,
)
from matinee.kernels.csr import Rows, take_rows
from matinee.kernels.parallel import run_blocks, uniform_blocks
from matinee.kernels.topk import topk_dense
from matinee.models.profiles import UserBatch, take_moments
from matinee.models.recommender import Recommender
from matinee.models.topk import user_blocks
from matinee.progress import progress

RANKING_METRICS = {name: metric.compute for name, metric in METRICS.items() if metric.compute}
MAX_K = max(METRICS[name].k for name in RANKING_METRICS)  # places of the longest ranking needed


class ScoringModel(Protocol):
    """What evaluation asks of a model: ids in, predictions and scores out."""

    def predict(
        self, users: Any, items: Any, timestamps: Any = None, *, unknown: str = "error"
    ) -> F32:
        """Predicted ratings of pairs of user and item, float32 (n,)."""

    def scores(self, user: Any, *, head: str | None = None) -> F32:
        """What rankings are sorted by, float32 (items,); of several users (users, items)."""


def evaluate(model: Recommender, train: Dataset, test: Dataset) -> EvaluationResult:
    """Evaluate both heads: predicted ratings, and rankings of all items for all test users.

    Rankings are those that `Recommender.recommend` makes by default; any item
    that a test user rated in `test` is relevant. For other tasks see `evaluate_ranking`.

    `model` is trained on `train`; `train` and `test` are the two sets of one split.

    Examples
    --------
    >>> result = evaluate(model, train, test)
    >>> result.rating.n_ratings, result.ranking.protocol
    (150, 'holdout')
    """
    rating = evaluate_ratings(model, train, test) if model.rating_head else None
    task = holdout_or_none(train, test)
    return EvaluationResult(rating, evaluate_ranking(model, task) if task else None)


def evaluate_ratings(model: ScoringModel, train: Dataset, test: Dataset) -> RatingMetrics:
    """Predict every rating of `test` and compare; `model` is trained on `train`.

    Examples
    --------
    >>> evaluate_ratings(model, train, test).n_ratings
    150
    """
    ratings, predicted = test.ratings, predict_all(model, test)
    by_new_users, of_new_items = cold_start_counts(train.ratings, ratings)
    return RatingMetrics(
        len(ratings),
        rmse(predicted, ratings.values),
        rmse_interval(predicted, ratings.values, ratings.user),
        mae(predicted, ratings.values),
        by_new_users,
        of_new_items,
    )


def predict_all(model: ScoringModel, test: Dataset) -> F32:
    """Predicted ratings for every rating of `test`, float32 (n,); unknown ids get averages."""
    return model.predict(*rated_pairs(test), unknown="average")


def rated_pairs(test: Dataset) -> tuple[Any, Any, I64 | None]:
    """User ids, item ids and timestamps of the ratings of `test`, as a model is asked by them."""
    ratings = test.ratings
    users, items = ratings.user_ids.values[ratings.user], ratings.item_ids.values[ratings.item]
    return users, items, ratings.timestamp


def holdout_or_none(train: Dataset, test: Dataset) -> RankingTask | None:
    """The task of `holdout`; None if it has no users."""
    try:
        return holdout(train, test)
    except SettingError:
        return None


def evaluate_ranking(
    model: ScoringModel, task: RankingTask, *, head: str | None = None
) -> RankingMetrics:
    """Rank all items for every test user, and compare with the items that are relevant to them.

    `model` is trained on ``task.train``; for tasks see `holdout`, `leave_one_out`, `temporal`,
    `strong_generalization`, `sampled_negatives`, `cold_items`, `cold_users`. By
    default what lists are made by ranks.

    Examples
    --------
    >>> from matinee.evaluation import leave_one_out
    >>> task = leave_one_out(data)
    >>> result = evaluate_ranking(matinee.Popularity().fit(task.train), task)
    >>> result.n_users, 0 < result["ndcg@10"] < 1
    (60, True)
    """
    return evaluate_ranking_per_user(model, task, head=head).mean()


def evaluate_ranking_per_user(
    model: ScoringModel, task: RankingTask, *, head: str | None = None
) -> PerUserMetrics:
    """The same as `evaluate_ranking`, user by user.

    Scores are exact and held for a block of users at a time: memory grows with the number of users
    by their rankings alone.

    Examples
    --------
    >>> evaluate_ranking_per_user(model, holdout(train, test)).values["ndcg@10"].shape
    (50,)
    """
    top = top_of_task(model, task, head=head)
    names = defined_metrics(task)
    computed = {name: RANKING_METRICS[name](top.first(METRICS[name].k)) for name in names}
    catalog = {name: value for name, value in computed.items() if isinstance(value, float)}
    values = {name: value for name, value in computed.items() if not isinstance(value, float)}
    return PerUserMetrics(task, values, catalog)


def top_of_task(model: ScoringModel, task: RankingTask, *, head: str | None = None) -> TopK:
    """The rankings of a task's users, as far as metrics look at them."""
    n_items = len(task.train.catalog)
    width = min(MAX_K, n_items)
    items = np.full((len(task), width), -1, np.int32)
    ratings = np.full((len(task), width), np.nan, np.float32)
    with progress("Evaluating ranking", len(task)) as tick:
        for first, last in user_blocks(len(task), n_items):
            rows = np.arange(first, last)
            scores = model.scores(_queries(task, rows), head=head)
            relevant = take_rows(task.relevant, rows)
            if task.candidates is not None:
                rank = _sampled_rank(scores, take_rows(task.candidates, rows), relevant)
                within = np.flatnonzero(rank < width)
                ratings[first + within, rank[within]] = relevant.values[within]
            else:
                _fill_top(scores, take_rows(task.history, rows), task.ranked, items[first:last])
                ratings[first:last] = _test_ratings(items[first:last], relevant, n_items)
            tick(last, "")
    return TopK(items, ratings, task)


def defined_metrics(task: RankingTask) -> list[str]:
    """The ranking metrics that make sense for the task, in the order of `METRICS`."""
    names = RANKING_METRICS if task.candidates is None else SAMPLED_METRICS
    rated = task.train.ratings.differ
    return [name for name in names if rated or not METRICS[name].needs_ratings]


def _queries(task: RankingTask, rows: Ints) -> Any:
    """How the model is asked for these test users: ids of users it knows, else their ratings."""
    if not task.folded_in:
        return task.train.ratings.user_ids.values[task.users[rows]]
    known = task.train.users
    features = take_rows(known.features, task.users[rows]) if known.groups else None
    moments = take_moments(task.history, task.moments, rows)
    new = np.full(len(rows), -1, np.int32)
    return list(UserBatch(new, take_rows(task.history, rows), features, moments).profiles())


def _fill_top(scores: F32, history: Rows, ranked: Bools | None, items: I32) -> None:
    """Fill `items` with the best-scored items of each user that are not in their history."""
    run_blocks(
        topk_dense,
        uniform_blocks(len(scores)),
        np.ascontiguousarray(scores),
        np.ones(scores.shape[1], bool) if ranked is None else ranked,
        history.indptr,
        history.indices,
        items,
        np.empty(items.shape, np.float32),
    )


def _test_ratings(items: I32, relevant: Rows, n_items: int) -> F32:
    """The test rating of each place that holds an item of the same row of `relevant`, else nan."""
    row = np.repeat(np.arange(len(items)), np.diff(relevant.indptr))
    relevant_keys = row * n_items + relevant.indices  # ascending
    keys = np.arange(len(items))[:, None] * n_items + items
    place = np.minimum(np.searchsorted(relevant_keys, keys), len(relevant_keys) - 1)
    found = (relevant_keys[place] == keys) & (items >= 0)
    return np.where(found, relevant.values[place], np.float32(np.nan))


def _sampled_rank(scores: F32, candidates: Rows, relevant: Rows) -> I64:
    """How many other candidates score as high as the one positive, or higher: ties count against.

    A model that scores everything the same would otherwise look perfect.
    """
    row = np.repeat(np.arange(len(scores)), np.diff(candidates.indptr))
    positive = scores[np.arange(len(scores)), relevant.indices]
    not_below = scores[row, candidates.indices] >= positive[row]
    return np.bincount(row, weights=not_below, minlength=len(scores)).astype(np.int64) - 1

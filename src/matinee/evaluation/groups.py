"""Metrics for groups of users by activity, and of items by popularity."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from matinee._types import F32, I32, I64, Bools
from matinee.data.dataset import Dataset
from matinee.data.ratings import Ratings
from matinee.evaluation.evaluator import evaluate_ranking, holdout_or_none, predict_all
from matinee.evaluation.metrics import rmse, rmse_interval
from matinee.evaluation.protocols import RankingTask
from matinee.evaluation.uncertainty import MetricValue
from matinee.kernels.csr import filter_entries, row_of_entries
from matinee.models.recommender import Recommender

N_GROUPS = 4  # of users, and of items
GROUP_METRIC = {"users": "ndcg@10", "items": "recall_capped@20"}
"""The ranking metric of a group."""


@dataclass(frozen=True)
class GroupMetrics:
    """How good predictions and rankings are for one group of users or items.

    It has `size` members, each with `min_ratings` to `max_ratings` training ratings. `test_ratings`
    are by these users, or of these items. `rmse` is None without a rating head or without test
    ratings. `ranking` is NDCG@10 for users; for items Recall@20 (capped) when only these items are
    relevant; None if there is no test user.
    """

    side: Literal["users", "items"]
    min_ratings: int
    max_ratings: int
    size: int
    test_ratings: int
    rmse: MetricValue | None
    ranking: MetricValue | None


def evaluate_groups(
    model: Recommender, train: Dataset, test: Dataset, *, task: RankingTask | None = None
) -> list[GroupMetrics]:
    """Errors and ranking metrics for users by activity, then for items by popularity.

    Users (and items) with training ratings are divided into four groups as equal as ties allow,
    those with the fewest ratings first; those without any are a group of their own before them.

    `train` and `test` are the two sets of the split that `model` was trained with; rankings are
    evaluated on `task`, by default `holdout` with all test users.

    Examples
    --------
    >>> groups = evaluate_groups(model, train, test)
    >>> sum(group.test_ratings for group in groups if group.side == "users")
    150
    """
    task = task or holdout_or_none(train, test)
    predicted = predict_all(model, test) if model.rating_head else None
    groups = []
    sides: dict[Literal["users", "items"], tuple[I64, I32]] = {
        "users": (train.ratings.user_counts, test.ratings.user),
        "items": (train.ratings.item_counts, test.ratings.item),
    }
    for side, (counts, owner) in sides.items():
        for members in _groups(counts):
            of_group = members[owner]
            group_task = _task_of_group(task, side, members) if task else None
            groups.append(
                GroupMetrics(
                    side,
                    int(counts[members].min()),
                    int(counts[members].max()),
                    int(members.sum()),
                    int(of_group.sum()),
                    _rmse(predicted, test.ratings, of_group),
                    evaluate_ranking(model, group_task).metrics[GROUP_METRIC[side]]
                    if group_task
                    else None,
                )
            )
    return groups


def _groups(counts: I64) -> Iterator[Bools]:
    """Masks of those without ratings, and of quarters of the others by their number of ratings.

    Ties are in one group: the one that their midpoint falls into.
    """
    if (counts == 0).any():
        yield counts == 0
    levels, sizes = np.unique(counts[counts > 0], return_counts=True)
    midpoints = np.cumsum(sizes) - sizes / 2
    group = np.floor(N_GROUPS * midpoints / sizes.sum()).astype(np.int64)
    for number in np.unique(group):
        yield np.isin(counts, levels[group == number])


def _rmse(predicted: F32 | None, ratings: Ratings, rows: Bools) -> MetricValue | None:
    if predicted is None or not rows.any():
        return None
    pairs = predicted[rows], ratings.values[rows]
    return MetricValue(rmse(*pairs), *(rmse_interval(*pairs, ratings.user[rows]) or ()))


def _task_of_group(task: RankingTask, side: str, members: Bools) -> RankingTask | None:
    """The task of these users, or with only these items relevant; None if no user is left."""
    if side == "items":
        relevant = members[task.relevant.indices]
        rows = np.unique(row_of_entries(task.relevant)[relevant])
        task = replace(task, relevant=filter_entries(task.relevant, relevant))
    else:
        rows = np.flatnonzero(members[task.users])
    return task.take(rows) if len(rows) else None

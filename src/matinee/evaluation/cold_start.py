"""Protocols of cold start: whole items, or whole users, of which training has not seen anything.

What a model knows of them is their attributes.
"""

from dataclasses import replace

import numpy as np

from matinee._types import F64, I32, Bools
from matinee.data.dataset import Dataset
from matinee.errors import SettingError
from matinee.evaluation.protocols import (
    RankingTask,
    holdout,
    is_positive,
    random_generator,
    subset,
)
from matinee.kernels.csr import Rows, take_rows

FRACTION = 0.1  # of the items, or the users, by default
K = 10  # of the random order that is told for comparison


def cold_items(
    dataset: Dataset,
    *,
    fraction: float = FRACTION,
    min_rating: float | None = None,
    seed: int = 0,
) -> RankingTask:
    """Find the new items that a user rated, among new items alone.

    All ratings of a `fraction` of the rated items are held out, and only these items are ranked,
    for users with ratings of others: a model has their attributes to go by.

    Examples
    --------
    >>> task = cold_items(data, fraction=0.2)
    >>> int(task.ranked.sum()), int(task.train.ratings.item_counts[task.ranked].sum())
    (10, 0)
    """
    ratings = dataset.ratings
    items = _draw(ratings.item_counts > 0, fraction, seed, "items")
    held_out = np.isin(ratings.item, items)
    train, test = subset(dataset, ~held_out), subset(dataset, held_out)
    task = holdout(train, test, min_rating=min_rating)
    return replace(
        task,
        protocol="cold-items",
        ranked=np.isin(np.arange(len(dataset.catalog)), items),
        note=_random_order(task.relevant, len(items)),
    )


def cold_users(
    dataset: Dataset,
    *,
    fraction: float = FRACTION,
    min_rating: float | None = None,
    seed: int = 0,
) -> RankingTask:
    """Find what new users rated, of whom only attributes are known.

    All ratings of a `fraction` of the users are held out. SettingError if the data say nothing of
    users beside ratings.

    Examples
    --------
    >>> import polars as pl
    >>> from matinee.data import read
    >>> rows = [(user, item) for user in range(20) for item in range(user % 5, 8)]
    >>> ages = pl.DataFrame({"user": range(20), "age": range(20, 40)})
    >>> of_ages = read(pl.DataFrame(rows, schema=["user", "item"], orient="row"), users=ages)
    >>> task = cold_users(of_ages)
    >>> len(task), int(task.history.indptr[-1])
    (2, 0)
    """
    ratings = dataset.ratings
    if not dataset.users.groups:
        raise SettingError(
            f"{dataset.name}: nothing is known of users beside their {dataset.unit}s; give a table "
            "of users."
        )
    users = _draw((ratings.user_counts > 0) & dataset.users.known, fraction, seed, "users")
    held_out = np.isin(ratings.user, users)
    train, test = subset(dataset, ~held_out), subset(dataset, held_out)
    relevant = test.ratings.take(is_positive(test.ratings, min_rating)).by_user
    users = users[np.diff(relevant.indptr)[users] > 0]
    relevant = take_rows(relevant, users)
    return RankingTask(
        protocol="cold-users",
        train=train,
        users=users,
        history=take_rows(train.ratings.by_user, users),
        folded_in=True,
        relevant=relevant,
        note=_random_order(relevant, len(dataset.catalog)),
        test=test,
    )


def _draw(eligible: Bools, fraction: float, seed: int, noun: str) -> I32:
    """Some of the eligible rows, ascending."""
    if not 0 < fraction < 1:
        raise SettingError(f"fraction must be between 0 and 1, got {fraction:g}.")
    rows = np.flatnonzero(eligible)
    n = round(len(rows) * fraction)
    if not 0 < n < len(rows):
        raise SettingError(f"{len(rows)} {noun} are too few to hold out a part of them.")
    return np.sort(random_generator(seed).choice(rows, n, replace=False)).astype(np.int32)


def _random_order(relevant: Rows, n_ranked: int) -> str:
    """What NDCG a random order is expected to reach, in words."""
    counts = np.diff(relevant.indptr)
    gains: F64 = 1 / np.log2(np.arange(2, min(K, n_ranked) + 2))
    ideal = np.cumsum(gains)[np.minimum(counts, len(gains)) - 1]
    expected = float(np.mean(counts / n_ranked * gains.sum() / ideal)) if len(counts) else 0.0
    return f"A random order is expected to reach NDCG@{K} {expected:.4f}."

"""Which ratings to hold out, as masks. The same seed gives the same mask everywhere."""

from collections.abc import Iterator, Mapping

import numpy as np

from matinee._types import I32, I64, Bools
from matinee.data.ratings import Ratings
from matinee.errors import SettingError


def random(n: int, fraction: float, seed: int) -> Bools:
    """A random `fraction` of n ratings, rounded to the nearest whole number."""
    _check_fraction(fraction)
    return _mask(n, _shuffled(n, seed)[: round(n * fraction)])


def folds(n: int, k: int, seed: int) -> Iterator[Bools]:
    """k disjoint masks of n ratings that together cover all; sizes differ by one at most."""
    if not 2 <= k <= n:
        raise SettingError(f"{n:,} ratings cannot be cut into {k:,} folds; take 2 to {n:,}.")
    order = _shuffled(n, seed)
    return (_mask(n, order[fold::k]) for fold in range(k))


def disjoint(masks: Mapping[str, Bools]) -> list[str]:
    """Names of masks that together hold every rating once; none if there are no such masks.

    In order, those that share nothing with the ones before.

    Examples
    --------
    >>> disjoint({"u1": np.array([True, False]), "ua": np.array([True, True])})
    []
    >>> disjoint({"u1": np.array([True, False]), "u2": np.array([False, True])})
    ['u1', 'u2']
    """
    names: list[str] = []
    covered = np.zeros(len(next(iter(masks.values()), ())), bool)
    for name, mask in masks.items():
        if not (covered & mask).any():
            names.append(name)
            covered |= mask
    return names if covered.all() else []


def last(ratings: Ratings, count: int) -> Bools:
    """The latest `count` ratings of each user with more than that; ties go by row."""
    if count < 1:
        raise SettingError(f"At least the last 1 rating is held out, not {count}.")
    timestamp = _timestamps(ratings)
    order = np.lexsort((timestamp, ratings.user))  # stable: rows of one second keep their order
    counts = ratings.user_counts
    from_end = np.repeat(np.cumsum(counts), counts) - np.arange(len(ratings))
    holdout = (from_end <= count) & (np.repeat(counts, counts) > count)
    mask = np.zeros(len(ratings), bool)
    mask[order[holdout]] = True
    return mask


def temporal(ratings: Ratings, fraction: float) -> Bools:
    """The latest ratings: at most `fraction` of all.

    Ratings of the same second stay together, so that training never sees the test's present;
    where many share the second at the border, the test part is smaller by as many.
    """
    _check_fraction(fraction)
    timestamp = _timestamps(ratings)
    keep = max(1, len(ratings) - round(len(ratings) * fraction))
    moment = np.partition(timestamp, keep - 1)[keep - 1]
    return np.asarray(timestamp > moment)


def unknown(train: Ratings, test: Ratings) -> tuple[int, int]:
    """How many test ratings are by users, and how many of movies, without a training rating."""
    users = (train.user_counts == 0)[test.user]
    items = (train.item_counts == 0)[test.item]
    return int(users.sum()), int(items.sum())


def _shuffled(n: int, seed: int) -> I32:
    """The numbers below n as `Generator.permutation` orders them, in half of its memory."""
    if seed < 0:
        raise SettingError(f"A seed is a whole number from 0 on, not {seed}.")
    order = np.arange(n, dtype=np.int32)
    np.random.default_rng(seed).shuffle(order)
    return order


def _mask(n: int, rows: I32) -> Bools:
    mask = np.zeros(n, bool)
    mask[rows] = True
    return mask


def _check_fraction(fraction: float) -> None:
    if not 0 < fraction < 1:
        raise SettingError(f"A test fraction lies between 0 and 1, not at {fraction:g}.")


def _timestamps(ratings: Ratings) -> I64:
    if ratings.timestamp is None:
        raise SettingError("These ratings have no timestamps, so there is no split by time.")
    return ratings.timestamp

"""Which ratings form the test set, as boolean masks that depend on data and seed alone."""

from collections.abc import Iterator, Mapping

import numpy as np

from matinee._types import I32, I64, Bools
from matinee.data.ratings import Ratings
from matinee.errors import SettingError, shortened

METHODS = ("random", "leave-last-out", "temporal")


def random(n: int, fraction: float, seed: int) -> Bools:
    """A random `fraction` of n ratings, rounded to the nearest whole number."""
    _check_fraction(fraction)
    return _mask(n, _shuffled(n, seed)[: round(n * fraction)])


def folds(n: int, k: int, seed: int) -> Iterator[Bools]:
    """k disjoint masks of n ratings that together cover all; sizes differ by one at most."""
    if not 2 <= k <= n:
        raise SettingError(
            f"The number of folds must be between 2 and {n:,} (the number of ratings), got {k:,}."
        )
    order = _shuffled(n, seed)
    return (_mask(n, order[fold::k]) for fold in range(k))


def disjoint(masks: Mapping[str, Bools]) -> list[str]:
    """Names of masks (the first that do not overlap) that hold each rating once, or none."""
    names: list[str] = []
    covered = np.zeros(len(next(iter(masks.values()), ())), bool)
    for name, mask in masks.items():
        if not (covered & mask).any():
            names.append(name)
            covered |= mask
    return names if covered.all() else []


def leave_last_out(ratings: Ratings, last: int) -> Bools:
    """The `last` latest ratings of each user with more than that; ties are broken by row."""
    if last < 1:
        raise SettingError(f"last must be ≥ 1, got {shortened(last)}.")
    timestamp = _timestamps(ratings)
    order = np.lexsort((timestamp, ratings.user))  # stable: rows of one second keep their order
    counts = ratings.user_counts
    from_end = np.repeat(np.cumsum(counts), counts) - np.arange(len(ratings))
    held_out = (from_end <= last) & (np.repeat(counts, counts) > last)
    return _mask(len(ratings), order[held_out])


def temporal(ratings: Ratings, fraction: float) -> Bools:
    """The latest ratings, at most `fraction` of all: those of the same second stay together."""
    _check_fraction(fraction)
    timestamp = _timestamps(ratings)
    n_train = max(1, len(ratings) - round(len(ratings) * fraction))
    last_second = np.partition(timestamp, n_train - 1)[n_train - 1]
    return np.asarray(timestamp > last_second)


def cold_start_counts(train: Ratings, test: Ratings) -> tuple[int, int]:
    """How many test ratings are by users, and how many of items, without a training rating."""
    users, items = (train.user_counts == 0)[test.user], (train.item_counts == 0)[test.item]
    return int(users.sum()), int(items.sum())


def _shuffled(n: int, seed: int) -> I32:
    """The numbers below n as `Generator.permutation` orders them, in half of its memory."""
    if seed < 0:
        raise SettingError(f"seed must be ≥ 0, got {shortened(seed)}.")
    order = np.arange(n, dtype=np.int32)
    np.random.default_rng(seed).shuffle(order)
    return order


def _mask(n: int, rows: I32 | I64) -> Bools:
    mask = np.zeros(n, bool)
    mask[rows] = True
    return mask


def _check_fraction(fraction: float) -> None:
    if not 0 < fraction < 1:
        raise SettingError(f"test_fraction must be > 0 and < 1, got {fraction:g}.")


def _timestamps(ratings: Ratings) -> I64:
    if ratings.timestamp is None:
        raise SettingError("These ratings have no timestamps, so they cannot be split by time.")
    return ratings.timestamp

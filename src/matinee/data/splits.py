"""Which ratings form the test set, as boolean masks that depend on data and seed alone."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from matinee._types import I32, I64, U64, Bools
from matinee.data.ratings import Ratings
from matinee.errors import SettingError, shortened

METHODS = ("random", "leave-last-out", "temporal", "hashed")


def random(n: int, fraction: float, seed: int) -> Bools:
    """A random `fraction` of n ratings, rounded to the nearest whole number."""
    check_fraction(fraction)
    return _mask(n, _shuffled(n, seed)[: round(n * fraction)])


def hashed(ratings: Ratings, fraction: float, seed: int) -> Bools:
    """About a `fraction`, by a hash of seed, user id and item id: however data grow, a pair stays
    in the set that it is in.
    """
    check_fraction(fraction)
    users = hashes(ratings.user_ids.values.to_list(), f"user {seed}")
    items = hashes(ratings.item_ids.values.to_list(), f"item {seed}")
    return chosen(users[ratings.user], items[ratings.item], fraction)


def chosen(users: U64, items: U64, fraction: float) -> Bools:
    """Which pairs are in the test set of `hashed`, by the `hashes` of user and item of each."""
    # the steps by which SplitMix64 makes a number of a state (Steele, Lea and Flood 2014)
    mixed = users + items
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return np.asarray(mixed >> np.uint64(11) < round(fraction * 2**53))


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
    timestamp = ratings.timestamp_for("A split by time")
    order = np.lexsort((timestamp, ratings.user))  # stable: rows of one second keep their order
    counts = ratings.user_counts
    from_end = np.repeat(np.cumsum(counts), counts) - np.arange(len(ratings))
    held_out = (from_end <= last) & (np.repeat(counts, counts) > last)
    return _mask(len(ratings), order[held_out])


def temporal(ratings: Ratings, fraction: float) -> Bools:
    """The latest ratings, at most `fraction` of all: those of the same second stay together."""
    check_fraction(fraction)
    timestamp = ratings.timestamp_for("A split by time")
    n_train = max(1, len(ratings) - round(len(ratings) * fraction))
    last_second = np.partition(timestamp, n_train - 1)[n_train - 1]
    return np.asarray(timestamp > last_second)


def cold_start_counts(train: Ratings, test: Ratings) -> tuple[int, int]:
    """How many test ratings are by users, and how many of items, without a training rating."""
    users, items = (train.user_counts == 0)[test.user], (train.item_counts == 0)[test.item]
    return int(users.sum()), int(items.sum())


def hashes(ids: Sequence[int | str], salt: str) -> U64:
    """A number for each id, the same for 42 as for "42"."""
    begun = hashlib.blake2b(salt.encode(), digest_size=8)
    numbers = np.empty(len(ids), np.uint64)
    for place, each in enumerate(ids):
        digest = begun.copy()
        digest.update(b"\0" + str(each).encode())
        numbers[place] = int.from_bytes(digest.digest(), "little")
    return numbers


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


def check_fraction(fraction: float) -> None:
    """SettingError for a fraction that is no part of the whole."""
    if not 0 < fraction < 1:
        raise SettingError(f"test_fraction must be > 0 and < 1, got {fraction:g}.")

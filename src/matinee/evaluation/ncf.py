"""The protocol of the NCF paper: one held-out item ranked among sampled negatives.

He et al. 2017, "Neural collaborative filtering". For comparison with papers that use it only.
"""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from matinee._types import I32, I64, Bools
from matinee.data.dataset import Dataset
from matinee.data.ratings import Ratings
from matinee.errors import DataError, SettingError, shortened
from matinee.evaluation.protocols import (
    RankingTask,
    holdout,
    leave_one_out,
    random_generator,
    subset,
)
from matinee.kernels.csr import Rows, pair_keys, take_rows
from matinee.storage.regular import read_regular

SAMPLED_METRICS = ("ndcg@10", "hit_rate@10", "mrr@100")
"""What is computed of ranks among sampled negatives."""
CAVEAT = (
    "Ranked among sampled items only: compare with papers that do the same, and select no model "
    "by it (Krichene & Rendle 2020)."
)
USERS_AT_ONCE = 10_000
MAX_BYTES = 2**30  # of a file; those of 200,000 users have an eighth of it

# eighteen digits always fit int64
RATING_LINE = re.compile(
    r"([0-9]{1,18})\t([0-9]{1,18})\t([0-9]{1,9}(?:\.[0-9]{1,9})?)\t([0-9]{1,18})"
)
NEGATIVES_LINE = re.compile(r"\(([0-9]{1,18}),([0-9]{1,18})\)((?:\t[0-9]{1,18}){99})")
WRONG_DATA = "Read the data set that the files were made from, in the order of its ratings file."
WRONG_FILES = "Get fresh copies of both files."


def sampled_negatives(dataset: Dataset, *, negatives: int = 99, seed: int = 0) -> RankingTask:
    """Rank each user's last item among items drawn at random that they never rated.

    The protocol of the NCF paper (He et al. 2017), for comparison with papers that use it only:
    ranks among a few sampled items can order models differently than ranks among all (Krichene &
    Rendle 2020, "On sampled metrics for item recommendation"). Users with a single rating are left
    out; the values of ratings make no difference.

    For each user as many `negatives` are drawn, uniformly and without repetition, among the items
    that others rated but they did not; all of these, where there are fewer.

    Examples
    --------
    >>> task = sampled_negatives(data, negatives=9)
    >>> task.candidates.indptr[:4].tolist()
    [0, 10, 20, 30]
    """
    if negatives < 1:
        raise SettingError(f"negatives must be >= 1, got {shortened(negatives)}.")
    rng = random_generator(seed)
    task = leave_one_out(dataset)
    rated_items = np.flatnonzero(dataset.ratings.item_counts).astype(np.int32)
    rows = [np.arange(len(task))]
    items = [task.relevant.indices]  # one for each user
    for start in range(0, len(task), USERS_AT_ONCE):
        rated = take_rows(dataset.ratings.by_user, task.users[start : start + USERS_AT_ONCE])
        row, item = _draw_unrated(rated, rated_items, negatives, rng)
        rows.append(row + start)
        items.append(item)
    return _with_candidates(task, np.concatenate(rows), np.concatenate(items))


def read_negatives(dataset: Dataset, folder: str | Path, name: str = "ml-1m") -> RankingTask:
    """The task of `sampled_negatives` with the negatives that the NCF paper's authors published.

    Their files number users and items from 0 in the order of their first appearance in the ratings
    file. In some rows the positive is among its own negatives: there it is simply one candidate. A
    user whose only rating is the test rating is left out. Raises DataError if a file is missing or
    malformed, or does not belong to the data set.

    `dataset` must have all ratings, in the order of the ratings file. `folder` holds
    ``{name}.test.rating`` (user, item, rating, timestamp) and ``{name}.test.negative``
    (``(user,item)`` and 99 items), tab-separated.
    """
    path, negative_path = Path(folder, f"{name}.test.rating"), Path(folder, f"{name}.test.negative")
    timestamp = dataset.ratings.timestamp
    if timestamp is None:
        raise DataError(f"{path.name}, line 1: {dataset.name} has no timestamps. {WRONG_DATA}")
    lines = _parse(path, RATING_LINE, "user, item, rating, timestamp")
    rows, user, item = _find_test_ratings(dataset, timestamp, path, lines)
    negatives = _read_negative_items(dataset, negative_path, lines)
    rated = _find(dataset.ratings, user[:, None], negatives)[1]
    rated &= np.not_equal(negatives, item[:, None])
    _refuse(negative_path, rated, f"the user rated one of the 99 items. {WRONG_DATA}")
    is_test = np.isin(np.arange(len(dataset.ratings)), rows)
    task = holdout(subset(dataset, ~is_test), subset(dataset, is_test))
    row = np.searchsorted(task.users, user).clip(max=len(task) - 1)
    has_history = task.users[row] == user
    candidate_items = np.column_stack((item, negatives))[has_history]
    owner = np.repeat(row[has_history], candidate_items.shape[1])
    return _with_candidates(task, owner, candidate_items.ravel())


def _find_test_ratings(
    dataset: Dataset, timestamp: I64, path: Path, lines: list[re.Match[str]]
) -> tuple[I64, I32, I32]:
    """(row among the ratings, user, item) of each published test rating."""
    ratings = dataset.ratings
    users, items = _by_first_appearance(ratings.user), _by_first_appearance(ratings.item)
    user, item = (np.array([int(line[group]) for line in lines]) for group in (1, 2))
    unknown = (user >= len(users)) | (item >= len(items))
    _refuse(path, unknown, f"{dataset.name} has no such user or item. {WRONG_DATA}")
    repeated = np.ones(len(user), bool)
    repeated[np.unique(user, return_index=True)[1]] = False
    _refuse(path, repeated, f"a second test rating of the same user. {WRONG_FILES}")
    user, item = users[user], items[item]
    rows, exists = _find(ratings, user, item)
    exists &= ratings.values[rows] == np.array([line[3] for line in lines], np.float32)
    exists &= timestamp[rows] == np.array([int(line[4]) for line in lines])
    _refuse(path, ~exists, f"{dataset.name} has no such rating. {WRONG_DATA}")
    return rows, user, item


def _read_negative_items(dataset: Dataset, path: Path, ratings: list[re.Match[str]]) -> I32:
    """The 99 items of each published test rating, int32 (ratings, 99)."""
    lines = _parse(path, NEGATIVES_LINE, "(user,item) and 99 items")
    rating_file = path.with_suffix(".rating").name
    if len(lines) != len(ratings):
        raise DataError(
            f"{path.name}, line {min(len(lines), len(ratings)) + 1}: {len(lines):,} lines for the "
            f"{len(ratings):,} ratings of {rating_file}. {WRONG_FILES}"
        )
    pairs = zip(lines, ratings, strict=True)
    mismatch = np.array([line.group(1, 2) != rating.group(1, 2) for line, rating in pairs])
    _refuse(path, mismatch, f"not the user and item of that line of {rating_file}. {WRONG_FILES}")
    items = _by_first_appearance(dataset.ratings.item)
    number = np.array([line[3].split() for line in lines], np.int64)
    _refuse(path, number >= len(items), f"{dataset.name} has not so many items. {WRONG_DATA}")
    return items[number]


def _with_candidates(task: RankingTask, row: I64, item: I32) -> RankingTask:
    """The task with these candidates, given in any order; duplicates are kept once."""
    n_items = len(task.train.ratings.item_ids)
    keys = np.sort(row * n_items + item)  # np.unique would hash, at a tenth of the speed
    keys = keys[np.append(True, keys[1:] != keys[:-1])]
    indptr = np.searchsorted(keys // n_items, np.arange(len(task) + 1)).astype(np.int64)
    candidates = Rows(indptr, (keys % n_items).astype(np.int32), np.zeros(len(keys), np.float32))
    return replace(task, protocol="sampled-negatives", candidates=candidates, note=CAVEAT)


def _draw_unrated(rated: Rows, pool: I32, n: int, rng: np.random.Generator) -> tuple[I64, I32]:
    """(row, item) of up to `n` different items of `pool` for each row, none of them `rated`.

    `pool` ascends and holds all that is rated. Numbers are drawn among as many as the row has
    not rated, by Floyd's algorithm for all rows at once, and only then turned into items: long
    rows cost no more than short ones, and there is no table of rows by items.
    """
    counts = np.diff(rated.indptr)
    unrated = len(pool) - counts
    drawn = np.full((n, len(counts)), -1)
    for step in range(n):
        highest = unrated - n + step  # negative for as many steps as there are too few items
        number = rng.integers(0, highest.clip(min=0) + 1)
        taken = (drawn[:step] == number).any(axis=0)
        drawn[step] = np.where(highest < 0, -1, np.where(taken, highest, number))
    row, step_of = np.nonzero(drawn.T >= 0)
    number = drawn[step_of, row]
    # the k-th rated item at position p of the pool has p - k unrated ones before it
    position = np.searchsorted(pool, rated.indices)
    unrated_before = position - (np.arange(len(position)) - np.repeat(rated.indptr[:-1], counts))
    # rows one after another on one axis, so that a single search serves all
    stride = len(pool) + 1
    axis = np.repeat(np.arange(len(counts)), counts) * stride + unrated_before
    rated_before = np.searchsorted(axis, row * stride + number, side="right") - rated.indptr[row]
    return row, pool[number + rated_before]


def _by_first_appearance(codes: I32) -> I32:
    """The distinct codes in the order in which they first appear."""
    distinct, first = np.unique(codes, return_index=True)
    return distinct[np.argsort(first)]


def _find(ratings: Ratings, user: I32, item: I32) -> tuple[I64, Bools]:
    """The position of each pair among the ratings, and whether it is there at all."""
    n_items = len(ratings.item_ids)
    keys = pair_keys(ratings.user, ratings.item, n_items)
    order = np.argsort(keys)
    wanted = pair_keys(user, item, n_items)
    rows = order[np.searchsorted(keys, wanted, sorter=order).clip(max=len(keys) - 1)]
    return rows, keys[rows] == wanted


def _parse(path: Path, pattern: re.Pattern[str], columns: str) -> list[re.Match[str]]:
    """A match for each line of a file; DataError for the first that does not match."""
    try:
        # undecodable bytes are then refused with their line
        text = read_regular(path, MAX_BYTES).decode("utf-8", "replace").replace("\r\n", "\n")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from None
    if not text:
        raise DataError(f"{path.name}, line 1: the file is empty. {WRONG_FILES}")
    matches = [pattern.fullmatch(line) for line in text.removesuffix("\n").split("\n")]
    malformed = np.array([match is None for match in matches])
    _refuse(path, malformed, f"must be {columns}, as tab-separated numbers. {WRONG_FILES}")
    return [match for match in matches if match]


def _refuse(path: Path, bad: Bools, reason: str) -> None:
    """DataError with the first line in which anything is bad."""
    lines = np.nonzero(bad)[0]
    if len(lines):
        raise DataError(f"{path.name}, line {lines[0] + 1}: {reason}")

"""Which items may be listed, and the best of them for many users at once."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from matinee._types import F32, I32, Bools, Ints
from matinee.errors import SettingError, check_whole, shortened
from matinee.kernels.csr import Rows, row_of_entries, take_rows
from matinee.kernels.parallel import balanced_blocks, run_blocks, uniform_blocks
from matinee.kernels.topk import topk_dense, topk_pairs
from matinee.models.blended_head import BlendedHead
from matinee.models.cosine_head import CosineHead
from matinee.models.head import Head
from matinee.models.profiles import UserBatch
from matinee.models.queries import TrainingIndex
from matinee.models.ranking_heads import FactorRankingHead
from matinee.models.rating_head import FactorRatingHead
from matinee.progress import progress

BLOCK = 8_000_000  # numbers held at a time: 32 MB

ProductHead = FactorRatingHead | FactorRankingHead | BlendedHead | CosineHead
"""The heads whose scores are products of rows."""


def allowed_items(
    index: TrainingIndex,
    include: Any,
    exclude: Any,
    where: Mapping[str, Any] | None,
    min_ratings: int,
) -> Bools:
    """Mask of the items that pass all filters of `Recommender.recommend`, (items,)."""
    if not (where is None or isinstance(where, Mapping)):
        problem = f"got {shortened(where)}"
        raise SettingError(f"where must be a dict from attributes to values, {problem}.")
    check_whole("min_ratings", min_ratings, 0)
    catalog = index.catalog
    allowed = np.full(len(catalog), include is None)
    for items, listed in ((include, True), (exclude, False)):
        if items is not None:
            allowed[index.items(items)] = listed
    if min_ratings > 0:
        allowed &= index.item_counts >= min_ratings
    for name, wanted in (where or {}).items():
        allowed &= catalog.attributes.matching(name, wanted)
    return allowed


def top_items(
    head: Head, batch: UserBatch, allowed: Bools, hidden: Rows, n: int, offsets: F32 | None = None
) -> tuple[I32, F32]:
    """Indices (-1: none left) and scores of the n best items of each user, ties by index.

    `hidden` has the items, ascending, that each user is not to see; `offsets`, (items,), are added
    to the scores of all users.
    """
    users = len(batch)
    n = min(n, max(1, int(np.count_nonzero(allowed))))
    factors = head if isinstance(head, ProductHead) else None
    numbers = factors.width if factors else len(allowed)  # a row, or every score
    codes, scores = np.empty((users, n), np.int32), np.empty((users, n), np.float32)
    with progress("Recommending", users) as tick:
        for first, last in user_blocks(users, numbers):
            block = batch.part(first, last)
            unseen = take_rows(hidden, np.arange(first, last))
            out = codes[first:last], scores[first:last]
            if factors:
                factors.packed.best(factors.rows(block), unseen, allowed, *out, offsets)
            else:
                rows = uniform_blocks(last - first)
                block_scores = head.scores(block)
                if offsets is not None:
                    block_scores = block_scores + offsets
                arguments = block_scores, allowed, unseen.indptr, unseen.indices, *out
                run_blocks(topk_dense, rows, *arguments)
            tick(last, "")
    return codes, scores


def top_of_pairs(
    head: Head, batch: UserBatch, pairs: Rows, n_items: int, n: int, offsets: F32 | None = None
) -> tuple[I32, F32]:
    """`top_items` among the items of each user's row of `pairs` alone."""
    users = len(batch)
    n = min(n, max(1, int(np.diff(pairs.indptr).max(initial=0))))
    codes, scores = np.empty((users, n), np.int32), np.empty((users, n), np.float32)
    mean_length = len(pairs.indices) // max(1, users)
    with progress("Recommending", users) as tick:
        for first, last in user_blocks(users, _numbers(head, mean_length, n_items)):
            block = take_rows(pairs, np.arange(first, last))
            who = row_of_entries(block)
            found = pair_scores(head, batch.part(first, last), who, block.indices, offsets)
            out = codes[first:last], scores[first:last]
            run_blocks(topk_pairs, balanced_blocks(block.indptr), *block[:2], found, *out)
            tick(last, "")
    return codes, scores


def pair_scores(
    head: Head, batch: UserBatch, who: Ints, items: I32, offsets: F32 | None = None
) -> F32:
    """Score of item ``items[k]`` for user ``who[k]`` of the batch, the same bits as in `scores`."""
    if isinstance(head, ProductHead):
        return head.packed.pairs(head.rows(batch), who, items, offsets)
    found = np.asarray(head.scores(batch)[who, items])
    return found if offsets is None else found + offsets[items]


def scores_of_item(head: Head, batch: UserBatch, item: int, n_items: int) -> F32:
    """The score of one item for every user of the batch, float32 (users,)."""
    scores = np.empty(len(batch), np.float32)
    with progress("Scoring users", len(batch)) as tick:
        for first, last in user_blocks(len(batch), _numbers(head, 1, n_items)):
            who = np.arange(last - first)
            items = np.full(last - first, item, np.int32)
            scores[first:last] = pair_scores(head, batch.part(first, last), who, items)
            tick(last, "")
    return scores


def _numbers(head: Head, pairs: int, n_items: int) -> int:
    """How many numbers a user takes of whom so many pairs are scored: a row, or every score."""
    return pairs + (head.width if isinstance(head, ProductHead) else n_items)


def user_blocks(users: int, numbers: int) -> Iterator[tuple[int, int]]:
    """Ranges of users, each of so many numbers, that fit into `BLOCK` numbers."""
    step = max(1, BLOCK // max(1, numbers))
    return ((first, min(first + step, users)) for first in range(0, users, step))

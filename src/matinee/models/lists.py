"""Making lists: which items a user may get, by what order, and how far to go from the best."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from matinee._types import F32, I32, I64, Bools
from matinee.errors import SettingError, check_whole
from matinee.kernels.csr import Rows, filter_entries, rows_of_pairs, take_rows, united, without
from matinee.models.head import Head
from matinee.models.inputs import check_flag, ids_of, user_item_pairs
from matinee.models.population import need_all_users
from matinee.models.profiles import UserBatch
from matinee.models.queries import TrainingIndex
from matinee.models.reranking import CANDIDATES, calibrated, check_dial, discovery_offsets
from matinee.models.topk import scores_of_item, top_items, top_of_pairs


@dataclass(frozen=True, eq=False)
class ListOptions:
    """What `Recommender.recommend`, which explains it, may be told beside the filters."""

    n: int
    discover: float = 0.0
    diverse: float = 0.0
    exclude_seen: bool = True
    allow: Any = None
    block: Any = None

    def __post_init__(self) -> None:
        check_whole("n", self.n, 1)
        check_flag("exclude_seen", self.exclude_seen)
        check_dial("discover", self.discover)
        check_dial("diverse", self.diverse)


@dataclass(frozen=True, eq=False)
class Lists:
    """Lists of several users one below the other, each best first unless diverse."""

    users: I64  # (entries,) place of the user in the batch, ascending
    items: I32  # (entries,)
    scores: F32  # (entries,)


def make_lists(
    index: TrainingIndex, head: Head, batch: UserBatch, allowed: Bools, options: ListOptions
) -> Lists:
    """The best of the allowed items for each user by the scores of a head, as the options say."""
    n_items = len(index.catalog)
    hidden = batch.interactions
    if not options.exclude_seen:
        none = np.zeros(0, np.int32), np.zeros(0, np.float32)
        hidden = Rows(np.zeros_like(hidden.indptr), *none)
    if options.block is not None:
        hidden = united(hidden, pairs_of_batch(index, batch, options.block, "block"), n_items)
    offsets = discovery_offsets(head, index, options.discover) if options.discover else None
    n = int(options.n)
    longer = n * CANDIDATES if options.diverse else n
    if options.allow is None:
        codes, scores = top_items(head, batch, allowed, hidden, longer, offsets)
    else:
        pairs = pairs_of_batch(index, batch, options.allow, "allow")
        pairs = without(filter_entries(pairs, allowed[pairs.indices]), hidden)
        codes, scores = top_of_pairs(head, batch, pairs, n_items, longer, offsets)
    if options.diverse:
        genres = index.catalog.genre_matrix
        codes, scores = calibrated(codes, scores, batch.interactions, genres, n, options.diverse)
    row, rank = np.nonzero(codes >= 0)
    return Lists(row, codes[row, rank], scores[row, rank])


def pairs_of_batch(index: TrainingIndex, batch: UserBatch, pairs: Any, name: str) -> Rows:
    """The items named for each user of the batch, ascending; pairs of other users do nothing."""
    users, items = user_item_pairs(pairs, name)
    users, items = ids_of(users, f"the users of {name}"), index.items(items)
    if not has_new_users(batch):
        codes = index.users(users, "average")
        asked = np.zeros(len(index.user_ids) + 1, bool)  # the last stands for an unknown user
        asked[batch.codes] = True
        kept = asked[codes]
        shape = len(index.user_ids), len(index.catalog)
        return take_rows(rows_of_pairs(codes[kept], items[kept], shape), batch.codes)
    if not isinstance(users, np.ndarray):
        raise SettingError(f"{name}: new users have no id; name users by their place, from 0.")
    here = (users >= 0) & (users < len(batch))
    places = users[here].astype(np.int32)
    return rows_of_pairs(places, items[here], (len(batch), len(index.catalog)))


def has_new_users(batch: UserBatch) -> bool:
    """Whether a user of the batch has no id, so that all go by their places."""
    return bool((batch.codes < 0).any())


def labels(index: TrainingIndex, batch: UserBatch) -> pl.Series:
    """What stands for each user of the batch in a table."""
    if has_new_users(batch):
        return pl.Series(range(len(batch)))
    return index.user_ids.values[batch.codes]


def best_users(
    index: TrainingIndex, head: Head, item: int, n: int, exclude_seen: bool
) -> tuple[UserBatch, F32]:
    """The n users who score an item highest, and these scores, ties by the order of users."""
    need_all_users(index.population)
    batch = index.batch()
    scores = scores_of_item(head, batch, item, len(index.catalog))
    possible = np.isfinite(scores)
    if exclude_seen:
        possible &= ~index.has_item(item)[batch.codes]
    place = np.flatnonzero(possible)
    order = place[np.argsort(-scores[place], kind="stable")][:n]
    return batch.take(order), scores[order]

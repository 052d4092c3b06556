"""A part of the training set that is held out to choose defaults by, and how well a ranking model
finds it.
"""

from dataclasses import replace

import numpy as np

from matinee._types import F32, F64, I32
from matinee.data.dataset import Dataset
from matinee.kernels.csr import Rows, pair_keys, take_rows
from matinee.kernels.parallel import run_blocks, uniform_blocks
from matinee.kernels.sampling import draw_mask
from matinee.models.implicit_feedback import positives
from matinee.models.ranking_heads import FactorRankingHead

FRACTION = 0.1  # of the ratings is held out
MOST_USERS = 10_000  # whose lists are looked at
LENGTH = 10  # of a list


def split_by_pair(dataset: Dataset, seed: int) -> tuple[Dataset, Dataset]:
    """A training and a validation set, the same whatever the order of the rows."""
    ratings = dataset.ratings
    keys = pair_keys(ratings.user, ratings.item, len(dataset.catalog))
    held_out = np.empty(len(keys), bool)
    run_blocks(draw_mask, uniform_blocks(len(keys)), seed, keys, FRACTION, held_out)
    parts = ratings.take(~held_out), ratings.take(held_out)
    first, second = (replace(dataset, ratings=part, official={}) for part in parts)
    return first, second


def discounted_gain(head: FactorRankingHead, train: Dataset, validation: Dataset) -> float:
    """Mean over users of the sum over hits of ``preference / log2(place + 1)`` in a list of ten.

    A hit is a positive of the validation set; its preference, not below 0, is what the head would
    be fitted to, so that what a user likes counts more.
    """
    by_user, of_validation = train.ratings.by_user, validation.ratings.by_user
    users = np.flatnonzero(np.diff(by_user.indptr) * np.diff(of_validation.indptr))
    if len(users) == 0:
        return 0.0
    users = users[:: -(-len(users) // MOST_USERS)]
    seen, wanted = take_rows(by_user, users), take_rows(of_validation, users)
    means = np.repeat(head.preference_scale.user_means(seen), np.diff(wanted.indptr))
    gains = head.preference_scale.preferences(wanted.values, means, head.min_rating)
    wanted = positives(wanted, head.min_rating)
    items = len(head.item_params)
    codes = np.empty((len(users), LENGTH), np.int32)
    scores = np.empty(codes.shape, np.float32)
    head.packed.best(head.user_params[users], seen, head.popularity > 0, codes, scores)
    return float(gains_found(codes, wanted, np.maximum(gains, 0), items).mean())


def gains_found(codes: I32, wanted: Rows, gains: F32, items: int) -> F64:
    """The sum of ``gain / log2(place + 1)`` over the wanted items of each list, float64 (users,).

    `codes` are int32 (users, length), -1 for no item.
    """
    rows = np.arange(len(codes))
    keys = np.repeat(rows, np.diff(wanted.indptr)) * items + wanted.indices  # ascending
    listed = rows[:, None] * items + codes
    place = np.searchsorted(keys, listed).clip(max=len(keys) - 1)
    gained = np.where((keys[place] == listed) & (codes >= 0), gains[place], 0)
    return np.asarray(gained @ (1 / np.log2(np.arange(2, codes.shape[1] + 2))), np.float64)

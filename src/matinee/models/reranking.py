"""Recommending what fewer people know, and genres in the proportions of what a user likes."""

from weakref import WeakKeyDictionary

import numpy as np

from matinee._types import F32, F64, I32, I64
from matinee.errors import check_number
from matinee.kernels.csr import Rows, take_rows
from matinee.models.head import Head
from matinee.models.queries import TrainingIndex
from matinee.models.topk import user_blocks

DISCOVERY = 1.4  # times the prominence, at the end of the dial: see docs/evaluation.md
SAMPLE = 256  # users whose scores tell how far those of an item reach
CANDIDATES = 10  # for each place of a calibrated list
CURVE = 3  # see `calibrated`
SMOOTHING = 0.01  # share of the user's genres mixed into those of a list, so that none is missing
WIDE = 2  # float64: half as many users at a time as of float32


def check_dial(name: str, value: float) -> None:
    """Refuse what is not between 0 and 1."""
    check_number(name, value, lambda number: 0 <= number <= 1, "between 0 and 1")


def discovery_offsets(head: Head, index: TrainingIndex, discover: float) -> F32:
    """What `discover` adds to the scores of each item, float32 (items,).

    It takes away a multiple of the item's `prominence`.
    """
    if head not in _prominence:
        _prominence[head] = prominence(head, index)
    return np.float32(-DISCOVERY * discover) * _prominence[head]


_prominence: WeakKeyDictionary[Head, F32] = WeakKeyDictionary()  # of heads that were asked for


def prominence(head: Head, index: TrainingIndex) -> F32:
    """How much an item stands out, in units of the score: float32 (items,).

    The standard deviation of its score over a sample of users, which is large where many know an
    item and many do not, times ``1 + sqrt(share)``, of the users who rated it.
    """
    if index.population is None:
        n_users, codes = int(np.count_nonzero(index.user_counts)), sample_of(index)
    else:
        n_users, codes = index.population.n_users, index.population.sample
    sample = index.batch_of(codes)
    sums, squares = np.zeros((2, len(index.catalog)))
    for first, last in user_blocks(len(codes), WIDE * len(index.catalog)):
        scores = head.scores(sample.part(first, last))
        sums += scores.sum(axis=0, dtype=np.float64)
        squares += np.square(scores, dtype=np.float64).sum(axis=0)
    variances = squares / len(codes) - (sums / len(codes)) ** 2
    share = index.item_counts / n_users
    return np.asarray(np.sqrt(np.maximum(variances, 0.0)) * (1 + np.sqrt(share)), np.float32)


def sample_of(index: TrainingIndex) -> I32:
    """Codes of the users whose scores `prominence` looks at, ascending."""
    active = np.flatnonzero(index.user_counts).astype(np.int32)
    return active[:: -(-len(active) // SAMPLE)]


def calibrated(
    codes: I32, scores: F32, interactions: Rows, genre_matrix: F32, n: int, diverse: float
) -> tuple[I32, F32]:
    """The n of each user's candidates whose genres have the proportions of what the user likes.

    Greedily, place by place, the list has the largest ``(1 - share) * mean score - share * KL``,
    the share being ``diverse**3``, so that small steps of the dial cost little. Scores go from 0 to
    1 over a user's candidates; KL is the Kullback-Leibler divergence from the genres of what the
    user rated as high as their mean, or higher, to those of the list, each item in equal parts of
    its genres. Steck 2018, "Calibrated recommendations".

    Parameters
    ----------
    codes, scores : int32, float32 (users, candidates)
        Best first; -1 and nan beyond the end.
    interactions : Rows
        The ratings of each of these users.
    genre_matrix : float32 (items, genres)
    n : int
        Length of the lists.
    diverse : float
        Between 0, the order of the scores, and 1, proportions alone.
    """
    parts = genre_matrix / np.maximum(genre_matrix.sum(axis=1, keepdims=True), 1)
    n = min(n, codes.shape[1])
    chosen = np.empty((len(codes), n), np.int64)
    for first, last in user_blocks(len(codes), WIDE * codes.shape[1] * parts.shape[1]):
        rows = np.arange(first, last)
        liked = _liked_genres(take_rows(interactions, rows), parts)
        chosen[rows] = _greedy(codes[rows], scores[rows], liked, parts, n, diverse**CURVE)
    return np.take_along_axis(codes, chosen, 1), np.take_along_axis(scores, chosen, 1)


def _liked_genres(interactions: Rows, parts: F32) -> F64:
    """Genres of what each user rated at least as high as their mean, (users, genres)."""
    counts = np.diff(interactions.indptr)
    row = np.repeat(np.arange(len(counts)), counts)
    means = np.bincount(row, interactions.values, len(counts)) / np.maximum(counts, 1)
    kept = interactions.values >= means[row] - 1e-6
    liked: F64 = np.zeros((len(counts), parts.shape[1]))
    np.add.at(liked, row[kept], parts[interactions.indices[kept]])
    liked /= np.maximum(liked.sum(axis=1, keepdims=True), 1e-12)
    return liked


def _greedy(codes: I32, scores: F32, liked: F64, parts: F32, n: int, share: float) -> I64:
    """Columns of the candidates that are chosen, (users, n), in the order of the list."""
    users = np.arange(len(codes))
    filled = codes >= 0
    lowest = np.where(filled, scores, np.inf).min(axis=1, keepdims=True)
    highest = np.where(filled, scores, -np.inf).max(axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):
        relative = (scores - lowest) / np.maximum(highest - lowest, np.finfo(np.float32).tiny)
    free = filled.copy()
    of_candidates = parts[codes]
    of_list = np.zeros((len(codes), parts.shape[1]))
    chosen = np.empty((len(codes), n), np.int64)
    for place in range(n):
        sums = of_list[:, None] + of_candidates
        mixed = (1 - SMOOTHING) * sums / np.maximum(sums.sum(axis=2, keepdims=True), 1e-12)
        mixed += SMOOTHING * liked[:, None]
        terms = np.log(np.maximum(mixed, 1e-12)) - np.log(np.maximum(liked, 1e-12))[:, None]
        divergence = -np.einsum("ug,ucg->uc", liked, terms)
        gain = (1 - share) * relative / n - share * divergence
        # beyond the end of a shorter list: any column that was empty
        best = np.where(free, gain, np.where(filled, -np.inf, np.finfo(np.float64).min)).argmax(1)
        chosen[:, place] = best
        free[users, best] = False
        of_list += of_candidates[users, best]
    return chosen

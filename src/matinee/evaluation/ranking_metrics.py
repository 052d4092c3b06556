"""Ranking metrics on bare arrays: accuracy, and what accuracy does not see.

Accuracy is computed from `hits`, bool (users, k): whether each place of a user's ranking, best
first, holds a relevant item, that is, one of the test set; places beyond the end of a shorter
ranking are False. Every hit counts the same, whatever its rating. `n_relevant`, int64 (users,), is
how many relevant items each user has. The other metrics are computed from `items`, int32
(users, k): indices of the recommended items, -1 beyond the end of a shorter ranking. All see k
places; for the first ten of more pass ``hits[:, :10]`` or ``items[:, :10]``.

Nothing here sees scores: ties are in the order of the given ranking. Users without relevant items
have no accuracy. Functions that are given `n_relevant` refuse them; the others (`hit_rate`,
`precision`, `reciprocal_rank`) would return 0, so leave such users out before.
"""

import numpy as np

from matinee._types import F32, F64, I32, I64, Bools

POPULAR_PORTION = 10  # one in this many rated items is popular
PAIRS_AT_ONCE = 1 << 20  # pairs of places compared at a time


def hit_rate(hits: Bools) -> F64:
    """Whether any of the k places is a hit: 1 or 0.

    Deshpande & Karypis 2004, "Item-based top-N recommendation algorithms". TREC calls it success.

    >>> hit_rate(np.array([[False, False], [True, True]]))
    array([0., 1.])
    """
    return (_hit_counts(hits) > 0).astype(np.float64)


def precision(hits: Bools) -> F64:
    """Share of hits among the k places: ``hits@k / k``.

    Always divided by k, however few relevant items the user has: with one, the best precision at
    10 is 0.1. Herlocker et al. 2004, "Evaluating collaborative filtering recommender systems".

    >>> precision(np.array([[False, True], [True, True]]))
    array([0.5, 1. ])
    """
    share: F64 = _hit_counts(hits) / hits.shape[1]
    return share


def recall(hits: Bools, n_relevant: I64) -> F64:
    """Share of the relevant items among the k places: ``hits@k / n_relevant``.

    The best ranking stays below 1 where a user has more than k relevant items; `recall_capped` does
    not. Herlocker et al. 2004, as for `precision`.

    >>> recall(np.array([[False, True], [True, True]]), np.array([1, 4]))
    array([1. , 0.5])
    """
    return _hit_counts(hits) / _checked_counts(n_relevant, hits)


def recall_capped(hits: Bools, n_relevant: I64) -> F64:
    """Hits among the k places out of those possible: ``hits@k / min(k, n_relevant)``.

    The Recall@k of Liang et al. 2018, "Variational autoencoders for collaborative filtering", and
    of the papers that compare with it.

    >>> recall_capped(np.array([[False, True], [True, True]]), np.array([1, 4]))
    array([1., 1.])
    """
    return _hit_counts(hits) / _most_hits(n_relevant, hits)


def ndcg(hits: Bools, n_relevant: I64) -> F64:
    """Normalized discounted cumulative gain of the k places.

    The sum over hits of ``1 / log2(place + 1)``, places from 1 on, divided by that of the best
    possible ranking, which begins with ``min(k, n_relevant)`` hits. Järvelin & Kekäläinen 2002,
    "Cumulated gain-based evaluation of IR techniques"; the discount that begins at the second
    place is that of Burges et al. 2005, "Learning to rank using gradient descent".

    >>> ndcg(np.array([[False, True], [True, True]]), np.array([1, 4])).round(3)
    array([0.631, 1.   ])
    """
    gains = 1 / np.log2(np.arange(2, hits.shape[1] + 2))
    gained: F64 = hits @ gains
    best: F64 = gains.cumsum()[_most_hits(n_relevant, hits) - 1]
    return gained / best


def graded_ndcg(gains: F64, indptr: I64, relevant_gains: F64) -> F64:
    """NDCG whose hits count by how much they were liked; nan for users who gained nothing.

    `gains`, (users, k), is what each place gains, 0 where it is no hit; a user's relevant items
    gain ``relevant_gains[indptr[u]:indptr[u + 1]]``. The sum of ``gain / log2(place + 1)``, divided
    by that of the best possible ranking. Järvelin & Kekäläinen 2002, as for `ndcg`.

    >>> graded_ndcg(np.array([[0, 2.0]]), np.array([0, 2]), np.array([2.0, 1.0])).round(3)
    array([0.48])
    """
    users, k = gains.shape
    row = np.repeat(np.arange(users), np.diff(indptr))
    order = np.lexsort((-relevant_gains, row))  # rows stay where they are
    place = np.arange(len(order)) - indptr[row]
    first = place < k
    discounts = 1 / np.log2(np.arange(2, k + 2))
    ideal = relevant_gains[order][first] * discounts[place[first]]
    best = np.bincount(row[first], ideal, minlength=users)
    result: F64 = np.full(users, np.nan)
    np.divide(gains @ discounts, best, out=result, where=best > 0)
    return result


def average_precision(hits: Bools, n_relevant: I64) -> F64:
    """Average of the precision at each hit; its mean over users is MAP@k.

    The sum over hits of ``hits up to that place / place``, divided by
    ``min(k, n_relevant)``, so that the best ranking has 1: McFee et al. 2012, "The million song
    dataset challenge". TREC's map_cut divides by ``n_relevant`` and is lower where that is above k.

    >>> average_precision(np.array([[False, True], [True, True]]), np.array([1, 4]))
    array([0.5, 1. ])
    """
    precisions = hits.cumsum(axis=1) / np.arange(1, hits.shape[1] + 1)
    total: F64 = (precisions * hits).sum(axis=1)
    return total / _most_hits(n_relevant, hits)


def reciprocal_rank(hits: Bools) -> F64:
    """``1 / place`` of the first hit, 0 if there is none; its mean over users is MRR.

    Voorhees 1999, "The TREC-8 question answering track report".

    >>> reciprocal_rank(np.array([[False, True], [True, True], [False, False]]))
    array([0.5, 1. , 0. ])
    """
    return np.where(hits.any(axis=1), 1 / (hits.argmax(axis=1) + 1), 0.0)


def coverage(items: I32, n_items: int) -> float:
    """Share of the catalogue that is recommended at least once: ``distinct items / n_items``.

    `n_items` is how many items could have been recommended. The catalogue coverage of Ge et al.
    2010, "Beyond accuracy".

    >>> coverage(np.int32([[0, 1], [1, -1]]), n_items=4)
    0.5
    """
    if n_items < 1:
        raise ValueError(f"n_items must be >= 1, got {n_items}")
    return len(np.unique(items[items >= 0])) / n_items


def popularity_share(items: I32, counts: I64) -> F64:
    """Share of a ranking's places that popular items take; nan for an empty ranking.

    Popular is the tenth, rounded up, of the items with training ratings that have most of them; of
    ties, those with the lower indices. `counts`, int64 (items,), are training ratings per item. One
    minus this is the share of the long tail of Abdollahpouri et al. 2019, "Managing popularity bias
    in recommender systems with personalized re-ranking", who draw its border elsewhere.

    >>> popularity_share(np.int32([[0, 1], [1, -1]]), np.array([3, 9, 1]))
    array([0.5, 1. ])
    """
    rated = np.count_nonzero(counts)
    most_rated = np.argsort(-counts, kind="stable")[: -(-rated // POPULAR_PORTION)]
    popular = np.zeros(len(counts))
    popular[most_rated] = 1
    return _mean_over_places(items, popular)


def novelty(items: I32, counts: I64, n_users: int) -> F64:
    """Mean over a ranking's places of ``-log2(counts / n_users)``; nan for an empty ranking.

    Bits of surprise at learning that a user has rated the item: 0 if all `n_users` of the training
    set have, one more each time half as many have. An item without ratings counts as one with a
    single rating. Zhou et al. 2010, "Solving the apparent diversity-accuracy dilemma of recommender
    systems"; for related measures see Vargas & Castells 2011, "Rank and relevance in novelty and
    diversity metrics for recommender systems".

    >>> novelty(np.int32([[0, 1], [1, -1]]), np.array([8, 2]), n_users=8)
    array([1., 2.])
    """
    return _mean_over_places(items, np.log2(n_users) - np.log2(np.maximum(counts, 1)))


def genre_diversity(items: I32, genre_matrix: F32) -> F64:
    """Mean over pairs of places of ``1 - |shared genres| / |genres of either|``.

    1 if no two items of the ranking share a genre, 0 if all have the same. Two items without any
    genre are alike. Rankings of fewer than two items have nan. `genre_matrix`, float32
    (items, genres), is 1 where an item has a genre and 0 elsewhere. The intra-list diversity of
    Smyth & McClave 2001, "Similarity vs. diversity", with Jaccard's distance between genres.

    >>> genres = np.float32([[1, 0], [1, 1], [0, 1]])
    >>> genre_diversity(np.int32([[0, 1, 2], [0, 1, -1]]), genres).round(3)
    array([0.667, 0.5  ])
    """
    users, n = items.shape
    diversity = np.full(users, np.nan)
    block = max(1, PAIRS_AT_ONCE // max(1, n * max(n, genre_matrix.shape[1])))
    for start in range(0, users, block):
        block_items = items[start : start + block]
        filled = block_items >= 0
        sets = genre_matrix[block_items]  # beyond the end those of the last item, not counted
        shared = sets @ sets.transpose(0, 2, 1)
        sizes = sets.sum(axis=2)
        either = sizes[:, :, None] + sizes[:, None, :] - shared
        distance = np.where(either > 0, 1 - shared / np.maximum(either, 1), 0)
        distance *= filled[:, :, None] & filled[:, None, :]
        # each pair is here twice, and each place with itself, at no distance
        total = distance.sum(axis=(1, 2), dtype=np.float64)
        places = filled.sum(axis=1)
        enough = places > 1
        pairs = places * (places - 1)
        diversity[start : start + block][enough] = total[enough] / pairs[enough]
    return diversity


def gini(items: I32, n_items: int) -> float:
    """Gini index of how often each item of the catalogue is recommended.

    With the counts in ascending order, ``x_1`` to ``x_n`` for ``n = n_items``:
    ``sum((2 i - n - 1) x_i) / (n sum(x_i))``. 0 if all items are recommended equally often,
    ``1 - 1 / n`` if one takes all places; nan if nothing is recommended. Fleder & Hosanagar 2009,
    "Blockbuster culture's next rise or fall".

    >>> gini(np.int32([[0, 1], [0, -1]]), n_items=2)
    0.16666666666666666
    """
    counts = np.bincount(items[items >= 0], minlength=n_items)
    if len(counts) > n_items:
        raise ValueError(f"item {len(counts) - 1} is recommended, of {n_items} items")
    return gini_of_counts(counts)


def gini_of_counts(counts: I64) -> float:
    """The same, given how often each item is recommended."""
    if not counts.any():
        return float("nan")
    n_items = len(counts)
    weights = 2 * np.arange(1, n_items + 1) - n_items - 1
    return float(weights @ np.sort(counts) / (n_items * counts.sum()))


def _hit_counts(hits: Bools) -> F64:
    counts: F64 = hits.sum(axis=1, dtype=np.float64)
    return counts


def _most_hits(n_relevant: I64, hits: Bools) -> I64:
    """How many places of the best possible ranking are hits."""
    return np.minimum(hits.shape[1], _checked_counts(n_relevant, hits))


def _checked_counts(n_relevant: I64, hits: Bools) -> I64:
    """`n_relevant`, if it has one number > 0 for each user of `hits`."""
    if n_relevant.shape != hits.shape[:1]:
        raise ValueError(f"n_relevant has {len(n_relevant)} users, hits have {len(hits)}")
    if (n_relevant < 1).any():
        raise ValueError(f"{np.count_nonzero(n_relevant < 1)} users have no relevant items")
    return n_relevant


def _mean_over_places(items: I32, item_values: F64) -> F64:
    """Mean of the items' values per user, nan for empty rankings; by column, to save memory."""
    item_values = np.append(item_values, 0)  # index -1 picks the last
    total = np.zeros(len(items))
    for column in items.T:
        total += item_values[column]
    places = (items >= 0).sum(axis=1)
    means = np.full(len(items), np.nan)
    np.divide(total, places, out=means, where=places > 0)
    return means

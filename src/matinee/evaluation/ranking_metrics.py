"""How good lists of recommended movies are: accuracy, and what accuracy does not see.

Accuracy is judged by `hits`, bool (users, n): whether each place of a user's list, best place
first, holds a movie of the test part; places that a shorter list does not have are False. Every
hit counts the same, however many stars the movie got. `relevant`, int64 (users,), is how many
test movies each user has, listed or not. Where the list was cut off is `k`; a list shorter than
k is judged as if misses followed.

The rest is judged by `lists`, int32 (users, n): the codes of the listed movies, -1 where a list
is shorter. Whole lists count; for the first k places pass ``lists[:, :k]``.

Nothing here sees scores: equal ones are in the order that whoever made the list gave them.
Users without test movies have no accuracy. Functions that are told of such a user refuse; the
others (`hit_rate`, `precision`, `reciprocal_rank`) would say 0, so leave such users out before.
"""

import numpy as np

from matinee._types import F32, F64, I32, I64, Bools

HEAD = 10  # one in this many rated movies is popular
PAIRS = 1 << 20  # pairs of places compared at a time


def hit_rate(hits: Bools, k: int) -> F64:
    """Whether any of the first k places is a hit: 1 or 0.

    Deshpande & Karypis 2004, "Item-based top-N recommendation algorithms". TREC calls it success.

    >>> hit_rate(np.array([[False, True], [True, True]]), k=1)
    array([0., 1.])
    """
    return (_found(hits, k) > 0).astype(np.float64)


def precision(hits: Bools, k: int) -> F64:
    """Share of hits among the first k places: ``hits@k / k``.

    Always divided by k, however few test movies the user has or places the list: with one test
    movie the best precision at 10 is 0.1. Herlocker et al. 2004, "Evaluating collaborative
    filtering recommender systems".

    >>> precision(np.array([[False, True], [True, True]]), k=2)
    array([0.5, 1. ])
    """
    return _found(hits, k) / k


def recall(hits: Bools, relevant: I64, k: int) -> F64:
    """Share of the user's test movies among the first k places: ``hits@k / relevant``.

    The best list stays below 1 where a user has more than k test movies; `recall_capped` does
    not. Herlocker et al. 2004, as for `precision`.

    >>> recall(np.array([[False, True], [True, True]]), np.array([1, 4]), k=2)
    array([1. , 0.5])
    """
    return _found(hits, k) / _at_least_one(relevant, hits)


def recall_capped(hits: Bools, relevant: I64, k: int) -> F64:
    """Hits among the first k places out of those possible: ``hits@k / min(k, relevant)``.

    The Recall@k of Liang et al. 2018, "Variational autoencoders for collaborative filtering", and
    of the papers that compare with it.

    >>> recall_capped(np.array([[False, True], [True, True]]), np.array([1, 4]), k=2)
    array([1., 1.])
    """
    return _found(hits, k) / np.minimum(k, _at_least_one(relevant, hits))


def ndcg(hits: Bools, relevant: I64, k: int) -> F64:
    """Normalized discounted cumulative gain of the first k places.

    The sum over hits of ``1 / log2(place + 1)``, places from 1 on, divided by that of the best
    possible list, which begins with ``min(k, relevant)`` hits. Järvelin & Kekäläinen 2002,
    "Cumulated gain-based evaluation of IR techniques"; the discount that begins at the second
    place is that of Burges et al. 2005, "Learning to rank using gradient descent".

    >>> ndcg(np.array([[False, True], [True, True]]), np.array([1, 4]), k=2).round(3)
    array([0.631, 1.   ])
    """
    top = _first(hits, k)
    gains = 1 / np.log2(np.arange(2, k + 2))
    gained: F64 = top @ gains
    best: F64 = gains.cumsum()[np.minimum(k, _at_least_one(relevant, hits)) - 1]
    return gained / best


def average_precision(hits: Bools, relevant: I64, k: int) -> F64:
    """Average of the precision at each hit; its mean over users is MAP@k.

    The sum over the hits among the first k places of ``hits up to that place / place``, divided by
    ``min(k, relevant)``, so that the best list has 1: McFee et al. 2012, "The million song dataset
    challenge". TREC's map_cut divides by ``relevant`` and is lower where that is above k.

    >>> average_precision(np.array([[False, True], [True, True]]), np.array([1, 4]), k=2)
    array([0.5, 1. ])
    """
    top = _first(hits, k)
    precisions = top.cumsum(axis=1) / np.arange(1, k + 1)
    total: F64 = (precisions * top).sum(axis=1)
    return total / np.minimum(k, _at_least_one(relevant, hits))


def reciprocal_rank(hits: Bools) -> F64:
    """``1 / place`` of the first hit, 0 if the list has none; its mean over users is MRR.

    Voorhees 1999, "The TREC-8 question answering track report".

    >>> reciprocal_rank(np.array([[False, True], [True, True], [False, False]]))
    array([0.5, 1. , 0. ])
    """
    return np.where(hits.any(axis=1), 1 / (hits.argmax(axis=1) + 1), 0.0)


def coverage(lists: I32, allowed_items: int) -> float:
    """Share of the catalogue that is listed at least once: ``distinct items / allowed_items``.

    `allowed_items` is how many movies could have been listed. The catalogue coverage of Ge et al.
    2010, "Beyond accuracy".

    >>> coverage(np.int32([[0, 1], [1, -1]]), allowed_items=4)
    0.5
    """
    if allowed_items < 1:
        raise ValueError(f"coverage of {allowed_items} movies")
    return len(np.unique(lists[lists >= 0])) / allowed_items


def popularity_share(lists: I32, counts: I64) -> F64:
    """Share of a list's places that the most rated movies take; nan for an empty list.

    The most rated are a tenth, rounded up, of the movies that have training ratings; of equally
    often rated ones, those with the lower codes. `counts`, int64 (items,), are ratings per movie.
    One minus this is the share of the long tail of Abdollahpouri et al. 2019, "Managing popularity
    bias in recommender systems with personalized re-ranking", who draw its border elsewhere.

    >>> popularity_share(np.int32([[0, 1], [1, -1]]), np.array([3, 9, 1]))
    array([0.5, 1. ])
    """
    rated = np.count_nonzero(counts)
    most = np.argsort(-counts, kind="stable")[: -(-rated // HEAD)]
    popular = np.zeros(len(counts))
    popular[most] = 1
    return _mean_over_places(lists, popular)


def novelty(lists: I32, counts: I64, users: int) -> F64:
    """Mean over a list's places of ``-log2(counts / users)``; nan for an empty list.

    Bits of surprise at finding that somebody has rated the movie: 0 if all `users` of the
    training part have, one more each time half as many have. A movie that nobody has rated is
    taken for one with one rating. Zhou et al. 2010, "Solving the apparent diversity-accuracy
    dilemma of recommender systems"; for kindred measures see Vargas & Castells 2011, "Rank and
    relevance in novelty and diversity metrics for recommender systems".

    >>> novelty(np.int32([[0, 1], [1, -1]]), np.array([8, 2]), users=8)
    array([1., 2.])
    """
    return _mean_over_places(lists, np.log2(users) - np.log2(np.maximum(counts, 1)))


def genre_diversity(lists: I32, genre_matrix: F32) -> F64:
    """Mean over pairs of places of ``1 - |shared genres| / |genres of either|``.

    1 if no two movies of the list share a genre, 0 if all have the same. Two movies without any
    genre are alike. Lists of fewer than two movies have nan. `genre_matrix`, float32
    (items, genres), is 1 where a movie has a genre and 0 elsewhere. The intra-list diversity of
    Smyth & McClave 2001, "Similarity vs. diversity", with Jaccard's distance between genres.

    >>> genres = np.float32([[1, 0], [1, 1], [0, 1]])
    >>> genre_diversity(np.int32([[0, 1, 2], [0, 1, -1]]), genres).round(3)
    array([0.667, 0.5  ])
    """
    users, n = lists.shape
    # code -1 picks the last row
    genres = np.vstack((genre_matrix, np.zeros((1, genre_matrix.shape[1]), np.float32)))
    diversity = np.full(users, np.nan)
    block = max(1, PAIRS // max(1, n * max(n, genres.shape[1])))
    for start in range(0, users, block):
        codes = lists[start : start + block]
        there = codes >= 0
        sets = genres[codes]
        shared = sets @ sets.transpose(0, 2, 1)
        sizes = sets.sum(axis=2)
        either = sizes[:, :, None] + sizes[:, None, :] - shared
        distance = np.where(either > 0, 1 - shared / np.maximum(either, 1), 0)
        distance *= there[:, :, None] & there[:, None, :]
        # each pair is here twice, and each place with itself, at no distance
        total = distance.sum(axis=(1, 2), dtype=np.float64)
        places = there.sum(axis=1)
        enough = places > 1
        pairs = places * (places - 1)
        diversity[start : start + block][enough] = total[enough] / pairs[enough]
    return diversity


def gini(lists: I32, items: int) -> float:
    """Gini index of how often each of the catalogue's movies is listed.

    With the times listed in ascending order, ``x_1`` to ``x_items``:
    ``sum((2 i - items - 1) x_i) / (items sum(x_i))``. 0 if all movies are listed equally often,
    ``1 - 1 / items`` if one takes all places; nan if nothing is listed. Fleder & Hosanagar 2009,
    "Blockbuster culture's next rise or fall".

    >>> gini(np.int32([[0, 1], [0, -1]]), items=2)
    0.16666666666666666
    """
    times = np.sort(np.bincount(lists[lists >= 0], minlength=items))
    if len(times) > items:
        raise ValueError(f"movie {len(times) - 1} is listed, of {items} movies")
    if not times.any():
        return float("nan")
    weights = 2 * np.arange(1, items + 1) - items - 1
    return float(weights @ times / (items * times.sum()))


def _first(hits: Bools, k: int) -> Bools:
    """The first k places."""
    if not 1 <= k <= hits.shape[1]:
        raise ValueError(f"the first {k} places of lists of {hits.shape[1]}")
    return hits[:, :k]


def _found(hits: Bools, k: int) -> F64:
    """How many of the first k places are hits."""
    found: F64 = _first(hits, k).sum(axis=1, dtype=np.float64)
    return found


def _at_least_one(relevant: I64, hits: Bools) -> I64:
    """`relevant`, if there is one number per user, and none is 0."""
    if relevant.shape != hits.shape[:1]:
        raise ValueError(f"test movies of {len(relevant)} users for {len(hits)} lists")
    if (relevant < 1).any():
        raise ValueError(f"{np.count_nonzero(relevant < 1)} users have no test movies")
    return relevant


def _mean_over_places(lists: I32, per_item: F64) -> F64:
    """Mean of the listed movies' values, nan for empty lists; place by place, to save memory."""
    per_item = np.append(per_item, 0)  # code -1 picks the last
    total = np.zeros(len(lists))
    for codes in lists.T:
        total += per_item[codes]
    places = (lists >= 0).sum(axis=1)
    means = np.full(len(lists), np.nan)
    np.divide(total, places, out=means, where=places > 0)
    return means

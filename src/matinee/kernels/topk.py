"""The n best of all items (never NaN or minus infinity), by scores or by products mostly not
computed.

By Cauchy and Schwarz an item's sum is at most ``b_i + |x_u| |w_i|``. Where that is less than a
user's n-th best so far, for all sixteen items of a panel and all eight users of a group, no product
is computed. Rounding is allowed for, so results are those of brute force, ties included.
"""

import numpy as np

from matinee.kernels.jit import jit, part
from matinee.kernels.scoring import USERS, score_panel, take_users
from matinee.kernels.simd import LANES, at_least, fma, load, splat

LOWEST = np.finfo(np.float32).min
TINY = np.float64(np.finfo(np.float32).tiny)
HALF_STEP = np.float64(2.0**-24)  # the relative error of rounding to float32


@part
def _worse(score, code, other_score, other_code):
    return score < other_score or (score == other_score and code > other_code)


@part
def _sift_down(scores, codes, size, node):
    """Restore the heap whose top is the entry to drop first: low score, then high code."""
    while True:
        child = 2 * node + 1
        if child >= size:
            return
        other = child + 1
        if other < size and _worse(scores[other], codes[other], scores[child], codes[child]):
            child = other
        if not _worse(scores[child], codes[child], scores[node], codes[node]):
            return
        scores[node], scores[child] = scores[child], scores[node]
        codes[node], codes[child] = codes[child], codes[node]
        node = child


@part
def _offer(scores, codes, size, score, code):
    """Push an entry if there is room or it is better than the worst; returns the new size."""
    if size < len(scores):
        node = size
        while node > 0:
            parent = (node - 1) // 2
            if not _worse(score, code, scores[parent], codes[parent]):
                break
            scores[node], codes[node] = scores[parent], codes[parent]
            node = parent
        scores[node], codes[node] = score, code
        return size + 1
    if size > 0 and _worse(scores[0], codes[0], score, code):
        scores[0], codes[0] = score, code
        _sift_down(scores, codes, size, 0)
    return size


@part
def _sort_best_first(scores, codes, size):
    """Turn the heap into a list, filled up with -1 and NaN."""
    for last in range(size - 1, 0, -1):
        scores[0], scores[last] = scores[last], scores[0]
        codes[0], codes[last] = codes[last], codes[0]
        _sift_down(scores, codes, last, 0)
    codes[size:] = -1
    scores[size:] = np.nan


@jit
def top_n(scores, allowed, best_codes, best_scores):
    """The n best allowed entries, best first, ties by lower code, filled up with -1 and NaN."""
    size = 0
    for code in range(len(scores)):
        if allowed[code] and scores[code] >= LOWEST:
            size = _offer(best_scores, best_codes, size, scores[code], np.int32(code))
    _sort_best_first(best_scores, best_codes, size)


@jit
def topk_dense(start, stop, scores, allowed, indptr, seen, best_codes, best_scores):
    """`top_n` of users `start` to `stop`, without the items ``seen[indptr[u]:indptr[u + 1]]``."""
    mask = allowed.copy()
    for user in range(start, stop):
        for entry in range(indptr[user], indptr[user + 1]):
            mask[seen[entry]] = False
        top_n(scores[user], mask, best_codes[user], best_scores[user])
        for entry in range(indptr[user], indptr[user + 1]):
            mask[seen[entry]] = allowed[seen[entry]]


@jit
def topk_pairs(start, stop, indptr, indices, scores, best_codes, best_scores):
    """The n best entries of each row from `start` to `stop`, given the score of every entry."""
    for row in range(start, stop):
        size = 0
        for entry in range(indptr[row], indptr[row + 1]):
            if scores[entry] >= LOWEST:
                size = _offer(
                    best_scores[row], best_codes[row], size, scores[entry], indices[entry]
                )
        _sort_best_first(best_scores[row], best_codes[row], size)


@part
def _holds(sorted_codes, first, last, code):
    """Whether a code is among the ascending ``sorted_codes[first:last]``."""
    while first < last:
        middle = (first + last) // 2
        if sorted_codes[middle] < code:
            first = middle + 1
        elif sorted_codes[middle] > code:
            last = middle
        else:
            return True
    return False


@jit
def topk_packed(
    start, stop, order, rows, mean, biased, codes, item_factors, biases, lengths, highest,
    starts, ends, seen, best_codes, best_scores,
):  # fmt: skip
    """The n best items of each user, by the scores of `matinee.kernels.scoring`.

    order                   int64 (users,), users of similar length next to each other
    rows, mean, biased      as in `score_rows`, as are `start` and `stop`
    codes to highest        `Panels`; a bias of minus infinity excludes an item
    starts, ends, seen      int64 (users,), int32: leave out ``seen[starts[u]:ends[u]]``, ascending
    """
    skip = 1 if biased else 0
    width = rows.shape[1] - skip
    users = np.empty((width, USERS), np.float32)
    bases = np.zeros(USERS, np.float32)
    sums = np.empty((USERS, LANES), np.float32)
    least = np.empty(USERS, np.float32)  # score that an item must reach
    sizes = np.empty(USERS, np.int64)
    # errors of width + 1 steps of the sum, of the bound and of the lengths, twice over
    relative = 2 * (width + 8) * HALF_STEP
    slack = relative * highest + TINY
    for group in range(start, stop):
        who = order[group * USERS : min((group + 1) * USERS, len(order))]
        take_users(rows, who, skip, users)
        length = 0.0
        least[:] = np.inf
        sizes[:] = 0
        for r in range(len(who)):
            bases[r] = mean + rows[who[r], 0] if biased else mean
            least[r] = LOWEST
            own = _length(rows[who[r]], skip)
            if own > length:  # not if it is NaN: such a user has no scores
                length = own
        reach = splat(np.float32(length * (1 + relative)))
        needed = splat(_needed(bases, least, len(who), slack))
        for panel in range(len(codes)):
            bound = fma(reach, load(lengths, panel, 0), load(biases, panel, 0))
            if at_least(bound, needed) == 0:
                continue
            score_panel(users, bases, item_factors, biases, panel, sums)
            better = False
            for r in range(len(who)):
                if at_least(load(sums, r, 0), splat(least[r])) == 0:
                    continue
                user = who[r]
                for lane in range(LANES):
                    code = codes[panel, lane]
                    if sums[r, lane] >= least[r] and not _holds(
                        seen, starts[user], ends[user], code
                    ):
                        sizes[r] = _offer(
                            best_scores[user], best_codes[user], sizes[r], sums[r, lane], code
                        )
                        if sizes[r] == best_scores.shape[1]:
                            least[r] = best_scores[user, 0]
                            better = True
            if better:
                needed = splat(_needed(bases, least, len(who), slack))
        for r in range(len(who)):
            _sort_best_first(best_scores[who[r]], best_codes[who[r]], sizes[r])


@part
def _length(row, skip):
    total = 0.0
    for d in range(skip, len(row)):
        total += np.float64(row[d]) * np.float64(row[d])
    return np.sqrt(total)


@part
def _needed(bases, least, count, slack):
    """The least sum that can be among the best of any of the users, rounded down."""
    lowest = np.inf
    for r in range(count):
        score, base = np.float64(least[r]), np.float64(bases[r])
        need = score - base - 4 * HALF_STEP * (abs(score) + abs(base))
        if not need >= lowest:  # infinite scores bound nothing: compute every product
            lowest = need if need == need else -np.inf
    return np.float32(max(lowest - slack, LOWEST))

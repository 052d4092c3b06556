"""Scores, errors and best-n lists from the two factor matrices.

Rows are ``[bias, factors]`` as in `matinee.kernels.solve`.
"""

import numpy as np

from matinee.kernels.jit import jit


@jit
def _score(mean, x, w):
    total = np.float32(0.0)
    for d in range(1, len(x)):
        total += x[d] * w[d]
    return mean + x[0] + w[0] + total


@jit
def predict_pairs(start, stop, users, items, mean, user_rows, item_rows, nobody, nothing, out):
    """out[k] = score of (users[k], items[k]) for k from `start` to `stop`.

    A code of -1 stands for the row `nobody`, or `nothing`.
    """
    for k in range(start, stop):
        x = user_rows[users[k]] if users[k] >= 0 else nobody
        w = item_rows[items[k]] if items[k] >= 0 else nothing
        out[k] = _score(mean, x, w)


@jit
def score_rows(start, stop, rows, item_rows, mean, biased, out):
    """out[r, i] = score of movie i for the viewer with row r, for r from `start` to `stop`.

    With `biased` rows are [bias, factors] and biases and mean are added; else rows are factors
    alone. Four movies at a time; few enough stay in the cache while all viewers pass by.
    """
    skip = 1 if biased else 0
    for tile in range(0, len(item_rows), 32):
        for row in range(start, stop):
            x = rows[row]
            base = mean + x[0] if biased else np.float32(0.0)
            last = min(tile + 32, len(item_rows))
            for item in range(tile, last - last % 4, 4):
                w0, w1 = item_rows[item], item_rows[item + 1]
                w2, w3 = item_rows[item + 2], item_rows[item + 3]
                a = b = c = e = np.float32(0.0)
                for d in range(skip, len(x)):
                    a += x[d] * w0[d]
                    b += x[d] * w1[d]
                    c += x[d] * w2[d]
                    e += x[d] * w3[d]
                out[row, item], out[row, item + 1] = base + a, base + b
                out[row, item + 2], out[row, item + 3] = base + c, base + e
            for item in range(last - last % 4, last):
                total = np.float32(0.0)
                for d in range(skip, len(x)):
                    total += x[d] * item_rows[item, d]
                out[row, item] = base + total
            if biased:
                for item in range(tile, last):
                    out[row, item] += item_rows[item, 0]


@jit
def add_up_rows(start, stop, indptr, indices, weights, item_rows, out):
    """out[r] = weighted sum of the rows of `item_rows` that row r of the compressed rows lists."""
    for row in range(start, stop):
        out[row] = 0.0
        for entry in range(indptr[row], indptr[row + 1]):
            weight, added = weights[entry], item_rows[indices[entry]]
            for i in range(out.shape[1]):
                out[row, i] += weight * added[i]


@jit
def squared_error(start, stop, indptr, indices, values, mean, rows, other):
    """Sum over the ratings of rows `start` to `stop` of (stars - score)^2, in float64."""
    total = 0.0
    for row in range(start, stop):
        for entry in range(indptr[row], indptr[row + 1]):
            miss = values[entry] - _score(mean, rows[row], other[indices[entry]])
            total += np.float64(miss) * np.float64(miss)
    return total


@jit
def _sift_down(scores, codes, size, at):
    """Restore the heap whose top is the entry to drop first: low score, then high code."""
    while True:
        child = 2 * at + 1
        if child >= size:
            return
        other = child + 1
        if other < size and _worse(scores[other], codes[other], scores[child], codes[child]):
            child = other
        if not _worse(scores[child], codes[child], scores[at], codes[at]):
            return
        scores[at], scores[child] = scores[child], scores[at]
        codes[at], codes[child] = codes[child], codes[at]
        at = child


@jit
def _worse(score, code, other_score, other_code):
    return score < other_score or (score == other_score and code > other_code)


@jit
def top_n(scores, allowed, best_codes, best_scores):
    """Fill the two outputs with the best allowed entries, best first, ties by lower code.

    Parameters
    ----------
    scores : float32 (items,)
    allowed : bool (items,)
    best_codes : int32 (n,), places left over are filled with -1
    best_scores : float32 (n,)
    """
    n = len(best_codes)
    size = 0
    for code in range(len(scores)):
        if not allowed[code]:
            continue
        if size < n:
            # sift up
            at = size
            size += 1
            while at > 0:
                parent = (at - 1) // 2
                if not _worse(scores[code], code, best_scores[parent], best_codes[parent]):
                    break
                best_scores[at], best_codes[at] = best_scores[parent], best_codes[parent]
                at = parent
            best_scores[at], best_codes[at] = scores[code], code
        elif n > 0 and scores[code] > best_scores[0]:
            best_scores[0], best_codes[0] = scores[code], code
            _sift_down(best_scores, best_codes, size, 0)
    for last in range(size - 1, 0, -1):
        best_scores[0], best_scores[last] = best_scores[last], best_scores[0]
        best_codes[0], best_codes[last] = best_codes[last], best_codes[0]
        _sift_down(best_scores, best_codes, last, 0)
    for at in range(size, n):
        best_codes[at] = -1
        best_scores[at] = np.nan


@jit
def best_of_rows(start, stop, scores, allowed, indptr, seen, best_codes, best_scores):
    """For viewers `start` to `stop`: of every movie but the seen ones, keep the best.

    Parameters
    ----------
    scores : float32 (viewers, items)
    allowed : bool (items,), movies that may be listed at all
    indptr, seen : int64 (viewers + 1,), int32: movies to leave out for each viewer
    best_codes, best_scores : (viewers, n), filled as by `top_n`
    """
    mask = allowed.copy()
    for user in range(start, stop):
        for entry in range(indptr[user], indptr[user + 1]):
            mask[seen[entry]] = False
        top_n(scores[user], mask, best_codes[user], best_scores[user])
        for entry in range(indptr[user], indptr[user + 1]):
            mask[seen[entry]] = allowed[seen[entry]]

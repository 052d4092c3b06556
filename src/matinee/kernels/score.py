"""Scores of pairs, sums of rows, and errors, from the two factor matrices.

Rows are ``[bias, factors]`` as in `matinee.kernels.solve`.
"""

import numpy as np

from matinee.kernels.gathered import ask
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
        ask(user_rows, users, k)
        ask(item_rows, items, k)
        x = user_rows[users[k]] if users[k] >= 0 else nobody
        w = item_rows[items[k]] if items[k] >= 0 else nothing
        out[k] = _score(mean, x, w)


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
            ask(other, indices, entry)
            miss = values[entry] - _score(mean, rows[row], other[indices[entry]])
            total += np.float64(miss) * np.float64(miss)
    return total

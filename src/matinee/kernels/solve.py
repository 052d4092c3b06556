"""Regularized least squares for one row after another: the heart of ALS.

Both sides of the model are kept as one matrix each, a row being
``[bias, factor_1 ... factor_K]``, so that with x a viewer and w a movie

    stars = mean + x[0] + w[0] + x[1:] . w[1:]

Held against the other side's rows w, a row x is linear regression with design
``z = [1, w[1:]]`` and target ``stars - mean - w[0]``. Pulling x towards its prior
mean m instead of towards zero,

    minimize over x:  sum (target - z . x)^2 + ridge * n^exponent * |x - m|^2,

is plain ridge regression for ``d = x - m`` on what m leaves unexplained
(Koren, Bell & Volinsky 2009; weighted regularization after Zhou et al. 2008).
"""

import numpy as np

from matinee.kernels.jit import jit

CHUNK = 64  # ratings gathered at a time by the exact solver: stays in the first-level cache
GUARD = 1024  # float32 left free on both sides of a scratch array: see `_scratch`


@jit
def _scratch(length):
    """An uninitialized float32 vector with no neighbours in memory.

    A compiled loop looks at addresses: where two arrays lie within a few hundred bytes it takes
    its scalar path, which rounds differently from the vector path. What must be the same to the
    last bit on any thread therefore keeps its distance. It starts with a cache line, too: a load
    that straddles two takes twice as long.
    """
    around = np.empty(length + 2 * GUARD + 16, np.float32)
    first = GUARD + (64 - around.ctypes.data % 64) // 4
    return around[first : first + length]


@jit
def _gather(first, count, indices, values, mean, other, prior, design, target):
    """Copy `count` design rows side by side, with what the prior mean leaves of each target."""
    width = other.shape[1]
    for k in range(count):
        row = other[indices[first + k]]
        rest = values[first + k] - mean - row[0] - prior[0]
        design[k, 0] = 1.0
        for d in range(1, width):
            design[k, d] = row[d]
            rest -= row[d] * prior[d]
        target[k] = rest


@jit
def _add_outer_products(design, target, count, gram, right):
    """gram += design' design (lower half) and right += design' target, four ratings at a time."""
    width = design.shape[1]
    padded = (count + 3) // 4 * 4
    for k in range(count, padded):
        design[k] = 0.0
        target[k] = 0.0
    for k in range(0, padded, 4):
        for i in range(width):
            a, b, c, d = design[k, i], design[k + 1, i], design[k + 2, i], design[k + 3, i]
            right[i] += a * target[k] + b * target[k + 1] + c * target[k + 2] + d * target[k + 3]
            for j in range(i + 1):
                gram[i, j] += (
                    a * design[k, j]
                    + b * design[k + 1, j]
                    + c * design[k + 2, j]
                    + d * design[k + 3, j]
                )


@jit
def _cholesky_solve(gram, right):
    """Solve gram x = right in place, reading the lower half of gram only."""
    width = len(right)
    for i in range(width):
        for j in range(i + 1):
            rest = gram[i, j]
            for k in range(j):
                rest -= gram[i, k] * gram[j, k]
            gram[i, j] = np.sqrt(rest) if i == j else rest / gram[j, j]
    for i in range(width):
        rest = right[i]
        for k in range(i):
            rest -= gram[i, k] * right[k]
        right[i] = rest / gram[i, i]
    for i in range(width - 1, -1, -1):
        solved = right[i] / gram[i, i]
        right[i] = solved
        for k in range(i):
            right[k] -= gram[i, k] * solved


@jit
def solve_rows_exact(
    start, stop, indptr, indices, values, mean, other, prior, ridge, exponent, out
):
    """Solve rows `start` to `stop` by normal equations and Cholesky factorization.

    Parameters
    ----------
    indptr, indices, values : the `Rows` of this side, values in stars
    mean : float32, mean stars
    other : float32 (columns, 1 + K), the other side's rows
    prior : float32 (rows, 1 + K), prior mean of each row
    ridge, exponent : float32, the penalty is ``ridge * n**exponent``, n the row's ratings
    out : float32 (rows, 1 + K), receives the solution; a row without ratings gets its prior mean
    """
    width = other.shape[1]
    gram = _scratch(width * width).reshape(width, width)
    right = _scratch(width)
    design = _scratch(CHUNK * width).reshape(CHUNK, width)
    target = _scratch(CHUNK)
    for row in range(start, stop):
        first, last = indptr[row], indptr[row + 1]
        if first == last:
            out[row] = prior[row]
            continue
        gram[:] = 0.0
        right[:] = 0.0
        for at in range(first, last, CHUNK):
            count = min(CHUNK, last - at)
            _gather(at, count, indices, values, mean, other, prior[row], design, target)
            _add_outer_products(design, target, count, gram, right)
        penalty = ridge * np.float32(last - first) ** exponent
        for d in range(width):
            gram[d, d] += penalty
        _cholesky_solve(gram, right)
        for d in range(width):
            out[row, d] = prior[row, d] + right[d]


@jit
def solve_rows_cg(
    start, stop, indptr, indices, values, mean, other, prior, ridge, exponent, out, steps
):
    """Improve rows `start` to `stop` by `steps` conjugate gradient steps from where they stand.

    Parameters as in `solve_rows_exact`; `out` holds the warm start. The normal
    matrix is never formed: a step costs two passes over the gathered ratings
    (Takács, Pilászy & Tikk 2011). With as many steps as unknowns it is exact up
    to rounding.
    """
    width = other.shape[1]
    longest = 0
    for row in range(start, stop):
        longest = max(longest, indptr[row + 1] - indptr[row])
    design = _scratch(longest * width).reshape(longest, width)
    target = _scratch(longest)
    residual = _scratch(width)
    direction = _scratch(width)
    product = _scratch(width)
    for row in range(start, stop):
        first, count = indptr[row], indptr[row + 1] - indptr[row]
        if count == 0:
            out[row] = prior[row]
            continue
        _gather(first, count, indices, values, mean, other, prior[row], design, target)
        penalty = ridge * np.float32(count) ** exponent
        x = out[row]
        for d in range(width):
            x[d] -= prior[row, d]
        _apply(design, count, x, penalty, product)
        for d in range(width):
            residual[d] = -product[d]
        for k in range(count):
            for d in range(width):
                residual[d] += design[k, d] * target[k]
        direction[:] = residual
        error = _dot(residual, residual)
        for _ in range(steps):
            if error < 1e-12:
                break
            _apply(design, count, direction, penalty, product)
            length = error / _dot(direction, product)
            for d in range(width):
                x[d] += length * direction[d]
                residual[d] -= length * product[d]
            left = _dot(residual, residual)
            for d in range(width):
                direction[d] = residual[d] + (left / error) * direction[d]
            error = left
        for d in range(width):
            x[d] += prior[row, d]


@jit
def _dot(a, b):
    total = np.float32(0.0)
    for d in range(len(a)):
        total += a[d] * b[d]
    return total


@jit
def _apply(design, count, x, penalty, out):
    """out = (design' design + penalty I) x, one rating after another."""
    for d in range(len(x)):
        out[d] = penalty * x[d]
    for k in range(count):
        weight = _dot(design[k], x)
        for d in range(len(x)):
            out[d] += weight * design[k, d]

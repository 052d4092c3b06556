"""Weighted least squares over everything a viewer did and did not watch: the heart of iALS.

With x a viewer's row and w a movie's, positives S with weights c and the weight a of
everything else,

    minimize over x:  sum_S c (1 - x . w)^2  +  a sum_all (x . w)^2  +  penalty |x - m|^2.

The second sum runs over every movie, but is ``x' G x`` with ``G = a sum_all w w'``, which all
viewers share (Hu, Koren & Volinsky 2008; in the form of Rendle et al. 2021). A positive enters
as a design row ``sqrt(c) w`` with target ``sqrt(c)``. For movies the two sides change places.
"""

import numpy as np

from matinee.kernels.jit import jit
from matinee.kernels.lanes import LANES
from matinee.kernels.normal import (
    CHUNK,
    add_squares,
    dot,
    factorize,
    padded,
    scratch,
    solve_upper,
)

NEAR = 16  # design rows that are used at once after they were gathered, still in the cache
TOGETHER = 4  # rows improved side by side, so that each pass over G serves four


@jit
def gram(start, stop, rows, out):
    """Sum of ``w w'`` over the rows `start` to `stop`, in both halves of `out` (K, K)."""
    width = rows.shape[1]
    half = scratch(padded(width), padded(width))
    design = scratch(CHUNK, padded(width))
    half[:] = 0.0
    design[:] = 0.0
    for at in range(start, stop, CHUNK):
        count = min(CHUNK, stop - at)
        for k in range(count):
            for d in range(width):
                design[k, d] = rows[at + k, d]
        add_squares(design, count, half)
    for i in range(width):
        for j in range(i, width):
            out[i, j] = half[i, j]
            out[j, i] = half[i, j]


@jit
def _gather(indices, weights, other, design, target):
    """Design rows side by side; rows up to the end of `design` are padded with zeros."""
    width = other.shape[1]
    for k in range(len(indices)):
        root = np.sqrt(weights[k])
        row = other[indices[k]]
        target[k] = root
        for d in range(width):
            design[k, d] = root * row[d]
    for k in range(len(indices), len(design)):
        target[k] = 0.0
        design[k] = 0.0


@jit
def _add_normal(design, x, out):
    """out += design' design x, four design rows at a time."""
    for k in range(0, len(design), 4):
        z0, z1, z2, z3 = design[k], design[k + 1], design[k + 2], design[k + 3]
        a = b = c = e = np.float32(0.0)
        for d in range(len(x)):
            a += z0[d] * x[d]
            b += z1[d] * x[d]
            c += z2[d] * x[d]
            e += z3[d] * x[d]
        for d in range(len(x)):
            out[d] += a * z0[d] + b * z1[d] + c * z2[d] + e * z3[d]


@jit
def _add_gradient(design, target, x, out):
    """out += design' (design x - target), four design rows at a time.

    Returns |design x - target|^2.
    """
    total = np.float32(0.0)
    for k in range(0, len(design), 4):
        z0, z1, z2, z3 = design[k], design[k + 1], design[k + 2], design[k + 3]
        a, b, c, e = -target[k], -target[k + 1], -target[k + 2], -target[k + 3]
        for d in range(len(x)):
            a += z0[d] * x[d]
            b += z1[d] * x[d]
            c += z2[d] * x[d]
            e += z3[d] * x[d]
        for d in range(len(x)):
            out[d] += a * z0[d] + b * z1[d] + c * z2[d] + e * z3[d]
        total += a * a + b * b + c * c + e * e
    return total


@jit
def _shared_normal(whole, penalty, x, out):
    """out = (G + penalty) x for the four rows of x: G is read once for all."""
    width = x.shape[1]
    x0, x1, x2, x3 = x[0], x[1], x[2], x[3]
    for i in range(0, width, 2):
        # two rows of G at a time; of an odd number the last one twice
        j = min(i + 1, width - 1)
        g, h = whole[i], whole[j]
        a0 = a1 = a2 = a3 = b0 = b1 = b2 = b3 = np.float32(0.0)
        for d in range(width):
            a0 += g[d] * x0[d]
            a1 += g[d] * x1[d]
            a2 += g[d] * x2[d]
            a3 += g[d] * x3[d]
            b0 += h[d] * x0[d]
            b1 += h[d] * x1[d]
            b2 += h[d] * x2[d]
            b3 += h[d] * x3[d]
        out[0, i], out[0, j] = a0 + penalty[0] * x0[i], b0 + penalty[0] * x0[j]
        out[1, i], out[1, j] = a1 + penalty[1] * x1[i], b1 + penalty[1] * x1[j]
        out[2, i], out[2, j] = a2 + penalty[2] * x2[i], b2 + penalty[2] * x2[j]
        out[3, i], out[3, j] = a3 + penalty[3] * x3[i], b3 + penalty[3] * x3[j]


@jit
def _by_fours(count):
    return (count + 3) // 4 * 4


@jit
def improve_rows(start, stop, indptr, indices, weights, other, whole, penalties, prior, out, steps):
    """Improve rows `start` to `stop` by `steps` conjugate gradient steps from where they stand.

    Parameters
    ----------
    indptr, indices, weights : the `Rows` of this side, values are the weights c
    other : float32 (columns, K), the other side's rows
    whole : float32 (K, K), G above: the weight a times the sum of ``w w'`` over all of `other`
    penalties : float32 (rows,)
    prior : float32 (rows, K), m above
    out : float32 (rows, K), holds the warm start and receives the solution; a row without
        positives gets its prior mean
    steps : int
        At most; a row that is solved to the last float32 digits stops sooner.

    Returns
    -------
    float
        The sum above over rows with positives, where they end: each conjugate gradient step
        lowers it by a known amount.
    """
    total = 0.0
    width = other.shape[1]
    longest = 0
    for row in range(start, stop, TOGETHER):
        length = 0
        for r in range(row, min(row + TOGETHER, stop)):
            length += _by_fours(indptr[r + 1] - indptr[r])
        longest = max(longest, length)
    design = scratch(longest, width)
    target = scratch(1, longest)[0]
    x = scratch(TOGETHER, width)
    residual = scratch(TOGETHER, width)
    direction = scratch(TOGETHER, width)
    product = scratch(TOGETHER, width)
    penalty = np.ones(TOGETHER, np.float32)
    error = np.zeros(TOGETHER, np.float32)
    begin = np.zeros(TOGETHER + 1, np.int64)
    x[:] = 0.0
    direction[:] = 0.0
    for row in range(start, stop, TOGETHER):
        rows = min(TOGETHER, stop - row)
        for r in range(rows):
            begin[r + 1] = begin[r] + _by_fours(indptr[row + r + 1] - indptr[row + r])
            penalty[r] = penalties[row + r]
            x[r] = out[row + r]
        _shared_normal(whole, penalty, x, residual)
        for r in range(rows):
            first, last = indptr[row + r], indptr[row + r + 1]
            mine = design[begin[r] : begin[r + 1]]
            wanted = target[begin[r] : begin[r + 1]]
            # (G + penalty) x so far; the positives come on top
            value = dot(residual[r], x[r])
            for at in range(0, len(mine), NEAR):
                end, stop_at = min(at + NEAR, len(mine)), min(first + at + NEAR, last)
                here, there = mine[at:end], wanted[at:end]
                _gather(
                    indices[first + at : stop_at], weights[first + at : stop_at], other, here, there
                )
                value += _add_gradient(here, there, x[r], residual[r])
            for d in range(width):
                m = prior[row + r, d]
                value += penalty[r] * m * (m - 2 * x[r, d])
                residual[r, d] = penalty[r] * prior[row + r, d] - residual[r, d]
                direction[r, d] = residual[r, d]
            error[r] = dot(residual[r], residual[r])
            if last > first:
                total += value
        for _ in range(steps):
            if (error[:rows] < 1e-12).all():
                break
            _shared_normal(whole, penalty, direction, product)
            for r in range(rows):
                if error[r] < 1e-12:
                    continue
                _add_normal(design[begin[r] : begin[r + 1]], direction[r], product[r])
                length = error[r] / dot(direction[r], product[r])
                if indptr[row + r + 1] > indptr[row + r]:
                    total -= length * error[r]
                for d in range(width):
                    x[r, d] += length * direction[r, d]
                    residual[r, d] -= length * product[r, d]
                left = dot(residual[r], residual[r])
                turn = left / error[r]
                for d in range(width):
                    direction[r, d] = residual[r, d] + turn * direction[r, d]
                error[r] = left
        for r in range(rows):
            if indptr[row + r] == indptr[row + r + 1]:
                out[row + r] = prior[row + r]
            else:
                out[row + r] = x[r]
    return total


@jit
def solve_rows_blockwise(
    start, stop, indptr, indices, weights, other, whole, penalties, prior, out, block
):
    """Solve rows `start` to `stop`, `block` dimensions at a time with the others as they are.

    With `block` at least K this is the exact solution, by normal equations and Cholesky
    factorization; with smaller blocks it is one round of iALS++ (Rendle et al. 2021), which
    costs K * block instead of K^2 for each positive. Parameters and result as in `improve_rows`.
    """
    total = 0.0
    width = other.shape[1]
    block = min(block, width)
    longest = 0
    for row in range(start, stop):
        longest = max(longest, _by_fours(indptr[row + 1] - indptr[row]))
    design = scratch(longest, width)
    target = scratch(1, longest)[0]
    miss = scratch(1, longest)[0]
    part, right = scratch(CHUNK, padded(block)), scratch(1, padded(block))[0]
    normal = scratch(padded(block), padded(block) + LANES)  # the right-hand side beside it
    for row in range(start, stop):
        first, last = indptr[row], indptr[row + 1]
        count = last - first
        if count == 0:
            out[row] = prior[row]
            continue
        mine = design[: _by_fours(count)]
        _gather(indices[first:last], weights[first:last], other, mine, target[: _by_fours(count)])
        x = out[row]
        for k in range(count):
            miss[k] = target[k] - dot(mine[k], x)
        for at in range(0, width, block):
            size = min(block, width - at)
            normal[:] = 0.0
            right[:] = 0.0
            part[:, size:] = 0.0
            for i in range(size, len(normal)):
                normal[i, i] = 1.0
            for i in range(size):
                d = at + i
                right[i] = penalties[row] * (prior[row, d] - x[d]) - dot(whole[d], x)
                for j in range(i, size):
                    normal[i, j] = whole[d, at + j]
                normal[i, i] += penalties[row]
            for k in range(0, count, CHUNK):
                here = min(CHUNK, count - k)
                for j in range(here):
                    for i in range(size):
                        part[j, i] = mine[k + j, at + i]
                        right[i] += miss[k + j] * part[j, i]
                add_squares(part, here, normal)
            normal[:, len(normal)] = right
            factorize(normal)
            right[:] = normal[:, len(normal)]
            solve_upper(normal, right)
            for i in range(size):
                x[at + i] += right[i]
            for k in range(count):
                miss[k] -= dot(mine[k, at : at + size], right[:size])
        for k in range(count):
            total += miss[k] * miss[k]
        for d in range(width):
            away = x[d] - prior[row, d]
            total += x[d] * dot(whole[d], x) + penalties[row] * away * away
    return total

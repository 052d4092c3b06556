"""The update of iALS: weighted least squares over all items, rated or not.

With x a user's row and w an item's, positives S with weights c and preferences t (1 where ratings
say nothing more), and the weight a of all pairs,

    minimize over x:  sum_S c (t - x . w)^2  +  a sum_all (x . w)^2  +  penalty |x - m|^2.

The second sum runs over every item, but is ``x' G x`` with ``G = a sum_all w w'``, which all
users share (Hu, Koren & Volinsky 2008; in the form of Rendle et al. 2021). A positive enters
as a design row ``sqrt(c) w`` with target ``sqrt(c) t``. For items the two sides change places.

The solvers update rows `start` to `stop` of one side:

    indptr, indices, weights    the `Rows` of this side, with the weights c as values
    targets                     float32, like the weights: the preferences t
    factors                     float32 or 16 bits (columns, K rounded up to a multiple of 16), the
                                rows w of the other side
    other                       the same, float32 (columns, K)
    whole                       float32 (K, K), G
    penalties                   float32 (rows,)
    prior                       float32 (rows, K), m
    out                         float32 (rows, K), the rows x: where to start, and the result; a row
                                without positives is set to its prior mean

and return the sum above over rows with positives, at the result; a conjugate gradient step lowers
it by a known amount, so that it costs nothing there. In blocks of K dimensions the solution is
exact; smaller blocks are one round of iALS++ (Rendle et al. 2021), which costs K * block instead of
K^2 for each positive.
"""

import numpy as np

from matinee.kernels.jit import jit, part
from matinee.kernels.linalg import (
    CHUNK,
    add_rows,
    add_squares,
    copy,
    dot,
    factorize,
    load_four,
    padded,
    prefetch_four,
    products,
    scratch,
    solve_upper,
)
from matinee.kernels.simd import LANES

TOGETHER = 4  # rows updated side by side, so that each pass over G serves four


@jit
def gram(start, stop, rows, out):
    """Sum of ``w w'`` over the rows `start` to `stop`, in both halves of `out` (K, K)."""
    width = rows.shape[1]
    half = scratch(padded(width), padded(width))
    design = scratch(CHUNK, padded(width))
    half[:] = 0.0
    design[:] = 0.0
    for chunk in range(start, stop, CHUNK):
        count = min(CHUNK, stop - chunk)
        for k in range(count):
            for d in range(width):
                design[k, d] = rows[chunk + k, d]
        add_squares(design, count, half)
    for i in range(width):
        for j in range(i, width):
            out[i, j] = half[i, j]
            out[j, i] = half[i, j]


@part
def _gather(indices, weights, targets, other, design, target):
    """Copy the design rows and targets of the positives of a row."""
    width = other.shape[1]
    for k in range(len(indices)):
        root = np.sqrt(weights[k])
        row = other[indices[k]]
        target[k] = root * targets[k]
        for d in range(width):
            design[k, d] = root * row[d]


@part
def _add_gradient(first, last, indices, weights, targets, factors, x, out):
    """out += Z' C (t - Z x), C the weights; returns the sum of ``c (t - z . x)^2``.

    Without targets t they are zeros.
    """
    loss = np.float32(0.0)
    for k in range(first, last, 4):
        prefetch_four(factors, indices, k)
        four = load_four(indices, k, last)
        a, b, c, d = products(factors, four, x)
        a, b, c, d = -a, -b, -c, -d
        if len(targets):
            e, f, g, h = load_four(targets, k, last)
            a, b, c, d = a + e, b + f, c + g, d + h
        e, f, g, h = load_four(weights, k, last)
        weighted = (a * e, b * f, c * g, d * h)
        add_rows(factors, four, weighted, last - k, out)
        loss += a * weighted[0]
        loss += b * weighted[1] if last - k > 1 else np.float32(0.0)
        loss += c * weighted[2] if last - k > 2 else np.float32(0.0)
        loss += d * weighted[3] if last - k > 3 else np.float32(0.0)
    return loss


@part
def _shared_normal(whole, penalty, x, out):
    """out = (G + penalty) x for the four rows of x: G is read once for all."""
    width = len(whole)
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
def update_rows_implicit_cg(
    start, stop, indptr, indices, weights, targets, factors, whole, penalties, prior, out, steps
):
    """Take at most `steps` conjugate gradient steps, fewer once a row is solved to float32."""
    value, width, wide = 0.0, out.shape[1], factors.shape[1]
    x, residual = scratch(TOGETHER, wide), scratch(TOGETHER, wide)
    direction, product = scratch(TOGETHER, wide), scratch(TOGETHER, wide)
    penalty, error = np.ones(TOGETHER, np.float32), np.zeros(TOGETHER, np.float32)
    x[:], residual[:] = 0.0, 0.0
    direction[:], product[:] = 0.0, 0.0
    for row in range(start, stop, TOGETHER):
        rows = min(TOGETHER, stop - row)
        for r in range(rows):
            penalty[r] = penalties[row + r]
            for d in range(width):
                x[r, d] = out[row + r, d]
        _shared_normal(whole, penalty, x, residual)
        for r in range(rows):
            # (G + penalty) x so far; the positives come on top
            loss = dot(residual[r], x[r])
            for d in range(width):
                m = prior[row + r, d]
                loss += penalty[r] * m * (m - 2 * x[r, d])
                residual[r, d] = penalty[r] * m - residual[r, d]
            first, last = indptr[row + r], indptr[row + r + 1]
            here, rest = x[r : r + 1], residual[r : r + 1]
            loss += _add_gradient(first, last, indices, weights, targets, factors, here, rest)
            copy(residual[r], direction[r])
            error[r] = dot(residual[r], residual[r])
            if last > first:
                value += loss
        for _ in range(steps):
            if (error[:rows] < 1e-12).all():
                break
            _shared_normal(whole, penalty, direction, product)
            for r in range(rows):
                if error[r] < 1e-12:
                    continue
                for d in range(width):
                    product[r, d] = -product[r, d]
                first, last = indptr[row + r], indptr[row + r + 1]
                here, rest = direction[r : r + 1], product[r : r + 1]
                _add_gradient(first, last, indices, weights, targets[:0], factors, here, rest)
                length = -error[r] / dot(direction[r], product[r])
                if last > first:
                    value -= length * error[r]
                for d in range(width):
                    x[r, d] += length * direction[r, d]
                    residual[r, d] += length * product[r, d]
                left = dot(residual[r], residual[r])
                turn = left / error[r]
                for d in range(width):
                    direction[r, d] = residual[r, d] + turn * direction[r, d]
                error[r] = left
        for r in range(rows):
            empty = indptr[row + r] == indptr[row + r + 1]
            for d in range(width):
                out[row + r, d] = prior[row + r, d] if empty else x[r, d]
    return value


@jit
def update_rows_implicit_block(
    start, stop, indptr, indices, weights, targets, other, whole, penalties, prior, out, block
):
    """Solve for `block` dimensions at a time, the others held fixed."""
    total = 0.0
    width = other.shape[1]
    block = min(block, width)
    longest = 0
    for row in range(start, stop):
        longest = max(longest, indptr[row + 1] - indptr[row])
    design = scratch(longest, width)
    target = scratch(1, longest)[0]
    miss = scratch(1, longest)[0]
    part, right = scratch(CHUNK, padded(block)), scratch(1, padded(block))[0]
    normal = scratch(padded(block), padded(block) + LANES)  # the right-hand side beside it
    for row in range(start, stop):
        first, last = indptr[row], indptr[row + 1]
        count = last - first
        if count == 0:
            copy(prior[row], out[row])
            continue
        mine = design[:count]
        _gather(indices[first:last], weights[first:last], targets[first:last], other, mine, target)
        x = out[row]
        for k in range(count):
            miss[k] = target[k] - dot(mine[k], x)
        for offset in range(0, width, block):
            size = min(block, width - offset)
            normal[:] = 0.0
            right[:] = 0.0
            part[:, size:] = 0.0
            for i in range(size, len(normal)):
                normal[i, i] = 1.0
            for i in range(size):
                d = offset + i
                right[i] = penalties[row] * (prior[row, d] - x[d]) - dot(whole[d], x)
                for j in range(i, size):
                    normal[i, j] = whole[d, offset + j]
                normal[i, i] += penalties[row]
            for k in range(0, count, CHUNK):
                here = min(CHUNK, count - k)
                for j in range(here):
                    for i in range(size):
                        part[j, i] = mine[k + j, offset + i]
                        right[i] += miss[k + j] * part[j, i]
                add_squares(part, here, normal)
            copy(right, normal[:, len(normal)])
            factorize(normal)
            copy(normal[:, len(normal)], right)
            solve_upper(normal, right)
            for i in range(size):
                x[offset + i] += right[i]
            for k in range(count):
                miss[k] -= dot(mine[k, offset : offset + size], right[:size])
        for k in range(count):
            total += miss[k] * miss[k]
        for d in range(width):
            away = x[d] - prior[row, d]
            total += x[d] * dot(whole[d], x) + penalties[row] * away * away
    return total

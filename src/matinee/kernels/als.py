"""The update of ALS: ridge regression for one row after another; and scores of pairs.

Each side of the model is one matrix with rows ``[bias, factor_1 ... factor_K]``, so that with x a
user and w an item

    rating = mean + x[0] + w[0] + x[1:] . w[1:]

Given the rows w of the other side, a row x is a linear regression with design ``z = [1, w[1:]]``
and target ``t = rating - mean - w[0]``, shrunk towards its prior mean m:

    minimize over x:  sum (t - z . x)^2 + r |x[1:] - m[1:]|^2 + s (x[0] - m[0])^2

with penalties r of factors and s of the bias that depend on the number of the row's ratings, see
`Ridge` (Koren, Bell & Volinsky 2009; weighted regularization after Zhou et al. 2008). Nearly all
of the time goes into fetching the rows w of a row's ratings from all over the other side: both
solvers prefetch them, and the iterative one keeps them in 16 bits.

The solvers update rows `start` to `stop` of one side:

    indptr, indices, values     the `Rows` of this side, with ratings as values
    mean                        float32, the mean rating
    other                       float32 (columns, 1 + K), rows of the other side
    biases, factors             the same, as float32 (columns,) and what `to_float16` makes of them
    prior                       float32 (rows, 1 + K), prior means
    ridge                       `Ridge`
    out                         float32 (rows, 1 + K), this side; a row without ratings is set to
                                its prior mean
    unit                        float32, in units of a rating, as squares of factors are: it makes
                                conjugate gradients take the same steps whatever that unit is
"""

from typing import NamedTuple

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
    prefetch_row,
    products,
    scratch,
    solve_upper,
)
from matinee.kernels.simd import LANES, fma, load, splat, store


class Ridge(NamedTuple):
    """How strongly rows are drawn towards their prior means: ``strength * n ** exponent``."""

    factors: np.float32
    exponent: np.float32
    bias: np.float32
    bias_exponent: np.float32

    @classmethod
    def of(cls, factors: float, exponent: float, bias: float, bias_exponent: float) -> "Ridge":
        """Of ordinary numbers."""
        return cls(*(np.float32(value) for value in (factors, exponent, bias, bias_exponent)))


@part
def penalties(ridge, count):
    """Of the factors and of the bias of a row with `count` ratings."""
    n = np.float32(count)
    return ridge.factors * n**ridge.exponent, ridge.bias * n**ridge.bias_exponent


@part
def _gather(first, count, indices, values, mean, other, design, target):
    """Copy the design rows and targets of `count` ratings."""
    for k in range(count):
        prefetch_row(other, indices, first + k)
        row = other[indices[first + k]]
        for d in range(1, len(row)):
            design[k, d - 1] = row[d]
        target[k] = values[first + k] - mean - row[0]


@part
def _add_sides(design, target, count, right, ones):
    """right += design' target and ones += design' 1; returns the sum of the targets."""
    summed = np.float32(0.0)
    for k in range(count):
        t = splat(target[k])
        summed += target[k]
        for d in range(0, design.shape[1], LANES):
            z = load(design, k, d)
            store(fma(t, z, load(right, 0, d)), right, 0, d)
            store(fma(splat(np.float32(1.0)), z, load(ones, 0, d)), ones, 0, d)
    return summed


@jit
def update_rows_cholesky(start, stop, indptr, indices, values, mean, other, prior, ridge, out):
    """Solve by normal equations and Cholesky factorization.

    The bias is the last unknown: with G the normal matrix of the factors, s the sum of their
    design rows and ``G = U' U``, it is ``(r_b - p . q) / (n_b - q . q)`` for ``U' p = r`` and
    ``U' q = s``, and the factors solve ``U x = p - b q``.
    """
    factors = other.shape[1] - 1
    width = padded(factors)
    gram = scratch(width, width + LANES)  # right-hand sides beside it
    design, target = scratch(CHUNK, width), scratch(1, CHUNK)[0]
    right, ones = scratch(1, width), scratch(1, width)
    design[:] = 0.0
    for row in range(start, stop):
        first, last = indptr[row], indptr[row + 1]
        if first == last:
            copy(prior[row], out[row])
            continue
        penalty, bias_penalty = penalties(ridge, last - first)
        gram[:] = 0.0
        ones[:] = 0.0
        right[:] = 0.0
        for d in range(factors):
            right[0, d] = penalty * prior[row, d + 1]
        right_of_bias = bias_penalty * prior[row, 0]
        for chunk in range(first, last, CHUNK):
            count = min(CHUNK, last - chunk)
            _gather(chunk, count, indices, values, mean, other, design, target)
            add_squares(design, count, gram)
            right_of_bias += _add_sides(design, target, count, right, ones)
        for d in range(width):
            gram[d, d] += penalty
            gram[d, width] = right[0, d]
            gram[d, width + 1] = ones[0, d]
        factorize(gram)
        bias, rest = right_of_bias, np.float32(last - first) + bias_penalty
        for d in range(width):
            bias -= gram[d, width] * gram[d, width + 1]
            rest -= gram[d, width + 1] * gram[d, width + 1]
        bias /= rest
        x = right[0]
        for d in range(width):
            x[d] = gram[d, width] - bias * gram[d, width + 1]
        solve_upper(gram, x)
        out[row, 0] = bias
        for d in range(factors):
            out[row, d + 1] = x[d]


@part
def _add_gradient(first, last, indices, values, biases, factors, shift, x, out):
    """out += Z' (t - Z x), t = `values` - bias - shift, or -shift if empty; the bias's element."""
    summed = np.float32(0.0)
    for k in range(first, last, 4):
        prefetch_four(factors, indices, k)
        four = load_four(indices, k, last)
        a, b, c, d = products(factors, four, x)
        a, b, c, d = -shift - a, -shift - b, -shift - c, -shift - d
        if len(values):
            t0, t1, t2, t3 = load_four(values, k, last)
            a += t0 - biases[four[0]]
            b += t1 - biases[four[1]]
            c += t2 - biases[four[2]]
            d += t3 - biases[four[3]]
        summed += add_rows(factors, four, (a, b, c, d), last - k, out)
    return summed


@jit
def update_rows_cg(
    start, stop, indptr, indices, values, mean, biases, factors, prior, ridge, out, steps, unit
):
    """Take `steps` conjugate gradient steps from the rows in `out`, each one pass over the ratings:
    the normal matrix is never formed (Takács, Pilászy & Tikk 2011).
    """
    width = factors.shape[1]
    x, residual = scratch(1, width), scratch(1, width)
    direction, product = scratch(1, width), scratch(1, width)
    x[:] = 0.0
    for row in range(start, stop):
        first, last = indptr[row], indptr[row + 1]
        if first == last:
            copy(prior[row], out[row])
            continue
        penalty, bias_penalty = penalties(ridge, last - first)
        residual[:] = 0.0
        bias = out[row, 0]
        bias_residual = bias_penalty * (prior[row, 0] - bias)
        for d in range(1, out.shape[1]):
            x[0, d - 1] = out[row, d]
            residual[0, d - 1] = penalty * (prior[row, d] - out[row, d])
        bias_residual += _add_gradient(
            first, last, indices, values, biases, factors, mean + bias, x, residual
        )
        copy(residual[0], direction[0])
        bias_direction = unit * bias_residual
        error = dot(residual[0], residual[0]) + unit * bias_residual * bias_residual
        for _ in range(steps):
            if error < 1e-12:
                break
            for d in range(width):
                product[0, d] = -penalty * direction[0, d]
            bias_product = -bias_penalty * bias_direction + _add_gradient(
                first, last, indices, values[:0], biases, factors, bias_direction, direction,
                product,
            )  # fmt: skip
            length = -error / (dot(direction[0], product[0]) + bias_direction * bias_product)
            bias += length * bias_direction
            bias_residual += length * bias_product
            for d in range(width):
                x[0, d] += length * direction[0, d]
                residual[0, d] += length * product[0, d]
            left = dot(residual[0], residual[0]) + unit * bias_residual * bias_residual
            turn = left / error
            bias_direction = unit * bias_residual + turn * bias_direction
            for d in range(width):
                direction[0, d] = residual[0, d] + turn * direction[0, d]
            error = left
        out[row, 0] = bias
        for d in range(1, out.shape[1]):
            out[row, d] = x[0, d - 1]


@part
def _score(mean, x, w):
    total = np.float32(0.0)
    for d in range(1, len(x)):
        total += x[d] * w[d]
    return mean + x[0] + w[0] + total


@jit
def predict_pairs(
    start, stop, users, items, mean, user_params, item_params, default_user, default_item, out
):
    """out[k] = score of (users[k], items[k]); a code of -1 stands for the default row."""
    for k in range(start, stop):
        prefetch_row(user_params, users, k)
        prefetch_row(item_params, items, k)
        x = user_params[users[k]] if users[k] >= 0 else default_user
        w = item_params[items[k]] if items[k] >= 0 else default_item
        out[k] = _score(mean, x, w)


@jit
def squared_error(start, stop, indptr, indices, values, mean, rows, other):
    """Sum of (rating - score)^2 over the ratings of rows `start` to `stop`, in float64."""
    total = 0.0
    for row in range(start, stop):
        for entry in range(indptr[row], indptr[row + 1]):
            prefetch_row(other, indices, entry)
            error = values[entry] - _score(mean, rows[row], other[indices[entry]])
            total += np.float64(error) * np.float64(error)
    return total

"""Block Gibbs sampling: one draw for every row of one side, given all other rows.

A rating has one row on each side: a user, an item, and possibly more (a date). Any two of them
interact, so that with x_s the factors and b_s the bias of its row on side s

    score = sum_s b_s + sum_{s < t} x_s . x_t

and given everything else a row is a linear regression with design ``[1, z]``, z the sum of the
factors of a rating's other rows (two sides: matrix factorization; three: the model of pairwise
interactions of Rendle & Schmidt-Thieme 2010). Under a normal prior its conditional distribution is
normal as well (Salakhutdinov & Mnih 2008, section 3.3), and is drawn from here with the bias as one
more dimension. The noise of ratings has variance 1: for noise of precision a, divide the prior's
precisions by a, and `noise` by its square root.

Ratings are in one fixed order, and the residual of each, rating - score, is kept up to date: a pass
needs neither the biases of other sides nor the scores. `draw_rows` takes

    indptr, entries     int64 (rows + 1,), int32: the ratings of each row of this side
    side, first_row     its column in `codes`, and where it starts in `factors` and `biases`
    codes               int32 (ratings, sides), each rating's row on every side, in `factors`
    factors, biases     float32 (rows of all sides, width), (rows of all sides,)
    residual            float32 (ratings,), kept up to date
    precision           float32 (width, width + LANES), prior precision matrix of the factors (1 on
                        the diagonal of unused columns); column width + 1: theirs with the bias
    prior_gradient      float32 (rows, 1 + width), prior precision matrix times (prior mean - row),
                        bias first
    bias_precision      float32, prior precision of the bias
    noise               float32 (rows, 1 + width), standard normal; 0 gives the conditional mean
"""

import numpy as np

from matinee.kernels.jit import jit, part
from matinee.kernels.linalg import CHUNK, add_squares, factorize, scratch, solve_upper
from matinee.kernels.simd import LANES, fma, load, prefetch, splat, store, total

AHEAD = 12  # ratings between the prefetch of what one needs and its use


@part
def _prefetch(entries, k, side, codes, factors, left):
    """Prefetch the factors for the rating `AHEAD` of this one, and the codes for twice as far."""
    entry = np.int64(entries[min(k + 2 * AHEAD, len(entries) - 1)])
    prefetch(codes, entry)
    prefetch(left, entry)
    entry = entries[min(k + AHEAD, len(entries) - 1)]
    for s in range(codes.shape[1]):
        if s != side:
            prefetch(factors, np.int64(codes[entry, s]))


@part
def _design(entry, side, codes, factors, design, k):
    """design[k] = sum of the factors of a rating's rows on the other sides."""
    for d in range(0, factors.shape[1], LANES):
        z = splat(np.float32(0.0))
        for s in range(codes.shape[1]):
            if s != side:
                z = fma(splat(np.float32(1.0)), load(factors, codes[entry, s], d), z)
        store(z, design, k, d)


@jit
def draw_rows(
    start, stop, indptr, entries, side, first_row, codes, factors, biases, residual,
    precision, prior_gradient, bias_precision, noise,
):  # fmt: skip
    """Draw rows `start` to `stop` of one side from their conditional distribution, in place."""
    width = factors.shape[1]
    gram = scratch(width, width + LANES)
    design = scratch(CHUNK, width)
    right, ones, x = scratch(1, width), scratch(1, width), scratch(1, width)
    zero, one = splat(np.float32(0.0)), splat(np.float32(1.0))
    left = residual.reshape(-1, 1)
    for row in range(start, stop):
        for d in range(width):
            for c in range(0, width + LANES, LANES):
                store(load(precision, d, c), gram, d, c)
            right[0, d] = prior_gradient[row, 1 + d]
        for c in range(0, width, LANES):
            store(zero, ones, 0, c)
        right_of_bias, own = prior_gradient[row, 0], bias_precision
        first, last = indptr[row], indptr[row + 1]
        for chunk in range(first, last, CHUNK):
            count = min(CHUNK, last - chunk)
            for k in range(count):
                entry = entries[chunk + k]
                _prefetch(entries, chunk + k, side, codes, factors, left)
                _design(entry, side, codes, factors, design, k)
                own += np.float32(1.0)
                right_of_bias += residual[entry]
                e = splat(residual[entry])
                for c in range(0, width, LANES):
                    z = load(design, k, c)
                    store(fma(e, z, load(right, 0, c)), right, 0, c)
                    store(fma(one, z, load(ones, 0, c)), ones, 0, c)
            add_squares(design, count, gram)
        for d in range(width):
            gram[d, width] = right[0, d]
            gram[d, width + 1] += ones[0, d]
        factorize(gram)
        step, rest = right_of_bias, own
        for d in range(width):
            step -= gram[d, width] * gram[d, width + 1]
            rest -= gram[d, width + 1] * gram[d, width + 1]
        step = step / rest + noise[row, 0] / np.sqrt(rest)
        for d in range(width):
            x[0, d] = gram[d, width] - step * gram[d, width + 1] + noise[row, 1 + d]
        solve_upper(gram, x[0])
        biases[first_row + row] += step
        for c in range(0, width, LANES):
            moved = fma(one, load(x, 0, c), load(factors, first_row + row, c))
            store(moved, factors, first_row + row, c)
        for k in range(first, last):
            entry = entries[k]
            _prefetch(entries, k, side, codes, factors, left)
            _design(entry, side, codes, factors, design, 0)
            explained = zero
            for c in range(0, width, LANES):
                explained = fma(load(design, 0, c), load(x, 0, c), explained)
            residual[entry] -= step + total(explained)


@jit
def score_entries(start, stop, codes, factors, biases, out):
    """out[k] = score of the rating whose rows are ``codes[k]``; a code of -1 adds nothing."""
    for k in range(start, stop):
        score = np.float32(0.0)
        # the sum over pairs is half of (square of the sum - sum of the squares)
        whole = zero = splat(np.float32(0.0))
        for s in range(codes.shape[1]):
            if codes[k, s] >= 0:
                score += biases[codes[k, s]]
        for d in range(0, factors.shape[1], LANES):
            z, squares = zero, zero
            for s in range(codes.shape[1]):
                if codes[k, s] >= 0:
                    x = load(factors, codes[k, s], d)
                    z = fma(splat(np.float32(1.0)), x, z)
                    squares = fma(x, x, squares)
            whole = fma(z, z, fma(splat(np.float32(-1.0)), squares, whole))
        out[k] = score + np.float32(0.5) * total(whole)

"""Normal equations: sums of outer products, and their solution by Cholesky factorization.

Matrices are float32, their widths multiples of `LANES`; only the upper half, row by row, is
computed and read. Both steps spend their time in the same tile of 8 x 16 sums, which stay in
registers: twenty vector loads and broadcasts for sixteen times eight multiplications.
"""

import numpy as np

from matinee.kernels.jit import jit
from matinee.kernels.lanes import LANES, fma, load, splat, store

CHUNK = 64  # design rows gathered at a time: stays in the first-level cache
HEIGHT = 8  # rows of a tile
GUARD = 1024  # float32 left free on both sides of a scratch array: see `scratch`


@jit
def scratch(rows, width):
    """Uninitialized float32 (rows, width) with no neighbours in memory.

    A compiled loop looks at addresses: where two arrays lie within a few hundred bytes it takes
    its scalar path, which rounds differently from the vector path. What must be the same to the
    last bit on any thread therefore keeps its distance. It starts with a cache line, too: a load
    that straddles two takes twice as long.
    """
    around = np.empty(rows * width + 2 * GUARD + LANES, np.float32)
    first = GUARD + (64 - around.ctypes.data % 64) // 4
    return around[first : first + rows * width].reshape(rows, width)


@jit
def padded(width):
    """The next multiple of `LANES`."""
    return (width + LANES - 1) // LANES * LANES


@jit
def copy(numbers, out):
    """out[:] = numbers; written so, it compiles in a tenth of the time."""
    for d in range(len(numbers)):
        out[d] = numbers[d]


@jit
def dot(a, b):
    total = np.float32(0.0)
    for d in range(len(a)):
        total += a[d] * b[d]
    return total


@jit
def _add_tile(design, count, row, column, sign, out):
    """out[row : row + 8, column : column + 16] += sign * the same part of design' design."""
    a = b = c = d = e = f = g = h = splat(np.float32(0.0))
    for k in range(count):
        z = load(design, k, column)
        a = fma(splat(design[k, row]), z, a)
        b = fma(splat(design[k, row + 1]), z, b)
        c = fma(splat(design[k, row + 2]), z, c)
        d = fma(splat(design[k, row + 3]), z, d)
        e = fma(splat(design[k, row + 4]), z, e)
        f = fma(splat(design[k, row + 5]), z, f)
        g = fma(splat(design[k, row + 6]), z, g)
        h = fma(splat(design[k, row + 7]), z, h)
    s = splat(sign)
    store(fma(s, a, load(out, row, column)), out, row, column)
    store(fma(s, b, load(out, row + 1, column)), out, row + 1, column)
    store(fma(s, c, load(out, row + 2, column)), out, row + 2, column)
    store(fma(s, d, load(out, row + 3, column)), out, row + 3, column)
    store(fma(s, e, load(out, row + 4, column)), out, row + 4, column)
    store(fma(s, f, load(out, row + 5, column)), out, row + 5, column)
    store(fma(s, g, load(out, row + 6, column)), out, row + 6, column)
    store(fma(s, h, load(out, row + 7, column)), out, row + 7, column)


@jit
def add_squares(design, count, gram):
    """gram += design' design over the first `count` rows of design (rows, K), upper half.

    The lower half of the diagonal's tiles is filled as well, the rest left alone. `gram` may have
    more columns than `design`.
    """
    width = design.shape[1]
    for column in range(0, width, LANES):
        for row in range(0, column + LANES, HEIGHT):
            _add_tile(design, count, row, column, np.float32(1.0), gram)


@jit
def factorize(gram):
    """Turn [A, R] into [U, U'^-1 R], upper half of A = U' U, in place.

    Parameters
    ----------
    gram : float32 (K, K + more)
        A and, beside it, right-hand sides; both widths are multiples of `LANES`.
    """
    width, whole = gram.shape
    for first in range(0, width, HEIGHT):
        # what the rows above take away from these eight
        for column in range(first - first % LANES, whole, LANES):
            _add_tile(gram, first, first, column, np.float32(-1.0), gram)
        # and what they take away from one another
        for row in range(first, first + HEIGHT):
            start = row - row % LANES
            for above in range(first, row):
                share = splat(-gram[above, row])
                for column in range(start, whole, LANES):
                    rest = fma(share, load(gram, above, column), load(gram, row, column))
                    store(rest, gram, row, column)
            share = splat(np.float32(1.0) / np.sqrt(gram[row, row]))
            nothing = splat(np.float32(0.0))
            for column in range(start, whole, LANES):
                store(fma(share, load(gram, row, column), nothing), gram, row, column)


@jit
def solve_upper(gram, x):
    """Solve U x = x in place, U as `factorize` leaves it."""
    for row in range(len(gram) - 1, -1, -1):
        rest = x[row] - dot(gram[row, row + 1 : len(gram)], x[row + 1 :])
        x[row] = rest / gram[row, row]

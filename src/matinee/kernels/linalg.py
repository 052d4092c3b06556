"""Linear algebra of the solvers: gathered rows, normal equations, and products of tall matrices.

Matrices of normal equations are float32, their widths multiples of `LANES`; only the upper half is
computed and read, in tiles of 8 x 16 sums that stay in registers.
"""

import numpy as np

from matinee._types import F32, U16, Array
from matinee.kernels.jit import jit, part
from matinee.kernels.parallel import aligned_zeros, run_blocks, uniform_blocks
from matinee.kernels.simd import LANES, fma, load, prefetch, splat, store, total

CHUNK = 64  # design rows gathered at a time: they stay in the first-level cache
HEIGHT = 8  # rows of a tile
GUARD = 1024  # float32 left free on both sides of a scratch array: see `scratch`
AHEAD = 32  # ratings between the prefetch of a row and its use


@part
def scratch(rows, width):
    """Uninitialized float32 (rows, width), on a cache line and far from all other arrays: where two
    lie close, a compiled loop takes its scalar path, which rounds differently.
    """
    around = np.empty(rows * width + 2 * GUARD + LANES, np.float32)
    first = GUARD + (64 - around.ctypes.data % 64) // 4
    return around[first : first + rows * width].reshape(rows, width)


@jit
def padded(width):
    """The next multiple of `LANES`."""
    return (width + LANES - 1) // LANES * LANES


@part
def copy(numbers, out):
    """out[:] = numbers, as a loop because that compiles in a tenth of the time."""
    for d in range(len(numbers)):
        out[d] = numbers[d]


@part
def dot(a, b):
    total = np.float32(0.0)
    for d in range(len(a)):
        total += a[d] * b[d]
    return total


def float16_buffer(n: int, factors: int) -> U16:
    """Zeros for `to_float16` to fill: (n, factors rounded up), on a cache line."""
    return aligned_zeros(n, padded(factors) // 2).view(np.uint16)


def to_float16(rows: F32, skip: int, halves: U16) -> None:
    """Round the columns from `skip` on to 16 bits (IEEE 754 binary16)."""
    blocks = uniform_blocks(len(rows))
    run_blocks(_halve_rows, blocks, rows, skip, halves)


def pad_to_lanes(rows: F32) -> F32:
    """The same rows, filled up with zeros to a width that these kernels take."""
    width = rows.shape[1]
    if width % LANES == 0:
        return np.ascontiguousarray(rows)
    wide = aligned_zeros(len(rows), padded(width))
    wide[:, :width] = rows
    return wide


@jit
def _halve_rows(start, stop, rows, skip, halves):
    row = scratch(1, halves.shape[1])
    row[:] = 0.0
    for r in range(start, stop):
        for d in range(skip, rows.shape[1]):
            row[0, d - skip] = rows[r, d]
        for d in range(0, halves.shape[1], LANES):
            store(load(row, 0, d), halves, r, d)


@part
def prefetch_row(rows, indices, entry):
    """Prefetch the row of the rating `AHEAD` of this one; a code of -1 does no harm."""
    prefetch(rows, np.int64(indices[min(entry + AHEAD, len(indices) - 1)]))


@part
def prefetch_four(rows, indices, k):
    for entry in range(k, k + 4):
        prefetch_row(rows, indices, entry)


@part
def load_four(entries, k, last):
    """Four entries from k on; where fewer are left before `last`, the last one is repeated."""
    b, c, d = min(k + 1, last - 1), min(k + 2, last - 1), min(k + 3, last - 1)
    return entries[k], entries[b], entries[c], entries[d]


@part
def products(rows, four, x):
    """The dot products of four rows with x (1, width); widths are multiples of `LANES`."""
    i, j, m, n = four
    a = b = c = d = splat(np.float32(0.0))
    for k in range(0, x.shape[1], LANES):
        lanes = load(x, 0, k)
        a = fma(load(rows, i, k), lanes, a)
        b = fma(load(rows, j, k), lanes, b)
        c = fma(load(rows, m, k), lanes, c)
        d = fma(load(rows, n, k), lanes, d)
    return total(a), total(b), total(c), total(d)


@part
def add_rows(rows, four, weights, left, out):
    """out += the first `left` of four rows times their weights; returns the sum of the weights."""
    i, j, m, n = four
    nothing = np.float32(0.0)
    w, x = weights[0], weights[1] if left > 1 else nothing
    y, z = weights[2] if left > 2 else nothing, weights[3] if left > 3 else nothing
    a, b, c, d = splat(w), splat(x), splat(y), splat(z)
    for k in range(0, out.shape[1], LANES):
        lanes = fma(a, load(rows, i, k), load(out, 0, k))
        lanes = fma(b, load(rows, j, k), lanes)
        lanes = fma(c, load(rows, m, k), lanes)
        store(fma(d, load(rows, n, k), lanes), out, 0, k)
    return w + x + y + z


@part
def _add_tile(design, count, row, column, sign, out):
    """out[row : row + 8, column : column + 16] += sign * the same tile of design' design."""
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


@part
def add_squares(design, count, gram):
    """gram += design' design over the first `count` rows of design (rows, K), upper half."""
    width = design.shape[1]
    for column in range(0, width, LANES):
        for row in range(0, column + LANES, HEIGHT):
            _add_tile(design, count, row, column, np.float32(1.0), gram)


@part
def factorize(gram):
    """Replace [A, R] by [U, U'^-1 R], A = U' U, R any number of right-hand sides; upper half."""
    width, whole = gram.shape
    for first in range(0, width, HEIGHT):
        # subtract the rows above from these eight
        for column in range(first - first % LANES, whole, LANES):
            _add_tile(gram, first, first, column, np.float32(-1.0), gram)
        # and these from one another
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


@part
def solve_upper(gram, x):
    """Replace x by the solution of U x = x, U as `factorize` leaves it."""
    for row in range(len(gram) - 1, -1, -1):
        rest = x[row] - dot(gram[row, row + 1 : len(gram)], x[row + 1 :])
        x[row] = rest / gram[row, row]


@jit
def _times(start, stop, tall, small, out):
    for row in range(start, stop):
        for c in range(small.shape[1]):
            out[row, c] = 0.0
        for k in range(small.shape[0]):
            share = tall[row, k]
            for c in range(small.shape[1]):
                out[row, c] += share * small[k, c]


@jit
def _inner(start, stop, left, right):
    out = np.zeros((left.shape[1], right.shape[1]))  # sums of many rows need all digits
    for row in range(start, stop):
        for k in range(left.shape[1]):
            share = np.float64(left[row, k])
            for c in range(right.shape[1]):
                out[k, c] += share * right[row, c]
    return out


def times(tall: Array, small: Array) -> Array:
    """``tall @ small``, (rows, k) times (k, columns), in the dtype of `tall`."""
    out = np.empty((len(tall), small.shape[1]), tall.dtype)
    small = np.ascontiguousarray(small, tall.dtype)
    run_blocks(_times, uniform_blocks(len(tall), 256), tall, small, out)
    return out


def inner(left: Array, right: Array) -> Array:
    """``left.T @ right``, (rows, k) and (rows, columns), the same for any number of threads."""
    blocks = uniform_blocks(len(left), max(256, len(left) // 8))
    sums = run_blocks(_inner, blocks, left, right)
    return np.asarray(np.sum(sums, axis=0).astype(right.dtype))

"""Rows gathered from all over a matrix, four at a time: what conjugate gradients are made of.

Matrices here have widths that are multiples of `LANES`, and hold float32 or halves. No processor
guesses which row is next, so each is asked for `AHEAD` ratings before it is used: without that,
most of the time of a pass goes by waiting. Rows are read where they are: copied side by side
first, the long ones would go through main memory once more.
"""

import numpy as np
from numpy.typing import NDArray

from matinee.kernels.blocks import aligned_zeros, even_blocks, run_blocks
from matinee.kernels.jit import jit
from matinee.kernels.lanes import LANES, fma, load, prefetch, splat, store, total
from matinee.kernels.normal import padded, scratch

AHEAD = 32  # ratings between asking for a row and using it


def room_for_halves(n: int, factors: int) -> NDArray[np.uint16]:
    """What `halve_rows` fills: zeros (n, factors rounded up), starting with a cache line."""
    return aligned_zeros(n, padded(factors) // 2).view(np.uint16)


def halve_rows(
    rows: NDArray[np.float32], skip: int, halves: NDArray[np.uint16], threads: int | None = None
) -> None:
    """Round the columns from `skip` on to 16 bits (IEEE 754 binary16), on whole cache lines."""
    blocks = even_blocks(len(rows))
    run_blocks(_halve_rows, blocks, rows, skip, halves, threads=threads)


def on_whole_lanes(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """The same numbers in a matrix as wide as these kernels ask for, zeros at the end."""
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
    for at in range(start, stop):
        for d in range(skip, rows.shape[1]):
            row[0, d - skip] = rows[at, d]
        for d in range(0, halves.shape[1], LANES):
            store(load(row, 0, d), halves, at, d)


@jit
def ask(rows, indices, entry):
    """Prefetch the row that the rating `AHEAD` of this one needs; a code of -1 does no harm."""
    prefetch(rows, np.int64(indices[min(entry + AHEAD, len(indices) - 1)]))


@jit
def ask_for_four(rows, indices, k):
    for entry in range(k, k + 4):
        ask(rows, indices, entry)


@jit
def four_of(entries, k, last):
    """Four entries from k on; where fewer are left before `last`, the last one fills them up."""
    b, c, d = min(k + 1, last - 1), min(k + 2, last - 1), min(k + 3, last - 1)
    return entries[k], entries[b], entries[c], entries[d]


@jit
def products(rows, four, x):
    """The dot products of four rows with x (1, width), the widths multiples of `LANES`."""
    i, j, m, n = four
    a = b = c = d = splat(np.float32(0.0))
    for at in range(0, x.shape[1], LANES):
        lanes = load(x, 0, at)
        a = fma(load(rows, i, at), lanes, a)
        b = fma(load(rows, j, at), lanes, b)
        c = fma(load(rows, m, at), lanes, c)
        d = fma(load(rows, n, at), lanes, d)
    return total(a), total(b), total(c), total(d)


@jit
def add_rows(rows, four, weights, left, out):
    """out += the first `left` of four rows, times their weights; returns the sum of the weights."""
    i, j, m, n = four
    nothing = np.float32(0.0)
    w, x = weights[0], weights[1] if left > 1 else nothing
    y, z = weights[2] if left > 2 else nothing, weights[3] if left > 3 else nothing
    a, b, c, d = splat(w), splat(x), splat(y), splat(z)
    for at in range(0, out.shape[1], LANES):
        lanes = fma(a, load(rows, i, at), load(out, 0, at))
        lanes = fma(b, load(rows, j, at), lanes)
        lanes = fma(c, load(rows, m, at), lanes)
        store(fma(d, load(rows, n, at), lanes), out, 0, at)
    return w + x + y + z

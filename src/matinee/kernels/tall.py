"""Products of tall matrices: many rows, a few dozen columns.

A library of linear algebra would do them as well, with sums that depend on how many threads it
takes; and its threads, waiting for one another, come in the way of ours.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from matinee.kernels.blocks import even_blocks, run_blocks
from matinee.kernels.jit import jit


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


def times(tall: NDArray[Any], small: NDArray[Any], threads: int | None = None) -> NDArray[Any]:
    """``tall @ small``, (rows, k) times (k, columns), in the type of `tall`."""
    out = np.empty((len(tall), small.shape[1]), tall.dtype)
    small = np.ascontiguousarray(small, tall.dtype)
    run_blocks(_times, even_blocks(len(tall), 256), tall, small, out, threads=threads)
    return out


def inner(left: NDArray[Any], right: NDArray[Any], threads: int | None = None) -> NDArray[Any]:
    """``left.T @ right``, (rows, k) and (rows, columns), the same for any number of threads."""
    blocks = even_blocks(len(left), max(256, len(left) // 8))
    sums = run_blocks(_inner, blocks, left, right, threads=threads)
    return np.asarray(np.sum(sums, axis=0).astype(right.dtype))

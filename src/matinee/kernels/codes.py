"""From ids to dense codes by counting: which ids there are, and how many stand before each."""

import numpy as np
from numpy.typing import NDArray

from matinee.kernels.blocks import run_blocks
from matinee.kernels.jit import jit

BLOCK = 2**20


@jit
def _mark(start, stop, numbers, low, seen):
    for at in range(start, stop):
        seen[numbers[at] - low] = True


@jit
def _look_up(start, stop, numbers, low, table, out):
    for at in range(start, stop):
        out[at] = table[numbers[at] - low]


@jit
def _add_up(numbers, counts):
    for at in range(len(numbers)):
        counts[numbers[at]] += 1


def mark(numbers: NDArray[np.integer], low: int, seen: NDArray[np.bool_]) -> None:
    """Set `seen` at each number less `low`."""
    run_blocks(_mark, slices(len(numbers)), numbers, low, seen)


def rank(
    numbers: NDArray[np.integer], low: int, seen: NDArray[np.bool_], out: NDArray[np.int32]
) -> None:
    """Write for each number how many smaller ones were marked; `out` may be `numbers` itself.

    Parameters
    ----------
    numbers : int (n,)
        Each of them marked.
    low : int
    seen : bool (limit,)
        As `mark` left it.
    out : int32 (n,)
    """
    table = np.cumsum(seen, dtype=np.int32) - np.int32(1)
    run_blocks(_look_up, slices(len(numbers)), numbers, low, table, out)


def tally(codes: NDArray[np.int32], n: int) -> NDArray[np.int64]:
    """How often each code from 0 to n - 1 occurs, (n,)."""
    counts = np.zeros(n, np.int64)
    _add_up(codes, counts)
    return counts


def slices(n: int) -> list[tuple[int, int]]:
    """Ranges that cover `n` entries, each small enough to need little room beside them."""
    return [(start, min(start + BLOCK, n)) for start in range(0, n, BLOCK)]

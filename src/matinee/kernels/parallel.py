"""Cutting rows into blocks of equal work, and running the blocks on threads."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np

from matinee._types import F32, I64
from matinee.errors import SettingError

BLOCKS = 64
"""Blocks per pass: enough to balance a few cores, few enough to cost nothing."""

Result = TypeVar("Result")


def usable_threads() -> int:
    """Number of processors this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def balanced_blocks(indptr: I64, blocks: int = BLOCKS) -> list[tuple[int, int]]:
    """Row ranges that hold about the same number of entries each.

    Parameters
    ----------
    indptr : int64 array of shape (rows + 1,)
        Where each row's entries start, as in `Rows`.
    blocks : int
        Upper bound on the number of ranges.

    Returns
    -------
    list of (start, stop)
        Ranges that cover all rows, in order. They depend on the data alone,
        never on the number of threads.

    Examples
    --------
    >>> balanced_blocks(np.array([0, 10, 11, 12, 20]), blocks=2)
    [(0, 2), (2, 4)]
    """
    rows = len(indptr) - 1
    # a row costs its entries, and one more for the solve itself
    work = indptr + np.arange(rows + 1)
    targets = np.linspace(0, work[-1], blocks + 1)[1:-1]
    cuts = np.unique(np.concatenate(([0], np.searchsorted(work, targets), [rows])))
    return [(int(a), int(b)) for a, b in pairwise(cuts)]


def uniform_blocks(rows: int, least: int = 1) -> list[tuple[int, int]]:
    """`balanced_blocks` of rows that are the same work each; at least so many to a block.

    Examples
    --------
    >>> uniform_blocks(10, least=4)
    [(0, 5), (5, 10)]
    """
    count = max(1, min(BLOCKS, rows // least))
    cuts = [rows * at // count for at in range(count + 1)]
    return list(pairwise(cuts))


def run_blocks(
    kernel: Callable[..., Result],
    blocks: list[tuple[int, int]],
    *arguments: Any,
    threads: int | None = None,
) -> list[Result]:
    """Call ``kernel(start, stop, *arguments)`` for each block and keep the results in order.

    A free thread takes the next block, so one enormous row delays nobody else.
    """
    if threads is not None and threads < 1:
        raise SettingError(f"At least 1 thread is needed, not {threads}.")
    usable = threads or usable_threads()
    workers = min(usable, len(blocks))
    results: list[Any] = [None] * len(blocks)
    left = iter(range(len(blocks)))  # the interpreter gives each number to one thread only

    def work() -> None:
        for at in left:
            results[at] = kernel(*blocks[at], *arguments)

    others = [_pool(usable).submit(work) for _ in range(workers - 1)]
    try:
        work()
    finally:
        # who has not begun finds nothing left to do, and may stand behind one who waits for us;
        # who has is waited for: nobody else writes to the arrays once this returns
        begun = [other for other in others if not other.cancel()]
        wait(begun)
    for other in begun:
        other.result()
    return results


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    """Threads that stay, beside the one that calls: to start them takes as long as a small pass."""
    return ThreadPoolExecutor(threads - 1)


if hasattr(os, "register_at_fork"):  # a forked process has none of the threads
    os.register_at_fork(after_in_child=_pool.cache_clear)


def aligned_zeros(rows: int, width: int) -> F32:
    """float32 zeros (rows, width) that start with a cache line, as compiled loops like them."""
    flat = np.zeros(rows * width + 16, np.float32)
    first = (-flat.ctypes.data % 64) // 4
    return flat[first : first + rows * width].reshape(rows, width)

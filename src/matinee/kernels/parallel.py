"""Blocks of equal work, and the threads that run them."""

import math
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from matinee._types import F32, I64
from matinee.errors import check_whole

BLOCKS = 64
"""Blocks per pass: enough to balance the load of a few cores, few enough to cost nothing."""

Result = TypeVar("Result")
_limit: ContextVar[int | None] = ContextVar("_limit", default=None)


def usable_threads() -> int:
    """The number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def machine_memory() -> float:
    """Bytes of memory that this process may have; infinite where nothing tells."""
    limits = [math.inf]
    with suppress(AttributeError, ValueError, OSError):
        limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    with suppress(OSError, ValueError):  # of a container; "max" where it has none
        limits.append(int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii")))
    return min(limit for limit in limits if limit > 0)


def balanced_blocks(indptr: I64, blocks: int = BLOCKS) -> list[tuple[int, int]]:
    """At most `blocks` row ranges of about as many entries, whatever the number of threads."""
    rows = len(indptr) - 1
    if rows == 1:  # as for each request of a service
        return [(0, 1)]
    # a row costs its entries, and one more for the solve
    work = indptr + np.arange(rows + 1)
    targets = np.linspace(0, work[-1], blocks + 1)[1:-1]
    cuts = np.unique(np.concatenate(([0], np.searchsorted(work, targets), [rows])))
    return [(int(a), int(b)) for a, b in pairwise(cuts)]


def uniform_blocks(rows: int, least: int = 1) -> list[tuple[int, int]]:
    """Row ranges of about as many rows, `least` or more of them."""
    count = max(1, min(BLOCKS, rows // least))
    cuts = [rows * block // count for block in range(count + 1)]
    return list(pairwise(cuts))


@contextmanager
def thread_limit(threads: int | None) -> Iterator[None]:
    """Let `run_blocks` use so many threads until the block ends; None: all processors."""
    if threads is not None:
        check_whole("threads", threads, 1)
    token = _limit.set(threads)
    try:
        yield
    finally:
        _limit.reset(token)


def run_blocks(
    kernel: Callable[..., Result],
    blocks: list[tuple[int, int]],
    *arguments: Any,
    threads: int | None = None,
) -> list[Result]:
    """``kernel(start, stop, *arguments)`` of each block; a free thread takes the next one."""
    limit = _limit.get() if threads is None else threads
    usable = usable_threads() if limit is None else limit
    check_whole("threads", usable, 1)
    workers = min(usable, len(blocks))
    results: list[Any] = [None] * len(blocks)
    remaining = iter(range(len(blocks)))  # the interpreter gives each number to one thread only

    def work() -> None:
        for block in remaining:
            results[block] = kernel(*blocks[block], *arguments)

    if workers < 2:
        work()
        return results
    futures = [_pool(usable).submit(work) for _ in range(workers - 1)]
    try:
        work()
    finally:
        # those that have not begun have nothing left to do, and may be queued behind a thread that
        # waits for this one; the others must end before this returns, for they write to the arrays
        begun = [future for future in futures if not future.cancel()]
        wait(begun)
    for future in begun:
        future.result()
    return results


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    """Threads that stay alive: starting them takes as long as a small pass."""
    return ThreadPoolExecutor(threads - 1)


if hasattr(os, "register_at_fork"):  # a forked process has none of the threads
    os.register_at_fork(after_in_child=_pool.cache_clear)


def aligned_zeros(rows: int, width: int) -> F32:
    """float32 zeros (rows, width) that start on a cache line."""
    flat = np.zeros(rows * width + 16, np.float32)
    first = (-flat.ctypes.data % 64) // 4
    return flat[first : first + rows * width].reshape(rows, width)

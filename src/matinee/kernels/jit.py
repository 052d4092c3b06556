"""One compiler setting for all kernels, by which sums are vectorized while NaN and infinity keep
their meaning, and one cache.
"""

import os
from collections.abc import Callable
from typing import Any

import numba
from llvmlite.binding import get_host_cpu_name
from numba.core.compiler_lock import global_compiler_lock
from numba.extending import register_jitable

from matinee.kernels.cache import KernelCache

OPTIONS: dict[str, Any] = {
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"reassoc", "contract", "nsz"},
    "no_cfunc_wrapper": True,
}


def jit(function: Callable[..., Any]) -> Any:
    """The function, compiled at its first call or loaded from the cache."""
    compiled = numba.njit(**OPTIONS)(function)
    compiled._cache = KernelCache(function)  # which is what `numba.njit(cache=True)` does
    return compiled


def part(function: Callable[..., Any]) -> Any:
    """A function that kernels call, compiled and kept as a part of them: not by itself, not for
    calls from Python and not for each constant, which saves a quarter of the time.
    """
    return register_jitable(no_cpython_wrapper=True, **OPTIONS)(function)


if hasattr(os, "register_at_fork"):  # a child whose parent was compiling would wait for ever
    os.register_at_fork(
        before=global_compiler_lock.acquire,
        after_in_parent=global_compiler_lock.release,
        after_in_child=global_compiler_lock.release,
    )


def processor() -> str:
    """The processor that kernels are compiled for; on another, they may round differently."""
    return str(getattr(numba.config, "CPU_NAME", None) or get_host_cpu_name())

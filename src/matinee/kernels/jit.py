"""One compiler setting for all kernels, by which sums are vectorized while NaN and infinity keep
their meaning, and one cache.
"""

from collections.abc import Callable
from typing import Any

import numba
from llvmlite.binding import get_host_cpu_name

from matinee.kernels.cache import KernelCache


def jit(function: Callable[..., Any]) -> Any:
    """The function, compiled at its first call or loaded from the cache."""
    compiled = _compiled(function)
    compiled._cache = KernelCache(function)  # which is what `numba.njit(cache=True)` does
    return compiled


def part(function: Callable[..., Any]) -> Any:
    """A function that kernels alone call: it cannot be called from Python, and is kept on disk
    only as a part of them, which saves a seventh of the time of compiling.
    """
    return _compiled(function, no_cpython_wrapper=True)


def _compiled(function: Callable[..., Any], **options: Any) -> Any:
    return numba.njit(
        nogil=True,
        error_model="numpy",
        fastmath={"reassoc", "contract", "nsz"},
        no_cfunc_wrapper=True,
        **options,
    )(function)


def processor() -> str:
    """The processor that kernels are compiled for; on another, they may round differently."""
    return str(get_host_cpu_name())

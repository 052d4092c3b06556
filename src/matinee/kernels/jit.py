"""One compiler setting for all kernels, by which sums are vectorized while NaN and infinity keep
their meaning, and a cache keyed by all files of this folder: a kernel contains the code that it
calls in other files, and no upgrade may run old code.
"""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numba
from llvmlite.binding import get_host_cpu_name

_SOURCES = sha256(
    b"\0".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
).hexdigest()


def jit(function: Callable[..., Any]) -> Any:
    """The function, compiled at its first call or loaded from the cache."""
    compiled: Any = numba.njit(
        nogil=True, cache=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"}
    )(function)
    compiled._cache._cache_file._source_stamp = _SOURCES
    return compiled


def processor() -> str:
    """The processor that kernels are compiled for; on another, they may round differently."""
    return str(get_host_cpu_name())

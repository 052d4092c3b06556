"""One compiler setting for every kernel, and one cache that no change of a kernel outlives.

`reassoc`, `contract` and `nsz` let sums be vectorized; NaN and infinity keep
their meaning, so a diverging solve is seen rather than hidden.

numba keeps what it compiled beside the source (or in the user's cache folder, where the
source cannot be written to), for this version of numba, this processor, and this content of
the kernel's own file. But a kernel holds the code of whatever it calls in other files as
well: after an upgrade that changed only those, the old code would run on. So here an entry
holds for this content of all files of the folder.
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
    """The function compiled when it is first called, or loaded if it has been before."""
    compiled: Any = numba.njit(
        nogil=True,
        cache=True,
        error_model="numpy",
        fastmath={"reassoc", "contract", "nsz"},
    )(function)
    compiled._cache._cache_file._source_stamp = _SOURCES
    return compiled


def processor() -> str:
    """The processor that kernels are compiled for: on another one, they may round otherwise."""
    return str(get_host_cpu_name())

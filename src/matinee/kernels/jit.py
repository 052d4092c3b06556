"""One compiler setting for every kernel.

`reassoc`, `contract` and `nsz` let sums be vectorized; NaN and infinity keep
their meaning, so a diverging solve is seen rather than hidden.
"""

import numba

jit = numba.njit(
    nogil=True,
    cache=True,
    error_model="numpy",
    fastmath={"reassoc", "contract", "nsz"},
)

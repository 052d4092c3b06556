"""One person as a model sees them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Viewer:
    """Somebody's ratings and the row that a model solved for them.

    `FactorModel.fold_in` makes one for somebody new; wherever a model takes a viewer's id, it
    takes a `Viewer` as well.

    Parameters
    ----------
    row : float32 (1 + factors,)
        Bias and factors.
    items : int32 (n,)
        Codes of the movies rated.
    stars : float32 (n,)
    """

    row: NDArray[np.float32]
    items: NDArray[np.int32]
    stars: NDArray[np.float32]

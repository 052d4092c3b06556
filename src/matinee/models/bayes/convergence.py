"""Whether a chain has settled: does its first half look like its second?"""

import numpy as np
from numpy.typing import NDArray

FEWEST = 8  # draws of a half that say anything


def split_rhat(trace: NDArray[np.floating]) -> float:
    """Split R-hat of one chain, close to 1 once it has settled; nan where it is too short.

    The chain's halves count as two chains (Gelman et al. 2013, section 11.4): R-hat is the square
    root of the variance of both together over the mean variance within each.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> split_rhat(rng.standard_normal(1000)) < 1.01 < split_rhat(np.arange(1000.0))
    True
    """
    length = len(trace) // 2
    if length < FEWEST:
        return float("nan")
    halves = np.stack([trace[-2 * length : -length], trace[-length:]])
    within = float(halves.var(axis=1, ddof=1).mean())
    between = float(length * halves.mean(axis=1).var(ddof=1))
    if within == 0.0:
        return float("nan")
    return float(np.sqrt(((length - 1) / length * within + between / length) / within))

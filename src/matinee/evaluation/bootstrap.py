"""How a figure would vary with other viewers: the bootstrap over viewers.

Efron & Tibshirani 1993, "An introduction to the bootstrap".
"""

from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95
DRAWN = 1 << 18  # values drawn at a time, few enough to stay in the processor's cache
MANY = 20_000  # viewers from which on the mean is as good as normal


def drawn_means(
    values: NDArray[np.float64], *, draws: int = 1000, seed: int = 0
) -> NDArray[np.float64]:
    """Means over as many viewers as there are, drawn with replacement, `draws` times.

    Parameters
    ----------
    values : float64 array of shape (..., viewers)
        Of several rows, all means are over the same drawn viewers.
    draws, seed : int

    Returns
    -------
    float64 array of shape (..., draws)

    Examples
    --------
    >>> means = drawn_means(np.array([[0.0, 1.0, 2.0], [5.0, 6.0, 7.0]]), draws=4)
    >>> means[1] - means[0]
    array([5., 5., 5., 5.])
    """
    viewers = values.shape[-1]
    random = np.random.default_rng(seed)
    means = np.empty((*values.shape[:-1], draws))
    block = max(1, DRAWN // viewers)
    for start in range(0, draws, block):
        part = means[..., start : start + block]
        drawn = random.integers(viewers, size=(part.shape[-1], viewers))
        part[:] = np.take(values, drawn, axis=-1).mean(axis=-1)
    return means


def middle(drawn: NDArray[np.float64], level: float = LEVEL) -> tuple[float, float]:
    """The ends of the middle `level` share: the percentile interval.

    >>> middle(np.arange(101.0), level=0.5)
    (25.0, 75.0)
    """
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def bootstrap_interval(
    values: NDArray[np.float64], *, level: float = LEVEL, draws: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Where the mean over viewers would lie, had other viewers of the same kind been asked.

    The percentile bootstrap: of the means of `drawn_means`, the middle `level` share. From 20,001
    viewers on the mean is as good as normally distributed, and the interval is that of the normal
    distribution, ``mean ± z sd / sqrt(viewers)``, without draws.

    Parameters
    ----------
    values : float64 array of shape (viewers,)
        A metric per viewer. Viewers with nan are left out.
    level : float
        Between 0 and 1.
    draws, seed : int
        The same seed gives the same interval.

    Returns
    -------
    low, high : float
        nan if no viewer has a value.

    Examples
    --------
    >>> low, high = bootstrap_interval(np.array([0.0, 1.0] * 200))
    >>> 0.44 < low < 0.46, 0.54 < high < 0.56
    (True, True)
    """
    if not 0 < level < 1 or draws < 1:
        raise ValueError(f"an interval of level {level} from {draws} draws")
    values = values[~np.isnan(values)]
    viewers = len(values)
    if viewers == 0:
        return float("nan"), float("nan")
    if viewers > MANY:
        mean = float(values.mean())
        reach = NormalDist().inv_cdf((1 + level) / 2) * float(values.std(ddof=1)) / viewers**0.5
        return mean - reach, mean + reach
    return middle(drawn_means(values, draws=draws, seed=seed), level)

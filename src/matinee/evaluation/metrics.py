"""Errors of predicted stars."""

import numpy as np
from numpy.typing import NDArray


def rmse(predicted: NDArray[np.floating], actual: NDArray[np.floating]) -> float:
    """Root mean squared error, in stars: ``sqrt(mean((predicted - actual)^2))``.

    Every rating counts the same, whoever's it is. Sums are in float64.

    >>> rmse(np.array([3.0, 5.0]), np.array([3.0, 3.0]))
    1.4142135623730951
    """
    return float(np.sqrt(np.mean(np.square(_difference(predicted, actual)))))


def mae(predicted: NDArray[np.floating], actual: NDArray[np.floating]) -> float:
    """Mean absolute error, in stars: ``mean(|predicted - actual|)``.

    >>> mae(np.array([3.0, 5.0]), np.array([3.0, 3.0]))
    1.0
    """
    return float(np.mean(np.abs(_difference(predicted, actual))))


def _difference(
    predicted: NDArray[np.floating], actual: NDArray[np.floating]
) -> NDArray[np.float64]:
    if len(predicted) != len(actual) or len(actual) == 0:
        raise ValueError(f"{len(predicted)} predictions for {len(actual)} ratings")
    difference: NDArray[np.float64] = np.subtract(predicted, actual, dtype=np.float64)
    return difference

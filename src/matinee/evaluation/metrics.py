"""Errors of predicted stars."""

import numpy as np
from numpy.typing import NDArray

NORMAL_95 = 1.959964  # standard deviations on either side that hold 95 % of a normal distribution


def rmse(predicted: NDArray[np.floating], actual: NDArray[np.floating]) -> float:
    """Root mean squared error, in stars: ``sqrt(mean((predicted - actual)^2))``.

    Every rating counts the same, whoever's it is. Sums are in float64.

    >>> rmse(np.array([3.0, 5.0]), np.array([3.0, 3.0]))
    1.4142135623730951
    """
    return float(np.sqrt(np.mean(np.square(signed_errors(predicted, actual)))))


def mae(predicted: NDArray[np.floating], actual: NDArray[np.floating]) -> float:
    """Mean absolute error, in stars: ``mean(|predicted - actual|)``.

    >>> mae(np.array([3.0, 5.0]), np.array([3.0, 3.0]))
    1.0
    """
    return float(np.mean(np.abs(signed_errors(predicted, actual))))


def rmse_interval(
    predicted: NDArray[np.floating],
    actual: NDArray[np.floating],
    user: NDArray[np.integer],
) -> tuple[float, float] | None:
    """Where the RMSE would lie with other viewers, at 95 %.

    Ratings of one viewer err together, so viewers are what is drawn: the mean squared error is a
    ratio of two sums over viewers, whose variance is that of the linearized ratio (Cochran 1977,
    "Sampling techniques", section 6.3). The bootstrap over viewers gives the same interval.

    Parameters
    ----------
    predicted, actual : float (n,)
    user : int (n,)
        Whose rating each is.

    Returns
    -------
    low, high : float
        In stars. None if there is one viewer only.

    >>> low, high = rmse_interval(np.array([3.0, 5.0, 2.0]), np.array([3, 3, 3.0]), np.arange(3))
    >>> 0 <= low < 1.29 < high
    True
    """
    interval = _mean_interval(np.square(signed_errors(predicted, actual)), user)
    return interval and (interval[0] ** 0.5, interval[1] ** 0.5)


def mae_interval(
    predicted: NDArray[np.floating],
    actual: NDArray[np.floating],
    user: NDArray[np.integer],
) -> tuple[float, float] | None:
    """Where the MAE would lie with other viewers, at 95 %; the same as `rmse_interval`.

    >>> low, high = mae_interval(np.array([3.0, 5.0, 2.0]), np.array([3, 3, 3.0]), np.arange(3))
    >>> 0 <= low < 1 < high
    True
    """
    return _mean_interval(np.abs(signed_errors(predicted, actual)), user)


def _mean_interval(
    errors: NDArray[np.float64], user: NDArray[np.integer]
) -> tuple[float, float] | None:
    """Where the mean over all ratings would lie with other viewers; errors are not negative."""
    _, owner = np.unique(user, return_inverse=True)
    ratings = np.bincount(owner)
    viewers = len(ratings)
    if viewers < 2:
        return None
    mean = float(errors.mean())
    residual = np.bincount(owner, weights=errors) - mean * ratings
    variance = viewers / (viewers - 1) * float(np.square(residual).sum()) / len(errors) ** 2
    reach = NORMAL_95 * variance**0.5
    return max(0.0, mean - reach), mean + reach


def signed_errors(
    predicted: NDArray[np.floating], actual: NDArray[np.floating]
) -> NDArray[np.float64]:
    """``predicted - actual``, in float64; ValueError unless there are as many of both."""
    if len(predicted) != len(actual) or len(actual) == 0:
        raise ValueError(f"{len(predicted)} predictions for {len(actual)} ratings")
    errors: NDArray[np.float64] = np.subtract(predicted, actual, dtype=np.float64)
    return errors

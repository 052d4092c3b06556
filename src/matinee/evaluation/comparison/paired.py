"""By how much one model is better than another, judged on the same viewers.

Two models err on the same hard ratings and fail the same odd viewers, so their figures rise and
fall together, and the difference is known far better than either. Both are judged on the same
drawn viewers: the paired bootstrap.
"""

import numpy as np
from numpy.typing import NDArray

from matinee.evaluation.bootstrap import MANY, drawn_means, middle
from matinee.evaluation.judge import Figure, mean_figure
from matinee.evaluation.metrics import signed_errors


def error_differences(
    first: NDArray[np.floating],
    second: NDArray[np.floating],
    actual: NDArray[np.floating],
    user: NDArray[np.integer],
    *,
    draws: int = 1000,
    seed: int = 0,
) -> dict[str, Figure]:
    """RMSE and MAE of the second model minus those of the first, with 95 % intervals.

    Ratings of one viewer err together, so viewers are what is drawn, and each brings all of their
    ratings. More than 20,000 viewers are drawn in as many groups, made at random: what a group adds
    to the sums varies as its viewers do, and it is quicker.

    Parameters
    ----------
    first, second : float (n,)
        Predicted stars of the same ratings.
    actual : float (n,)
    user : int (n,)
        Whose rating each is.
    draws, seed : int
        The same seed gives the same intervals.

    Returns
    -------
    dict of str to Figure
        ``"rmse"`` and ``"mae"``, in stars; without an interval if there is one viewer only.

    Examples
    --------
    >>> actual, user = np.array([3.0, 4.0, 2.0, 5.0]), np.array([0, 0, 1, 2])
    >>> found = error_differences(actual + 1, actual - 0.5, actual, user)
    >>> found["rmse"]
    Figure(value=-0.5, low=-0.5, high=-0.5)
    """
    one, other = (signed_errors(predicted, actual) for predicted in (first, second))
    codes, owner = np.unique(user, return_inverse=True)
    if len(codes) > MANY:
        owner = (np.random.default_rng(seed).permutation(len(codes)) % MANY)[owner]
    # differences are summed as such: of equal models they are nothing, not nearly nothing
    per_rating = (
        np.ones(len(owner)),
        np.abs(other) - np.abs(one),
        np.square(other) - np.square(one),
        np.square(one),
        np.square(other),
    )
    per_viewer = np.array([np.bincount(owner, values) for values in per_rating], np.float64)
    found = _differences(per_viewer.mean(axis=1))
    if per_viewer.shape[1] < 2:
        return {name: Figure(float(value)) for name, value in found.items()}
    drawn = _differences(drawn_means(per_viewer, draws=draws, seed=seed))
    return {name: Figure(float(value), *middle(drawn[name])) for name, value in found.items()}


def list_differences(first: NDArray[np.float64], second: NDArray[np.float64]) -> Figure:
    """A figure of the second model's lists less that of the first one's, with its 95 % interval.

    Parameters
    ----------
    first, second : float64 (viewers,)
        From `judge_each`, on one exam.

    Returns
    -------
    Figure
        Without an interval if there is one viewer only.

    Examples
    --------
    >>> list_differences(np.array([0.25, 0.5]), np.array([0.5, 0.75]))
    Figure(value=0.25, low=0.25, high=0.25)
    """
    found = mean_figure(second - first)
    return found if len(first) > 1 else Figure(found.value)


def _differences(means: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Of RMSE and MAE, from means over viewers of what stands in `error_differences`."""
    ratings, absolute, square, one, other = means
    # a - b = (a² - b²) / (a + b)
    roots = np.sqrt(one / ratings) + np.sqrt(other / ratings)
    rmse = np.divide(square / ratings, roots, out=np.zeros_like(roots), where=roots > 0)
    return {"rmse": rmse, "mae": absolute / ratings}

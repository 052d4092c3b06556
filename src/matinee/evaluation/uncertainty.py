"""How a figure would vary with other users: the bootstrap over users.

Efron & Tibshirani 1993, "An introduction to the bootstrap".
"""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from matinee._types import F64, Floats, Ints
from matinee.evaluation.metrics import signed_errors

LEVEL = 0.95
DRAWN = 1 << 18  # values drawn at a time, few enough to stay in the processor's cache
MANY = 20_000  # users from which on the mean is as good as normal


@dataclass(frozen=True)
class MetricValue:
    """A mean over users with its 95 % bootstrap interval, or a figure of the whole catalogue.

    The interval says how the figure would vary with other users; it knows nothing of other
    seeds or other times.
    """

    value: float
    ci_low: float | None = None
    ci_high: float | None = None


def mean_with_interval(values: F64) -> MetricValue:
    """The mean over users with its interval; users with nan are left out."""
    if np.isnan(values).all():
        return MetricValue(float("nan"))
    return MetricValue(float(np.nanmean(values)), *bootstrap_interval(values))


def drawn_means(values: F64, *, draws: int = 1000, seed: int = 0) -> F64:
    """Means over as many users as there are, drawn with replacement, `draws` times.

    Parameters
    ----------
    values : float64 array of shape (..., users)
        Of several rows, all means are over the same drawn users.
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
    users = values.shape[-1]
    random = np.random.default_rng(seed)
    means = np.empty((*values.shape[:-1], draws))
    block = max(1, DRAWN // users)
    for start in range(0, draws, block):
        part = means[..., start : start + block]
        drawn = random.integers(users, size=(part.shape[-1], users))
        part[:] = np.take(values, drawn, axis=-1).mean(axis=-1)
    return means


def middle(drawn: F64, level: float = LEVEL) -> tuple[float, float]:
    """The ends of the middle `level` share: the percentile interval.

    >>> middle(np.arange(101.0), level=0.5)
    (25.0, 75.0)
    """
    ci_low, ci_high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return float(ci_low), float(ci_high)


def bootstrap_interval(
    values: F64, *, level: float = LEVEL, draws: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Where the mean over users would lie, had other users of the same kind been asked.

    The percentile bootstrap: of the means of `drawn_means`, the middle `level` share. From 20,001
    users on the mean is as good as normally distributed, and the interval is that of the normal
    distribution, ``mean ± z sd / sqrt(users)``, without draws.

    Parameters
    ----------
    values : float64 array of shape (users,)
        A metric per user. Users with nan are left out.
    level : float
        Between 0 and 1.
    draws, seed : int
        The same seed gives the same interval.

    Returns
    -------
    ci_low, ci_high : float
        nan if no user has a value.

    Examples
    --------
    >>> ci_low, ci_high = bootstrap_interval(np.array([0.0, 1.0] * 200))
    >>> 0.44 < ci_low < 0.46, 0.54 < ci_high < 0.56
    (True, True)
    """
    if not 0 < level < 1 or draws < 1:
        raise ValueError(f"an interval of level {level} from {draws} draws")
    values = values[~np.isnan(values)]
    users = len(values)
    if users == 0:
        return float("nan"), float("nan")
    if users > MANY:
        mean = float(values.mean())
        reach = NormalDist().inv_cdf((1 + level) / 2) * float(values.std(ddof=1)) / users**0.5
        return mean - reach, mean + reach
    return middle(drawn_means(values, draws=draws, seed=seed), level)


def error_differences(
    first: Floats,
    second: Floats,
    actual: Floats,
    user: Ints,
    *,
    draws: int = 1000,
    seed: int = 0,
) -> dict[str, MetricValue]:
    """RMSE and MAE of the second model minus those of the first, with 95 % intervals.

    Ratings of one user err together, so users are what is drawn, and each brings all of their
    ratings. More than 20,000 users are drawn in as many groups, made at random: what a group adds
    to the sums varies as its users do, and it is quicker.

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
        ``"rmse"`` and ``"mae"``, in stars; without an interval if there is one user only.

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
    per_user = np.array([np.bincount(owner, values) for values in per_rating], np.float64)
    found = _differences(per_user.mean(axis=1))
    if per_user.shape[1] < 2:
        return {name: MetricValue(float(value)) for name, value in found.items()}
    drawn = _differences(drawn_means(per_user, draws=draws, seed=seed))
    return {name: MetricValue(float(value), *middle(drawn[name])) for name, value in found.items()}


def list_differences(first: F64, second: F64) -> MetricValue:
    """A figure of the second model's lists less that of the first one's, with its 95 % interval.

    Parameters
    ----------
    first, second : float64 (users,)
        From `evaluate_ranking_per_user`, on one exam.

    Returns
    -------
    Figure
        Without an interval if there is one user only.

    Examples
    --------
    >>> list_differences(np.array([0.25, 0.5]), np.array([0.5, 0.75]))
    Figure(value=0.25, low=0.25, high=0.25)
    """
    found = mean_with_interval(second - first)
    return found if len(first) > 1 else MetricValue(found.value)


def _differences(means: F64) -> dict[str, F64]:
    """Of RMSE and MAE, from means over users of what stands in `error_differences`."""
    ratings, absolute, square, one, other = means
    # a - b = (a² - b²) / (a + b)
    roots = np.sqrt(one / ratings) + np.sqrt(other / ratings)
    rmse = np.divide(square / ratings, roots, out=np.zeros_like(roots), where=roots > 0)
    return {"rmse": rmse, "mae": absolute / ratings}

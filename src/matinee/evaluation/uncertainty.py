"""95 % confidence intervals over users: the bootstrap, and paired differences of two models.

Efron & Tibshirani 1993, "An introduction to the bootstrap".
"""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from matinee._types import F64, Floats, Ints
from matinee.evaluation.metrics import signed_errors
from matinee.storage.runs import finite_or_none

LEVEL = 0.95
DRAWN_AT_ONCE = 1 << 18  # values drawn at a time, few enough to stay in the processor's cache
MANY_USERS = 20_000  # above it, the mean is as good as normally distributed


@dataclass(frozen=True)
class MetricValue:
    """The value of a metric with its 95 % confidence interval over users, where it has one.

    The interval covers the choice of users alone: not other seeds, nor other times.
    """

    value: float
    ci_low: float | None = None
    ci_high: float | None = None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The confidence interval, if there is one."""
        if self.ci_low is None or self.ci_high is None:
            return None
        return self.ci_low, self.ci_high

    def to_dict(self) -> dict[str, float | None]:
        """Plain values, as in JSON; None for what is not finite."""
        return {name: finite_or_none(value) for name, value in vars(self).items()}


def mean_with_interval(values: F64) -> MetricValue:
    """The mean over users with its interval; users with nan are left out."""
    if np.isnan(values).all():
        return MetricValue(float("nan"))
    return MetricValue(float(np.nanmean(values)), *bootstrap_interval(values))


def bootstrap_means(values: F64, *, draws: int = 1000, seed: int = 0) -> F64:
    """Means over users drawn with replacement: (..., users) becomes (..., draws).

    All rows are averaged over the same drawn users.
    """
    users = values.shape[-1]
    rng = np.random.default_rng(seed)
    means = np.empty((*values.shape[:-1], draws))
    block = max(1, DRAWN_AT_ONCE // users)
    for start in range(0, draws, block):
        part = means[..., start : start + block]
        drawn = rng.integers(users, size=(part.shape[-1], users))
        part[:] = np.take(values, drawn, axis=-1).mean(axis=-1)
    return means


def percentile_interval(means: F64, level: float = LEVEL) -> tuple[float, float]:
    """The ends of the middle `level` share of the bootstrapped means."""
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def bootstrap_interval(
    values: F64, *, level: float = LEVEL, draws: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """The percentile bootstrap interval of the mean over users, `values` being float64 (users,).

    Above 20,000 users the mean is as good as normally distributed, and the interval is that of the
    normal distribution, ``mean ± z sd / sqrt(users)``, without draws. Users with nan are left out;
    the interval is nan if no user is left.
    """
    if not 0 < level < 1 or draws < 1:
        raise ValueError(f"level must be between 0 and 1 and draws >= 1, got {level} and {draws}")
    values = values[~np.isnan(values)]
    users = len(values)
    if users == 0:
        return float("nan"), float("nan")
    if users > MANY_USERS:
        mean = float(values.mean())
        z = NormalDist().inv_cdf((1 + level) / 2)
        half_width = z * float(values.std(ddof=1)) / users**0.5
        return mean - half_width, mean + half_width
    return percentile_interval(bootstrap_means(values, draws=draws, seed=seed), level)


def error_differences(
    first: Floats, second: Floats, actual: Floats, user: Ints, *, draws: int = 1000, seed: int = 0
) -> dict[str, MetricValue]:
    """RMSE and MAE of the second model minus those of the first, with paired 95 % intervals.

    Errors of one user are correlated, so users are drawn, each with all of their ratings. More than
    20,000 users are drawn in as many groups, made at random: what a group adds to the sums varies
    as its users do, and it is quicker. `first` and `second` are predictions of the ratings
    `actual`, (n,), that `user` gave; a single user has no interval.

    Examples
    --------
    >>> actual, user = np.array([3.0, 4.0, 2.0, 5.0]), np.array([0, 0, 1, 2])
    >>> error_differences(actual + 1, actual - 0.5, actual, user)["rmse"]
    MetricValue(value=-0.5, ci_low=-0.5, ci_high=-0.5)
    """
    first_error, second_error = (signed_errors(predicted, actual) for predicted in (first, second))
    codes, owner = np.unique(user, return_inverse=True)
    if len(codes) > MANY_USERS:
        owner = (np.random.default_rng(seed).permutation(len(codes)) % MANY_USERS)[owner]
    # differences are summed as such: between equal models they are 0, not nearly 0
    per_rating = (
        np.ones(len(owner)),
        np.abs(second_error) - np.abs(first_error),
        np.square(second_error) - np.square(first_error),
        np.square(first_error),
        np.square(second_error),
    )
    per_user = np.array([np.bincount(owner, values) for values in per_rating], np.float64)
    differences = _differences(per_user.mean(axis=1))
    if per_user.shape[1] < 2:
        return {name: MetricValue(float(value)) for name, value in differences.items()}
    bootstrapped = _differences(bootstrap_means(per_user, draws=draws, seed=seed))
    return {
        name: MetricValue(float(value), *percentile_interval(bootstrapped[name]))
        for name, value in differences.items()
    }


def _differences(means: F64) -> dict[str, F64]:
    """Of RMSE and MAE, from the means over users of the five rows in `error_differences`."""
    ratings, absolute, square, first_square, second_square = means
    # a - b = (a² - b²) / (a + b)
    roots = np.sqrt(first_square / ratings) + np.sqrt(second_square / ratings)
    rmse = np.divide(square / ratings, roots, out=np.zeros_like(roots), where=roots > 0)
    return {"rmse": rmse, "mae": absolute / ratings}


def ranking_difference(first: F64, second: F64) -> MetricValue:
    """A ranking metric of the second model minus the first's, with its paired 95 % interval.

    Both are float64 (users,), from `evaluate_ranking_per_user` on one task; a single user has no
    interval.

    Examples
    --------
    >>> ranking_difference(np.array([0.25, 0.5]), np.array([0.5, 0.75]))
    MetricValue(value=0.25, ci_low=0.25, ci_high=0.25)
    """
    difference = mean_with_interval(second - first)
    return difference if len(first) > 1 else MetricValue(difference.value)

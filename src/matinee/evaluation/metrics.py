"""Errors of predicted stars."""

from dataclasses import dataclass

import numpy as np

from matinee._types import F64, Floats, Ints

NORMAL_95 = 1.959964  # standard deviations on either side that hold 95 % of a normal distribution


def rmse(predicted: Floats, actual: Floats) -> float:
    """Root mean squared error, in stars: ``sqrt(mean((predicted - actual)^2))``.

    Every rating counts the same, whoever's it is. Sums are in float64.

    >>> rmse(np.array([3.0, 5.0]), np.array([3.0, 3.0]))
    1.4142135623730951
    """
    return float(np.sqrt(np.mean(np.square(signed_errors(predicted, actual)))))


def mae(predicted: Floats, actual: Floats) -> float:
    """Mean absolute error, in stars: ``mean(|predicted - actual|)``.

    >>> mae(np.array([3.0, 5.0]), np.array([3.0, 3.0]))
    1.0
    """
    return float(np.mean(np.abs(signed_errors(predicted, actual))))


def rmse_interval(
    predicted: Floats,
    actual: Floats,
    user: Ints,
) -> tuple[float, float] | None:
    """Where the RMSE would lie with other users, at 95 %.

    Ratings of one user err together, so users are what is drawn: the mean squared error is a
    ratio of two sums over users, whose variance is that of the linearized ratio (Cochran 1977,
    "Sampling techniques", section 6.3). The bootstrap over users gives the same interval.

    Parameters
    ----------
    predicted, actual : float (n,)
    user : int (n,)
        Whose rating each is.

    Returns
    -------
    ci_low, ci_high : float
        In stars. None if there is one user only.

    >>> ci_low, ci_high = rmse_interval(np.array([3.0, 5.0, 2.0]), np.array([3, 3, 3.0]), np.arange(3))
    >>> 0 <= ci_low < 1.29 < ci_high
    True
    """
    interval = _mean_interval(np.square(signed_errors(predicted, actual)), user)
    return interval and (interval[0] ** 0.5, interval[1] ** 0.5)


def mae_interval(
    predicted: Floats,
    actual: Floats,
    user: Ints,
) -> tuple[float, float] | None:
    """Where the MAE would lie with other users, at 95 %; the same as `rmse_interval`.

    >>> ci_low, ci_high = mae_interval(np.array([3.0, 5.0, 2.0]), np.array([3, 3, 3.0]), np.arange(3))
    >>> 0 <= ci_low < 1 < ci_high
    True
    """
    return _mean_interval(np.abs(signed_errors(predicted, actual)), user)


def _mean_interval(errors: F64, user: Ints) -> tuple[float, float] | None:
    """Where the mean over all ratings would lie with other users; errors are not negative."""
    _, owner = np.unique(user, return_inverse=True)
    ratings = np.bincount(owner)
    users = len(ratings)
    if users < 2:
        return None
    mean = float(errors.mean())
    residual = np.bincount(owner, weights=errors) - mean * ratings
    variance = users / (users - 1) * float(np.square(residual).sum()) / len(errors) ** 2
    reach = NORMAL_95 * variance**0.5
    return max(0.0, mean - reach), mean + reach


def signed_errors(predicted: Floats, actual: Floats) -> F64:
    """``predicted - actual``, in float64; ValueError unless there are as many of both."""
    if len(predicted) != len(actual) or len(actual) == 0:
        raise ValueError(f"{len(predicted)} predictions for {len(actual)} ratings")
    errors: F64 = np.subtract(predicted, actual, dtype=np.float64)
    return errors


@dataclass(frozen=True)
class Metric:
    """One kind of figure; `MetricValue` is a value of one, with its interval.

    Parameters
    ----------
    name : str
        As in Python and JSON: ``"ndcg@10"``.
    of : {"rating", "ranking", "time"}
    better : {"less", "more"} or None
        None if models are not to be compared by it: it describes them.
    title : str
        What tables call it: ``"NDCG@10"``; those without one are in no table.
    form : str
        How it is printed.

    Examples
    --------
    >>> METRICS["rmse"]
    FigureKind(name='rmse', of='stars', better='less', title='RMSE', form='.4f')
    >>> METRICS["ndcg@10"].called, METRICS["map@10"].called
    ('NDCG@10', 'map@10')
    """

    name: str
    of: str
    better: str | None
    title: str = ""
    form: str = ".4f"

    @property
    def called(self) -> str:
        """What people call it: its title, or its name if it has none."""
        return self.title or self.name


METRICS = {
    kind.name: kind
    for kind in (
        Metric("rmse", "rating", "less", "RMSE"),
        Metric("mae", "rating", "less", "MAE"),
        Metric("ndcg@10", "ranking", "more", "NDCG@10"),
        Metric("hit_rate@10", "ranking", "more", "HR@10"),
        Metric("recall_capped@20", "ranking", "more", "Recall@20"),
        Metric("ndcg@100", "ranking", "more", "NDCG@100"),
        Metric("mrr@100", "ranking", "more"),
        Metric("map@10", "ranking", "more"),
        Metric("precision@10", "ranking", "more"),
        Metric("recall@10", "ranking", "more"),
        Metric("recall_capped@50", "ranking", "more"),
        Metric("coverage@10", "ranking", None, "coverage", ".1%"),
        Metric("popularity_share@10", "ranking", None, "popular", ".1%"),
        Metric("novelty@10", "ranking", None),
        Metric("diversity@10", "ranking", None),
        Metric("gini@10", "ranking", None),
        Metric("fit_seconds", "time", None, "fit time, s", ".2f"),
        Metric("test_seconds", "time", None, "test time, s", ".2f"),
    )
}
"""All figures, by name, in the order in which people see them."""
REPORTED_METRICS = {name: kind for name, kind in METRICS.items() if kind.title}
"""Those that tables show."""
PRIMARY_METRIC = {"rating": "rmse", "ranking": "ndcg@10"}
"""The one to look at where there is room for one."""

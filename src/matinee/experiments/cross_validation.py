"""k-fold cross-validation: every rating is tested once, by a model that has not seen it."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from matinee.data.dataset import Dataset
from matinee.evaluation.metrics import REPORTED_METRICS
from matinee.experiments.training import (
    TrainingResult,
    compile_kernels,
    fit_and_evaluate,
    sample_users,
    some_estimators,
    split_validation,
)
from matinee.models.base import Estimator
from matinee.progress import progress
from matinee.storage.runs import finite_or_none

OF_LISTS = [name for name, kind in REPORTED_METRICS.items() if kind.of == "ranking"]


@dataclass(frozen=True)
class CrossValidation:
    """How recipes did on each fold.

    Parameters
    ----------
    folds : tuple of str
        Their names.
    metrics : mapping of str to tuple of float
        One value per fold, by the name of the figure: ``rmse`` and ``mae`` in stars, those of
        lists as in `RankingMetrics`, then ``fit_seconds`` (of both heads; the test part is not
        looked at meanwhile) and ``test_seconds`` (predicting and judging). NaN where no user's
        lists could be judged.
    estimators : mapping of str to dict
        The recipes of the heads, as a run notes them.
    """

    folds: tuple[str, ...]
    metrics: Mapping[str, tuple[float, ...]]
    estimators: Mapping[str, Mapping[str, Any]]

    def mean(self, name: str) -> float:
        """The mean of a figure over folds, each counting the same."""
        return statistics.fmean(self.metrics[name])

    def std(self, name: str) -> float:
        """The sample standard deviation of a figure over folds: squares divided by k - 1.

        Folds share most of their training ratings, so this says little of how sure the mean is
        (Bengio & Grandvalet 2004, "No unbiased estimator of the variance of k-fold
        cross-validation").
        """
        mean = self.mean(name)
        squares = sum((value - mean) ** 2 for value in self.metrics[name])
        return float((squares / (len(self.folds) - 1)) ** 0.5)

    def as_json(self) -> dict[str, Any]:
        """Plain values with stable keys."""
        metrics = {
            name: {
                "folds": [finite_or_none(value) for value in values],
                "mean": finite_or_none(self.mean(name)),
                "std": finite_or_none(self.std(name)),
            }
            for name, values in self.metrics.items()
        }
        estimators = {head: dict(estimator) for head, estimator in self.estimators.items()}
        return {"folds": list(self.folds), "metrics": metrics, "estimators": estimators}


def cross_validate(
    dataset: Dataset,
    rating: Estimator | None,
    ranking: Estimator | None = None,
    *,
    folds: int | str = 5,
    seed: int = 0,
    threads: int | None = None,
) -> CrossValidation:
    """Train on all folds but one and judge on that, for each of them.

    Parameters
    ----------
    dataset : Dataset
    rating : Estimator or None
        For stars.
    ranking : Estimator, optional
        For lists, which are judged only if it is given, for at most `MAX_EVAL_USERS` users of a fold.
    folds : int or "official"
        Into how many the ratings are cut at random; or the folds that the edition comes with.
    seed : int
        Of the cut, and of what recipes with `patience` watch.
    threads : int, optional

    Raises
    ------
    SettingError
        If there is neither recipe, there are fewer ratings than folds or fewer than two folds, or
        the data come with none.

    Examples
    --------
    >>> import matinee
    >>> from matinee.data.synthetic import generate
    >>> data, _ = generate(users=60, items=50, ratings=1500, seed=0)
    >>> found = cross_validate(data, matinee.Bias(), folds=3)
    >>> found.folds, list(found.metrics)
    (('1', '2', '3'), ['rmse', 'mae', 'fit_seconds', 'test_seconds'])
    """
    estimators = some_estimators(rating, ranking)
    if isinstance(folds, int):
        parts = dataset.folds(folds, seed)  # refuses too many
        names = [str(number) for number in range(1, folds + 1)]
    else:
        names = dataset.official_folds()
        parts = (dataset.split(name) for name in names)
    compile_kernels(estimators)
    watching = any(getattr(one, "patience", 0) for one in estimators)
    rows = []
    with progress("Cross-validating", len(names)) as tick:
        for number, (train, test) in enumerate(parts, start=1):
            validation = None
            if watching:
                train, validation = split_validation(train, seed)
            result = fit_and_evaluate(
                train,
                test,
                rating,
                ranker=ranking,
                validation_set=validation,
                task=sample_users(train, test) if ranking else None,
                monitor_test=False,
                on_interrupt="raise",
                threads=threads,
            )
            rows.append(_metrics(result, ranking is not None))
            tick(number, "")
    heads = {"rating": rating, "ranking": ranking}
    recorded = {head: estimator.to_config() for head, estimator in heads.items() if estimator}
    return CrossValidation(
        tuple(names), {name: tuple(row[name] for row in rows) for name in rows[0]}, recorded
    )


def _metrics(result: TrainingResult, of_lists: bool) -> dict[str, float]:
    """What one fold came to."""
    values = {"rmse": result.test.rmse, "mae": result.test.mae} if result.test else {}
    lists = {name: result.lists[name] if result.lists else float("nan") for name in OF_LISTS}
    return {
        **values,
        **(lists if of_lists else {}),
        "fit_seconds": result.fit_seconds + result.ranking_seconds,
        "test_seconds": result.test_seconds,
    }

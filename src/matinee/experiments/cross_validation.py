"""k-fold cross-validation: every rating is tested once, by a model that has not seen it."""

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from matinee.data.dataset import Dataset
from matinee.evaluation.metrics import METRICS, REPORTED_METRICS
from matinee.experiments.compiling import compile_kernels
from matinee.experiments.training import (
    TrainingResult,
    check_rated,
    fit_and_evaluate,
    given_estimators,
)
from matinee.models.base import Estimator
from matinee.progress import progress
from matinee.storage.runs import finite_or_none

RANKING_METRICS = [name for name, metric in REPORTED_METRICS.items() if metric.task == "ranking"]


@dataclass(frozen=True)
class CrossValidation:
    """How estimators do on each fold.

    `metrics` have one value per fold: ``rmse`` and ``mae``, ranking metrics as in `RankingMetrics`
    (nan where a fold has no test user), then ``fit_seconds`` (of both heads, without test metrics
    on the way) and ``test_seconds``. `estimators` has, by head, the name and hyperparameters, as in
    a manifest.
    """

    folds: tuple[str, ...]
    metrics: Mapping[str, tuple[float, ...]]
    estimators: Mapping[str, Mapping[str, Any]]

    def mean(self, name: str) -> float:
        """The mean of a metric over folds, each with the same weight."""
        return statistics.fmean(self.metrics[name])

    def std(self, name: str) -> float:
        """The sample standard deviation of a metric over folds: squares divided by k - 1.

        Folds share most of their training ratings, so this understates the uncertainty of the mean
        (Bengio & Grandvalet 2004, "No unbiased estimator of the variance of k-fold
        cross-validation").
        """
        mean = self.mean(name)
        squares = sum((value - mean) ** 2 for value in self.metrics[name])
        return float((squares / (len(self.folds) - 1)) ** 0.5)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as in JSON."""
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
    estimator: Estimator | None,
    ranker: Estimator | None = None,
    *,
    folds: int | str = 5,
    seed: int = 0,
    threads: int | None = None,
) -> CrossValidation:
    """Train on all folds but one and evaluate on that, for each of them.

    `estimator` is for the rating head, `ranker` for the ranking head; without it, rankings are not
    evaluated. `folds` is the number of random folds, or ``"official"`` for those of the edition;
    `seed` is for them, and for the validation sets of estimators with `patience`. Raises
    SettingError without an estimator, or if there are too few ratings or no official folds.

    Examples
    --------
    >>> result = cross_validate(data, matinee.Bias(), folds=3)
    >>> result.folds, list(result.metrics)
    (('1', '2', '3'), ['rmse', 'mae', 'fit_seconds', 'test_seconds'])
    """
    estimators = given_estimators(estimator, ranker)
    check_rated(dataset, estimators)
    names, sets = _folds(dataset, folds, seed)
    compile_kernels(estimators)
    validation_seed = seed if any(each.patience for each in estimators) else None
    rows = []
    with progress("Cross-validating", len(names)) as tick:
        for number, fold in enumerate(sets, start=1):
            result = fit_and_evaluate(
                *fold,
                estimator,
                ranker=ranker,
                validation_seed=validation_seed,
                with_ranking=ranker is not None,
                track_test=False,
                on_interrupt="raise",
                threads=threads,
            )
            rows.append(_fold_metrics(result, ranker is not None, dataset.ratings.differ))
            tick(number, "")
    metrics = {name: tuple(row[name] for row in rows) for name in rows[0]}
    heads = {"rating": estimator, "ranking": ranker}
    configs = {head: each.to_config() for head, each in heads.items() if each}
    return CrossValidation(names, metrics, configs)


def _folds(
    dataset: Dataset, folds: int | str, seed: int
) -> tuple[tuple[str, ...], Iterable[tuple[Dataset, Dataset]]]:
    """Names, and training and test set of each."""
    if isinstance(folds, int):
        sets = dataset.folds(folds, seed)  # refuses too many
        return tuple(str(number) for number in range(1, folds + 1)), sets
    names = dataset.official_folds()
    return tuple(names), (dataset.split(name) for name in names)


def _fold_metrics(result: TrainingResult, with_ranking: bool, rated: bool) -> dict[str, float]:
    """The metrics of one fold; those that need ratings only where these differ."""
    metrics = {"rmse": result.rating.rmse, "mae": result.rating.mae} if result.rating else {}
    if with_ranking:
        known = result.ranking.metrics if result.ranking else {}
        for name in RANKING_METRICS:
            if rated or not METRICS[name].needs_ratings:
                metrics[name] = known[name].value if name in known else float("nan")
    metrics["fit_seconds"] = result.fit_seconds + result.ranker_fit_seconds
    return {**metrics, "test_seconds": result.test_seconds}

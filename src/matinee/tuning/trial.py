"""One trial: fit with sampled settings, report progress, and stop where it is not promising."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from optuna import Trial, TrialPruned
from optuna.pruners import BasePruner, MedianPruner, NopPruner, SuccessiveHalvingPruner

from matinee.data.dataset import Dataset
from matinee.errors import MatineeError, SettingError
from matinee.models.bayesian.estimator import BayesianMF
from matinee.models.recommender import Recommender
from matinee.models.registry import estimator_class
from matinee.tuning.objective import Objective, TrainValidation
from matinee.tuning.search_space import SearchSpace, build_estimator
from matinee.tuning.study import STORAGE_ERRORS, first_line

REDUCTION_FACTOR = 4  # one trial in so many reaches the next resource level
MAX_WARM_STARTS = 8  # trials whose models others may start from
CHAIN_FRACTION = 4  # the chain of a trial is so many times shorter than that of the best model
REPORTS = 10  # how often a training reports, and may be pruned, until its end
HISTORY_METRICS = {"rating": "validation_rmse", "ranking": "validation_hit_rate"}
"""What the history of a training reports on the validation set, by head."""


def make_pruner(estimator: str) -> BasePruner:
    """The pruner for trials that grow, trials that report while they are fitted, or others."""
    cls = estimator_class(estimator)
    if cls.supports_warm_start:
        return SuccessiveHalvingPruner(min_resource=1, reduction_factor=REDUCTION_FACTOR)
    if cls.supports_callback:
        return MedianPruner(n_startup_trials=4, n_warmup_steps=1)
    return NopPruner()


@dataclass
class TrialRunner:
    """Runs the trials of a search; a trial's value is the mean over the validation splits."""

    space: SearchSpace
    objective: Objective
    splits: Sequence[TrainValidation]
    seed: int = 0
    threads: int | None = None
    _earlier: list[tuple[Mapping[str, Any], list[Recommender]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._scorers = [self.objective.scorer(*split) for split in self.splits]

    def __call__(self, trial: Trial) -> float:
        """The value of a trial; TrialPruned if it is not promising or the estimator fails."""
        values = self.space.suggest(trial)
        try:
            estimators = [self._estimator(values, train) for train, _ in self.splits]
            if estimators[0].supports_warm_start:
                value = self._grow(trial, values, estimators)
            else:
                value = self._fit_and_report(trial, estimators)
            if not math.isfinite(value):
                raise SettingError(f"{self.objective.metric} is not finite.")
            return value
        except SettingError as error:
            message = str(error)
        except (TrialPruned, MatineeError, *STORAGE_ERRORS):
            raise
        except Exception as error:
            message = f"{type(error).__name__}: {first_line(error)}."
        trial.set_user_attr("error", message)
        raise TrialPruned

    def _estimator(self, values: Mapping[str, Any], train: Dataset) -> Any:
        feedback = "explicit" if self.objective.head == "rating" else "implicit"
        settings = self.space.to_settings(values, train.ratings)
        return build_estimator(self.space.estimator, settings, seed=self.seed, feedback=feedback)

    def _grow(self, trial: Trial, values: Mapping[str, Any], estimators: Sequence[Any]) -> float:
        """Few factors and iterations first, warm-started; the last level is fitted from scratch."""
        levels = [resource_levels(estimator) for estimator in estimators]
        smallest, *larger = levels[0]
        models = self._nearest_models(values, smallest.factors) if larger else None
        if models:
            levels = [[warm_started(first), *rest] for first, *rest in levels]
        value = math.nan
        for level, resized in enumerate(zip(*levels, strict=True)):
            last = level == len(larger)
            # the value of a complete trial is that of its settings, whatever was tried before
            starts = [None] * len(resized) if last or models is None else models
            models = [
                estimator.fit(train, threads=self.threads, warm_start=start)
                for estimator, (train, _), start in zip(resized, self.splits, starts, strict=True)
            ]
            value = self._mean_score(models)
            if level == 0:
                self._earlier = [*self._earlier[1 - MAX_WARM_STARTS :], (values, models)]
            if not last:
                trial.report(value, REDUCTION_FACTOR**level)
                if trial.should_prune():
                    raise TrialPruned
        return value

    def _nearest_models(self, values: Mapping[str, Any], factors: int) -> list[Recommender] | None:
        """First models, of at most so many factors, of the trial nearest in regularization."""

        def distance(earlier: tuple[Mapping[str, Any], Any]) -> float:
            ratio = values.get("regularization", 1.0) / earlier[0].get("regularization", 1.0)
            return abs(float(np.log(ratio)))

        usable = [earlier for earlier in self._earlier if _factors(earlier[1][0]) <= factors]
        return min(usable, key=distance)[1] if usable else None

    def _fit_and_report(self, trial: Trial, estimators: Sequence[Any]) -> float:
        """Full fits; the history of the first decides, as it is made, whether to prune."""
        models: list[Recommender] = []
        for (train, validation), estimator in zip(self.splits, estimators, strict=True):
            shorter = shortened_chain(estimator)
            kwargs: dict[str, Any] = {}
            if estimator.supports_callback and not models:
                length = shorter.iterations if hasattr(shorter, "iterations") else shorter.epochs
                reporter = _Reporter(trial, length, HISTORY_METRICS[self.objective.head])
                kwargs = {"validation": validation, "callback": reporter}
            models.append(shorter.fit(train, threads=self.threads, on_interrupt="raise", **kwargs))
        return self._mean_score(models)

    def _mean_score(self, models: Sequence[Recommender]) -> float:
        scored = zip(self._scorers, models, strict=True)
        return float(np.mean([score(model) for score, model in scored]))


@dataclass
class _Reporter:
    """A callback that reports each tenth of a training to the pruner."""

    trial: Trial
    length: int
    metric: str
    step: int = 0

    def __call__(self, row: Mapping[str, Any]) -> None:
        step = REPORTS * row["iteration"] // self.length
        if self.step < step < REPORTS:
            self.step = step
            self.trial.report(float(row[self.metric]), step)
            if self.trial.should_prune():
                raise TrialPruned


def resource_levels(estimator: Any) -> list[Any]:
    """The estimators that a trial grows through; the last one is the full one."""
    if estimator.factors < 2 or estimator.iterations < 5:
        return [estimator]
    # with fewer factors than half a weaker regularization looks best
    half, lengths = estimator.factors // 2, [round(n * estimator.iterations / 5) for n in (2, 1)]
    return [*(replace(estimator, factors=half, iterations=length) for length in lengths), estimator]


def warm_started(estimator: Any) -> Any:
    """The estimator with a third of the iterations, for a start from another trial's factors."""
    return replace(estimator, iterations=round(estimator.iterations / 3))


def shortened_chain(estimator: Any) -> Any:
    """The estimator as a trial fits it: part of a chain, which is slow, tells settings apart."""
    if not isinstance(estimator, BayesianMF):
        return estimator
    iterations, burn_in = max(2, estimator.iterations // CHAIN_FRACTION), estimator.burn_in
    if burn_in is not None:
        burn_in = min(burn_in // CHAIN_FRACTION, iterations - 1)
    return replace(estimator, iterations=iterations, burn_in=burn_in)


def _factors(model: Recommender) -> int:
    head: Any = model.rating_head or model.ranking_head
    return int(head.item_params.shape[1]) - (model.rating_head is not None)  # without the bias

"""One trial: fit with some settings, tell how it goes, stop where it is going nowhere."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from optuna import Trial, TrialPruned
from optuna.pruners import BasePruner, MedianPruner, NopPruner, SuccessiveHalvingPruner

from matinee.data.dataset import Dataset
from matinee.errors import MatineeError, SettingError
from matinee.models.als import ALS
from matinee.models.bayesian.estimator import BayesianMF
from matinee.models.implicit_als import ImplicitALS
from matinee.models.recommender import Recommender
from matinee.models.registry import estimator_class
from matinee.tuning.objective import Objective, Part
from matinee.tuning.search_space import SearchSpace, estimator_with
from matinee.tuning.study import UNUSABLE, first_line

GROWING = (ALS, ImplicitALS)
"""Recipes whose trials begin with half of the factors, and grow if they are promising."""
REDUCTION = 4  # of the trials that come to a size, one in so many grows
KEPT = 8  # trials whose first vectors others may begin with
CHAIN = 4  # a trial's chain is so many times shorter than the winner's
STAGES = 10  # moments of a training at which it may be stopped
WATCHED = {False: "validation_rmse", True: "validation_hit_rate"}
"""What the history of a training tells of the validation part: for stars, for lists."""


def grows(estimator: str) -> bool:
    """Whether trials of this recipe grow."""
    return issubclass(estimator_class(estimator), GROWING)


def pruner_of(estimator: str) -> BasePruner:
    """What decides which trials of a recipe end early."""
    if grows(estimator):
        return SuccessiveHalvingPruner(min_resource=1, reduction_factor=REDUCTION)
    if estimator_class(estimator).supports_callback:
        return MedianPruner(n_startup_trials=4, n_warmup_steps=1)
    return NopPruner()


@dataclass
class TrialRunner:
    """What a search calls for each trial.

    Parameters
    ----------
    space : SearchSpace
    objective : Objective
    parts : sequence of (Dataset, Dataset)
        To train on and to judge by; a trial's value is the mean over them.
    seed : int
        Of training.
    threads : int, optional
    """

    space: SearchSpace
    objective: Objective
    parts: Sequence[Part]
    seed: int = 0
    threads: int | None = None
    _begun: list[tuple[Mapping[str, Any], list[Recommender]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._evaluates = [self.objective.on(*part) for part in self.parts]

    def __call__(self, trial: Trial) -> float:
        """The value of a trial, the mean over parts.

        Raises
        ------
        TrialPruned
            If the trial is not promising, or its settings lead nowhere: recipes refuse them, or
            break on them, as they do where memory does not suffice.
        """
        values = self.space.suggest(trial)
        try:
            estimators = [self._estimator(values, train) for train, _ in self.parts]
            if isinstance(estimators[0], GROWING):
                value = self._grow(trial, values, estimators)
            else:
                value = self._watch(trial, estimators)
            if not math.isfinite(value):
                raise SettingError(f"Its {self.objective.metric} is no number.")
            return value
        except SettingError as problem:
            why = str(problem)
        except (TrialPruned, MatineeError, *UNUSABLE):
            raise
        except Exception as problem:
            why = f"{type(problem).__name__}: {first_line(problem)}."
        trial.set_user_attr("broke", why)
        raise TrialPruned

    def _estimator(self, values: Mapping[str, Any], train: Dataset) -> Any:
        feedback = "implicit" if self.objective.of_lists else "explicit"
        settings = self.space.settings(values, train.ratings)
        return estimator_with(self.space.estimator, settings, seed=self.seed, feedback=feedback)

    def _grow(self, trial: Trial, values: Mapping[str, Any], estimators: Sequence[Any]) -> float:
        """Few factors and iterations first, from vectors that are there; the last size is whole.

        That one begins with nothing, so a value of a trial that got to its end is the value of
        its settings, whatever was tried before.
        """
        ladders = [resource_levels(estimator) for estimator in estimators]
        smallest, *larger = ladders[0]
        models = self._nearest(values, smallest.factors) if larger else None
        if models:
            ladders = [[warm_started(first), *rest] for first, *rest in ladders]
        value = math.nan
        for rung, sizes in enumerate(zip(*ladders, strict=True)):
            last = rung == len(larger)
            starts = [None] * len(sizes) if last or models is None else models
            models = [
                size.fit(train, threads=self.threads, start=start)
                for size, (train, _), start in zip(sizes, self.parts, starts, strict=True)
            ]
            value = self._mean(models)
            if rung == 0:
                self._begun = [*self._begun[1 - KEPT :], (values, models)]
            if not last:
                trial.report(value, REDUCTION**rung)
                if trial.should_prune():
                    raise TrialPruned
        return value

    def _nearest(self, values: Mapping[str, Any], factors: int) -> list[Recommender] | None:
        """The first vectors of an earlier trial along the path of regularizations."""

        def distance(other: Mapping[str, Any]) -> float:
            strengths = (one.get("regularization", 1.0) for one in (values, other))
            return abs(float(np.log(next(strengths) / next(strengths))))

        fitting = [one for one in self._begun if _factors(one[1][0]) <= factors]
        return min(fitting, key=lambda one: distance(one[0]))[1] if fitting else None

    def _watch(self, trial: Trial, estimators: Sequence[Any]) -> float:
        """Fit whole; the first part's history tells, as it is made, whether to go on."""
        models = []
        for number, ((train, validation), estimator) in enumerate(
            zip(self.parts, estimators, strict=True)
        ):
            shorter = shortened_chain(estimator)
            more: dict[str, Any] = {}
            if estimator.supports_callback and number == 0:
                callback = _Watcher(trial, _length(shorter), WATCHED[self.objective.of_lists])
                more = {"validation": validation, "callback": callback.see}
            models.append(shorter.fit(train, threads=self.threads, on_interrupt="raise", **more))
        return self._mean(models)

    def _mean(self, models: Sequence[Recommender]) -> float:
        found = [
            evaluate_ranking(model)
            for evaluate_ranking, model in zip(self._evaluates, models, strict=True)
        ]
        return float(np.mean(found))


@dataclass
class _Watcher:
    """Reports a training at each tenth of its way."""

    trial: Trial
    length: int
    metric: str
    stage: int = 0

    def see(self, row: Mapping[str, Any]) -> None:
        stage = STAGES * row["iteration"] // self.length
        if self.stage < stage < STAGES:
            self.stage = stage
            self.trial.report(float(row[self.metric]), stage)
            if self.trial.should_prune():
                raise TrialPruned


def resource_levels(estimator: Any) -> list[Any]:
    """The sizes that a trial of this recipe grows through; the last one is whole.

    Half of the factors for two fifths of the iterations, for another fifth, then the recipe as it
    is. With fewer factors a weaker regularization looks best. What is too small to grow is whole
    at once.

    Examples
    --------
    >>> [(one.factors, one.iterations) for one in resource_levels(ALS(factors=64))]
    [(32, 6), (32, 3), (64, 15)]
    """
    if estimator.factors < 2 or estimator.iterations < 5:
        return [estimator]
    smaller = [
        replace(
            estimator,
            factors=estimator.factors // 2,
            iterations=round(fifths * estimator.iterations / 5),
        )
        for fifths in (2, 1)
    ]
    return [*smaller, estimator]


def warm_started(estimator: Any) -> Any:
    """A third of the iterations, for one that begins with vectors of another trial."""
    return replace(estimator, iterations=round(estimator.iterations / 3))


def shortened_chain(estimator: Any) -> Any:
    """The recipe as a trial runs it: chains take minutes, and settings show in a part of one."""
    if not isinstance(estimator, BayesianMF):
        return estimator
    iterations, burn_in = max(2, estimator.iterations // CHAIN), estimator.burn_in
    if burn_in is not None:
        burn_in = min(burn_in // CHAIN, iterations - 1)
    return replace(estimator, iterations=iterations, burn_in=burn_in)


def _length(estimator: Any) -> int:
    length: int = estimator.iterations if hasattr(estimator, "iterations") else estimator.epochs
    return length


def _factors(model: Recommender) -> int:
    head: Any = model.rating_head or model.ranking_head
    return int(head.item_params.shape[1]) - (model.rating_head is not None)

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
from matinee.models.base import can_be_watched, to_the_end
from matinee.models.bayesian.estimator import BayesianMF
from matinee.models.implicit_als import ImplicitALS
from matinee.models.recommender import FactorModel
from matinee.models.registry import recipe_class
from matinee.tuning.objective import Objective
from matinee.tuning.search_space import Space, recipe_with
from matinee.tuning.study import UNUSABLE, first_line

GROWING = (ALS, ImplicitALS)
"""Recipes whose trials begin with half of the factors, and grow if they are promising."""
REDUCTION = 4  # of the trials that come to a size, one in so many grows
KEPT = 8  # trials whose first vectors others may begin with
CHAIN = 4  # a trial's chain is so many times shorter than the winner's
STAGES = 10  # moments of a training at which it may be stopped
WATCHED = {False: "validation_rmse", True: "validation_hit_rate"}
"""What the history of a training tells of the validation part: for stars, for lists."""

Part = tuple[Dataset, Dataset]
"""What a trial is trained on, and what it is judged by."""


def grows(recipe: str) -> bool:
    """Whether trials of this recipe grow."""
    return issubclass(recipe_class(recipe), GROWING)


def pruner_of(recipe: str) -> BasePruner:
    """What decides which trials of a recipe end early."""
    if grows(recipe):
        return SuccessiveHalvingPruner(min_resource=1, reduction_factor=REDUCTION)
    if can_be_watched(recipe_class(recipe)):
        return MedianPruner(n_startup_trials=4, n_warmup_steps=1)
    return NopPruner()


@dataclass
class Trials:
    """What a search calls for each trial.

    Parameters
    ----------
    space : Space
    objective : Objective
    parts : sequence of (Dataset, Dataset)
        To train on and to judge by; a trial's value is the mean over them.
    seed : int
        Of training.
    threads : int, optional
    """

    space: Space
    objective: Objective
    parts: Sequence[Part]
    seed: int = 0
    threads: int | None = None
    _begun: list[tuple[Mapping[str, Any], list[FactorModel]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._judges = [self.objective.on(*part) for part in self.parts]

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
            recipes = [self._recipe(values, train) for train, _ in self.parts]
            if isinstance(recipes[0], GROWING):
                value = self._grow(trial, values, recipes)
            else:
                value = self._watch(trial, recipes)
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

    def _recipe(self, values: Mapping[str, Any], train: Dataset) -> Any:
        feedback = "implicit" if self.objective.of_lists else "explicit"
        settings = self.space.settings(values, train.ratings)
        return recipe_with(self.space.recipe, settings, seed=self.seed, feedback=feedback)

    def _grow(self, trial: Trial, values: Mapping[str, Any], recipes: Sequence[Any]) -> float:
        """Few factors and iterations first, from vectors that are there; the last size is whole.

        That one begins with nothing, so a value of a trial that got to its end is the value of
        its settings, whatever was tried before.
        """
        ladders = [rungs(recipe) for recipe in recipes]
        smallest, *larger = ladders[0]
        models = self._nearest(values, smallest.factors) if larger else None
        if models:
            ladders = [[sooner(first), *rest] for first, *rest in ladders]
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

    def _nearest(self, values: Mapping[str, Any], factors: int) -> list[FactorModel] | None:
        """The first vectors of an earlier trial along the path of regularizations."""

        def distance(other: Mapping[str, Any]) -> float:
            strengths = (one.get("regularization", 1.0) for one in (values, other))
            return abs(float(np.log(next(strengths) / next(strengths))))

        fitting = [one for one in self._begun if _factors(one[1][0]) <= factors]
        return min(fitting, key=lambda one: distance(one[0]))[1] if fitting else None

    def _watch(self, trial: Trial, recipes: Sequence[Any]) -> float:
        """Fit whole; the first part's history tells, as it is made, whether to go on."""
        models = []
        for number, ((train, validation), recipe) in enumerate(
            zip(self.parts, recipes, strict=True)
        ):
            shorter = shortened(recipe)
            more: dict[str, Any] = {}
            if can_be_watched(recipe):
                more = {"watch": to_the_end}
            if can_be_watched(recipe) and number == 0:
                watch = _Watcher(trial, _length(shorter), WATCHED[self.objective.of_lists])
                more = {"validation": validation, "watch": watch.see}
            models.append(shorter.fit(train, threads=self.threads, **more))
        return self._mean(models)

    def _mean(self, models: Sequence[FactorModel]) -> float:
        found = [judge(model) for judge, model in zip(self._judges, models, strict=True)]
        return float(np.mean(found))


@dataclass
class _Watcher:
    """Reports a training at each tenth of its way."""

    trial: Trial
    length: int
    figure: str
    stage: int = 0

    def see(self, row: Mapping[str, Any]) -> None:
        stage = STAGES * row["iteration"] // self.length
        if self.stage < stage < STAGES:
            self.stage = stage
            self.trial.report(float(row[self.figure]), stage)
            if self.trial.should_prune():
                raise TrialPruned


def rungs(recipe: Any) -> list[Any]:
    """The sizes that a trial of this recipe grows through; the last one is whole.

    Half of the factors for two fifths of the iterations, for another fifth, then the recipe as it
    is. With fewer factors a weaker regularization looks best. What is too small to grow is whole
    at once.

    Examples
    --------
    >>> [(one.factors, one.iterations) for one in rungs(ALS(factors=64))]
    [(32, 6), (32, 3), (64, 15)]
    """
    if recipe.factors < 2 or recipe.iterations < 5:
        return [recipe]
    smaller = [
        replace(
            recipe, factors=recipe.factors // 2, iterations=round(fifths * recipe.iterations / 5)
        )
        for fifths in (2, 1)
    ]
    return [*smaller, recipe]


def sooner(recipe: Any) -> Any:
    """A third of the iterations, for one that begins with vectors of another trial."""
    return replace(recipe, iterations=round(recipe.iterations / 3))


def shortened(recipe: Any) -> Any:
    """The recipe as a trial runs it: chains take minutes, and settings show in a part of one."""
    if not isinstance(recipe, BayesianMF):
        return recipe
    iterations, burn_in = max(2, recipe.iterations // CHAIN), recipe.burn_in
    if burn_in is not None:
        burn_in = min(burn_in // CHAIN, iterations - 1)
    return replace(recipe, iterations=iterations, burn_in=burn_in)


def _length(recipe: Any) -> int:
    length: int = recipe.iterations if hasattr(recipe, "iterations") else recipe.epochs
    return length


def _factors(model: FactorModel) -> int:
    head: Any = model.rating or model.ranking
    return int(head.item_rows.shape[1]) - (model.rating is not None)

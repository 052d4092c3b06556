"""The objective of a search: one metric on a validation set."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from matinee.data.dataset import Dataset
from matinee.errors import SettingError, shortened
from matinee.evaluation.evaluator import evaluate_ranking_per_user, predict_all
from matinee.evaluation.metrics import METRICS, PRIMARY_METRIC, mae, rmse
from matinee.evaluation.protocols import holdout
from matinee.experiments.training import (
    MAX_EVAL_USERS,
    VALIDATION_FRACTION,
    nothing_to_predict,
)
from matinee.models.recommender import Recommender
from matinee.models.registry import RANKING, RATING

OBJECTIVES = {name: metric for name, metric in METRICS.items() if metric.direction}
"""The metrics that a search can optimize."""
RATING_ERRORS = {"rmse": rmse, "mae": mae}
FOLDS = re.compile(r"([1-9][0-9]{0,2})-fold")

TrainValidation = tuple[Dataset, Dataset]
"""The training set and the validation set of a trial."""


@dataclass(frozen=True)
class Objective:
    """One metric on a validation set: ``"rmse"``, ``"mae"``, or a ranking metric."""

    metric: str

    @property
    def head(self) -> str:
        """The head that the metric evaluates: ``"rating"`` or ``"ranking"``."""
        return OBJECTIVES[self.metric].task

    @property
    def higher_is_better(self) -> bool:
        """False for errors, True for ranking metrics."""
        return OBJECTIVES[self.metric].direction == "higher"

    def check_data(self, dataset: Dataset) -> None:
        """SettingError if the metric needs ratings, and there are none, or all are the same."""
        if OBJECTIVES[self.metric].needs_ratings and not dataset.ratings.differ:
            raise SettingError(
                f"{dataset.name}: {nothing_to_predict(dataset.ratings)}, so {self.metric} says "
                f"nothing; tune a ranking model, such as ials, by {PRIMARY_METRIC['ranking']}."
            )

    def scorer(self, train: Dataset, validation: Dataset) -> Callable[[Recommender], float]:
        """A function from a model that was trained on `train` to its metric on `validation`."""
        if self.head == "rating":
            error, actual = RATING_ERRORS[self.metric], validation.ratings.values
            return lambda model: error(predict_all(model, validation), actual)
        task = holdout(train, validation).sample(MAX_EVAL_USERS)

        def score(model: Recommender) -> float:
            head = "next" if "next" in model.orders else None  # whose order is what is tuned
            result = evaluate_ranking_per_user(model, task, head=head)
            if self.metric in result.catalog:
                return result.catalog[self.metric]
            return float(np.nanmean(result.values[self.metric]))

        return score


def get_objective(
    model: str, metric: str | None = None, dataset: Dataset | None = None
) -> Objective:
    """The objective with this metric, by name or label in any case, or the default of a model.

    Refused are metrics that the model has no head for, or that the data set has no ratings for.
    """
    models = {**RATING, **RANKING}
    if model not in models:
        raise SettingError(f"model must be one of {_tunable(models)}, got {shortened(model)}.")
    if metric is None:
        metric = PRIMARY_METRIC["ranking" if model in RANKING else "rating"]
    names = {
        text.lower(): name for name, entry in OBJECTIVES.items() for text in (name, entry.label)
    }
    if metric.lower() not in names:
        raise SettingError(
            f"metric must be one of {', '.join(OBJECTIVES)}, got {shortened(metric)}."
        )
    objective = Objective(names[metric.lower()])
    if dataset:
        objective.check_data(dataset)
    allowed, other = (RATING, "ranking") if objective.head == "rating" else (RANKING, "rating")
    if model not in allowed:
        usable = ", ".join(name for name, entry in OBJECTIVES.items() if entry.task == other)
        raise SettingError(
            f"{model} has no {objective.head} head for {metric}; choose a metric of its {other} "
            f"head ({usable}) or another model ({_tunable(allowed)})."
        )
    return objective


def _tunable(models: Iterable[str]) -> str:
    """Models for a message, without the one that has nothing to tune."""
    return ", ".join(model for model in models if model != "popularity")


def default_validation(model: str) -> str:
    """How a model's validation set is made unless that is said: a random one knows no order."""
    return "leave-last-out" if model == "next" else "random"


def validation_splits(train: Dataset, how: str, seed: int) -> list[TrainValidation]:
    """Training and validation sets for trials, made of the training set; see `tune`."""
    if how in ("random", "temporal", "leave-last-out"):
        try:
            return [train.split(how, test_fraction=VALIDATION_FRACTION, seed=seed)]
        except SettingError as error:
            raise SettingError(f"Validation set: {error}") from None
    folds = FOLDS.fullmatch(how)
    if not folds:
        raise SettingError(
            "validation must be 'random', 'temporal', 'leave-last-out' or 'K-fold' such as "
            f"'5-fold', got {shortened(how)}."
        )
    return list(train.folds(int(folds[1]), seed))

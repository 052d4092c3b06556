"""What a search asks of a model, and who can answer."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from matinee.data.dataset import Dataset
from matinee.errors import SettingError
from matinee.evaluation.evaluator import evaluate_ranking_per_user, predict_all
from matinee.evaluation.metrics import METRICS, PRIMARY_METRIC, mae, rmse
from matinee.evaluation.protocols import holdout
from matinee.experiments.training import MAX_EVAL_USERS, VALIDATION_FRACTION
from matinee.models.recommender import Recommender
from matinee.models.registry import RANKING, RATING

SEARCHABLE = {name: kind for name, kind in METRICS.items() if kind.direction}
"""The figures by which a search may go."""
ERRORS = {"rmse": rmse, "mae": mae}
"""What finds those of stars."""


Part = tuple[Dataset, Dataset]
"""What a trial is trained on, and what it is judged by."""


@dataclass(frozen=True)
class Objective:
    """One figure, which the other part of a split gives.

    Parameters
    ----------
    metric : str
        ``"rmse"`` or ``"mae"`` of stars, or a figure of lists as `matinee.evaluation.evaluator` names
        them, such as ``"ndcg@10"``.

    Examples
    --------
    >>> Objective("ndcg@10").higher_is_better
    True
    """

    metric: str

    @property
    def of_lists(self) -> bool:
        """Whether it is about lists; else it is about stars."""
        return SEARCHABLE[self.metric].task == "ranking"

    @property
    def higher_is_better(self) -> bool:
        """Errors are better low, all else high."""
        return SEARCHABLE[self.metric].direction == "higher"

    def on(self, train: Dataset, part: Dataset) -> Callable[[Recommender], float]:
        """What finds the figure of a model that was trained on `train`, on another part."""
        if not self.of_lists:
            error, actual = ERRORS[self.metric], part.ratings.values
            return lambda model: error(predict_all(model, part), actual)
        task = holdout(train, part).sample(MAX_EVAL_USERS)
        return lambda model: float(
            np.nanmean(evaluate_ranking_per_user(model, task).values[self.metric])
        )


def objective_of(model: str, metric: str | None) -> Objective:
    """The objective that is asked for, or the usual one of this model.

    Parameters
    ----------
    model : str
        As typed: ``"als"``, ``"ials"`` ...
    metric : str, optional
        As typed: its name, or what tables call it.

    Examples
    --------
    >>> objective_of("als", None), objective_of("ease", "HR@10")
    (Objective(metric='rmse'), Objective(metric='hit_rate@10'))

    Raises
    ------
    SettingError
        If there is no such model or metric, or this model cannot give it.
    """
    if model not in {**RATING, **RANKING}:
        known = _listed({**RATING, **RANKING})
        raise SettingError(f"There is no model {model!r} to tune; there are {known}.")
    if metric is None:
        return Objective(PRIMARY_METRIC["ranking" if model in RANKING else "rating"])
    spelled = {
        text.lower(): one.name for one in SEARCHABLE.values() for text in (one.name, one.label)
    }
    if metric.lower() not in spelled:
        raise SettingError(f"There is no metric {metric!r}; there are {', '.join(SEARCHABLE)}.")
    objective = Objective(spelled[metric.lower()])
    able: Mapping[str, str] = RANKING if objective.of_lists else RATING
    if model not in able:
        does, of = ("predicts", "rating") if objective.of_lists else ("makes", "ranking")
        has = [name for name, kind in SEARCHABLE.items() if kind.task == of]
        raise SettingError(
            f"{model} {does} {of}, and cannot give {metric}: take {', '.join(has)}, "
            f"or another model ({_listed(able)})."
        )
    return objective


def _listed(models: Iterable[str]) -> str:
    """Models for a message; popularity has nothing to tune."""
    return ", ".join(model for model in models if model != "popularity")


FOLDS = re.compile(r"([1-9][0-9]{0,2})-fold")


def validation_splits(train: Dataset, how: str, seed: int) -> list[Part]:
    """Parts to train on and to judge by.

    Parameters
    ----------
    train : Dataset
        The training part of the split that the winner is tested on.
    how : str
        ``"random"``: a tenth of the ratings; ``"temporal"``: the latest tenth; ``"5-fold"`` and so on:
        each fold in turn.
    seed : int

    Examples
    --------
    >>> from matinee.data.synthetic import generate
    >>> data, _ = generate(users=60, items=50, ratings=1500, seed=0)
    >>> [(len(train), len(evaluated)) for train, evaluated in validation_splits(data, "3-fold", seed=0)]
    [(1000, 500), (1000, 500), (1000, 500)]

    Raises
    ------
    SettingError
        If there is no such validation.
    """
    if how in ("random", "temporal"):
        try:
            return [train.split(how, test_fraction=VALIDATION_FRACTION, seed=seed)]
        except SettingError as problem:
            raise SettingError(f"For the validation part: {problem}") from None
    folds = FOLDS.fullmatch(how)
    if not folds:
        raise SettingError(
            f"validation is random, temporal or K-fold (such as 5-fold), not {how!r}."
        )
    return list(train.folds(int(folds[1]), seed))

"""What a search asks of a model, and who can answer."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from matinee.data.dataset import Dataset
from matinee.errors import SettingError
from matinee.evaluation.evaluator import judge_each, predict_all
from matinee.evaluation.metrics import FIGURES, MAIN, mae, rmse
from matinee.evaluation.protocols import held_out
from matinee.experiments.training import JUDGED, VALIDATION_FRACTION
from matinee.models.recommender import FactorModel
from matinee.models.registry import RANKING, RATING
from matinee.tuning.trial import Part

METRICS = {name: kind for name, kind in FIGURES.items() if kind.better}
"""The figures by which a search may go."""
ERRORS = {"rmse": rmse, "mae": mae}
"""What finds those of stars."""


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
        return METRICS[self.metric].of == "lists"

    @property
    def higher_is_better(self) -> bool:
        """Errors are better low, all else high."""
        return METRICS[self.metric].better == "more"

    def on(self, train: Dataset, part: Dataset) -> Callable[[FactorModel], float]:
        """What finds the figure of a model that was trained on `train`, on another part."""
        if not self.of_lists:
            error, actual = ERRORS[self.metric], part.ratings.stars
            return lambda model: error(predict_all(model, part), actual)
        exam = held_out(train, part).sample(JUDGED)
        return lambda model: float(np.nanmean(judge_each(model, exam).values[self.metric]))


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
        return Objective(MAIN["lists" if model in RANKING else "stars"])
    spelled = {
        text.lower(): one.name for one in METRICS.values() for text in (one.name, one.called)
    }
    if metric.lower() not in spelled:
        raise SettingError(f"There is no metric {metric!r}; there are {', '.join(METRICS)}.")
    objective = Objective(spelled[metric.lower()])
    able: Mapping[str, str] = RANKING if objective.of_lists else RATING
    if model not in able:
        does, of = ("predicts", "stars") if objective.of_lists else ("makes", "lists")
        has = [name for name, kind in METRICS.items() if kind.of == of]
        raise SettingError(
            f"{model} {does} {of}, and cannot give {metric}: take {', '.join(has)}, "
            f"or another model ({_listed(able)})."
        )
    return objective


def _listed(models: Iterable[str]) -> str:
    """Models for a message; popularity has nothing to tune."""
    return ", ".join(model for model in models if model != "popularity")


FOLDS = re.compile(r"([1-9][0-9]{0,2})-fold")


def inner_parts(train: Dataset, how: str, seed: int) -> list[Part]:
    """Parts to train on and to judge by.

    Parameters
    ----------
    train : Dataset
        The training part of the split that the winner is tested on.
    how : str
        ``"random"``: a tenth of the ratings; ``"time"``: the latest tenth; ``"5-fold"`` and so on:
        each fold in turn.
    seed : int

    Examples
    --------
    >>> from matinee.data.synthetic import generate
    >>> data, _ = generate(viewers=60, movies=50, ratings=1500, seed=0)
    >>> [(len(train), len(judged)) for train, judged in inner_parts(data, "3-fold", seed=0)]
    [(1000, 500), (1000, 500), (1000, 500)]

    Raises
    ------
    SettingError
        If there is no such validation.
    """
    if how in ("random", "time"):
        try:
            return [train.split(how, test_fraction=VALIDATION_FRACTION, seed=seed)]
        except SettingError as problem:
            raise SettingError(f"For the validation part: {problem}") from None
    folds = FOLDS.fullmatch(how)
    if not folds:
        raise SettingError(f"validation is random, time or K-fold (such as 5-fold), not {how!r}.")
    return list(train.folds(int(folds[1]), seed))

"""k-fold cross-validation: every rating is tested once, by a model that has not seen it."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from matinee.data.dataset import Dataset
from matinee.evaluation.metrics import TABLED
from matinee.experiments.training import (
    Result,
    compile_kernels,
    fit_and_judge,
    set_aside,
    some_recipes,
    some_viewers,
)
from matinee.models.base import Trainer
from matinee.models.registry import note_of
from matinee.progress import progress
from matinee.storage.runs import plain

OF_LISTS = [name for name, kind in TABLED.items() if kind.of == "lists"]


@dataclass(frozen=True)
class CrossValidation:
    """How recipes did on each fold.

    Parameters
    ----------
    folds : tuple of str
        Their names.
    figures : mapping of str to tuple of float
        One value per fold, by the name of the figure: ``rmse`` and ``mae`` in stars, those of
        lists as in `ListFigures`, then ``fit_seconds`` (of both heads; the test part is not
        looked at meanwhile) and ``test_seconds`` (predicting and judging). NaN where no viewer's
        lists could be judged.
    trainers : mapping of str to dict
        The recipes of the heads, as a run notes them.
    """

    folds: tuple[str, ...]
    figures: Mapping[str, tuple[float, ...]]
    trainers: Mapping[str, Mapping[str, Any]]

    def mean(self, name: str) -> float:
        """The mean of a figure over folds, each counting the same."""
        return statistics.fmean(self.figures[name])

    def std(self, name: str) -> float:
        """The sample standard deviation of a figure over folds: squares divided by k - 1.

        Folds share most of their training ratings, so this says little of how sure the mean is
        (Bengio & Grandvalet 2004, "No unbiased estimator of the variance of k-fold
        cross-validation").
        """
        mean = self.mean(name)
        squares = sum((value - mean) ** 2 for value in self.figures[name])
        return float((squares / (len(self.folds) - 1)) ** 0.5)

    def as_json(self) -> dict[str, Any]:
        """Plain values with stable keys."""
        figures = {
            name: {
                "folds": [plain(value) for value in values],
                "mean": plain(self.mean(name)),
                "std": plain(self.std(name)),
            }
            for name, values in self.figures.items()
        }
        trainers = {head: dict(trainer) for head, trainer in self.trainers.items()}
        return {"folds": list(self.folds), "figures": figures, "trainers": trainers}


def cross_validate(
    dataset: Dataset,
    rating: Trainer | None,
    ranking: Trainer | None = None,
    *,
    folds: int | str = 5,
    seed: int = 0,
    threads: int | None = None,
) -> CrossValidation:
    """Train on all folds but one and judge on that, for each of them.

    Parameters
    ----------
    dataset : Dataset
    rating : Trainer or None
        For stars.
    ranking : Trainer, optional
        For lists, which are judged only if it is given, for at most `JUDGED` viewers of a fold.
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
    >>> data, _ = generate(viewers=60, movies=50, ratings=1500, seed=0)
    >>> found = cross_validate(data, matinee.BiasOnly(), folds=3)
    >>> found.folds, list(found.figures)
    (('1', '2', '3'), ['rmse', 'mae', 'fit_seconds', 'test_seconds'])
    """
    recipes = some_recipes(rating, ranking)
    if isinstance(folds, int):
        parts = dataset.folds(folds, seed)  # refuses too many
        names = [str(number) for number in range(1, folds + 1)]
    else:
        names = dataset.official_folds()
        parts = (dataset.split(name) for name in names)
    compile_kernels(recipes)
    watching = any(getattr(one, "patience", 0) for one in recipes)
    rows = []
    with progress("Cross-validating", len(names)) as tick:
        for number, (train, test) in enumerate(parts, start=1):
            validation = None
            if watching:
                train, validation = set_aside(train, seed)
            result = fit_and_judge(
                train,
                test,
                rating,
                ranking=ranking,
                validation=validation,
                exam=some_viewers(train, test) if ranking else None,
                followed=False,
                whole=True,
                threads=threads,
            )
            rows.append(_figures(result, ranking is not None))
            tick(number, "")
    heads = {"rating": rating, "ranking": ranking}
    noted = {head: note_of(recipe) for head, recipe in heads.items() if recipe}
    return CrossValidation(
        tuple(names), {name: tuple(row[name] for row in rows) for name in rows[0]}, noted
    )


def _figures(result: Result, of_lists: bool) -> dict[str, float]:
    """What one fold came to."""
    stars = {"rmse": result.test.rmse, "mae": result.test.mae} if result.test else {}
    lists = {name: result.lists[name] if result.lists else float("nan") for name in OF_LISTS}
    return {
        **stars,
        **(lists if of_lists else {}),
        "fit_seconds": result.fit_seconds + result.ranking_seconds,
        "test_seconds": result.test_seconds,
    }

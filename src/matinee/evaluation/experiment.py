"""One experiment: split, train, test, and note all three beside the model."""

import time
from dataclasses import asdict, dataclass, replace
from typing import Any

from matinee.data import Dataset, read
from matinee.errors import RunError, SettingError
from matinee.evaluation.heldout import HeldOut, evaluate
from matinee.evaluation.judge import ListFigures, judge
from matinee.evaluation.protocols import held_out
from matinee.models import FactorModel, RankingTrainer, Trainer
from matinee.models.warmup import compile_kernels

VALIDATION_FRACTION = 0.1  # of the training part, where training stops early
JUDGED = 5_000  # viewers whose lists are judged after training


@dataclass(frozen=True)
class Split:
    """How to make the two parts; the same as the arguments of `Dataset.split`."""

    method: str = "random"
    test_fraction: float = 0.1
    seed: int = 0

    def apply(self, dataset: Dataset) -> tuple[Dataset, Dataset]:
        """Training and test part."""
        return dataset.split(self.method, test_fraction=self.test_fraction, seed=self.seed)


@dataclass(frozen=True)
class Result:
    """A trained model, and how it did on the test part.

    Parameters
    ----------
    model : FactorModel
        Its `about` holds the data, the split and the metrics, for its run's manifest.
    train_ratings : int
    test : HeldOut
        Predicted stars.
    lists : ListFigures or None
        Lists of at most `JUDGED` viewers; None if nobody in the test part is known.
    fit_seconds : float
        Of `fit`, which judges the test part after each iteration; neither of reading nor of
        compiling.
    ranking_seconds : float
        The same of the ranking head, 0 without one.
    """

    model: FactorModel
    train_ratings: int
    test: HeldOut
    lists: ListFigures | None
    fit_seconds: float
    ranking_seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """Plain values with stable keys."""
        return {
            "train_ratings": self.train_ratings,
            "test_ratings": self.test.ratings,
            "rmse": self.test.rmse,
            "mae": self.test.mae,
            "fit_seconds": self.fit_seconds,
            "ranking_seconds": self.ranking_seconds,
            "lists": self.lists.as_json() if self.lists else None,
            "by_unknown_viewers": self.test.by_unknown_viewers,
            "of_unknown_movies": self.test.of_unknown_movies,
            "trainers": {name: dict(head.trainer) for name, head in self.model.heads.items()},
        }


def train_and_test(
    dataset: Dataset,
    recipe: Trainer,
    split: Split,
    *,
    ranking: RankingTrainer | None = None,
    hold_out_validation: bool = False,
    threads: int | None = None,
) -> Result:
    """Split, fit both heads on one part, judge on the other.

    Parameters
    ----------
    dataset : Dataset
    recipe : Trainer
        For the rating head.
    split : Split
    ranking : RankingTrainer, optional
        For the ranking head.
    hold_out_validation : bool
        Keep a tenth of the training part aside for the recipe to watch (`ALS.patience`).
    threads : int, optional

    Examples
    --------
    >>> import matinee
    >>> from matinee.data.generated import generate
    >>> data, _ = generate(viewers=60, movies=50, ratings=1500, seed=0)
    >>> result = train_and_test(data, matinee.BiasOnly(), Split("last"), ranking=matinee.EASE())
    >>> result.train_ratings, result.test.ratings, result.lists.viewers
    (1440, 60, 60)
    """
    train, test = split.apply(dataset)
    fitted, validation = train, None
    if hold_out_validation:
        fitted, validation = train.split(
            "random", test_fraction=VALIDATION_FRACTION, seed=split.seed
        )
    compile_kernels()
    started = time.perf_counter()
    model = recipe.fit(fitted, validation=validation, test=test, threads=threads)
    seconds = time.perf_counter() - started
    ranking_seconds = 0.0
    if ranking:
        started = time.perf_counter()
        model = model.with_ranking(ranking.fit(fitted, threads=threads))
        ranking_seconds = time.perf_counter() - started
    judged = evaluate(model, fitted, test)
    found = _judge_some(model, fitted, test)
    about = {
        "data": {
            "name": dataset.name,
            "source": dataset.source,
            "licence": dataset.licence,
            "reading": dict(dataset.reading),
            "fingerprint": dataset.ratings.fingerprint(),
        },
        "split": {
            **asdict(split),
            "train_ratings": len(fitted),
            "hold_out_validation": hold_out_validation,
        },
        "metrics": {**asdict(judged), "lists": found.as_json() if found else None},
        "fit_seconds": seconds,
    }
    model = replace(model, about=about)
    return Result(model, len(fitted), judged, found, seconds, ranking_seconds)


def _judge_some(model: FactorModel, train: Dataset, test: Dataset) -> ListFigures | None:
    """Figures of at most `JUDGED` viewers' lists, which is quick whatever the size."""
    try:
        exam = held_out(train, test).sample(JUDGED)
    except SettingError:  # nobody can be judged
        return None
    return judge(model, exam)


def data_of(model: FactorModel) -> tuple[Dataset, Dataset, Dataset]:
    """A run's data, read again, and the training and test part as they were then.

    Raises
    ------
    RunError
        If the data are not the ones that the run was trained on.
    """
    try:
        said, split = model.about["data"], dict(model.about["split"])
        source, reading, fingerprint = said["source"], said["reading"], said["fingerprint"]
        split.pop("train_ratings")
        hold_out_validation = split.pop("hold_out_validation")
        how = Split(**split)
        scale = reading["scale"] and tuple(reading["scale"])
    except (KeyError, TypeError, AttributeError):
        raise RunError(
            "The run does not say which data and split it was made with; runs of matinee train do."
        ) from None
    if source == "":
        raise RunError("The run was trained on a table in memory, which cannot be read again.")
    dataset = read(
        source, columns=reading["columns"], scale=scale, duplicates=reading["duplicates"]
    )
    if dataset.ratings.fingerprint() != fingerprint:
        raise RunError(f"{source}: these are no longer the ratings that the run was trained on.")
    train, test = how.apply(dataset)
    if hold_out_validation:
        train, _ = train.split("random", test_fraction=VALIDATION_FRACTION, seed=how.seed)
    return dataset, train, test

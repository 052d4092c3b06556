"""One experiment: split, train, test, and note all three beside the model."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from typing import Any

from matinee.data import Dataset, read
from matinee.errors import RunError, SettingError
from matinee.evaluation.exam import Exam
from matinee.evaluation.heldout import HeldOut, evaluate
from matinee.evaluation.judge import ListFigures, judge
from matinee.evaluation.protocols import held_out
from matinee.kernels import processor
from matinee.models import FactorModel, Trainer
from matinee.models.warmup import compile_kernels

VALIDATION_FRACTION = 0.1  # of the training part, where training stops early
SIZED = ("random", "time")  # splits that ask for a fraction
JUDGED = 5_000  # viewers whose lists are judged after training
MADE_WITH = ("matinee", "numpy", "numba")


@dataclass(frozen=True)
class Split:
    """How to make the two parts; the same as the arguments of `Dataset.split`."""

    method: str = "random"
    test_fraction: float = 0.1
    seed: int = 0

    def __str__(self) -> str:
        """As one would say it: ``random, a fraction of 0.1, seed 3``."""
        fraction = f", a fraction of {self.test_fraction:g}"
        return f"{self.method}{fraction if self.method in SIZED else ''}, seed {self.seed}"

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
    train_ratings, test_ratings : int
    test : HeldOut or None
        Predicted stars; None without a rating head.
    lists : ListFigures or None
        Lists of at most `JUDGED` viewers; None if nobody in the test part is known.
    fit_seconds, ranking_seconds : float
        Of fitting either head, which judges the test part after each iteration; neither of
        reading nor of compiling. 0 without that head.
    """

    model: FactorModel
    train_ratings: int
    test_ratings: int
    test: HeldOut | None
    lists: ListFigures | None
    fit_seconds: float
    ranking_seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """Plain values with stable keys."""
        return {
            "train_ratings": self.train_ratings,
            "test_ratings": self.test_ratings,
            **{
                name: getattr(self.test, name, None)
                for name in ("rmse", "mae", "by_unknown_viewers", "of_unknown_movies")
            },
            "fit_seconds": self.fit_seconds,
            "ranking_seconds": self.ranking_seconds,
            "lists": self.lists.as_json() if self.lists else None,
            "trainers": {name: dict(head.trainer) for name, head in self.model.heads.items()},
        }


def train_and_test(
    dataset: Dataset,
    recipe: Trainer | None,
    split: Split,
    *,
    ranking: Trainer | None = None,
    exam: Exam | None = None,
    hold_out_validation: bool = False,
    threads: int | None = None,
) -> Result:
    """Split, fit both heads on one part, judge on the other.

    Parameters
    ----------
    dataset : Dataset
    recipe : Trainer or None
        For the rating head.
    split : Split
    ranking : Trainer, optional
        For the ranking head.
    exam : Exam, optional
        What to judge lists by, on the same split; by default the test part.
    hold_out_validation : bool
        Keep a tenth of the training part aside for the recipes to watch (`ALS.patience`).
    threads : int, optional

    Raises
    ------
    SettingError
        If there is neither recipe.

    Examples
    --------
    >>> import matinee
    >>> from matinee.data.generated import generate
    >>> data, _ = generate(viewers=60, movies=50, ratings=1500, seed=0)
    >>> result = train_and_test(data, matinee.BiasOnly(), Split("last"), ranking=matinee.EASE())
    >>> result.train_ratings, result.test.ratings, result.lists.viewers
    (1440, 60, 60)
    """
    recipes = [one for one in (recipe, ranking) if one]
    if not recipes:
        raise SettingError("There is nothing to train: no model for stars, and none for lists.")
    train, test = split.apply(dataset)
    fitted, validation = train, None
    if hold_out_validation:
        fitted, validation = train.split(
            "random", test_fraction=VALIDATION_FRACTION, seed=split.seed
        )
    compile_kernels(recipes)
    trained, seconds = [], []
    for one in recipes:
        started = time.perf_counter()
        trained.append(one.fit(fitted, validation=validation, test=test, threads=threads))
        seconds.append(time.perf_counter() - started)
    model = trained[0] if len(trained) == 1 else trained[0].with_ranking(trained[1])
    judged = evaluate(model, fitted, test) if recipe else None
    found = judge(model, exam) if exam else _judge_some(model, fitted, test)
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
        "metrics": {
            **(asdict(judged) if judged else {}),
            "lists": found.as_json() if found else None,
        },
        "fit_seconds": sum(seconds),
        "made": _made(recipes, threads),
    }
    return Result(
        replace(model, about=about),
        len(fitted),
        len(test),
        judged,
        found,
        seconds[0] if recipe else 0.0,
        seconds[-1] if ranking else 0.0,
    )


def _judge_some(model: FactorModel, train: Dataset, test: Dataset) -> ListFigures | None:
    """Figures of at most `JUDGED` viewers' lists, which is quick whatever the size."""
    try:
        exam = held_out(train, test).sample(JUDGED)
    except SettingError:  # nobody can be judged
        return None
    return judge(model, exam)


def _made(recipes: Iterable[Trainer], threads: int | None) -> dict[str, Any]:
    """What the bits of these recipes' models depend on, beside settings, seed and data."""
    made = {"processor": processor(), **{name: version(name) for name in MADE_WITH}}
    for recipe in recipes:
        device = getattr(getattr(recipe, "recipe", recipe), "device", None)
        if device is not None:
            from matinee.neural.devices import made_on

            made |= made_on(device, threads)
    return made


@dataclass(frozen=True)
class Noted:
    """What a run notes of its data and split, enough to make both parts again."""

    source: str
    reading: Mapping[str, Any]
    fingerprint: str
    split: Split
    hold_out_validation: bool

    def read(self) -> Dataset:
        """The data set, read again; RunError if it is no longer what it was."""
        if self.source == "":
            raise RunError("The run was trained on a table in memory, which cannot be read again.")
        dataset = read(self.source, **self.reading)
        if dataset.ratings.fingerprint() != self.fingerprint:
            raise RunError(
                f"{self.source}: these are no longer the ratings that the run was trained on."
            )
        return dataset

    def learned_from(self, train: Dataset) -> Dataset:
        """What of the training part of its split the run was fitted on."""
        if not self.hold_out_validation:
            return train
        return train.split("random", test_fraction=VALIDATION_FRACTION, seed=self.split.seed)[0]


def noted(about: Mapping[str, Any]) -> Noted:
    """What a run notes of its data and split; RunError if it does not."""
    try:
        said, split = about["data"], dict(about["split"])
        reading = {name: said["reading"][name] for name in ("columns", "scale", "duplicates")}
        reading["scale"] = reading["scale"] and tuple(reading["scale"])
        split.pop("train_ratings")
        validation = split.pop("hold_out_validation")
        return Noted(said["source"], reading, said["fingerprint"], Split(**split), validation)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise RunError(
            "The run does not say which data and split it was made with; runs of matinee train do."
        ) from None


def data_of(model: FactorModel) -> tuple[Dataset, Dataset, Dataset]:
    """A run's data, read again, and the training and test part as they were then.

    Raises
    ------
    RunError
        If the data are not the ones that the run was trained on.
    """
    said = noted(model.about)
    dataset = said.read()
    train, test = said.split.apply(dataset)
    return dataset, said.learned_from(train), test

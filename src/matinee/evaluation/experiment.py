"""One experiment: split, train, test, and note all three beside the model."""

import time
from dataclasses import asdict, dataclass, replace
from typing import Any

from matinee.data import Dataset, read
from matinee.errors import RunError
from matinee.evaluation.heldout import HeldOut, evaluate
from matinee.models import FactorModel, Trainer
from matinee.models.warmup import compile_kernels

VALIDATION_FRACTION = 0.1  # of the training part, where training stops early


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
    fit_seconds : float
        Of `fit`, which judges the test part after each iteration; neither of reading nor of
        compiling.
    """

    model: FactorModel
    train_ratings: int
    test: HeldOut
    fit_seconds: float

    def as_json(self) -> dict[str, Any]:
        """Plain values with stable keys."""
        return {
            "train_ratings": self.train_ratings,
            "test_ratings": self.test.ratings,
            "rmse": self.test.rmse,
            "mae": self.test.mae,
            "fit_seconds": self.fit_seconds,
            "by_unknown_viewers": self.test.by_unknown_viewers,
            "of_unknown_movies": self.test.of_unknown_movies,
            "trainer": dict(self.model.trainer),
        }


def train_and_test(
    dataset: Dataset,
    recipe: Trainer,
    split: Split,
    *,
    hold_out_validation: bool = False,
    threads: int | None = None,
) -> Result:
    """Split, fit on one part, judge on the other.

    Parameters
    ----------
    dataset : Dataset
    recipe : Trainer
    split : Split
    hold_out_validation : bool
        Keep a tenth of the training part aside for the recipe to watch (`ALS.patience`).
    threads : int, optional

    Examples
    --------
    >>> import matinee
    >>> from matinee.data.generated import generate
    >>> data, _ = generate(viewers=60, movies=50, ratings=1500, seed=0)
    >>> result = train_and_test(data, matinee.BiasOnly(), Split("last"))
    >>> result.train_ratings, result.test.ratings
    (1440, 60)
    """
    train, test = split.apply(dataset)
    validation = None
    if hold_out_validation:
        train, validation = train.split(
            "random", test_fraction=VALIDATION_FRACTION, seed=split.seed
        )
    compile_kernels()
    started = time.perf_counter()
    model = recipe.fit(train, validation=validation, test=test, threads=threads)
    seconds = time.perf_counter() - started
    judged = evaluate(model, train, test)
    about = {
        "data": {
            "name": dataset.name,
            "source": dataset.source,
            "licence": dataset.licence,
            "reading": dict(dataset.reading),
            "fingerprint": dataset.ratings.fingerprint(),
        },
        "split": {**asdict(split), "train_ratings": len(train)},
        "metrics": asdict(judged),
        "fit_seconds": seconds,
    }
    return Result(replace(model, about=about), len(train), judged, seconds)


def evaluate_again(model: FactorModel) -> HeldOut:
    """Read a run's data again, split them as then, and judge the model on the test part.

    Raises
    ------
    RunError
        If the data are not the ones that the run was trained on.
    """
    try:
        said, split = model.about["data"], dict(model.about["split"])
        source, reading, fingerprint = said["source"], said["reading"], said["fingerprint"]
        split.pop("train_ratings")
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
    return evaluate(model, train, test)

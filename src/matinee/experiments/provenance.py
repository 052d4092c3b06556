"""A run's data, read again, and cut as they were then."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from matinee.data.dataset import Dataset
from matinee.data.reading import read
from matinee.errors import RunError
from matinee.experiments.training import Split, split_validation
from matinee.models.recommender import Recommender


@dataclass(frozen=True)
class DataProvenance:
    """What a run notes of its data and split, enough to make both parts again."""

    source: str
    reading: Mapping[str, Any]
    fingerprint: str
    split: Split
    holdout_validation: bool

    def read(self) -> Dataset:
        """The data set, read again; RunError if it is no longer what it was."""
        if self.source == "":
            raise RunError("The run was trained on a table in memory, which cannot be read again.")
        dataset = read(self.source, **self.reading)
        if dataset.ratings.fingerprint() != self.fingerprint:
            raise RunError(
                f"{self.source}: these are no longer the ratings that the run was trained on. Put "
                "those back, or train again on these."
            )
        return dataset

    def learned_from(self, train: Dataset) -> Dataset:
        """What of the training part of its split the run was fitted on."""
        if not self.holdout_validation:
            return train
        return split_validation(train, self.split.seed)[0]


def recorded(metadata: Mapping[str, Any]) -> DataProvenance:
    """What a run notes of its data and split; RunError if it does not."""
    try:
        said, split = metadata["data"], dict(metadata["split"])
        reading = {name: said["reading"][name] for name in ("columns", "scale", "duplicates")}
        reading["scale"] = reading["scale"] and tuple(reading["scale"])
        split.pop("train_ratings")
        validation = split.pop("validation_fraction") > 0
        found = DataProvenance(
            said["source"], reading, said["fingerprint"], Split(**split), validation
        )
        _check(found)
        return found
    except (KeyError, TypeError, ValueError, AttributeError):
        raise RunError(
            "The run does not say which data and split it was made with; runs of matinee train do."
        ) from None


def _check(said: DataProvenance) -> None:
    """TypeError for anything that is not of its type: a manifest may say what it likes."""
    columns, how = dict(said.reading["columns"] or {}), said.split
    texts = [said.source, said.fingerprint, how.method, *columns, *columns.values()]
    numbers = [how.test_fraction, how.seed, *(said.reading["scale"] or ())]
    if not (
        all(isinstance(text, str) for text in texts)
        and all(type(number) in (int, float) for number in numbers)
        and type(how.seed) is int
        and type(said.holdout_validation) is bool
    ):
        raise TypeError(said)


def load_run_data(model: Recommender) -> tuple[Dataset, Dataset, Dataset]:
    """A run's data, read again, and the training and test part as they were then.

    Raises
    ------
    RunError
        If the data are not the ones that the run was trained on.
    """
    said = recorded(model.metadata)
    dataset = said.read()
    train, test = said.split.apply(dataset)
    return dataset, said.learned_from(train), test

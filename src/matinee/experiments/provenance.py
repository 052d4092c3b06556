"""Which data and split a run was trained on, to make the same sets again."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from matinee.data.dataset import Dataset
from matinee.data.reading import read
from matinee.data.reading_options import ReadingOptions
from matinee.errors import RunError, SettingError
from matinee.experiments.split import Split
from matinee.experiments.training import VALIDATION_FRACTION, split_validation
from matinee.models.recommender import Recommender


@dataclass(frozen=True)
class DataProvenance:
    """The data and split of a run, as its manifest has them."""

    name: str
    source: str
    reading: Mapping[str, Any]
    fingerprint: str
    split: Split
    validation_fraction: float

    def read_now(self) -> Dataset:
        """Read the data set again as it is now."""
        if self.source == "":
            raise RunError("The run was trained on a table in memory, which cannot be read again.")
        return read(self.source, name=self.name, **self.reading)

    def read(self) -> Dataset:
        """Read the data set again; RunError if it has changed, or nothing tells."""
        if self.fingerprint == "":
            raise RunError(
                "The run was trained in Spark, and this machine cannot make the same training and "
                "test set of the data; how it did on that is in its manifest."
            )
        dataset = self.read_now()
        if dataset.ratings.fingerprint() != self.fingerprint:
            raise RunError(
                f"{self.source}: the ratings have changed since the run was trained. Restore them, "
                "or train again."
            )
        return dataset

    def sets(self, dataset: Dataset) -> tuple[Dataset, Dataset]:
        """What the run was fitted on, and its test set."""
        train, test = self.split.apply(dataset)
        if self.validation_fraction:
            train, _ = split_validation(train, self.split.seed)
        return train, test


def read_provenance(metadata: Mapping[str, Any]) -> DataProvenance:
    """The data and split in a run's metadata; RunError if it has none."""
    try:
        data, split = metadata["data"], dict(metadata["split"])
        reading = ReadingOptions.of(data["reading"]).to_dict()
        split.pop("train_ratings")
        validation_fraction = split.pop("validation_fraction")
        provenance = DataProvenance(
            data["name"],
            data["source"],
            reading,
            data["fingerprint"],
            Split(**split),
            validation_fraction,
        )
        _check_types(provenance)
        return provenance
    except (KeyError, TypeError, ValueError, AttributeError, SettingError):
        raise RunError(
            "The run does not say which data and split it was trained on; those of `matinee train` "
            "do."
        ) from None


def _check_types(provenance: DataProvenance) -> None:
    """TypeError for values of another type, since anybody can write a manifest."""
    split = provenance.split
    texts = [provenance.name, provenance.source, provenance.fingerprint, split.method]
    numbers = [split.test_fraction, split.seed]
    texts += [] if split.warm_start is None else [split.warm_start]
    if not (
        all(isinstance(text, str) for text in texts)
        and all(type(number) in (int, float) for number in numbers)
        and type(split.seed) is int
        and provenance.validation_fraction in (0.0, VALIDATION_FRACTION)
    ):
        raise TypeError(provenance)


def load_run_data(model: Recommender) -> tuple[Dataset, Dataset, Dataset]:
    """A run's data, read again: all, what it was fitted on, the test set; RunError if changed."""
    provenance = read_provenance(model.metadata)
    dataset = provenance.read()
    return dataset, *provenance.sets(dataset)

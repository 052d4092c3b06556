"""What the floors above may ask of a recipe, whatever it cooks with."""

from typing import Protocol

from matinee.data import Dataset
from matinee.errors import SettingError
from matinee.models.factor_model import FactorModel


class Trainer(Protocol):
    """A recipe, for stars or for lists: a frozen dataclass of hyperparameters.

    Same seed, same data: the same model.
    """

    def fit(
        self,
        train: Dataset,
        *,
        validation: Dataset | None = None,
        test: Dataset | None = None,
        threads: int | None = None,
    ) -> FactorModel:
        """Train on `train`; the other parts are judged as it goes, where a recipe does that."""


def judged_parts(
    train: Dataset, patience: int, validation: Dataset | None, test: Dataset | None
) -> dict[str, Dataset]:
    """The parts to judge as training goes, by name.

    Raises
    ------
    SettingError
        If `patience` is set and there is no `validation`, or if parts have other ids.
    """
    if patience and validation is None:
        raise SettingError("patience needs a validation part to watch.")
    given = {"validation": validation, "test": test}
    judged = {name: part for name, part in given.items() if part is not None}
    for name, part in judged.items():
        if not part.ratings.has_codes_of(train.ratings):
            raise SettingError(
                f"The {name} part has other viewers or movies than the training part. Read all "
                "ratings together and split them."
            )
    return judged

"""What the floors above may ask of a recipe, whatever it cooks with."""

from typing import Protocol

from matinee.data import Dataset
from matinee.models.factor_model import FactorModel


class Trainer(Protocol):
    """A recipe for predicting stars: a frozen dataclass of hyperparameters.

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
        """Train on `train`; the other parts are judged as it goes, for the history."""


class RankingTrainer(Protocol):
    """A recipe for lists: the same for a ranking head."""

    def fit(self, train: Dataset, *, threads: int | None = None) -> FactorModel:
        """Train on `train`."""

"""Recipes that leave their state on disk as they go, so that one that was killed goes on."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matinee.data import Dataset
from matinee.errors import SettingError
from matinee.models.factor_model import FactorModel


@dataclass(frozen=True)
class Checkpointed:
    """A recipe whose training leaves its state in a folder as it goes.

    Killed and started again with the same folder, it goes on after the last state and ends with
    the same model (of those trained by gradients: on the same kind of device with the same number
    of threads).

    Parameters
    ----------
    recipe : Trainer
        One that can: `BayesianMF`, or any that is trained by gradients.
    folder : Path
        Each recipe has a folder of its own below it.
    every : int, optional
        Epochs or sweeps from one state to the next; by default as often as the recipe thinks.

    Examples
    --------
    >>> import tempfile
    >>> from matinee.data.generated import generate
    >>> from matinee.models import BayesianMF
    >>> data, _ = generate(viewers=60, movies=50, ratings=1500, seed=0)
    >>> recipe = BayesianMF(factors=4, iterations=4)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Checkpointed(recipe, Path(folder)).fit(data)
    FactorModel(BayesianMF, 60 viewers, 50 movies)
    """

    recipe: Any
    folder: Path
    every: int | None = None

    def __post_init__(self) -> None:
        if self.every is not None and self.every < 1:
            raise SettingError(f"every is at least 1, not {self.every}.")

    def fit(
        self,
        train: Dataset,
        *,
        validation: Dataset | None = None,
        test: Dataset | None = None,
        threads: int | None = None,
    ) -> FactorModel:
        """Train as the recipe does, going on from the folder's state."""
        model: FactorModel = self.recipe.fit(
            train, validation=validation, test=test, threads=threads, checkpoint=self
        )
        return model


def identity_of(noted: Mapping[str, Any], train: Dataset, judged: Mapping[str, Dataset]) -> str:
    """What a training is, by settings and data: a state of another one is refused."""
    parts = {"train": train, **judged}
    data = {name: part.ratings.fingerprint() for name, part in parts.items()}
    return json.dumps({**noted, "data": data}, sort_keys=True)

"""What the floors above may ask of a recipe, whatever it cooks with."""

from collections.abc import Callable, Mapping
from inspect import signature
from typing import Any, Protocol

import polars as pl

from matinee.data.dataset import Dataset
from matinee.errors import SettingError
from matinee.models.recommender import Recommender

Watch = Callable[[Mapping[str, Any]], None]
"""Sees each row of a history as it is made; what it raises ends the training."""


def supports_callback(estimator: Any) -> bool:
    """Whether `fit` of this recipe, or class of recipes, takes a `watch`."""
    return "watch" in signature(estimator.fit).parameters


def run_to_end(row: Mapping[str, Any]) -> None:
    """A watch for who wants a whole training or none, whatever the keyboard says."""


class Estimator(Protocol):
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
    ) -> Recommender:
        """Train on `train`; the other parts are judged as it goes, where a recipe does that."""


def check_eval_sets(
    train: Dataset, patience: int, validation: Dataset | None, test: Dataset | None
) -> dict[str, Dataset]:
    """The parts to judge as training goes, by name.

    Raises
    ------
    SettingError
        If there is nothing to learn from, if `patience` is set and there is no `validation`, or
        if parts have other ids.
    """
    if len(train) == 0:
        raise SettingError(f"{train.name}: no ratings to learn from.")
    if patience and not validation:
        raise SettingError("patience needs a validation part with ratings to watch.")
    given = {"validation": validation, "test": test}
    evaluated = {name: part for name, part in given.items() if part is not None}
    for name, part in evaluated.items():
        if not part.ratings.has_codes_of(train.ratings):
            raise SettingError(
                f"The {name} part has other users or movies than the training part. Read all "
                "ratings together and split them."
            )
    return evaluated


def kept_epoch(history: pl.DataFrame, patience: int) -> int:
    """Place in the history of the epoch whose weights were kept: the best one, with patience.

    Examples
    --------
    >>> kept_epoch(pl.DataFrame({"validation_rmse": [1.0, 0.8, 0.9]}), patience=1)
    1
    """
    if not patience:
        return history.height - 1
    if "validation_hit_rate" in history.columns:
        return int(history["validation_hit_rate"].arg_max() or 0)
    return int(history["validation_rmse"].arg_min() or 0)


def check_start(earlier: Recommender, factors: int, train: Dataset, most: int) -> None:
    """Refuse an earlier training with so many factors for one on `train` with `most` of them."""
    known = (
        (earlier.user_ids.values, train.ratings.user_ids.values),
        (earlier.items, train.ratings.item_ids.values),
    )
    if not all(theirs is ours or theirs.equals(ours) for theirs, ours in known):
        raise SettingError("start knows other users or movies than the training part.")
    if factors > most:
        raise SettingError("start has more factors than the recipe; it can only grow.")

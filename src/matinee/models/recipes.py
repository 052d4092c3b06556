"""Recipes by name, as a run notes them."""

from collections.abc import Mapping
from typing import Any

from matinee.errors import RunError
from matinee.models.als import ALS
from matinee.models.baselines import EASE, Popularity
from matinee.models.bias import BiasOnly
from matinee.models.implicit_als import ImplicitALS
from matinee.models.trainer import RankingTrainer, Trainer

RATING: dict[str, type[ALS] | type[BiasOnly]] = {"als": ALS, "bias": BiasOnly}
"""What `--model` may name."""
RANKING: dict[str, type[ImplicitALS] | type[EASE] | type[Popularity]] = {
    "ials": ImplicitALS,
    "ease": EASE,
    "popularity": Popularity,
}
"""What `--ranker` may name."""


def recipe_again(trainer: Mapping[str, Any]) -> Trainer | RankingTrainer:
    """The recipe that a head was trained by, from the name and hyperparameters it notes.

    Examples
    --------
    >>> recipe_again({"name": "EASE", "regularization": 200.0, "liked": None})
    EASE(regularization=200.0, liked=None)

    Raises
    ------
    RunError
        If there is no such recipe.
    """
    settings = dict(trainer)
    name = settings.pop("name", None)
    kinds = {kind.__name__: kind for kind in (*RATING.values(), *RANKING.values())}
    try:
        return kinds[str(name)](**settings)
    except (KeyError, TypeError):
        raise RunError(f"This version knows no recipe {name!r} with these settings.") from None

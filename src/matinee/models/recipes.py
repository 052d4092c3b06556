"""Recipes by name: as one types them, and as a run notes them."""

from collections.abc import Mapping
from dataclasses import asdict
from importlib import import_module
from typing import Any

from matinee.errors import RunError
from matinee.models.trainer import Trainer

RATING = {
    "als": "ALS",
    "bayes": "BayesianMF",
    "bias": "BiasOnly",
    "mf": "MatrixFactorization",
    "gmf": "GMF",
    "mlp": "MLP",
    "neumf": "NeuMF",
}
"""What `--model` may name."""
RANKING = {
    "ials": "ImplicitALS",
    "ease": "EASE",
    "popularity": "Popularity",
    "bpr": "BPR",
    "gmf": "GMF",
    "mlp": "MLP",
    "neumf": "NeuMF",
}
"""What `--ranker` may name."""
NEURAL = ("BPR", "GMF", "MLP", "MatrixFactorization", "NeuMF")
"""Those that need PyTorch."""


def recipe_class(name: str) -> Any:
    """The class of recipes with this name, imported only now: PyTorch is an extra.

    Examples
    --------
    >>> recipe_class("EASE")(regularization=200.0)
    EASE(regularization=200.0, liked=None)

    Raises
    ------
    KeyError
        If there is none.
    ExtraError
        If it needs PyTorch and that is not installed.
    """
    if name not in {*RATING.values(), *RANKING.values()}:
        raise KeyError(name)
    home = "matinee.neural" if name in NEURAL else "matinee.models"
    return getattr(import_module(home), name)


def note_of(recipe: Any) -> dict[str, Any]:
    """The name and hyperparameters of a recipe, as a head notes them; see `recipe_again`.

    Examples
    --------
    >>> note_of(recipe_class("EASE")())
    {'name': 'EASE', 'regularization': 300.0, 'liked': None}
    """
    return {"name": type(recipe).__name__, **asdict(recipe)}


def recipe_again(trainer: Mapping[str, Any]) -> Trainer:
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
    try:
        recipe: Trainer = recipe_class(str(name))(**settings)
    except (KeyError, TypeError):
        raise RunError(f"This version knows no recipe {name!r} with these settings.") from None
    return recipe

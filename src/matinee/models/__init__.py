"""Recipes and what they cook: trainers, trained models, saving and loading."""

from typing import TYPE_CHECKING

from matinee.lazy import lazy

if TYPE_CHECKING:
    from matinee.models.als import ALS
    from matinee.models.baselines import EASE, Popularity
    from matinee.models.bayes import BayesianMF
    from matinee.models.bias import BiasOnly
    from matinee.models.checkpointed import Checkpointed
    from matinee.models.factor_model import FactorModel
    from matinee.models.implicit_als import ImplicitALS
    from matinee.models.recommender import Recommender
    from matinee.models.runs import load
    from matinee.models.trainer import Trainer
    from matinee.models.viewer import Viewer

# imported when asked for: a run's files are hashed while numpy and numba are being imported
_HOMES = {
    "ALS": "matinee.models.als",
    "BayesianMF": "matinee.models.bayes",
    "BiasOnly": "matinee.models.bias",
    "Checkpointed": "matinee.models.checkpointed",
    "EASE": "matinee.models.baselines",
    "FactorModel": "matinee.models.factor_model",
    "ImplicitALS": "matinee.models.implicit_als",
    "Popularity": "matinee.models.baselines",
    "Recommender": "matinee.models.recommender",
    "Trainer": "matinee.models.trainer",
    "Viewer": "matinee.models.viewer",
    "load": "matinee.models.runs",
}

__all__ = [
    "ALS",
    "EASE",
    "BayesianMF",
    "BiasOnly",
    "Checkpointed",
    "FactorModel",
    "ImplicitALS",
    "Popularity",
    "Recommender",
    "Trainer",
    "Viewer",
    "load",
]

__getattr__, __dir__ = lazy(__name__, _HOMES)

"""Recipes and what they cook: trainers, trained models, saving and loading."""

from matinee.models.als import ALS
from matinee.models.baselines import EASE, Popularity
from matinee.models.bias import BiasOnly
from matinee.models.factor_model import FactorModel
from matinee.models.implicit_als import ImplicitALS
from matinee.models.recommender import Recommender
from matinee.models.runs import load
from matinee.models.trainer import Trainer
from matinee.models.viewer import Viewer

__all__ = [
    "ALS",
    "EASE",
    "BiasOnly",
    "FactorModel",
    "ImplicitALS",
    "Popularity",
    "Recommender",
    "Trainer",
    "Viewer",
    "load",
]

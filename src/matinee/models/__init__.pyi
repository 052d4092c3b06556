from .als import ALS
from .base import Trainer
from .baselines import EASE, BiasOnly, Popularity
from .bayesian import BayesianMF
from .implicit_als import ImplicitALS
from .queries import Viewer
from .recommender import FactorModel

__all__ = [
    "ALS",
    "EASE",
    "BayesianMF",
    "BiasOnly",
    "FactorModel",
    "ImplicitALS",
    "Popularity",
    "Trainer",
    "Viewer",
]

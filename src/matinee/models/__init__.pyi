from .als import ALS
from .base import Estimator
from .baselines import EASE, Bias, Popularity
from .bayesian import BayesianMF
from .implicit_als import ImplicitALS
from .neighbors import ItemKNN, UserKNN
from .next_item import NextItem
from .profiles import UserProfile
from .recommender import Recommender

__all__ = [
    "ALS",
    "EASE",
    "BayesianMF",
    "Bias",
    "Estimator",
    "ImplicitALS",
    "ItemKNN",
    "NextItem",
    "Popularity",
    "Recommender",
    "UserKNN",
    "UserProfile",
]

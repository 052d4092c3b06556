from .als import ALS
from .base import Estimator
from .baselines import EASE, Bias, Popularity
from .bayesian import BayesianMF
from .implicit_als import ImplicitALS
from .neighbors import ItemKNN, UserKNN
from .queries import UserProfile
from .recommender import Recommender

__all__ = [
    "ALS",
    "EASE",
    "BayesianMF",
    "Bias",
    "Estimator",
    "ImplicitALS",
    "ItemKNN",
    "Popularity",
    "Recommender",
    "UserKNN",
    "UserProfile",
]

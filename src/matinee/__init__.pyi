from .data import Dataset, read
from .errors import MatineeError
from .evaluation import evaluate
from .experiments import compare, cross_validate, fit
from .models import (
    ALS,
    EASE,
    BayesianMF,
    Bias,
    ImplicitALS,
    ItemKNN,
    NextItem,
    Popularity,
    Recommender,
    UserKNN,
    UserProfile,
)
from .models.loading import load
from .models.neural import BPR, GMF, MLP, MatrixFactorization, NeuMF
from .storage.checkpoint import Checkpoint
from .tuning import tune

__all__ = [
    "ALS",
    "BPR",
    "EASE",
    "GMF",
    "MLP",
    "BayesianMF",
    "Bias",
    "Checkpoint",
    "Dataset",
    "ImplicitALS",
    "ItemKNN",
    "MatineeError",
    "MatrixFactorization",
    "NeuMF",
    "NextItem",
    "Popularity",
    "Recommender",
    "UserKNN",
    "UserProfile",
    "compare",
    "cross_validate",
    "evaluate",
    "fit",
    "load",
    "read",
    "tune",
]

__version__: str

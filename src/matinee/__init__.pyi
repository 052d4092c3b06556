from .data import Dataset, read
from .errors import MatineeError
from .evaluation import evaluate
from .experiments import compare, cross_validate
from .models import ALS, EASE, BayesianMF, Bias, ImplicitALS, Popularity, Recommender, UserProfile
from .models.neural import BPR, GMF, MLP, MatrixFactorization, NeuMF
from .storage.runs import load
from .tuning import tune

__all__ = [
    "ALS",
    "BPR",
    "EASE",
    "GMF",
    "MLP",
    "BayesianMF",
    "Bias",
    "Dataset",
    "ImplicitALS",
    "MatineeError",
    "MatrixFactorization",
    "NeuMF",
    "Popularity",
    "Recommender",
    "UserProfile",
    "compare",
    "cross_validate",
    "evaluate",
    "load",
    "read",
    "tune",
]

__version__: str

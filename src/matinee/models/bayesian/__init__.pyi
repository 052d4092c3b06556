from .estimator import BayesianMF
from .head import BayesHead
from .sampler import Chain

__all__ = ["BayesHead", "BayesianMF", "Chain"]

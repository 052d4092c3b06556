from .estimator import BayesianMF
from .head import BayesianHead
from .sampler import GibbsSampler

__all__ = ["BayesianHead", "BayesianMF", "GibbsSampler"]

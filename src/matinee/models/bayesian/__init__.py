"""Bayesian matrix factorization: the posterior of every parameter rather than one estimate."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

"""How good a recommender is: metrics, protocols, and evaluation with 95 % intervals."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

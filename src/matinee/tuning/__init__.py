"""Hyperparameter search within the training set; the extra ``matinee[tuning]``."""

import lazy_loader

from matinee.errors import require_extra

require_extra("tuning", "optuna")
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

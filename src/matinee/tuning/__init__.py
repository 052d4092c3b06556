"""Hyperparameter search on validation sets; the extra ``matinee[tuning]``."""

from typing import Any

import lazy_loader

from matinee.errors import require_extra

_getattr, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> Any:
    """A public name; only `tune` needs Optuna: results can be drawn without it."""
    if name == "tune":
        require_extra("tuning", "optuna")
    return _getattr(name)

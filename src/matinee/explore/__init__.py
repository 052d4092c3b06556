"""Looking at data and at what was learned from them."""

from matinee.explore.curves import save_curves, training_curves
from matinee.explore.description import Description, describe
from matinee.explore.viewers import favourites, typical_viewer

__all__ = [
    "Description",
    "describe",
    "favourites",
    "save_curves",
    "training_curves",
    "typical_viewer",
]

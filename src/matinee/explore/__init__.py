"""Looking at data and at what was learned from them."""

from matinee.explore.description import Description, describe
from matinee.explore.viewers import favourites, typical_viewer

__all__ = ["Description", "describe", "favourites", "typical_viewer"]

from .catalog import Catalog
from .dataset import Dataset
from .id_map import IdMap
from .ratings import Ratings, RatingScale
from .reading import read
from .synthetic import generate, write_generated

__all__ = [
    "Catalog",
    "Dataset",
    "IdMap",
    "RatingScale",
    "Ratings",
    "generate",
    "read",
    "write_generated",
]

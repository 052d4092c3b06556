from .catalog import Catalog
from .dataset import Dataset
from .id_map import Ids
from .ratings import Ratings, Scale
from .reading import read
from .synthetic import generate, write_generated

__all__ = ["Catalog", "Dataset", "Ids", "Ratings", "Scale", "generate", "read", "write_generated"]

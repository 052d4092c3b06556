"""From files to checked columns: ratings, movies, editions, splits, generated data."""

from matinee.data.catalog import Catalog
from matinee.data.dataset import Dataset
from matinee.data.ids import Ids
from matinee.data.ratings import Ratings, Scale
from matinee.data.read import read

__all__ = ["Catalog", "Dataset", "Ids", "Ratings", "Scale", "read"]

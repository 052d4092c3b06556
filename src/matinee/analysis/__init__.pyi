from .axes import Dimensions, find_dimensions
from .clusters import Clusters, find_clusters
from .dataset import Description, describe
from .embeddings import (
    Space,
    familiar_movies,
    movie_space,
    neighbours,
    vector_lengths,
    viewer_space,
)
from .projection import Layout, lay_out
from .users import favourites, reasons, taste, typical_viewer

__all__ = [
    "Clusters",
    "Description",
    "Dimensions",
    "Layout",
    "Space",
    "describe",
    "familiar_movies",
    "favourites",
    "find_clusters",
    "find_dimensions",
    "lay_out",
    "movie_space",
    "neighbours",
    "reasons",
    "taste",
    "typical_viewer",
    "vector_lengths",
    "viewer_space",
]

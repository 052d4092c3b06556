from .axes import EmbeddingAxes, embedding_axes
from .clusters import Clusters, find_clusters
from .dataset import DatasetSummary, describe
from .embeddings import (
    EmbeddingSet,
    embedding_norms,
    familiar_items,
    item_embeddings,
    neighbours,
    user_embeddings,
)
from .projection import Projection, project
from .users import explain_recommendations, genre_profile, top_rated, typical_user

__all__ = [
    "Clusters",
    "DatasetSummary",
    "EmbeddingAxes",
    "EmbeddingSet",
    "Projection",
    "describe",
    "embedding_axes",
    "embedding_norms",
    "explain_recommendations",
    "familiar_items",
    "find_clusters",
    "genre_profile",
    "item_embeddings",
    "neighbours",
    "project",
    "top_rated",
    "typical_user",
    "user_embeddings",
]

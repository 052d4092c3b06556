from .embeddings import export

__all__ = ["export"]

from .bpr import BPR
from .matrix_factorization import MatrixFactorization
from .ncf import GMF, MLP, NeuMF

__all__ = ["BPR", "GMF", "MLP", "MatrixFactorization", "NeuMF"]

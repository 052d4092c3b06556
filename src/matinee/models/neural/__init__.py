"""Models trained by gradient descent in PyTorch; the extra ``matinee[torch]``."""

from matinee.errors import ExtraError

try:
    import torch as _torch  # noqa: F401
except ImportError as problem:
    raise ExtraError(
        f"matinee.models.neural needs PyTorch ({problem}). Install it: pip install 'matinee[torch]'"
    ) from None

from matinee.models.neural.bpr import BPR
from matinee.models.neural.matrix_factorization import MatrixFactorization
from matinee.models.neural.ncf import GMF, MLP, NeuMF

__all__ = ["BPR", "GMF", "MLP", "MatrixFactorization", "NeuMF"]

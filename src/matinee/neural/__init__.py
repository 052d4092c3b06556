"""Models trained by gradient descent in PyTorch; the extra ``matinee[torch]``."""

from matinee.errors import ExtraError

try:
    import torch as _torch  # noqa: F401
except ImportError as problem:
    raise ExtraError(
        f"matinee.neural needs PyTorch ({problem}). Install it: pip install 'matinee[torch]'"
    ) from None

from matinee.models.checkpointed import Checkpointed
from matinee.neural.bpr import BPR
from matinee.neural.collaborative import GMF, MLP, NeuMF
from matinee.neural.factorization import MatrixFactorization

__all__ = ["BPR", "GMF", "MLP", "Checkpointed", "MatrixFactorization", "NeuMF"]

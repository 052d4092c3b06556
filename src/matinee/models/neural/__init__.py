"""Models trained by gradient descent in PyTorch; the extra ``matinee[torch]``."""

import lazy_loader

from matinee.errors import require_extra

require_extra("torch", "torch")
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

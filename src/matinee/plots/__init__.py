"""Charts of findings; the extra ``matinee[charts]``."""

import lazy_loader

from matinee.errors import require_extra

require_extra("charts", "altair")
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

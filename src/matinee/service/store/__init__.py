"""What users of a service tell it, kept in SQLite or PostgreSQL; the extra ``matinee[service]``."""

from typing import Any

import lazy_loader

from matinee.errors import require_extra

_getattr, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> Any:
    """A public name; only `Store` needs a database."""
    if name == "Store":
        require_extra("service", "sqlalchemy", "alembic")
    return _getattr(name)

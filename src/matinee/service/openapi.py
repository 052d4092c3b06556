"""The OpenAPI document: that of the routes, with the ratings that the served model knows."""

from typing import Any

import numpy as np
from fastapi import FastAPI
from starlette.routing import compile_path

from matinee.data.ratings import MAX_LEVELS, RatingScale
from matinee.service.state import ServiceState

RATED = ("Rating", "RatingRequest")
"""The schemas whose rating is on the scale of the model."""


def install(app: FastAPI, state: ServiceState) -> None:
    """Let the document of an application tell of the model."""
    of_routes = app.openapi

    def document() -> dict[str, Any]:
        whole = of_routes()
        scale = None if state.served is None else state.served.model.index.scale
        for name in RATED:
            rating = whole["components"]["schemas"][name]["properties"]["rating"]
            rating.update({"minimum": 0} if scale is None else _limits(scale))
        return whole

    app.openapi = document  # type: ignore[method-assign]


def _limits(scale: RatingScale) -> dict[str, Any]:
    """A scale in JSON Schema."""
    levels = round((scale.high - scale.low) / scale.step) + 1 if scale.step else 0
    if not 0 < levels <= MAX_LEVELS:
        return {"minimum": scale.low, "maximum": scale.high}
    return {"enum": np.round(scale.low + scale.step * np.arange(levels), 6).tolist()}


def methods_of(app: FastAPI, path: str) -> list[str]:
    """What may be done with a path, for the header `Allow`."""
    for template, operations in app.openapi()["paths"].items():
        if compile_path(template)[0].match(path):
            return sorted(method.upper() for method in operations)
    return []

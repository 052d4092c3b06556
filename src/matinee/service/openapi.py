"""The OpenAPI document: that of the routes, with the ratings and an item of the served model."""

from copy import deepcopy
from typing import Any

import numpy as np
from fastapi import FastAPI
from starlette.routing import compile_path

from matinee.data.ratings import MAX_LEVELS, RatingScale
from matinee.service.schemas import ProblemAnswer
from matinee.service.served import Served
from matinee.service.state import ServiceState

REF = "#/components/schemas/{model}"
PROBLEM = REF.format(model=ProblemAnswer.__name__)
RATED = ("Rating", "RatingRequest")
"""The schemas whose rating is on the scale of the model."""


def install(app: FastAPI, state: ServiceState) -> None:
    """Let the document of an application tell of the model."""
    of_routes = app.openapi

    def document() -> dict[str, Any]:
        whole = deepcopy(of_routes())  # which are the same whatever is served
        schemas = whole["components"]["schemas"]
        problem = ProblemAnswer.model_json_schema(ref_template=REF)
        schemas |= problem.pop("$defs") | {ProblemAnswer.__name__: problem}
        if state.served is not None:
            _tell_of(state.served, whole)
        return whole

    app.openapi = document  # type: ignore[method-assign]


def _tell_of(served: Served, whole: dict[str, Any]) -> None:
    """Ratings on the scale of a model, its heads, and an item that it has as the example."""
    by = {"enum": ["default", *served.model.orders]}
    scale, item_id = served.model.index.scale, served.item_ids[int(served.best_known(None, 1)[0])]
    schemas = whole["components"]["schemas"]
    for name in RATED:
        schemas[name]["properties"]["rating"] |= _limits(scale)
    for schema in schemas.values():
        if "item_id" in schema["properties"]:
            schema["properties"]["item_id"]["examples"] = [item_id]
        if "by" in schema["properties"]:
            schema["properties"]["by"] |= by
    examples = {"item_id": str(item_id), "user_id": "42"}
    for operations in whole["paths"].values():
        for operation in operations.values():
            for parameter in operation.get("parameters", ()):
                if parameter["in"] == "path":
                    parameter["schema"]["examples"] = [examples[parameter["name"]]]
                elif parameter["name"] == "by":
                    parameter["schema"] |= by


def _limits(scale: RatingScale | None) -> dict[str, Any]:
    """A scale in JSON Schema, or that of weights."""
    if scale is None:
        limits = np.finfo(np.float32)
        return {"minimum": float(limits.tiny), "maximum": float(limits.max), "examples": [1]}
    levels = round((scale.high - scale.low) / scale.step) + 1 if scale.step else 0
    if not 0 < levels <= MAX_LEVELS:
        return {"minimum": scale.low, "maximum": scale.high, "examples": [scale.high]}
    values = np.round(scale.low + scale.step * np.arange(levels), 6).tolist()
    return {"enum": values, "examples": values[-1:]}


def methods_of(app: FastAPI, path: str) -> list[str]:
    """What may be done with a path, for the header `Allow`."""
    for template, operations in app.openapi()["paths"].items():
        if compile_path(template)[0].match(path):
            return sorted(method.upper() for method in operations)
    return []

"""About the service: the model, the map, health and measures."""

from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST

from matinee.service.api.common import ServedNow, State
from matinee.service.problems import ProblemError
from matinee.service.schemas import MapAnswer, ModelAnswer

router = APIRouter(tags=["about"])
health = APIRouter(tags=["health"])


@router.get("/model", response_model=ModelAnswer, summary="The served model")
def model(served: ServedNow) -> dict[str, Any]:
    return served.about


@router.get("/map", response_model=MapAnswer, summary="Where items are")
def map_of_items(served: ServedNow) -> dict[str, Any]:
    """Positions from 0 to 1 of the best known items; alike ones are near each other."""
    return {"items": served.points}


@health.get("/health/live", summary="Whether the process answers")
def live() -> dict[str, str]:
    return {"status": "live"}


@health.get("/health/ready", summary="Whether a model is loaded and warm, and the store there")
def ready(state: State) -> dict[str, str]:
    if state.served is None:
        raise ProblemError(503, "The model is being loaded.", {"Retry-After": "1"})
    state.store.check()
    return {"status": "ready", "run": state.served.run.name}


@health.get("/metrics", response_class=PlainTextResponse, summary="Measures, for Prometheus")
def metrics(state: State) -> Response:
    return Response(state.measures.exposition(), media_type=CONTENT_TYPE_LATEST)

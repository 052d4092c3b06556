"""What routes have in common: the run that is served now, and questions in the words of models."""

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from fastapi import Depends, Path, Response
from pydantic import BeforeValidator
from pydantic_core import to_json

from matinee._types import Bools
from matinee.data.conditions import parse_conditions
from matinee.errors import SettingError
from matinee.models.topk import allowed_items
from matinee.service.paths import decoded
from matinee.service.people import Person, person
from matinee.service.problems import ProblemError
from matinee.service.recommending import ListQuestion
from matinee.service.schemas import MAX_ID, TEXT, Filters, ListRequest
from matinee.service.served import Served
from matinee.service.state import ServiceState, state_of
from matinee.service.store.feedback import UserKey

PathId = Annotated[
    str, Path(min_length=1, max_length=MAX_ID, pattern=TEXT), BeforeValidator(decoded)
]
State = Annotated[ServiceState, Depends(state_of)]


async def served_now(state: State) -> Served:
    """The run that is served; 503 until it is loaded."""
    return served_by(state)


def served_by(state: ServiceState) -> Served:
    """The same, and no dependency."""
    if state.served is None:
        raise ProblemError(503, "The model is being loaded.", {"Retry-After": "1"})
    return state.served


ServedNow = Annotated[Served, Depends(served_now)]


def answered(value: dict[str, Any]) -> Response:
    """An answer as JSON. Left to FastAPI, it would wait for another thread and the event loop."""
    return Response(to_json(value), media_type="application/json")


def allowed_by(served: Served, filters: Filters, conditions: Sequence[str] = ()) -> Bools | None:
    """Which items pass filters and conditions as they are written, (items,); None without any.
    404 for what no item has.
    """
    index = served.model.index
    where: dict[str, Any] = dict(filters.where)
    if filters.genres:
        where["genres"] = list(filters.genres)
    if filters.year_from is not None or filters.year_to is not None:
        where["year"] = (filters.year_from, filters.year_to)
    if not (where or conditions):
        return None
    try:
        where |= parse_conditions(index.catalog.attributes, conditions, "where")
        return allowed_items(index, None, None, where, 0)
    except SettingError as problem:
        raise ProblemError(404, str(problem)) from None


def question_of(served: Served, request: ListRequest) -> ListQuestion:
    """A request with items by code; UnknownIdError for one that there is not."""
    allowed = allowed_by(served, request.filters)
    if allowed is None:
        allowed = served.all_items
    if request.include is not None:
        included = np.zeros_like(allowed)
        included[[served.code(item) for item in request.include]] = True
        allowed = allowed & included
    if request.exclude:
        allowed = allowed.copy()
        allowed[[served.code(item) for item in request.exclude]] = False
    return ListQuestion(
        allowed=allowed,
        n=request.n,
        offset=request.offset,
        by=request.by,
        discover=request.discover,
        seen=request.seen,
        reasons=request.reasons,
    )


def person_of(state: ServiceState, served: Served, user_id: Any) -> Person:
    """A user by id, from training and from the store."""
    text = str(user_id)
    return person(served, text, state.store.all_of(UserKey(state.settings.tenant, text)))

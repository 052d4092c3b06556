"""What users tell: ratings and marks, one by one and as files. A write is answered when it is
durable.
"""

from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Body, Header, Query, Response

from matinee.errors import SettingError, cut
from matinee.service.api.common import PathId, ServedNow, State
from matinee.service.import_files import read_import
from matinee.service.import_formats import write_rows
from matinee.service.matching import matched
from matinee.service.problems import ProblemError
from matinee.service.schemas import (
    MAX_ID,
    TEXT,
    FeedbackAnswer,
    FeedbackPage,
    FeedbackRequest,
    ImportedAnswer,
)
from matinee.service.served import Served
from matinee.service.state import ServiceState
from matinee.service.store.feedback import Feedback, UserKey

router = APIRouter(tags=["feedback"])
MAX_PAGE = 500
MAX_SKIPPED = 1000  # rows that an answer tells of
Key = Annotated[
    str | None, Header(alias="Idempotency-Key", min_length=1, max_length=MAX_ID, pattern=TEXT)
]
Cursor = Annotated[str | None, Query(max_length=2048)]
Limit = Annotated[int, Query(ge=1, le=MAX_PAGE)]


def answer_of(served: Served | None, told: Feedback) -> dict[str, Any]:
    """Feedback as answers have it, with the title if the model has the item."""
    code = None if served is None else served.code_or_none(told.item_id)
    item: dict[str, Any] = {"item_id": told.item_id, "title": None, "year": None, "genres": []}
    if served is not None and code is not None:
        item = served.describe(code)
    return {
        **{name: item[name] for name in ("item_id", "title", "year", "genres")},
        "rating": told.rating,
        "kind": told.kind,
        "updated_at": told.updated_at,
    }


def write(
    state: ServiceState,
    served: Served,
    user: str,
    item_id: str,
    told: FeedbackRequest,
    key: str | None,
) -> dict[str, Any]:
    """Keep one rating or mark; 422 for one that makes no sense."""
    code = served.code(item_id)
    index = served.model.index
    if told.rating is not None and not index.may_be(np.array([told.rating]))[0]:
        raise ProblemError(422, f"The rating must be {index.limits}.")
    kept = state.store.put(
        UserKey(state.settings.tenant, user),
        str(served.item_ids[code]),
        rating=told.rating,
        kind=told.kind,
        key=key,
    )
    state.measures.feedback.labels(told.kind).inc()
    return answer_of(served, kept)


def page_of(state: ServiceState, user: str, cursor: str | None, limit: int) -> dict[str, Any]:
    """Some of a user's feedback, the newest first, and the cursor of the rest."""
    key = UserKey(state.settings.tenant, user)
    try:
        feedback, following = state.store.list(key, cursor=cursor, limit=limit)
    except SettingError as problem:  # nobody else's, and none that was invented
        raise ProblemError(404, str(problem)) from None
    return {
        "feedback": [answer_of(state.served, told) for told in feedback],
        "next_cursor": following,
    }


@router.put(
    "/users/{user_id}/feedback/{item_id}", response_model=FeedbackAnswer, summary="Rate or mark"
)
def put(
    state: State,
    served: ServedNow,
    user_id: PathId,
    item_id: PathId,
    told: FeedbackRequest,
    key: Key = None,
) -> dict[str, Any]:
    """The rating or mark of an item, in place of an earlier one. The same `Idempotency-Key` with
    the same request does it once.
    """
    return write(state, served, user_id, item_id, told, key)


@router.delete("/users/{user_id}/feedback/{item_id}", status_code=204, summary="Take back")
def delete(
    state: State, served: ServedNow, user_id: PathId, item_id: PathId, key: Key = None
) -> None:
    remove(state, served, user_id, item_id, key)


def remove(state: ServiceState, served: Served, user: str, item_id: str, key: str | None) -> None:
    """Take back what was told of an item; 404 if nothing was."""
    code = served.code_or_none(item_id)
    stored = item_id if code is None else str(served.item_ids[code])
    if not state.store.delete(UserKey(state.settings.tenant, user), stored, key=key):
        raise ProblemError(404, "Nothing was told of this item.")


@router.get(
    "/users/{user_id}/feedback", response_model=FeedbackPage, summary="What a user has told"
)
def listed(
    state: State, user_id: PathId, cursor: Cursor = None, limit: Limit = 100
) -> dict[str, Any]:
    """The newest first; `next_cursor` leads on, whatever is written meanwhile."""
    return page_of(state, user_id, cursor, limit)


@router.delete("/users/{user_id}", status_code=204, summary="Forget a user")
def forget(state: State, user_id: PathId) -> Response:
    """Remove all that the user has told; what training knows of them is in the run."""
    state.store.forget(UserKey(state.settings.tenant, user_id))
    return Response(status_code=204)


def exported(state: ServiceState, user: str) -> Response:
    """All that a user has told, as a file."""
    rows = state.store.all_of(UserKey(state.settings.tenant, user))
    told = ((row, answer_of(state.served, row)["title"]) for row in rows)
    content = write_rows(told).encode("utf-8-sig")  # by the mark spreadsheets know UTF-8
    name = {"Content-Disposition": 'attachment; filename="ratings.csv"'}
    return Response(content, media_type="text/csv; charset=utf-8", headers=name)


def imported(
    state: ServiceState, served: Served, user: str, body: bytes, unrated: Literal["seen", "later"]
) -> dict[str, Any]:
    """Keep what a file says, all at once; rows that say nothing are told."""
    rows, skipped = [], []
    for name, file in read_import(body, unrated=unrated).items():
        of_file, left_out = matched(served, file)
        rows += of_file
        skipped += [
            {"file": name, "row": skip.row, "reason": cut(skip.reason, 200)} for skip in left_out
        ]
    n_new = state.store.put_many(UserKey(state.settings.tenant, user), rows)
    n_items = len({row.item_id for row in rows})
    return {"imported": n_items, "new": n_new, "skipped": skipped[:MAX_SKIPPED]}


CSV_ANSWER: dict[str, Any] = {
    "response_class": Response,
    "responses": {200: {"content": {"text/csv": {"schema": {"type": "string"}}}}},
}
FileBody = Annotated[
    bytes,
    Body(
        media_type="text/csv",
        min_length=1,
        description="With the columns item_id, rating; Name, Letterboxd URI; or Const, Your Rating",
        json_schema_extra={"contentMediaType": "text/csv"},
    ),
]
ALSO_ZIP = {
    "requestBody": {
        "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}}
    }
}
Unrated = Annotated[
    Literal["seen", "later"], Query(description="What a row of Letterboxd without a rating means")
]


@router.get("/users/{user_id}/feedback.csv", **CSV_ANSWER, summary="Export")
def export(state: State, user_id: PathId) -> Response:
    """As CSV, which can be imported again."""
    return exported(state, user_id)


@router.post(
    "/users/{user_id}/import",
    response_model=ImportedAnswer,
    summary="Import",
    openapi_extra=ALSO_ZIP,
)
def import_file(
    state: State, served: ServedNow, user_id: PathId, body: FileBody, unrated: Unrated = "seen"
) -> dict[str, Any]:
    """A CSV file of Letterboxd, of IMDb or of our own, or the whole ZIP archive of Letterboxd."""
    return imported(state, served, user_id, body, unrated)

"""The same for the page's own user, whom a signed cookie names."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from matinee.service.api import feedback
from matinee.service.api.common import PathId, ServedNow, State, person_of, question_of
from matinee.service.api.recommendations import AskedList
from matinee.service.identity import COOKIE, PageUser, PageWriter
from matinee.service.recommending import recommend
from matinee.service.schemas import (
    FeedbackAnswer,
    FeedbackPage,
    FeedbackRequest,
    ImportedAnswer,
    Items,
    RecommendedItems,
)
from matinee.service.store.feedback import UserKey

router = APIRouter(prefix="/me", tags=["page"])


@router.get("/first", response_model=Items, summary="What to rate first")
def first(
    state: State, served: ServedNow, user: PageUser, n: Annotated[int, Query(ge=1, le=100)] = 10
) -> dict[str, Any]:
    """Well-known items whose ratings would tell most, given those that there are."""
    who = person_of(state, served, user)
    known = {*who.profile.items.tolist(), *who.hidden}
    codes = served.first.choose(sorted(known), n)
    return {"items": [served.describe(code) for code in codes]}


@router.get("/recommendations", response_model=RecommendedItems, summary="For the page's user")
def recommendations(
    state: State, served: ServedNow, user: PageUser, asked: AskedList
) -> dict[str, Any]:
    """Also for a user of whom nothing is known yet."""
    who = person_of(state, served, user)
    with state.measures.list_made():
        return {"items": recommend(served, who, question_of(served, asked.request()))}


@router.put("/feedback/{item_id}", response_model=FeedbackAnswer, summary="Rate or mark")
def put(
    state: State,
    served: ServedNow,
    user: PageWriter,
    item_id: PathId,
    told: FeedbackRequest,
    key: feedback.Key = None,
) -> dict[str, Any]:
    return feedback.write(state, served, user, item_id, told, key)


@router.delete("/feedback/{item_id}", status_code=204, summary="Take back")
def delete(
    state: State, served: ServedNow, user: PageWriter, item_id: PathId, key: feedback.Key = None
) -> None:
    feedback.remove(state, served, user, item_id, key)


@router.get("/feedback", response_model=FeedbackPage, summary="What the page's user has told")
def listed(
    state: State, user: PageUser, cursor: feedback.Cursor = None, limit: feedback.Limit = 100
) -> dict[str, Any]:
    return feedback.page_of(state, user, cursor, limit)


@router.delete("", status_code=204, summary="Forget me")
def forget(state: State, user: PageWriter, response: Response) -> None:
    """Remove all that was told, and the cookie."""
    state.store.forget(UserKey(state.settings.tenant, user))
    response.delete_cookie(COOKIE, httponly=True, samesite="lax")


@router.get("/feedback.csv", **feedback.CSV_ANSWER, summary="Export")
def export(state: State, user: PageUser) -> Response:
    return feedback.exported(state, user)


@router.post(
    "/import", response_model=ImportedAnswer, summary="Import", openapi_extra=feedback.ALSO_ZIP
)
def import_file(
    state: State,
    served: ServedNow,
    user: PageWriter,
    body: feedback.FileBody,
    unrated: feedback.Unrated = "seen",
) -> dict[str, Any]:
    """A CSV file of Letterboxd, of IMDb or of our own, or the whole ZIP archive of Letterboxd."""
    return feedback.imported(state, served, user, body, unrated)

"""Recommendations: for posted ratings, for a user, for many users, for a group."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request

from matinee.models.queries import UserProfile
from matinee.service.api.common import PathId, ServedNow, State, person_of, question_of
from matinee.service.identity import check_token
from matinee.service.people import posted, unknown
from matinee.service.recommending import for_group, recommend
from matinee.service.schemas import (
    MAX_N,
    MAX_OFFSET,
    MAX_REASONS,
    BatchRequest,
    By,
    Filters,
    GroupItems,
    GroupRequest,
    ListRequest,
    Name,
    RatingsRequest,
    RecommendedItems,
    UserLists,
)

router = APIRouter(tags=["recommendations"])
of_posted = APIRouter(tags=["recommendations"])
"""Routes that tell nothing of anybody but who asks."""


@of_posted.post(
    "/recommendations", response_model=RecommendedItems, summary="For a handful of ratings"
)
def for_ratings(state: State, served: ServedNow, request: RatingsRequest) -> dict[str, Any]:
    """Nothing is stored. Without ratings, what an unknown user would be recommended."""
    profile = posted(served, request.ratings, request.items)
    with state.measures.list_made():
        return {"items": recommend(served, profile, question_of(served, request))}


def list_request(
    n: Annotated[int, Query(ge=1, le=MAX_N)] = 20,
    offset: Annotated[int, Query(ge=0, le=MAX_OFFSET)] = 0,
    by: By = "default",
    discover: Annotated[float, Query(ge=0, le=1)] = 0.0,
    genre: Annotated[list[Name], Query(max_length=20)] = [],  # noqa: B006
    year_from: int | None = None,
    year_to: int | None = None,
    seen: bool = False,
    reasons: Annotated[int, Query(ge=0, le=MAX_REASONS)] = 3,
) -> ListRequest:
    """The list that a query string asks for."""
    return ListRequest(
        n=n,
        offset=offset,
        by=by,
        discover=discover,
        filters=Filters(genres=genre, year_from=year_from, year_to=year_to),
        seen=seen,
        reasons=reasons,
    )


AskedList = Annotated[ListRequest, Depends(list_request)]


@router.get(
    "/users/{user_id}/recommendations", response_model=RecommendedItems, summary="For a user"
)
def for_user(state: State, served: ServedNow, user_id: PathId, asked: AskedList) -> dict[str, Any]:
    """A user of the training set, of the store, or of both: what they have told since counts."""
    who = person_of(state, served, user_id)
    if not who.known:
        raise unknown(user_id)
    with state.measures.list_made():
        return {"items": recommend(served, who.profile, question_of(served, asked, who.hidden))}


@router.post("/recommendations/batch", response_model=UserLists, summary="For many users")
def for_users(state: State, served: ServedNow, request: BatchRequest) -> dict[str, Any]:
    """A list for each user, in their order."""
    made = []
    for user_id in request.users:
        who = person_of(state, served, user_id)
        if not who.known:
            raise unknown(str(user_id))
        question = question_of(served, request, who.hidden)
        made.append({"user_id": user_id, "items": recommend(served, who.profile, question)})
    return {"recommendations": made}


@of_posted.post("/recommendations/group", response_model=GroupItems, summary="For a group")
def for_several(
    state: State, served: ServedNow, request: GroupRequest, asked: Request
) -> dict[str, Any]:
    """By the average of everybody's scores, or by the lowest: nobody suffers. Members who are
    named by their id need the token.
    """
    if any(member.user_id is not None for member in request.members):
        check_token(asked, state)
    members: list[UserProfile] = []
    hidden: set[int] = set()
    for member in request.members:
        if member.user_id is None:
            members.append(posted(served, member.ratings))
            continue
        who = person_of(state, served, member.user_id)
        if not who.known:
            raise unknown(str(member.user_id))
        members.append(who.profile)
        hidden |= who.hidden
    question = question_of(served, request, frozenset(hidden))
    least_misery = request.strategy == "least_misery"
    return {"items": for_group(served, members, question, least_misery)}

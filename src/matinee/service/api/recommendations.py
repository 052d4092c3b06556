"""Recommendations: for posted ratings, for a user, for many users, for a group."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from matinee.service.api.common import (
    PathId,
    ServedNow,
    State,
    answered,
    person_of,
    question_of,
    served_by,
)
from matinee.service.identity import check_token
from matinee.service.people import posted, unknown
from matinee.service.recommending import for_group, recommend
from matinee.service.schemas import (
    BatchRequest,
    GroupItems,
    GroupRequest,
    ListQuery,
    RatingsRequest,
    RecommendedItems,
    UserLists,
)
from matinee.service.state import state_in

router = APIRouter(tags=["recommendations"])
of_posted = APIRouter(tags=["recommendations"])
"""Routes that tell nothing of anybody but who asks."""


@of_posted.post(
    "/recommendations", response_model=RecommendedItems, summary="For a handful of ratings"
)
def for_ratings(request: Request, asked: RatingsRequest) -> Response:
    """Nothing is stored. Without ratings, what an unknown user would be recommended."""
    state = state_in(request)
    served = served_by(state)
    who = posted(served, asked.ratings, asked.items)
    with state.measures.list_made():
        listed = recommend(served, who, question_of(served, asked))
    return answered({"items": listed})


AskedList = Annotated[ListQuery, Query()]


@router.get(
    "/users/{user_id}/recommendations", response_model=RecommendedItems, summary="For a user"
)
def for_user(request: Request, user_id: PathId, asked: AskedList) -> Response:
    """A user of the training set, of the store, or of both: what they have told since counts."""
    state = state_in(request)
    served = served_by(state)
    who = person_of(state, served, user_id)
    if not who.known:
        raise unknown(user_id)
    with state.measures.list_made():
        listed = recommend(served, who, question_of(served, asked.request()))
    return answered({"items": listed})


@router.post("/recommendations/batch", response_model=UserLists, summary="For many users")
def for_users(state: State, served: ServedNow, request: BatchRequest) -> dict[str, Any]:
    """A list for each user, in their order."""
    made, question = [], question_of(served, request)
    for user_id in request.users:
        who = person_of(state, served, user_id)
        if not who.known:
            raise unknown(str(user_id))
        made.append({"user_id": user_id, "items": recommend(served, who, question)})
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
    members = []
    for member in request.members:
        if member.user_id is None:
            members.append(posted(served, member.ratings))
            continue
        who = person_of(state, served, member.user_id)
        if not who.known:
            raise unknown(str(member.user_id))
        members.append(who)
    question = question_of(served, request)
    least_misery = request.strategy == "least_misery"
    return {"items": for_group(served, members, question, least_misery)}

"""Items: search as you type, one item, similar items."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response

from matinee.service.api.common import PathId, ServedNow, allowed_by, answered, served_by
from matinee.service.recommending import similar
from matinee.service.schemas import Condition, Filters, Item, Items, Name, SimilarItems
from matinee.service.state import state_in

router = APIRouter(tags=["items"])


@router.get("/items", response_model=Items, summary="Search as you type")
def search(
    request: Request,
    q: Annotated[str, Query(max_length=200, examples=["shaw"])] = "",
    genre: Annotated[list[Name], Query(max_length=20)] = [],  # noqa: B006
    year_from: int | None = None,
    year_to: int | None = None,
    where: Annotated[
        list[Condition],
        Query(max_length=20, description="Any attribute: `name=value,value` or `name=low:high`"),
    ] = [],  # noqa: B006
    limit: Annotated[int, Query(ge=1, le=50)] = 20,
) -> Response:
    """Titles with all words of `q`, the last one perhaps unfinished, some letters perhaps wrong;
    without `q` the best known items.
    """
    served = served_by(state_in(request))
    allowed = allowed_by(served, Filters(genres=genre, year_from=year_from, year_to=year_to), where)
    codes = (
        served.search.find(q, allowed, limit) if q.strip() else served.best_known(allowed, limit)
    )
    return answered({"items": [served.describe(code) for code in codes.tolist()]})


@router.get("/items/{item_id}", response_model=Item, summary="One item")
def item(served: ServedNow, item_id: PathId) -> dict[str, Any]:
    return served.describe(served.code(item_id))


@router.get("/items/{item_id}/similar", response_model=SimilarItems, summary="Similar items")
def similar_items(
    served: ServedNow,
    item_id: PathId,
    n: Annotated[int, Query(ge=1, le=100)] = 12,
    measure: Literal["cosine", "dot"] = "cosine",
) -> dict[str, Any]:
    """By the cosine of factors, or by their product, which favours well-known items."""
    return {"items": similar(served, served.code(item_id), n, measure)}

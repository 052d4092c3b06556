"""What the API takes and gives, with examples: its OpenAPI document is made of this."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, FiniteFloat

MAX_ID = 256  # characters
TEXT = r"^[^\x00]+$"  # what databases can keep


def _number(value: Any) -> Any:
    """What JSON takes for a number: 13.0 is a whole one, true and "13" are none."""
    if isinstance(value, bool | str):
        raise ValueError("must be a number")
    return value


Whole = Annotated[int, Field(strict=False), BeforeValidator(_number)]
IdText = Annotated[str, Field(min_length=1, max_length=MAX_ID, pattern=TEXT)]
ItemId = Annotated[Whole | IdText, Field(examples=[318])]
KnownId = Annotated[Whole | str, Field(examples=[318])]  # data may have longer ones
UserId = Annotated[Whole | IdText, Field(examples=[42])]
MAX_RATINGS = 5_000  # of one person in one request
MAX_USERS = 100  # of one request
MAX_MEMBERS = 8  # of a group
MAX_N, MAX_OFFSET, MAX_REASONS = 200, 2_000, 20
By = Literal["default", "timely", "both", "next", "ranking", "rating"]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Request(_Model):
    model_config = ConfigDict(strict=True)  # true is no number


class Item(_Model):
    """An item of the catalogue."""

    item_id: KnownId
    title: str = Field(examples=["Shawshank Redemption, The (1994)"])
    year: int | None = Field(examples=[1994])
    genres: list[str] = Field(examples=[["Crime", "Drama"]])
    n_ratings: int = Field(description="Ratings in training", examples=[317])


class Items(_Model):
    items: list[Item]


class SimilarItem(Item):
    similarity: float = Field(examples=[0.83])


class SimilarItems(_Model):
    items: list[SimilarItem]


class Reason(_Model):
    """A rating of the user, and what it adds to the score."""

    item_id: KnownId
    title: str
    rating: float | None
    contribution: float


class Recommended(Item):
    """An item of a list. The contributions of its reasons and `other` add up to the score."""

    predicted_rating: float | None = Field(examples=[4.4])
    range: tuple[float, float] | None = Field(
        description="The rating lies in it with a probability of 0.8; null if the model has none"
    )
    score: float
    reasons: list[Reason]
    other: float


class RecommendedItems(_Model):
    items: list[Recommended]


class Rating(_Request):
    item_id: ItemId
    rating: FiniteFloat = Field(examples=[4.5])


Name = Annotated[str, Field(max_length=200)]  # of a genre, an attribute, a value of one


Condition = Annotated[str, Field(max_length=400)]


class Filters(_Request):
    """Which items may be listed."""

    genres: list[Name] = Field(default=[], max_length=50)
    year_from: Whole | None = None
    year_to: Whole | None = None
    where: dict[Name, Name | Whole | FiniteFloat | list[Name]] = Field(
        default={}, max_length=20, description="Any attribute, as in `recommend`"
    )


class ListRequest(_Request):
    """Which list is wanted."""

    n: Whole = Field(20, ge=1, le=MAX_N)
    offset: Whole = Field(0, ge=0, le=MAX_OFFSET)
    by: By = "default"
    discover: FiniteFloat = Field(0.0, ge=0, le=1, description="1: what few others know")
    filters: Filters = Filters()
    include: list[ItemId] | None = Field(default=None, max_length=MAX_RATINGS)
    exclude: list[ItemId] = Field(default=[], max_length=MAX_RATINGS)
    seen: bool = Field(False, description="Whether what has been rated may be listed")
    reasons: Whole = Field(3, ge=0, le=MAX_REASONS)


class ListQuery(BaseModel):
    """The list that a query string asks for."""

    n: int = Field(20, ge=1, le=MAX_N)
    offset: int = Field(0, ge=0, le=MAX_OFFSET)
    by: By = "default"
    discover: float = Field(0.0, ge=0, le=1, description="1: what few others know")
    genre: list[Name] = Field(default=[], max_length=20)
    year_from: int | None = None
    year_to: int | None = None
    seen: bool = Field(False, description="Whether what has been rated may be listed")
    reasons: int = Field(3, ge=0, le=MAX_REASONS)

    def request(self) -> ListRequest:
        """As the body of a request."""
        filters = Filters(genres=self.genre, year_from=self.year_from, year_to=self.year_to)
        same = self.model_dump(exclude={"genre", "year_from", "year_to"})
        return ListRequest(filters=filters, **same)


class RatingsRequest(ListRequest):
    """A handful of ratings, or of items without ratings, in the order in which they were watched,
    the last one last; nothing of it is stored.
    """

    ratings: list[Rating] = Field(default=[], max_length=MAX_RATINGS)
    items: list[ItemId] = Field(default=[], max_length=MAX_RATINGS)


class BatchRequest(ListRequest):
    users: list[UserId] = Field(min_length=1, max_length=MAX_USERS, examples=[[42, 43]])
    n: Whole = Field(10, ge=1, le=50)
    reasons: Whole = Field(0, ge=0, le=MAX_REASONS)


class UserList(_Model):
    user_id: UserId
    items: list[Recommended]


class UserLists(_Model):
    recommendations: list[UserList]


class Member(_Request):
    """A user by id, or by ratings."""

    user_id: UserId | None = None
    ratings: list[Rating] = Field(default=[], max_length=MAX_RATINGS)


class GroupRequest(ListRequest):
    members: list[Member] = Field(min_length=1, max_length=MAX_MEMBERS)
    strategy: Literal["average", "least_misery"] = "average"


class GroupItem(Item):
    score: float
    members: list[float | None] = Field(description="The predicted rating of each member")


class GroupItems(_Model):
    items: list[GroupItem]


class RatingRequest(_Request):
    """A rating, on the scale of the model."""

    rating: FiniteFloat = Field(examples=[4.5])
    kind: Literal["rating"] = "rating"


class MarkRequest(_Request):
    """A mark: seen without a rating, or not tonight."""

    kind: Literal["seen", "later"]
    rating: None = None


FeedbackRequest = RatingRequest | MarkRequest


class FeedbackAnswer(_Model):
    item_id: KnownId
    title: str | None
    year: int | None
    genres: list[str]
    rating: float | None
    kind: Literal["rating", "seen", "later"]
    updated_at: datetime


class FeedbackPage(_Model):
    feedback: list[FeedbackAnswer]
    next_cursor: str | None


class Skipped(_Model):
    file: str | None = Field(description="Of an archive", examples=["ratings.csv"])
    row: int
    reason: str


class ImportedAnswer(_Model):
    imported: int = Field(description="Items of the model that the file tells of")
    new: int = Field(description="Items of which something new is told")
    skipped: list[Skipped]


class Scale(_Model):
    low: float
    high: float
    step: float


class ModelAnswer(_Model):
    """About the served model."""

    name: str
    version: str
    trained_at: str | None
    noun: str
    n_users: int
    n_items: int
    n_ratings: int
    scale: Scale | None
    genres: list[str]
    orders: list[str] = Field(description="By what lists can be made, the default first")
    metrics: dict[str, Any]
    model_card: str = Field(description="Markdown")


class Point(_Model):
    item_id: KnownId
    title: str
    year: int | None
    genres: list[str]
    x: float
    y: float
    genre: str | None


class MapAnswer(_Model):
    items: list[Point]


class Invalid(_Model):
    """What is wrong with a part of a request."""

    at: str = Field(examples=["body.rating"])
    problem: str = Field(examples=["Field required"])


class ProblemAnswer(_Model):
    """Problem details (RFC 9457)."""

    type: str = "about:blank"
    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    detail: str = Field(examples=["There is no movie 999999."])
    errors: list[Invalid] = Field(default=[], description="If the request is not valid")

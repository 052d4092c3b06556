"""Users by their id: what training knows of them, and what they have told since."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import numpy as np

from matinee.errors import UnknownIdError, shortened
from matinee.models.queries import UserProfile
from matinee.service.identity import PAGE_PREFIX
from matinee.service.recommending import profile_of
from matinee.service.schemas import Rating
from matinee.service.served import Served
from matinee.service.store.feedback import Feedback

LATER = timedelta(hours=20)  # how long "not tonight" lasts


class Person(NamedTuple):
    """A user as lists need them."""

    profile: UserProfile
    hidden: frozenset[int]  # codes of what is not to be listed, beside what has been rated
    known: bool  # whether anything is known of them


def person(served: Served, user_id: str, feedback: Sequence[Feedback]) -> Person:
    """A user's training ratings and what they have told since, which comes before them.

    Feedback on items that the model does not have, or on another scale (an earlier model's), is
    left for the next training.
    """
    # of users of the page, who take back what they told and want to be forgotten, the store alone
    trained = None if user_id.startswith(PAGE_PREFIX) else served.known_user(user_id)
    if trained is not None and not feedback:
        return Person(trained, frozenset(), len(trained.items) > 0)
    ratings: dict[int, float | None] = {}
    if trained is not None:
        ratings = dict(zip(trained.items.tolist(), trained.values.tolist(), strict=True))
    hidden = set()
    index = served.model.index
    values = np.array([1.0 if told.rating is None else told.rating for told in feedback])
    for told, may_be in zip(feedback, index.may_be(values).tolist(), strict=True):
        code = served.code_or_none(told.item_id)
        if code is None:
            continue
        if told.kind == "rating":
            if may_be:
                ratings[code] = told.rating
        elif told.kind == "seen" and index.scale is None:
            ratings[code] = None  # an interaction like those of the training set
        elif told.kind == "seen" or datetime.now(UTC) - told.updated_at < LATER:
            hidden.add(code)
    profile = profile_of(served, ratings)
    if trained is not None:
        profile = replace(profile, features=trained.features)
    return Person(profile, frozenset(hidden), bool(ratings or feedback))


def posted(served: Served, ratings: Sequence[Rating], items: Sequence[Any] = ()) -> UserProfile:
    """A user by the ratings in a request; the last of several for one item counts."""
    told: dict[int, float | None] = {served.code(item): None for item in items}
    told |= {served.code(rating.item_id): rating.rating for rating in ratings}
    return profile_of(served, told)


def unknown(user_id: str) -> UnknownIdError:
    """The error for a user of whom nothing is known."""
    return UnknownIdError(f"Nothing is known of user {shortened(user_id)}; post some ratings.")

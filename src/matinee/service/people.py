"""Users by their id: what training knows of them, and what they have told since."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from matinee._types import Bools
from matinee.data.ratings import TIE
from matinee.errors import SettingError, UnknownIdError, shortened
from matinee.models.profiles import UserBatch, UserProfile
from matinee.models.queries import TrainingIndex
from matinee.service.identity import PAGE_PREFIX
from matinee.service.schemas import Rating
from matinee.service.served import Served
from matinee.service.store.feedback import Feedback

LATER = timedelta(hours=20)  # how long "not tonight" lasts


@dataclass(frozen=True)
class Person:
    """A user as lists need them."""

    profile: UserProfile
    hidden: frozenset[int] = frozenset()  # codes of what is not to be listed, beside what is rated
    known: bool = True  # whether anything is known of them
    code: int = -1  # of a user of the training set who has told nothing since

    def batch(self, index: TrainingIndex) -> UserBatch:
        """The user as models are asked: by what training has found, or to be folded in."""
        if self.code >= 0:
            return index.batch_of(np.array([self.code], np.int32))
        return index.batch([self.profile])

    def may_see(self, allowed: Bools) -> Bools:
        """Which of the allowed items may be listed, (items,)."""
        if self.hidden:
            allowed = allowed.copy()
            allowed[list(self.hidden)] = False
        return allowed


def person(served: Served, user_id: str, feedback: Sequence[Feedback]) -> Person:
    """A user's training ratings and what they have told since, which comes before them.

    Feedback on items that the model does not have, or on another scale (an earlier model's), is
    left for the next training.
    """
    index = served.model.index
    # of users of the page, who take back what they told and want to be forgotten, the store alone
    code = -1 if user_id.startswith(PAGE_PREFIX) else served.user_code(user_id)
    trained = None if code < 0 else index.profile_of(code)
    if trained is not None and not feedback:
        return Person(trained, known=len(trained.items) > 0, code=code)
    ratings: dict[int, float | None] = {}
    moments: dict[int, float] = {}
    if trained is not None:
        ratings = dict(zip(trained.items.tolist(), trained.values.tolist(), strict=True))
        if trained.moments is not None:
            moments = dict(zip(trained.items.tolist(), trained.moments.tolist(), strict=True))
    hidden = set()
    values = np.array([1.0 if told.rating is None else told.rating for told in feedback])
    for told, may_be in zip(feedback, index.may_be(values).tolist(), strict=True):
        item = served.code_or_none(told.item_id)
        if item is None:
            continue
        if told.kind == "rating":
            if may_be:
                ratings[item], moments[item] = told.rating, told.updated_at.timestamp()
        elif told.kind == "seen" and index.scale is None:
            # an interaction like those of the training set
            ratings[item], moments[item] = None, told.updated_at.timestamp()
        elif told.kind == "seen" or datetime.now(UTC) - told.updated_at < LATER:
            hidden.add(item)
    profile = profile_of(served, ratings, moments)
    if trained is not None:
        profile = replace(profile, features=trained.features)
    return Person(profile, frozenset(hidden), bool(ratings or feedback))


def posted(served: Served, ratings: Sequence[Rating], items: Sequence[Any] = ()) -> Person:
    """A user by the ratings in a request; the last of several for one item counts."""
    told: dict[int, float | None] = {served.code(item): None for item in items}
    for rating in ratings:
        code = served.code(rating.item_id)
        told.pop(code, None)  # it is watched last now
        told[code] = rating.rating
    return Person(profile_of(served, told, {code: TIE * at for at, code in enumerate(told)}))


def profile_of(
    served: Served, ratings: Mapping[int, float | None], moments: Mapping[int, float]
) -> UserProfile:
    """A user by the ratings of items by code, None being an item without one, and when each was
    told, in seconds; where that is not known of some, no order is.
    """
    index = served.model.index
    unrated = None if index.scale is not None else 1.0  # without a scale each counts once
    given = {code: unrated if ratings[code] is None else ratings[code] for code in sorted(ratings)}
    rated = {code: value for code, value in given.items() if value is not None}
    codes, values = np.array(list(rated), np.int32), np.array(list(rated.values()), np.float64)
    outside = ~index.may_be(values)
    if outside.any():
        title = served.model.catalog.titles[int(codes[outside.argmax()])]
        raise SettingError(f"{title}: the rating must be {index.limits}.")
    times = None
    if rated.keys() <= moments.keys():
        times = np.array([moments[code] for code in rated], np.float64)
    rated_at_all = index.scale is not None
    return UserProfile(codes, values.astype(np.float32), rated=rated_at_all, moments=times)


def unknown(user_id: str) -> UnknownIdError:
    """The error for a user of whom nothing is known."""
    return UnknownIdError(f"Nothing is known of user {shortened(user_id)}; post some ratings.")

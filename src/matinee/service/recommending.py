"""From a question to a list with predicted ratings, ranges and reasons that add up to the score."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from matinee._types import F32, I32, Bools
from matinee.errors import SettingError
from matinee.kernels.parallel import thread_limit
from matinee.models.head import Head
from matinee.models.lists import ListOptions, make_lists
from matinee.models.profiles import UserBatch, UserProfile
from matinee.models.recommender import Recommender
from matinee.service.people import Person
from matinee.service.served import Served

RANGE = 0.8  # how likely a rating lies in its range


@dataclass(frozen=True, kw_only=True)
class ListQuestion:
    """Which list is wanted, whoever the user is."""

    allowed: Bools  # which items may be listed, (items,)
    n: int = 20
    offset: int = 0
    by: str = "default"
    discover: float = 0.0
    seen: bool = False  # whether what the user has rated may be listed
    reasons: int = 3

    @property
    def head(self) -> str | None:
        """The order by its name in Python."""
        return None if self.by == "default" else self.by


def recommend(served: Served, who: Person, question: ListQuestion) -> list[dict[str, Any]]:
    """The items of the list, as answers have them."""
    model, index = served.model, served.model.index
    batch, head = who.batch(index), model.head(question.head)
    options = ListOptions(
        question.offset + question.n, question.discover, exclude_seen=not question.seen
    )
    with thread_limit(1):  # as many requests are answered at a time as there are processors
        lists = make_lists(index, head, batch, who.may_see(question.allowed), options)
        codes, scores = lists.items[question.offset :], lists.scores[question.offset :]
        predicted = _predicted(model, batch, codes)
        reasons = explain(served, who, batch, head, codes, scores, question.reasons)
    ranges = ranges_of(served, who.profile, codes.tolist())
    return [
        {
            **served.describe(code),
            "predicted_rating": rating,
            "range": limits,
            "score": score,
            **why,
        }
        for code, score, rating, limits, why in zip(
            codes.tolist(), scores.tolist(), predicted, ranges, reasons, strict=True
        )
    ]


def _predicted(model: Recommender, batch: UserBatch, codes: I32) -> Sequence[float | None]:
    """The rating that the one user of the batch would give each item, if the model predicts any."""
    if model.rating_head is None:
        return [None] * len(codes)
    ratings = model.rating_head.listed(batch, np.zeros(len(codes), np.intp), codes)
    return list(model.index.on_scale(ratings).tolist())


def ranges_of(served: Served, user: UserProfile, codes: list[int]) -> list[list[float] | None]:
    """Where each rating lies with a probability of 0.8, if the model knows."""
    if not codes or not served.has_ranges:
        return [None] * len(codes)
    _, limits = served.model.predict(
        user, [served.item_ids[code] for code in codes], interval=RANGE
    )
    return [[float(low), float(high)] for low, high in limits]


def explain(
    served: Served,
    who: Person,
    batch: UserBatch,
    head: Head,
    codes: I32,
    scores: F32,
    n_reasons: int,
) -> list[dict[str, Any]]:
    """Of each item, the ratings that contribute most to its score, and what all else does."""
    user, titles = who.profile, served.model.catalog.titles
    if not n_reasons:
        return [{"reasons": [], "other": score} for score in scores.tolist()]
    parts = np.zeros((len(codes), 0))
    if len(codes):
        with suppress(SettingError):  # the scores of a network are no sums
            _, parts = head.contributions(batch, codes)
    most = np.argsort(-np.abs(parts), axis=1, kind="stable")[:, :n_reasons]
    others = scores - np.take_along_axis(parts, most, axis=1).sum(axis=1)
    rated, ratings = user.items.tolist(), user.values.tolist()
    return [
        {
            "reasons": [
                {
                    "item_id": served.item_ids[rated[place]],
                    "title": titles[rated[place]],
                    "rating": ratings[place] if user.rated else None,
                    "contribution": float(of_item[place]),
                }
                for place in places
            ],
            "other": other,
        }
        for of_item, places, other in zip(parts, most.tolist(), others.tolist(), strict=True)
    ]


def for_group(
    served: Served, members: Sequence[Person], question: ListQuestion, least_misery: bool
) -> list[dict[str, Any]]:
    """A list for several people: by the average of their scores, or by the lowest of them.

    What anybody has rated is left out, unless seen items are wanted.
    """
    model = served.model
    profiles = [member.profile for member in members]
    scores: F32 = model.scores(profiles, head=question.head, threads=1)
    together = scores.min(axis=0) if least_misery else scores.mean(axis=0)
    allowed = question.allowed.copy()
    for member in members:
        allowed[list(member.hidden)] = False
        if not question.seen:
            allowed[member.profile.items] = False
    codes = np.flatnonzero(allowed)
    order = codes[np.argsort(-together[codes], kind="stable")]
    listed = order[question.offset : question.offset + question.n].tolist()
    ids = [served.item_ids[code] for code in listed]
    if model.rating_head is not None and listed:
        predicted = [model.predict(profile, ids).tolist() for profile in profiles]
    else:
        predicted = [[None] * len(listed) for _ in members]
    return [
        {
            **served.describe(code),
            "score": float(together[code]),
            "members": [ratings[place] for ratings in predicted],
        }
        for place, code in enumerate(listed)
    ]


def similar(served: Served, code: int, n: int, measure: str) -> list[dict[str, Any]]:
    """The items most alike, as answers have them."""
    table = served.model.similar_items(served.item_ids[code], n=n, measure=measure)
    codes = served.model.catalog.ids.codes(table["item_id"].to_list()).tolist()
    return [
        {**served.describe(other), "similarity": float(similarity)}
        for other, similarity in zip(codes, table["similarity"].to_list(), strict=True)
    ]

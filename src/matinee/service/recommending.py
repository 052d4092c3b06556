"""From a question to a list with predicted ratings, ranges and reasons that add up to the score."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from matinee._types import F32
from matinee.errors import SettingError
from matinee.models.head import ProbabilisticHead
from matinee.models.queries import UserProfile
from matinee.models.topk import allowed_items
from matinee.service.served import Served

RANGE = 0.8  # how likely a rating lies in its range
HEADS = {"default": None, "ranking": "ranking", "rating": "rating"}


@dataclass(frozen=True, kw_only=True)
class ListQuestion:
    """Which list is wanted, whoever the user is."""

    n: int = 20
    offset: int = 0
    by: str = "default"
    discover: float = 0.0
    where: Mapping[str, Any] | None = None
    include: Sequence[int] | None = None  # codes: only these
    exclude: Sequence[int] = ()  # codes: never these
    seen: bool = False  # whether what the user has rated may be listed
    reasons: int = 3
    hidden: frozenset[int] = field(default_factory=frozenset)  # codes: seen without a rating, ...


def profile_of(served: Served, ratings: Mapping[int, float | None]) -> UserProfile:
    """A user by the ratings of items by code; None is an item without a rating."""
    index = served.model.index
    unrated = None if index.scale is not None else 1.0  # without a scale each counts once
    given = {code: unrated if ratings[code] is None else ratings[code] for code in sorted(ratings)}
    rated = {code: value for code, value in given.items() if value is not None}
    codes, values = np.array(list(rated), np.int32), np.array(list(rated.values()), np.float64)
    outside = ~index.may_be(values)
    if outside.any():
        title = served.model.catalog.titles[int(codes[outside.argmax()])]
        raise SettingError(f"{title}: the rating must be {index.limits}.")
    return UserProfile(codes, values.astype(np.float32), rated=index.scale is not None)


def recommend(served: Served, user: UserProfile, question: ListQuestion) -> list[dict[str, Any]]:
    """The items of the list, as answers have them."""
    model, ids = served.model, served.item_ids
    hidden = [ids[code] for code in {*question.exclude, *question.hidden}]
    include = None if question.include is None else [ids[code] for code in question.include]
    if include == []:
        return []
    table = model.recommend(
        user,
        question.offset + question.n,
        head=HEADS[question.by],
        discover=question.discover,
        exclude_seen=not question.seen,
        include=include,
        exclude=hidden or None,
        where=question.where,
        threads=1,  # as many requests are answered at a time as there are processors
    )[question.offset :]
    codes = model.catalog.ids.codes(table["item_id"].to_list()).tolist()
    scores = table["score"].to_list()
    predicted = (
        table["predicted_rating"].to_list()
        if "predicted_rating" in table.columns
        else [None] * len(codes)
    )
    ranges = ranges_of(served, user, codes)
    reasons = explain(served, user, codes, scores, question)
    return [
        {
            **served.describe(code),
            "predicted_rating": rating,
            "range": limits,
            "score": score,
            **why,
        }
        for code, score, rating, limits, why in zip(
            codes, scores, predicted, ranges, reasons, strict=True
        )
    ]


def ranges_of(served: Served, user: UserProfile, codes: list[int]) -> list[list[float] | None]:
    """Where each rating lies with a probability of 0.8, if the model knows."""
    if not codes or not isinstance(served.model.rating_head, ProbabilisticHead):
        return [None] * len(codes)
    _, limits = served.model.predict(
        user, [served.item_ids[code] for code in codes], interval=RANGE
    )
    return [[float(low), float(high)] for low, high in limits]


def explain(
    served: Served,
    user: UserProfile,
    codes: Sequence[int],
    scores: Sequence[float],
    question: ListQuestion,
) -> list[dict[str, Any]]:
    """Of each item, the ratings that contribute most to its score, and what all else does."""
    model = served.model
    batch = model.user_batch([user])
    parts = np.zeros((len(codes), 0))
    if question.reasons and len(codes):
        # the scores of a network are no sums
        with suppress(SettingError):
            head = model.head(HEADS[question.by])
            _, parts = head.contributions(batch, np.array(codes))
    most = np.argsort(-np.abs(parts), axis=1, kind="stable")[:, : question.reasons]
    answers = []
    for score, of_item, places in zip(scores, parts, most.tolist(), strict=True):
        reasons = [
            {
                "item_id": served.item_ids[int(user.items[place])],
                "title": model.catalog.titles[int(user.items[place])],
                "rating": float(user.values[place]) if user.rated else None,
                "contribution": float(of_item[place]),
            }
            for place in places
        ]
        other = score - sum(of_item[place] for place in places)
        answers.append({"reasons": reasons, "other": float(other)})
    return answers


def for_group(
    served: Served, members: Sequence[UserProfile], question: ListQuestion, least_misery: bool
) -> list[dict[str, Any]]:
    """A list for several people: by the average of their scores, or by the lowest of them.

    What anybody has rated is left out, unless seen items are wanted.
    """
    model = served.model
    scores: F32 = model.scores(list(members), head=HEADS[question.by], threads=1)
    together = scores.min(axis=0) if least_misery else scores.mean(axis=0)
    allowed = allowed_items(
        model.index,
        None if question.include is None else [served.item_ids[c] for c in question.include],
        None,
        question.where,
        0,
    )
    allowed[list({*question.exclude, *question.hidden})] = False
    if not question.seen:
        for member in members:
            allowed[member.items] = False
    codes = np.flatnonzero(allowed)
    order = codes[np.argsort(-together[codes], kind="stable")]
    listed = order[question.offset : question.offset + question.n].tolist()
    ids = [served.item_ids[code] for code in listed]
    if model.rating_head is not None and listed:
        predicted = [model.predict(member, ids).tolist() for member in members]
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

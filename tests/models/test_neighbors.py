"""Neighbourhood models against plain loops over sets; popularity in a window."""

from dataclasses import replace
from math import sqrt

import numpy as np
import pytest

from matinee.errors import SettingError
from matinee.models import ItemKNN, Popularity, UserKNN
from matinee.models.loading import load
from matinee.models.queries import Sizes


def sets_of(model, by, min_rating=None):
    """The positives of each user, or the users of each item, as sets of codes."""
    indptr, items, values = model.interactions
    users = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
    kept = values >= (min_rating or 0)
    pairs = zip(users[kept].tolist(), items[kept].tolist(), strict=True)
    found = [set() for _ in range(len(indptr) - 1 if by == "user" else len(model.items))]
    for user, item in pairs:
        if by == "user":
            found[user].add(item)
        else:
            found[item].add(user)
    return found


def nearest(own, others, neighbors, shrinkage, skip=None):
    """[(code, similarity)] of the most similar sets, ties by code."""
    similar = [
        (np.float32(len(own & other) / (sqrt(len(own) * len(other)) + shrinkage)), code)
        for code, other in enumerate(others)
        if own & other and code != skip
    ]
    return [(code, value) for value, code in sorted(similar, key=lambda s: (-s[0], s[1]))][
        :neighbors
    ]


@pytest.mark.parametrize("min_rating", [None, 4.0])
def test_items_alike(parts, min_rating):
    model = ItemKNN(neighbors=7, shrinkage=3, min_rating=min_rating).fit(parts[0])
    users, items = sets_of(model, "user", min_rating), sets_of(model, "item", min_rating)
    for code in (0, 5, 11):
        expected = np.zeros(len(items))
        for item in users[code]:
            for other, value in nearest(items[item], items, 7, 3, skip=item):
                expected[other] += value
        scores = model.scores(model.user_ids.values[code])
        np.testing.assert_allclose(scores, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("min_rating", [None, 4.0])
@pytest.mark.parametrize("new", [False, True])
def test_users_alike(parts, min_rating, new):
    model = UserKNN(neighbors=9, shrinkage=5, min_rating=min_rating).fit(parts[0])
    users = sets_of(model, "user", min_rating)
    for code in (0, 5, 11):
        profile = model.user_profile(model.user_ids.values[code])
        asked = replace(profile) if new else model.user_ids.values[code]
        expected = np.zeros(len(model.items))
        for neighbor, value in nearest(users[code], users, 9, 5, skip=None if new else code):
            expected[list(users[neighbor])] += value
        np.testing.assert_allclose(model.scores(asked), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("estimator", [ItemKNN(neighbors=5), UserKNN(neighbors=5, min_rating=3)])
def test_explanations_add_up_and_models_come_back_from_disk(parts, estimator, tmp_path):
    model = estimator.fit(parts[0])
    loaded = load(model.save(tmp_path / "run"))
    ann = model.fold_in({1: 5, 2: 1, 9: 4.5})
    for user in (1, 17, ann):
        scores = model.scores(user)
        assert np.array_equal(loaded.scores(user), scores)
        best = int(scores.argmax())
        total = model.explain(user, model.items[best])["contribution"].sum()
        assert total == pytest.approx(float(scores[best]), rel=1e-4)
    popular = Popularity(min_rating=estimator.min_rating).fit(parts[0])
    assert np.array_equal(model.scores(model.fold_in({})), popular.scores(1))


@pytest.mark.parametrize("kind", [ItemKNN, UserKNN])
@pytest.mark.parametrize("wrong", [{"neighbors": 0}, {"shrinkage": -1.0}])
def test_hyperparameters_that_make_no_sense(kind, wrong):
    with pytest.raises(SettingError, match="must be >="):
        kind(**wrong)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("indptr", lambda head: head.indptr[::-1].copy()),
        ("indptr", lambda head: head.indptr[:-1]),
        ("indices", lambda head: head.indices + 1000),
        ("indices", lambda head: head.indices - 1),
        ("neighbors", lambda _: 0),
        ("shrinkage", lambda _: float("nan")),
        ("popularity", lambda head: head.popularity[1:]),
    ],
)
def test_forged_heads_are_refused(parts, name, value):
    head = UserKNN().fit(parts[0]).ranking_head
    head.check(Sizes(300, 200))
    with pytest.raises(ValueError, match=r"do not fit|wrong type or shape"):
        replace(head, **{name: value(head)}).check(Sizes(300, 200))


def test_popular_of_late(parts):
    train = parts[0]
    timestamp = train.ratings.timestamp
    days = float(timestamp.max() - np.median(timestamp)) / 86_400
    recent = timestamp > timestamp.max() - days * 86_400
    expected = np.bincount(train.ratings.item[recent], minlength=200)
    model = Popularity(days=days).fit(train)
    assert np.array_equal(model.scores(1), expected)
    assert 0 < expected.sum() < len(train)
    without = replace(train, ratings=replace(train.ratings, timestamp=None))
    with pytest.raises(SettingError, match=r"Popularity\(days=...\) needs timestamps"):
        Popularity(days=30).fit(without)
    with pytest.raises(SettingError, match="days must be > 0"):
        Popularity(days=0)

"""Answers in a forked child of a process that has loaded a run and used polars' threads."""

import sys

import polars as pl
import pytest

import matinee
from forked import said_in_a_fork
from matinee.data import Catalog, Dataset, IdMap, Ratings
from matinee.models import ALS, ImplicitALS


def answers(model):
    """Everything one may ask of it, as plain values."""
    users, items = model.user_ids.values[:2].to_list(), model.items[:2].to_list()
    title = model.catalog.titles[3]
    new = model.fold_in({title: 4, items[0]: 2})
    asked = [
        model.recommend(users[0], n=3),
        model.recommend(users, n=3, min_ratings=5, discover=0.5),
        model.recommend(n=2),
        model.recommend(users[0], where={"genres": "drama", "year": (1900, None)}, diverse=0.3),
        model.recommend(new, n=3, exclude=items),
        model.recommend(users[0], measure="cosine", block=[(users[0], items[0])]),
        model.recommend(users[0], allow=[(users[0], item) for item in items], exclude_seen=False),
        model.recommend_users(title, n=3),
        model.recommend(users * 600, n=1),
        model.similar_items(title, n=3),
        model.similar_users(users[0], n=3),
        model.explain(users[0], items[0]),
        model.explain(new, items[1], head="rating"),
    ]
    frames = [frame.to_dict(as_series=False) for frame in asked]
    return [*frames, model.predict(users, items).tolist(), model.scores(users).tolist()]


def with_text_ids(data):
    """The same ratings, ids being text."""
    ratings = data.ratings
    ids = [
        IdMap("x" + each.values.cast(pl.String).str.zfill(5))
        for each in (ratings.user_ids, ratings.item_ids)
    ]
    columns = (ratings.user, ratings.item, ratings.values, ratings.timestamp)
    return Dataset(Ratings(*columns, *ids, ratings.scale), Catalog(ids[1], data.catalog.frame))


@pytest.mark.skipif(sys.platform == "win32", reason="no forks")
@pytest.mark.parametrize("as_text", [False, True])
def test_a_forked_child_answers_like_its_parent(parts, as_text, tmp_path):
    train = with_text_ids(parts[0]) if as_text else parts[0]
    model = ALS(factors=3, iterations=2).fit(train)
    model = model.with_ranking(ImplicitALS(factors=3, iterations=2).fit(train))
    model.save(tmp_path / "run")
    expected = answers(model)
    loaded = matinee.load(tmp_path / "run")  # which has not answered anything yet
    assert said_in_a_fork(answers, loaded) == expected

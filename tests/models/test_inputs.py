"""Ids, titles, ratings and pairs in whatever people have them in."""

import datetime
import warnings
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest

import matinee
from matinee.errors import MatineeError, SettingError, UnknownIdError
from matinee.models import ALS, UserProfile
from matinee.models.inputs import rated_items, user_item_pairs


class Unhashable:
    __hash__ = None


MANY = {  # containers of two values
    "list": list,
    "tuple": tuple,
    "generator": iter,
    "array": np.array,
    "objects": lambda values: np.array(values, object),
    "polars": pl.Series,
    "categories": lambda values: pl.Series(
        values, dtype=pl.Categorical if isinstance(values[0], str) else None
    ),
    "pandas": pd.Series,
    "index": pd.Index,
    "pandas categories": pd.Categorical,
}
NONSENSE = {
    "two dimensions": np.arange(4).reshape(2, 2),
    "objects in two dimensions": np.array([[1, "a"], [2, "b"]], object),
    "a list in a list": [[1, 2], [3]],
    "a list in a series": pl.Series([[1, 2]]),
    "structs": pl.Series([{"a": 1}]),
    "records": np.zeros(2, [("a", "i4")]),
    "a dict": {1: 2},
    "a frame": pl.DataFrame({"a": [1]}),
    "a lazy frame": pl.LazyFrame({"a": [1]}),
    "a pandas frame": pd.DataFrame({"a": [1]}),
    "no whole number": [1.5],
    "no number": [float("nan")],
    "infinity": np.array([np.inf, 1.0]),
    "nothing": [None],
    "a gap": pl.Series([1, None]),
    "a gap in pandas": pd.array([1, pd.NA], dtype="Int64"),
    "a date": [datetime.date(1970, 1, 2)],
    "dates": pl.Series([datetime.date(1970, 1, 2)]),
    "times": np.array([1], "M8[ns]"),
    "durations": np.array([1], "m8[ns]"),
    "truths": np.array([True, False]),
    "a large number": [10**30, 1],
    "a large unsigned number": np.array([2**63 + 5], np.uint64),
    "a complex number": [1 + 2j],
    "a fraction": [Decimal("2.5")],
    "half a character": "\ud800",
    "bytes that are no text": b"\xff\xfe",
    "a long text": "x" * 100_000,
    "an object": Unhashable(),
    "objects": [Unhashable()],
}
ASKED = {
    "predict items": lambda model, value: model.predict(model.user_ids.values[0], value),
    "predict users": lambda model, value: model.predict(value, model.items[0]),
    "recommend": lambda model, value: model.recommend(value),
    "scores": lambda model, value: model.scores(value),
    "similar items": lambda model, value: model.similar_items(value),
    "similar users": lambda model, value: model.similar_users(value),
    "explain user": lambda model, value: model.explain(value, model.items[0]),
    "explain item": lambda model, value: model.explain(model.user_ids.values[0], value),
    "profile": lambda model, value: model.user_profile(value),
    "fold in": lambda model, value: model.fold_in([(value, 3)]),
    "rating": lambda model, value: model.fold_in([(model.items[0], value)]),
    "include": lambda model, value: model.recommend(model.user_ids.values[0], include=value),
    "users for": lambda model, value: model.recommend_users(value),
    "n": lambda model, value: model.recommend(model.user_ids.values[0], value),
}


@pytest.fixture(scope="module")
def by_text(parts):
    """A model whose ids are text."""
    frame = parts[0].ratings.to_frame().drop("timestamp", strict=False)
    ids = {name: name[0] + pl.col(name).cast(pl.String) for name in ("user_id", "item_id")}
    return ALS(factors=2, iterations=1).fit(matinee.read(frame.with_columns(**ids)))


@pytest.mark.parametrize("many", MANY)
@pytest.mark.parametrize("unknown", ["error", "average"])
def test_ids_and_titles_come_in_any_container(model, by_text, many, unknown):
    expected = model.predict([1, 1], [3, 4])
    titles = [model.catalog.titles[2], model.catalog.titles[3]]
    for items in ([3, 4], [3.0, 4.0], titles, ["3", "4"]):
        found = model.predict(1, MANY[many](items), unknown=unknown)
        assert np.array_equal(found, expected)
    assert np.array_equal(model.predict(MANY[many](["1", "1"]), [3, 4], unknown=unknown), expected)
    found = by_text.predict(MANY[many](["u1", "u2"]), MANY[many](["i3", "i4"]), unknown=unknown)
    assert np.array_equal(found, [by_text.predict("u1", "i3")[0], by_text.predict("u2", "i4")[0]])


def test_titles_may_be_bytes_and_numbers_of_any_type(model):
    titles = np.array([model.catalog.titles[2].encode(), model.catalog.titles[3].encode()])
    expected = model.predict(1, [3, 4])
    assert np.array_equal(model.predict(1, titles), expected)
    assert np.array_equal(model.predict(1, titles[0]), expected[:1])
    for dtype in ("i1", "u8", "f2", "f8"):
        assert np.array_equal(model.predict(1, np.array([3, 4], dtype)), expected)
    assert model.predict(1, Decimal(3)) == expected[0]


def test_numbers_and_titles_may_be_mixed(model):
    title = model.catalog.titles[2]
    found = model.predict(1, [3, title, "3", b"3", 3.0])
    assert np.array_equal(found, np.repeat(model.predict(1, 3), 5))


def test_what_is_unknown_is_the_average_and_what_is_known_is_not(model):
    title = model.catalog.titles[8]
    found = model.predict(1, [title, "No Such Film (1901)", 99999, None], unknown="average")
    assert found[0] == model.predict(1, 9)
    assert len(set(found[1:].tolist())) == 1
    assert found[0] != found[1]
    found = model.predict(["5", "Nobody at all", 5, None], 9, unknown="average")
    assert found[0] == found[2] == model.predict(5, 9)
    assert found[1] == found[3] == model.predict(99999, 9, unknown="average")


def test_many_unknown_titles_are_the_average_at_once(model):
    """Without a search for similar titles, which takes a while for each."""
    titles = [f"No Such Film, Part {part} (1901)" for part in range(2000)]
    assert len(set(model.predict(1, titles, unknown="average").tolist())) == 1


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("value", NONSENSE)
def test_what_is_no_id_is_refused_in_one_short_line(model, by_text, asked, value):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for each in (model, by_text):
            if asked == "rating" and value == "a fraction":
                continue  # 2.5 stars
            with pytest.raises(MatineeError) as refused:
                ASKED[asked](each, NONSENSE[value])
            assert "\n" not in str(refused.value)
            assert len(str(refused.value)) < 300


def test_one_unknown_among_several_is_named(model):
    with pytest.raises(UnknownIdError, match="999"):
        model.recommend(pl.Series([1, 999]))
    with pytest.raises(UnknownIdError, match="No Such Film"):
        model.predict([1, 2], pd.Series([model.catalog.titles[0], "No Such Film"]))


def test_one_in_an_array_without_dimensions_is_one(model):
    assert model.recommend(np.array(3), n=2).equals(model.recommend(3, n=2))
    assert model.scores(np.array(3)).shape == (len(model.items),)


@pytest.mark.parametrize(
    "ratings",
    [
        {7: 5.0, 2: 1.5},
        [(7, 5.0), (2, 1.5)],
        [[7, 5.0], [2, 1.5]],
        np.array([[7, 5.0], [2, 1.5]]),
        pl.DataFrame({"rating": [5.0, 1.5], "movieId": [7, 2]}),
        pl.LazyFrame({"rating": [5.0, 1.5], "movieId": [7, 2]}),
        pl.DataFrame({"what": [7, 2], "how": [5.0, 1.5]}),
        pd.DataFrame({"Rating": [5.0, 1.5], "item": [7, 2]}),
        pd.DataFrame({0: [7, 2], 1: [5.0, 1.5]}),
        pd.Series({7: 5.0, 2: 1.5}),
        iter([(np.int64(7), np.float32(5)), ("2", Decimal("1.5"))]),
    ],
    ids=range(11),
)
def test_a_new_user_comes_in_any_form(model, ratings):
    found = model.fold_in(ratings)
    assert found.items.tolist() == [1, 6]
    assert found.values.tolist() == [1.5, 5.0]


def test_a_new_user_is_named_by_titles_where_a_frame_has_them(model):
    titles = [model.catalog.titles[6], model.catalog.titles[1]]
    for frame in (pl.DataFrame, pd.DataFrame):
        found = model.fold_in(frame({"title": titles, "rating": [5, 2]}))
        assert found.items.tolist() == [1, 6]
    assert model.fold_in(pd.Series([5, 2], titles)).items.tolist() == [1, 6]


def test_items_of_a_series_or_list_have_no_ratings():
    for items in (["a", "b"], pl.Series(["a", "b"]), pd.Series(["a", "b"]), {"a": None, "b": None}):
        assert rated_items(items) == [("a", None), ("b", None)]
    assert rated_items("ab") == [("ab", None)]
    assert rated_items(pl.DataFrame({"title": ["a"]})) == [("a", None)]


@pytest.mark.parametrize("value", ["5", True, float("nan"), 10**400, np.inf, None, [5], 7])
def test_what_is_no_rating_is_refused_with_the_title(model, value):
    with pytest.raises(SettingError) as refused:
        model.fold_in({3: value})
    assert str(refused.value).startswith(model.catalog.titles[2])


def test_pairs_come_as_a_frame_or_a_list():
    expected = [(1, 2), ("x", "y")]
    for pairs in (
        [(1, "x"), (2, "y")],
        pl.DataFrame({"item_id": ["x", "y"], "user_id": [1, 2]}),
        pl.LazyFrame({"title": ["x", "y"], "userId": [1, 2]}),
        pd.DataFrame({"who": [1, 2], "what": ["x", "y"]}),
    ):
        assert [tuple(column) for column in user_item_pairs(pairs, "allow")] == expected
    assert user_item_pairs([], "allow") == ((), ())
    for nonsense in ([1, 2], {1: 2}, 5, "ab", pl.DataFrame({"user_id": [1]}), [(1, 2, 3)]):
        with pytest.raises(SettingError, match="allow must be a frame with the columns user_id"):
            user_item_pairs(nonsense, "allow")


def test_a_profile_says_how_much_it_holds():
    one, two = np.int32([1]), np.int32([1, 2])
    assert repr(UserProfile(one, np.float32([5]))) == "UserProfile(1 rating)"
    assert repr(UserProfile(two, np.ones(2, np.float32), rated=False)) == "UserProfile(2 items)"


def test_numbers_that_are_none_are_refused_in_one_line(model):
    for value in ("3", None, 1.5, True, [3], np.array([1, 2])):
        for asked in (
            lambda value: model.recommend(1, min_ratings=value),
            lambda value: model.similar_items(1, value),
            lambda value: model.similar_users(1, min_ratings=value),
            lambda value: model.recommend_users(1, value),
        ):
            with pytest.raises(SettingError, match="must be a whole number"):
                asked(value)
    for dial in ("discover", "diverse"):
        for value in ("0.5", None, 1.1, -0.1, float("nan"), [0.5]):
            with pytest.raises(SettingError, match=f"{dial} must be between 0 and 1"):
                model.recommend(1, **{dial: value})

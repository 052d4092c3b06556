"""Interactions without ratings: counts, weights, events, and what is marked as not rated."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import matinee
from matinee.data import read
from matinee.errors import DataError, SettingError

PAIRS = {"user": [1, 1, 2], "item": [5, 5, 5]}
EVENTS = PAIRS | {"event": ["view", "cart", "view"], "ts": [10, 30, 20]}


def values_of(data):
    assert data.ratings.scale is None
    return data.ratings.values.tolist()


def test_repeated_pairs_are_added_up_and_both_times_kept():
    data = read(PAIRS | {"ts": [30, 10, 20]})
    assert values_of(data) == [2, 1]
    assert data.ratings.timestamp.tolist() == [30, 20]
    assert data.ratings.first_timestamp.tolist() == [10, 20]
    assert data.notes == ("1 repetition of a pair of user and item added up",)
    assert data.unit == "interaction"


def test_unless_told_otherwise():
    weighed = PAIRS | {"weight": [2.0, 4.0, 1.0]}
    assert values_of(read(weighed)) == [6, 1]
    assert values_of(read(weighed, duplicates="last")) == [4, 1]
    assert values_of(read(weighed, duplicates="mean")) == [3, 1]
    with pytest.raises(DataError, match="already in row 1"):
        read(weighed, duplicates="error")


@pytest.mark.parametrize("name", ["count", "plays", "play_count", "Quantity"])
def test_columns_that_say_how_often(name):
    assert values_of(read(PAIRS | {name: [2, 3, 4]})) == [5, 4]


def test_a_rating_comes_before_a_count():
    data = read({"user": [1], "item": [5], "rating": [4], "count": [9]})
    assert data.ratings.scale is not None
    assert data.ratings.values.tolist() == [4]


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
def test_weights_that_make_no_sense_are_refused(weight):
    with pytest.raises(DataError, match="row 1, column weight"):
        read({"user": [1], "item": [5], "weight": [weight]})


def test_rows_of_no_weight_are_left_out():
    data = read(PAIRS | {"weight": [0, 3, 1]})
    assert values_of(data) == [3, 1]
    assert any("left out" in note for note in data.notes)


def test_events_are_named_and_the_advice_works():
    with pytest.raises(DataError, match=r"view \(2\), cart \(1\)") as refused:
        read(EVENTS)
    assert "--event-weights view=1,cart=1" in str(refused.value)
    assert values_of(read(EVENTS, event_weights={"view": 1, "cart": 1})) == [2, 1]
    assert values_of(read(EVENTS, columns={"event": "none"})) == [2, 1]


def test_events_count_as_their_weights_say():
    assert values_of(read(EVENTS, event_weights={"view": 1, "cart": 3})) == [4, 1]
    data = read(EVENTS, event_weights={"view": 0, "cart": 3})
    assert values_of(data) == [3]
    with pytest.raises(DataError, match="cart"):
        read(EVENTS, event_weights={"view": 1})
    with pytest.raises(SettingError, match="must be ≥ 0, got -1"):
        read(EVENTS, event_weights={"view": -1})


def test_what_is_marked_as_not_rated_is_left_out():
    table = {"user": [1, 2, 2, 3], "item": [5, 5, 6, 6], "rating": [-1.0, 4, 5, None]}
    data = read(table, missing=(-1, ""))
    assert data.ratings.values.tolist() == [4, 5]
    assert str(data.ratings.scale) == "4 to 5 in steps of 1"
    assert data.notes == ("2 rows left out as not rated",)
    with pytest.raises(DataError, match='--missing ""'):
        read(table)


def test_where_nothing_is_rated_all_are_interactions():
    data = read({"user": [1, 2], "item": [5, 6], "rating": [-1, -1]}, missing=-1)
    assert values_of(data) == [1, 1]


def test_pairs_of_a_file_are_the_rows_of_the_rated_file(tmp_path):
    rng = np.random.default_rng(0)
    pairs = np.unique(rng.integers(1, 60, (2000, 2)), axis=0)
    rng.shuffle(pairs)
    frame = pl.DataFrame({"user": pairs[:, 0], "item": pairs[:, 1]})
    frame.write_csv(tmp_path / "pairs.csv")
    frame.with_columns(rating=pl.lit(3)).write_csv(tmp_path / "rated.csv")
    bare, rated = read(tmp_path / "pairs.csv").ratings, read(tmp_path / "rated.csv").ratings
    assert np.array_equal(bare.user, rated.user)
    assert np.array_equal(bare.item, rated.item)
    assert (bare.values == 1).all()
    assert bare.user_ids.equals(rated.user_ids)


@pytest.mark.slow
def test_bare_pairs_rank_as_ratings_do_that_say_nothing(generated):
    data = generated[0]
    pairs = replace(
        data, ratings=replace(data.ratings, scale=None, values=np.ones(len(data), np.float32))
    )
    rated = matinee.ImplicitALS(factors=8, iterations=3, rating_weight=0).fit(data)
    bare = matinee.ImplicitALS(factors=8, iterations=3).fit(pairs)
    assert np.array_equal(bare.ranking_head.item_params, rated.ranking_head.item_params)
    assert np.array_equal(bare.ranking_head.user_params, rated.ranking_head.user_params)


def test_counts_weigh_where_there_are_no_ratings(unrated):
    assert matinee.ImplicitALS(factors=4, iterations=2).fit(unrated).ranking_head.confidence == (
        "counts"
    )
    flat = matinee.ImplicitALS(factors=4, iterations=2, confidence="none").fit(unrated)
    assert flat.ranking_head.confidence == "none"

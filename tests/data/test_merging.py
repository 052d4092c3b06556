"""Feedback put into data: what it replaces and adds, and what is left out of it."""

from dataclasses import replace

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matinee.data import read
from matinee.data.merging import merge_feedback

TOLD = {
    "user_id": pl.String, "item_id": pl.String, "rating": pl.Float64, "timestamp": pl.Int64,
}  # fmt: skip


def feedback(*rows):
    return pl.DataFrame(list(rows), schema=TOLD, orient="row")


def rated(user=(1, 1, 2), item=(10, 20, 10), rating=(4, 5, 3), time=None, **more):
    columns = {"user": user, "item": item, "rating": rating, "time": time}
    given = {name: values for name, values in columns.items() if values is not None}
    return read(pl.DataFrame(given), **more)


def rows_of(data):
    frame = data.ratings.to_frame()
    return {row[:2]: row[2] for row in frame.iter_rows()}


def test_a_rating_is_replaced_and_others_are_added():
    merged = merge_feedback(rated(), feedback(("1", "10", 3, 0), ("3", "20", 5, 0)))
    expected = {(1, 10): 3.0, (1, 20): 5.0, (2, 10): 3.0, (3, 20): 5.0}
    assert rows_of(merged.dataset) == expected
    assert (merged.used, merged.users, merged.new_users, merged.left_out) == (2, 2, 1, 0)


def test_ids_of_users_become_text_where_one_is():
    merged = merge_feedback(rated(), feedback(("page-x", "20", 5, 0), ("1", "10", 5, 0)))
    assert rows_of(merged.dataset)["page-x", 20] == 5.0
    assert rows_of(merged.dataset)["1", 10] == 5.0
    assert len(merged.dataset) == 4
    assert merged.new_users == 1


@pytest.mark.parametrize("user", ["007", "+1", "1.0", "NA", "null", "nan", "99999999999999999999"])
def test_what_only_looks_like_a_number_is_another_user(user):
    merged = merge_feedback(rated(), feedback((user, "10", 3, 0)))
    assert rows_of(merged.dataset) == {
        ("1", 10): 4.0, ("1", 20): 5.0, ("2", 10): 3.0, (user, 10): 3.0,
    }  # fmt: skip


def test_what_the_data_cannot_hold_is_counted():
    data = rated(scale=(1, 5, 1))
    told = feedback(("1", "99", 3, 0), ("1", "x", 3, 0), ("1", "10", 9, 0), ("2", "20", 2.5, 0))
    merged = merge_feedback(data, told)
    assert (merged.used, merged.left_out) == (0, 4)
    assert merged.dataset.ratings.fingerprint() == data.ratings.fingerprint()


def test_marks_say_nothing_to_ratings_and_are_interactions_elsewhere():
    told = feedback(("1", "30", None, 0), ("2", "20", None, 0), ("2", "30", -1, 0))
    merged = merge_feedback(rated(item=(10, 20, 30)), told)
    assert (merged.used, merged.left_out, len(merged.dataset)) == (0, 1, 3)
    watched = read(pl.DataFrame({"user": [1, 1, 2], "item": [10, 20, 30]}))
    merged = merge_feedback(watched, pl.concat([told, feedback(("1", "10", None, 0))]))
    assert (merged.used, merged.left_out) == (2, 1)
    assert rows_of(merged.dataset) == {
        (1, 10): 1.0, (1, 20): 1.0, (2, 30): 1.0, (1, 30): 1.0, (2, 20): 1.0,
    }  # fmt: skip


def test_all_that_is_known_of_items_and_users_stays():
    items = pl.DataFrame({"item": [10, 20], "title": ["Tea (1999)", "Rum"], "colour": ["red", ""]})
    about = pl.DataFrame({"user": [1, 2], "age": [30, 40]})
    data = replace(rated(items=items, users=about, time=[7, 8, 9]), licence="free")
    merged = merge_feedback(data, feedback(("new", "20", 4, 1_000))).dataset
    assert merged.catalog.frame.equals(data.catalog.frame)
    assert merged.licence == "free"
    assert merged.user_attributes.rows() == [("1", 30.0), ("2", 40.0), ("new", None)]
    assert merged.ratings.to_frame().rows()[-1] == ("new", 20, 4.0, 1_000)


@given(st.lists(st.text(max_size=8).filter(lambda text: "\0" not in text), unique=True))
@settings(max_examples=100, deadline=None)
def test_any_text_can_be_the_id_of_a_user(users):
    rows = [(user, "10", 3.0, 0) for user in users]
    merged = merge_feedback(rated(), feedback(*rows))
    assert merged.used + merged.left_out == len(users)
    named = {user for user in users if user.isprintable() and user.strip(" ") == user and user}
    assert {str(user) for user, _ in rows_of(merged.dataset)} >= named


PAIRS = st.dictionaries(
    st.tuples(st.integers(1, 6), st.integers(1, 6)), st.integers(1, 5), min_size=1, max_size=20
)


@given(PAIRS, PAIRS)
@settings(max_examples=50, deadline=None)
def test_it_is_what_two_dictionaries_make(known, told):
    users, items = zip(*known, strict=True)
    data = rated(users, items, list(known.values()), scale=(1, 5, 1))
    rows = [(str(u), str(i), float(r), 0) for (u, i), r in told.items()]
    merged = merge_feedback(data, feedback(*rows))
    usable = {pair: rating for pair, rating in told.items() if pair[1] in items}
    assert rows_of(merged.dataset) == known | usable
    assert merged.left_out == len(told) - len(usable)

"""What a data set shows of itself."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from matinee.data import generate, read
from matinee.data.ratings import value_name
from unrated import all_ones, as_interactions


def test_a_frame_has_the_columns_that_read_knows():
    data, _ = generate(users=20, items=30, ratings=300, seed=0)
    frame = data.to_frame()
    names = ["user_id", "item_id", "rating", "timestamp", "title", "genres", "year"]
    assert frame.columns == names
    repeated = read(frame)
    assert repeated.to_frame().select(names).equals(frame)


@pytest.mark.parametrize("name", ["rating", "timestamp", "user_id"])
def test_in_a_frame_a_rating_goes_before_an_attribute_of_that_name(generated, name):
    data = generated[0]
    frame = data.catalog.frame.with_columns(pl.lit("an attribute").alias(name))
    other = replace(data, catalog=replace(data.catalog, frame=frame))
    assert other.catalog.attributes.matching(name, "an attribute").all()
    assert other.to_frame().equals(data.to_frame())
    assert "an attribute" not in other._repr_html_()


def test_a_notebook_shows_sizes_and_first_ratings():
    data, _ = generate(users=20, items=30, ratings=300, seed=0)
    page = data._repr_html_()
    for text in ("Dataset generated", "300", "50.00%", "0.5 to 5 in steps of 0.5", "first ratings"):
        assert text in page
    assert page.count("<tr>") == 5 + 1 + 5  # sizes, header, ratings
    assert data.catalog.titles[data.ratings.item[0]] in page


def test_a_notebook_shows_titles_as_text():
    table = pl.DataFrame({"user": [1], "item": [1], "rating": [3], "title": ["<b onclick='x'>$x$"]})
    page = replace(read(table), name="<script>")._repr_html_()
    assert "<b" not in page
    assert "<script" not in page
    assert "mathjax_ignore" in page


def test_items_are_movies_where_there_are_genres_or_years():
    assert "movies" in repr(generate(users=2, items=3, ratings=4)[0])
    table = pl.DataFrame({"user": [1, 2], "item": [1, 1], "rating": [3, 4]})
    assert repr(read(table)) == "Dataset('table', 2 users, 1 items, 2 ratings)"


# --- ratings that differ, and what values are called


def test_only_ratings_that_differ_can_be_predicted(generated):
    data = generated[0]
    assert data.ratings.differ
    assert not as_interactions(data).ratings.differ
    assert not all_ones(data).ratings.differ
    assert not data.ratings.take(np.zeros(len(data), bool)).differ


def test_values_have_the_name_of_what_they_are(generated):
    data = generated[0]
    counts = as_interactions(data).ratings
    assert value_name(data.ratings.scale, data.ratings.values) == "rating"
    assert value_name(None, counts.values) == "times"
    assert value_name(None, counts.values / 4) == "weight"

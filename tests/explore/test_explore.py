"""Descriptions against counting by hand."""

import json

import polars as pl
import pytest

import matinee
from matinee.analysis import describe, top_rated, typical_user


@pytest.fixture
def data():
    table = pl.DataFrame(
        {
            "user": [1, 1, 1, 2, 3],
            "item": [10, 20, 30, 10, 10],
            "rating": [5.0, 4.0, 1.0, 3.0, 5.0],
            "timestamp": [0, 86_400, 10, 20, 30],
            "title": ["Ay (1990)", "Bee", "Sea (2001)", "Ay (1990)", "Ay (1990)"],
            "genres": ["War|Drama", "Drama", "", "War|Drama", "War|Drama"],
        }
    )
    return matinee.read(table, name="five")


def test_a_description_counts_what_is_there(data):
    summary = describe(data)
    assert (summary.name, summary.users, summary.items, summary.ratings) == ("five", 3, 3, 5)
    assert (summary.cells, summary.filled, summary.sparsity) == (9, 5 / 9, pytest.approx(4 / 9))
    assert summary.mean_rating == pytest.approx(18 / 5)
    assert summary.values.rows() == [(1.0, 1), (3.0, 1), (4.0, 1), (5.0, 2)]
    assert summary.ratings_per_user["most"] == 3
    assert summary.ratings_per_user["median"] == 1
    assert summary.ratings_per_item["mean"] == pytest.approx(5 / 3)
    assert summary.genres.rows() == [("Drama", 2, 4, 4.25), ("War", 1, 3, pytest.approx(13 / 3))]
    assert (summary.last_rating - summary.first_rating).days == 1
    assert summary.first_ratings.row(0)[:3] == (1, 10, 5.0)
    assert summary.first_items["title"].to_list() == ["Ay (1990)", "Bee", "Sea (2001)"]
    assert json.loads(json.dumps(summary.as_json()))["sparsity"] == pytest.approx(4 / 9)


def test_data_without_times_and_genres():
    table = pl.DataFrame({"user": ["a", "b"], "item": ["x", "y"], "rating": [1, 2]})
    summary = describe(matinee.read(table))
    assert summary.first_rating is None
    assert summary.genres.is_empty()
    assert "time" not in summary.first_ratings.columns


def test_favourites_are_the_best_rated_then_the_best_known(data):
    model = matinee.Bias().fit(data)
    assert top_rated(model, 1, 2)["item"].to_list() == [10, 20]
    assert top_rated(model, 1, 9)["rating"].to_list() == [5.0, 4.0, 1.0]
    assert typical_user(model) == 2

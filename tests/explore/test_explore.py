"""Descriptions against counting by hand."""

import json

import polars as pl
import pytest

import matinee
from matinee.analysis import describe, favourites, typical_viewer


@pytest.fixture
def data():
    table = pl.DataFrame(
        {
            "user": [1, 1, 1, 2, 3],
            "item": [10, 20, 30, 10, 10],
            "stars": [5.0, 4.0, 1.0, 3.0, 5.0],
            "timestamp": [0, 86_400, 10, 20, 30],
            "title": ["Ay (1990)", "Bee", "Sea (2001)", "Ay (1990)", "Ay (1990)"],
            "genres": ["War|Drama", "Drama", "", "War|Drama", "War|Drama"],
        }
    )
    return matinee.read(table, name="five")


def test_a_description_counts_what_is_there(data):
    about = describe(data)
    assert (about.name, about.viewers, about.movies, about.ratings) == ("five", 3, 3, 5)
    assert (about.cells, about.filled, about.sparsity) == (9, 5 / 9, pytest.approx(4 / 9))
    assert about.mean_stars == pytest.approx(18 / 5)
    assert about.stars.rows() == [(1.0, 1), (3.0, 1), (4.0, 1), (5.0, 2)]
    assert about.ratings_per_viewer["most"] == 3
    assert about.ratings_per_viewer["median"] == 1
    assert about.ratings_per_movie["mean"] == pytest.approx(5 / 3)
    assert about.genres.rows() == [("Drama", 2, 4, 4.25), ("War", 1, 3, pytest.approx(13 / 3))]
    assert (about.last_rating - about.first_rating).days == 1
    assert about.first_ratings.row(0)[:3] == (1, 10, 5.0)
    assert about.first_movies["title"].to_list() == ["Ay (1990)", "Bee", "Sea (2001)"]
    assert json.loads(json.dumps(about.as_json()))["sparsity"] == pytest.approx(4 / 9)


def test_data_without_times_and_genres():
    table = pl.DataFrame({"user": ["a", "b"], "item": ["x", "y"], "stars": [1, 2]})
    about = describe(matinee.read(table))
    assert about.first_rating is None
    assert about.genres.is_empty()
    assert "time" not in about.first_ratings.columns


def test_favourites_are_the_best_rated_then_the_best_known(data):
    model = matinee.BiasOnly().fit(data)
    assert favourites(model, 1, 2)["item"].to_list() == [10, 20]
    assert favourites(model, 1, 9)["stars"].to_list() == [5.0, 4.0, 1.0]
    assert typical_viewer(model) == 2

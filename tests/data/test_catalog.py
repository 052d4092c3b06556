"""Titles, years and genres, and finding an item from what a person types."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matinee.data import Catalog, IdMap
from matinee.errors import UnknownIdError

TITLES = [
    "Gardener, The (1972)",  # 0
    "Gardener, The (1999)",  # 1
    "Gardener: Part II, The (1974)",  # 2
    "Brûlé à l'Aube (1995)",  # 3
    "Harbor of Tin (a.k.a. Tin Port) (2001)",  # 4
    "1917 Nights (2003)",  # 5
    "Ünder (2003-2005)",  # 6
    "Nights",  # 7
    "Chien Perdu, Le (1960)",  # 8
    "42",  # 9
]


@pytest.fixture
def catalog() -> Catalog:
    """Ten invented movies with ids 100, 110, 120 ... by position."""
    ids = [100 + 10 * position for position in range(len(TITLES))]
    return Catalog.build(IdMap(pl.Series(ids)), pl.DataFrame({"item_id": ids, "title": TITLES}))


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("Gardener, The (1999)", 1),
        ("The Gardener (1999)", 1),
        ("the gardener (1972)", 0),
        ("THE GARDENER: PART II", 2),
        ("the gardener part ii", 2),
        ("part ii", 2),
        ("brule a l'aube", 3),
        ("Brûlé à laube", 3),
        ("brule", 3),
        ("tin port", 4),
        ("harbor of tin", 4),
        ("port tin", 4),
        ("1917 nights", 5),
        ("under", 6),
        ("under (2003)", 6),
        ("nights", 7),  # the same title comes before one that merely has the word
        ("nights (2003)", 5),
        ("le chien perdu", 8),
        ("Le Chien Perdu (1960)", 8),
        ("  42  ", 9),
        ("110", 1),  # an id is taken as such
        (110, 1),
        (np.int32(190), 9),
        ("42", 9),
    ],
)
def test_find(catalog, typed, expected):
    assert catalog.find(typed) == expected


def test_of_several_movies_the_most_rated_is_meant(catalog):
    counts = np.zeros(len(TITLES), np.int64)
    assert catalog.find("the gardener", counts) == 0
    counts[1] = 5
    assert catalog.find("the gardener", counts) == 1
    counts[2] = 50  # has all the words, but is not the same title
    assert catalog.find("the gardener", counts) == 1
    assert catalog.find("gardener", counts) == 2  # now all three merely have the word


@pytest.mark.parametrize("typed", ["", "   ", "???", "(1999)", "no such thing", "115", 115, 10**30])
def test_movie_that_is_not_there(catalog, typed):
    with pytest.raises(UnknownIdError, match=r"No (movie|item) .* in the training set"):
        catalog.find(typed)


def test_year_that_does_not_fit_is_not_ignored(catalog):
    with pytest.raises(UnknownIdError):
        catalog.find("Le Chien Perdu (1961)")


def test_titles_spelled_alike_are_suggested(catalog):
    with pytest.raises(UnknownIdError, match=r"Did you mean .*Chien Perdu, Le \(1960\)"):
        catalog.find("le chein perdu")
    with pytest.raises(UnknownIdError) as caught:
        catalog.find("xyzzy")
    assert "Did you mean" not in str(caught.value)


def test_text_ids_are_found_before_titles_that_contain_them():
    ids = IdMap(pl.Series(["gar", "tt7"]))
    catalog = Catalog.build(ids, pl.DataFrame({"item_id": ["gar", "tt7"], "title": ["One", "Gar"]}))
    assert catalog.find("gar") == 0
    assert catalog.find("Gar") == 1
    assert catalog.find("tt7") == 1


@pytest.mark.parametrize("unprintable", ["\x1b", "\r\n", "\x00", "\u202e", "\u2028", "\x9b"])
def test_control_characters_are_taken_out_of_titles_and_genres(unprintable):
    described = pl.DataFrame(
        {
            "item_id": [1, 2],
            "title": [f"Tin{unprintable}Boat (1990)", unprintable],
            "genres": [[f"War{unprintable}"], []],
        }
    )
    catalog = Catalog.build(IdMap(pl.Series([1, 2])), described)
    for text in (*catalog.titles, *catalog.genre_names):
        assert text.isprintable()
    assert catalog.titles[1] == "2"  # nothing is left to print: the id
    assert catalog.find("tin boat (1990)") == 0


def test_genre_matrix():
    described = pl.DataFrame(
        {"item_id": [3, 1, 2], "genres": [["War", "Drama"], ["Drama"], None]},
        schema_overrides={"genres": pl.List(pl.String)},
    )
    catalog = Catalog.build(IdMap(pl.Series([1, 2, 3, 4])), described)
    assert catalog.genre_names == ("Drama", "War")
    assert catalog.genre_matrix.dtype == np.float32
    assert catalog.genre_matrix.tolist() == [[1, 0], [0, 0], [1, 1], [0, 0]]
    assert catalog.rows(np.array([2, 0, 3])).rows() == [
        (3, "3", "War|Drama"),
        (1, "1", "Drama"),
        (4, "4", ""),
    ]


@given(genres=st.lists(st.lists(st.sampled_from("ABCDE"), unique=True), min_size=1, max_size=20))
@settings(max_examples=60, deadline=None)
def test_genre_matrix_has_a_one_for_each_genre_of_each_movie(genres):
    ids = IdMap(pl.Series(range(1, len(genres) + 1), dtype=pl.Int64))
    described = pl.DataFrame(
        {"item_id": ids.values, "genres": pl.Series(genres, dtype=pl.List(pl.String))}
    )
    catalog = Catalog.build(ids, described)
    assert catalog.genre_names == tuple(sorted({name for row in genres for name in row}))
    assert catalog.genre_matrix.tolist() == [
        [float(name in row) for name in catalog.genre_names] for row in genres
    ]


def test_catalog_without_any_description():
    catalog = Catalog.build(IdMap(pl.Series([4, 9])))
    assert catalog.titles == ["4", "9"]
    assert catalog.genre_matrix.shape == (2, 0)
    assert catalog.frame["year"].to_list() == [None, None]


def test_a_title_that_is_a_number_is_meant_before_the_id():
    ids = IdMap(pl.Series([7, 300]))
    catalog = Catalog.build(ids, pl.DataFrame({"item_id": [7, 300], "title": ["300 (2007)", "Up"]}))
    assert catalog.find("300") == 0
    assert catalog.find(300) == 1
    assert catalog.find("7") == 0
    with pytest.raises(UnknownIdError):
        catalog.find("9" * 5000)

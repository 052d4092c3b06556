"""Ids and their codes, and finding a movie from what a person types."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matinee.data import Catalog, IdMap
from matinee.data.id_map import encode
from matinee.errors import UnknownIdError

NUMBERS = st.one_of(st.integers(-50, 50), st.integers(-(2**62) + 1, 2**62 - 1))
TEXTS = st.text(max_size=8)
COLUMNS = st.one_of(
    st.lists(NUMBERS, min_size=1, max_size=40), st.lists(TEXTS, min_size=1, max_size=40)
)
PROPERTY = settings(max_examples=60, deadline=None)


def series(values: list) -> pl.Series:
    return pl.Series("id", values, pl.String if isinstance(values[0], str) else pl.Int64)


@given(column=COLUMNS)
@PROPERTY
def test_codes_stand_for_the_sorted_distinct_ids(column):
    ids, codes = encode(series(column))
    assert codes.dtype == np.int32
    # Python and polars both order text by code point
    assert ids.values.to_list() == sorted(set(column))
    assert ids.values[codes].to_list() == column
    assert ids.codes(column).tolist() == codes.tolist()
    assert [ids.code(value) for value in column] == codes.tolist()


@given(data=st.data(), column=COLUMNS)
@PROPERTY
def test_further_ids_get_codes_too(data, column):
    other = TEXTS if isinstance(column[0], str) else NUMBERS
    also = data.draw(st.lists(other, min_size=1, max_size=10))
    ids, codes = encode(series(column), series(also))
    assert ids.values.to_list() == sorted({*column, *also})
    assert ids.values[codes].to_list() == column


@given(column=st.lists(NUMBERS, min_size=1, max_size=20), wanted=st.lists(NUMBERS, max_size=20))
@PROPERTY
def test_unknown_numbers_have_the_code_minus_one(column, wanted):
    ids, _ = encode(series(column))
    expected = [sorted(set(column)).index(one) if one in column else -1 for one in wanted]
    assert ids.codes(wanted).tolist() == expected
    assert ids.codes(np.array(wanted, np.int64)).tolist() == expected


@given(column=st.lists(TEXTS, min_size=1, max_size=20), wanted=st.lists(TEXTS, max_size=20))
@PROPERTY
def test_unknown_texts_have_the_code_minus_one(column, wanted):
    ids, _ = encode(series(column))
    expected = [sorted(set(column)).index(one) if one in column else -1 for one in wanted]
    assert ids.codes(wanted).tolist() == expected


def test_dense_and_sparse_ids_are_encoded_alike():
    dense = [5, 3, 3, 9, -4]
    sparse = [value * 10**15 for value in dense]
    assert (
        encode(series(dense))[1].tolist() == encode(series(sparse))[1].tolist() == [2, 1, 1, 3, 0]
    )


def test_numbers_may_be_asked_for_as_text():
    ids = IdMap(pl.Series([-3, 7, 42]))
    assert ids.code("42") == 2
    assert ids.code(" 7 ") == 1
    assert ids.code("-3") == 0
    assert ids.code(7.0) == 1
    assert ids.code(np.int64(7)) == 1


def test_texts_may_be_asked_for_as_numbers():
    ids = IdMap(pl.Series(["007", "7"]))
    assert ids.code(7) == 1
    assert ids.code("007") == 0


@pytest.mark.parametrize(
    "wanted", [8, "8", 1.5, True, None, "", "ann", "1_0", "--1", "9" * 30, 10**30, float("nan")]
)
def test_unknown_number_is_an_error_that_tells_the_range(wanted):
    with pytest.raises(UnknownIdError, match=r"no user .* Ids run from 1 to 10"):
        IdMap(pl.Series([1, 10])).code(wanted)


def test_fractions_are_no_known_numbers():
    ids = IdMap(pl.Series([1, 2]))
    assert ids.codes([1.5, 2.0, 1.0, float("nan"), float("inf")]).tolist() == [-1, 1, 0, -1, -1]
    assert ids.codes([None, 2]).tolist() == [-1, 1]


def test_unknown_text_is_an_error_that_suggests_ids_spelled_alike():
    ids = IdMap(pl.Series(["annabel", "bob", "zoe"]))
    with pytest.raises(UnknownIdError, match=r"no user 'anabel' here\. Close ones: annabel"):
        ids.code("anabel")
    with pytest.raises(UnknownIdError, match="One that is: annabel"):
        ids.code("qqqq")


def test_no_ids_at_all():
    ids = IdMap(pl.Series([], dtype=pl.Int64))
    assert len(ids) == 0
    assert ids.codes([1, 2]).tolist() == [-1, -1]
    with pytest.raises(UnknownIdError):
        ids.code(1)


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
    ids = [100 + 10 * at for at in range(len(TITLES))]
    return Catalog.build(IdMap(pl.Series(ids)), pl.DataFrame({"item": ids, "title": TITLES}))


@pytest.mark.parametrize(
    ("typed", "found"),
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
def test_find(catalog, format_value, found):
    assert catalog.find(format_value) == found


def test_of_several_movies_the_most_rated_is_meant(catalog):
    counts = np.zeros(len(TITLES), np.int64)
    assert catalog.find("the gardener", counts) == 0
    counts[1] = 5
    assert catalog.find("the gardener", counts) == 1
    counts[2] = 50  # has all the words, but is not the same title
    assert catalog.find("the gardener", counts) == 1
    assert catalog.find("gardener", counts) == 2  # now all three merely have the word


@pytest.mark.parametrize("typed", ["", "   ", "???", "(1999)", "no such thing", "115", 115, 10**30])
def test_movie_that_is_not_there(catalog, format_value):
    with pytest.raises(UnknownIdError, match="There is no movie"):
        catalog.find(format_value)


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
    catalog = Catalog.build(ids, pl.DataFrame({"item": ["gar", "tt7"], "title": ["One", "Gar"]}))
    assert catalog.find("gar") == 0
    assert catalog.find("Gar") == 1
    assert catalog.find("tt7") == 1


@pytest.mark.parametrize("unprintable", ["\x1b", "\r\n", "\x00", "\u202e", "\u2028", "\x9b"])
def test_control_characters_are_taken_out_of_titles_and_genres(unprintable):
    described = pl.DataFrame(
        {
            "item": [1, 2],
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
        {"item": [3, 1, 2], "genres": [["War", "Drama"], ["Drama"], None]},
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
@PROPERTY
def test_genre_matrix_has_a_one_for_each_genre_of_each_movie(genres):
    ids = IdMap(pl.Series(range(1, len(genres) + 1), dtype=pl.Int64))
    described = pl.DataFrame(
        {"item": ids.values, "genres": pl.Series(genres, dtype=pl.List(pl.String))}
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
    catalog = Catalog.build(ids, pl.DataFrame({"item": [7, 300], "title": ["300 (2007)", "Up"]}))
    assert catalog.find("300") == 0
    assert catalog.find(300) == 1
    assert catalog.find("7") == 0
    with pytest.raises(UnknownIdError):
        catalog.find("9" * 5000)

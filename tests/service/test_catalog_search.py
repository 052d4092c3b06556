"""Search as you type, against a slow and plain version of the same rules."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matinee.data.catalog import Catalog, words_of
from matinee.data.id_map import IdMap
from matinee.service.catalog_search import CatalogSearch

TITLES = [
    "Matrix, The (1999)", "Matrix Reloaded, The (2003)", "Amélie (2001)", "Se7en (1995)",
    "Godfather, The (1972)", "Godfather: Part II, The (1974)", "Heat (1995)", "Heathers (1989)",
    "Ocean's Eleven (2001)", "<b>bold</b> (2000)", "It (1990)", "Terminator 2: Judgment Day (1991)",
]  # fmt: skip
COUNTS = np.array([90, 40, 50, 70, 80, 60, 30, 35, 20, 1, 5, 77])


def search_of(titles, counts):
    items = pl.DataFrame({"item_id": range(len(titles)), "title": titles})
    return CatalogSearch(Catalog.build(IdMap(items["item_id"]), items), np.asarray(counts))


@pytest.fixture(scope="module")
def search():
    return search_of(TITLES, COUNTS)


def found(search, text, **options):
    return [TITLES[code] for code in search.find(text, **options)]


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("matrix", "Matrix, The (1999)"),  # the better known of two
        ("the matrix rel", "Matrix Reloaded, The (2003)"),  # any order, the last word unfinished
        ("AMELIE", "Amélie (2001)"),
        ("oceans", "Ocean's Eleven (2001)"),
        ("heat", "Heat (1995)"),  # a whole word before the beginning of a better known one
        ("heath", "Heathers (1989)"),
        ("1972", "Godfather, The (1972)"),
        ("godfathr", "Godfather, The (1972)"),  # a letter is missing
        ("amtrix", "Matrix, The (1999)"),  # two have changed places
        ("trminator jugment", "Terminator 2: Judgment Day (1991)"),
        ("judgemnt", "Terminator 2: Judgment Day (1991)"),
        ("<b>", "<b>bold</b> (2000)"),
    ],
)
def test_what_people_type(search, text, first):
    assert found(search, text)[0] == first


@pytest.mark.parametrize("text", ["", "  ", "!!", "zzzzqqq", "matrix amelie", "\x00", "🎬"])
def test_what_finds_nothing(search, text):
    assert found(search, text) == []


def test_only_some_items_and_so_many(search):
    allowed = np.array(["2" in title for title in TITLES])
    assert found(search, "the", allowed=allowed) == [
        "Godfather, The (1972)",
        "Matrix Reloaded, The (2003)",
    ]
    assert len(search.find("the", n=2)) == 2


def test_long_texts_end(search):
    assert found(search, "matrix " * 100_000)[0] == "Matrix, The (1999)"


WORDS = st.sampled_from(["red", "reds", "blue", "bluest", "sky", "skies", "moon", "a", "ab"])


@settings(deadline=None)
@given(
    st.lists(st.lists(WORDS, min_size=1, max_size=4), min_size=1, max_size=12),
    st.lists(WORDS, min_size=1, max_size=3),
)
def test_without_errors_it_is_all_words_as_beginnings(titles, query):
    search = search_of([" ".join(title) for title in titles], range(len(titles)))

    def level(title):
        """0 if all words are there whole, 1 if some are beginnings, None if one is missing."""
        levels = []
        for word in query:
            if not any(other.startswith(word) for other in title):
                return None
            levels.append(0 if word in title else 1)
        return max(levels)

    levels = {code: level(title) for code, title in enumerate(titles)}
    wanted = [code for code, found in levels.items() if found is not None]
    wanted.sort(key=lambda c: (levels[c], levels[c] == 0 and len(titles[c]) > len(query), -c))
    everywhere = {word for title in titles for word in title}
    if all(any(other.startswith(word) for other in everywhere) for word in query):
        assert search.find(" ".join(query)).tolist() == wanted


def test_words_are_without_capitals_accents_and_punctuation():
    assert words_of("L'Été: Ça-va?") == ["lete", "ca", "va"]

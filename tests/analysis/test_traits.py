"""Traits of movies and what groups have more of, against counting by hand."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matinee.analysis.traits import (
    NO_GENRE,
    POPULARITY_BANDS,
    ItemTraits,
    lifts,
    main_genres,
    traits_of_items,
)
from matinee.kernels.csr import Rows

GENRES = [["War", "Drama"], ["Drama"], [], ["Drama", "Comedy"], ["Comedy", "War", "Drama"]]


@pytest.fixture
def five(by_hand):
    """Five movies, one without a genre and one without a year."""
    years = [1987, None, 1990, 1999, 2000]
    return by_hand(np.eye(5), genres=GENRES, years=years, counts=[3, 1, 9, 1, 0])


def has(traits, item):
    return {name for name, one in zip(traits.names, traits.matrix[item], strict=True) if one}


def test_traits_are_genres_decades_and_bands(five):
    traits = traits_of_items(five)
    assert traits.names == ["Comedy", "Drama", "War", "1980s", "1990s", "2000s", *POPULARITY_BANDS]
    assert traits.kinds == ["genre"] * 3 + ["decade"] * 3 + ["popularity"] * 4
    assert traits.matrix.shape == (5, 10)
    assert set(np.unique(traits.matrix)) == {0, 1}
    rest = "bottom 80%"
    assert has(traits, 0) == {"War", "Drama", "1980s", rest}
    assert has(traits, 1) == {"Drama", rest}
    assert has(traits, 2) == {"1990s", "top 1%"}
    assert has(traits, 3) == {"Comedy", "Drama", "1990s", rest}
    assert has(traits, 4) == {"Comedy", "Drama", "War", "2000s", rest}


def test_without_genres_and_years_there_are_bands_alone(by_hand):
    traits = traits_of_items(by_hand(np.eye(4)))
    assert traits.names == list(POPULARITY_BANDS)
    assert traits.matrix.sum(axis=1).tolist() == [1, 1, 1, 1]


@pytest.mark.slow
@given(items=st.integers(1, 300), seed=st.integers(0, 99))
def test_bands_end_where_their_part_of_all_movies_does(by_hand, items, seed):
    counts = np.random.default_rng(seed).integers(0, 9, items)
    counts[0] = 9
    traits = traits_of_items(by_hand(np.zeros((items, 1)), counts=counts.tolist()))
    order = sorted(range(items), key=lambda item: -counts[item])
    first = 0
    for at, part in enumerate((Fraction(1, 100), Fraction(5, 100), Fraction(20, 100), 1)):
        end = math.ceil(part * items)
        assert set(np.flatnonzero(traits.matrix[:, at])) == set(order[first:end])
        first = end


def test_shares_of_users_are_counted(model):
    traits = traits_of_items(model)
    found = traits.of_users(model.interactions)
    assert found.shape == (len(model.user_ids), len(traits.names))
    for user in (0, 17, 299):
        interactions = model.user_profile(user + 1).items.tolist()
        for at, name in enumerate(traits.names):
            those = sum(name in has(traits, item) for item in interactions)
            assert found[user, at] == pytest.approx(those / len(interactions))
        dramas = sum("Drama" in model.catalog.frame["genres"][item] for item in interactions)
        assert found[user, traits.names.index("Drama")] == pytest.approx(dramas / len(interactions))


def test_values_weigh_nothing_in_shares_and_nobody_has_none(five):
    interactions = Rows(np.int64([0, 2, 2, 3]), np.int32([0, 3, 2]), np.float32([5, 0.5, 1]))
    found = traits_of_items(five).of_users(interactions)
    rest, best = [0, 0, 0, 1], [1, 0, 0, 0]
    assert found[0].tolist() == [0.5, 1, 0.5, 0.5, 0.5, 0, *rest]
    assert np.isnan(found[1]).all()
    assert found[2].tolist() == [0, 0, 0, 0, 1, 0, *best]


def test_lifts_by_hand():
    traits = ItemTraits(["War", "Drama", "1990s"], ["genre", "genre", "decade"], np.zeros((0, 3)))
    members = np.float32([[1, 1, 0], [1, 0, 0], [0, 1, 0], [0, 1, 0]])
    found = lifts(traits, members, np.int32([0, 0, 1, 1]))
    war, drama, rare = ("War", "genre"), ("Drama", "genre"), ("1990s", "decade")
    expected = [
        (0, *war, 1.0, 0.5, 2.0, math.log(2)),
        (0, *rare, 0.0, 0.0, 1.0, 0.0),
        (0, *drama, 0.5, 0.75, 2 / 3, 0.5 * math.log(2 / 3)),
        (1, *drama, 1.0, 0.75, 4 / 3, math.log(4 / 3)),
        (1, *war, 0.0, 0.5, 0.0, 0.0),
        (1, *rare, 0.0, 0.0, 1.0, 0.0),
    ]
    columns = ["group", "trait", "kind", "share", "share_of_all", "lift", "weight"]
    assert found.columns == columns
    for row, right in zip(found.rows(), expected, strict=True):
        assert row[:3] == right[:3]
        assert row[3:] == pytest.approx(right[3:])


def test_lifts_of_one_group_and_of_no_traits():
    traits = ItemTraits(["War"], ["genre"], np.zeros((0, 1)))
    found = lifts(traits, np.float32([[1], [0]]), np.int32([0, 0]))
    assert found.rows() == [(0, "War", "genre", 0.5, 0.5, 1.0, 0.0)]
    nothing = lifts(ItemTraits([], [], np.zeros((0, 0))), np.zeros((2, 0)), np.int32([0, 1]))
    assert nothing.is_empty()
    assert nothing.columns == found.columns
    assert nothing.schema["trait"] == found.schema["trait"]


def test_the_main_genre_is_the_rarest_a_movie_has(five):
    # Drama is had by four, Comedy and War by two each: of those the first by name
    assert main_genres(five) == ["War", "Drama", NO_GENRE, "Comedy", "Comedy"]


def test_main_genres_where_there_are_none(by_hand):
    assert main_genres(by_hand(np.eye(3))) == [NO_GENRE] * 3


def test_main_genres_of_many_movies_are_counted(model):
    lists = model.catalog.frame["genres"].to_list()
    number = {name: sum(name in row for row in lists) for name in model.catalog.genre_names}
    for row, found in zip(lists, main_genres(model), strict=True):
        assert found == min(sorted(row), key=number.get, default=NO_GENRE)


def test_names_are_kept_as_they_are(by_hand):
    names = ["<script>alert(1)</script>", "a&b", '"|"']
    model = by_hand(np.eye(3), genres=[[name] for name in names])
    assert traits_of_items(model).names[:3] == sorted(names)
    assert main_genres(model) == names


def test_main_genres_are_found_some_rows_at_a_time(five, monkeypatch):
    whole = main_genres(five)
    monkeypatch.setattr("matinee.analysis.traits.ROWS_AT_ONCE", 2)
    assert main_genres(five) == whole
    assert len(set(whole)) > 2

"""Attributes as features, against plain dictionaries."""

import datetime as dt
from collections import Counter
from decimal import Decimal

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matinee.data.attributes import MOST_VALUES, RARE, Attributes, Bins, Categories, normalized
from matinee.errors import SettingError

VALUES = st.sampled_from(["a", "b", "c", "d", None])
LISTS = st.lists(st.one_of(st.none(), st.lists(VALUES, max_size=3)), min_size=1, max_size=25)


def expected_entries(rows):
    """(row, value) of each distinct value of a row, and the values in order of the features."""
    pairs = {(row, value) for row, values in enumerate(rows) for value in values or () if value}
    counts = Counter(value for values in rows for value in values or () if value)
    kept = sorted(value for value, n in counts.items() if n >= RARE)
    rare = bool(kept) and len(kept) < len(counts)
    places = {value: place for place, value in enumerate(kept)}
    other = len(kept) if rare else None
    found = {(row, places.get(value, other)) for row, value in pairs}
    return kept, rare, sorted(pair for pair in found if pair[1] is not None)


@given(rows=LISTS)
def test_categories_are_frequent_values_and_one_for_the_rest(rows):
    column = pl.Series("c", rows, dtype=pl.List(pl.String))
    group = Categories.of(column)
    kept, others, entries = expected_entries(rows)
    assert (list(group.values), group.others) == (kept, others)
    assert sorted(zip(*map(np.ndarray.tolist, group.entries(column)), strict=True)) == entries


def test_the_most_frequent_values_of_too_many_are_kept():
    values = [f"v{number:05}" for number in range(MOST_VALUES + 50) for _ in range(RARE)]
    group = Categories.of(pl.Series("c", [*values, "v01049", "v01048"]))
    assert len(group.values) == MOST_VALUES
    assert {"v01049", "v01048"} <= set(group.values)
    assert group.others


def test_years_are_spans_of_five_that_occur():
    column = pl.Series("year", [1991, 1994, 1995, 2010, None], dtype=pl.Int32)
    group = Bins.of(column)
    assert group.edges == (1995, 2010)
    rows, places = group.entries(column)
    assert (rows.tolist(), places.tolist()) == ([0, 1, 2, 3], [0, 0, 1, 2])


def test_few_numbers_are_values_and_many_are_tenths():
    few = pl.Series("n", [3.0, 1.0, 3.0, None, 7.5])
    assert Bins.of(few).edges == (3.0, 7.5)
    many = pl.Series("n", np.random.default_rng(0).normal(size=1000))
    group = Bins.of(many)
    assert group.columns == 10
    assert np.abs(np.bincount(group.entries(many)[1]) - 100).max() <= 1


@pytest.mark.parametrize(
    ("column", "found"),
    [
        ([True, False, None], ["true", "false", None]),
        ([dt.date(1999, 5, 1), None], [1999, None]),
        ([dt.datetime(1999, 5, 1, 12), None], [1999, None]),
        (["1999-05-01", "2001-01-01"], [1999, 2001]),
        (["1999-05-01", "some day"], ["1999-05-01", "some day"]),
        ([1999, 2001], [1999, 2001]),
        ([1999, 7], [1999.0, 7.0]),
        ([1.5, float("nan"), float("inf")], [1.5, None, None]),
        ([Decimal("1.5")], [1.5]),
        ([" a ", "b\x07", ""], ["a", "b", None]),
        (["a|b", "c", None], [["a", "b"], ["c"], None]),
        ([["a", "", None], []], [["a"], []]),
        ([[1, 2]], [["1", "2"]]),
    ],
)
def test_types(column, found):
    series = pl.Series("x", column)
    assert normalized(pl.DataFrame([series]))["x"].to_list() == found


def test_categoricals_are_text_and_what_tells_nothing_is_left_out():
    frame = pl.DataFrame(
        {
            "kept": pl.Series(["a", "b"], dtype=pl.Categorical),
            "struct": [{"a": 1}, {"a": 2}],
            "binary": [b"\xff", b"a"],
            "nested": [[["a"]], [["b"]]],
        }
    )
    assert normalized(frame).columns == ["kept"]
    assert normalized(frame)["kept"].dtype == pl.String


COLUMNS = st.one_of(
    st.lists(st.one_of(st.none(), st.text(max_size=4)), min_size=3, max_size=3),
    st.lists(st.one_of(st.none(), st.integers(-10, 3000)), min_size=3, max_size=3),
    st.lists(st.one_of(st.none(), st.floats(width=32)), min_size=3, max_size=3),
    st.lists(st.one_of(st.none(), st.dates()), min_size=3, max_size=3),
    st.lists(st.one_of(st.none(), st.lists(st.text(max_size=3))), min_size=3, max_size=3),
)


@given(columns=st.lists(COLUMNS, min_size=1, max_size=3))
def test_what_is_normalized_stays_as_it_is(columns):
    frame = pl.DataFrame({f"c{k}": pl.Series(c, strict=False) for k, c in enumerate(columns)})
    once = normalized(frame)
    assert normalized(once).equals(once)
    assert normalized(once).schema == once.schema


@pytest.fixture
def attributes():
    frame = pl.DataFrame(
        {
            "genres": [["War"], ["War", "Drama"], [], ["Drama"], None, ["Drama", "War"]],
            "year": pl.Series([1991, 1999, None, 1991, 1999, 2003], dtype=pl.Int32),
            "language": ["fr", "it", "fr", None, "it", "fr"],
        }
    )
    return Attributes.of(frame, 6)


def test_features_stand_side_by_side_the_constant_first(attributes):
    # constant; Drama, War; 1990, 1995, 2000; fr (and the rest: "it" is in two rows only)
    expected = [
        [1, 0, 1, 1, 0, 0, 1, 0],
        [1, 1, 1, 0, 1, 0, 0, 1],
        [1, 0, 0, 0, 0, 0, 1, 0],
        [1, 1, 0, 1, 0, 0, 0, 0],
        [1, 0, 0, 0, 1, 0, 0, 1],
        [1, 1, 1, 0, 0, 1, 1, 0],
    ]
    assert attributes.dense().tolist() == expected
    assert attributes.n_features == 8
    assert attributes.known.all()
    counted = np.array([True, True, False, False, False, False])
    np.testing.assert_allclose(attributes.means(counted), np.mean(expected[:2], axis=0))
    features, columns = attributes.select(["language", "genres", "nothing"])
    assert columns.tolist() == [0, 1, 2, 6, 7]
    dense = np.zeros((6, 5))
    for row in range(6):
        first, last = features.indptr[row : row + 2]
        dense[row, features.indices[first:last]] = features.values[first:last]
    assert np.array_equal(dense, np.array(expected)[:, columns])


def test_one_who_is_new_is_average_where_nothing_is_known(attributes):
    means = attributes.means(np.ones(6, bool))
    row = np.zeros(8)
    given = attributes.of_new({"language": "fr", "year": 1992}, means)
    row[given.indices] = given.values
    np.testing.assert_allclose(row, [1, *means[1:3], 1, 0, 0, 1, 0])
    unseen = attributes.of_new({"language": "xx"}, means)
    assert 7 in unseen.indices  # among the rest
    with pytest.raises(SettingError, match="No attribute 'colour'; there are genres, year"):
        attributes.of_new({"colour": "red"}, means)
    with pytest.raises(SettingError, match="year must be a number, got 'new'"):
        attributes.of_new({"year": "new"}, means)


def test_rows_that_match(attributes):
    found = {
        ("genres", "war"): [0, 1, 5],
        ("genres", ("War", "drama")): [0, 1, 3, 5],
        ("language", "IT"): [1, 4],
        ("year", 1991): [0, 3],
        ("year", (1995, None)): [1, 4, 5],
        ("year", (None, 1995)): [0, 3],
    }
    for (name, wanted), rows in found.items():
        assert attributes.matching(name, wanted).nonzero()[0].tolist() == rows


@pytest.mark.parametrize(
    ("name", "wanted", "said"),
    [
        ("lang", "fr", "No attribute 'lang'"),
        ("language", "fx", "No language 'fx'. Did you mean fr"),
        ("language", 7, "language must be a text or several, got 7"),
        ("language", [], "language must be a text or several"),
        ("year", "1999", r"year must be a number or \(low, high\)"),
        ("year", (None, None), "year must be a number or"),
        ("year", (1, 2, 3), "year must be a number or"),
    ],
)
def test_what_cannot_match_is_one_line(attributes, name, wanted, said):
    with pytest.raises(SettingError, match=said):
        attributes.matching(name, wanted)


def test_an_unknown_one_of_many_values_is_one_short_line():
    column = pl.Series("genres", [[f"Genre {number}"] for number in range(400)])
    with pytest.raises(SettingError) as refused:
        Attributes.of(pl.DataFrame([column]), 400).matching("genres", "Polka")
    assert len(str(refused.value)) < 200
    assert "and 392 more" in str(refused.value)


def test_odd_names_and_no_rows():
    frame = pl.DataFrame({"^.*$": ["a"] * 3, "": ["b"] * 3, "value": ["c"] * 3, "row": [1.0] * 3})
    attributes = Attributes.of(frame, 3)
    assert attributes.n_features == 5
    assert attributes.matching("^.*$", "a").all()
    empty = Attributes.of(pl.DataFrame({"a": pl.Series([], dtype=pl.String)}), 0)
    assert (empty.n_features, len(empty.features.indices)) == (1, 0)

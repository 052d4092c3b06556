"""Attributes as features, against plain dictionaries."""

import datetime as dt
import tracemalloc
from decimal import Decimal

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import features_by_hand
from matinee.data.attributes import MOST_VALUES, RARE, Attributes, Bins, Categories, normalized
from matinee.errors import SettingError

TEXT = st.sampled_from(["a", "b", "Б", "c d", "e", "é", "0"])
VALUES = {
    "texts": (pl.String, TEXT, features_by_hand.of_texts),
    "several texts": (pl.List(pl.String), st.lists(TEXT, max_size=4), features_by_hand.of_texts),
    "numbers": (pl.Float64, st.integers(-40, 40).map(float), features_by_hand.of_numbers),
    "years": (pl.Int64, st.integers(1800, 2100), features_by_hand.of_years),
}


@pytest.mark.parametrize("kind", VALUES)
@settings(deadline=None)  # the first compiles
@given(data=st.data())
def test_features_are_those_of_plain_loops(kind, data):
    dtype, value, by_hand = VALUES[kind]
    values = data.draw(st.lists(st.one_of(st.none(), value), min_size=1, max_size=40))
    attributes = Attributes.of(pl.DataFrame({"x": pl.Series(values, dtype=dtype)}), len(values))
    expected = features_by_hand.design(len(values), by_hand(values))
    assert np.array_equal(attributes.dense(), expected)


def test_a_text_twice_in_a_list_counts_once():
    """Two movies with a genre are too few to tell of it, however often they name it."""
    column = pl.Series("genres", [["War", "War"], ["War"], ["Drama"], ["Drama"], ["Drama"] * 2])
    assert Categories.of(column) == Categories("genres", ("Drama",), others=True)


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


def test_of_very_many_spans_of_years_tenths_are_made():
    """A table in which years are something else must not make a feature for each."""
    column = pl.Series("year", range(30_000), dtype=pl.Int32)
    assert Bins.of(column).edges == tuple(float(2999 + 3000 * tenth) for tenth in range(9))
    long_ago = pl.Series("year", range(1000, 2030, 3), dtype=pl.Int32)
    assert Bins.of(long_ago).columns == 1030 // 5


def test_few_numbers_are_values_and_many_are_tenths():
    few = pl.Series("n", [3.0, 1.0, 3.0, None, 7.5])
    assert Bins.of(few).edges == (3.0, 7.5)
    many = pl.Series("n", np.random.default_rng(0).normal(size=1000))
    group = Bins.of(many)
    assert group.columns == 10
    assert np.abs(np.bincount(group.entries(many)[1]) - 100).max() <= 1
    # half of all movies have no budget: they are one range, and no range is empty
    budget = pl.Series("budget", [0.0] * 500 + list(range(1, 501)), dtype=pl.Float64)
    rows = np.bincount(Bins.of(budget).entries(budget)[1])
    assert rows[0] >= 500
    assert (rows > 0).all()


@pytest.mark.parametrize(
    ("column", "found"),
    [
        ([True, False, None], ["true", "false", None]),
        ([dt.date(1999, 5, 1), None], [1999, None]),
        ([dt.datetime(1999, 5, 1, 12), None], [1999, None]),
        ([dt.date(1, 1, 1)], [1.0]),
        (["1999-05-01", "2001-01-01"], [1999, 2001]),
        (["1999-05-01", "some day"], ["1999-05-01", "some day"]),
        ([1999, 2001], [1999, 2001]),
        ([1999, 7], [1999.0, 7.0]),
        ([1800, 2100.0, None], [1800, 2100, None]),
        ([1799, 2100], [1799.0, 2100.0]),
        ([2**63 - 1], [2.0**63]),
        ([1.5, float("nan"), float("inf")], [1.5, None, None]),
        ([Decimal("1.5")], [1.5]),
        ([" a ", "b\x07", ""], ["a", "b", None]),
        (["a\x1b[1mb", "\u202ec\u2028"], ["a [1mb", "c"]),
        (["a|b", "c", None, "|", " d | "], [["a", "b"], ["c"], None, [], ["d"]]),
        ([["a", "", None], []], [["a"], []]),
        ([["a\x00", " b "], None], [["a", "b"], None]),
        ([[1, 2]], [["1", "2"]]),
        ([[1.0, None, 2.0], [float("nan")]], [["1", "2"], []]),
        ([[1.5, 2.0]], [["1.5", "2.0"]]),
        ([[], None], [[], None]),
    ],
)
@pytest.mark.parametrize("name", ["x", "^x$"])
def test_types(column, found, name):
    table = normalized(pl.DataFrame({name: pl.Series(column, strict=False)}))
    assert table[name].to_list() == found
    whole = all(value is None or type(value) is int for value in found)
    assert table[name].dtype == pl.Int32 or not whole


def test_categoricals_are_text_and_what_tells_nothing_is_left_out():
    frame = pl.DataFrame(
        {
            "kept": pl.Series(["a", "b"], dtype=pl.Categorical),
            "one of": pl.Series(["b", None], dtype=pl.Enum(["a", "b"])),
            "several": pl.Series([["a"], ["b"]], dtype=pl.List(pl.Categorical)),
            "pair": pl.Series([[1, 2], [3, 4]], dtype=pl.Array(pl.Int8, 2)),
            "struct": [{"a": 1}, {"a": 2}],
            "binary": [b"\xff", b"a"],
            "nested": [[["a"]], [["b"]]],
            "structs": [[{"a": 1}], []],
            "flags": [[True], [False]],
            "spans": [dt.timedelta(1)] * 2,
            "hours": [dt.time(1)] * 2,
            "nothing": pl.Series([None, None], dtype=pl.Null),
            "objects": pl.Series([object(), None], dtype=pl.Object),
        }
    )
    table = normalized(frame)
    assert table.columns == ["kept", "one of", "several", "pair"]
    assert table.dtypes == [pl.String, pl.String, pl.List(pl.String), pl.List(pl.String)]
    assert table["pair"].to_list() == [["1", "2"], ["3", "4"]]


COLUMNS = st.one_of(
    st.lists(st.one_of(st.none(), st.text(max_size=4)), min_size=3, max_size=3),
    st.lists(st.one_of(st.none(), st.text("a|\x00 \u2028", max_size=4)), min_size=3, max_size=3),
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


NAMES = ["^.*$", "^b$", "*", "", "value", "row", "rows", "literal", "x" * 5_000, "a\nb"]


@pytest.mark.parametrize("name", NAMES)
def test_an_attribute_may_have_any_name(name):
    frame = pl.DataFrame({name: ["a|c", "b"] * 3, "b": [1.0, 2.0, None] * 2})
    attributes = Attributes.of(frame, 6)
    assert attributes.names == (name, "b")
    assert attributes.matching(name, "A").tolist() == [True, False] * 3
    assert attributes.matching("b", 1).tolist() == [True, False, False] * 2
    means = np.zeros(6, np.float32)
    assert attributes.of_new({name: "c", "b": 2}, means).indices.tolist() == [0, 3, 5]
    for column in ([1.0, 2.5] * 3, [1990, 2005] * 3, [True, False] * 3):
        group = Attributes.of(pl.DataFrame({name: column}), 6).groups[0]
        assert (group.name, group.columns) == (name, 2)
    with pytest.raises(SettingError) as refused:
        attributes.matching(name, "z")
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 200


def test_tables_without_rows_or_columns():
    schema = {"text": pl.String, "texts": pl.List(pl.String), "x": pl.Float64, "day": pl.Date}
    for frame, rows in ((pl.DataFrame(schema=schema), 0), (pl.DataFrame(), 0), (pl.DataFrame(), 4)):
        attributes = Attributes.of(frame, rows)
        assert attributes.groups == attributes.names == ()
        assert np.array_equal(attributes.dense(), np.ones((rows, 1)))
        assert attributes.means(np.ones(rows, bool)).tolist() == [float(rows > 0)]
        assert not attributes.known.any()
        assert attributes.select(["x"])[1].tolist() == [0]


@pytest.mark.thorough
def test_seventy_thousand_genres_take_the_memory_of_their_entries():
    rng, movies = np.random.default_rng(0), 30_000
    numbers = rng.integers(0, 72_000, (movies, 3))
    frame = pl.DataFrame({"genres": [[f"g{n}" for n in row] for row in numbers.tolist()]})
    tracemalloc.start()
    attributes = Attributes.of(frame, movies)
    features = attributes.features
    attributes.select(["genres"])
    attributes.means(np.ones(movies, bool))
    assert attributes.matching("genres", f"G{numbers[5, 0]}")[5]
    with pytest.raises(SettingError, match="No genre"):
        attributes.matching("genres", "g7200x")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert attributes.n_features == 1 + MOST_VALUES + 1
    assert movies < len(features.indices) < 4 * movies
    assert peak < 60e6  # a full matrix of these features takes 240 MB

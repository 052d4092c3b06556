"""Attributes and their features, against plain loops; and whatever tables and people may hold."""

import datetime
import io
import time
import tracemalloc
from decimal import Decimal

import numpy as np
import polars as pl
import pytest
from attributes_by_hand import attributes_of, dense, one_line
from hypothesis import given, settings
from hypothesis import strategies as st

import features_by_hand
from matinee.data.attributes import Attributes, Bins, Categories, normalized
from matinee.errors import SettingError

NAMES = ["^.*$", "^b$", "*", "", "value", "row", "rows", "place", "folded", "x" * 5_000, "a\nb"]


# --- texts become categories

TEXT = st.sampled_from(["a", "b", "Б", "c d", "e", "é", "0", ""])
TEXTS = st.lists(st.one_of(st.none(), TEXT), min_size=1, max_size=30)
LISTS = st.lists(st.one_of(st.none(), st.lists(TEXT, max_size=4)), min_size=1, max_size=30)


@settings(deadline=None, max_examples=60)
@given(TEXTS)
def test_features_of_texts_are_those_of_plain_loops(values):
    attributes = Attributes.of(
        pl.DataFrame({"text": values}, schema={"text": pl.String}), len(values)
    )
    known = [value or None for value in values]  # empty is unknown
    expected = features_by_hand.design(len(values), features_by_hand.of_texts(known))
    assert np.array_equal(attributes.dense(), expected)


@settings(deadline=None, max_examples=60)
@given(LISTS)
def test_features_of_lists_are_those_of_plain_loops(values):
    frame = pl.DataFrame({"texts": values}, schema={"texts": pl.List(pl.String)})
    attributes = Attributes.of(frame, len(values))
    known = [[text for text in value or [] if text] for value in values]
    expected = features_by_hand.design(len(values), features_by_hand.of_texts(known))
    assert np.array_equal(attributes.dense(), expected)


def test_a_text_twice_in_a_list_counts_once():
    """Two movies with a genre are too few to tell of it, however often they name it."""
    column = pl.Series("genres", [["War", "War"], ["War"], ["Drama"], ["Drama"], ["Drama"] * 2])
    assert Categories.of(column) == Categories("genres", ("Drama",), others=True)


def test_rare_texts_are_one_feature_if_others_are_not_rare():
    language = ["fr"] * 3 + ["de"] * 2 + ["it"] + [None]
    attributes = attributes_of(language=language)
    assert attributes.groups == (Categories("language", ("fr",), others=True),)
    assert attributes.dense()[:, 1].tolist() == [1, 1, 1, 0, 0, 0, 0]
    assert attributes.dense()[:, 2].tolist() == [0, 0, 0, 1, 1, 1, 0]
    assert attributes_of(language=["fr", "de", "it"]).groups == ()  # all of them are rare
    assert not attributes_of(language=["fr"] * 3 + ["de"] * 3).groups[0].others


def test_of_many_texts_the_most_frequent_have_a_feature_each():
    numbers = np.repeat(np.arange(1_300), 3 + np.arange(1_300) % 2)
    column = pl.Series("studio", [f"studio {number:04}" for number in numbers])
    group = Categories.of(column)
    frequent = [f"studio {number:04}" for number in range(1, 1_300, 2)]
    assert len(frequent) == 650
    assert group.values == tuple(
        sorted([*frequent, *(f"studio {number:04}" for number in range(0, 700, 2))])
    )
    assert group.others
    rows, places = group.entries(column)
    assert np.array_equal(rows, np.arange(len(column)))
    assert np.count_nonzero(places == 1_000) == 3 * 300


# --- numbers and years become ranges

NUMBERS = st.lists(st.one_of(st.none(), st.integers(-40, 40).map(float)), min_size=1, max_size=60)
YEARS = st.lists(st.one_of(st.none(), st.integers(1800, 2100)), min_size=1, max_size=60)


@settings(deadline=None, max_examples=60)
@given(NUMBERS)
def test_features_of_numbers_are_those_of_plain_loops(values):
    frame = pl.DataFrame({"x": values}, schema={"x": pl.Float64})
    attributes = Attributes.of(frame, len(values))
    expected = features_by_hand.design(len(values), features_by_hand.of_numbers(values))
    assert np.array_equal(attributes.dense(), expected)


@settings(deadline=None, max_examples=60)
@given(YEARS)
def test_features_of_years_are_those_of_plain_loops(values):
    frame = pl.DataFrame({"year": values}, schema={"year": pl.Int64})
    attributes = Attributes.of(frame, len(values))
    expected = features_by_hand.design(len(values), features_by_hand.of_years(values))
    assert np.array_equal(attributes.dense(), expected)


def test_spans_of_years_without_anything_have_no_feature():
    column = pl.Series("year", [1931, 1934, 1935, 1999, None], dtype=pl.Int32)
    assert Bins.of(column) == Bins("year", (1935.0, 1995.0))


def test_many_numbers_are_cut_into_tenths():
    minutes = np.random.default_rng(0).permutation(1_001) / 7
    group = Bins.of(pl.Series("minutes", minutes))
    assert np.allclose(group.edges, np.arange(100, 1_000, 100) / 7)
    # half of all movies have no budget: they are one range, and no range is empty
    budget = pl.Series("budget", [0.0] * 500 + list(range(1, 501)), dtype=pl.Float64)
    rows = np.bincount(Bins.of(budget).entries(budget)[1])
    assert rows[0] >= 500
    assert (rows > 0).all()


# --- what columns of all types become


@pytest.mark.parametrize(
    ("column", "expected", "dtype"),
    [
        (pl.Series([True, False, None]), ["true", "false", None], pl.String),
        (pl.Series(["b", "a", None], dtype=pl.Categorical), ["b", "a", None], pl.String),
        (pl.Series(["b", None], dtype=pl.Enum(["a", "b"])), ["b", None], pl.String),
        (pl.Series([datetime.date(1994, 5, 1), None]), [1994, None], pl.Int32),
        (pl.Series([datetime.datetime(2094, 5, 1)]), [2094], pl.Int32),
        (pl.Series([datetime.date(1, 1, 1)]), [1.0], pl.Float64),
        (pl.Series([Decimal("1.50"), None]), [1.5, None], pl.Float64),
        (pl.Series([1800, 2100, None], dtype=pl.UInt16), [1800, 2100, None], pl.Int32),
        (pl.Series([1799, 2100]), [1799.0, 2100.0], pl.Float64),
        (pl.Series([1990.0, 1991.0, float("nan")]), [1990, 1991, None], pl.Int32),
        (pl.Series([1990.5, 1991.0]), [1990.5, 1991.0], pl.Float64),
        (pl.Series([1.0, float("inf"), -float("inf"), float("nan")]), [1, None, None, None],
         pl.Float64),
        (pl.Series([None, None], dtype=pl.Int64), [None, None], pl.Float64),
        (pl.Series([2**64 - 1], dtype=pl.UInt64), [float(2**64 - 1)], pl.Float64),
        (pl.Series(["a", "", " \t", None]), ["a", None, None, None], pl.String),
        (pl.Series(["a\x1b[1mb", "\u202ec\u2028"]), ["a [1mb", "c"], pl.String),
        (pl.Series(["a|b", "c", None, "|", " d | "]), [["a", "b"], ["c"], None, [], ["d"]],
         pl.List(pl.String)),
        (pl.Series([["a\x00", "", " b ", None], [], None]), [["a", "b"], [], None],
         pl.List(pl.String)),
        (pl.Series([[1, 2], [3]]), [["1", "2"], ["3"]], pl.List(pl.String)),
        (pl.Series([["a"], ["b"]], dtype=pl.List(pl.Categorical)), [["a"], ["b"]],
         pl.List(pl.String)),
        (pl.Series([[1, 2], [3, 4]], dtype=pl.Array(pl.Int8, 2)), [["1", "2"], ["3", "4"]],
         pl.List(pl.String)),
        (pl.Series([[], None], dtype=pl.List(pl.Null)), [[], None], pl.List(pl.String)),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["x", "^x$"])
def test_columns_of_any_type_have_a_final_type(column, expected, dtype, name):
    table = normalized(pl.DataFrame({name: column}))
    assert table.columns == [name]
    assert table[name].dtype == dtype
    assert table[name].to_list() == expected


@pytest.mark.parametrize(
    "column",
    [
        pl.Series([b"a", None]),
        pl.Series([{"a": 1}]),
        pl.Series([[{"a": 1}]]),
        pl.Series([[["a"]]]),
        pl.Series([[True]]),
        pl.Series([datetime.timedelta(1)]),
        pl.Series([datetime.time(1)]),
        pl.Series([None, None], dtype=pl.Null),
        pl.Series([object()], dtype=pl.Object),
    ],
)
def test_columns_that_tell_nothing_are_left_out(column):
    table = pl.DataFrame({"left out": column, "kept": ["a"] * len(column)})
    assert normalized(table).columns == ["kept"]


CELLS = st.one_of(
    st.lists(st.one_of(st.none(), st.text(max_size=6)), min_size=1, max_size=5),
    st.lists(st.one_of(st.none(), st.text("a|\x00 \u2028", max_size=4)), min_size=1, max_size=5),
    st.lists(st.one_of(st.none(), st.floats()), min_size=1, max_size=5),
    st.lists(st.one_of(st.none(), st.integers(1790, 2110)), min_size=1, max_size=5),
    st.lists(st.one_of(st.none(), st.booleans()), min_size=1, max_size=5),
    st.lists(st.one_of(st.none(), st.dates()), min_size=1, max_size=5),
    st.lists(
        st.one_of(st.none(), st.lists(st.one_of(st.none(), st.text("a|\t", max_size=3)))),
        min_size=1, max_size=5,
    ),
)  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(CELLS)
def test_what_is_in_its_final_type_stays_as_it_is(cells):
    once = normalized(pl.DataFrame({"x": pl.Series(cells, strict=False)}))
    assert normalized(once).equals(once)
    assert normalized(once).schema == once.schema
    file = io.BytesIO()
    once.write_parquet(file)
    read = normalized(pl.read_parquet(file.getvalue())) if once.width else once
    assert read.equals(once)
    assert read.schema == once.schema


@pytest.mark.parametrize("name", NAMES)
def test_an_attribute_may_have_any_name(name):
    attributes = attributes_of(**{name: ["a|c", "b"] * 3, "other": [1.0, 2.0, None] * 2})
    assert attributes.names == (name, "other")
    assert attributes.matching(name, "A").tolist() == [True, False] * 3
    assert attributes.matching("other", 1).tolist() == [True, False, False] * 2
    means = np.zeros(6, np.float32)
    assert attributes.of_new({name: "c", "other": 2}, means).indices.tolist() == [0, 3, 5]
    for column in ([1.0, 2.5] * 3, [1990, 2005] * 3, [True, False] * 3):
        group = attributes_of(**{name: column}).groups[0]
        assert (group.name, group.columns) == (name, 2)
    with pytest.raises(SettingError) as refused:
        attributes.matching(name, "z")
    one_line(refused)


def test_tables_without_rows_or_columns():
    schema = {"text": pl.String, "texts": pl.List(pl.String), "x": pl.Float64, "day": pl.Date}
    for frame, rows in ((pl.DataFrame(schema=schema), 0), (pl.DataFrame(), 0), (pl.DataFrame(), 4)):
        attributes = Attributes.of(frame, rows)
        assert attributes.groups == attributes.names == ()
        assert np.array_equal(attributes.dense(), np.ones((rows, 1)))
        assert attributes.means(np.ones(rows, bool)).tolist() == [float(rows > 0)]
        assert not attributes.known.any()
        assert attributes.select(["x"])[1].tolist() == [0]


# --- features, some of them, their means


def test_groups_stand_side_by_side(people):
    frame = people.frame
    expected = features_by_hand.design(
        7,
        features_by_hand.of_texts(frame["language"].to_list()),
        features_by_hand.of_numbers(frame["age"].to_list()),
        features_by_hand.of_texts(frame["likes"].to_list()),
        features_by_hand.of_years(frame["since"].to_list()),
    )
    assert people.names == ("language", "age", "likes", "since")
    assert people.n_features == expected.shape[1] == 1 + 2 + 3 + 3 + 2
    assert np.array_equal(people.dense(), expected)
    assert np.array_equal(dense(people.features, people.n_features), expected)
    assert people.known.tolist() == [True] * 7
    assert attributes_of(x=["a", "a", "a", None]).known.tolist() == [True] * 3 + [False]


@pytest.mark.parametrize(
    "names", [[], ["since"], ["age", "likes"], ["likes", "age"], ["nobody", "language"], ["rare"]]
)
def test_some_attributes_are_some_columns(people, names):
    rows, columns = people.select(names)
    kept = [0]
    for group, start in zip(people.groups, people.starts, strict=False):
        if group.name in names:
            kept += range(start, start + group.columns)
    assert columns.tolist() == kept
    assert np.array_equal(dense(rows, len(kept)), people.dense()[:, kept])


def test_means_are_those_of_the_rows_that_count(people):
    counted = np.array([True, False, True, True, False, False, True])
    expected = people.dense()[counted].mean(axis=0)
    np.testing.assert_allclose(people.means(counted), expected, rtol=1e-6)
    assert people.means(counted).dtype == np.float32
    assert people.means(np.zeros(7, bool)).tolist() == [0.0] * people.n_features


@pytest.mark.slow
def test_seventy_thousand_genres_take_little_time_and_memory():
    rng, movies = np.random.default_rng(0), 100_000
    numbers = rng.integers(0, 72_000, (movies, 3))
    frame = pl.DataFrame({"genres": [[f"g{n}" for n in row] for row in numbers.tolist()]})
    tracemalloc.start()
    started = time.perf_counter()
    attributes = Attributes.of(frame, movies)
    features = attributes.features
    attributes.select(["genres"])
    attributes.means(np.ones(movies, bool))
    assert attributes.matching("genres", f"G{numbers[5, 0]}")[5]
    with pytest.raises(SettingError) as refused:
        attributes.matching("genres", "g7200x")
    seconds, (_, peak) = time.perf_counter() - started, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    one_line(refused)
    assert attributes.n_features == 1 + 1_000 + 1
    assert movies < len(features.indices) < 4 * movies
    assert seconds < 20  # alone on a machine: under one
    assert peak < 100e6  # a full matrix of these features takes 800 MB

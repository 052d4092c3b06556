"""Ids and their codes."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matinee.data import IdMap
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


@pytest.mark.slow
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
def test_extra_ids_get_codes_too(data, column):
    other = TEXTS if isinstance(column[0], str) else NUMBERS
    extra = data.draw(st.lists(other, min_size=1, max_size=10))
    ids, codes = encode(series(column), series(extra))
    assert ids.values.to_list() == sorted({*column, *extra})
    assert ids.values[codes].to_list() == column


@pytest.mark.slow
@given(column=st.lists(NUMBERS, min_size=1, max_size=20), wanted=st.lists(NUMBERS, max_size=20))
@PROPERTY
def test_unknown_numbers_have_the_code_minus_one(column, wanted):
    ids, _ = encode(series(column))
    expected = [sorted(set(column)).index(id_) if id_ in column else -1 for id_ in wanted]
    assert ids.codes(wanted).tolist() == expected
    assert ids.codes(np.array(wanted, np.int64)).tolist() == expected


@pytest.mark.slow
@given(column=st.lists(TEXTS, min_size=1, max_size=20), wanted=st.lists(TEXTS, max_size=20))
@PROPERTY
def test_unknown_texts_have_the_code_minus_one(column, wanted):
    ids, _ = encode(series(column))
    expected = [sorted(set(column)).index(id_) if id_ in column else -1 for id_ in wanted]
    assert ids.codes(wanted).tolist() == expected


def test_dense_and_sparse_ids_are_encoded_alike():
    dense = [5, 3, 3, 9, -4]
    sparse = [value * 10**15 for value in dense]
    assert (
        encode(series(dense))[1].tolist() == encode(series(sparse))[1].tolist() == [2, 1, 1, 3, 0]
    )


def test_number_ids_may_be_given_as_text():
    ids = IdMap(pl.Series([-3, 7, 42]))
    assert ids.code("42") == 2
    assert ids.code(" 7 ") == 1
    assert ids.code("-3") == 0
    assert ids.code(7.0) == 1
    assert ids.code(np.int64(7)) == 1


def test_text_ids_may_be_given_as_numbers():
    ids = IdMap(pl.Series(["007", "7"]))
    assert ids.code(7) == 1
    assert ids.code("007") == 0


@pytest.mark.parametrize(
    "wanted", [8, "8", 1.5, True, None, "", "ann", "1_0", "--1", "9" * 30, 10**30, float("nan")]
)
def test_unknown_number_is_an_error_that_names_the_range(wanted):
    with pytest.raises(
        UnknownIdError, match=r"No user .* in the training set\. Ids run from 1 to 10\."
    ):
        IdMap(pl.Series([1, 10])).code(wanted)


def test_fractions_are_unknown_ids():
    ids = IdMap(pl.Series([1, 2]))
    assert ids.codes([1.5, 2.0, 1.0, float("nan"), float("inf")]).tolist() == [-1, 1, 0, -1, -1]
    assert ids.codes([None, 2]).tolist() == [-1, 1]


def test_unknown_text_is_an_error_that_suggests_ids_spelled_alike():
    ids = IdMap(pl.Series(["annabel", "bob", "zoe"]))
    with pytest.raises(
        UnknownIdError, match=r"No user 'anabel' in the training set\. Did you mean annabel\?"
    ):
        ids.code("anabel")
    with pytest.raises(UnknownIdError, match=r"Ids look like annabel\."):
        ids.code("qqqq")


def test_no_ids_at_all():
    ids = IdMap(pl.Series([], dtype=pl.Int64))
    assert len(ids) == 0
    assert ids.codes([1, 2]).tolist() == [-1, -1]
    with pytest.raises(UnknownIdError):
        ids.code(1)

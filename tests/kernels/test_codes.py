"""Counts, ranks, ranges, distinct values and checksums against Python's own."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matinee.kernels import codes
from matinee.kernels.codes import checksum_words, dense_rank, distinct, in_range, mark_seen


@pytest.mark.slow
@settings(deadline=None)
@given(st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=30), st.integers(1, 30))
def test_the_distinct_values_if_they_are_few(values, most):
    expected = sorted(set(values))
    found = distinct(np.array(values * 2, np.float32), most)
    assert (None if found is None else found.tolist()) == (
        expected if len(expected) <= most else None
    )


def test_distinct_values_of_several_blocks(monkeypatch):
    monkeypatch.setattr(codes, "BLOCK", 8)
    values = np.repeat(np.arange(40, dtype=np.float32), 3)
    assert distinct(values, 40).tolist() == list(range(40))
    assert distinct(values, 39) is None
    assert distinct(values[:0], 5).tolist() == []


@pytest.mark.slow
@settings(deadline=None)
@given(st.lists(st.integers(-20, 20), min_size=1))
def test_the_dense_rank_is_the_index_among_the_distinct(numbers):
    column = np.array(numbers, np.int64)
    seen = np.zeros(41, np.bool_)
    mark_seen(column, -20, seen)
    out = np.empty(len(column), np.int32)
    dense_rank(column, -20, seen, out)
    assert out.tolist() == [sorted(set(numbers)).index(number) for number in numbers]


@pytest.mark.slow
@settings(deadline=None)
@given(st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1), st.integers(0, 2**32))
def test_checksums_are_sums_modulo_2_to_the_64(words, first):
    plain, weighted, low, high = checksum_words(np.array(words, np.int32), first)
    unsigned = [word % 2**32 for word in words]
    assert plain == sum(unsigned)
    indices = [(first + index) % 2**32 for index in range(1, len(words) + 1)]
    assert weighted == sum(w * i for w, i in zip(unsigned, indices, strict=True)) % 2**64
    assert (low, high) == (min(words), max(words))


def test_codes_in_range():
    codes = np.arange(5, dtype=np.int32)
    assert in_range(codes, 5)
    assert in_range(codes[:0], 0)
    assert not in_range(codes, 4)
    assert not in_range(codes - np.int32(1), 5)

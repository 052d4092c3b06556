"""Compressed rows against the slow and obvious way: lists that grow."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matinee.kernels import csr as rows
from matinee.kernels.csr import (
    bincount,
    checksum_words,
    compress,
    csr_and_csc,
    dense_rank,
    find_duplicate,
    in_range,
    mark_seen,
    transpose,
)


def as_lists(matrix):
    """The (column, value) pairs of each row."""
    pairs = list(zip(matrix.indices.tolist(), matrix.values.tolist(), strict=True))
    return [pairs[a:b] for a, b in zip(matrix.indptr[:-1], matrix.indptr[1:], strict=True)]


def grown(entries, n_rows):
    """The same, the obvious way: each entry goes to the end of its row's list."""
    lists = [[] for _ in range(n_rows)]
    for row, column, value in entries:
        lists[row].append((column, value))
    return lists


@pytest.fixture(params=[1, 2, 7], autouse=True)
def blocks(request, monkeypatch):
    """As if the data were large enough for one, two or seven blocks."""
    monkeypatch.setattr(rows, "_count_blocks", lambda entries: request.param)


def check(entries):
    triples = [(row, column, float(at)) for at, (row, column) in enumerate(entries)]
    row = np.array([one[0] for one in triples], np.int32)
    column = np.array([one[1] for one in triples], np.int32)
    value = np.array([one[2] for one in triples], np.float32)
    flipped = [(c, r, v) for r, c, v in triples]
    assert as_lists(compress(row, column, value, 6)) == grown(triples, 6)
    by_column = grown(sorted(flipped, key=lambda one: one[1]), 8)
    assert as_lists(transpose(compress(row, column, value, 6), 8)) == by_column
    by_row, by_column_too = csr_and_csc(row, column, value, 6, 8)
    assert as_lists(by_row) == grown(sorted(triples, key=lambda one: one[1]), 6)
    assert as_lists(by_column_too) == by_column
    pairs = sorted(entries)
    twice = [a for a, b in pairwise(pairs) if a == b]
    assert find_duplicate(by_row) == (twice[0] if twice else None)
    assert bincount(row, 6).tolist() == [len(one) for one in as_lists(by_row)]


def test_rows_are_what_lists_would_be():
    rng = np.random.default_rng(0)
    for n in (0, 1, 2, 5, 40, 300):
        for ordered in (False, True):
            entries = list(zip(rng.integers(0, 6, n).tolist(), rng.integers(0, 8, n).tolist(),
                               strict=True))  # fmt: skip
            check(sorted(entries) if ordered else entries)


@given(st.lists(st.integers(-20, 20), min_size=1))
def test_rank_is_the_place_among_the_distinct(numbers):
    column = np.array(numbers, np.int64)
    seen = np.zeros(41, np.bool_)
    mark_seen(column, -20, seen)
    out = np.empty(len(column), np.int32)
    dense_rank(column, -20, seen, out)
    assert out.tolist() == [sorted(set(numbers)).index(one) for one in numbers]


@given(st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1), st.integers(0, 2**32))
def test_words_add_up(words, first):
    plain, weighted, low, high = checksum_words(np.array(words, np.int32), first)
    unsigned = [word % 2**32 for word in words]
    assert plain == sum(unsigned)
    places = [(first + at) % 2**32 for at in range(1, len(words) + 1)]
    assert weighted == sum(w * p for w, p in zip(unsigned, places, strict=True)) % 2**64
    assert (low, high) == (min(words), max(words))


def test_within():
    codes = np.arange(5, dtype=np.int32)
    assert in_range(codes, 5)
    assert in_range(codes[:0], 0)
    assert not in_range(codes, 4)
    assert not in_range(codes - np.int32(1), 5)

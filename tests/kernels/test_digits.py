"""Numbers and their ends in text, against Python's own `int` and `re`."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matinee.kernels.digits import MAX_DIGITS, PADDING, marks_from, next_mark, number_at
from matinee.kernels.jit import jit


@jit
def all_marks(text, start, stop):
    found = []
    marks = marks_from(text, start)
    while True:
        mark, marks = next_mark(text, marks)
        if mark >= stop:
            return found
        found.append(mark)


@jit
def number(text, start, end):
    return number_at(text, start, end)


def padded(text: bytes):
    return np.frombuffer(text + bytes(PADDING), np.uint8).copy()


@pytest.mark.parametrize("around", [b"", b"9", b"9999999999", b"/:\xff\x00"])
@settings(deadline=None)
@given(text=st.text("0123456789", min_size=1, max_size=MAX_DIGITS))
def test_a_number_is_that_of_its_digits_whatever_stands_around_it(around, text):
    whole = around + text.encode() + around
    start = len(around)
    assert number(padded(whole), start, start + len(text)) == int(text)


@settings(deadline=None)
@given(
    text=st.lists(st.binary(max_size=3) | st.text("0123456789", max_size=100).map(str.encode)),
    start=st.integers(0, 80),
)
def test_marks_are_the_bytes_that_are_no_digits(text, start):
    whole = b"".join(text)
    expected = [found.start() for found in re.finditer(rb"[^0-9]", whole) if found.start() >= start]
    assert list(all_marks(padded(whole), start, len(whole))) == expected


def test_every_byte_is_a_mark_or_a_digit():
    text = bytes(range(256))
    expected = [byte for byte in range(256) if not 48 <= byte <= 57]
    assert list(all_marks(padded(text), 0, 256)) == expected

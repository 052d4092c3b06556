"""Filters of items, and what is known of a new user, as they are typed."""

import polars as pl
import pytest

from matinee.cli.attributes import parse_known, parse_where, parse_years
from matinee.data.attributes import Attributes
from matinee.errors import SettingError

FRAME = pl.DataFrame(
    {"genres": [["Drama"], ["War"]] * 3, "language": ["fr", "it"] * 3, "minutes": [90.0, 120.0] * 3}
)
ATTRIBUTES = Attributes.of(FRAME, 6)


@pytest.mark.parametrize(
    ("text", "years"),
    [
        ("1994", (1994, 1994)),
        ("1990-1999", (1990, 1999)),
        ("1990 \u2013 1999", (1990, 1999)),
        ("2000-", (2000, None)),
        ("2000\u2013", (2000, None)),
        ("-1980", (None, 1980)),
        ("\u20131980", (None, 1980)),
    ],
)
def test_ranges_of_years(text, years):
    assert parse_years(text) == years


@pytest.mark.parametrize("text", ["", "-", "94", "1990-19", "1990-1999-", "then", "1990 1999"])
def test_what_is_no_range_of_years_is_refused_with_the_forms(text):
    with pytest.raises(SettingError, match="--years must be 1994, 1990-1999, 2000- or -1980"):
        parse_years(text)


def test_conditions_of_all_kinds_at_once():
    texts = ["language=fr, it", "minutes=90:"]
    found = parse_where(ATTRIBUTES, texts, ["Drama"], "1990-1999")
    assert found == {
        "genres": ["Drama"],
        "year": (1990, 1999),
        "language": ["fr", "it"],
        "minutes": (90.0, None),
    }
    assert parse_where(ATTRIBUTES, ["minutes=95"], None, None) == {"minutes": (95.0, 95.0)}
    assert parse_where(ATTRIBUTES, ["minutes=:95"], None, None) == {"minutes": (None, 95.0)}
    assert parse_where(ATTRIBUTES, None, None, None) == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("language", "--where must be NAME=VALUE"),
        ("=fr", "--where must be NAME=VALUE"),
        ("colour=red", "No attribute 'colour'; there are genres, language, minutes"),
        ("minutes=long", "minutes must be a number, or LOW:HIGH, got 'long'"),
        ("minutes=:", "minutes must be a number, or LOW:HIGH"),
    ],
)
def test_what_is_no_condition_is_refused(text, said):
    with pytest.raises(SettingError, match=said):
        parse_where(ATTRIBUTES, [text], None, None)


def test_an_attribute_is_named_once():
    with pytest.raises(SettingError, match="language is given twice; name all values"):
        parse_where(ATTRIBUTES, ["language=fr", "language=it"], None, None)


def test_what_is_known_of_a_user():
    known = parse_known(ATTRIBUTES, ["language=fr", "minutes=95", "genres=War,Drama"])
    assert known == {"language": "fr", "minutes": 95.0, "genres": ["War", "Drama"]}
    for nothing in ("long", "nan", "nan:90", "1:NaN"):
        with pytest.raises(SettingError, match="minutes must be a number"):
            parse_known(ATTRIBUTES, [f"minutes={nothing}"])


@pytest.mark.slow
def test_lists_are_filtered_and_the_unknown_is_one_line(shell):
    found = shell.json("recommend", "als", "--user", 1, "--where", "genres=drama", "-n", 50)
    assert found
    assert all("Drama" in row["genres"] for row in found)
    text = shell("recommend", "als", "--user", 1, "--where", "genres=Polka", fails=True)
    assert "No genre 'Polka'" in text
    text = shell("recommend", "als", "--known", "age=30", fails=True)
    assert "trained without attributes of users" in text

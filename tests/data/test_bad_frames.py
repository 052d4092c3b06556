"""A bad cell of a frame in memory is refused like one of a file; its first row is row 1."""

import datetime as dt

import pandas as pd
import polars as pl
import pytest
from tiny_editions import refusal, write_lines

FRAME = {"user": [1, 2, 3], "item": [7, 7, 7], "rating": [1.0, 2.0, 3.0], "time": [1, 2, 3]}


@pytest.mark.parametrize("make", [pl.DataFrame, pd.DataFrame])
@pytest.mark.parametrize(
    ("column", "values", "row"),
    [
        ("rating", [1.0, float("nan"), 3.0], 2),
        ("rating", [1.0, 2.0, float("inf")], 3),
        ("rating", [1.0, 2.0, 1e39], 3),
        ("rating", [1.0, None, 3.0], 2),
        ("rating", ["good", "bad", "so so"], 1),
        ("rating", [True, False, True], 1),
        ("user", [1.0, 2.5, 3.0], 2),
        ("user", [1.0, 2.0, float("inf")], 3),
        ("user", ["a", None, "c"], 2),
        ("user", [None, None, None], 1),
        ("item", [1, 2, 2**62], 3),
        ("item", [1, -(2**63), 2], 2),
        ("time", ["1970-01-01", "soon", "later"], 2),
        ("time", ["soon", "later", "1970-01-01"], 1),
        ("time", [1.0, 2.0, float("nan")], 3),
    ],
)
def test_bad_cell_in_a_frame(make, column, values, row):
    message = refusal(make(FRAME | {column: values}))
    assert message.startswith(f"the frame, row {row}, column {column}: ")


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("user", [dt.date(2000, 1, 1)] * 3),
        ("user", [[1], [2], [3]]),
        ("time", [dt.time(1), dt.time(2), dt.time(3)]),
        ("time", [True, False, True]),
    ],
)
def test_column_of_the_wrong_kind_in_a_frame(column, values):
    assert refusal(pl.DataFrame(FRAME | {column: values})).startswith(f"the frame, column {column}")


def test_frame_without_rows():
    assert refusal(pl.DataFrame(FRAME).clear()) == "the frame: there are no ratings in it."
    assert refusal({"user": [], "item": [], "rating": []}).endswith("there are no ratings in it.")


def test_year_that_is_none(tmp_path):
    frame = pl.DataFrame(FRAME | {"item": [7, 7, 8], "title": ["a", "a", "b"]})
    assert refusal(frame.with_columns(year=pl.Series(["1999", "1999", "soon"]))).startswith(
        "the frame, row 3, column year: 'soon'"
    )
    write_lines(tmp_path / "mine.csv", ["user,item,stars", "1,10,3"])
    write_lines(tmp_path / "movies.csv", ["item,title,year", "10,Tin Boat,1990", "20,Plain,soon"])
    assert refusal(tmp_path / "mine.csv").startswith("movies.csv, row 3, column year: 'soon'")

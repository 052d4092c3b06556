"""The fast reader of plain files reads what the careful one reads, or declines."""

import tempfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from matinee.data import delimited, read, tables
from matinee.data.delimited import read_delimited, read_plain
from matinee.data.movielens import RATINGS_SCHEMA
from matinee.errors import DataError

HEADER = "userId,movieId,rating,timestamp"
NUMBERS = st.one_of(
    st.integers(0, 300).map(str),
    st.integers(0, 2**66).map(str),
    st.decimals(0, 99, allow_nan=False, places=1).map(str),
    st.floats(0, 1e9).map(repr),
)
ODD = st.sampled_from(
    ["", " ", "-1", "+1", "007", "00", "1.", ".5", "1e3", "nan", "inf", '"3"', "x", "3 ", "0.50",
     "16777217", "0.12345678", "999999999999999999", "9999999999999999999", "1.2.3", "3\r", "ü"]
)  # fmt: skip
CELL = st.one_of(NUMBERS, NUMBERS, NUMBERS, ODD)
DEFAULT = st.tuples(
    st.integers(1, 9).map(str),
    st.integers(1, 10**6).map(str),
    st.sampled_from(["0.5", "1", "2.0", "3.5", "5", "4.50"]),
    st.integers(0, 2 * 10**9).map(str),
)
LINE = st.one_of(DEFAULT, DEFAULT, DEFAULT, st.lists(CELL, min_size=1, max_size=5)).map(",".join)


def outcome(path):
    """The ratings of a file as bare values, or the message that refuses it."""
    try:
        data = read(path)
    except DataError as problem:
        return str(problem)
    ratings = data.ratings
    columns = ratings.user, ratings.item, ratings.values, ratings.timestamp
    ids = ratings.user_ids.values.to_list(), ratings.item_ids.values.to_list()
    contents = [None if column is None else column.tobytes() for column in columns]
    return contents, ids, ratings.scale, data.catalog.titles


@pytest.fixture(params=[7, 64, 2**20])
def block(request, monkeypatch):
    """Bytes in a block: fewer than in a line, a few lines, and more than in the file."""
    monkeypatch.setattr(delimited, "BLOCK_BYTES", request.param)


@pytest.mark.slow
@settings(deadline=None)
@given(
    lines=st.lists(LINE, min_size=1, max_size=12),
    name=st.sampled_from(["ratings.csv", "mine.csv"]),
    end=st.sampled_from(["\n", "\r\n"]),
    last=st.sampled_from(["", "\n", "\r\n", "\n\n"]),
    mark=st.sampled_from(["", "\ufeff"]),
    block=st.sampled_from([5, 40, 2**20]),
)
@example(["1,2,3.5,4", "1,2,3.5,4"], "ratings.csv", "\n", "", "", 5)
def test_any_file_is_read_as_without_the_fast_reader(lines, name, end, last, mark, block):
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        path = Path(folder, name)
        path.write_bytes((mark + end.join([HEADER, *lines]) + last).encode())
        patch.setattr(delimited, "BLOCK_BYTES", block)
        fast = outcome(path)
        patch.setattr(tables, "read_plain", lambda *_, **__: None)
        assert fast == outcome(path)


@pytest.mark.slow
@settings(deadline=None)
@given(lines=st.lists(DEFAULT, min_size=1, max_size=40), block=st.integers(1, 200))
def test_plain_files_are_read_by_the_fast_reader(lines, block):
    """The test above would pass if the fast reader always declined."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        path = Path(folder, "ratings.dat")
        path.write_text("\n".join("::".join(line) for line in lines))
        patch.setattr(delimited, "BLOCK_BYTES", block)
        plain = read_plain(path, "::")
        assert plain is not None
        table, _ = read_delimited(path, "::", RATINGS_SCHEMA)
        assert plain.frame().equals(table)
        assert np.flatnonzero(plain.seen[0]).tolist() == table["user_id"].unique().sort().to_list()
        assert np.flatnonzero(plain.seen[1]).tolist() == table["item_id"].unique().sort().to_list()


@pytest.mark.parametrize(
    "line",
    ["1,2,3.5", "1,2,3.5,4,", "1,2,3.5,4,5", "1,2,,4", "01,2,3,4", "1,2.0,3,4", "1,2,3,4.0", "",
     "-1,2,3,4", "1,2,3.,4", "1,2,.5,4", "1,2,0.33333333,4", "1,2,16777217,4", '1,2,"3",4',
     "67108864,2,3,4", "1,2,3,1234567890123456789", "1, 2,3,4", "1,2,3,4 ", "1,2,3,4\r\r",
     "1,2,3,12345678901234567", "1,2,3,4\r5", "1,2,3\r,4", "1,2,3,,4", "1,2,3,4\0", "1,2,3,4."],
)  # fmt: skip
def test_what_is_not_plain_is_declined(line, block, tmp_path):
    path = tmp_path / "ratings.csv"
    for lines in ([line, "1,2,3,4"], ["1,2,3,4", line, "1,2,3,4"], ["1,2,3,4", line + "\n"]):
        path.write_text("\n".join([HEADER, *lines]), newline="")
        assert read_plain(path, ",", begin=len(HEADER) + 1) is None


def test_line_that_is_longer_than_any_plain_one_is_declined(block, tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_text(f"{HEADER}\n1,2,3,4\n1,2,3,{'1' * 2000}\n")
    assert read_plain(path, ",", begin=len(HEADER) + 1) is None
    path.write_text(f"{HEADER}\n1,2,3,4\n{'1,' * 2000}\n")
    assert read_plain(path, ",", begin=len(HEADER) + 1) is None


@pytest.mark.parametrize("text", ["", "1", "1\n", "a,b"])
def test_files_without_ratings_are_declined(text, tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_text(text)
    assert read_plain(path, ",", begin=len(HEADER) + 1) is None


def test_columns_in_another_order_and_without_times(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("score;film;viewer\n3.5;20;7\n4;10;7\n")
    plain = read_plain(path, ";", ("rating", "item_id", "user_id"), begin=18)
    assert plain.frame().to_dict(as_series=False) == {
        "user_id": [7, 7],
        "item_id": [20, 10],
        "rating": [3.5, 4.0],
    }
    assert read(path).ratings.user_ids.values.to_list() == [7]


@given(st.integers(0, 2**24), st.integers(0, 7))
def test_values_are_rounded_once(digits, decimals):
    whole, part = divmod(digits, 10**decimals)
    text = f"{whole}.{part:0{decimals}d}" if decimals else str(whole)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "t.csv")
        path.write_text(f"1,2,{text}\n")
        plain = read_plain(path, ",", ("user_id", "item_id", "rating"))
        assert plain.values.tolist() == pl.Series([text]).cast(pl.Float32).to_list()


@pytest.mark.parametrize("suffix", [".arrow", ".feather", ".parquet"])
def test_files_of_typed_columns(suffix, tmp_path):
    table = pl.DataFrame({"user": ["ann", "bob"], "film": [20, 10], "rating": [4.0, 3.5]})
    path = tmp_path / f"mine{suffix}"
    table.write_parquet(path) if suffix == ".parquet" else table.write_ipc(path)
    items = pl.DataFrame({"film": [10, 30], "title": ["Heat", "Ran"]})
    items.write_ipc(tmp_path / "movies.feather")
    data = read(path)
    assert data.ratings.user_ids.values.to_list() == ["ann", "bob"]
    assert data.catalog.titles == ["Heat", "20", "Ran"]
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="this is not a complete"):
        read(path)

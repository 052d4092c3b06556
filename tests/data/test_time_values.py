"""Times of any value and type: read, or one line."""

import datetime

import polars as pl
import pytest

from matinee.data import read
from matinee.errors import DataError

BASE = {"user": [1, 2, 3], "item": [1, 2, 3], "rating": [3.0, 4.0, 5.0]}
NUMBERS = [-(2**63), 2**63 - 1, float("inf"), float("nan"), 1e300, -1e300, -292_277_022_657]
TEXTS = [
    str(-(2**63)), "1e300", "inf", "nan", "0000-01-01", "0000-00-00", "9999-12-31 23:59:59",
    "10000-01-01", "-9999-01-01", "99999999-01-01", "2020-02-30", "2020-12-31 23:59:60",
    "2020-12-31 25:00:00", "2020-01-01T00:00:00+99:99", "13/13/2020", "9" * 5000,
]  # fmt: skip
TYPED = [
    *(
        pl.Series([far, 0, 1], dtype=pl.Int64).cast(pl.Datetime(unit))
        for unit in ("ns", "us", "ms")
        for far in (-(2**63), 2**63 - 1, 10**15)
    ),
    *(pl.Series([far, 0, 1], dtype=pl.Int32).cast(pl.Date) for far in (-(2**31), 2**31 - 1)),
    pl.Series([2**62, 0, 1]).cast(pl.Datetime("ms", "Europe/Berlin")),
    pl.Series([2**64 - 1] * 3, dtype=pl.UInt64),
    pl.Series([2**100] * 3, dtype=pl.Int128),
    pl.Series([datetime.time(1)] * 3),
    pl.Series([datetime.timedelta(1)] * 3),
    pl.Series([{"a": 1}] * 3),
    pl.Series([b"\xff"] * 3),
    pl.Series([None] * 3),
]


@pytest.mark.parametrize("time_format", [None, "s", "ns", "%Y-%m-%d"])
def test_any_time_is_read_or_refused_in_a_line(time_format):
    columns = [*TYPED, *([value] * 3 for value in (*NUMBERS, *TEXTS))]
    columns += [[value, "2020-01-01", "2021-01-01"] for value in TEXTS]
    refused = 0
    for column in columns:
        message = ""
        try:
            read(pl.DataFrame({**BASE, "timestamp": column}), time_format=time_format)
        except DataError as problem:
            message, refused = str(problem), refused + 1
        assert message.isprintable()
        assert len(message) < 300
        assert not message or "column timestamp" in message
    assert 0 < refused < len(columns)


@pytest.mark.parametrize("separator", [",", "\t", ";"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["plain", "marked"])
@pytest.mark.parametrize("header", [True, False])
def test_below_cells_of_several_lines_the_bad_cell_is_named(
    tmp_path, separator, line_end, mark, header
):
    rows = [["user", "item", "rating", "title"]] if header else []
    rows += [["1", "2", "3", f'"a{line_end}b{line_end}c"'], ["2", "2", "5", f'"q{line_end}r"']]
    above = line_end.join(separator.join(row) for row in rows) + line_end
    path = tmp_path / "t.csv"
    bad = above + separator.join(("2", "3", "bad", '"z"')) + line_end
    path.write_text(mark + bad, encoding="utf-8", newline="")
    names = None if header else {"user_id": "1", "item_id": "2", "rating": "3"}
    line = above.count("\n") + 1
    with pytest.raises(DataError, match=rf"^t.csv, row {line}, column (rating|3): 'bad'"):
        read(path, columns=names)

"""A bad cell of a file or a frame stops the reading, with one short message that names it."""

import datetime as dt

import pandas as pd
import polars as pl
import pytest
from tiny_editions import refusal, write_lines

from matinee.data import read
from matinee.errors import SettingError

LAYOUTS = {
    # file, separator, lines before the first rating, names of the four columns
    "100k": ("u.data", "\t", [], ["user_id", "item_id", "rating", "timestamp"]),
    "dat": ("ratings.dat", "::", [], ["user_id", "item_id", "rating", "timestamp"]),
    "csv": (
        "ratings.csv",
        ",",
        ["userId,movieId,rating,timestamp"],
        ["userId", "movieId", "rating", "timestamp"],
    ),
    "own": ("mine.csv", ";", ["viewer;film;score;date"], ["viewer", "film", "score", "date"]),
}
GOOD = [["1", "10", "4", "1000"], ["2", "10", "3", "1001"], ["2", "20", "5", "1002"]]


def write_table(folder, layout, rows, end="\n"):
    file, separator, header, _ = LAYOUTS[layout]
    write_lines(folder / file, [*header, *(separator.join(row) for row in rows)], end=end)
    return folder / file


def cell_of(layout, row, column):
    """How a message begins for a cell; `row` counts the ratings from 0."""
    file, _, header, names = LAYOUTS[layout]
    return f"{file}, row {row + 1 + len(header)}, column {names[column]}: "


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_good_rows_are_good(layout, tmp_path):
    assert len(read(write_table(tmp_path, layout, GOOD))) == 3


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("row", [0, 1, 2])
@pytest.mark.parametrize(
    ("column", "cell"),
    [
        *((2, cell) for cell in ("NaN", "nan", "inf", "-inf", "1e39", "four", "3,5.1")),
        *((column, "") for column in (2, 0, 1, 3)),
    ],
)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_bad_cell_in_any_layout(layout, column, cell, row, end, tmp_path):
    if cell == "3,5.1" and layout == "csv":
        cell = '"3,5.1"'
    rows = [list(cells) for cells in GOOD]
    rows[row][column] = cell
    assert refusal(write_table(tmp_path, layout, rows, end)).startswith(
        cell_of(layout, row, column)
    )


@pytest.mark.parametrize("row", [0, 2])
@pytest.mark.parametrize(
    ("column", "cell"),
    [
        *((2, cell) for cell in ("0", "-1", "5.5", "6", "3.3")),
        *((0, cell) for cell in ("-1", "0", "1.5", "ann", "9999999999999999999")),
        *((1, cell) for cell in ("-7", "0", "2.25", "Tin Boat", "5000000000000000000")),
        *((3, cell) for cell in ("yesterday", "1.5", "2001-01-01", "1000000000000000")),
    ],
)
@pytest.mark.parametrize("layout", ["100k", "dat"])
def test_bad_cell_in_an_edition(layout, column, cell, row, tmp_path):
    rows = [list(cells) for cells in GOOD]
    rows[row][column] = cell
    assert refusal(write_table(tmp_path, layout, rows)).startswith(cell_of(layout, row, column))


@pytest.mark.parametrize("cell", ["2.5", "7"])
def test_values_off_the_scale_say_which_scale_it_is(cell, tmp_path):
    message = refusal(write_table(tmp_path, "100k", [["1", "10", cell, "1000"]]))
    assert f"{cell} is not on the scale 1 to 5 in steps of 1" in message
    assert "scale=" in message


@pytest.mark.parametrize("row", [0, 1, 2])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_too_many_fields(layout, row, tmp_path):
    rows = [list(cells) for cells in GOOD]
    rows[row].append("9")
    message = refusal(write_table(tmp_path, layout, rows))
    assert message.startswith(cell_of(layout, row, 3))
    assert "more than 4 fields" in message


@pytest.mark.parametrize("row", [0, 1, 2])
@pytest.mark.parametrize("fields", [2, 3])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_too_few_fields(layout, fields, row, tmp_path):
    rows = [list(cells) for cells in GOOD]
    del rows[row][fields:]
    assert refusal(write_table(tmp_path, layout, rows)).startswith(cell_of(layout, row, fields))


@pytest.mark.parametrize("row", [0, 1])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_blank_line_among_the_ratings(layout, row, tmp_path):
    rows = [*GOOD[:row], [], *GOOD[row:]]
    assert refusal(write_table(tmp_path, layout, rows)).startswith(cell_of(layout, row, 0))


def test_surplus_field_in_a_column_that_is_not_read(tmp_path):
    # the unquoted comma of the comment would otherwise shift item and rating by one
    write_lines(tmp_path / "t.csv", ["user,note,item,stars", "1,fine,2,3", "1,well, ok,4,5"])
    message = refusal(tmp_path / "t.csv")
    assert message.startswith("t.csv, row 3, column ")
    assert "more than 4 fields" in message


def test_dat_row_with_single_colons(tmp_path):
    write_lines(tmp_path / "ratings.dat", ["1::10::4::1000", "2:9:10:9:3:9:1001"])
    assert refusal(tmp_path).startswith("ratings.dat, row 2, column item_id: ")


def test_quoted_fields_are_counted_as_one_when_a_cell_is_blamed(tmp_path):
    write_lines(
        tmp_path / "t.csv",
        ["user,title,item,stars", '"1","Tin, Boat","2","3"', '"2","Tin, Boat","2","many"'],
    )
    assert refusal(tmp_path / "t.csv").startswith("t.csv, row 3, column stars: 'many'")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_repeated_pair_is_refused(layout, tmp_path):
    message = refusal(write_table(tmp_path, layout, [*GOOD, ["2", "10", "1", "900"]]))
    assert message.startswith(cell_of(layout, 3, 1))
    first = 2 + len(LAYOUTS[layout][2])
    assert f"user 2 rated item 10 already in row {first}" in message
    assert "duplicates=" in message


def merged(path, how) -> dict[tuple[int, int], tuple[float, int | None]]:
    """Rating and time by original pair of ids."""
    ratings = read(path, duplicates=how).ratings
    times = [None] * len(ratings) if ratings.timestamp is None else ratings.timestamp.tolist()
    users = ratings.user_ids.values[ratings.user].to_list()
    items = ratings.item_ids.values[ratings.item].to_list()
    assert len(set(zip(users, items, strict=True))) == len(ratings)
    values = zip(ratings.values.tolist(), times, strict=True)
    return dict(zip(zip(users, items, strict=True), values, strict=True))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("timestamp", "how", "expected"),
    [
        ("900", "last", (3.0, 1001)),  # later in the file, but earlier in time
        ("1100", "last", (1.0, 1100)),
        ("1001", "last", (1.0, 1001)),  # the same second: the row decides
        ("900", "mean", (2.0, 1001)),
    ],
)
def test_repeated_pair_is_merged_on_request(layout, timestamp, how, expected, tmp_path):
    path = write_table(tmp_path, layout, [*GOOD, ["2", "10", "1", timestamp]])
    assert merged(path, how) == {(1, 10): (4.0, 1000), (2, 10): expected, (2, 20): (5.0, 1002)}


def test_repeated_pair_without_times_is_merged_by_row(tmp_path):
    write_lines(tmp_path / "t.csv", ["user,item,stars", "1,2,5", "1,3,4", "1,2,1", "1,2,3"])
    assert merged(tmp_path / "t.csv", "last") == {(1, 2): (3.0, None), (1, 3): (4.0, None)}
    assert merged(tmp_path / "t.csv", "mean") == {(1, 2): (3.0, None), (1, 3): (4.0, None)}


def test_unknown_way_to_merge_is_refused(tmp_path):
    with pytest.raises(
        SettingError, match="duplicates must be one of 'error', 'sum', 'last', 'mean', got 'first'"
    ):
        read(write_table(tmp_path, "own", GOOD), duplicates="first")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_empty_file(layout, tmp_path):
    path = tmp_path / LAYOUTS[layout][0]
    path.write_bytes(b"")
    assert refusal(path) == f"{path.name}: the file is empty."


@pytest.mark.parametrize("end", ["", "\n", "\n\n"])
@pytest.mark.parametrize("layout", ["csv", "own"])
def test_file_with_nothing_but_a_header(layout, end, tmp_path):
    file, _, header, _ = LAYOUTS[layout]
    (tmp_path / file).write_text(header[0] + end)
    message = refusal(tmp_path / file)
    assert message.startswith(file)
    assert "no ratings" in message or "row 2" in message


@pytest.mark.parametrize(
    ("header", "lacking"),
    [
        ("movieId,rating", "user_id"),
        ("rating,user", "item_id"),
    ],
)
def test_missing_column(header, lacking, tmp_path):
    write_lines(tmp_path / "ratings.csv", [header, "1,2,3"])
    message = refusal(tmp_path)
    assert message.startswith("ratings.csv: no column looks like " + lacking)
    assert header.replace(",", ", ") in message
    assert f"--columns {lacking}=NAME" in message


def test_header_in_a_message_is_short_and_printable(tmp_path):
    header = ["\x1b[31mred", "x" * 5000, *(f"column{at}" for at in range(500))]
    write_lines(tmp_path / "t.csv", [",".join(header), ",".join("1" for _ in header)])
    assert "\x1b" not in refusal(tmp_path / "t.csv")


def test_two_columns_of_the_same_name(tmp_path):
    write_lines(tmp_path / "t.csv", ["user,item,stars,stars", "1,2,3,4"])
    assert refusal(tmp_path / "t.csv").startswith("t.csv, row 1: ")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_utf_16_is_refused(layout, encoding, tmp_path):
    path = write_table(tmp_path, layout, GOOD)
    path.write_bytes(path.read_text().encode(encoding))
    assert refusal(path).startswith(f"{path.name}, row 1: this is not UTF-8 text")


@pytest.mark.parametrize("column", ["user", "title", "note"])
def test_latin_1_bytes_in_a_utf_8_table(column, tmp_path):
    cells = {"user": "ann", "item": "1", "rating": "3", "title": "Tin Boat", "note": "-"}
    wrong = cells | {"user": "bob", column: "Zoë"}
    lines = [",".join(cells), ",".join(cells.values()), ",".join(wrong.values())]
    write_lines(tmp_path / "t.csv", lines, encoding="iso-8859-1")
    assert refusal(tmp_path / "t.csv").startswith("t.csv, row 3: this is not UTF-8 text")


def test_latin_1_bytes_in_movies_csv(tmp_path):
    write_table(tmp_path, "csv", GOOD)
    lines = ["movieId,title,genres", "10,Tin Boat,War", "20,Zoë,War"]
    write_lines(tmp_path / "movies.csv", lines, encoding="iso-8859-1")
    assert refusal(tmp_path).startswith("movies.csv, row 3: this is not UTF-8 text")


@pytest.mark.parametrize(
    "unprintable", ["\x1b[31m", "\t", "\x07", "\x7f", "\u200b", "\u202e", "\u2028"]
)
@pytest.mark.parametrize("column", ["user", "item"])
def test_control_characters_in_text_ids(column, unprintable, tmp_path):
    rows = [{"user": "ann", "item": "x", "rating": 3}, {"user": "bob", "item": "y", "rating": 4}]
    rows[1][column] += unprintable
    message = refusal(pl.DataFrame(rows))
    assert message.startswith(f"the frame, row 2, column {column}: ")
    assert "control characters" in message
    assert unprintable not in message
    pl.DataFrame(rows).write_csv(tmp_path / "t.csv", quote_style="always")
    assert refusal(tmp_path / "t.csv").startswith(f"t.csv, row 3, column {column}: ")


@pytest.mark.parametrize("blank", ["", "  "])
def test_blank_text_ids(blank, tmp_path):
    write_lines(tmp_path / "t.csv", ["user,item,stars", "ann,x,3", f'"{blank}",x,4'])
    assert refusal(tmp_path / "t.csv").startswith("t.csv, row 3, column user: ")


MOVIES = "movieId,title,genres"


@pytest.mark.parametrize(
    ("layout", "file", "lines", "problem"),
    [
        ("csv", "movies.csv", [MOVIES, "10,A,War", "10,B,War"], "row 3, column movieId: item 10"),
        ("csv", "movies.csv", [MOVIES, "10,A,War", ",B,War"],
         "row 3, column movieId: the cell is empty"),
        ("csv", "movies.csv", [MOVIES, "10,A,War", "20,B, C,War"],
         "row 3, column genres: the row has more than 3 fields"),
        ("csv", "movies.csv", ["key,name", "10,A"], "no column looks like item_id"),
        ("dat", "movies.dat", ["10::A::War", "x::B::War"], "row 2, column item_id: 'x'"),
        ("dat", "movies.dat", ["10::A::War", "20::B"], "row 2: must have 3 fields, got 2"),
        ("dat", "movies.dat", ["10::A::War", "10::B::"], "row 2, column item_id: item"),
        ("dat", "users.dat", ["1::F::1::2::3", "::F::1::2::3"], "row 2, column user_id: "),
        ("100k", "u.item", ["10|A||", "20|B|||"], "row 1: must have 5 fields, got 4"),
        ("100k", "u.item", ["10|A|||", "b|B|||"], "row 2, column item_id: 'b'"),
        ("100k", "u.user", ["1|20|M|x|0", "2|20|M|x"], "row 2: must have 5 fields, got 4"),
        ("own", "movies.csv", ["film,title", "10,A", "10,B"], "row 3, column film: "),
    ],
)  # fmt: skip
def test_bad_row_in_a_table_beside_the_ratings(layout, file, lines, problem, tmp_path):
    path = write_table(tmp_path, layout, GOOD)
    write_lines(tmp_path / file, lines)
    assert refusal(path).startswith((f"{file}, {problem}", f"{file}: {problem}"))


def test_no_column_of_items_in_a_table_beside_the_ratings(tmp_path):
    path = write_table(tmp_path, "own", GOOD)
    write_lines(tmp_path / "movies.csv", ["name,title", "10,A"])
    assert refusal(path).startswith("movies.csv: no column looks like item")


def test_bad_row_in_an_official_split(tmp_path):
    write_table(tmp_path, "100k", GOOD)
    write_lines(tmp_path / "u1.test", ["1\t10\t4\t1000", "2\tten\t3\t1001"])
    assert refusal(tmp_path).startswith("u1.test, row 2, column item_id: 'ten'")


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


@pytest.mark.parametrize("id_", ["a\x1b[31m", "a\nb", "\u202ea", "x" * 5000, " "])
@pytest.mark.parametrize("table", ["items", "users"])
def test_ids_that_only_a_table_of_items_or_users_has_are_checked_too(table, id_):
    """Or a model of them could be saved, and its run not loaded."""
    name = f"{table[:-1]}_id"
    ratings = pl.DataFrame({"user_id": ["u", "v"], "item_id": ["i", "j"], "rating": [1, 2]})
    described = pl.DataFrame({name: ["u", "i", id_], "town": ["A", "B", "C"]})
    said = refusal(ratings, **{table: described})
    assert said.startswith(f"the frame of {table}, row 3, column {name}: the id ")


def test_a_number_too_large_for_an_id_in_a_table_of_items_is_read_as_text():
    ratings = pl.DataFrame({"user_id": [1, 2], "item_id": [1, 2], "rating": [1, 2]})
    data = read(ratings, items=pl.DataFrame({"item_id": [1, 2**63 - 1], "title": ["A", "B"]}))
    assert data.catalog.ids.values.to_list() == ["1", "2", str(2**63 - 1)]


@pytest.mark.parametrize("scale", [(0, 1e39), (-1e300, 5), (0, 5, 1e31)])
def test_a_scale_beyond_numbers_of_32_bits_is_refused(scale):
    ratings = pl.DataFrame({"user_id": [1, 2], "item_id": [1, 2], "rating": [1, 2]})
    with pytest.raises(SettingError, match="scale must be finite"):
        read(ratings, scale=scale)

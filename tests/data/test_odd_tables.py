"""Tables as people have them: read at once, or refused in one line that says what to do."""

import bz2
import gzip
import lzma
from contextlib import suppress
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from tiny_editions import refusal, rows_of

from matinee.data import read
from matinee.errors import DataError

EDITION = "userId,movieId,rating,timestamp\n"


def written(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


# headers and separators


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("user, item, rating\n1,007,4\n2,7,3\n", [(1, "007", 4), (2, "7", 3)]),
        ("user, item, rating\nann,A1,4\n", [("ann", "A1", 4)]),
        ("user, item, rating, date\nann ,A1 ,4 ,1970-01-02 \n", [("ann", "A1", 4, 86400)]),
        ('user,item,rating,"a, b"\n1,2,3,x\n', [(1, 2, 3)]),
        ("user,item,rating,,\n1,2,3,,\n2,2,4,,\n", [(1, 2, 3), (2, 2, 4)]),
        ('"user", "item", "rating"\n1, "007", 4\n2, "7", "3" \n', [(1, "007", 4), (2, "7", 3)]),
        ("user,item,rating,note,note\n1,2,3,a,b\n", [(1, 2, 3)]),
        ("user;item;rating\n1;1;3,5\n2;1;4\n", [(1, 1, 3.5), (2, 1, 4)]),
        ("\ufeffuser,item,rating\r\n1,2,3\r\n", [(1, 2, 3)]),
    ],
    ids=["zeros", "texts", "dates", "comma", "excel", "quotes", "twins", "decimal-comma", "bom"],
)
def test_headers_and_separators(text, rows, tmp_path):
    assert rows_of(read(written(tmp_path / "t.csv", text))) == rows


def test_a_table_without_a_header_is_named_by_position(tmp_path):
    path = written(tmp_path / "t.csv", "1,2,3,964982703\n2,2,4,964982704\n")
    with pytest.raises(DataError, match="user_id=1,item_id=2,rating=3,timestamp=4") as refused:
        read(path)
    advice = str(refused.value).rpartition("--columns ")[2]
    columns = dict(pair.split("=") for pair in advice.split(","))
    assert rows_of(read(path, columns=columns)) == [(1, 2, 3, 964982703), (2, 2, 4, 964982704)]


@pytest.mark.parametrize(
    ("text", "titles"),
    [
        ('user\titem\trating\ttitle\n1\t1\t3\t12" a\n1\t2\t3\tb\n2\t3\t4\tsay "c\n2\t4\t3\td\n',
         ['12" a', "b", 'say "c', "d"]),
        ('user,item,rating,title\n1,1,3,12" a\n2,2,4,b\n', ['12" a', "b"]),
        ('user,item,rating,title\n1,1,3,"never closed\n2,2,4,b\n', ['"never closed', "b"]),
    ],
)  # fmt: skip
def test_no_row_vanishes_between_stray_quotes(text, titles, tmp_path):
    data = read(written(tmp_path / ("t.tsv" if "\t" in text else "t.csv"), text))
    assert data.catalog.titles == titles
    assert len(data) == len(titles)


def test_the_row_is_that_of_an_editor_after_cells_of_several_lines(tmp_path):
    text = 'user,item,rating,title\n1,1,3,"a\nb\nc"\n2,1,bad,d\n'
    with pytest.raises(DataError, match=r"row 5, column rating: 'bad' is not a number"):
        read(written(tmp_path / "t.csv", text))


def test_long_cells_and_names_are_one_short_line(tmp_path):
    wide = written(tmp_path / "long.csv", f"user,item,rating\n1,1,{'x' * 5_000_000}\n")
    named = written(tmp_path / "named.csv", f"user,item,{'r' * 50_000}\n1,1,3\n")
    for path, columns in ((wide, None), (named, {"rating": "nope"})):
        with pytest.raises(DataError) as refused:
            read(path, columns=columns)
        assert len(str(refused.value)) < 300


@pytest.mark.thorough
@pytest.mark.slow
def test_twenty_thousand_columns(tmp_path):
    names = ["user", "item", "rating", *(f"c{number}" for number in range(20_000))]
    text = f"{','.join(names)}\n{','.join('1' * len(names))}\n"
    assert rows_of(read(written(tmp_path / "t.csv", text))) == [(1, 1, 1)]


# files


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("t.csv.gz", gzip.compress),
        ("t.csv.bz2", bz2.compress),
        ("t.csv.xz", lzma.compress),
        ("T.CSV", bytes),
        ("t.Tsv", lambda text: text.replace(b",", b"\t")),
    ],
)
def test_compressed_files_and_endings_in_capitals(name, pack, tmp_path):
    path = written(tmp_path / name, pack(b"user,item,rating\n1,2,3\n"))
    assert rows_of(read(path)) == [(1, 2, 3)]


def test_parts_of_a_table_are_one_table(tmp_path):
    for number in range(2):
        part = pl.DataFrame({"user": [number], "item": [7], "rating": [3.0 + number]})
        written(tmp_path / "parts" / ".keep", "")
        part.write_parquet(tmp_path / "parts" / f"part-{number}.parquet")
    for source in (tmp_path / "parts", str(tmp_path / "parts" / "part-*.parquet")):
        data = read(source)
        assert rows_of(data) == [(0, 7, 3), (1, 7, 4)]
        assert data.name == "parts"


def test_names_that_kaggle_gives(tmp_path):
    header = '"userId","movieId","rating","timestamp"\n'
    written(tmp_path / "k" / "rating.csv", f'{header}1,1,3.5,"2005-04-02 23:53:47"\n')
    movies = '"movieId","title","genres"\n1,"Toy Story (1995)","Animation|Children"\n'
    written(tmp_path / "k" / "movie.csv", movies)
    written(tmp_path / "k" / "tag.csv", '"userId","movieId","tag","timestamp"\n1,1,"x","2005"\n')
    for source in ("k", "k/rating.csv"):
        data = read(tmp_path / source)
        assert rows_of(data) == [(1, 1, 3.5, 1112486027)]
        assert data.catalog.titles == ["Toy Story (1995)"]


@pytest.mark.parametrize(
    "row",
    [
        "1,2,4.5,2020-01-01T10:00:00Z",
        "550e8400-e29b-41d4-a716-446655440000,2,4,964982703",
        "0,0,4,964982703",
        "1.0,2.0,4,964982703.0",
        "1,2,10,964982703",
    ],
)
def test_a_table_called_like_an_edition_is_read_like_any_other(row, tmp_path):
    ours = read(written(tmp_path / "a" / "ratings.csv", f"{EDITION}{row}\n"))
    mine = read(written(tmp_path / "b" / "mine.csv", f"{EDITION}{row}\n"))
    assert rows_of(ours) == rows_of(mine)
    assert ours.ratings.scale == mine.ratings.scale


def test_tables_of_items_whose_columns_are_named_once(tmp_path):
    books = written(tmp_path / "movies.csv", "book,name,subjects,published\nb1,One,War,1999\n")
    path = written(tmp_path / "ratings.csv", "reader,book,grade,when\nann,b1,4,1970-01-02\n")
    names = {
        "user_id": "reader", "item_id": "book", "rating": "grade", "timestamp": "when",
        "title": "name", "genres": "subjects", "year": "published",
    }  # fmt: skip
    data = read(path, columns=names)
    assert rows_of(data) == [("ann", "b1", 4, 86400)]
    assert data.catalog.frame.row(0) == ("One", ["War"], 1999)
    elsewhere = books.rename(tmp_path / "library.csv")
    assert read(path, columns=names, items=elsewhere).catalog.titles == ["One"]
    with pytest.raises(DataError, match="no column 'nope'"):
        read(path, columns={**names, "title": "nope"}, items=elsewhere)


def test_further_columns_of_items_and_users_are_attributes(tmp_path):
    written(tmp_path / "items.csv", "item,title,language,minutes\n1,A,fr,90\n2,B,it,120\n")
    written(tmp_path / "users.csv", "user,age,since\n1,30,2001-02-03\n2,40,2010-01-01\n")
    data = read(written(tmp_path / "t.csv", "user,item,rating\n1,1,3\n2,2,4\n"))
    assert data.catalog.frame["language"].to_list() == ["fr", "it"]
    assert data.catalog.frame["minutes"].to_list() == [90.0, 120.0]
    assert data.user_attributes["since"].to_list() == [2001, 2010]
    assert data.users.names == ("age", "since")


@pytest.mark.parametrize("content", ["Jos\u00e9,1,3".encode("latin-1"), "a".encode("utf-16")])
def test_text_that_is_no_utf8_is_one_line(content, tmp_path):
    with pytest.raises(DataError, match=r"not UTF-8 text\. Save the file as UTF-8"):
        read(written(tmp_path / "t.csv", b"user,item,rating\n" + content + b"\n"))


# times


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-02", 86400),
        ("1970-01-02T00:00:10Z", 86410),
        ("1970-01-02 01:00:00+01:00", 86400),
        ("13 Feb 2019", 1550016000),
        ("04/25/2019", 1556150400),
        ("25.04.2019", 1556150400),
        ("9.64982703e+08", 964982703),
        ("964982703.0", 964982703),
        ("964982703000", 964982703),
        ("-62167219200", -62167219200),
    ],
)
def test_forms_of_times(text, seconds, tmp_path):
    data = read(written(tmp_path / "t.csv", f"user,item,rating,date\n1,2,3,{text}\n"))
    assert data.ratings.timestamp.tolist() == [seconds]


@pytest.mark.parametrize(
    ("text", "form", "seconds"),
    [("03/04/2019", "%d/%m/%Y", 1554249600), ("20190213", "%Y%m%d", 1550016000)],
)
def test_a_date_that_could_be_two_needs_a_form(text, form, seconds, tmp_path):
    path = written(tmp_path / "t.csv", f"user,item,rating,date\n1,2,3,{text}\n")
    with pytest.raises(DataError, match="--time-format"):
        read(path)
    assert read(path, time_format=form).ratings.timestamp.tolist() == [seconds]
    assert read(path, columns={"timestamp": None}).ratings.timestamp is None


def test_an_empty_time_is_refused_with_the_way_out(tmp_path):
    path = written(tmp_path / "t.csv", "user,item,rating,date\n1,2,3,2020-01-01\n1,3,4,\n")
    with pytest.raises(DataError, match=r"row 3, column date.*--columns timestamp=none"):
        read(path)
    assert len(read(path, columns={"timestamp": "none"})) == 2


@pytest.mark.parametrize("value", [-(2**63), 2**63 - 1, "0000-01-01", "9999-12-31"])
def test_the_farthest_times_are_read_without_a_warning(value, tmp_path):
    path = written(tmp_path / "t.csv", f"user,item,rating,ts\n1,1,3,{value}\n")
    assert len(read(path)) == 1


def test_what_is_no_time_is_refused(tmp_path):
    with pytest.raises(DataError, match="column ts: 'later'"):
        read(written(tmp_path / "t.csv", "user,item,rating,ts\n1,1,3,later\n"))


# in memory


@pytest.mark.parametrize(
    "source",
    [
        [(1, 2, 3.0), (2, 2, 4.0)],
        [{"user": 1, "item": 2, "rating": 3}, {"user": 2, "item": 2, "rating": 4}],
        np.array([[1, 2, 3], [2, 2, 4]]),
        pd.DataFrame({"user": [1, 2], "item": [2, 2], "rating": [3, 4]}).convert_dtypes(),
        pd.DataFrame({"user": [1, 2], "item": [2, 2], "rating": [Decimal(3), Decimal(4)]}),
        pl.LazyFrame({"user": [1, 2], "item": [2, 2], "rating": [3, 4]}),
    ],
    ids=["tuples", "dicts", "array", "nullable", "decimals", "lazy"],
)
def test_tables_in_memory(source):
    assert rows_of(read(source)) == [(1, 2, 3), (2, 2, 4)]


class Arrow:
    """Anything with Arrow's interface."""

    def __init__(self, frame):
        self.frame = frame

    def __arrow_c_stream__(self, requested_schema=None):
        return self.frame.__arrow_c_stream__(requested_schema)


def test_whatever_has_the_interface_of_arrow():
    table = Arrow(pl.DataFrame({"user": [1], "item": [2], "rating": [3]}))
    assert rows_of(read(table)) == [(1, 2, 3)]


def test_a_series_by_user_and_item():
    index = pd.MultiIndex.from_tuples([(1, 2), (1, 3)], names=["user", "item"])
    assert rows_of(read(pd.Series([3, 4], index=index, name="rating"))) == [(1, 2, 3), (1, 3, 4)]


def test_a_sparse_matrix_holds_counts_or_with_a_scale_ratings():
    matrix = sparse.csr_matrix(np.array([[0, 2], [1, 0]]))
    counted, rated = read(matrix), read(matrix, scale=(1, 5, 1))
    assert rows_of(counted) == rows_of(rated) == [(0, 1, 2), (1, 0, 1)]
    assert counted.ratings.scale is None
    assert rated.ratings.scale is not None


def test_columns_of_one_name_are_refused_in_frames_as_in_files():
    row, names = [[1, 2, 3, 4]], ["user", "item", "rating"]
    for twice in names:
        frame = pd.DataFrame(row, columns=[*names, twice])
        assert "two columns have the same name" in refusal(frame)
    frame = pd.DataFrame([[1, 2, 3, "a", "b"]], columns=[*names, "note", "note"])
    assert rows_of(read(frame)) == [(1, 2, 3)]


def test_an_empty_line_in_place_of_the_header_is_told(tmp_path):
    path = written(tmp_path / "r.csv", "\n\nuser,item,rating\n1,2,3\n")
    assert refusal(path) == (
        "r.csv, row 1: it is empty; the names of the columns must stand there."
    )


def test_missing_titles_and_genres_of_a_nullable_frame():
    frame = pd.DataFrame(
        {"user": [1, 2], "item": [1, 2], "rating": [3, 4], "title": ["A", None],
         "genres": ["x|y", None]}
    ).convert_dtypes()  # fmt: skip
    catalog = read(frame).catalog
    assert catalog.titles == ["A", "2"]
    assert catalog.frame["genres"].to_list() == [["x", "y"], []]


@pytest.mark.parametrize(
    ("ids", "read_as"),
    [
        (pl.Series([2**63 + 5], dtype=pl.UInt64), [str(2**63 + 5)]),
        (pl.Series(["007"]), ["007"]),
        (pl.Series([Decimal(7)]), [7]),
        (pl.Series([7.0]), [7]),
        (pl.Series([1, "a"], dtype=pl.Object), ["1", "a"]),
    ],
)
def test_ids_mean_the_same_from_frames_and_files(ids, read_as):
    rows = len(ids)
    frame = {"user": ids, "item": range(rows), "rating": [3] * rows}
    assert read(frame).ratings.user_ids.values.to_list() == read_as


def test_odd_names_of_columns_and_data():
    frame = pl.DataFrame({"user": [1], "item": [1], "rating": [3.0], "^.*$": [1]})
    assert rows_of(read(frame, name=5)) == [(1, 1, 3)]
    assert read(frame, name=5).name == "5"


@pytest.mark.parametrize(
    "genres",
    [pl.Series([{"a": 1}]), pl.Series([[["a"]]]), pl.Series([b"\xff\xfe"])],
    ids=["struct", "nested", "binary"],
)
def test_genres_of_an_odd_type_are_one_line(genres, tmp_path):
    path = tmp_path / "t.parquet"
    pl.DataFrame({"user": [1], "item": [1], "rating": [3], "genres": genres}).write_parquet(path)
    with pytest.raises(DataError, match="column genres: must be text or lists of text"):
        read(path)
    assert len(read(path, columns={"genres": "none"})) == 1


@pytest.mark.thorough
@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
@pytest.mark.parametrize("column", ["genres", "title", "rating", "note"])
def test_columns_that_nest_hundreds_deep_are_refused(column, suffix, tmp_path):
    """polars ends the process, without an error, where it reads such cells."""
    kind = pl.Int64
    for _ in range(400):
        kind = pl.List(kind)
    columns = {"user": [1, 2], "item": [1, 2], "rating": [3, 4], "genres": ["War", "Drama"]}
    columns[column] = pl.Series([None, None], dtype=kind)
    path = tmp_path / f"t.{suffix}"
    table = pl.DataFrame(columns)
    table.write_parquet(path) if suffix == "parquet" else table.write_ipc(path)
    assert "its columns are nested more than 64 deep" in refusal(path)


def test_rows_that_end_in_empty_fields(tmp_path):
    path = written(tmp_path / "t.csv", "user,item,rating\n1,2,3,,\n1,3,4,,\n")
    assert rows_of(read(path)) == [(1, 2, 3.0), (1, 3, 4.0)]
    written(path, "user,item,rating\n1,2,3,,\n1,3,4,,x\n")
    assert "row 3" in refusal(path)


def test_a_header_of_two_lines_above_rows_without_quotes(tmp_path):
    path = written(tmp_path / "t.csv", 'user,item,rating,"ti\ntle"\n1,1,3,a\n1,2,x,d\n')
    assert refusal(path).startswith("t.csv, row 4, column rating: 'x'")
    written(path, path.read_text().replace("x,", "4,"))
    assert rows_of(read(path)) == [(1, 1, 3.0), (1, 2, 4.0)]


def test_a_first_row_of_data_that_reads_like_positions_is_a_row(tmp_path):
    path = written(tmp_path / "t.csv", "1,2,3\n1,3,4\n")
    columns = {"user_id": "1", "item_id": "2", "rating": "3"}
    assert rows_of(read(path, columns=columns)) == [(1, 2, 3.0), (1, 3, 4.0)]


def test_columns_that_pandas_has_numbered_are_named_by_their_header(tmp_path):
    path = written(tmp_path / "t.csv", "0,1,2\n7,8,3\n7,9,4\n")
    columns = {"user_id": "0", "item_id": "1", "rating": "2"}
    assert rows_of(read(path, columns=columns)) == [(7, 8, 3.0), (7, 9, 4.0)]


def test_a_bad_cell_among_decimal_commas_is_the_one_named(tmp_path):
    path = written(tmp_path / "t.csv", "user;item;rating\n1;1;3,5\n1;2;4x\n")
    assert refusal(path).startswith("t.csv, row 3, column rating: '4x'")
    written(path, "user;item;rating\n1;1;1,500\n1;2;4\n")  # a thousand and a half?
    assert refusal(path).startswith("t.csv, row 2, column rating: '1,500'")


@pytest.mark.parametrize(
    "time",
    [
        pl.Series([-(2**63)]).cast(pl.Datetime("us")),
        pl.Series([2**63 - 1]).cast(pl.Datetime("ms")),
        pl.Series([2**31 - 1], dtype=pl.Int32).cast(pl.Date),
    ],
)
def test_dates_beyond_the_calendar_are_one_line(time):
    frame = pl.DataFrame({"user": [1], "item": [1], "rating": [3], "time": time})
    assert refusal(frame).startswith("the frame, row 1, column time: ")


def test_missing_values_in_an_array(tmp_path):
    path = written(tmp_path / "t.csv", "user,item,rating\n1,2,-1\n1,3,4\n")
    assert rows_of(read(path, missing=np.array([-1.0, 99.0]))) == [(1, 3, 4.0)]


def test_a_header_alone_of_interactions(tmp_path):
    path = written(tmp_path / "t.csv", "user,item\n")
    assert refusal(path) == "t.csv: there are no interactions in it."


@pytest.mark.parametrize("column", ["title", "genres", "year", "colour"])
@pytest.mark.parametrize("cells", [[True, []], [1, [2], None], ["a", {"b": 1}], [b"a", []]])
def test_lists_beside_what_is_none_are_text_or_one_line(column, cells):
    rows = [{"user": k, "item": k, "rating": 3, column: cell} for k, cell in enumerate(cells)]
    items = {"item": list(range(len(cells))), column: cells}
    for options in ({}, {"items": items}):
        with suppress(DataError):
            data = read(rows if not options else [(1, 1, 3), (2, 2, 4)], **options)
            assert len(data.catalog.titles) >= 2


@pytest.mark.parametrize("missing", [0, "", "nan", [-1, ""]])
@pytest.mark.parametrize("cells", [[b"\xff", b"\xfe"], [[1], [2]], [{"a": 1}, {"a": 2}]])
def test_ratings_that_are_none_are_refused_whatever_is_missing(cells, missing):
    said = refusal({"user": [1, 2], "item": [1, 2], "rating": cells}, missing=missing)
    assert "column rating: " in said


@pytest.mark.parametrize("column", ["user", "item", "rating", "time", "title", "genres", "year"])
def test_bytes_that_are_no_text_are_one_line_in_any_column(column):
    columns = {
        "user": [1, 2],
        "item": [1, 2],
        "rating": [1, 2],
        "time": [3, 4],
        "title": ["A", "B"],
    }
    assert column in refusal(columns | {column: [b"\xff", b"\xfe"]})

"""Tables of one's own: any layout, column names, types of ids, scale and format of time."""

import datetime as dt
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_editions import rows_of, write_lines, zip_folder

from matinee.data import RatingScale, read
from matinee.errors import DataError, SettingError

TABLE = pl.DataFrame(
    {
        "user": ["ann", "ann", "bob", "cem"],
        "film": [7, 9, 7, 8],
        "score": [4.0, 2.0, 5.0, 1.0],
        "date": [400, 300, 200, 100],
    }
)
ROWS = [("ann", 7, 4.0, 400), ("ann", 9, 2.0, 300), ("bob", 7, 5.0, 200), ("cem", 8, 1.0, 100)]


@pytest.mark.parametrize(
    ("file", "separator"),
    [("t.csv", ","), ("t.csv", ";"), ("t.txt", "|"), ("t.txt", "\t"), ("t.tsv", "\t")],
)
def test_delimited_files(file, separator, tmp_path):
    TABLE.write_csv(tmp_path / file, separator=separator)
    assert rows_of(read(tmp_path / file)) == ROWS


def test_parquet_files(tmp_path):
    TABLE.write_parquet(tmp_path / "t.parquet")
    assert rows_of(read(tmp_path / "t.parquet")) == ROWS


@pytest.mark.parametrize(
    "frame",
    [
        TABLE,
        TABLE.lazy(),
        TABLE.to_dict(as_series=False),
        pd.DataFrame(TABLE.to_dict(as_series=False)),
        TABLE.with_columns(pl.col("user").cast(pl.Categorical)),
        pd.DataFrame(TABLE.to_dict(as_series=False)).astype({"user": "category"}),
        pd.DataFrame(TABLE.to_dict(as_series=False)).astype({"film": "Int64"}),
    ],
    ids=["polars", "lazy", "dict", "pandas", "categorical", "pandas-category", "pandas-nullable"],
)
def test_frames(frame):
    data = read(frame)
    assert rows_of(data) == ROWS
    assert data.name == "table"


def test_quoted_fields_and_byte_order_mark(tmp_path):
    TABLE.write_csv(tmp_path / "t.csv", quote_style="always", include_bom=True)
    assert rows_of(read(tmp_path / "t.csv")) == ROWS


@pytest.mark.parametrize(
    "header",
    ["user,item,rating", "userId,movieId,stars", "User ID,Film,Score", "uid,iid,r", "U,ISBN,value"],
)
def test_default_column_names_are_guessed(header, tmp_path):
    write_lines(tmp_path / "t.csv", [header, "1,2,3"])
    assert rows_of(read(tmp_path / "t.csv")) == [(1, 2, 3.0)]


def test_columns_may_stand_in_any_order_among_others(tmp_path):
    write_lines(tmp_path / "t.csv", ["note,stars,age,movie,user", "x,3,40,2,1", ",4,,5,1"])
    assert rows_of(read(tmp_path / "t.csv")) == [(1, 2, 3.0), (1, 5, 4.0)]


def test_given_columns_come_before_guessed_ones(tmp_path):
    write_lines(tmp_path / "t.csv", ["reader,book,grade,user,rating", "a,b,3,zzz,99"])
    columns = {"user_id": "reader", "item_id": "book", "rating": "grade"}
    data = read(tmp_path / "t.csv", columns=columns)
    assert rows_of(data) == [("a", "b", 3.0)]
    assert data.reading["columns"] == columns


def test_given_column_that_is_not_there_is_refused():
    with pytest.raises(DataError, match="no column 'reader'"):
        read(TABLE, columns={"user_id": "reader"})


def test_unknown_key_of_columns_is_refused():
    with pytest.raises(SettingError, match=r"among user_id, item_id, rating, .* got 'colour'"):
        read(TABLE, columns={"colour": "user"})


def test_ids_with_leading_zeros_stay_text(tmp_path):
    write_lines(tmp_path / "t.csv", ["user,item,stars", "007,1,3", "7,1,4", "12,010,5"])
    data = read(tmp_path / "t.csv")
    assert data.ratings.user_ids.values.to_list() == ["007", "12", "7"]
    assert data.ratings.item_ids.values.to_list() == ["010", "1"]


@pytest.mark.parametrize(
    ("written", "read_as"),
    [
        (["3", "-1", "0"], [-1, 0, 3]),
        (["3", "10", "9"], [3, 9, 10]),
        (["b", "a", "3"], ["3", "a", "b"]),
        (["10.0", "2.0", "3"], [2, 3, 10]),
        (["é", "ñ", "z"], ["z", "é", "ñ"]),
        (["123456789012345678", "1", "2"], [1, 2, 123456789012345678]),
        # beyond what a 64-bit number holds
        (["99999999999999999999", "1", "2"], ["1", "2", "99999999999999999999"]),
    ],
)
def test_kinds_of_ids(written, read_as, tmp_path):
    write_lines(tmp_path / "t.csv", ["user,item,stars", *(f"{user},1,3" for user in written)])
    assert read(tmp_path / "t.csv").ratings.user_ids.values.to_list() == read_as


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ([1, 2, 5], "1 to 5 in steps of 1"),
        ([0.5, 1, 4.5], "0.5 to 4.5 in steps of 0.5"),
        ([0, 100, 30], "0 to 100"),  # on no grid of 30
        ([-1, 1, 1], "-1 to 1 in steps of 2"),
        ([3, 3, 3], "3 to 3"),
        ([1.0, 1.3, 2.05], "1 to 2.05"),
    ],
)
def test_scale_is_taken_from_the_values(values, scale):
    data = read({"user": [1, 2, 3], "item": [1, 1, 1], "rating": values})
    assert str(data.ratings.scale) == scale


def test_given_scale_holds():
    data = read(TABLE, scale=(0, 10))
    assert data.ratings.scale == RatingScale(0, 10)
    with pytest.raises(DataError, match="row 3, column score: 5 is not on the scale 1 to 4"):
        read(TABLE, scale=(1, 4, 1))
    for step in (1e-60, 1e-300, 5e-324):  # too small for any rating to be a multiple
        with pytest.raises(DataError, match="is not on the scale 0 to 5 in steps of"):
            read(TABLE, scale=(0, 5, step))
    for wrong in ((5,), (5, 1), ("a", "b"), (1, float("inf"))):
        with pytest.raises(SettingError, match="scale"):
            read(TABLE, scale=wrong)


@pytest.mark.parametrize(
    ("moment", "seconds"),
    [
        ("1970-01-02", 86_400),
        ("1970-01-02 00:00:07", 86_407),
        ("1970-01-02T00:00:07Z", 86_407),
        ("1970-01-02T02:00:07+02:00", 86_407),
        ("86407", 86_407),
        ("86407.0", 86_407),
    ],
)
def test_written_times(moment, seconds, tmp_path):
    write_lines(tmp_path / "t.csv", ["user,item,stars,time", f"1,1,3,{moment}", f"2,1,4,{moment}"])
    assert read(tmp_path / "t.csv").ratings.timestamp.tolist() == [seconds, seconds]


@pytest.mark.parametrize(
    "moment",
    [
        dt.date(1970, 1, 2),
        dt.datetime(1970, 1, 2),
        dt.datetime(1970, 1, 2, tzinfo=dt.UTC),
        dt.datetime(1970, 1, 2, 2, tzinfo=dt.timezone(dt.timedelta(hours=2))),
        86_400,
        86_400.0,
    ],
)
def test_times_in_frames(moment):
    columns = {"user": [1, 2], "item": [1, 1], "rating": [3, 4], "time": [moment, moment]}
    assert read(pl.DataFrame(columns)).ratings.timestamp.tolist() == [86_400, 86_400]
    assert read(pd.DataFrame(columns)).ratings.timestamp.tolist() == [86_400, 86_400]


@pytest.mark.parametrize("separator", ["|", ", ", ";"])
def test_titles_and_genres_in_the_same_table(separator, tmp_path):
    genres = separator.join(["Drama", "War"])
    write_lines(
        tmp_path / "t.csv",
        [
            "user\titem\tstars\ttitle\tgenres\tyear",
            f"1\t2\t3\tTin Boat\t{genres}\t1990",
            f"2\t2\t3\tTin Boat\t{genres}\t1990",
            "1\t5\t3\tPlain, or Not (1991)\t\t",
        ],
    )
    data = read(tmp_path / "t.csv")
    assert rows_of(data) == [(1, 2, 3.0), (2, 2, 3.0), (1, 5, 3.0)]
    assert data.catalog.titles == ["Tin Boat", "Plain, or Not (1991)"]
    assert data.catalog.genre_names == ("Drama", "War")
    assert data.catalog.genre_matrix.tolist() == [[1, 1], [0, 0]]
    assert data.catalog.frame["year"].to_list() == [1990, None]


def test_genres_as_lists_in_a_frame():
    frame = TABLE.with_columns(genres=pl.Series([["War"], ["Drama", "War"], ["War"], []]))
    assert read(frame).catalog.frame["genres"].to_list() == [["War"], [], ["Drama", "War"]]


def test_titles_that_are_numbers_in_a_frame():
    assert read(TABLE.with_columns(title=pl.Series([1917, 300, 1917, 9]))).catalog.titles == [
        "1917",
        "9",
        "300",
    ]


@pytest.mark.parametrize("items", ["movies.csv", "movies.tsv", "movies.parquet"])
def test_movies_beside_the_ratings(items, tmp_path):
    TABLE.write_csv(tmp_path / "mine.csv")
    # the years as pandas writes whole numbers with a gap
    table = pl.DataFrame(
        {"movieId": [9, 7, 11], "title": ["Nine", "Seven", "New"], "year": [1999.0, None, 2001.0]}
    )
    if items.endswith("parquet"):
        table.write_parquet(tmp_path / items)
    else:
        table.write_csv(tmp_path / items, separator="\t" if items.endswith("tsv") else ",")
    catalog = read(tmp_path / "mine.csv").catalog
    assert catalog.ids.values.to_list() == [7, 8, 9, 11]
    assert catalog.titles == ["Seven", "8", "Nine", "New"]
    assert catalog.frame["year"].to_list() == [None, None, 1999, 2001]


def test_movies_with_text_ids_beside_ratings_with_numbers(tmp_path):
    TABLE.write_csv(tmp_path / "mine.csv")
    write_lines(tmp_path / "movies.csv", ["item,title", "7,Seven", "x8,Eight"])
    catalog = read(tmp_path / "mine.csv").catalog
    assert catalog.ids.values.to_list() == ["7", "8", "9", "x8"]
    assert catalog.titles == ["Seven", "8", "9", "Eight"]


def test_ratings_csv_with_other_columns_than_movielens(tmp_path):
    write_lines(tmp_path / "ratings.csv", ["user,item,stars", "ann,x,10", "bob,x,0"])
    assert rows_of(read(tmp_path)) == [("ann", "x", 10.0), ("bob", "x", 0.0)]


def test_ratings_csv_of_movielens_without_timestamps(tmp_path):
    write_lines(tmp_path / "ratings.csv", ["userId,movieId,rating", "1,2,3.5"])
    write_lines(tmp_path / "movies.csv", ["movieId,title,genres", "2,Tin Boat (1990),War"])
    data = read(tmp_path)
    assert rows_of(data) == [(1, 2, 3.5)]
    assert data.catalog.titles == ["Tin Boat (1990)"]


@pytest.mark.parametrize("zipped", [False, True])
def test_folder_with_a_single_table(zipped, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    TABLE.write_csv(folder / "anything.csv")
    write_lines(folder / "readme.txt", ["What this is."])
    source = zip_folder(folder, tmp_path / "mine.zip") if zipped else folder
    data = read(source)
    assert rows_of(data) == ROWS
    assert data.name == "mine"


def test_folder_with_two_tables_is_refused(tmp_path):
    TABLE.write_csv(tmp_path / "one.csv")
    TABLE.write_csv(tmp_path / "two.csv")
    with pytest.raises(DataError, match="no file of ratings"):
        read(tmp_path)


@pytest.mark.parametrize("source", ["nowhere.csv", "ml-100k", "a" * 300, "~nobody-at-all/x", "ml"])
def test_source_that_is_not_there(source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"is not on this machine|There is no file"):
        read(source)


def test_name_that_is_nearly_an_edition_gets_a_hint():
    with pytest.raises(DataError, match="Did you mean ml-100k"):
        read("ml-100")
    with pytest.raises(DataError, match="matinee data fetch ml-100k"):
        read("ml-100k")


@pytest.mark.parametrize("source", [5, object(), [1, 2], {"user": [1, 2], "item": [1]}])
def test_something_that_is_no_table_is_refused(source):
    with pytest.raises(DataError):
        read(source)


def test_file_of_another_kind_is_refused(tmp_path):
    write_lines(tmp_path / "t.xlsx", ["user,item,stars", "1,2,3"])
    with pytest.raises(DataError, match=r"t\.xlsx: must be a MovieLens file or a table"):
        read(tmp_path / "t.xlsx")
    write_lines(tmp_path / "t.parquet", ["user,item,stars", "1,2,3"])
    with pytest.raises(DataError, match=r"t\.parquet: this is not a complete Parquet file"):
        read(tmp_path / "t.parquet")


TEXT_IDS = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1)
NUMBER_IDS = st.integers(-(2**62) + 1, 2**62 - 1)


@pytest.mark.slow
@given(
    pairs=st.one_of(
        st.lists(st.tuples(TEXT_IDS, TEXT_IDS), min_size=1, max_size=20, unique=True),
        st.lists(st.tuples(NUMBER_IDS, NUMBER_IDS), min_size=1, max_size=20, unique=True),
    ),
    draw=st.data(),
)
@settings(max_examples=50, deadline=None)
def test_any_frame_reads_back_exactly(pairs, draw):
    values = draw.draw(
        st.lists(st.floats(-100, 100, width=32), min_size=len(pairs), max_size=len(pairs))
    )
    users, items = (list(side) for side in zip(*pairs, strict=True))
    columns = {"user": users, "item": items, "rating": np.array(values, np.float32)}
    expected = list(zip(users, items, values, strict=True))
    assert rows_of(read(pl.DataFrame(columns))) == expected
    assert rows_of(read(pd.DataFrame(columns))) == expected


@pytest.mark.slow
@given(
    pairs=st.lists(st.tuples(TEXT_IDS, TEXT_IDS), min_size=1, max_size=20, unique=True),
    separator=st.sampled_from([",", ";", "\t", "|"]),
    end=st.sampled_from(["\n", "\r\n"]),
)
@settings(max_examples=50, deadline=None)
def test_any_text_ids_read_back_exactly_from_a_quoted_file(pairs, separator, end):
    # a letter in front keeps every id text, whatever follows
    pairs = [("u" + user, "i" + item) for user, item in pairs]
    table = pl.DataFrame({"user": [u for u, _ in pairs], "item": [i for _, i in pairs]})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "t.csv")
        table.with_columns(rating=pl.lit(3)).write_csv(
            path, separator=separator, line_terminator=end, quote_style="always"
        )
        assert rows_of(read(path)) == [(user, item, 3.0) for user, item in pairs]


@pytest.mark.parametrize("dtype", [pl.Int8, pl.Int16, pl.Int32, pl.UInt8, pl.UInt32, pl.UInt64])
def test_ids_of_any_integer_width(dtype):
    frame = pl.DataFrame({"user": [1, 2, 1], "item": [3, 3, 4], "rating": [1, 2, 3]})
    data = read(frame.with_columns(pl.col("user", "item").cast(dtype)))
    assert data.ratings.item_ids.values.to_list() == [3, 4]


def test_averaged_duplicates_may_lie_between_the_steps():
    frame = pl.DataFrame({"user": [1, 1, 2], "item": [3, 3, 4], "rating": [1, 2, 5]})
    data = read(frame, duplicates="mean")
    assert data.ratings.scale.contains(data.ratings.values).all()
    assert 1.5 in data.ratings.values


def test_the_fingerprint_knows_times(tmp_path):
    frame = pl.DataFrame({"user": [1, 2], "item": [3, 3], "rating": [1, 2], "timestamp": [10, 20]})
    prints = {
        read(frame).ratings.fingerprint(),
        read(frame.with_columns(timestamp=pl.Series([20, 10]))).ratings.fingerprint(),
        read(frame.drop("timestamp")).ratings.fingerprint(),
        read(frame, scale=(1, 5, 1)).ratings.fingerprint(),
    }
    assert len(prints) == 4

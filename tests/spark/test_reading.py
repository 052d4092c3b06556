"""Spark reads what this machine reads, and refuses what it refuses."""

import datetime as dt
import gzip
from decimal import Decimal

import polars as pl
import pytest
from same import read_both
from tiny_editions import write_100k

import matinee
from matinee.data.reading_options import ReadingOptions
from matinee.errors import DataError, SettingError

pytestmark = pytest.mark.thorough


def lines(*rows):
    return "\n".join(rows) + "\n"


def refused(workspace, source, kind=DataError, **options):
    """What Spark says of a source that this machine refuses, too."""
    from matinee.spark.reading import read

    with pytest.raises(kind):
        matinee.read(source, **options)
    with pytest.raises(kind) as problem:
        read(workspace, str(source), ReadingOptions.of(options))
    text = str(problem.value)
    assert "\n" not in text
    return text


def test_parts_with_headers_quotes_and_compression(workspace, tmp_path):
    (tmp_path / "part-0.csv").write_text(
        "\ufeffwhen,user,film,grade\n"
        + lines('10,ann,"Heat, 1995",4', '11, bob ,"say ""hi""",5', '12,007,7,"3"', "")
    )
    with gzip.open(tmp_path / "part-1.csv.gz", "wt") as file:
        file.write(lines("when,user,film,grade", "13,Ann,7,2.5", "-14,7,Zoë,1"))
    columns = {"timestamp": "when"}
    found, _ = read_both(workspace, tmp_path, columns=columns)
    assert [row[0] for row in found.users.orderBy("user").select("user_id").collect()] == [
        *("007", "7", "Ann", "ann", "bob"),
    ]


def test_bad_rows_are_counted_and_the_first_is_named(workspace, tmp_path):
    for part in range(3):
        rows = [f"u{part},i{row},{'x' if part and row > 7 else row % 5}" for row in range(10)]
        (tmp_path / f"part-{part}.csv").write_text(lines("user,item,rating", *rows))
    assert refused(workspace, tmp_path) == (
        f"{tmp_path.name}: 4 of 30 rows have a rating that is not a number, such as 'x' in "
        "part-1.csv, column rating. Correct or remove them."
    )


def test_repeated_ratings(workspace, tmp_path):
    file = tmp_path / "ratings.csv"
    file.write_text(
        lines("user,item,rating,time", "1,5,4,7", "1,5,3,9", "2,5,1,7", "1,5,2,9", "2,6,5,1")
    )
    assert refused(workspace, file) == (
        "ratings.csv: 2 rows repeat a pair of user and item: user 1 rated item 5 more than once. "
        'Keep one: duplicates="last" or "mean" (--duplicates last).'
    )
    read_both(workspace, file, duplicates="last")
    read_both(workspace, file, duplicates="mean")
    refused(workspace, file, SettingError, duplicates="sum")


def test_a_table_of_items_and_nested_parquet(workspace, tmp_path):
    for day in range(2):
        folder = tmp_path / "year=2020" / "month=1" / f"day={day}"
        folder.mkdir(parents=True)
        table = {"user_id": ["a", "b"], "item_id": [1 + day, 300 + day], "rating": [2.5, 4.0]}
        pl.DataFrame(table).write_parquet(folder / "part-0.parquet")
    items = tmp_path / "about.csv"
    items.write_text(lines("item_id,title,genres", "1,Heat (1995),Crime|Drama", "9,Alien,Horror"))
    from matinee.spark.reading import read

    options = ReadingOptions.of({"items": items})
    found = read(workspace, str(tmp_path / "year=2020"), options)
    assert found.catalog.ids.values.to_list() == [1, 2, 9, 300, 301]
    assert found.catalog.titles == ["Heat (1995)", "2", "Alien", "300", "301"]
    assert (found.n_ratings, found.n_users, str(found.scale)) == (4, 2, "2.5 to 4 in steps of 1.5")
    with_url = read(workspace, f"file:{tmp_path}/year=2020", options)
    assert with_url.ratings.orderBy("user", "item").collect() == (
        found.ratings.orderBy("user", "item").collect()
    )


TEXTS = {
    "numbers": ("user,item,rating,timestamp", "2,10,4,978300760", "10,2,5,978300761"),
    "zeros before": ("user,item,rating", "007,1,4", "7,2,3", "10,1,1"),
    "fractions": ("user,item,rating", "1.0,1,4", "2.,2,3.25", "10,1,1e0"),
    "negative": ("user,item,rating", "-1,1,4", "2,2,3", "-10,-0,1"),
    "too large": ("user,item,rating", f"{2**62},1,4", f"{10**19},2,3", "5,1,1"),
    "largest": ("user,item,rating", f"{2**62 - 1},1,4", "5,1,1"),
    "letters": ("user,item,rating", "É,1,4", "z,a,3", "😀,ä,1", "Z,\uffff,2"),
    "decimal commas": ("user;item;rating", "a;1;4,5", "b;1;3,25", "c;2;1,0"),
    "iso dates": ("user,item,rating,date", "1,1,4,2020-01-02", "1,2,4,2020-01-02T03:04:05Z"),
    "dates": ("user,item,rating,date", "1,1,4,04/25/2019", "1,2,4,04/05/2019"),
    "named months": ("user,item,rating,date", '1,1,4,"Jan 2, 2020"', '1,2,4,"March 5, 2020"'),
    "milliseconds": ("user,item,rating,ts", "1,1,4,1577934245999", "1,2,4,-1577934245999"),
    "nanoseconds": ("user,item,rating,ts", "1,1,4,1549999999999999999", "1,2,4,1"),
    "fractional times": ("user,item,rating,ts", "1,1,4,15.75", "1,2,4,-15.75"),
    "many levels": ("user,item,rating", *(f"1,{at},{at * at / 7}" for at in range(130))),
    "half stars": ("userId,movieId,rating,timestamp", "1,1,4.5,5", "1,2,1,6"),
    "off the likely scale": ("userId,movieId,rating,timestamp", "1,1,4.5,5", "1,2,9,6"),
    "weights": ("user,item,plays", "1,1,4", "1,2,0", "1,1,0.1", "2,1,1e9"),
    "pairs": ("user,item", "b,1", "a,2", "b,1", "b,1"),
    "pairs in time": ("user,item,time", "b,1,5", "a,2,7", "b,1,3"),
    "one kind of event": ("user,item,event", "1,1,view", "2,1,view", "1,1,view"),
    "short rows": ("user,item,rating,tag", "1,1,4,x", "1,2,3"),
}


@pytest.mark.parametrize("name", TEXTS)
def test_text_as_on_this_machine(workspace, tmp_path, name):
    file = tmp_path / "data.csv"
    file.write_text(lines(*TEXTS[name]))
    read_both(workspace, file)


def test_options(workspace, tmp_path):
    file = tmp_path / "data.csv"
    file.write_text(lines("u,m,grade,what,day", "1,1,4,view,3.2.2020", "1,2,-1,cart,4.2.2020",
                          "1,1,3,view,5.2.2020", "2,2,,cart,4.2.2020"))  # fmt: skip
    both = {"columns": {"item_id": "m", "timestamp": "day"}, "time_format": "%d.%m.%Y"}
    read_both(workspace, file, **both, missing=[-1, ""], duplicates="last", scale=(1, 5, 1))
    unrated = {**both, "columns": both["columns"] | {"rating": "none", "event": "what"}}
    read_both(workspace, file, **unrated, event_weights={"view": 1, "cart": 2.5})
    read_both(workspace, file, **unrated, event_weights={"view": 0, "cart": 2.5})
    text = refused(workspace, file, **unrated, event_weights={"view": 1})
    assert "2 of 4 rows have an event without a weight" in text
    assert "'cart'" in text
    assert "--event-weights" in refused(workspace, file, **unrated)
    refused(workspace, file, SettingError, **unrated, scale=(1, 5))
    text = refused(workspace, file, **both, missing=[""], scale=(0, 5))
    assert "1 of 3 rows has a rating that is not on the scale 0 to 5, such as '-1'" in text
    plain = tmp_path / "plain.txt"
    plain.write_text(lines("5\t3\t8", "5\t4\t9"))
    positions = {"user_id": "1", "item_id": "2", "timestamp": "3"}
    read_both(workspace, plain, columns=positions)
    file.write_text(lines("user,item,rating", "1,1,none", "2,1,none"))
    read_both(workspace, file, missing="none")


def test_typed_columns(workspace, tmp_path):
    file = tmp_path / "data.parquet"
    days = [dt.date(1960, 1, 1), dt.date(2020, 2, 29)]
    moments = [dt.datetime(1960, 1, 1, 0, 0, 0, 5), dt.datetime(2020, 2, 29, 23, 59, 59, 999_999)]
    for users in (
        pl.Series([3, 1], dtype=pl.Int16),
        pl.Series([3, 2**63], dtype=pl.UInt64),
        pl.Series([3, 1], dtype=pl.UInt32),
        pl.Series([3.0, -1.0]),
        pl.Series([" b", "a"]),
        pl.Series(["007", "7"], dtype=pl.Categorical),
        pl.Series([b"b", b"a"]),
        pl.Series([Decimal("10"), Decimal("-5")], dtype=pl.Decimal(20, 2)),
        pl.Series([2**62, 5]),
    ):
        pl.DataFrame({"user": users, "item": [1, 2], "rating": [1, 2]}).write_parquet(file)
        read_both(workspace, file)
    for times in (
        *(pl.Series(days), pl.Series(moments), pl.Series(moments).dt.cast_time_unit("ns")),
        *(
            pl.Series(moments).dt.cast_time_unit("ms"),
            pl.Series(moments).dt.replace_time_zone("UTC"),
        ),
        *(pl.Series(["5", "7"]), pl.Series([1.5e9, 2e9]), pl.Series([-7_000, 10**12])),
    ):
        table = {"user": [1, 1], "item": [1, 2], "rating": [0.5, 1], "time": times}
        pl.DataFrame(table).write_parquet(file)
        read_both(workspace, file)
    json = tmp_path / "data.jsonl"
    json.write_text(
        lines('{"user": "a", "item": 1, "rating": 4}', '{"item": 2, "user": "b", "rating": 4.5}')
    )
    read_both(workspace, json)


def test_editions(workspace, tmp_path, editions):
    write_100k(tmp_path)
    read_both(workspace, tmp_path)
    for name in sorted(path.name for path in editions.iterdir()):
        read_both(workspace, editions / name)


BAD = {
    "empty user": (
        ("user,item,rating", "1,1,4", ",2,3"),
        "1 of 2 rows has an empty id of the user",
    ),
    "empty rating": (("user,item,rating", "1,1,4", "1,2,"), "has an empty rating, one of them in"),
    "nan": (("user,item,rating", "1,1,4", "1,2,nan"), "not a finite number, such as 'nan'"),
    "too large": (("user,item,rating", "1,1,4", "1,2,1e39"), "not a finite number, such as '1e39'"),
    "java's": (("user,item,rating", "1,1,4", "1,2,5f"), "is not a number, such as '5f'"),
    "hex": (("user,item,rating", "1,1,4", "1,2,0x1p3"), "is not a number, such as '0x1p3'"),
    "thousands": (("user;item;rating", "1;1;4", "1;2;1,000"), "is not a number, such as '1,000'"),
    "half an id": (
        ("user,item,rating", "1.5,1,4", "1,2,5"),
        "neither whole nor text, such as '1.5'",
    ),
    "no time": (("user,item,rating,time", "1,1,4,5", "1,2,5,"), "has an empty time"),
    "a word": (("user,item,rating,time", "1,1,4,5", "1,2,5,soon"), "a time that is none"),
    "no date": (("user,item,rating,time", "1,1,4,2020-02-30", "1,2,5,2020-02-01"), "'2020-02-30'"),
    "date or seconds": (("user,item,rating,time", "1,1,4,20200230", "1,2,5,20200201"), None),
    "dates": (
        ("user,item,rating,time", "1,1,4,20200229", "1,2,5,20200201"),
        "--time-format %Y%m%d",
    ),
    "either date": (("user,item,rating,time", "1,1,4,04/05/2020", "1,2,5,04/06/2020"), "%m/%d/%Y"),
    "late": (("user,item,rating,time", "1,1,4,999999999999999999999", "1,2,5,7"), "time"),
    "control": (("user,item,rating", "a,1,4", "a\x07,2,5"), "control characters in the id"),
    "long": (("user,item,rating", "a,1,4", "b" * 5000 + ",2,5"), "too long"),
    "surplus": (("user,item,rating", "1,1,4", "1,2,5,6"), "more fields than there are columns"),
    "weight": (("user,item,plays", "1,1,4", "1,2,-5"), "a weight below 0, such as '-5'"),
    "nothing": (("user,item,rating",), "there are no ratings in it"),
    "no weight": (("user,item,plays", "1,1,0"), "there are no interactions in it"),
    "a column": (("user,rating", "1,1"), "no column looks like item_id"),
    "events": (("user,item,event", "1,1,a", "1,2,b"), "2 kinds of events: a (1), b (1)"),
}


@pytest.mark.parametrize("name", [name for name in BAD if BAD[name][1]])
def test_bad_text(workspace, tmp_path, name):
    file = tmp_path / "data.csv"
    rows, said = BAD[name]
    file.write_text(lines(*rows))
    text = refused(workspace, file)
    assert said in text
    assert text.startswith("data.csv")


def test_bad_files(workspace, tmp_path):
    from matinee.spark.reading import read

    broken = tmp_path / "data.parquet"
    pl.DataFrame({"user": [1], "item": [1], "rating": [1]}).write_parquet(broken)
    broken.write_bytes(broken.read_bytes()[:-20])
    assert "data.parquet: Spark cannot read it" in refused(workspace, broken)
    nested = tmp_path / "nested.parquet"
    pl.DataFrame({"user": [[1]], "item": [1], "rating": [1]}).write_parquet(nested)
    assert "column user: must be numbers or text" in refused(workspace, nested)
    odd = tmp_path / "odd.csv"
    odd.write_bytes(b"user,item,rating\nann,1,4\n\xff,1,5\n")
    assert "letters that are not UTF-8" in refused(workspace, odd)
    refused(workspace, tmp_path / "missing.csv")
    pl.DataFrame({"user": [1], "item": [1]}).write_ipc(tmp_path / "data.arrow")
    with pytest.raises(DataError, match="Spark reads text"):
        read(workspace, str(tmp_path / "data.arrow"), ReadingOptions())
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "readme.md").write_text("no")
    with pytest.raises(DataError, match="no table of ratings"):
        read(workspace, f"file:{tmp_path}/none", ReadingOptions())

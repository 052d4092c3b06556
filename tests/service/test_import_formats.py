"""Files of Letterboxd and IMDb, and our own export, which is read as it was written."""

import csv
import io
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from matinee.errors import DataError
from matinee.service import import_formats
from matinee.service.import_formats import ImportedRow, SkippedRow, read_rows, write_rows
from matinee.service.store.feedback import Feedback

LETTERBOXD_RATINGS = """Date,Name,Year,Letterboxd URI,Rating
2024-01-02,The Matrix,1999,https://boxd.it/2a1m,4.5
2024-01-03,"Good, the Bad and the Ugly, The",1966,https://boxd.it/2a5O,0.5
2024-01-04,Amélie,,https://boxd.it/1,5
"""
LETTERBOXD_WATCHED = """Date,Name,Year,Letterboxd URI
2024-01-02,The Matrix,1999,https://boxd.it/2a1m
"""
LETTERBOXD_DIARY = """Date,Name,Year,Letterboxd URI,Rating,Rewatch,Tags,Watched Date
2024-01-05,The Matrix,1999,https://boxd.it/3,4,,,2024-01-02
2024-01-06,The Matrix,1999,https://boxd.it/4,,Yes,"cinema, friends",2024-01-06
"""
IMDB_RATINGS = """\
Const,Your Rating,Date Rated,Title,Original Title,URL,Title Type,IMDb Rating,Runtime (mins),Year,\
Genres,Num Votes,Release Date,Directors
tt0133093,9,2019-02-13,The Matrix,The Matrix,https://www.imdb.com/title/tt0133093,Movie,8.7,136,\
1999,"Action, Sci-Fi",2000000,1999-03-31,"Lana Wachowski, Lilly Wachowski"
tt0903747,10,2020-01-01,Breaking Bad,Breaking Bad,https://www.imdb.com/title/tt0903747,TV Series,\
9.5,45,2008,"Crime, Drama",2000000,2008-01-20,
"""
WHEN = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def day(year, month, number):
    return datetime(year, month, number, tzinfo=UTC)


def test_ratings_of_letterboxd():
    imported = read_rows(LETTERBOXD_RATINGS)
    assert imported.source == "letterboxd"
    assert imported.skipped == []
    assert imported.rows == [
        ImportedRow(
            row=2, kind="rating", share=0.9, title="The Matrix", year=1999,
            told_at=day(2024, 1, 2),
        ),
        ImportedRow(
            row=3, kind="rating", share=0.1, title="Good, the Bad and the Ugly, The", year=1966,
            told_at=day(2024, 1, 3),
        ),
        ImportedRow(row=4, kind="rating", share=1.0, title="Amélie", told_at=day(2024, 1, 4)),
    ]  # fmt: skip


def test_what_was_watched_is_seen_and_what_is_on_a_watchlist_is_for_later():
    (row,) = read_rows(LETTERBOXD_WATCHED).rows
    assert (row.kind, row.title, row.share) == ("seen", "The Matrix", None)
    (row,) = read_rows(LETTERBOXD_WATCHED, unrated="later").rows
    assert row.kind == "later"
    rated = read_rows(LETTERBOXD_RATINGS, unrated="later").rows
    assert {row.kind for row in rated} == {"rating"}


def test_a_diary_has_the_days_on_which_films_were_watched():
    first, second = read_rows(LETTERBOXD_DIARY).rows
    assert (first.kind, first.share, first.told_at) == ("rating", 0.8, day(2024, 1, 2))
    assert (second.kind, second.share, second.told_at) == ("seen", None, day(2024, 1, 6))


def test_ratings_of_imdb_with_ids_and_series():
    imported = read_rows(IMDB_RATINGS)
    assert (imported.source, imported.skipped) == ("imdb", [])
    film, series = imported.rows
    assert film == ImportedRow(
        row=2,
        kind="rating",
        share=0.9,
        title="The Matrix",
        original_title="The Matrix",
        year=1999,
        imdb_id="tt0133093",
        title_type="Movie",
        told_at=day(2019, 2, 13),
    )
    assert (series.title_type, series.share) == ("TV Series", 1.0)


def test_an_unrated_title_of_an_imdb_list_says_nothing():
    text = (
        "Position,Const,Created,Title,Your Rating,Year\n"
        "1,tt0133093,2024-01-01,The Matrix,,1999\n2,nm0000206,2024-01-01,Keanu Reeves,,\n"
    )
    imported = read_rows(text)
    assert imported.rows == []
    assert imported.skipped == [
        SkippedRow(2, "it has no rating."),
        SkippedRow(3, "Const must be an id like tt0133093, got 'nm0000206'."),
    ]


@pytest.mark.parametrize(
    "content",
    [
        LETTERBOXD_RATINGS.encode(),
        b"\xef\xbb\xbf" + LETTERBOXD_RATINGS.encode(),
        "\ufeff" + LETTERBOXD_RATINGS,
        LETTERBOXD_RATINGS.encode("utf-16"),
        LETTERBOXD_RATINGS.encode("cp1252"),
        LETTERBOXD_RATINGS.replace("\n", "\r\n"),
        LETTERBOXD_RATINGS.replace("\n", "\r"),
        "\n\n" + LETTERBOXD_RATINGS.replace("\n", "\n\n"),
        LETTERBOXD_RATINGS.replace("Name", " NAME "),
        LETTERBOXD_RATINGS.replace("\n", ",,\n"),
    ],
)
def test_whatever_a_spreadsheet_makes_of_a_file_it_says_the_same(content):
    imported = read_rows(content)
    assert imported.skipped == []
    assert [(row.title, row.share) for row in imported.rows] == [
        ("The Matrix", 0.9),
        ("Good, the Bad and the Ugly, The", 0.1),
        ("Amélie", 1.0),
    ]


def test_semicolons_and_decimal_commas():
    text = "Date;Name;Year;Letterboxd URI;Rating\n02.01.2024;Matrix, The;1999;;4,5\n"
    (row,) = read_rows(text).rows
    assert (row.title, row.share, row.told_at) == ("Matrix, The", 0.9, None)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("2024-01-02,The Matrix,1999,,9", "rating must be 0.5 to 5, got '9'."),
        ("2024-01-02,The Matrix,1999,,0", "rating must be 0.5 to 5, got '0'."),
        ("2024-01-02,The Matrix,1999,,good", "rating must be a number, got 'good'."),
        ("2024-01-02,The Matrix,1999,,nan", "rating must be a number, got 'nan'."),
        ("2024-01-02,The Matrix,1999,,1_0", "rating must be a number, got '1_0'."),
        ("2024-01-02,The Matrix,1999,,٤", "rating must be a number, got '٤'."),
        ("2024-01-02,,1999,,4", "it has no title."),
        ("2024-01-02,   ", "it has no title."),
        ("2024-01-02,Tiger, Dragon,2000,,4", "it has 6 cells, and the header has 5."),
        ("2024-01-02," + "x" * 2000 + ",2000,,4", "its name has 2,000 characters."),
    ],
)
def test_a_row_that_says_nothing_is_skipped_and_the_reason_told(line, reason):
    text = LETTERBOXD_RATINGS + "\n" + line + "\n2024-01-05,Alien,1979,,4\n"
    imported = read_rows(text)
    assert imported.skipped == [SkippedRow(6, reason)]
    assert [row.row for row in imported.rows] == [2, 3, 4, 7]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("1,,5,seen", "rating must be empty where kind is seen."),
        ("1,,,rating", "rating is missing where kind is rating."),
        ("1,,5,liked", "kind must be one of rating, seen, later, got 'liked'."),
        (",,5,rating", "item_id must have 1 to 256 characters, got 0: ''."),
        ("a\0,,5,rating", "item_id must be text in Unicode without NUL, got 'a\\x00'."),
        ("\ud800,,5,rating", "item_id must be text in Unicode without NUL, got '\\ud800'."),
        ("1,,1e999,rating", "rating must be a number, got '1e999'."),
    ],
)
def test_a_row_of_ours_that_was_changed_is_skipped(line, reason):
    imported = read_rows(f"item_id,title,rating,kind\n{line}\n2,,4,rating\n")
    assert imported.skipped == [SkippedRow(2, reason)]
    assert [row.item_id for row in imported.rows] == ["2"]


def test_a_table_of_ids_and_ratings_is_enough():
    imported = read_rows("rating,item_id\n4,296\n,1\n")
    assert [(row.item_id, row.rating, row.kind) for row in imported.rows] == [
        ("296", 4.0, "rating"),
        ("1", None, "seen"),
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "this is no file of Letterboxd, IMDb or matinee: its first row must name"),
        (b"", "this is no file"),
        (b"\0" * 1000, "this is no file"),
        (bytes(range(256)) * 50, "this is no file"),
        (b"\xff\xfe\x00", "this is no file"),
        (b"PK\x03\x04" + b"\x80" * 5000, "this is no file"),
        ("x" * 10**6, "this is no file .* got 'xxx"),
        ("user,item\n1,2\n", "got 'user,item'"),
        ("item_id,rating\u2028x\n1,2\n", "this is no file"),
        (LETTERBOXD_RATINGS + '2024-01-02,"The Matrix,1999,,4\n' * 2, "row 5: .* a quote left"),
        (LETTERBOXD_RATINGS + '2024-01-02,"The "Matrix",1999,,4\n', "row 5: .* a quote left open"),
        (LETTERBOXD_RATINGS + "x" * 200_000, "row 5: field larger than field limit"),
    ],
)
def test_what_is_none_of_these_files_is_refused_in_a_line(content, said):
    with pytest.raises(DataError, match=said) as caught:
        read_rows(content)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_more_than_anybody_has_watched_is_refused(monkeypatch):
    monkeypatch.setattr(import_formats, "MOST_ROWS", 4)
    assert len(read_rows(LETTERBOXD_RATINGS).rows) == 3
    with pytest.raises(DataError, match="the file has more than 4 rows; import it in parts"):
        read_rows(LETTERBOXD_RATINGS + LETTERBOXD_RATINGS)
    monkeypatch.setattr(import_formats, "LARGEST", 50)
    with pytest.raises(DataError, match="the file has more than 50 characters"):
        read_rows(LETTERBOXD_RATINGS)


HEADERS = st.sampled_from(
    [text.partition("\n")[0] for text in (LETTERBOXD_DIARY, IMDB_RATINGS, "item_id,rating,kind\n")]
)


@given(
    HEADERS, st.lists(st.lists(st.text() | st.sampled_from(["tt0133093", "5", "2024-01-01", '"'])))
)
def test_anything_under_a_header_is_read_or_refused_in_a_line(header, rows):
    text = "\n".join([header, *(",".join(cells) for cells in rows)])
    for content in (text, text.encode("utf-8", errors="surrogatepass")):
        try:
            imported = read_rows(content)
        except DataError as problem:
            assert "\n" not in str(problem)  # noqa: PT017
            continue
        for row in imported.rows:
            assert row.share is None or 0 < row.share <= 1
            assert row.told_at is None or row.told_at.utcoffset() == timedelta(0)
        numbers = [row.row for row in imported.rows] + [row.row for row in imported.skipped]
        assert len(set(numbers)) == len(numbers)
        assert all(number >= 2 for number in numbers)


@given(st.binary())
def test_any_bytes_are_read_or_refused_in_a_line(content):
    for header in (b"", b"item_id,rating,title\n"):
        try:
            read_rows(header + content)
        except DataError as problem:
            assert "\n" not in str(problem)  # noqa: PT017


# ids are what the store keeps; titles may be anything
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
TRICKY = st.text(st.sampled_from("=+-@'\" ;,\t\r\n|ab1\uff1d"), max_size=12)
IDS = (TEXT | TRICKY).filter(lambda text: text and "\0" not in text)
FORMULAS = tuple("=+-@\uff1d\uff0b\uff0d\uff20")
TITLES = st.none() | (TEXT | TRICKY).filter(bool)
TIMES = st.datetimes(timezones=st.just(UTC))
FEEDBACK = st.builds(
    lambda item_id, rating, updated_at: Feedback("ann", item_id, rating, "rating", updated_at),
    IDS,
    st.floats(allow_nan=False, allow_infinity=False),
    TIMES,
) | st.builds(
    lambda item_id, kind, updated_at: Feedback("ann", item_id, None, kind, updated_at),
    IDS,
    st.sampled_from(["seen", "later"]),
    TIMES,
)


@given(st.lists(st.tuples(FEEDBACK, TITLES)))
@example([(Feedback("ann", "'=", 1.5, "rating", WHEN), "';'\"=1")])
def test_what_was_exported_is_imported_as_it_was(rows):
    text = write_rows(rows)
    for content in (text, text.encode(), text.encode("utf-8-sig")):
        imported = read_rows(content)
        assert imported.skipped == []
        assert [
            (row.item_id, row.title, row.rating, row.kind, row.told_at) for row in imported.rows
        ] == [(f.item_id, title, f.rating, f.kind, f.updated_at) for f, title in rows]


@given(IDS, TITLES)
@example("1", 'x";=1+1')
@example("1", ';"=1+1"')
@example("1", "=HYPERLINK(1)")
def test_no_spreadsheet_sees_a_formula(item_id, title):
    text = write_rows([(Feedback("ann", item_id, None, "seen", WHEN), title)])
    for separator in ",;\t":
        for cells in csv.reader(io.StringIO(text, newline=""), delimiter=separator):
            for cell in cells:
                assert not cell.lstrip("\" '\t\r\n").startswith(FORMULAS) or (
                    cell.lstrip('" ').startswith("'")
                )


def test_times_of_other_zones_become_utc():
    eastern = WHEN.astimezone(timezone(timedelta(hours=-5))).isoformat()
    for text, moment in (
        (eastern, WHEN),
        ("2026-01-02T03:04:05.678901Z", WHEN),
        ("2026-01-02", day(2026, 1, 2)),
        ("0001-01-01T00:00:00+23:00", None),
        ("yesterday", None),
        ("", None),
    ):
        (row,) = read_rows(f"item_id,rating,updated_at\n1,2,{text}\n").rows
        assert row.told_at == moment

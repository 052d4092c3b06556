"""Each MovieLens layout reads to the same data set, wherever and however it is stored.

The last tests read the real archives, where a developer has them: never part of this repository.
"""

import os
import tempfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_editions import GENRES, ITEMS, RATINGS, USERS, WRITERS, write_csv, write_lines, zip_folder

from matinee.data import Dataset, read
from matinee.data.movielens import EDITIONS
from matinee.errors import DataError

TITLES = {item: title for item, title, _ in ITEMS}


def rows_of(data: Dataset) -> list[tuple[int, int, float, int]]:
    """The ratings with their original ids, in the order of the file."""
    ratings = data.ratings
    return list(
        zip(
            ratings.user_ids.values[ratings.user].to_list(),
            ratings.item_ids.values[ratings.item].to_list(),
            ratings.values.tolist(),
            ratings.timestamp.tolist(),
            strict=True,
        )
    )


def check_tiny_edition(data: Dataset) -> None:
    """Everything about the invented edition that all layouts can say."""
    assert rows_of(data) == RATINGS
    assert data.ratings.user_ids.values.to_list() == [1, 2, 3, 7]
    assert data.ratings.item_ids.values.to_list() == [10, 20, 30, 40, 50, 60]
    assert data.ratings.values.dtype == np.float32
    assert data.catalog.titles == [*TITLES.values(), "60"]
    assert data.catalog.frame["year"].to_list() == [1994, 2001, 2010, None, 1987, None]
    assert data.catalog.genre_names == tuple(GENRES)
    assert data.catalog.frame["genres"].to_list() == [*(genres for *_, genres in ITEMS), []]


@pytest.mark.parametrize("form", ["folder", "parent", "zip", "file"])
def test_layout_reads_from_every_form_of_source(layout, form, make_edition, tmp_path):
    folder = make_edition(layout)
    source = {
        "folder": folder,
        "parent": folder.parent,
        "zip": zip_folder(folder, tmp_path / "tiny.zip") if form == "zip" else None,
        "file": folder / WRITERS[layout][1],
    }[form]
    data = read(source)
    check_tiny_edition(data)
    assert data.source == str(source.resolve())


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_line_ends_and_byte_order_marks_change_nothing(layout, end, encoding, make_edition):
    folder = make_edition(layout, end=end)
    for path in folder.iterdir():
        text = path.read_bytes().decode("utf-8" if layout == "csv" else "iso-8859-1")
        path.write_bytes(text.encode(encoding))
    check_tiny_edition(read(folder))


@pytest.mark.parametrize("encoding", ["utf-8", "iso-8859-1"])
@pytest.mark.parametrize("old_layout", ["100k", "dat"])
def test_old_layouts_read_both_encodings(old_layout, encoding, make_edition):
    data = read(make_edition(old_layout, encoding=encoding))
    assert data.catalog.titles[0] == "Brûlé at Dawn (1994)"


def test_scales(make_edition):
    assert str(read(make_edition("100k")).ratings.scale) == "1 to 5 in steps of 1"
    assert str(read(make_edition("dat")).ratings.scale) == "1 to 5 in steps of 1"
    assert str(read(make_edition("csv")).ratings.scale) == "0.5 to 5 in steps of 0.5"


def test_half_values_in_dat_mean_the_scale_of_ml_10m(tmp_path):
    write_lines(tmp_path / "ratings.dat", ["1::1::4.5::7", "1::2::3::8"])
    data = read(tmp_path)
    assert str(data.ratings.scale) == "0.5 to 5 in steps of 0.5"
    assert data.ratings.values.tolist() == [4.5, 3.0]


@pytest.mark.parametrize("old_layout", ["100k", "dat"])
def test_user_attributes_are_in_the_order_of_user_codes(old_layout, make_edition):
    attributes = read(make_edition(old_layout)).user_attributes
    assert attributes.select("user_id", "age", "gender", "occupation").rows() == [
        *USERS,
        (7, None, None, None),  # rated, but not described
    ]


def test_csv_editions_have_no_user_attributes(make_edition):
    assert read(make_edition("csv")).user_attributes is None


def test_official_splits_hold_the_pairs_of_their_test_files(make_edition):
    data = read(make_edition("100k"))
    assert set(data.official) == {"u1", "ua"}
    train, test = data.split("u1")
    assert rows_of(test) == RATINGS[:3]
    assert rows_of(train) == RATINGS[3:]
    _, test = data.split("ua")  # in another order in its own file
    assert rows_of(test) == [RATINGS[1], RATINGS[4]]


def test_official_split_with_a_pair_that_was_never_rated_is_refused(make_edition):
    folder = make_edition("100k")
    write_lines(folder / "u2.test", ["1\t10\t5\t1", "1\t50\t5\t1"])
    with pytest.raises(DataError, match=r"u2\.test: 1 of its rows"):
        read(folder)


@pytest.mark.parametrize(
    ("layout_name", "companions"),
    [("100k", ["u.item", "u.user", "u.genre"]), ("dat", ["movies.dat"]), ("csv", ["movies.csv"])],
)
def test_ratings_alone_are_enough(layout_name, companions, make_edition):
    folder = make_edition(layout_name)
    for name in companions:
        (folder / name).unlink()
    data = read(folder)
    assert rows_of(data) == RATINGS
    assert data.catalog.titles == ["10", "20", "30", "40", "60"]
    assert data.catalog.genre_matrix.shape == (5, 0)


def test_title_with_commas_and_doubled_quotes(tmp_path):
    write_lines(tmp_path / "ratings.csv", ["userId,movieId,rating,timestamp", "1,2,3,4"])
    write_lines(
        tmp_path / "movies.csv",
        ["movieId,title,genres", '2,"The ""Tin"", Boat, A (1990)",Drama|War', "3,Plain (1991),War"],
    )
    catalog = read(tmp_path).catalog
    assert catalog.titles == ['The "Tin", Boat, A (1990)', "Plain (1991)"]
    assert catalog.frame["genres"].to_list() == [["Drama", "War"], ["War"]]


def test_quotes_in_dat_files_are_letters_like_others(tmp_path):
    write_lines(tmp_path / "ratings.dat", ["1::2::3::4"])
    write_lines(tmp_path / "movies.dat", ['2::"Tin" Boat: Return (1990)::Drama'])
    assert read(tmp_path).catalog.titles == ['"Tin" Boat: Return (1990)']


def test_movies_csv_may_have_further_columns(tmp_path):
    write_lines(tmp_path / "ratings.csv", ["userId,movieId,rating,timestamp", "1,2,3,4"])
    write_lines(tmp_path / "movies.csv", ["movieId,title,genres,budget", "2,Tin Boat,War,9.5"])
    assert read(tmp_path).catalog.titles == ["Tin Boat"]


def test_empty_lines_at_the_end_are_no_rows(layout, make_edition):
    folder = make_edition(layout)
    path = folder / WRITERS[layout][1]
    path.write_bytes(path.read_bytes() + b"\n\n")
    assert rows_of(read(folder)) == RATINGS


def test_last_line_needs_no_line_end(layout, make_edition):
    folder = make_edition(layout)
    for path in folder.iterdir():
        path.write_bytes(path.read_bytes().rstrip(b"\n"))
    check_tiny_edition(read(folder))


def test_name_and_licence_come_from_the_archive(make_edition, tmp_path):
    data = read(zip_folder(make_edition("csv"), tmp_path / "ml-latest-small.zip"))
    assert data.name == "ml-latest-small"
    assert "GroupLens" in data.licence
    assert read(make_edition("csv"), name="mine").name == "mine"
    assert read(make_edition("csv")).licence == ""


def test_name_of_a_folder_with_a_dot_is_kept_whole(tmp_path):
    assert read(write_csv(tmp_path / "tiny.v2")).name == "tiny.v2"


def test_unused_files_of_an_archive_do_no_harm(make_edition, tmp_path):
    folder = make_edition("csv")
    write_lines(folder / "tags.csv", ["userId,movieId,tag,timestamp", "1,10,odd,5"])
    write_lines(folder / "README.txt", ["An invented edition."])
    check_tiny_edition(read(zip_folder(folder, tmp_path / "tiny.zip")))
    check_tiny_edition(read(folder))


def test_arrays_cannot_be_written_to(layout, make_edition):
    ratings = read(make_edition(layout)).ratings
    for column in (ratings.user, ratings.item, ratings.values, ratings.timestamp):
        with pytest.raises(ValueError, match="read-only"):
            column[0] = 1


def test_fingerprint_depends_on_the_ratings_not_on_the_layout(make_edition):
    prints = {name: read(make_edition(name)).ratings.fingerprint() for name in ("100k", "dat")}
    assert prints["100k"] == prints["dat"]
    folder = make_edition("dat")
    path = folder / "ratings.dat"
    path.write_bytes(path.read_bytes().replace(b"1::10::5::", b"1::10::4::"))
    assert read(folder).ratings.fingerprint() != prints["dat"]


IDS = st.integers(1, 10**9)
TIMES = st.integers(0, 2**31)
TABLES = st.lists(
    st.tuples(IDS, IDS, st.integers(1, 5), TIMES),
    min_size=1,
    max_size=30,
    unique_by=lambda row: row[:2],
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "separator", "header"),
    [
        ("u.data", "\t", []),
        ("ratings.dat", "::", []),
        ("ratings.csv", ",", ["userId,movieId,rating,timestamp"]),
    ],
)
@given(table=TABLES, end=st.sampled_from(["\n", "\r\n"]), final=st.booleans())
@settings(max_examples=40, deadline=None)
def test_any_valid_table_reads_back_exactly(file, separator, header, table, end, final):
    lines = header + [separator.join(map(str, row)) for row in table]
    with tempfile.TemporaryDirectory() as folder:
        text = end.join(lines) + (end if final else "")
        Path(folder, file).write_bytes(text.encode())
        data = read(folder)
    assert rows_of(data) == table
    assert data.ratings.user_ids.values.to_list() == sorted({row[0] for row in table})
    assert data.ratings.item_ids.values.to_list() == sorted({row[1] for row in table})


@pytest.mark.slow
@given(
    titles=st.lists(
        # what a person may type: printable, no line breaks, not blank at either end
        st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1),
        min_size=1,
        max_size=10,
    )
)
@settings(max_examples=40, deadline=None)
def test_any_title_reads_back_exactly_from_csv(titles):
    with tempfile.TemporaryDirectory() as folder:
        write_lines(Path(folder, "ratings.csv"), ["userId,movieId,rating,timestamp", "1,1,4.5,100"])
        items = pl.DataFrame({"movieId": range(1, len(titles) + 1), "title": titles})
        items.with_columns(genres=pl.lit("Drama")).write_csv(
            Path(folder, "movies.csv"), quote_style="always"
        )
        assert read(folder).catalog.titles == titles


BESIDE_THE_REPOSITORY = Path(__file__).resolve().parents[3] / "shared" / "data"
ARCHIVES = Path(os.environ.get("MATINEE_TEST_ARCHIVES", BESIDE_THE_REPOSITORY))


def read_archive(name: str) -> Dataset:
    path = ARCHIVES / f"{name}.zip"
    if not path.exists():
        pytest.skip(f"{name}.zip is not there; MATINEE_TEST_ARCHIVES may name its folder")
    return read(path)


@pytest.mark.parametrize(
    ("name", "ratings", "users", "rated", "items", "mean", "scale"),
    [
        ("ml-latest-small", 100_836, 610, 9_724, 9_742, 3.5016, "0.5 to 5 in steps of 0.5"),
        ("ml-100k", 100_000, 943, 1_682, 1_682, 3.52986, "1 to 5 in steps of 1"),
        ("ml-1m", 1_000_209, 6_040, 3_706, 3_883, 3.581564, "1 to 5 in steps of 1"),
    ],
)
def test_counts_are_those_of_the_readme(name, ratings, users, rated, items, mean, scale):
    data = read_archive(name)
    assert data.name == name
    assert len(data) == ratings == EDITIONS[name].ratings
    assert len(data.ratings.user_ids) == users == EDITIONS[name].users
    assert len(data.catalog) == items == EDITIONS[name].items
    assert int((data.ratings.item_counts > 0).sum()) == rated
    assert (data.ratings.user_counts >= 20).all()
    digits = len(str(mean).partition(".")[2])
    assert round(float(data.ratings.values.mean(dtype=np.float64)), digits) == mean
    assert str(data.ratings.scale) == scale
    assert data.ratings.timestamp is not None
    assert (data.user_attributes is not None) == (name != "ml-latest-small")
    assert "GroupLens" in data.licence


def test_official_splits_of_ml_100k():
    data = read_archive("ml-100k")
    assert list(data.official) == ["u1", "u2", "u3", "u4", "u5", "ua", "ub"]
    fifths = [data.official[f"u{fold}"] for fold in range(1, 6)]
    assert [int(mask.sum()) for mask in fifths] == [20_000] * 5
    assert (sum(mask.astype(int) for mask in fifths) == 1).all()
    for name in ("ua", "ub"):  # exactly ten ratings of each user
        _, test = data.split(name)
        assert (test.ratings.user_counts == 10).all()
    assert not (data.official["ua"] & data.official["ub"]).any()


@pytest.mark.parametrize("name", ["ml-latest-small", "ml-100k", "ml-1m"])
def test_titles_are_whole(name):
    catalog = read_archive(name).catalog
    titles = "".join(catalog.titles)
    assert "\N{REPLACEMENT CHARACTER}" not in titles
    assert titles.isprintable()
    assert "é" in titles
    assert catalog.frame["year"].is_not_null().mean() > 0.99
    assert "Comedy" in catalog.genre_names
    assert "(no genres listed)" not in catalog.genre_names


@pytest.mark.parametrize("name", ["ml-latest-small", "ml-100k", "ml-1m"])
def test_well_known_movies_are_found(name):
    data = read_archive(name)
    for title in ("toy story", "The Godfather", "fargo"):
        code = data.catalog.find(title, data.ratings.item_counts)
        assert title.split()[-1].casefold() in data.catalog.titles[code].casefold()
        assert data.ratings.item_counts[code] > 30


def test_user_attributes():
    for name in ("ml-100k", "ml-1m"):
        users = read_archive(name).user_attributes
        assert users.columns == ["user_id", "age", "gender", "occupation"]
        assert users.null_count().row(0) == (0, 0, 0, 0)
        assert set(users["gender"]) == {"F", "M"}

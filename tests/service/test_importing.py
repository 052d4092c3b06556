"""Files of other sites become ratings of our items."""

import io
import zipfile

import polars as pl
import pytest

from matinee.data.catalog import Catalog
from matinee.data.id_map import IdMap
from matinee.service.import_formats import read_rows
from matinee.service.title_index import TitleIndex

API = "/api/v1"
PAGE = {"X-Matinee": "page"}
TITLES = [
    "Matrix, The (1999)", "Amelie (Fabuleux destin d'Amélie Poulain, Le) (2001)", "Heat (1995)",
    "Heat (1986)", "Seven (a.k.a. Se7en) (1995)", "Fast & Furious (2009)", "Nikita (1990)",
    "Vanilla Sky",
]  # fmt: skip


@pytest.fixture(scope="module")
def titles():
    items = pl.DataFrame({"item_id": range(len(TITLES)), "title": TITLES})
    return TitleIndex(Catalog.build(IdMap(items["item_id"]), items))


@pytest.mark.parametrize(
    ("title", "year", "found"),
    [
        ("The Matrix", 1999, 0),
        ("the matrix", None, 0),
        ("The Matrix", 2000, 0),  # another country
        ("The Matrix", 2003, None),
        ("Amélie", 2001, 1),
        ("Le Fabuleux destin d'Amelie Poulain", 2001, 1),
        ("Heat", 1995, 2),
        ("Heat", 1986, 3),
        ("Heat", None, None),  # which of two?
        ("Se7en", 1995, 4),
        ("Fast and Furious", 2009, 5),
        ("Vanilla Sky", 2001, 7),
        ("Nikita: The Series", 1990, None),
        ("", 1999, None),
    ],
)
def test_titles_as_people_write_them(titles, title, year, found):
    assert titles.find(title, year) == found


def letterboxd(model, rows):
    """A file about items of the model: (code, share of the scale)."""
    lines = ["Date,Name,Year,Letterboxd URI,Rating"]
    for code, rating in rows:
        title = model.catalog.titles[code].rsplit(" (", 1)[0]
        lines.append(f'2024-01-02,"{title}",{model.catalog.frame["year"][code]},,{rating}')
    return "\n".join(lines)


def test_a_file_of_letterboxd(client, model):
    text = letterboxd(model, [(3, 4.5), (7, 1), (20, 5)]) + "\n2024-01-02,No Such Film,1999,,4\n"
    answer = client.post(f"{API}/me/import", content=text, headers=PAGE)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["imported"], told["new"]) == (3, 3)
    reason = "there is no movie 'No Such Film' of 1999"
    assert told["skipped"] == [{"file": None, "row": 5, "reason": reason}]
    kept = {f["item_id"]: f["rating"] for f in client.get(f"{API}/me/feedback").json()["feedback"]}
    ids = model.catalog.ids.values
    assert kept == {ids[3]: 4.5, ids[7]: 1.0, ids[20]: 5.0}
    twice = client.post(f"{API}/me/import", content=text, headers=PAGE).json()
    assert (twice["imported"], twice["new"]) == (3, 0)


def test_ratings_of_ten_are_halved_onto_the_scale(client, model):
    title, year = model.catalog.titles[5].rsplit(" (", 1)[0], model.catalog.frame["year"][5]
    header = "Const,Your Rating,Date Rated,Title,URL,Title Type,IMDb Rating,Runtime (mins),Year"
    rows = f'tt0000001,9,2024-01-02,"{title}",,Movie,7.0,90,{year}\n'
    rows += f'tt0000002,3,2024-01-02,"{title}",,TV Series,7.0,90,{year}\n'
    told = client.post(f"{API}/users/ann/import", content=f"{header}\n{rows}").json()
    assert told["imported"] == 1
    assert told["skipped"] == [{"file": None, "row": 3, "reason": "a TV Series is no movie"}]
    (kept,) = client.get(f"{API}/users/ann/feedback").json()["feedback"]
    assert kept["rating"] == 4.5


def test_an_export_is_read_as_it_was(client):
    for item, body in ((3, {"rating": 4.5}), (7, {"kind": "seen"}), (9, {"kind": "later"})):
        client.put(f"{API}/users/ann/feedback/{item}", json=body)
    file = client.get(f"{API}/users/ann/feedback.csv")
    assert file.headers["content-type"] == "text/csv; charset=utf-8"
    assert "attachment" in file.headers["content-disposition"]
    assert len(read_rows(file.content).rows) == 3
    told = client.post(f"{API}/users/bob/import", content=file.content).json()
    assert (told["imported"], told["skipped"]) == (3, [])
    of_ann, of_bob = (client.get(f"{API}/users/{who}/feedback").json() for who in ("ann", "bob"))
    told_of = [
        {f["item_id"]: (f["kind"], f["rating"]) for f in each["feedback"]}
        for each in (of_ann, of_bob)
    ]
    assert told_of[0] == told_of[1]


def test_a_list_of_films_to_watch(client, model):
    text = letterboxd(model, [(3, "")])
    client.post(f"{API}/users/ann/import?unrated=later", content=text)
    (kept,) = client.get(f"{API}/users/ann/feedback").json()["feedback"]
    assert kept["kind"] == "later"


def zipped(files, method=zipfile.ZIP_DEFLATED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return buffer.getvalue()


@pytest.mark.parametrize("folder", ["", "letterboxd-ann-2024/"])
def test_the_archive_of_letterboxd(client, model, folder):
    watched = letterboxd(model, [(3, ""), (7, ""), (20, "")]) + "\n2024-01-02,No Such Film,1999,,\n"
    files = {
        "profile.csv": "Username\nann\n",
        "watched.csv": watched,
        "ratings.csv": letterboxd(model, [(3, 4.5), (20, 1)]),
        "watchlist.csv": letterboxd(model, [(9, "")]),
        "deleted/ratings.csv": letterboxd(model, [(11, 5)]),
        "more.zip": zipped({"ratings.csv": letterboxd(model, [(12, 5)])}),
    }
    body = zipped({folder + name: text for name, text in files.items()})
    told = client.post(f"{API}/users/ann/import", content=body).json()
    assert (told["imported"], told["new"]) == (3, 3)
    assert [(skip["file"], skip["row"]) for skip in told["skipped"]] == [("watched.csv", 5)]
    feedback = client.get(f"{API}/users/ann/feedback").json()["feedback"]
    kept = {told["item_id"]: (told["kind"], told["rating"]) for told in feedback}
    ids = model.catalog.ids.values
    assert kept == {ids[3]: ("rating", 4.5), ids[7]: ("seen", None), ids[20]: ("rating", 1)}


GOOD = "Date,Name,Year,Letterboxd URI,Rating\n2024-01-02,A,1999,,4\n"


@pytest.mark.parametrize(
    ("body", "line"),
    [
        (zipped({"ratings.csv": "0" * 11_000_000}), "too large"),
        (zipped({"ratings.csv": GOOD + "\n" * 9_000_000, "watched.csv": "0" * 2_000_000}), "large"),
        (zipped({"cats.csv": GOOD}), "there is no watched.csv or ratings.csv"),
        (zipped({"ratings.csv": "cat,age\nMia,3\n"}), "ratings.csv: this is no file of Letterboxd"),
        (zipped({"../ratings.csv": GOOD}), "outside its folder"),
        (zipped({"ratings.csv": GOOD, "Ratings.csv": GOOD}), "two files of the same name"),
        (zipped({"ratings.csv": GOOD}, zipfile.ZIP_LZMA), "unusual way"),
        (zipped({"ratings.csv": GOOD})[:-30], "damaged"),
        (zipped({f"{number}.csv": "" for number in range(10_001)}), "10,001 files"),
    ],
    ids=["large", "large together", "none", "other", "outside", "twice", "packed", "cut", "many"],
)
def test_a_hostile_archive_is_one_line(client, body, line):
    answer = client.post(f"{API}/users/ann/import", content=body)
    assert answer.status_code == 422
    assert line in answer.json()["detail"]


@pytest.mark.parametrize("body", [b"", b"x", b"\xff\xfe\x00", b"a,b\n1,2\n", b"{}", b"PK\x03\x04"])
def test_other_files_are_one_line(client, body):
    answer = client.post(f"{API}/users/ann/import", content=body)
    assert answer.status_code == 422
    assert "\n" not in answer.json()["detail"]


@pytest.mark.parametrize("who", ["/me", "/users/{user_id}"])
def test_the_document_names_both_kinds_of_files(client, who):
    document = client.get("/openapi.json").json()
    body = document["paths"][f"{API}{who}/import"]["post"]["requestBody"]
    assert set(body["content"]) == {"text/csv", "application/zip"}

"""`matinee data` and `matinee describe`: list, add, clean, describe."""

import polars as pl
import pytest


@pytest.fixture
def empty_cache(shell, tmp_path, monkeypatch):
    """A cache of its own."""
    monkeypatch.setattr(shell, "cache", tmp_path)
    return tmp_path


def test_editions_and_own_data_are_listed(shell):
    paths = {entry["name"]: entry["path"] for entry in shell.json("data", "list")}
    assert paths["small"].endswith("small")
    assert paths["ml-32m"] == ""
    text = shell("data", "list", columns=80)
    assert "ml-32m" in text
    assert "2,023" not in text  # years
    assert max(map(len, text.splitlines()[:-1])) <= 80


def test_describe_shows_sizes_and_rows(shell):
    summary = shell.json("describe", "small")
    assert (summary["users"], summary["items"], summary["ratings"]) == (80, 70, 2400)
    text = shell("describe", "small", columns=80)
    for words in ("80 users, 70 movies, 2,400 ratings", "sparsity", "Ratings per user and movie"):
        assert words in text
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.slow
def test_add_keeps_how_a_table_is_read(shell, empty_cache):
    table = pl.DataFrame(
        {"who": ["ann", "bob", "ann"] * 4, "what": [f"b{k}" for k in range(12)],
         "how": [10.0, 0.0, 5.0] * 4}
    )  # fmt: skip
    table.write_csv(shell.folder / "books.csv")
    options = ["--columns", "user_id=who,item_id=what,rating=how", "--scale", "0:10"]
    assert "who" in shell("data", "add", "books.csv", fails=True)
    added = shell.json("data", "add", "books.csv", *options, "--name", "books")
    assert (added["name"], added["ratings"]) == ("books", 12)
    assert shell.json("describe", "books")["scale"].startswith("0 to 10")
    assert "2 users, 12 items, 12 ratings" in shell("describe", "books")
    text = shell("data", "add", "books.csv", *options, "--name", "books")
    assert text == "12 ratings, replacing the earlier books. Next: matinee describe books\n"


@pytest.mark.slow
def test_a_bad_row_leaves_everything_as_it_was(shell):
    (shell.folder / "bad.csv").write_text("user,item,rating\n1,1,4\n1,2,many\n")
    runs = {path.name for path in (shell.folder / "runs").iterdir()}
    assert "bad.csv, row 3, column rating" in shell("train", "bad.csv", fails=True)
    assert {path.name for path in (shell.folder / "runs").iterdir()} == runs
    assert "bad.csv" in shell("data", "add", "bad.csv", fails=True)
    assert "bad" not in [entry["name"] for entry in shell.json("data", "list")]


@pytest.mark.slow
def test_clean_removes_the_parsed_files_and_nothing_else(shell, empty_cache):
    entry = empty_cache / ".parsed" / "0123"
    entry.mkdir(parents=True)
    (entry / "0.npy").write_bytes(b"1234")
    (empty_cache / "mine").mkdir()
    assert shell.json("data", "clean") == {"bytes": 4}
    assert not entry.exists()
    assert (empty_cache / "mine").exists()
    assert shell.json("data", "clean") == {"bytes": 0}
    assert shell("data", "clean") == "0 MB freed. The cache is rebuilt on the next read.\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["data", "add", "small.csv", "--name", "ml-1m"], "small.csv"),
        (["data", "add", "nowhere.zip"], "nowhere.zip"),
        (["data", "fetch", "ml-9"], "ml-9"),
        (["describe", "https://example.org/x.csv"], "download it first"),
        (["describe", "small", "--scale", "low:high"], "--scale must be LOW:HIGH"),
        (["describe", "small", "--columns", "user_id"], "--columns must be user_id=NAME"),
        (["describe", "small", "--duplicates", "refuse"], "'refuse'"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(shell, arguments, message):
    assert message in shell(*arguments, fails=True)

"""Names of files, folders and data sets as disks have them: read, or refused in a line."""

import os
import sys
from pathlib import Path

import pytest
from tiny_editions import refusal

from matinee.data import cache, read
from matinee.data.cache import add, cached_names
from matinee.errors import MatineeError, SettingError, WriteError
from matinee.storage.atomic import new_file, new_folder
from matinee.storage.writing import check_place

ROWS = "user,item,rating\n1,7,4\n2,7,3\n"
LINES = '{"user": 1, "item": 7, "rating": 4}\n{"user": 2, "item": 7, "rating": 3}\n'
NOT_UTF8 = os.fsdecode(b"r\xe9sum\xe9")  # as old disks have it

no_such_names = pytest.mark.skipif(
    sys.platform in ("win32", "darwin"), reason="file systems that know only Unicode"
)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MATINEE_CACHE", str(tmp_path / "cache"))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows forbids such names")
@pytest.mark.parametrize("name", ["[x]", "a*b", "what?", "{1}", "%20", "two\nlines", "-d"])
@pytest.mark.parametrize(("file", "text"), [("r.csv", ROWS), ("r.jsonl", LINES)])
def test_a_name_is_no_pattern(tmp_path, name, file, text):
    path = tmp_path / name / file
    path.parent.mkdir()
    path.write_text(text)
    assert len(read(path)) == 2


@no_such_names
def test_a_name_that_is_not_in_utf8_is_told(tmp_path):
    path = tmp_path / NOT_UTF8 / "ratings.csv"
    path.parent.mkdir()
    path.write_text(ROWS)
    for source in (path, path.parent):
        assert refusal(source).endswith("ratings.csv: its name is not in UTF-8; rename it.")


def begin(write, path):
    """Look at a place, or begin to write there."""
    if block := write(path):
        block.__enter__()


@no_such_names
@pytest.mark.parametrize("write", [check_place, new_file, new_folder])
def test_nothing_is_written_under_such_a_name(tmp_path, write):
    (tmp_path / NOT_UTF8).mkdir()
    with pytest.raises(WriteError, match="not writable: its name is not in UTF-8"):
        begin(write, tmp_path / NOT_UTF8 / "run")
    assert list((tmp_path / NOT_UTF8).iterdir()) == []


@pytest.mark.parametrize("write", [check_place, new_file, new_folder])
def test_a_file_in_the_place_of_a_folder_is_told(tmp_path, write):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(WriteError, match="a file is in the place of a folder"):
        begin(write, tmp_path / "file" / "run")


def test_the_folder_where_one_is_has_a_name(tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "ratings.csv").write_text(ROWS)
    monkeypatch.chdir(tmp_path / "mine")
    for here in (".", "../mine", str(tmp_path / "mine")):
        assert cache.default_name(Path(here)) == "mine"
    add(Path())
    assert cached_names() == ["mine"]


@pytest.mark.parametrize("name", ["x" * 65, "x" * 300, "..", "a/b", "", "two\nlines"])
def test_what_cannot_be_a_name_of_data_is_refused(name):
    with pytest.raises(SettingError, match="The name of a data set must be of letters"):
        cache.check_name(name)


def test_a_disk_that_fails_in_the_midst_of_reading_is_told_of_the_file(tmp_path):
    if not Path("/proc/self/mem").exists():
        pytest.skip("needs a file that cannot be read at its beginning")
    (tmp_path / "ratings.csv").symlink_to("/proc/self/mem")
    message = refusal(tmp_path / "ratings.csv")
    assert message.endswith("ratings.csv: cannot be read (Input/output error).")


HALF = "a\ud978"


@pytest.mark.parametrize(
    "option",
    [
        {"missing": [-1, HALF]},
        {"columns": {"user_id": HALF}},
        {"columns": {HALF: "user"}},
        {"event_weights": {HALF: 1.0}},
        {"time_format": HALF},
        {"items": HALF},
    ],
    ids=str,
)
def test_half_a_character_in_an_option_is_one_line(tmp_path, option):
    path = tmp_path / "r.csv"
    path.write_text("user,item,rating\n1,2,3\n")
    with pytest.raises(MatineeError) as refused:
        read(path, **option)
    assert len(str(refused.value).splitlines()) == 1
    str(refused.value).encode()

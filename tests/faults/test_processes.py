"""Several processes at once, and such as are ended: each gets the old or the new, whole."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import polars as pl
import pytest
from mirror import serve
from tiny_editions import write_csv, zip_folder

import matinee
from matinee.data import parsed_cache, read
from matinee.data.cache import add
from matinee.data.compression import Scratch
from matinee.data.download import fetch
from matinee.errors import ArchiveError
from matinee.storage.hidden import hidden, hidden_name

pytestmark = pytest.mark.thorough
NAME = "ml-latest-small"
ADD = """
import sys
from pathlib import Path
from matinee.data.cache import add

while not Path(sys.argv[3]).exists():
    for source in sys.argv[1:3]:
        add(Path(source), "mine")
"""
FETCH = """
import sys
from matinee.data.download import fetch

print(fetch(*sys.argv[1:]))
"""
SAVE = """
import sys
from pathlib import Path
import matinee

models = [matinee.load(run) for run in sys.argv[1:3]]
while not Path(sys.argv[4]).exists():
    for model in models:
        model.save(sys.argv[3])
"""


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache folder of the test's own, for its processes, too."""
    monkeypatch.setenv("MATINEE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "*")
    return tmp_path / "cache"


def start(code, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )


def source_of(folder, letter, items):
    """Ratings and movies that all have the same letter in their ids and titles."""
    folder.mkdir()
    names = [f"{letter}{number}" for number in range(items)]
    ratings = {"user_id": names, "item_id": names, "rating": [4.0] * items}
    pl.DataFrame(ratings).write_csv(folder / "ratings.csv")
    movies = {"item_id": names, "title": names, "genres": ["Drama"] * items}
    pl.DataFrame(movies).write_csv(folder / "movies.csv")
    return folder


@pytest.mark.parametrize("kept_parsed", [False, True])
def test_data_that_are_replaced_while_they_are_read(tmp_path, kept_parsed, monkeypatch):
    if kept_parsed:
        monkeypatch.setattr(parsed_cache, "MIN_SOURCE_BYTES", 0)
    old, new = source_of(tmp_path / "a", "a", 300), source_of(tmp_path / "b", "b", 500)
    add(old, "mine")
    writer = start(ADD, old, new, tmp_path / "stop")
    seen = set()
    try:
        while len(seen) < 2:  # until both are at work
            seen.add(read("mine").catalog.frame["title"][0][0])
        for _ in range(60):
            data = read("mine")
            titles, ids = data.catalog.frame["title"], data.ratings.user_ids.values
            letters = {text[0] for text in (*titles.to_list(), *ids.to_list())}
            assert letters in ({"a"}, {"b"})
            assert len(data) == len(titles) == (300 if letters == {"a"} else 500)
        assert writer.poll() is None
    finally:
        (tmp_path / "stop").touch()
    _, problems = writer.communicate(timeout=30)
    assert problems == ""
    assert hidden(tmp_path / "cache", "new") == hidden(tmp_path / "cache", "previous") == []


def test_a_run_that_is_replaced_while_it_is_loaded(tmp_path, model, both):
    runs = [model.save(tmp_path / "a"), both.save(tmp_path / "b")]
    target = model.save(tmp_path / "run")
    writer = start(SAVE, *runs, target, tmp_path / "stop")
    seen = set()
    try:
        for number in range(10_000):
            if number >= 60 and len(seen) == 2:
                break
            seen.add(len(matinee.load(target).heads))
        assert writer.poll() is None
    finally:
        (tmp_path / "stop").touch()
    assert writer.communicate(timeout=30)[1] == ""
    assert seen == {1, 2}


@pytest.mark.parametrize("apart", [0.0, 0.5])
def test_one_of_two_processes_downloads_and_the_other_waits(tmp_path, cache, apart):
    archive = zip_folder(write_csv(tmp_path / "tiny"), tmp_path / "a.zip").read_bytes()
    with serve() as mirror:
        mirror.publish(NAME, archive)
        mirror.pause = 2.5
        first = start(FETCH, NAME, mirror.url)
        time.sleep(apart)
        second = start(FETCH, NAME, mirror.url)
        for process in (first, second):
            out, problems = process.communicate(timeout=60)
            assert (out.strip(), problems) == (str(cache / NAME), "")
    assert [path for path, _ in mirror.requests].count(f"/{NAME}.zip") == 1
    assert len(read(NAME)) == 7
    assert [path.name for path in cache.iterdir()] == [NAME]


def test_whoever_waited_for_a_download_that_failed_tries_it_again(tmp_path, cache):
    archive = zip_folder(write_csv(tmp_path / "tiny"), tmp_path / "a.zip").read_bytes()
    with serve() as mirror:
        mirror.publish(NAME, archive)
        mirror.files[f"/{NAME}.zip"] = archive[:-1] + b"?"
        mirror.pause = 2.5
        process = start(FETCH, NAME, mirror.url)
        while not (cache / f".{NAME}.zip.part").exists():
            time.sleep(0.01)
            assert process.poll() is None
        with pytest.raises(ArchiveError, match="its MD5 must be"):
            fetch(NAME, mirror.url)
        assert "its MD5 must be" in process.communicate(timeout=60)[1]
    assert [path for path, _ in mirror.requests].count(f"/{NAME}.zip") == 2
    assert list(cache.iterdir()) == []


def test_what_a_killed_process_unpacked_is_removed_by_the_next(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    left = hidden_name(tmp_path / "matinee", "new")
    left.mkdir()
    (left / "ratings.csv").write_text("many")
    (tmp_path / ".mine.new-0123").mkdir()  # is no name of ours
    with Scratch() as first, Scratch() as second:
        folders = [first.new_folder(), second.new_folder()]
        assert all(folder.is_dir() for folder in folders)
        assert folders[0].parent.stat().st_mode & 0o077 == 0
        assert not left.exists()
    assert [path.name for path in tmp_path.iterdir()] == [".mine.new-0123"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_to_end_is_obeyed_tidily(tmp_path, number, status):
    source = source_of(tmp_path / "mine", "a", 300)
    command = ["train", source, "--model", "bayes", "--ranker", "none", "--iterations", 10**6]
    command += ["--checkpoint", "state", "--checkpoint-every", 1, "--split", "random"]
    process = subprocess.Popen(
        [sys.executable, "-m", "matinee", *map(str, command)],
        cwd=tmp_path,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    state = tmp_path / "state" / "bayesianmf" / "state.safetensors"
    while not state.exists():
        time.sleep(0.05)
        assert process.poll() is None, process.communicate()
    process.send_signal(number)
    out, problems = process.communicate(timeout=60)
    assert (process.returncode, out, problems.strip()) == (status, "", "matinee: stopped.")
    assert [path.name for path in Path(tmp_path, "state").iterdir()] == ["bayesianmf"]
    assert {path.name for path in tmp_path.iterdir()} <= {"mine", "state", "cache"}

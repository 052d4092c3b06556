"""Whatever surrounds a command: users without a home, locales without letters, runs in the way."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from shell import MATINEE

from matinee import errors
from matinee.cli.output import short
from matinee.errors import ArchiveError, WriteError

ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.fixture
def homeless(monkeypatch):
    """A user without a home, for whom Python has no folder either."""

    def expanduser(path):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("pathlib.Path.expanduser", expanduser)


def test_without_a_home_paths_are_shown_whole(homeless, tmp_path):
    assert short(tmp_path) == str(tmp_path)


def test_packages_that_ask_for_a_home_are_imported_without_one(homeless, monkeypatch):
    seen = []
    monkeypatch.setattr(errors, "import_module", lambda _: seen.append(os.environ.get("HOME")))
    errors.require_extra("charts", "altair")
    assert seen == [Path.cwd().anchor]
    assert "HOME" not in os.environ
    monkeypatch.setenv("HOME", "mine")
    monkeypatch.setattr("pathlib.Path.expanduser", lambda path: path)
    errors.require_extra("charts", "altair")
    assert seen[1] == "mine"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such locales")
def test_letters_are_understood_in_a_locale_that_has_none(own_shell):
    (own_shell.folder / "films.csv").write_text(
        "user,item,rating,title\nZoë,1,3,Amélie\nZoë,2,4,Alien\nann,1,5,Amélie\n",
        encoding="utf-8",
    )

    def run(*arguments):
        done = subprocess.run(
            ["/bin/sh", "-c", '"$0" "$@" 2>&-', MATINEE, *map(os.fsencode, arguments)],
            cwd=own_shell.folder,
            env=own_shell.environment(**ASCII),
            capture_output=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, b"")
        return done.stdout

    made = ("--model", "bias", "--ranker", "popularity", "--test-fraction", "0")
    run("train", "films.csv", *made, "--run", "läuft")
    assert (own_shell.folder / "läuft").is_dir()
    assert b"Am?lie" in run("audience", "läuft", "Amélie", "--include-seen")


def test_arguments_that_are_no_text_start_nothing_anew(shell, monkeypatch):
    monkeypatch.setattr(os, "execve", lambda *_: pytest.fail("started anew"))
    for argument in ("Zürich", os.fsdecode(b"\xff"), "plain"):
        shell("audience", "als", argument, fails=True)


def test_the_demo_is_refused_before_the_work_where_no_run_can_be_written(own_shell, monkeypatch):
    monkeypatch.setattr("matinee.cli.demo._find_data", lambda: pytest.fail("it began"))
    (own_shell.folder / "runs").rename(own_shell.folder / "others")
    (own_shell.folder / "runs").write_text("in the way")
    assert "runs/demo: not writable: a file is in the place" in own_shell("demo", fails=True)


@pytest.mark.parametrize("problem", [ArchiveError("no network"), WriteError("no space")])
def test_the_demo_invents_data_where_none_can_be_fetched(monkeypatch, tmp_path, capsys, problem):
    from matinee.cli.demo import _find_data

    def fetch(_):
        raise problem

    monkeypatch.setenv("MATINEE_CACHE", str(tmp_path))
    monkeypatch.setattr("matinee.data.download.fetch", fetch)
    assert len(_find_data().ratings.user_ids) == 600
    assert f"That failed: {problem}" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["", "x" * 300, "x" * 5000])
def test_what_is_no_name_of_a_run_is_told_in_a_short_line(shell, name):
    message = shell("recommend", name, "--user", 1, fails=True)
    assert "no run has this name (the newest: als" in message
    assert len(message) < 150 or not name


@pytest.mark.parametrize("name", ["two\nlines", ".hidden", " x", "a/b", "\x1b[31m"])
def test_names_that_no_run_may_have_are_refused_with_the_reasons(own_shell, name):
    message = own_shell("runs", "rename", "als", name, fails=True)
    assert "only letters that can be printed, no slash, no dot or dash in front" in message

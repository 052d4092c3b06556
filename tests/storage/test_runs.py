"""Runs get other names and go, whole or not at all, and nothing else ever does."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from threading import Barrier, get_ident

import pytest

import matinee
from matinee.errors import RunError, WriteError
from matinee.storage import atomic
from matinee.storage import runs as storage
from matinee.storage.atomic import recover_all, remove_folder, rename_folder
from matinee.storage.hidden import hidden_name
from matinee.storage.runs import list_runs, remove_run, rename_run, write_new_run


@pytest.fixture
def runs(model, tmp_path):
    """A folder with the runs `one` and `two`."""
    folder = tmp_path / "runs"
    for name in ("one", "two"):
        model.save(folder / name)
    return folder


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_runs_that_end_at_the_same_moment_are_all_kept(model, tmp_path, monkeypatch):
    writers = Barrier(4)
    begun = set()

    @contextmanager
    def new_folder(run, replace):
        with atomic.new_folder(run, replace=replace) as fresh:
            if get_ident() not in begun:
                begun.add(get_ident())
                writers.wait(60)  # all four have found the same name free
            yield fresh

    monkeypatch.setattr(storage, "new_folder", new_folder)
    models = [replace(model, metadata={"fit_seconds": number}) for number in range(4)]
    with ThreadPoolExecutor(4) as pool:
        saved = list(
            pool.map(lambda one: write_new_run(one.to_parts(), tmp_path / "runs" / "now"), models)
        )
    assert names(tmp_path / "runs") == ["now", "now-2", "now-3", "now-4"]
    assert sorted(saved) == sorted((tmp_path / "runs").iterdir())
    assert [matinee.load(run).metadata["fit_seconds"] for run in saved] == [0, 1, 2, 3]


@pytest.mark.slow
def test_a_new_run_replaces_nothing_that_has_its_name(model, runs):
    (runs / "three").write_text("a file")
    (runs / "four").mkdir()
    (runs / "five").symlink_to(runs / "one")
    # a process was killed while replacing it
    (runs / "two").rename(hidden_name(runs / "two", "previous"))
    for name in ("one", "two", "three", "four", "five", "six"):
        new = name if name == "six" else f"{name}-2"
        assert write_new_run(model.to_parts(), runs / name) == runs / new
        assert (runs / new / "manifest.json").exists()
    assert (runs / "three").read_text() == "a file"
    assert list((runs / "four").iterdir()) == []
    assert {"one", "two"} <= {path.name for path, _ in list_runs(runs)}
    with pytest.raises(WriteError, match="a file is in the place"):  # no endless search of a name
        write_new_run(model.to_parts(), runs / "three" / "run")


def test_a_renamed_run_is_the_same_run(runs):
    manifest = (runs / "one" / "manifest.json").read_bytes()
    assert rename_run(runs / "one", "the best, as of today") == runs / "the best, as of today"
    assert names(runs) == ["the best, as of today", "two"]
    assert (runs / "the best, as of today" / "manifest.json").read_bytes() == manifest
    assert matinee.load(runs / "the best, as of today").rating_head.estimator["name"] == "ALS"


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        ".hidden",
        "-n",
        "a/b",
        "/a",
        "../a",
        "a\\b",
        " a",
        "a ",
        "a\nb",
        "a\0",
        "\x1b[31m",
    ],
)
def test_what_is_no_name_is_refused(runs, name):
    with pytest.raises(RunError, match="cannot name a run") as refused:
        rename_run(runs / "one", name)
    assert str(refused.value).isprintable()
    assert names(runs) == ["one", "two"]


@pytest.mark.parametrize("make", ["run", "file", "folder", "link", "previous"])
def test_a_name_that_is_taken_is_refused(runs, make):
    taken = runs / "taken"
    if make == "run":
        shutil.copytree(runs / "two", taken)
    elif make == "file":
        taken.write_text("mine")
    elif make == "folder":
        taken.mkdir()
    elif make == "link":
        taken.symlink_to("nowhere")
    else:  # a save of it was killed between two renames
        shutil.copytree(runs / "two", hidden_name(taken, "previous"))
    with pytest.raises(RunError, match="taken: exists already"):
        rename_run(runs / "one", "taken")
    assert {"one", "taken", "two"} <= {*names(runs)}
    with pytest.raises(FileExistsError):
        rename_folder(runs / "one", "taken")


def test_a_removed_run_is_gone_with_all_that_it_holds(runs):
    (runs / "one" / "pictures").mkdir()
    (runs / "one" / "pictures" / "map.png").write_bytes(b"1")
    remove_run(runs / "one")
    assert names(runs) == ["two"]
    assert [path.name for path, _ in list_runs(runs)] == ["two"]


@pytest.mark.parametrize("version", [1, 2, 99])
def test_a_run_of_any_version_can_go(runs, version):
    path = runs / "one" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": version}))
    remove_run(runs / "one")
    assert names(runs) == ["two"]


@pytest.mark.parametrize("change", [rename_run, remove_run])
def test_what_is_no_run_stays(runs, model, change):
    def refused(path, message):
        before = names(runs)
        with pytest.raises(RunError, match=message):
            change(path, "new") if change is rename_run else change(path)
        assert names(runs) == before

    stranger = runs / "stranger"
    stranger.mkdir()
    refused(stranger, "not a run")
    for text in ("{}", "[]", "no json", '{"name": "an extension", "version": "1"}', "[" * 10_000):
        (stranger / "manifest.json").write_text(text)
        refused(stranger, "not a run")
    refused(runs / "nowhere", "not a run")
    refused(runs / "one" / "..", "name the run by its folder")
    model.save(runs / "one" / "inner")
    refused(runs / "one", "contains another run, inner")


@pytest.mark.parametrize("change", [rename_run, remove_run])
def test_links_are_not_followed(runs, model, tmp_path, change):
    elsewhere = model.save(tmp_path / "elsewhere")
    (runs / "link").symlink_to(elsewhere)
    with pytest.raises(RunError, match=r"link: is a link to .*elsewhere; name that run"):
        change(runs / "link", "new") if change is rename_run else change(runs / "link")
    assert (runs / "link").is_symlink()
    assert (elsewhere / "manifest.json").exists()


def test_a_link_inside_a_run_is_removed_and_not_followed(runs, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    (runs / "one" / "link").symlink_to(tmp_path / "mine")
    remove_run(runs / "one")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"
    assert names(runs) == ["two"]


def test_an_interrupted_removal_is_whole_and_ended_by_the_next(runs, monkeypatch):
    def killed(*arguments, **named):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            remove_run(runs / "one")
    assert [path.name for path, _ in list_runs(runs)] == ["two"]
    assert len(names(runs)) == 2  # its files, under a name that nobody looks for
    remove_run(runs / "two")
    assert names(runs) == []


def test_a_removal_that_cannot_begin_leaves_the_run(runs, monkeypatch):
    monkeypatch.setattr(type(runs), "rename", lambda *_: (_ for _ in ()).throw(PermissionError(1)))
    with pytest.raises(PermissionError):
        remove_run(runs / "one")
    assert matinee.load(runs / "one").rating_head


@pytest.mark.parametrize("change", [remove_folder, lambda folder: rename_folder(folder, "new")])
def test_what_a_killed_save_left_does_not_come_back(runs, change):
    """The previous run stays for a moment beside the new one, and `recover` knows only names."""
    shutil.copytree(runs / "two", hidden_name(runs / "one", "previous"))
    change(runs / "one")
    recover_all(runs)
    assert not (runs / "one").exists()
    assert [name for name in names(runs) if name.startswith(".")] == []


def test_runs_behind_a_linked_folder_are_runs_like_others(runs, tmp_path):
    (tmp_path / "linked").symlink_to(runs)
    assert rename_run(tmp_path / "linked" / "one", "three") == tmp_path / "linked" / "three"
    remove_run(tmp_path / "linked" / "two")
    assert names(runs) == ["three"]
    assert (tmp_path / "linked").is_symlink()

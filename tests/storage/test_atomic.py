"""Folders and files are there whole, or as they were before."""

import pytest

from matinee.storage.atomic import new_file, new_folder, recover, remove_folder, rename_folder
from matinee.storage.hidden import hidden_name
from matinee.storage.locks import locked


def write(target, text, error=None, **kwargs):
    with new_folder(target, **kwargs) as folder:
        (folder / "a.txt").write_text(text)
        if error:
            raise error


def write_file(target, text, error=None):
    with new_file(target) as path:
        path.write_text(text)
        if error:
            raise error


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("durable", [True, False])
def test_a_new_folder_replaces_the_old_one(tmp_path, durable):
    for text in ("old", "new"):
        write(tmp_path / "parent" / "result", text, durable=durable)
        assert (tmp_path / "parent" / "result" / "a.txt").read_text() == text
    assert names(tmp_path / "parent") == ["result"]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_a_failure_leaves_what_was_there(tmp_path, error):
    write(tmp_path / "result", "old")
    write_file(tmp_path / "file", "old")
    with pytest.raises(error):
        write(tmp_path / "result", "new", error)
    with pytest.raises(error):
        write_file(tmp_path / "file", "new", error)
    assert (tmp_path / "result" / "a.txt").read_text() == "old"
    assert (tmp_path / "file").read_text() == "old"
    assert names(tmp_path) == ["file", "result"]


def test_without_replace_what_is_there_stays_whenever_it_came(tmp_path):
    with pytest.raises(FileExistsError), new_folder(tmp_path / "late", replace=False):
        (tmp_path / "late").write_text("of another process")
    with pytest.raises(FileExistsError), new_folder(tmp_path / "late", replace=False):
        pytest.fail("the block was run")
    assert (tmp_path / "late").read_text() == "of another process"
    assert names(tmp_path) == ["late"]


def test_a_new_file_replaces_the_old_one(tmp_path):
    for text in ("old", "new"):
        write_file(tmp_path / "folder" / "file", text)
        assert (tmp_path / "folder" / "file").read_text() == text
    assert names(tmp_path / "folder") == ["file"]


def test_what_killed_writers_left_is_put_back_or_removed(tmp_path):
    write(tmp_path / "result", "old")
    (tmp_path / "result").rename(hidden_name(tmp_path / "result", "previous"))
    hidden_name(tmp_path / "another", "new").mkdir()
    recover(tmp_path / "result")
    assert (tmp_path / "result" / "a.txt").read_text() == "old"
    write(tmp_path / "result", "new")
    assert names(tmp_path) == ["result"]


def test_the_folder_of_a_live_writer_is_not_removed(tmp_path):
    with new_folder(tmp_path / "result") as first:
        write(tmp_path / "result", "second")
        (first / "a.txt").write_text("first")
    assert (tmp_path / "result" / "a.txt").read_text() == "first"


def test_renaming_and_removing(tmp_path):
    write(tmp_path / "old", "text")
    (tmp_path / "taken").mkdir()
    with pytest.raises(FileExistsError):
        rename_folder(tmp_path / "old", "taken")
    assert rename_folder(tmp_path / "old", "new") == tmp_path / "new"
    assert names(tmp_path) == ["new", "taken"]
    remove_folder(tmp_path / "new")
    assert names(tmp_path) == ["taken"]


def test_a_lock_is_held_by_one_or_shared(tmp_path):
    with locked(tmp_path) as held, locked(tmp_path, wait=False) as second:
        assert (held, second) == (True, False)
    with locked(tmp_path, shared=True), locked(tmp_path, shared=True, wait=False) as second:
        assert second

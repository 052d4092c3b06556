"""Locks are held by one or shared, whether the system locks folders or a file stands for them."""

import errno
import os
import shutil
import tempfile
import threading

import pytest

from matinee.storage import locks
from matinee.storage.atomic import new_folder, remove_folder
from matinee.storage.hidden import hidden
from matinee.storage.locks import locked


class DiskWithoutLocks:
    """What `fcntl` is like on a network disk that locks no folder."""

    LOCK_SH, LOCK_EX, LOCK_NB = 1, 2, 4

    @staticmethod
    def flock(handle, mode):
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))


@pytest.fixture(params=["flock", "none", "network"], autouse=True)
def system(request, monkeypatch, tmp_path_factory):
    """A system that locks folders, Windows, and a disk that does not lock."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("temporary")))
    if request.param == "flock":
        pytest.importorskip("fcntl")
    else:
        monkeypatch.setattr(locks, "fcntl", None if request.param == "none" else DiskWithoutLocks)
    return request.param


def test_one_holds_a_lock_or_many_share_it(tmp_path):
    with locked(tmp_path) as held, locked(tmp_path, wait=False) as second:
        assert (held, second) == (True, False)
    with (
        locked(tmp_path, shared=True) as held,
        locked(tmp_path, shared=True, wait=False) as second,
        locked(tmp_path, wait=False) as alone,
    ):
        assert (held, second, alone) == (True, True, False)
    with locked(tmp_path, wait=False) as held:
        assert held
    assert list(tmp_path.iterdir()) == []  # nothing of it stays in the folder


def test_what_is_not_there_cannot_be_locked(tmp_path):
    with pytest.raises(FileNotFoundError), locked(tmp_path / "none"):
        pytest.fail("the block was run")


def test_a_folder_that_was_removed_while_waiting_is_not_locked(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    waits, problems = threading.Event(), []

    def wait():
        waits.set()
        try:
            with locked(folder):
                problems.append("locked what is gone")
        except FileNotFoundError:
            problems.append("gone")

    other = threading.Thread(target=wait)
    with locked(folder):
        other.start()
        waits.wait()
        shutil.rmtree(folder)
    other.join()
    assert problems == ["gone"]


def test_a_folder_that_may_only_be_read_can_be_locked(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o555)
    with locked(folder, shared=True) as held:
        assert held


def test_a_live_writer_is_left_alone_and_a_dead_one_is_swept(tmp_path):
    with new_folder(tmp_path / "mine") as fresh:
        (fresh / "file").write_text("mine")
        with new_folder(tmp_path / "other"):
            pass
    assert (tmp_path / "mine" / "file").read_text() == "mine"
    remove_folder(tmp_path / "mine")
    assert [path.name for path in tmp_path.iterdir()] == ["other"]
    assert hidden(tmp_path, "new") == []


def test_files_that_stand_for_folders_do_not_pile_up(tmp_path, system):
    for number in range(5):
        with new_folder(tmp_path / str(number), durable=False):
            pass
    kept = list(locks._lock_folder().iterdir())
    assert len(kept) == (0 if system == "flock" else 1)  # that of the folder in which they are


def test_a_folder_of_locks_that_others_may_write_to_is_not_used(tmp_path, system):
    if system == "flock":
        pytest.skip("no files stand for folders here")
    (place := locks._lock_folder()).chmod(0o777)
    with pytest.raises(PermissionError, match="they may write"), locked(tmp_path):
        pass
    assert list(place.iterdir()) == []

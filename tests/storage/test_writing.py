"""What the system refuses is told in a line; modes; systems that refuse other things than this."""

import errno
import os
import stat
from pathlib import Path

import pytest

from matinee.errors import WriteError
from matinee.storage import writing
from matinee.storage.atomic import new_file, new_folder
from matinee.storage.writing import check_place


def write(target, text="text", **options):
    with new_folder(target, **options) as folder:
        (folder / "a.txt").write_text(text)
        (folder / "below").mkdir()
        (folder / "below" / "b.txt").write_text(text)


@pytest.fixture
def umask():
    """Sets the umask of a test, and sets it back."""
    before = os.umask(0)
    os.umask(before)
    yield os.umask
    os.umask(before)


def modes(folder):
    paths = sorted([folder, *folder.rglob("*")])
    return {f"{stat.S_IMODE(path.stat().st_mode):o}" for path in paths}


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        (0o022, {"755", "644"}),
        (0o077, {"700", "600"}),
        (0o027, {"750", "640"}),
        (2, {"775", "664"}),
    ],
)
def test_the_umask_says_who_may_read(tmp_path, umask, mask, expected):
    umask(mask)
    write(tmp_path / "deep" / "folder")
    assert modes(tmp_path / "deep" / "folder") == expected
    with new_file(tmp_path / "file") as fresh:
        fresh.write_text("text")
        fresh.chmod(0o666)  # as a library may
    assert modes(tmp_path / "file") <= expected


def test_what_replaces_something_private_is_private(tmp_path, umask):
    umask(0o022)
    write(tmp_path / "folder")
    (tmp_path / "folder").chmod(0o700)
    write(tmp_path / "folder", "new")
    assert modes(tmp_path / "folder") == {"700", "600"}
    (tmp_path / "file").touch(mode=0o600)
    with new_file(tmp_path / "file") as fresh:
        fresh.write_text("new")
    assert modes(tmp_path / "file") == {"600"}


def test_a_copy_is_as_private_as_its_origin(tmp_path, umask):
    umask(0o022)
    for name, mode in (("open", 0o644), ("group", 0o640), ("own", 0o600)):
        (tmp_path / name).touch(mode=mode)
    write(tmp_path / "copy", origins=[tmp_path / "open", tmp_path / "group"])
    assert modes(tmp_path / "copy") == {"750", "640"}
    write(tmp_path / "copy", origins=[tmp_path / "own", tmp_path / "group"])
    assert modes(tmp_path / "copy") == {"700", "600"}


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "your share of the disk is used up"),
        (OSError("41 requested and 7 written"), "the disk is full"),
        (RuntimeError("I/O error: No space left on device (os error 28)"), "the disk is full"),
        (OSError(errno.EMFILE, "Too many open files"), "too many files are open"),
        (MemoryError(), "there is not enough memory"),
        (OSError(errno.EROFS, "Read-only file system"), "the disk can only be read"),
    ],
)
def test_refusals_are_one_line_that_says_what_stays(tmp_path, error, said):
    write(tmp_path / "folder", "old")
    message = f"folder: not writable: {said}. What was there before stays."
    with pytest.raises(WriteError, match=message), new_folder(tmp_path / "folder"):
        raise error
    assert (tmp_path / "folder" / "a.txt").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize(
    "error",
    [
        ValueError("of the caller"),
        FileNotFoundError(errno.ENOENT, "No such file", "/elsewhere/source.csv"),
        PermissionError(errno.EACCES, "Permission denied", "/elsewhere/source.csv"),
    ],
)
def test_what_is_not_about_writing_stays_what_it_is(tmp_path, error):
    with pytest.raises(type(error)) as caught, new_folder(tmp_path / "folder"):
        raise error
    assert caught.value is error


def test_places_where_nothing_can_be_written_are_known_before(tmp_path):
    (tmp_path / "file").touch()
    check_place(tmp_path / "new" / "folders" / "run")
    with pytest.raises(WriteError, match="a file is in the place of a folder"):
        check_place(tmp_path / "file" / "run")
    with pytest.raises(WriteError, match="name is too long"):
        check_place(tmp_path / ("x" * 300) / "run")
    with pytest.raises(WriteError, match=r"/proc/run: not writable: .*Choose another place"):
        check_place(Path("/proc/run"))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


# Windows: no fsync of what is opened to be read, no handles of folders, nothing open is renamed


def test_only_writable_handles_are_synced_and_folders_where_they_can_be(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")
    synced = []

    def fsync(handle):
        if fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        synced.append(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(writing, "fcntl", None)
    monkeypatch.delattr(os, "O_DIRECTORY")
    write(tmp_path / "folder")
    assert len(synced) == 2


def test_macos_is_asked_to_empty_the_memory_of_the_disk(tmp_path, monkeypatch):
    asked = []

    class MacOS:
        F_FULLFSYNC = 51

        @staticmethod
        def fcntl(handle, command):
            asked.append(command)
            if len(asked) == 1:
                raise OSError(errno.ENOTSUP, "a network disk")

    fallen_back = []
    monkeypatch.setattr(writing, "fcntl", MacOS)
    monkeypatch.setattr(os, "fsync", fallen_back.append)
    write(tmp_path / "folder")
    assert set(asked) == {51}
    assert len(asked) == 5  # two files, two folders, and the one in which they are
    assert len(fallen_back) == 1


@pytest.fixture
def windows(monkeypatch, tmp_path):
    """A system that renames nothing that is open; returns the set of what is."""
    opened = set()
    rename, replace = Path.rename, Path.replace

    def refuse(function):
        def call(self, target):
            for path in (self, Path(target)):
                if any(path in (other, *other.parents) for other in opened):
                    raise PermissionError(
                        errno.EACCES, "Access is denied", str(self), 5, str(target)
                    )
            return function(self, target)

        return call

    monkeypatch.setattr(Path, "rename", refuse(rename))
    monkeypatch.setattr(Path, "replace", refuse(replace))
    monkeypatch.setattr(writing, "WINDOWS", True)
    return opened


def test_what_another_program_has_open_is_not_replaced_and_says_so(tmp_path, windows):
    write(tmp_path / "folder", "old")
    (tmp_path / "page.html").write_text("old")
    windows |= {tmp_path / "folder" / "a.txt", tmp_path / "page.html"}
    with pytest.raises(WriteError, match="another program has it open; close that one"):
        write(tmp_path / "folder", "new")
    with (
        pytest.raises(WriteError, match="another program has it open"),
        new_file(tmp_path / "page.html") as fresh,
    ):
        fresh.write_text("new")
    assert (tmp_path / "folder" / "a.txt").read_text() == "old"
    assert (tmp_path / "page.html").read_text() == "old"
    assert {path.name for path in tmp_path.iterdir()} == {"folder", "page.html"}


@pytest.mark.slow
def test_a_training_is_not_lost_where_the_run_to_replace_is_open(tmp_path, windows, model):
    from matinee.models.loading import load, save_run

    run = save_run(model, tmp_path / "run", "als")
    windows |= {run / "manifest.json"}
    assert save_run(model, run, "als") == tmp_path / "run-2"
    assert load(tmp_path / "run-2").rating_head

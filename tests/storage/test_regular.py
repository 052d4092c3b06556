"""Whatever stands in place of a file is refused at once: nobody waits for it, or reads it."""

import os
import stat
import sys
from pathlib import Path

import pytest

from matinee.storage.regular import copy_regular, open_regular, read_regular
from traps import TRAPS, make_trap

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files")


@pytest.mark.parametrize("kind", TRAPS)
@pytest.mark.parametrize("use", [open_regular, lambda path: read_regular(path, 10)])
def test_what_is_no_file_is_refused_at_once(tmp_path, kind, use):
    make_trap(tmp_path / "trap", kind)
    with pytest.raises(OSError, match=r"not a file|symbolic links"):
        use(tmp_path / "trap")


def test_a_pipe_that_takes_the_place_of_a_file_at_the_last_moment_is_refused(tmp_path, monkeypatch):
    file, pipe = tmp_path / "file", tmp_path / "pipe"
    file.write_text("plain")
    os.mkfifo(pipe)
    plain = file.stat()
    monkeypatch.setattr(Path, "stat", lambda path: plain)
    with pytest.raises(OSError, match="a named pipe, not a file"):
        open_regular(pipe)


def test_a_file_or_a_link_to_one_is_read_up_to_a_limit(tmp_path):
    (tmp_path / "file").write_bytes(b"0123456789")
    (tmp_path / "link").symlink_to("file")
    assert read_regular(tmp_path / "link", 10) == b"0123456789"
    with pytest.raises(OSError, match="larger than 9 bytes"):
        read_regular(tmp_path / "file", 9)


@pytest.mark.parametrize(("mode", "copied"), [(0o644, 0o640), (0o600, 0o600), (0o440, 0o640)])
def test_a_copy_is_no_more_readable_than_its_origin_and_the_umask(tmp_path, mode, copied):
    (tmp_path / "mine").write_bytes(b"secret")
    (tmp_path / "mine").chmod(mode)
    before = os.umask(0o027)
    try:
        copy_regular(tmp_path / "mine", tmp_path / "copy")
    finally:
        os.umask(before)
    assert (tmp_path / "copy").read_bytes() == b"secret"
    assert stat.S_IMODE((tmp_path / "copy").stat().st_mode) == copied


def test_a_copy_replaces_nothing(tmp_path):
    for name in ("one", "other"):
        (tmp_path / name).write_text(name)
    with pytest.raises(FileExistsError):
        copy_regular(tmp_path / "one", tmp_path / "other")
    assert (tmp_path / "other").read_text() == "other"

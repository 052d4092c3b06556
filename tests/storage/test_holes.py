"""Files of which next to nothing is on the disk are refused before anybody reads their zeros."""

import os
import zipfile

import pytest

from matinee.data import read
from matinee.data.archives import extract
from matinee.errors import ArchiveError, MatineeError, RunError
from matinee.storage.regular import open_regular
from matinee.storage.runs import open_run

HUGE = 10**12


def holes(path, size=HUGE, start=b"", end=b""):
    """A file with something at its ends and nothing between."""
    with path.open("wb") as file:
        file.write(start)
        file.truncate(size - len(end))
        file.seek(0, os.SEEK_END)
        file.write(end)
    if path.stat().st_blocks * 512 > size // 10:
        pytest.skip("this disk has no holes")
    return path


pytestmark = pytest.mark.skipif(not hasattr(os, "SEEK_DATA"), reason="a system without holes")


@pytest.mark.parametrize(
    ("name", "start", "end"),
    [
        ("r.csv", b"user,item,rating\n", b"\n1,2,3\n"),
        ("r.jsonl", b'{"user": 1}\n', b"\n"),
        ("r.csv.zst", b"\x28\xb5\x2f\xfd", b""),
        ("r.parquet", b"PAR1", b"PAR1"),
        ("r.zip", b"PK\x03\x04", b"PK\x05\x06" + bytes(18)),
    ],
)
def test_data_of_holes_are_refused_at_once(tmp_path, name, start, end):
    with pytest.raises(MatineeError, match=r"of its 1,000,000,000,000 bytes [0-9,]+ are on the"):
        read(holes(tmp_path / name, start=start, end=end))


def test_a_run_with_a_file_of_holes_is_refused_at_once(both, tmp_path):
    both.save(tmp_path / "run")
    holes(tmp_path / "run" / "history.jsonl", 2**36)  # which could still be mapped
    with (
        pytest.raises(RunError, match=r"history.jsonl: the file cannot be read \(of its"),
        open_run(tmp_path / "run") as (_, contents),
    ):
        list(contents)


def test_what_is_on_the_disk_is_read_from_its_beginning(tmp_path):
    path = holes(tmp_path / "sparse", 2**27, start=b"x" * 2**21)
    with open_regular(path) as file:
        assert file.read(3) == b"xxx"
    with open_regular(holes(tmp_path / "small", 2**20)) as file:
        assert len(file.read()) == 2**20


def test_what_is_no_archive_is_not_searched_for_entries(tmp_path, monkeypatch):
    monkeypatch.setattr("matinee.data.archives.ENTRY", None)  # which the search would stumble over
    (tmp_path / "a.zip").write_bytes(b"no archive")
    with pytest.raises(ArchiveError, match="damaged or truncated"):
        extract(tmp_path / "a.zip", tmp_path / "out")
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("ratings.csv", "user,item,rating\n1,2,3\n2,2,4\n")
    monkeypatch.undo()
    assert len(read(tmp_path / "b.zip")) == 2

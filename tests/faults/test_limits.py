"""Real limits: a disk that is full, files that are too large, no handles left, a clock set back."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from faulty import contents
from tiny_editions import write_csv

import matinee
from matinee.data import parsed_cache, read
from matinee.errors import WriteError
from matinee.models import ALS, Bias
from matinee.storage.writing import check_place

pytestmark = pytest.mark.thorough
LIMITED = """
import os, resource, sys
from pathlib import Path
import matinee
from matinee.errors import WriteError
from matinee.storage.runs import write_run

model = matinee.load(sys.argv[1])
limit = getattr(resource, sys.argv[3])
before, hard = resource.getrlimit(limit)
parts = model.to_parts()
import safetensors.numpy
resource.setrlimit(limit, (int(sys.argv[4]), hard))
taken = []
while limit == resource.RLIMIT_NOFILE:
    try:
        taken.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        break
try:
    write_run(parts, Path(sys.argv[2]))
except WriteError as problem:
    resource.setrlimit(limit, (before, hard))
    print(problem)
    print(repr(matinee.load(sys.argv[2])))
    model.save(sys.argv[2])
"""


@contextmanager
def small_disk(folder, size):
    """A file system of so many bytes."""
    folder.mkdir()
    mount = [
        shutil.which("mount") or "mount",
        "-t",
        "tmpfs",
        "-o",
        f"size={size}",
        "tmpfs",
        str(folder),
    ]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        pytest.skip("this user may not mount a file system")
    try:
        yield folder
    finally:
        subprocess.run([shutil.which("umount"), "-l", str(folder)], check=True)


@pytest.fixture(scope="module")
def large(parts):
    return ALS(factors=512, iterations=1).fit(parts[0])


def test_a_disk_that_is_full(tmp_path, parts, large):
    from matinee.export import export
    from matinee.models.batches import write_lists

    with small_disk(tmp_path / "disk", 1_000_000) as disk:
        Bias().fit(parts[0]).save(disk / "run")
        before = contents(disk)
        writes = {
            "run": lambda: large.save(disk / "run"),
            "export": lambda: export(large, disk / "export"),
            **{
                f"top{ending}": lambda e=ending: write_lists(large, disk / f"top{e}", n=200)
                for ending in (".csv", ".jsonl")
            },
        }
        for name, write in writes.items():
            with pytest.raises(WriteError, match=f"{name}: not writable: the disk is full"):
                write()
            assert contents(disk) == before
        matinee.load(disk / "run")
        (disk / "rest").write_bytes(bytes(300_000))
        with pytest.raises(WriteError, match="the disk is full"):
            check_place(disk / "new" / "run")


def test_a_disk_that_is_too_small_for_parsed_data(tmp_path, monkeypatch, generated):
    monkeypatch.setattr(parsed_cache, "MIN_SOURCE_BYTES", 0)
    generated[0].to_frame().select("user_id", "item_id", "rating").write_csv(tmp_path / "mine.csv")
    with small_disk(tmp_path / "disk", 200_000) as disk:
        monkeypatch.setenv("MATINEE_CACHE", str(disk / "cache"))
        assert len(read(tmp_path / "mine.csv")) == len(generated[0])
        assert [path for path in disk.rglob("*") if path.is_file()] == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limits")
@pytest.mark.parametrize(
    ("limit", "least", "said"),
    [
        ("RLIMIT_FSIZE", 50_000, "a file must not be that large here"),
        ("RLIMIT_NOFILE", 100, "too many files are open"),
    ],
)
def test_limits_of_a_process(tmp_path, parts, large, limit, least, said):
    new, target = large.save(tmp_path / "new"), Bias().fit(parts[0]).save(tmp_path / "run")
    command = [sys.executable, "-c", LIMITED, str(new), str(target), limit, str(least)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    assert done.stderr == ""
    told, earlier = done.stdout.splitlines()
    assert told == f"{target}: not writable: {said}. What was there before stays."
    assert "Bias" in earlier
    assert "ALS" in repr(matinee.load(target))
    assert {path.name for path in tmp_path.iterdir()} == {"new", "run"}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other permissions")
def test_a_folder_of_another_user():
    folder = Path(tempfile.mkdtemp())  # not below the folders of pytest, which are the user's own
    folder.chmod(0o755 if os.geteuid() == 0 else 0o555)
    user = os.geteuid()
    try:
        if user == 0:
            os.seteuid(65534)
        for place in (folder / "run", folder / "new" / "run"):
            with pytest.raises(WriteError, match="no permission to write there"):
                check_place(place)
    finally:
        os.seteuid(user)
        folder.rmdir()


@pytest.mark.parametrize("years", [-10, 10])
def test_whatever_the_clock_says_what_was_parsed_last_is_used_again(tmp_path, monkeypatch, years):
    monkeypatch.setattr(parsed_cache, "MIN_SOURCE_BYTES", 0)
    monkeypatch.setenv("MATINEE_CACHE", str(tmp_path / "cache"))
    then = time.time() + years * 365 * 86_400
    for number in range(parsed_cache.MAX_ENTRIES + 2):
        source = write_csv(tmp_path / str(number))
        os.utime(source / "ratings.csv", (then, then))
        read(source)
        for manifest in tmp_path.glob("cache/.parsed/*/manifest.json"):
            os.utime(manifest, (then, then))  # before the clock was set
    written = []
    monkeypatch.setattr(parsed_cache, "_write", lambda *_: written.append(1))
    assert len(read(source)) == 7
    assert written == []
    entries = list((tmp_path / "cache" / ".parsed").iterdir())
    assert len(entries) == parsed_cache.MAX_ENTRIES

"""Standard streams that are closed, full, or no longer read."""

import io
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from shell import MATINEE

from matinee.cli.streams import Stream

FULL = Path("/dev/full")  # every write to it fails for want of space

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="closes streams by a Unix shell"),
]


def run(shell, arguments, redirections="", **variables):
    """(status, stdout, stderr) of a command whose streams a shell redirects."""
    done = subprocess.run(
        ["/bin/sh", "-c", f'"$0" "$@" {redirections}', MATINEE, *map(str, arguments)],
        cwd=shell.folder,
        env=shell.environment(**variables),
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


LOST = "matinee: The output could not be written: "


@pytest.mark.thorough
@pytest.mark.parametrize(
    "closed", ["<&-", ">&-", "2>&-", "<&- >&-", "<&- 2>&-", ">&- 2>&-", "<&- >&- 2>&-"]
)
def test_output_that_a_closed_stream_loses_is_an_error(shell, closed):
    status, out, err = run(shell, ["runs", "--json"], closed)
    lost = " >&-" in f" {closed}"
    assert status == (1 if lost else 0)
    assert out == ("" if lost else shell("runs", "--json"))
    assert err.startswith(LOST if lost and "2>" not in closed else "")
    assert err.count("\n") <= 1


@pytest.mark.parametrize(
    ("closed", "command"), [(">&-", "nonsense"), (">&-", "report"), ("<&- >&- 2>&-", "report")]
)
def test_failures_keep_their_status_and_their_stream(shell, closed, command):
    status, out, err = run(shell, [command, "nonsense"], closed)
    assert (status, out) == (2, "")
    assert ("nonsense" in err) == ("2>" not in closed)
    assert "could not be written" not in err


def test_nothing_printed_ends_up_in_a_file_that_is_written(shell):
    written = ["recommend", "als", "--all", "--out"]
    shell(*written, "open.csv")
    status, _, _ = run(shell, [*written, "closed.csv"], "<&- >&- 2>&-")
    assert status == 1
    files = [shell.folder / name for name in ("open.csv", "closed.csv")]
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.skipif(not FULL.exists(), reason="needs a device that is always full")
def test_a_full_disk_is_one_line_and_status_1(shell):
    status, _, err = run(shell, ["recommend", "als", "--user", "7"], ">/dev/full")
    assert (status, err) == (1, f"{LOST}No space left on device.\n")
    status, out, _ = run(shell, ["runs", "--json"], "2>/dev/full")
    assert (status, out) == (0, shell("runs", "--json"))
    assert run(shell, ["nonsense"], "2>/dev/full")[:2] == (2, "")


def test_output_in_a_pipe_that_does_not_block_is_whole():
    """As other programs leave them: full for a while, not for good."""
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    text = "Amélie\n" * 100_000
    with ThreadPoolExecutor(1) as threads, os.fdopen(ours, encoding="utf-8") as pipe:
        read = threads.submit(pipe.read)
        with os.fdopen(theirs, "wb", buffering=0) as raw:
            stream = io.TextIOWrapper(io.BufferedWriter(Stream(raw, False)), encoding="utf-8")
            stream.write(text)
            stream.flush()
        assert read.result(timeout=10) == text

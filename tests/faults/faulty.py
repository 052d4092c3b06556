"""A file system that refuses one call, or a process that dies at it: for every call in turn.

Calls are counted by putting a function of our own in the place of those that reach the system; what
libraries write by themselves is counted at their entry points.
"""

import builtins
import errno
import io
import mmap
import os
import traceback
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import safetensors.numpy

from matinee.errors import MatineeError
from matinee.storage import runs

ERRORS = {
    "full": lambda: OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
    "broken": lambda: OSError(errno.EIO, os.strerror(errno.EIO)),
    "handles": lambda: OSError(errno.EMFILE, os.strerror(errno.EMFILE)),
    "memory": lambda: MemoryError("Unable to allocate 1.00 TiB"),
}
SYSTEM = (
    "open", "fsync", "rename", "replace", "mkdir", "rmdir", "unlink", "chmod", "link",
    "posix_fallocate", "utime",
)  # fmt: skip
LIBRARIES = [
    (pl.DataFrame, "write_parquet"),
    (pl.DataFrame, "write_ndjson"),
    (pl.DataFrame, "write_csv"),
    (pl.LazyFrame, "sink_parquet"),
    (safetensors.numpy, "serialize_file"),
    (np.lib.format, "open_memmap"),
]


class Killed(BaseException):
    """The process is dead: nothing that runs after this can change what is on disk."""


class Faults:
    """Counts the calls, and lets one of them fail; with `kill`, all that come after it, too."""

    def __init__(self, step=None, error=None, kill=False):
        self.step, self.error, self.kill = step, error, kill
        self.calls, self.where = 0, None

    def refuses(self):
        """Count a call; whether it is to fail."""
        self.calls += 1
        dead = self.kill and self.step is not None and self.calls - 1 > self.step
        if self.calls - 1 != self.step and not dead:
            return False
        if not dead:
            self.where = "".join(traceback.format_stack(limit=9)[:-3])
        return True

    def fail(self):
        if self.kill:
            raise Killed
        raise self.error()

    def wrap(self, function):
        def call(*arguments, **named):
            if self.refuses():
                self.fail()
            return function(*arguments, **named)

        return call

    def wrap_open(self, function):
        def call(file, mode="r", *arguments, **named):
            if not set(mode) & set("wax+"):
                return function(file, mode, *arguments, **named)
            if self.refuses():
                self.fail()
            return HalfFile(function(file, mode, *arguments, **named), self)

        return call


class HalfFile:
    """An open file of which, when a write is refused, half of it has been written."""

    def __init__(self, file, faults):
        self.file, self.faults = file, faults

    def __getattr__(self, name):
        return getattr(self.file, name)

    def __enter__(self):
        self.file.__enter__()
        return self

    def __exit__(self, *arguments):
        return self.file.__exit__(*arguments)

    def write(self, content):
        if self.faults.refuses():
            self.file.write(content[: len(content) // 2])
            if self.faults.error is ERRORS["memory"]:  # which no file asks for
                raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
            self.faults.fail()
        return self.file.write(content)


@contextmanager
def injected(faults):
    """The system, with these faults, until the block ends."""
    with pytest.MonkeyPatch.context() as patch:
        for name in SYSTEM:
            if hasattr(os, name):
                real = do_nothing if name == "fsync" else getattr(os, name)
                patch.setattr(os, name, faults.wrap(real))
        for home, name in LIBRARIES:
            patch.setattr(home, name, faults.wrap(getattr(home, name)))
        try:
            import safetensors.torch

            entry = "serialize_file"
            patch.setattr(safetensors.torch, entry, faults.wrap(getattr(safetensors.torch, entry)))
        except ImportError:
            pass

        class Mapped(mmap.mmap):
            def __new__(cls, *arguments, **named):
                if faults.refuses():
                    faults.fail()
                return super().__new__(cls, *arguments, **named)

        patch.setattr(mmap, "mmap", Mapped)
        patch.setattr(runs, "mmap", Mapped, raising=False)
        opened = faults.wrap_open(builtins.open)
        patch.setattr(builtins, "open", opened)
        patch.setattr(io, "open", opened)
        yield faults


def do_nothing(*_):
    """Instead of waiting for a disk: no power is cut in a test."""


def contents(folder):
    """Every path below a folder, hidden ones too, and what is in the files."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(Path(folder).rglob("*"))
    }


def hidden_in(folder):
    return [str(path) for path in Path(folder).rglob(".*-????????????????")]


def check_every_step(prepare, act, folder, states, *, every=1):
    """Let `act` fail at each of its calls in turn, and look at what it leaves; how many there are.

    A full disk and a kill at each step, and one of the other errors.

    `prepare` empties `folder` and puts there what was there before. `states` says which of the
    known states (before, after) the folder is in: hidden names aside, it has to be one of them.
    Whatever the step, the next `act` ends well and leaves nothing else behind.
    """
    prepare()
    before = states(folder)
    with injected(Faults()) as counting:
        act()
    after, steps = states(folder), counting.calls
    assert steps > 0
    others = sorted(ERRORS.keys() - {"full"})
    for step in range(0, steps, every):
        for kind in ("full", "killed", others[step // every % len(others)]):
            prepare()
            faults = Faults(step, ERRORS.get(kind), kill=kind == "killed")
            message = run_to_the_fault(faults, act)
            told = f"{kind} at step {step} of {steps}\n{faults.where}\n{message}"
            assert states(folder) in (before, after), told
            with injected(Faults()):
                act()
            assert states(folder) == after, told
            assert hidden_in(folder) == [], told
    return steps


def run_to_the_fault(faults, act):
    """What is said where a call fails: nothing, where the work ends well all the same."""
    try:
        with injected(faults):
            act()
    except MatineeError as problem:
        message = str(problem)
        assert "\n" not in message
        assert message.endswith(".")
        return message
    except BaseException as problem:
        if faults.kill:  # polars makes another error of it
            return "(killed)"
        raise AssertionError(f"step {faults.step}: {problem!r}\n{faults.where}") from problem
    return ""

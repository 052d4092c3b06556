"""Standard streams that may be closed, full, or read by a program that ends first."""

import errno
import io
import os
import select
import sys
from contextlib import suppress
from typing import Any

PIPE_CLOSED = 128 + 13  # what a shell reports of a program that SIGPIPE ended
NOT_WRITTEN = 1


class Stream(io.RawIOBase):
    """What a standard stream writes to. The first failure is kept, what follows is dropped.

    So neither a message about the failure nor the interpreter's last flush fails once more.
    """

    def __init__(self, raw: Any, tolerant: bool) -> None:
        self.raw, self.tolerant = raw, tolerant
        self.problem: OSError | None = None

    def writable(self) -> bool:
        """It is for writing alone."""
        return True

    def fileno(self) -> int:
        """The number of the file below."""
        return int(self.raw.fileno())

    def isatty(self) -> bool:
        """Whether the file below is a terminal."""
        return bool(self.raw.isatty())

    def write(self, data: Any) -> int:
        """Write as much as fits; OSError the first time that this fails, unless it is tolerant."""
        if self.problem is not None:
            return len(data)
        try:
            while (written := self.raw.write(data)) is None:  # a pipe that does not block is full
                select.select([], [self.fileno()], [])
        except OSError as problem:
            self.problem = problem
            if not self.tolerant:
                raise
            return len(data)
        return int(written)


def open_streams() -> Stream | None:
    """Make stdin, stdout and stderr usable, whatever they are; what stdout now writes to.

    The number of a file that is closed would be that of the next file opened, and what is printed
    would end up in there. So null devices take their places: that of stdout for reading alone, so
    that output which reaches nobody is an error.
    """
    for number, mode in enumerate((os.O_RDONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, mode)  # as the lowest number that is free: this one
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr, _ = _opened(sys.stderr, 2, tolerant=True)
    sys.stdout, below = _opened(sys.stdout, 1, tolerant=False)
    return below


def _opened(stream: Any, number: int, tolerant: bool) -> tuple[Any, Stream | None]:
    """A standard stream anew, which shows what it cannot encode as question marks."""
    if stream is not None and not isinstance(stream, io.TextIOWrapper):
        return stream, None  # a caller has put something else in its place
    if stream is None:
        raw: Any = io.FileIO(number, "w", closefd=False)
    else:
        stream.flush()
        raw = getattr(stream.buffer, "raw", stream.buffer)
    below = Stream(raw, tolerant)
    opened = io.TextIOWrapper(
        io.BufferedWriter(below),
        encoding=stream.encoding if stream else None,
        errors="replace",
        line_buffering=tolerant or below.isatty() or stream is None or stream.write_through,
    )
    return opened, below


def in_utf8() -> None:
    """Start anew where arguments are in UTF-8 but the locale knows nothing beyond ASCII.

    Python has then made surrogates of other letters, and neither titles nor files are found.
    """
    typed = "".join(sys.argv)
    try:
        stray = os.fsencode(typed).decode() != typed
    except ValueError:  # no UTF-8 either
        return
    if stray and os.environ.get("PYTHONUTF8") != "1":
        encoding = sys.stdout.encoding if sys.stdout else "utf-8"
        as_utf8 = {"PYTHONUTF8": "1", "PYTHONIOENCODING": f"{encoding}:replace"}
        command = [sys.executable, *sys.orig_argv[1:]]
        os.execve(sys.executable, command, os.environ | as_utf8)  # noqa: S606


def lost_output(below: Stream | None) -> OSError | None:
    """Why something printed on stdout was not written, or None."""
    with suppress(OSError):
        sys.stdout.flush()
    return below.problem if below else None


def status_of(problem: OSError) -> int:
    """The exit status where output was lost: that of other programs if its reader has ended."""
    return PIPE_CLOSED if problem.errno == errno.EPIPE else NOT_WRITTEN

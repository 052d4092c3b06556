"""What a file system may refuse, in words; whether it will; and writing through to the disk."""

import errno
import os
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from matinee.errors import MatineeError, WriteError
from matinee.storage.hidden import fresh_folder, hidden_name

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

WINDOWS = os.name == "nt"
PROBE = 2**20  # bytes that must fit before work begins whose result is to be written
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
DENIED = "no permission to write there"
REASONS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "your share of the disk is used up",
    errno.EFBIG: "a file must not be that large here",
    errno.EROFS: "the disk can only be read",
    errno.EACCES: DENIED,
    errno.EPERM: DENIED,
    errno.EMFILE: "too many files are open",
    errno.ENFILE: "too many files are open",
    errno.EIO: "the disk reports an error",
    errno.ENOTDIR: "a file is in the place of a folder",
    errno.EEXIST: "a file is in the place of a folder",
    errno.EBUSY: "it is in use",
    errno.ENAMETOOLONG: "its name is too long",
    errno.ENOMEM: "there is not enough memory",
}
BY_LIBRARIES = re.compile(
    r"(\(os error |\[Errno )(?P<number>\d+)[)\]]|\d+ requested and \d+ written"
)
"""How polars and safetensors, or numpy, say what the system refused when they wrote themselves."""
IN_USE = "another program has it open; close that one, or choose another name"


@contextmanager
def writing(
    target: Path, effect: str = "What was there before stays.", parent: Path | None = None
) -> Iterator[None]:
    """What the system refuses in this block as a WriteError that says why `target` is not written.

    `effect` says what is there now, `parent` is the folder that is written to.
    """
    try:
        str(target.absolute()).encode()
    except UnicodeEncodeError:  # which libraries refuse
        told = f"{target}: not writable: its name is not in UTF-8"
        raise WriteError(f"{told}. {effect}") from None
    try:
        yield
    except MatineeError:
        raise
    except Exception as problem:
        if isinstance(problem, FileExistsError) and problem.errno is None:
            raise  # a name of ours that is taken
        real = Path(os.path.realpath(target))
        if reason := _reason(problem, real, parent or real.parent):
            raise WriteError(f"{target}: not writable: {reason}. {effect}") from problem
        raise


def _reason(problem: Exception, target: Path, parent: Path) -> str | None:
    """Why something cannot be written; None if that is not what the error is about."""
    if isinstance(problem, MemoryError):
        return REASONS[errno.ENOMEM]
    if isinstance(problem, OSError) and problem.errno is not None:
        number = problem.errno
        names = [name for name in (problem.filename, problem.filename2) if isinstance(name, str)]
        paths = [Path(name).absolute() for name in names]
        ours = any(parent in (path, *path.parents) or path in target.parents for path in paths)
        if number not in FULL and paths and not ours:
            return None  # about a file that is read
    elif match := BY_LIBRARIES.search(str(problem)):
        number = int(match["number"] or errno.ENOSPC)
        if WINDOWS:  # it has numbers of its own
            number = OSError(0, "", None, number).errno or errno.EIO
    else:
        return None
    if WINDOWS and isinstance(problem, PermissionError) and target.exists():
        return IN_USE
    return REASONS.get(number, os.strerror(number))


def check_place(target: Path) -> None:
    """WriteError if a file or folder could not be written at `target`, as far as can be known."""
    place = Path(os.path.realpath(target))
    with writing(target, "Choose another place.", place):
        while not (parent := place.parent).exists():
            place = parent
    with writing(target, "Choose another place.", parent):
        if not parent.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "")
        hidden_name(place, "previous").exists()  # raises OSError if the name is too long
        if os.path.ismount(target):
            raise OSError(errno.EBUSY, "")
        with fresh_folder(place) as folder, (folder / "probe").open("wb", buffering=0) as probe:
            if probe.write(bytes(PROBE)) < PROBE:
                raise OSError(errno.ENOSPC, "")


def settle(fresh: Path, target: Path, durable: bool, origins: Iterable[Path] = ()) -> None:
    """Give all in a new folder the modes that what it replaces and its origins allow, and sync it.

    The mode that the system gave the folder itself respects the user's umask.
    """
    mode = stat.S_IMODE(fresh.stat().st_mode)
    if target.exists():
        mode &= 0o7700 | target.stat().st_mode
    for origin in origins:
        mode &= ~0o070 if not origin.stat().st_mode & stat.S_IRGRP else ~0
        mode &= ~0o007 if not origin.stat().st_mode & stat.S_IROTH else ~0
    for path in (*fresh.rglob("*"), fresh):
        wanted = mode if path.is_dir() else mode & 0o666
        if stat.S_IMODE(path.stat().st_mode) != wanted:
            path.chmod(wanted)
        if durable:
            sync(path)


def sync(path: Path) -> None:
    """Write a file or folder through to the disk, so that it survives a power cut."""
    is_folder = path.is_dir()
    if is_folder and not hasattr(os, "O_DIRECTORY"):
        return  # Windows opens no folders
    try:  # a handle that only reads will not do on Windows
        handle = os.open(path, os.O_RDONLY if is_folder else os.O_RDWR)
    except PermissionError:  # a file that is linked, of another user
        handle = os.open(path, os.O_RDONLY)
    try:
        _flush(handle)
    finally:
        os.close(handle)


def _flush(handle: int) -> None:
    """`fsync`, and on macOS what it takes for the disk to write its own memory, too."""
    if hasattr(fcntl, "F_FULLFSYNC"):
        try:
            fcntl.fcntl(handle, fcntl.F_FULLFSYNC)
            return
        except OSError:  # a network disk
            pass
    os.fsync(handle)

"""Locks of folders and files, alone or shared, which end with the process that holds them.

Where the system knows `flock`, the folder itself is locked: nothing is left behind, and what may
only be read can be locked, too. Elsewhere (Windows, some network disks) a file in the user's
temporary folder stands for it, never in or beside the folder: an open file there would forbid to
rename it, and would be listed.
"""

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from matinee.storage.cache_folder import make_private, temporary_path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

UNSUPPORTED = (errno.EBADF, errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
"""What file systems answer that cannot lock a folder."""
FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)  # a pipe of this name must not block


@contextmanager
def locked(path: Path, wait: bool = True, shared: bool = False) -> Iterator[bool]:
    """Hold the lock of what has this name, alone or `shared`, until the block ends.

    Yields whether it is held. FileNotFoundError if there is nothing, or no longer when it is held.
    """
    with ExitStack() as stack:
        held = None if fcntl is None else _flock(path, wait, shared, stack)
        yield _lock_by_file(path, wait, shared, stack) if held is None else held


def _flock(path: Path, wait: bool, shared: bool, stack: ExitStack) -> bool | None:
    """Lock the folder or file itself until the stack is closed; None if its disk cannot."""
    mode = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB)
    while True:
        handle = os.open(path, FLAGS)
        try:
            fcntl.flock(handle, mode)
            if os.path.samestat(os.fstat(handle), path.stat()):
                stack.callback(os.close, handle)
                return True
            os.close(handle)  # what was waited for has made room for something else
        except BlockingIOError:
            os.close(handle)
            return False
        except BaseException as problem:
            os.close(handle)
            if isinstance(problem, OSError) and problem.errno in UNSUPPORTED:
                return None
            raise


def _lock_by_file(path: Path, wait: bool, shared: bool, stack: ExitStack) -> bool:
    """Lock a file that stands for the path until the stack is closed; whether that was possible."""
    from filelock import ReadWriteLock, Timeout

    path.stat()  # raises FileNotFoundError
    name = hashlib.sha256(os.fsencode(os.path.realpath(path))).hexdigest()[:32]
    file = _lock_folder() / f"{name}.lock"
    lock = ReadWriteLock(file, is_singleton=False)
    stack.callback(_forget, file, path)
    stack.callback(lock.close)
    try:
        acquire = lock.acquire_read if shared else lock.acquire_write
        acquire(blocking=wait)
    except Timeout:
        return False
    except Exception:
        path.stat()  # FileNotFoundError: the file has been removed with what it stood for
        raise
    stack.callback(lock.release)
    path.stat()
    return True


def _lock_folder() -> Path:
    """A folder of the user's own for the files that stand for others."""
    folder = temporary_path() / "locks"
    make_private(folder.parent)
    make_private(folder)
    return folder


def _forget(file: Path, path: Path) -> None:
    """Remove a lock's file if what it stood for has gone: nobody will ask for it again."""
    if not os.path.lexists(path):
        with suppress(OSError):
            file.unlink()

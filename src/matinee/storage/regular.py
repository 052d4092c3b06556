"""What may be opened at all: plain files of a size that they may have. Whoever hands over a folder
may have put a pipe, on which a reader waits for ever, or a device without an end, in place of one.
"""

import errno
import os
import shutil
import stat
from pathlib import Path
from typing import BinaryIO

FLAGS = sum(getattr(os, name, 0) for name in ("O_NONBLOCK", "O_NOCTTY", "O_CLOEXEC", "O_BINARY"))
"""With which opening waits for nobody, whatever takes the file's place in the meantime."""
MOST_HOLES = 100  # bytes of a file for each that is on the disk: ratings have no holes at all
SMALL = 2**26  # bytes of a file that may be all holes
KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}


def open_regular(path: Path) -> BinaryIO:
    """A plain file, opened for reading; OSError at once for anything else, and what it is."""
    _check(path.stat(), path)  # before opening, which some devices notice
    handle = os.open(path, os.O_RDONLY | FLAGS)
    try:
        _check(os.fstat(handle), path)
        _check_holes(handle, path)
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def check_regular(path: Path) -> None:
    """OSError unless a path is that of a plain file which can be opened, or of a link to one."""
    open_regular(path).close()


def read_regular(path: Path, limit: int) -> bytes:
    """The bytes of a plain file; OSError if there are more than `limit`."""
    with open_regular(path) as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise OSError(errno.EFBIG, f"it is larger than {limit:,} bytes", str(path))
    return content


def copy_regular(source: Path, target: Path) -> None:
    """Copy a plain file to a new one that is no more readable; OSError for anything else."""
    with open_regular(source) as file, create_like(file, target) as copy:
        shutil.copyfileobj(file, copy, 2**20)


def create_like(origin: BinaryIO, target: Path) -> BinaryIO:
    """A new file for what comes from `origin`, readable to nobody who could not read that."""
    mode = stat.S_IMODE(os.fstat(origin.fileno()).st_mode) & 0o666 | stat.S_IWUSR
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | FLAGS, mode)
    return os.fdopen(handle, "wb")


def _check_holes(handle: int, path: Path) -> None:
    """Refuse a file of which next to nothing is on the disk: it costs whoever reads it all."""
    size, at, there = os.fstat(handle).st_size, 0, 0
    if size <= SMALL or not hasattr(os, "SEEK_DATA"):
        return
    while at < size and MOST_HOLES * there < size:
        try:
            begin = os.lseek(handle, at, os.SEEK_DATA)
            at = os.lseek(handle, begin, os.SEEK_HOLE)
        except OSError as problem:
            if problem.errno != errno.ENXIO:  # this disk knows nothing of holes
                return
            break
        there += at - begin
    os.lseek(handle, 0, os.SEEK_SET)
    if MOST_HOLES * there < size:
        what = f"of its {size:,} bytes {there:,} are on the disk"
        raise OSError(errno.EINVAL, what, str(path))


def _check(status: os.stat_result, path: Path) -> None:
    kind = stat.S_IFMT(status.st_mode)
    if kind != stat.S_IFREG:
        what = KINDS.get(kind, "something else")
        raise OSError(errno.EINVAL, f"it is {what}, not a file", str(path))

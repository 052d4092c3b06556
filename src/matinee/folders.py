"""Folders that are written whole or not at all."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """An empty folder that takes the place of `target` when the block ends well.

    Until then, and if the block fails or the process is killed, what was at `target` stays. The
    one moment at which it is at neither name, between two renames, is mended by `recover`.

    Examples
    --------
    >>> import tempfile
    >>> place = Path(tempfile.mkdtemp()) / "result"
    >>> with new_folder(place) as folder:
    ...     _ = (folder / "a.txt").write_text("whole")
    >>> (place / "a.txt").read_text()
    'whole'
    """
    recover(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}.new-"))
    try:
        fresh.chmod(0o755)
        yield fresh
        for path in (*fresh.rglob("*"), fresh):
            _to_disk(path)
        if target.exists():
            target.rename(_previous(target))
        fresh.rename(target)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        recover(target)
        raise
    _to_disk(target.parent)
    shutil.rmtree(_previous(target), ignore_errors=True)


def recover(target: Path) -> None:
    """Put the previous folder back where a process was killed between the two renames."""
    previous = _previous(target)
    if previous.exists():
        if target.exists():
            shutil.rmtree(previous, ignore_errors=True)
        else:
            previous.rename(target)


def _previous(target: Path) -> Path:
    return target.with_name(f".{target.name}.previous")


def _to_disk(path: Path) -> None:
    """Have the system write a file or folder out, so that a power cut keeps it too."""
    if os.name == "nt" and path.is_dir():
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

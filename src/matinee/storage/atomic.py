"""Folders and files that are written whole or not at all, whoever reads or writes beside."""

import glob
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: one writer at a time is up to the user there
    fcntl = None  # type: ignore[assignment]

LOCKS = fcntl is not None
DOOMED = ".removed-"  # in the name of a folder that is being removed


@contextmanager
def new_folder(target: Path, durable: bool = True, replace: bool = True) -> Iterator[Path]:
    """An empty folder that takes the place of `target` when the block ends well.

    Until then, and if the block fails or the process is killed, what was at `target` stays. The
    one moment at which it is at neither name, between two renames, is mended by `recover`.
    `durable` waits until the disk has it all; without it, a power cut may leave files damaged.

    Raises
    ------
    FileExistsError
        Before the block or after it, if without `replace` something is at `target`.

    Examples
    --------
    >>> import tempfile
    >>> place = Path(tempfile.mkdtemp()) / "result"
    >>> with new_folder(place) as folder:
    ...     _ = (folder / "a.txt").write_text("whole")
    >>> (place / "a.txt").read_text()
    'whole'
    """
    target = Path(os.path.realpath(target))
    target.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        with locked(target.parent):
            if not replace:
                _refuse_taken(target)
            _sweep(target)
            fresh = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}.new-"))
            stack.enter_context(locked(fresh))  # says that its writer is alive
        try:
            yield fresh
            for path in (*fresh.rglob("*"), fresh):
                path.chmod(0o755 if path.is_dir() else 0o644)
                if durable:
                    _to_disk(path)
            _swap(fresh, target, replace)
        except BaseException:
            shutil.rmtree(fresh, ignore_errors=True)
            raise
    if durable:
        _to_disk(target.parent)


@contextmanager
def new_file(target: Path) -> Iterator[Path]:
    """A place for a file that takes the place of `target` when the block ends well."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.new-") as folder:
        fresh = Path(folder) / target.name
        yield fresh
        _to_disk(fresh)
        fresh.replace(target)


def recover(target: Path) -> None:
    """Put the previous folder back where a process was killed between the two renames."""
    target = Path(os.path.realpath(target))
    if not target.name:  # the root of all
        return
    previous = _previous(target)
    if previous.exists() and not target.exists():
        with locked(target.parent):  # a living writer finishes first
            if previous.exists() and not target.exists():
                previous.rename(target)


def recover_all(parent: Path) -> None:
    """`recover` for every folder below `parent`."""
    for previous in parent.glob(".*.previous"):
        recover(parent / previous.name.removeprefix(".").removesuffix(".previous"))


def rename_folder(folder: Path, name: str) -> Path:
    """Give a folder another name beside the ones it lies with, unless that is taken.

    Raises
    ------
    FileExistsError
        If something of that name is there.

    Examples
    --------
    >>> import tempfile
    >>> place = Path(tempfile.mkdtemp())
    >>> (place / "old").mkdir()
    >>> rename_folder(place / "old", "new").name
    'new'
    """
    place = Path(os.path.realpath(folder.parent))
    renamed = folder.with_name(name)
    with locked(place):
        _refuse_taken(renamed)
        _doom(_previous(folder))
        folder.rename(renamed)
    _sweep_doomed(place)
    return renamed


def remove_folder(folder: Path) -> None:
    """Remove a folder: at once for whoever looks for it, and its content then.

    If that is interrupted, the next removal beside it, or renaming, clears away the rest.

    Examples
    --------
    >>> import tempfile
    >>> place = Path(tempfile.mkdtemp())
    >>> (place / "old").mkdir()
    >>> remove_folder(place / "old")
    >>> list(place.iterdir())
    []
    """
    place = Path(os.path.realpath(folder.parent))
    with locked(place):
        _doom(_previous(folder))  # else `recover` would bring it back
        _doom(folder)
    _sweep_doomed(place)


def _doom(folder: Path) -> None:
    """Rename a folder that is there to what nobody looks for and the next removal clears away."""
    if os.path.lexists(folder):
        folder.rename(folder.with_name(f".{folder.name}{DOOMED}{secrets.token_hex(8)}"))


def _sweep_doomed(place: Path) -> None:
    for path in place.glob(f".*{DOOMED}*"):
        if re.fullmatch(r"[0-9a-f]{16}", path.name.rpartition(DOOMED)[2]):
            shutil.rmtree(path, ignore_errors=True)


def _swap(fresh: Path, target: Path, replace: bool) -> None:
    previous = _previous(target)
    with locked(target.parent):
        if not replace:
            _refuse_taken(target)
        if target.exists():
            shutil.rmtree(previous, ignore_errors=True)
            target.rename(previous)
        try:
            fresh.rename(target)
        except OSError:
            if previous.exists():
                previous.rename(target)
            raise
        shutil.rmtree(previous, ignore_errors=True)


def _sweep(target: Path) -> None:
    """Remove what killed writers of `target` left unfinished."""
    for path in target.parent.glob(f".{glob.escape(target.name)}.new-*"):
        try:
            with locked(path, wait=False) as writer_is_gone:
                if writer_is_gone:
                    shutil.rmtree(path, ignore_errors=True)
        except FileNotFoundError:
            continue  # its writer has just ended


def _refuse_taken(target: Path) -> None:
    """Raise FileExistsError if something has this name, or will once it is recovered."""
    if os.path.lexists(target) or os.path.lexists(_previous(target)):
        raise FileExistsError(f"{target} is there already")


def _previous(target: Path) -> Path:
    return target.with_name(f".{target.name}.previous")


@contextmanager
def locked(folder: Path, wait: bool = True, shared: bool = False) -> Iterator[bool]:
    """Hold the lock of a folder, which ends with the process; whether it could be had.

    Many may hold it `shared`, and then nobody alone.
    """
    if fcntl is None:
        yield wait
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        fcntl.flock(handle, kind | (0 if wait else fcntl.LOCK_NB))
        held = True
    except BlockingIOError:
        held = False
    try:
        yield held
    finally:
        os.close(handle)


def _to_disk(path: Path) -> None:
    """Have the system write a file or folder out, so that a power cut keeps it too."""
    if os.name == "nt" and path.is_dir():
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

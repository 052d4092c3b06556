"""Folders and files that are written whole or not at all, whatever other processes do meanwhile."""

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
except ImportError:  # Windows: there the user must see to it that one process writes at a time
    fcntl = None  # type: ignore[assignment]

LOCKS = fcntl is not None
REMOVED = ".removed-"  # in the name of a folder that is being removed


@contextmanager
def new_folder(target: Path, durable: bool = True, replace: bool = True) -> Iterator[Path]:
    """An empty folder that replaces `target` when the block ends without an error; see `recover`.

    `durable` waits until all is on disk; without it, a power cut may leave files damaged. Without
    `replace`, FileExistsError is raised if `target` exists, before the block or after it.
    """
    target = Path(os.path.realpath(target))
    target.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        with locked(target.parent):
            if not replace:
                _check_free(target)
            _sweep(target)
            fresh = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}.new-"))
            stack.enter_context(locked(fresh))  # while its writer lives
        try:
            yield fresh
            for path in (*fresh.rglob("*"), fresh):
                path.chmod(0o755 if path.is_dir() else 0o644)
                if durable:
                    _sync(path)
            _swap(fresh, target, replace)
        except BaseException:
            shutil.rmtree(fresh, ignore_errors=True)
            raise
    if durable:
        _sync(target.parent)


@contextmanager
def new_file(target: Path) -> Iterator[Path]:
    """A path for a file that replaces `target` when the block ends without an error."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.new-") as folder:
        fresh = Path(folder) / target.name
        yield fresh
        _sync(fresh)
        fresh.replace(target)


def recover(target: Path) -> None:
    """Put the previous folder back if a process was killed between the two renames."""
    target = Path(os.path.realpath(target))
    if not target.name:  # the root of the file system
        return
    previous = _previous(target)
    if previous.exists() and not target.exists():
        with locked(target.parent):  # a live writer finishes first
            if previous.exists() and not target.exists():
                previous.rename(target)


def recover_all(parent: Path) -> None:
    """`recover` for every folder below `parent`."""
    for previous in parent.glob(".*.previous"):
        recover(parent / previous.name.removeprefix(".").removesuffix(".previous"))


def rename_folder(folder: Path, name: str) -> Path:
    """Rename a folder within its parent; FileExistsError if the name is taken."""
    parent = Path(os.path.realpath(folder.parent))
    renamed = folder.with_name(name)
    with locked(parent):
        _check_free(renamed)
        _mark_removed(_previous(folder))
        folder.rename(renamed)
    _sweep_removed(parent)
    return renamed


def remove_folder(folder: Path) -> None:
    """Remove a folder: its name at once, then its content, or what is left of it the next time."""
    parent = Path(os.path.realpath(folder.parent))
    with locked(parent):
        _mark_removed(_previous(folder))  # else `recover` would bring it back
        _mark_removed(folder)
    _sweep_removed(parent)


def _mark_removed(folder: Path) -> None:
    """Rename a folder, if it exists, to a hidden name that `_sweep_removed` looks for."""
    if os.path.lexists(folder):
        folder.rename(folder.with_name(f".{folder.name}{REMOVED}{secrets.token_hex(8)}"))


def _sweep_removed(parent: Path) -> None:
    for path in parent.glob(f".*{REMOVED}*"):
        if re.fullmatch(r"[0-9a-f]{16}", path.name.rpartition(REMOVED)[2]):
            shutil.rmtree(path, ignore_errors=True)


def _swap(fresh: Path, target: Path, replace: bool) -> None:
    previous = _previous(target)
    with locked(target.parent):
        if not replace:
            _check_free(target)
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
    """Remove what killed writers of `target` left behind."""
    for path in target.parent.glob(f".{glob.escape(target.name)}.new-*"):
        try:
            with locked(path, wait=False) as abandoned:
                if abandoned:
                    shutil.rmtree(path, ignore_errors=True)
        except FileNotFoundError:
            continue  # its writer has just ended


def _check_free(target: Path) -> None:
    """Raise FileExistsError if something has this name, or will have it once recovered."""
    if os.path.lexists(target) or os.path.lexists(_previous(target)):
        raise FileExistsError(f"{target} exists already")


def _previous(target: Path) -> Path:
    return target.with_name(f".{target.name}.previous")


@contextmanager
def locked(folder: Path, wait: bool = True, shared: bool = False) -> Iterator[bool]:
    """Hold the lock of a folder, alone or `shared`, until the block ends; yields whether held."""
    if fcntl is None:
        yield wait
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        mode = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        fcntl.flock(handle, mode | (0 if wait else fcntl.LOCK_NB))
        held = True
    except BlockingIOError:
        held = False
    try:
        yield held
    finally:
        os.close(handle)


def _sync(path: Path) -> None:
    """Write a file or folder through to the disk, so that it survives a power cut."""
    if os.name == "nt" and path.is_dir():
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

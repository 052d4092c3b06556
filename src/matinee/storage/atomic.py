"""Folders and files that are written whole or not at all, whatever other processes do meanwhile."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from matinee.storage.hidden import (
    fresh_folder,
    hidden,
    hidden_name,
    mark_removed,
    put_back,
    remove_marked,
    sweep,
)
from matinee.storage.locks import locked
from matinee.storage.writing import settle, sync, writing

T = TypeVar("T")
WRITTEN = "The new one is in its place, and may be lost if the power fails now."


@contextmanager
def new_folder(
    target: Path, durable: bool = True, replace: bool = True, origins: Iterable[Path] = ()
) -> Iterator[Path]:
    """An empty folder that replaces `target` when the block ends without an error; see `recover`.

    `durable` waits until all is on disk; without it, a power cut may leave files damaged. Without
    `replace`, FileExistsError is raised if `target` exists, before the block or after it. Others
    may read it where the user's umask, what it replaces, and its `origins` let them.
    WriteError if the system refuses.
    """
    given, target = target, Path(os.path.realpath(target))
    with writing(given):
        target.parent.mkdir(parents=True, exist_ok=True)
        if not replace:
            _check_free(target)
        sweep(target.parent)
        with fresh_folder(target) as fresh:
            yield fresh
            settle(fresh, target, durable, origins)
            _swap(fresh, target, replace)
    if durable:
        with writing(given, WRITTEN):
            sync(target.parent)


@contextmanager
def new_file(target: Path) -> Iterator[Path]:
    """A path for a file that replaces `target` when the block ends without an error.

    WriteError if the system refuses.
    """
    given, target = target, Path(os.path.realpath(target))
    with writing(given):
        target.parent.mkdir(parents=True, exist_ok=True)
        sweep(target.parent)
        with fresh_folder(target) as folder:
            fresh = folder / target.name
            yield fresh
            settle(folder, target, durable=True)
            fresh.replace(target)


def recover(target: Path) -> None:
    """Put the previous folder back if a process was killed between the two renames."""
    target = Path(os.path.realpath(target))
    if os.path.lexists(target) or not hidden(target.parent, "previous", target.name):
        return
    with writing(target), locked(target.parent):  # a live writer finishes first
        put_back(target.parent, target.name)


def is_there(target: Path) -> bool:
    """Whether there is such a folder or file, also in the moment in which it is replaced."""
    if target.exists():
        return True
    recover(target)
    with suppress(OSError), locked(Path(os.path.realpath(target)).parent, shared=True):
        return target.exists()
    return False


def recover_all(parent: Path) -> None:
    """`recover` for every folder below `parent`."""
    for _, name in hidden(parent, "previous"):
        recover(parent / name)


def read_steadily(path: Path, read: Callable[[], T]) -> T:
    """What `read` makes of a folder or file that is not replaced while it does.

    If it was, all that was read is read again, and whoever wants to replace it waits meanwhile.
    """
    before = version_of(path)
    try:
        result = read()
    except Exception:
        if version_of(path) == before:
            raise
    else:
        if version_of(path) == before:
            return result
    recover(path)
    with locked(Path(os.path.realpath(path)).parent, shared=True):
        return read()


def version_of(path: Path) -> tuple[int, ...] | None:
    """What changes when another folder or file takes the place of this one."""
    try:
        status = path.stat()
    except OSError:
        return None
    # numbers of files are given again; a folder has the time of when it was filled
    return status.st_dev, status.st_ino, status.st_mtime_ns if path.is_dir() else 0


def rename_folder(folder: Path, name: str) -> Path:
    """Rename a folder within its parent; FileExistsError if the name is taken."""
    parent = Path(os.path.realpath(folder.parent))
    renamed = folder.with_name(name)
    with writing(renamed, "Its name is what it was."):
        with locked(parent):
            _check_free(renamed)
            _forget_previous(folder)
            folder.rename(renamed)
        sweep(parent)
    return renamed


def remove_folder(folder: Path) -> None:
    """Remove a folder: its name at once, then its content, or what is left of it the next time."""
    parent = Path(os.path.realpath(folder.parent))
    with writing(folder, "Nothing was removed."):
        with locked(parent):
            _forget_previous(folder)
            mark_removed(folder)
        sweep(parent)


def _swap(fresh: Path, target: Path, replace: bool) -> None:
    """Give the new folder its name, and remove what had it."""
    previous = hidden_name(target, "previous")
    with locked(target.parent):
        if not replace:
            _check_free(target)
        if os.path.lexists(target):
            target.rename(previous)
        try:
            fresh.rename(target)
        except BaseException:
            if os.path.lexists(previous):
                previous.rename(target)
            raise
        mark_removed(previous)
    remove_marked(target.parent)


def _check_free(target: Path) -> None:
    """Raise FileExistsError if something has this name, or will have it once recovered."""
    if os.path.lexists(target) or hidden(target.parent, "previous", target.name):
        raise FileExistsError(f"{target} exists already")


def _forget_previous(folder: Path) -> None:
    """Mark what was being replaced in place of a folder as removed, else it would come back."""
    for path, _ in hidden(Path(os.path.realpath(folder.parent)), "previous", folder.name):
        mark_removed(path)

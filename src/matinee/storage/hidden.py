"""Hidden folders beside what is written, and how the next writer clears those of killed ones.

They are called ``.NAME.MARK-`` and sixteen hexadecimal digits: `new` while something is written,
`previous` while the new takes the place of the old, `removed` while something is being removed.
"""

import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from matinee.storage.locks import locked

PATTERN = re.compile(r"\.(?P<name>.+)\.(?P<mark>new|previous|removed)-[0-9a-f]{16}", re.DOTALL)
LONGEST = 50  # letters of a name that its hidden folder repeats where nobody looks for it


def hidden_name(target: Path, mark: str) -> Path:
    """A name beside `target` that nothing has; only those of `previous` lead back to its name."""
    name = target.name if mark == "previous" else target.name[:LONGEST] or "root"
    return target.with_name(f".{name}.{mark}-{secrets.token_hex(8)}")


def hidden(parent: Path, mark: str, name: str | None = None) -> list[tuple[Path, str]]:
    """The hidden folders in a folder, of all names or of one, each with its name."""
    found = []
    try:
        entries = sorted(path.name for path in parent.iterdir())
    except OSError:  # none, or not ours to look into
        return []
    for entry in entries:
        match = PATTERN.fullmatch(entry)
        if match and match["mark"] == mark and name in (None, match["name"]):
            found.append((parent / entry, match["name"]))
    return found


@contextmanager
def fresh_folder(target: Path, mode: int = 0o777) -> Iterator[Path]:
    """A new, hidden folder beside `target`, locked; what is left of it at the end is removed."""
    while True:
        with ExitStack() as stack:
            fresh = hidden_name(target, "new")
            stack.callback(shutil.rmtree, fresh, ignore_errors=True)  # first: signals interrupt
            fresh.mkdir(mode)
            try:
                stack.enter_context(locked(fresh))  # while its writer lives
            except FileNotFoundError:
                continue  # another writer took it for abandoned in that moment
            yield fresh
            return


def sweep(parent: Path) -> None:
    """Remove what killed processes left in a folder, and put back what they were replacing."""
    for mark in ("removed", "new"):
        for path, _ in hidden(parent, mark):
            with suppress(OSError):  # it has just gone, or belongs to another user
                if not path.is_symlink():
                    with locked(path, wait=False) as abandoned:
                        if abandoned:
                            shutil.rmtree(path, ignore_errors=True)
    if hidden(parent, "previous"):
        with suppress(OSError), locked(parent, wait=False) as alone:
            if alone:
                put_back(parent)


def put_back(parent: Path, name: str | None = None) -> None:
    """Give folders that were being replaced their names back, if they are free; needs the lock."""
    for path, own in hidden(parent, "previous", name):
        if os.path.lexists(parent / own):
            mark_removed(path)
        else:
            path.rename(parent / own)
    remove_marked(parent)


def mark_removed(folder: Path) -> None:
    """Rename a folder, if it exists, to a hidden name that `remove_marked` looks for."""
    if os.path.lexists(folder):
        folder.rename(hidden_name(folder, "removed"))


def remove_marked(parent: Path) -> None:
    """Remove the folders that `mark_removed` has renamed, or what is left of them."""
    for path, _ in hidden(parent, "removed"):
        shutil.rmtree(path, ignore_errors=True)

"""The cache folder: what can be downloaded, parsed or compiled again is kept there."""

import os
import stat
import tempfile
from functools import cache
from pathlib import Path

from matinee.errors import SettingError

VARIABLE = "MATINEE_CACHE"
OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


def cache_folder() -> Path:
    """The folder that `MATINEE_CACHE` names, or the user's; where none can be made, a temporary
    one that no other user can write to. It need not exist yet.
    """
    if named := named_folder():
        return named
    import platformdirs

    try:
        users = platformdirs.user_cache_path("matinee")
    except RuntimeError:  # a user without a name and a home
        return temporary_folder()
    # where older versions answer with a folder called "~"
    return users if users.is_absolute() and _can_be_made(users) else temporary_folder()


def named_folder() -> Path | None:
    """The folder that `MATINEE_CACHE` names, if it is set."""
    named = os.environ.get(VARIABLE)
    if not named:
        return None
    folder = Path(os.path.expanduser(named))  # noqa: PTH111, for Path raises a RuntimeError
    if str(folder).startswith("~"):
        raise SettingError(f"{VARIABLE} is {named!r}, but there is no such home; give a full path.")
    return folder


def _can_be_made(folder: Path) -> bool:
    existing = next((path for path in (folder, *folder.parents) if path.exists()), None)
    if existing is None:
        return False
    # what is there may be read, whether or not anything can be added
    return existing == folder or os.access(existing, os.W_OK | os.X_OK)


@cache
def temporary_folder() -> Path:
    """A folder among the temporary files that is this user's alone; the same one in every process,
    unless another user has taken its name.
    """
    folder = temporary_path()
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        if not is_private(folder):
            return Path(tempfile.mkdtemp(prefix="matinee-"))
    return folder


def temporary_path() -> Path:
    """Where `temporary_folder` is, or will be once it is asked for."""
    whose = os.getuid() if hasattr(os, "getuid") else "user"
    return Path(tempfile.gettempdir()) / f"matinee-{whose}"


def make_private(folder: Path) -> None:
    """Make a folder that others may at most read, as the umask says; OSError if that fails."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        folder.mkdir()
    except FileExistsError:
        pass
    else:
        if folder.stat().st_mode & OTHERS_MAY_WRITE:
            folder.chmod(0o700)
    if not is_private(folder):
        raise PermissionError(f"{folder} belongs to others, or they may write to it.")


def is_private(path: Path) -> bool:
    """Whether a file or folder is there, no link, and only written to by those who are trusted
    anyway: this user, the administrator, and whoever owns the code that is running.
    """
    try:
        found = path.lstat()
    except OSError:
        return False
    if stat.S_ISLNK(found.st_mode):
        return False
    if not hasattr(os, "geteuid"):  # Windows, where folders of a user are closed to others
        return True
    owners = {0, os.geteuid(), Path(__file__).stat().st_uid}
    return found.st_uid in owners and not found.st_mode & OTHERS_MAY_WRITE

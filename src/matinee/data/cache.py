"""The folder where downloaded and imported data live, one sub-folder for each name.

It is the user's cache folder, or what the environment variable `MATINEE_DATA`
names. A data set is there under ``NAME/`` or, as published, as ``NAME.zip``.
"""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from matinee.data.archives import copy_tree, extract
from matinee.errors import DataError, SettingError

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def cache_folder() -> Path:
    """The cache folder; it need not exist yet."""
    if named := os.environ.get("MATINEE_DATA"):
        return Path(named).expanduser()
    import platformdirs

    return platformdirs.user_cache_path("matinee")


def cached(name: str) -> Path | None:
    """Where the data set of this name is in the cache, or None."""
    if not NAME.fullmatch(name):
        return None
    for path in (cache_folder() / name, cache_folder() / f"{name}.zip"):
        if path.exists():
            return path
    return None


def cached_names() -> list[str]:
    """Names of all data sets in the cache."""
    if not cache_folder().is_dir():
        return []
    return sorted(
        {
            path.name.removesuffix(".zip")
            for path in cache_folder().iterdir()
            if NAME.fullmatch(path.name) and (path.is_dir() or path.suffix == ".zip")
        }
    )


@contextmanager
def new_entry(name: str) -> Iterator[Path]:
    """An empty folder that becomes the cache's entry `name` if the block ends well, whole.

    Until then, and if it does not end well, the entry that was there before stays.
    """
    if not NAME.fullmatch(name):
        raise SettingError(f"{name!r} is no name for data: letters, digits, '.', '_' and '-'.")
    cache_folder().mkdir(parents=True, exist_ok=True)
    entry = cache_folder() / name
    with tempfile.TemporaryDirectory(dir=cache_folder(), prefix=".new-") as temporary:
        fresh = Path(temporary) / name
        fresh.mkdir()
        yield fresh
        if entry.exists():
            entry.rename(Path(temporary) / "old")
        fresh.rename(entry)


def add(path: Path, name: str | None = None) -> Path:
    """Put an archive, a folder or a file of ratings into the cache, and say where it is now.

    Whether it can be read is for the caller to find out first.
    """
    if not path.exists():
        raise DataError(f"There is no {path}.")
    with new_entry(name or path.name.removesuffix(path.suffix if path.is_file() else "")) as entry:
        if path.is_dir():
            copy_tree(path, entry)
        elif path.suffix == ".zip":
            extract(path, entry)
        else:
            shutil.copyfile(path, entry / path.name)
    return cache_folder() / entry.name

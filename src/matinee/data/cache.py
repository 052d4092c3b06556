"""The folder where downloaded and imported data live, one sub-folder for each name.

It is the user's cache folder, or what the environment variable `MATINEE_DATA`
names. A data set is there under ``NAME/`` or, as published, as ``NAME.zip``.
"""

import json
import os
import re
import shutil
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from matinee.data.archives import copy_tree, extract
from matinee.errors import DataError, SettingError
from matinee.storage.atomic import new_folder, recover, recover_all

READING = "reading.json"
BESIDE = (
    *(f"movies.{suffix}" for suffix in ("csv", "tsv", "txt", "parquet", "arrow", "feather", "dat")),
    "users.dat",
)
"""Files that `read` looks for beside a file of ratings."""
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
    recover(cache_folder() / name)
    for path in (cache_folder() / name, cache_folder() / f"{name}.zip"):
        if path.exists():
            return path
    return None


def cached_names() -> list[str]:
    """Names of all data sets in the cache."""
    if not cache_folder().is_dir():
        return []
    recover_all(cache_folder())
    return sorted(
        {
            path.name.removesuffix(".zip")
            for path in cache_folder().iterdir()
            if NAME.fullmatch(path.name) and (path.is_dir() or path.suffix == ".zip")
        }
    )


def new_entry(name: str) -> AbstractContextManager[Path]:
    """An empty folder that becomes the cache's entry `name` if the block ends well, whole."""
    if not NAME.fullmatch(name):
        raise SettingError(f"{name!r} is no name for data: letters, digits, '.', '_' and '-'.")
    return new_folder(cache_folder() / name)


def add(path: Path, name: str | None = None, reading: Mapping[str, Any] | None = None) -> Path:
    """Put an archive, a folder or a file of ratings into the cache, and say where it is now.

    Whether it can be read is for the caller to find out first; `reading` is how (the options of
    `read`), and is kept beside the data for the next time.
    """
    if not path.exists():
        raise DataError(f"There is no {path}.")
    name = name or path.name.removesuffix(path.suffix if path.is_file() else "")
    with new_entry(name) as entry:
        if path.is_dir():
            copy_tree(path, entry)
        elif path.suffix.lower() == ".zip":
            extract(path, entry)
        else:
            for file in (path, *(path.with_name(name) for name in BESIDE)):
                if file.is_file():
                    shutil.copyfile(file, entry / file.name)
        if reading:
            (entry / READING).write_text(json.dumps(dict(reading)), encoding="utf-8")
    return cache_folder() / name


def kept_reading(path: Path) -> dict[str, Any]:
    """How the data at `path` were read when they were added; nothing if that is not known."""
    file = path / READING
    if not file.is_file():
        return {}
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        columns = {str(ours): str(theirs) for ours, theirs in kept["columns"].items()}
        scale = kept["scale"] and tuple(float(limit) for limit in kept["scale"])
        return {"columns": columns, "scale": scale, "duplicates": str(kept["duplicates"])}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise DataError(f"{file}: this file was changed. Add the data again.") from None

"""The folder of downloaded and added data sets, each ``NAME/`` or, as published, ``NAME.zip``."""

import json
import os
import re
import shutil
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from matinee.data.archives import copy_tree, extract
from matinee.data.id_map import shortened
from matinee.errors import DataError, SettingError
from matinee.storage.atomic import new_folder, recover, recover_all

READING = "reading.json"
FILES_BESIDE = (
    *(f"movies.{suffix}" for suffix in ("csv", "tsv", "txt", "parquet", "arrow", "feather", "dat")),
    "users.dat",
)
"""Files that `read` looks for beside a file of ratings."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def cache_folder() -> Path:
    """The user's cache folder, or the one that `MATINEE_DATA` names; it need not exist yet."""
    if named := os.environ.get("MATINEE_DATA"):
        return Path(named).expanduser()
    import platformdirs

    return platformdirs.user_cache_path("matinee")


def cached(name: str) -> Path | None:
    """Folder or archive of a data set in the cache, or None."""
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
    """An empty folder that becomes the data set `name` if the block ends without an error."""
    if not NAME.fullmatch(name):
        raise SettingError(
            "The name of a data set must be of letters, digits, '.', '_' and '-' "
            f"(at most 64, a letter or digit first), got {shortened(name)}."
        )
    return new_folder(cache_folder() / name)


def add(path: Path, name: str | None = None, reading: Mapping[str, Any] | None = None) -> Path:
    """Copy data into the cache, with the options of `read` for them, and return their folder."""
    if not path.exists():
        raise DataError(f"There is no {path}.")
    name = name or path.name.removesuffix(path.suffix if path.is_file() else "")
    with new_entry(name) as entry:
        if path.is_dir():
            copy_tree(path, entry)
        elif path.suffix.lower() == ".zip":
            extract(path, entry)
        else:
            for file in (path, *(path.with_name(name) for name in FILES_BESIDE)):
                if file.is_file():
                    shutil.copyfile(file, entry / file.name)
        if reading:
            (entry / READING).write_text(json.dumps(dict(reading)), encoding="utf-8")
    return cache_folder() / name


def stored_reading(path: Path) -> dict[str, Any]:
    """The options with which the data at `path` were read when they were added, if any."""
    file = path / READING
    if not file.is_file():
        return {}
    try:
        stored = json.loads(file.read_text(encoding="utf-8"))
        columns = {str(ours): str(theirs) for ours, theirs in stored["columns"].items()}
        scale = stored["scale"] and tuple(float(limit) for limit in stored["scale"])
        return {"columns": columns, "scale": scale, "duplicates": str(stored["duplicates"])}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise DataError(f"{file}: this file is damaged. Add the data again.") from None

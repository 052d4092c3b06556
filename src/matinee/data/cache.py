"""The folder of downloaded and added data sets, each ``NAME/`` or, as published, ``NAME.zip``."""

import json
import re
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from matinee.data.archives import check_inside, copy_file, copy_tree, extract
from matinee.data.reading_options import ReadingOptions
from matinee.data.sources import find, matches, stem_of
from matinee.errors import DataError, SettingError, shortened
from matinee.storage.atomic import is_there, new_folder, recover_all
from matinee.storage.cache_folder import cache_folder
from matinee.storage.locks import locked
from matinee.storage.regular import read_regular

READING = "reading.json"
MAX_READING = 2**20  # bytes
DESCRIBED = ("items", "users")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def cached(name: str) -> Path | None:
    """Folder or archive of a data set in the cache, or None."""
    if not NAME.fullmatch(name):
        return None
    for path in (cache_folder() / name, cache_folder() / f"{name}.zip"):
        if is_there(path):
            return path
    return None


def cached_names() -> list[str]:
    """Names of all data sets in the cache."""
    if not cache_folder().is_dir():
        return []
    recover_all(cache_folder())
    with locked(cache_folder(), shared=True):  # while nothing is being replaced
        return sorted(
            {
                path.name.removesuffix(".zip")
                for path in cache_folder().iterdir()
                if NAME.fullmatch(path.name) and (path.is_dir() or path.suffix == ".zip")
            }
        )


def new_entry(name: str, origins: Iterable[Path] = ()) -> AbstractContextManager[Path]:
    """An empty folder that becomes the data set `name` if the block ends without an error.

    No more people may read it than its origins, the files that are copied there.
    """
    check_name(name)
    return new_folder(cache_folder() / name, origins=origins)


def default_name(path: Path) -> str:
    """What data are called that are added without a name."""
    path = path.resolve() if path.name in ("", "..") else path
    return path.name if path.is_dir() else stem_of(path)


def check_name(name: str) -> None:
    """Refuse what cannot be the name of a data set."""
    if not NAME.fullmatch(name):
        raise SettingError(
            "The name of a data set must be of letters, digits, '.', '_' and '-' "
            f"(at most 64, a letter or digit first), got {shortened(name)}."
        )


def add(path: Path, name: str | None = None, reading: Mapping[str, Any] | None = None) -> Path:
    """Copy data into the cache, with the options of `read` for them, and return their folder.

    Tables of items and users that the options name are copied, too.
    """
    if not path.exists() and not matches(path):
        raise DataError(f"There is no {path}.")
    name = name or default_name(path)
    options = dict(reading or {})
    described = [Path(options[table]) for table in DESCRIBED if options.get(table)]
    origins = _origins(path)
    with new_entry(name, (*origins, *described)) as entry:
        if path.is_dir():
            copy_tree(path, entry)
        elif path.suffix.lower() == ".zip":
            extract(path, entry)
        else:
            for file in origins:
                if file != path:  # which the user has named, and may be a link
                    check_inside(file, file.parent)
                copy_file(file, entry / file.name)
        for table in DESCRIBED:
            if options.get(table):
                origin = Path(options[table])
                options[table] = f"{table}-of-{origin.name}"  # which is no name of ratings
                copy_file(origin, entry / options[table])
        if reading:
            (entry / READING).write_text(json.dumps(options), encoding="utf-8")
    return cache_folder() / name


def _origins(path: Path) -> tuple[Path, ...]:
    """The files that are copied, or unpacked, and their folder if it is all copied."""
    if path.is_dir():
        return (path, *(file for file in path.rglob("*") if file.is_file()))
    return find(path).files


def stored_reading(path: Path) -> dict[str, Any]:
    """The options with which the data at `path` were read when they were added, if any."""
    file = path / READING
    try:
        stored = ReadingOptions.of(json.loads(read_regular(file, MAX_READING).decode())).to_dict()
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError, SettingError):
        raise DataError(f"{file}: this file is damaged. Add the data again.") from None
    for table in DESCRIBED:
        if stored[table]:  # a name in the folder, and never a path out of it
            stored[table] = str(path.resolve() / Path(stored[table]).name)
    return {option: value for option, value in stored.items() if value not in (None, {})}

"""Which files a source is made of: the ratings, and the tables of items and users beside them."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from matinee.data import compression
from matinee.errors import DataError, cut
from matinee.storage.regular import check_regular

TEXT = (".csv", ".tsv", ".txt", ".dat", ".data", ".inter")
LINES = (".jsonl", ".ndjson", ".json")
BINARY = {".parquet": "Parquet", ".arrow": "Arrow", ".feather": "Arrow", ".ipc": "Arrow"}
FORMATS = (*TEXT, *LINES, *BINARY)
RATINGS = ("ratings", "rating", "interactions", "events")
ITEMS = ("movies", "items", "movie", "item")
USERS = ("users", "user")
OTHERS = ("reading", *ITEMS, *USERS, "tags", "tag", "links", "link")
OTHERS_BEGIN = ("movies", "items-of-", "users-of-", "readme", "genome", "license")
"""What files are called that hold no ratings, and how their names begin."""
BESIDE = {
    "u.data": ("u.item", "u.genre", "u.user", *(f"u{k}.test" for k in "12345ab")),
    "ratings.dat": ("movies.dat", "users.dat"),
}
"""What belongs to the layouts of the first editions."""


@dataclass(frozen=True)
class Sources:
    """Files that are read together."""

    ratings: tuple[Path, ...]  # several are parts of one table
    items: Path | None = None
    users: Path | None = None
    beside: tuple[Path, ...] = ()  # files that a layout brings with it

    @property
    def files(self) -> tuple[Path, ...]:
        """All of them, which may change."""
        described = (path for path in (self.items, self.users) if path)
        return (*self.ratings, *described, *self.beside)


def check_file(path: Path) -> None:
    """DataError, at once, unless this is a plain file that can be opened, or a link to one."""
    try:
        str(path).encode()
        check_regular(path)
    except OSError as problem:
        raise DataError(f"{path}: cannot be read ({problem.strerror}).") from None
    except UnicodeEncodeError:  # which libraries refuse
        raise DataError(f"{path}: its name is not in UTF-8; rename it.") from None


def format_of(path: Path) -> str:
    """The suffix that says what a file holds, in lower case, without that of a compression."""
    name = path.name.lower()
    for suffix in compression.SUFFIXES:
        name = name.removesuffix(suffix)
    return Path(name).suffix


def stem_of(path: Path) -> str:
    """The name of a file without what says its format and compression."""
    name = path.name
    if Path(name).suffix.lower() in compression.SUFFIXES:
        name = Path(name).stem
    return Path(name).stem


def matches(pattern: Path) -> list[Path]:
    """The files that a pattern such as ``part-*.parquet`` matches."""
    if not re.search(r"[*?\[]", str(pattern)):
        return []
    root = Path(pattern.anchor) if pattern.anchor else Path()
    parts = str(pattern.relative_to(pattern.anchor) if pattern.anchor else pattern)
    return sorted(path for path in root.glob(parts) if path.is_file())


def find(path: Path, label: str | None = None) -> Sources:
    """The files of a source; `label` is its name in messages."""
    if path.is_dir():
        return _in_folder(path, label or path.name)
    if not path.exists() and (parts := matches(path)):
        return _checked_parts(parts, label or path.name)
    check_file(path)
    if path.name in BESIDE:
        named = (path.with_name(name) for name in BESIDE[path.name])
        beside = tuple(near for near in named if os.path.lexists(near))
        return Sources((path,), beside=beside)
    return _with_tables_beside(path)


def _with_tables_beside(path: Path) -> Sources:
    """A table of ratings, and those of items and users in its folder."""
    files = sorted(path.parent.iterdir()) if path.parent.is_dir() else []
    found: list[Path | None] = []
    for stems in (ITEMS, USERS):
        near = [
            file
            for stem in stems
            for suffix in FORMATS
            for file in files
            if file != path and stem_of(file).lower() == stem and format_of(file) == suffix
        ]
        found.append(near[0] if near else None)
    return Sources((path,), found[0], found[1])


def _in_folder(folder: Path, label: str) -> Sources:
    """The files of a folder, or one level below it."""
    for files in _levels(folder):
        for name in BESIDE:
            if named := [file for file in files if file.name == name]:
                return find(named[0], label)
        tables = [file for file in files if format_of(file) in FORMATS]
        for stem in RATINGS:
            for suffix in FORMATS:
                for file in tables:
                    if stem_of(file).lower() == stem and format_of(file) == suffix:
                        return find(file, label)
        others = [file for file in tables if not is_other(stem_of(file).lower())]
        if len(others) == 1:
            return find(others[0], label)
        if len(others) > 1 and len({_without_numbers(file) for file in others}) == 1:
            return _checked_parts(others, label)
    names = ", ".join(f"{stem}.csv" for stem in RATINGS)
    raise DataError(
        f"{cut(label)}: there is no file of ratings in it ({names} or another format, u.data, "
        "ratings.dat, a single table, or parts of one)."
    )


def is_other(stem: str) -> bool:
    """Whether a file with this name, in lower case, holds something else than ratings."""
    return stem in OTHERS or stem.startswith(OTHERS_BEGIN)


def _levels(folder: Path) -> Iterator[list[Path]]:
    """The files of a folder, then those of its folders; hidden ones and marks are left out."""
    for pattern in ("*", "*/*"):
        yield [
            file
            for file in sorted(folder.glob(pattern))
            if not file.name.startswith((".", "_")) and not file.is_dir()
        ]


def _without_numbers(file: Path) -> str:
    """What the names of parts of one table have in common."""
    if file.name.startswith("part"):
        return "part" + format_of(file)
    return re.sub(r"\d+", "0", file.name) if re.search(r"\d", file.name) else file.name


def _checked_parts(parts: list[Path], label: str) -> Sources:
    formats = {format_of(part) for part in parts}
    if len(formats) > 1 or not formats <= set(FORMATS):
        raise DataError(f"{cut(label)}: the parts of a table must have one format ({formats}).")
    return replace(_with_tables_beside(parts[0]), ratings=tuple(parts))

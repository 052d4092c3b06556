"""A file that a person brings: a CSV, or the ZIP archive in which Letterboxd packs several."""

from pathlib import PurePosixPath
from typing import Literal

from matinee.data.archives import read_files
from matinee.errors import DataError
from matinee.service.import_formats import LARGEST, Imported, read_rows

ZIP = b"PK\x03\x04"  # with which an archive begins
PACKED = ("watched.csv", "ratings.csv")
"""What is read of an archive; its list of all watched movies holds the rated ones, too."""


def read_import(content: bytes, *, unrated: Literal["seen", "later"]) -> dict[str | None, Imported]:
    """What each file of an archive says, by name, or what a CSV says, by None.

    `unrated` is as in `read_rows`, for a CSV. DataError or ArchiveError if there is nothing to be
    read, or too much.
    """
    if not content.startswith(ZIP):
        return {None: read_rows(content, unrated=unrated)}
    files = read_files(
        "the ZIP file", content, lambda path: PurePosixPath(path).name in PACKED, LARGEST
    )
    # copies lie deeper: what was deleted, what belongs to no account
    depth = min((len(path.parts) for path in files), default=0)
    by_name = {path.name: text for path, text in files.items() if len(path.parts) == depth}
    found = [name for name in PACKED if name in by_name]
    if not found:
        raise DataError(f"the ZIP file: there is no {' or '.join(PACKED)} in it.")
    imported: dict[str | None, Imported] = {}
    for name in found:
        try:
            imported[name] = read_rows(by_name[name], unrated="seen")
        except DataError as problem:
            raise DataError(f"{name}: {problem}") from None
    return imported

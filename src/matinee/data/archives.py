"""Unpacking an archive that may be hostile: only plain files, only below the given folder, and no
more bytes than ratings could honestly hold, whatever sizes the archive declares.
"""

import io
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO

from matinee.errors import ArchiveError, DataError, cut, shortened
from matinee.storage.regular import copy_regular, create_like, open_regular

MAX_FILES = 10_000
MAX_BYTES = 64 * 2**30
MAX_RATIO = 100  # ratings compress to about a fifth; a hundredth is not data
MIN_ALLOWANCE = 64 * 2**20  # small archives of very regular tables may exceed the ratio up to here
DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    LookupError,
    OverflowError,
    ValueError,
)
"""All that zipfile may raise over a damaged archive."""
ENTRY = b"PK\x01\x02"
Files = dict[PurePosixPath, bytes]
UNUSED = re.compile(r"(^|/)(__MACOSX/|\.DS_Store|genome-|tags\.|links\.)")
"""Members of published archives that matinee does not read."""


def extract(archive: Path, folder: Path) -> None:
    """Write the files of a zip archive into a new or empty folder; ArchiveError if it is unsafe."""
    with _refusing(archive.name), open_regular(archive) as packed:
        allowance = allowance_of(archive)
        for target, source in _files(archive.name, packed, lambda path: not UNUSED.search(path)):
            allowance -= _write(archive, packed, source, folder / target, allowance)


def read_files(name: str, content: bytes, wanted: Callable[[str], bool], limit: int) -> Files:
    """The wanted files of a zip archive in memory, by their paths; ArchiveError if it is unsafe or
    they have more than `limit` bytes together. Archives within it stay packed.
    """
    found = {}
    with _refusing(name):
        for path, source in _files(name, io.BytesIO(content), wanted):
            with source:
                found[path] = source.read(limit + 1)
            limit -= len(found[path])
            if limit < 0:
                raise ArchiveError(f"{name}: {shortened(str(path))} is too large; refused.")
    return found


@contextmanager
def _refusing(name: str) -> Iterator[None]:
    """Turn all that may go wrong with an archive of this name into ArchiveError."""
    try:
        yield
    except DAMAGE as problem:
        reason = cut(str(problem), 120)
        raise ArchiveError(
            f"{name}: the archive is damaged or truncated ({reason}). Download it again."
        ) from None
    except RuntimeError as problem:  # an encrypted or unusually compressed member
        raise ArchiveError(f"{name}: {cut(str(problem), 120)}; refused.") from None
    except OSError as problem:  # a full disk, a name too long, one member inside another
        reason = cut(str(problem.strerror or problem), 120)
        raise ArchiveError(f"{name}: unpacking failed ({reason}).") from None


def _files(
    name: str, packed: BinaryIO, wanted: Callable[[str], bool]
) -> Iterator[tuple[PurePosixPath, IO[bytes]]]:
    """The paths and contents of the wanted files of an archive all of whose names are harmless."""
    _check_members(name, packed)
    opened = zipfile.ZipFile(packed)
    members = [member for member in opened.infolist() if not member.is_dir()]
    targets = [_target(name, member) for member in members]
    if len({str(target).casefold() for target in targets}) < len(targets):
        raise ArchiveError(f"{name}: it holds two files of the same name; refused.")
    for member, target in zip(members, targets, strict=True):
        if wanted(member.filename):
            yield target, opened.open(member)


def allowance_of(packed: Path) -> int:
    """How many bytes a compressed file or archive may unpack to."""
    return min(MAX_BYTES, max(MIN_ALLOWANCE, MAX_RATIO * packed.stat().st_size))


def _target(archive: str, member: zipfile.ZipInfo) -> PurePosixPath:
    """The path of a member relative to the folder; only plain files below it are allowed."""
    name = member.filename
    path = PurePosixPath(name)
    inside = not (path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name)
    if not inside or not path.parts or any(ord(c) < 32 for c in name):
        raise ArchiveError(f"{archive}: {shortened(name)} points outside its folder; refused.")
    mode = member.external_attr >> 16
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        raise ArchiveError(f"{archive}: {shortened(name)} is not a plain file; refused.")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        problem = f"{shortened(name)} is compressed in an unusual way"
        raise ArchiveError(f"{archive}: {problem}; refused.")
    return path


def _check_members(archive: str, packed: BinaryIO) -> None:
    """Count the marks of entries in its directory, which zipfile reads before it can be asked."""
    if not zipfile.is_zipfile(packed):
        raise zipfile.BadZipFile("File is not a zip file")
    packed.seek(0)
    count, end = 0, b""
    while chunk := packed.read(2**20):
        count += (end + chunk).count(ENTRY)
        end = chunk[1 - len(ENTRY) :]
    if count > MAX_FILES:
        raise ArchiveError(f"{archive}: it holds {count:,} files; refused.")


def _write(archive: Path, packed: BinaryIO, source: IO[bytes], target: Path, allowance: int) -> int:
    """Write one member, counting the bytes that really come out; zipfile checks its checksum."""
    target.parent.mkdir(parents=True, exist_ok=True)
    n_bytes = 0
    with source, create_like(packed, target) as out:
        while chunk := source.read(2**20):
            n_bytes += len(chunk)
            if n_bytes > allowance:
                raise ArchiveError(
                    f"{archive.name}: it unpacks to more than a ratings archive could hold; "
                    "refused."
                )
            out.write(chunk)
    return n_bytes


def copy_tree(source: Path, folder: Path) -> None:
    """Copy the files of a folder, one level of sub-folders included, and nothing from outside."""
    for path in sorted([*source.glob("*"), *source.glob("*/*")]):
        if not UNUSED.search(path.name):
            check_inside(path, source)
            if not path.is_dir():
                copy_file(path, folder / path.relative_to(source))


def check_inside(path: Path, folder: Path) -> None:
    """DataError for a link that leads out of the folder, where there may be what is private."""
    try:
        inside = path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):  # links in a circle
        inside = False
    if not inside:
        raise DataError(
            f"{path}: this link leads out of the folder, from which nothing is copied. Remove it, "
            "or put what it leads to in its place."
        )


def copy_file(source: Path, target: Path) -> None:
    """Copy a plain file to where there is none yet; DataError if it is something else."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        copy_regular(source, target)
    except FileExistsError:
        raise DataError(f"{source}: there are two files of this name; rename one.") from None
    except OSError as problem:
        raise DataError(f"{source}: cannot be copied ({problem.strerror}).") from None

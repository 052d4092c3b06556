"""Unpacking an archive that may be hostile: only plain files, only below the given folder, and no
more bytes than ratings could honestly hold, whatever sizes the archive declares.
"""

import re
import shutil
import stat
import struct
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from matinee.errors import ArchiveError, cut, shortened

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
UNUSED = re.compile(r"(^|/)(__MACOSX/|\.DS_Store|genome-|tags\.|links\.)")
"""Members of published archives that matinee does not read."""


def extract(archive: Path, folder: Path) -> None:
    """Write the files of a zip archive into a new or empty folder; ArchiveError if it is unsafe."""
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [member for member in opened.infolist() if not member.is_dir()]
            targets = [_target(archive, member) for member in members]
            if len(members) > MAX_FILES:
                raise ArchiveError(f"{archive.name}: it holds {len(members)} files; refused.")
            if len({str(target).casefold() for target in targets}) < len(targets):
                raise ArchiveError(f"{archive.name}: it holds two files of the same name; refused.")
            allowance = allowance_of(archive)
            for member, target in zip(members, targets, strict=True):
                if not UNUSED.search(member.filename):
                    allowance -= _write(opened, member, folder / target, allowance)
    except DAMAGE as problem:
        reason = cut(str(problem), 120)
        raise ArchiveError(
            f"{archive.name}: the archive is damaged or truncated ({reason}). Download it again."
        ) from None
    except RuntimeError as problem:  # an encrypted or unusually compressed member
        raise ArchiveError(f"{archive.name}: {cut(str(problem), 120)}; refused.") from None
    except OSError as problem:  # a full disk, a name too long, one member inside another
        reason = cut(str(problem.strerror or problem), 120)
        raise ArchiveError(f"{archive.name}: unpacking failed ({reason}).") from None


def allowance_of(packed: Path) -> int:
    """How many bytes a compressed file or archive may unpack to."""
    return min(MAX_BYTES, max(MIN_ALLOWANCE, MAX_RATIO * packed.stat().st_size))


def _target(archive: Path, member: zipfile.ZipInfo) -> PurePosixPath:
    """The path of a member relative to the folder; only plain files below it are allowed."""
    name = member.filename
    path = PurePosixPath(name)
    inside = not (path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name)
    if not inside or not path.parts or any(ord(c) < 32 for c in name):
        raise ArchiveError(f"{archive.name}: {shortened(name)} points outside its folder; refused.")
    mode = member.external_attr >> 16
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        raise ArchiveError(f"{archive.name}: {shortened(name)} is not a plain file; refused.")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        problem = f"{shortened(name)} is compressed in an unusual way"
        raise ArchiveError(f"{archive.name}: {problem}; refused.")
    return path


def _write(opened: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, allowance: int) -> int:
    """Write one member, counting the bytes that really come out; zipfile checks its checksum."""
    target.parent.mkdir(parents=True, exist_ok=True)
    n_bytes = 0
    with opened.open(member) as source, target.open("xb") as out:
        while chunk := source.read(2**20):
            n_bytes += len(chunk)
            if n_bytes > allowance:
                name = Path(opened.filename or "").name
                raise ArchiveError(
                    f"{name}: it unpacks to more than a ratings archive could hold; refused."
                )
            out.write(chunk)
    return n_bytes


def copy_tree(source: Path, folder: Path) -> None:
    """Copy the plain files of a folder, one level of sub-folders included."""
    for path in sorted([*source.glob("*"), *source.glob("*/*")]):
        if path.is_file() and not path.is_symlink() and not UNUSED.search(path.name):
            target = folder / path.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)

"""Opening an archive that may be hostile.

Nothing is written outside the folder asked for, nothing but plain files is
written, and no more bytes are written than a ratings archive could honestly
hold, whatever sizes the archive itself declares.
"""

import re
import shutil
import stat
import struct
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from matinee.errors import ArchiveError

MAX_FILES = 10_000
MAX_BYTES = 64 * 2**30
MAX_RATIO = 100  # ratings shrink to about a fifth; a hundredth is not data
FREE_BYTES = 64 * 2**20  # small archives of very regular tables may pass the ratio up to here
DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    LookupError,
    OverflowError,
    ValueError,
)
"""All that zipfile has been seen to raise, or may raise, over bytes that make no sense."""
UNUSED = re.compile(r"(^|/)(__MACOSX/|\.DS_Store|genome-|tags\.|links\.)")
"""Members of published archives that matinee does not read."""


def extract(archive: Path, folder: Path) -> None:
    """Write the files of a zip archive into `folder`, which must be new or empty.

    Raises
    ------
    ArchiveError
        If the archive is no zip file, is cut short or damaged, names a place outside the
        folder, holds links or encrypted files, or grows beyond reason.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [member for member in opened.infolist() if not member.is_dir()]
            targets = [_target(archive, member) for member in members]
            if len(members) > MAX_FILES:
                raise ArchiveError(f"{archive.name}: {len(members)} files; refused.")
            if len({str(target).casefold() for target in targets}) < len(targets):
                raise ArchiveError(f"{archive.name}: it holds two files of the same name; refused.")
            allowance = min(MAX_BYTES, max(FREE_BYTES, MAX_RATIO * archive.stat().st_size))
            for member, target in zip(members, targets, strict=True):
                if not UNUSED.search(member.filename):
                    allowance -= _write(opened, member, folder / target, allowance)
    except DAMAGE as problem:
        raise ArchiveError(
            f"{archive.name}: the archive is damaged or cut short ({problem}). Get it again."
        ) from None
    except RuntimeError as problem:  # zipfile's word for an encrypted or oddly packed member
        raise ArchiveError(f"{archive.name}: {problem}; refused.") from None
    except OSError as problem:  # a full disk, a name too long, one member inside another
        reason = problem.strerror or problem
        raise ArchiveError(f"{archive.name}: it cannot be unpacked ({reason}).") from None


def _target(archive: Path, member: zipfile.ZipInfo) -> PurePosixPath:
    """Where a member goes, relative to the folder; only plain files below it are allowed."""
    name = member.filename
    path = PurePosixPath(name)
    inside = not (path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name)
    if not inside or not path.parts or any(ord(c) < 32 for c in name):
        raise ArchiveError(f"{archive.name}: {name!r} points outside its folder; refused.")
    mode = member.external_attr >> 16
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        raise ArchiveError(f"{archive.name}: {name!r} is not a plain file; refused.")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ArchiveError(f"{archive.name}: {name!r} is packed in an unusual way; refused.")
    return path


def _write(opened: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, allowance: int) -> int:
    """Write one member, counting the bytes that really come out; its checksum is checked."""
    target.parent.mkdir(parents=True, exist_ok=True)
    format_setting = 0
    with opened.open(member) as source, target.open("xb") as out:
        while chunk := source.read(2**20):
            format_setting += len(chunk)
            if format_setting > allowance:
                raise ArchiveError(
                    f"{opened.filename and Path(opened.filename).name}: it unpacks to more than a "
                    "ratings archive could hold; refused."
                )
            out.write(chunk)
    return format_setting


def copy_tree(source: Path, folder: Path) -> None:
    """Copy the plain files of a folder, one level of sub-folders included."""
    for path in sorted([*source.glob("*"), *source.glob("*/*")]):
        if path.is_file() and not path.is_symlink() and not UNUSED.search(path.name):
            target = folder / path.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)

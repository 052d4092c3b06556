"""Compiled kernels on disk: loaded from any place that only trusted users can write to, and written
to the first that this user can write to. What is missing or damaged is compiled again.

The code of a kernel contains the code that it calls in other files, so a folder belongs to one
state of all kernels' sources, and of numba and Python. numba's own cache differs in three ways: it
goes by the kernel's own file alone, ends in an error where a file is cut or no place is writable,
and lets processes that compile different versions of a function at once mix them up.
"""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import llvmlite
import numba
from numba.core.caching import CompileResultCacheImpl, IndexDataCacheFile, NullCache
from numba.core.runtime.nrt import rtsys

from matinee.storage.cache_folder import (
    OTHERS_MAY_WRITE,
    cache_folder,
    is_private,
    make_private,
    named_folder,
    temporary_folder,
    temporary_path,
)

HERE = Path(__file__).parent
PREFIX = "kernels-"
NAMED = named_folder()  # when this was imported: one process looks in the same places all along
compiled_here: list[str] = []  # the kernels that this process has compiled
KEPT = 4  # folders of one place, of this state and earlier ones


@cache
def state() -> str:
    """A name for the state of the kernels' sources and of what compiles them."""
    versions = f"{numba.__version__} {llvmlite.__version__} {sys.implementation.cache_tag}"
    sources = [path.read_bytes() for path in sorted(HERE.glob("*.py"))]
    return sha256(b"\0".join([versions.encode(), *sources])).hexdigest()[:16]


def folders(temporary: Callable[[], Path]) -> Iterator[Path]:
    """Where compiled kernels may be, the first choice first; whether they are is another thing.

    `temporary` says which folder among the temporary files is the last choice.
    """
    seen: set[Path] = set()
    beside = HERE / "__pycache__"
    for place in (lambda: NAMED, lambda: beside, cache_folder, temporary):
        with suppress(OSError):  # there may be no folder for temporary files
            if (parent := place()) and parent not in seen:
                seen.add(parent)
                hidden = "" if parent == beside else "."  # beside data sets, and none itself
                yield parent / f"{hidden}{PREFIX}{state()}"


def place_of_kernels() -> Path | None:
    """The first folder with compiled kernels of this state that is trusted."""
    return next(filter(is_private, folders(temporary_path)), None)


class KernelCache(NullCache):
    """What numba asks for the compiled code of one function, and gives it to."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.name = f"{function.__module__.rpartition('.')[2]}.{function.__qualname__}"

    def load_overload(self, signature: Any, target_context: Any) -> Any:
        """The compiled code for these types of arguments, or None."""
        rtsys.initialize(target_context)  # all that code needs; what compiling needs takes 0.2 s
        key = signature, target_context.codegen().magic_tuple()
        for folder in folders(temporary_path):
            entry = _Entry(folder, self.name, key)
            if entry.is_sound():
                with suppress(Exception):  # what a linker makes of code that it cannot take
                    return _Code().rebuild(target_context, entry.load())
        return None

    def save_overload(self, signature: Any, compiled: Any) -> None:
        """Keep compiled code in the first folder that takes it."""
        compiled_here.append(self.name)
        if compiled.library.has_dynamic_globals:  # addresses in this process
            return
        key = signature, compiled.codegen.magic_tuple()
        for folder in folders(temporary_folder):
            with suppress(OSError):
                make_private(folder)
                _Entry(folder, self.name, key).save(_Code().reduce(compiled))
                return


class _Code(CompileResultCacheImpl):
    """numba's way from compiled code to what can be stored, and back."""

    def __init__(self) -> None:
        pass  # it needs no place of its own


class _Entry:
    """The compiled code of one function for one list of types: two files of numba's, and a checksum
    of both, without which numba would execute whatever a full disk has left.
    """

    def __init__(self, folder: Path, name: str, key: Any) -> None:
        self.key = key
        base = f"{name}-{sha256(repr(key).encode()).hexdigest()[:16]}"
        self.file = IndexDataCacheFile(str(folder), base, state())
        self.parts = [folder / f"{base}.nbi", folder / f"{base}.1.nbc"]
        self.checksum = folder / f"{base}.sha256"

    def is_sound(self) -> bool:
        """Whether it is all there as it was written, by a trusted user."""
        paths = (self.checksum.parent, self.checksum, *self.parts)
        try:
            return all(map(is_private, paths)) and self.checksum.read_bytes() == self._hashed()
        except OSError:
            return False

    def _hashed(self) -> bytes:
        return sha256(b"".join(path.read_bytes() for path in self.parts)).hexdigest().encode()

    def load(self) -> Any:
        """What was saved; only if the entry is sound."""
        return self.file.load(self.key)

    def save(self, code: Any) -> None:
        """Write all files; OSError if that fails."""
        self.file.flush()  # numba would read an old index first, whole or not
        self.file.save(self.key, code)
        self.checksum.write_bytes(self._hashed())
        for path in (self.checksum, *self.parts):
            if path.stat().st_mode & OTHERS_MAY_WRITE:
                path.chmod(0o600)
        _remove_old(self.checksum.parent)


@cache
def _remove_old(folder: Path) -> None:
    """Remove the folders of earlier states but the latest, once a process.

    A process that still uses one of them compiles what it misses.
    """
    prefix = folder.name.removesuffix(state())
    others = [path for path in folder.parent.glob(f"{prefix}*") if path != folder]
    with suppress(OSError):
        others.sort(key=os.path.getmtime, reverse=True)
    for old in others[KEPT - 1 :]:
        shutil.rmtree(old, ignore_errors=True)

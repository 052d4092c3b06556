"""A run on disk: everything one training left, written whole or not at all.

Loading executes nothing that a file says, and trusts no file before its checksum is right, which
threads see to while numpy, polars and numba are imported: so nothing heavy may be imported here.
"""

import hashlib
import json
import logging
import math
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from mmap import ACCESS_COPY, mmap
from pathlib import Path
from typing import Any

from matinee.errors import RunError, bounded, shortened
from matinee.storage.atomic import (
    new_folder,
    read_steadily,
    recover,
    recover_all,
    remove_folder,
    rename_folder,
)
from matinee.storage.regular import open_regular, read_regular

log = logging.getLogger(__name__)

FORMAT = 5
MAX_MANIFEST = 2**22  # bytes; honest ones have a few thousand
MAX_HISTORY = 2**26  # bytes; an iteration has a hundred or two
LONGEST = 200  # bytes of a run's name: file systems have 255, and atomic.py adds to it
RUNS = Path("runs")
"""Where runs go, and are looked for, unless another folder is named."""
MANIFEST = "manifest.json"
OWN_DATA = "./data"
"""The source of data that lie in the run itself; whoever reads the manifest sees the whole path."""
INTERACTIONS = "interactions.safetensors"
ITEMS, USERS = "items.safetensors", "users.safetensors"
HISTORY = "history.jsonl"
POPULATION, PARTS = "population.safetensors", "users"
"""Of a run whose users are in parts: what it knows of all of them, and the folder of the parts."""
FILES = (INTERACTIONS, ITEMS, USERS, HISTORY)
SECTIONS = ("heads", "model", "data", "split", "metrics", "environment", "files", PARTS)
HEAD_FILES = {name: f"{name}_head.safetensors" for name in ("rating", "ranking")}


@dataclass(frozen=True)
class RunParts:
    """What the files of a run hold: all but the checksums, which are taken as they are written."""

    manifest: Mapping[str, Any]
    arrays: Mapping[str, Mapping[str, Any]]  # file, then name, to numpy array
    history: Any  # polars frame
    users: Sequence[Path] = ()  # files that are its users in parts, in the order of the manifest


def write_run(parts: RunParts, run: Path) -> Path:
    """Write the folder `run`, whole or not at all; RunError if something else is there."""
    check_target(run)
    return _write(parts, run, replace=True)


def write_new_run(parts: RunParts, wanted: Path) -> Path:
    """Write the folder `wanted`, or `wanted-2` and so on, and return it; replaces nothing."""
    run, number = wanted, 1
    while True:
        with suppress(FileExistsError):
            return _write(parts, run, replace=False)
        number += 1
        run = wanted.with_name(f"{wanted.name}-{number}")


def _write(parts: RunParts, run: Path, replace: bool) -> Path:
    with new_folder(run, replace=replace) as fresh:
        fill_run(parts, fresh)
    log.info("saved %s", bounded(str(run)))
    return run


def fill_run(parts: RunParts, folder: Path) -> None:
    """Write the files of a run into a folder, which becomes one as a whole."""
    from safetensors.numpy import save_file

    for name, arrays in parts.arrays.items():
        save_file(dict(arrays), folder / name)
    parts.history.write_ndjson(folder / HISTORY)
    files = {name: {"sha256": _sha256(_mapped(folder / name))} for name in files_of(parts.manifest)}
    manifest = {**parts.manifest, "format": FORMAT, "files": files}
    if parts.users:
        manifest[PARTS] = {**manifest[PARTS], "parts": _take_users(parts, folder)}
    text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
    if len(text.encode()) > MAX_MANIFEST:
        raise RunError("The run cannot be saved; the names in its tables are too long.")
    (folder / MANIFEST).write_text(text, encoding="utf-8")


def _take_users(parts: RunParts, folder: Path) -> list[dict[str, Any]]:
    """Put the files of users into the folder of a run; their entries with checksums."""
    (folder / PARTS).mkdir()
    entries = []
    for source, entry in zip(parts.users, parts.manifest[PARTS]["parts"], strict=True):
        path = folder / PARTS / entry["file"]
        shutil.copyfile(source, path)
        entries.append({**entry, "sha256": _sha256(_mapped(path))})
    return entries


def check_target(run: Path) -> None:
    """Refuse a target for a run that holds something else."""
    recover(run)
    # two looks, between which another process may be replacing the run
    if read_steadily(run, lambda: run.exists() and not (run / MANIFEST).is_file()):
        raise RunError(f"{run}: exists and is not a run; choose another folder.")


@contextmanager
def open_run(run: Path) -> Iterator[tuple[dict[str, Any], Iterator[tuple[str, memoryview]]]]:
    """The manifest of a run, and its files by name, which threads are checking meanwhile."""
    manifest = read_manifest(run)
    names, checksums = files_of(manifest), manifest["files"]
    with ThreadPoolExecutor() as pool:
        contents = pool.map(lambda name: checked(run / name, checksums.get(name)), names)
        yield manifest, zip(names, contents, strict=True)


def read_manifest(run: Path) -> dict[str, Any]:
    """What a run says about itself, its format checked and nothing else."""
    path = run / MANIFEST
    try:
        manifest = json.loads(read_regular(path, MAX_MANIFEST).decode())
        json.dumps(manifest, ensure_ascii=False).encode()  # halves of characters are no text
        written = manifest["format"]
    except (FileNotFoundError, NotADirectoryError):
        raise RunError(f"{run}: no run here (no {MANIFEST}).") from None
    except OSError as problem:
        raise RunError(f"{path}: the file cannot be read ({problem.strerror}).") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise RunError(f"{path}: not the manifest of a run.") from None
    if not isinstance(written, int) or written < 1:
        raise RunError(f"{path}: format {shortened(written)} was never written by any version.")
    if written < FORMAT:
        raise RunError(f"{run}: written by an older version of matinee; train it again.")
    if written > FORMAT:
        raise RunError(
            f"{run}: written in format {shortened(written)}, and this version knows up to "
            f"{FORMAT}. Upgrade matinee."
        )
    for section in SECTIONS:
        if not isinstance(manifest.setdefault(section, {}), dict):
            raise RunError(f"{path}: {shortened(section)} must be an object.")
    if manifest["data"].get("source") == OWN_DATA:
        manifest["data"]["source"] = str(Path(os.path.realpath(run)) / OWN_DATA)
    return dict(manifest)


def finite_or_none(value: Any) -> float | None:
    """A finite number as float; None for anything else.

    Examples
    --------
    >>> finite_or_none(3), finite_or_none(float("nan")), finite_or_none(10**400)
    (3.0, None, None)
    """
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def list_runs(folder: Path = RUNS) -> list[tuple[Path, dict[str, Any]]]:
    """(folder, manifest) of every run directly below `folder`, the newest first."""
    return runs_and_others(folder)[0]


def runs_and_others(
    folder: Path = RUNS,
) -> tuple[list[tuple[Path, dict[str, Any]]], list[RunError]]:
    """The same, and why other folders with a manifest are no such runs."""
    recover_all(folder)
    runs, others = [], []
    for path in sorted(folder.glob(f"*/{MANIFEST}")):
        if not path.parent.name.startswith("."):
            try:
                runs.append((path.parent, read_manifest(path.parent)))
            except RunError as problem:
                others.append(problem)
    newest_first = sorted(runs, key=lambda run: str(run[1].get("created", "")), reverse=True)
    return newest_first, others


def rename_run(run: Path, name: str) -> Path:
    """Give a run another name in its folder; RunError if it is none, or the name will not do."""
    named = name and name.isprintable() and name == name.strip()
    if not named or name.startswith((".", "-")) or set(name) & {"/", "\\"}:
        raise RunError(
            f"{shortened(name)} cannot name a run: only letters that can be printed, no slash, no "
            "dot or dash in front, no space around it."
        )
    if len(name.encode()) > LONGEST:
        raise RunError(
            f"A name of {len(name)} letters is too long for a run; choose a shorter one."
        )
    check_is_run(run)
    recover(run.with_name(name))
    try:
        return rename_folder(run, name)
    except FileExistsError:
        raise RunError(f"{run.with_name(name)}: exists already; choose another name.") from None


def remove_run(run: Path) -> None:
    """Remove a run with all that is in its folder, whole or not at all; RunError if it is none."""
    check_is_run(run)
    remove_folder(run)


def check_is_run(run: Path) -> None:
    """Refuse to rename or remove what is not a run itself: a link, another folder, many runs."""
    if run.is_symlink():
        raise RunError(f"{run}: is a link to {os.path.realpath(run)}; name that run itself.")
    if run.name in ("", ".."):
        raise RunError(f"{run}: name the run by its folder.")
    try:
        manifest = json.loads(read_regular(run / MANIFEST, MAX_MANIFEST).decode())
        ours = isinstance(manifest, dict) and {"format", "matinee", "files"} <= set(manifest)
    except (OSError, ValueError, RecursionError):
        ours = False
    if not ours:
        raise RunError(f"{run}: not a run; its {MANIFEST} is missing or belongs to something else.")
    if inside := next(run.glob(f"*/{MANIFEST}"), None):
        raise RunError(f"{run}: contains another run, {inside.parent.name}; move that first.")


def files_of(manifest: Mapping[str, Any]) -> list[str]:
    """The files beside the manifest of a run, without users in parts."""
    files = [ITEMS, USERS, HISTORY, POPULATION] if manifest.get(PARTS) else FILES
    return [*files, *(file for head, file in HEAD_FILES.items() if head in manifest["heads"])]


def corrupt_files(run: Path, manifest: Mapping[str, Any]) -> list[str]:
    """The files of a run that are missing, or are not what its manifest says of them."""
    corrupt = []
    for name in files_of(manifest):
        try:
            checked(run / name, manifest["files"].get(name))
        except RunError:
            corrupt.append(name)
    return corrupt


def checked(path: Path, entry: Any) -> memoryview:
    """The bytes of a file, mapped, if their checksum is that of its entry in the manifest."""
    content = _mapped(path)
    if not isinstance(entry, Mapping) or _sha256(content) != entry.get("sha256"):
        raise RunError(f"{path}: wrong checksum; the file was changed or is corrupt.")
    return content


def _mapped(path: Path) -> memoryview:
    """The bytes of a file, mapped: writable, as compiled kernels want them, but never written."""
    try:
        with open_regular(path) as file:
            if os.fstat(file.fileno()).st_size == 0:  # which cannot be mapped
                return memoryview(b"")
            return memoryview(mmap(file.fileno(), 0, access=ACCESS_COPY))
    except FileNotFoundError:
        raise RunError(f"{path}: file missing.") from None
    except OSError as problem:
        raise RunError(f"{path}: the file cannot be read ({problem.strerror}).") from None


def _sha256(content: memoryview) -> str:
    # in one call, which leaves the interpreter to others: they are importing meanwhile
    return hashlib.sha256(content).hexdigest()

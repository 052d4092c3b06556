"""A run on disk: everything one training left, written whole or not at all.

=======================  ==========================================================
`manifest.json`          format, heads, data, metrics, and the SHA-256 of the rest
`rating.safetensors`     arrays of the rating head, if there is one
`ranking.safetensors`    arrays of the ranking head, if there is one
`ratings.safetensors`    the training ratings by user (for `explain` and seen movies)
`items.parquet`         item, title, year, genres, in the order of the vectors
`users.parquet`        user, in the order of the vectors
`history.jsonl`          one line per head and iteration
=======================  ==========================================================

Loading executes nothing that a file says, and believes no file before it has
checked it. Each file is opened once and mapped, and what was checked is what is
used. Every byte is hashed at every load: a note that a file was found right once
says nothing of a disk that fails later, and hashing costs no time of its own, as
threads do it while numpy, polars and numba are imported. So nothing heavy may be
imported here before the hashing has begun.
"""

import hashlib
import json
import math
import os
from collections.abc import Container, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from mmap import ACCESS_COPY, mmap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matinee.errors import RunError
from matinee.storage.atomic import new_folder, recover, recover_all, remove_folder, rename_folder

if TYPE_CHECKING:
    from matinee.models.recommender import Recommender

FORMAT = 2
LONGEST = 200  # bytes of a run's name: file systems have 255, and folders.py adds to it
RUNS = Path("runs")
"""Where runs go, and are looked for, unless another place is named."""
SECTIONS = ("heads", "model", "data", "split", "metrics", "made", "files")
MANIFEST = "manifest.json"
FILES = ("ratings.safetensors", "items.parquet", "users.parquet", "history.jsonl")
HEAD_FILES = {"rating": "rating.safetensors", "ranking": "ranking.safetensors"}


def save(model: "Recommender", run: Path) -> Path:
    """Write a model to the folder `run`; what was there before stays until the new one is whole.

    Raises
    ------
    RunError
        If `run` is there and is not a run.
    """
    check_target(run)
    return _save(model, run, replace=True)


def save_new(model: "Recommender", wanted: Path) -> Path:
    """Write a model to the folder `wanted`, or `wanted-2` and so on; replaces nothing.

    A name may be taken while the files are written; then they are written again beside it.

    Returns
    -------
    Path
        Where the run is.
    """
    run, again = wanted, 1
    while True:
        try:
            return _save(model, run, replace=False)
        except FileExistsError:
            if not run.parent.is_dir():  # it is a file
                raise
        again += 1
        run = wanted.with_name(f"{wanted.name}-{again}")


def _save(model: "Recommender", run: Path, replace: bool) -> Path:
    from matinee.models.serialization import describe, write_files

    with new_folder(run, replace=replace) as fresh:
        write_files(model, fresh)
        names = files_of(model.heads)
        files = {name: {"sha256": _sha256(_mapped(fresh / name))} for name in names}
        manifest = {**model.metadata, "format": FORMAT, **describe(model), "files": files}
        text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
        (fresh / MANIFEST).write_text(text, encoding="utf-8")
    return run


def keep(model: "Recommender", run: str | Path | None, estimator: str) -> Path:
    """Write a model to the folder `run`, or to a new one under `RUNS`; where it is.

    That one is named after the data, the recipe and the time.
    """
    if run:
        return save(model, Path(run))
    name = f"{model.metadata['data']['name']}-{estimator.lower()}-{datetime.now():%Y%m%d-%H%M%S}"
    return save_new(model, RUNS / name)


def check_target(run: Path) -> None:
    """Refuse a place for a run that holds something else."""
    recover(run)
    if run.exists() and not (run / MANIFEST).is_file():
        raise RunError(f"{run}: this is there already and is no run; choose another folder.")


def load(run: str | Path) -> "Recommender":
    """The model saved in the folder `run`.

    Its arrays are the files, mapped: pages that nothing asks for again need no memory, and
    processes with the same run share theirs. Saving another run in its place leaves a loaded
    model as it is. Whoever writes into the very files, which nothing here does, changes it, and
    ends the process by cutting them short.

    Raises
    ------
    RunError
        If there is no run, a file is missing, damaged or does not fit the others, or the run was
        written by a newer version.

    Examples
    --------
    >>> import tempfile
    >>> import matinee
    >>> from matinee.data.synthetic import generate
    >>> data, _ = generate(users=60, items=50, ratings=1500, seed=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run = matinee.Bias().fit(data).save(f"{folder}/run")
    ...     print(matinee.load(run))
    Recommender(Bias, 60 users, 50 movies)
    """
    run = Path(run)
    while True:
        recover(run)
        before = _version_of(run)
        try:
            return _load(run)
        except RunError:
            if _version_of(run) == before:
                raise
            # somebody saved a new run here while this one was being read


def _load(run: Path) -> "Recommender":
    manifest = read_manifest(run)
    names = files_of(manifest["heads"])
    with ThreadPoolExecutor() as pool:
        checked = pool.map(lambda name: _checked(run / name, manifest["files"].get(name)), names)
        from matinee.models.serialization import assemble

        return assemble(run, manifest, dict(zip(names, checked, strict=True)))


def _version_of(run: Path) -> int | None:
    """What changes when another folder takes the place of this one."""
    try:
        return run.stat().st_ino
    except OSError:
        return None


def read_manifest(run: Path) -> dict[str, Any]:
    """What a run says about itself, its format checked and nothing else."""
    path = run / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        json.dumps(manifest, ensure_ascii=False).encode()  # halves of characters are no text
        format_setting = manifest["format"]
    except (FileNotFoundError, NotADirectoryError):
        raise RunError(f"{run}: there is no run here (no {MANIFEST}).") from None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise RunError(f"{path}: this is no manifest of a run.") from None
    if not isinstance(format_setting, int) or format_setting < 1:
        raise RunError(f"{path}: format {format_setting!r} is none that was ever written.")
    if format_setting < FORMAT:
        raise RunError(f"{run}: written by an older version of matinee; train it again.")
    if format_setting > FORMAT:
        raise RunError(
            f"{run}: written in format {format_setting}, and this version knows up to {FORMAT}. "
            "Upgrade matinee."
        )
    for section in SECTIONS:
        if not isinstance(manifest.setdefault(section, {}), dict):
            raise RunError(f"{path}: {section!r} is not what it should be.")
    return dict(manifest)


def plain(said: Any) -> float | None:
    """A number that JSON knows, whatever is said to be one; None if it is none, or not finite.

    Examples
    --------
    >>> plain(3), plain(float("nan")), plain(10**400), plain("3"), plain(True)
    (3.0, None, None, None, None)
    """
    if not isinstance(said, int | float) or isinstance(said, bool):
        return None
    try:
        number = float(said)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def list_runs(folder: Path = RUNS) -> list[tuple[Path, dict[str, Any]]]:
    """(folder, manifest) of every run directly below `folder`, the newest first."""
    recover_all(folder)
    found = []
    for path in folder.glob(f"*/{MANIFEST}"):
        if not path.parent.name.startswith("."):
            try:
                found.append((path.parent, read_manifest(path.parent)))
            except RunError:
                continue  # somebody else's folder, or a newer version's
    return sorted(found, key=lambda run: str(run[1].get("created", "")), reverse=True)


def rename_run(run: Path, name: str) -> Path:
    """Give a run another name in the folder where it is, and return its new place.

    Raises
    ------
    RunError
        If this is no run of its own, the name is not one, or it is taken.
    """
    named = name and name.isprintable() and name == name.strip()
    if not named or name.startswith((".", "-")) or set(name) & {"/", "\\"}:
        raise RunError(
            f"{name!r} is no name for a run: it has no slash, and no dot, dash or space in front."
        )
    if len(name.encode()) > LONGEST:
        raise RunError(f"A name of {len(name)} letters is too long for a run; take a shorter one.")
    check_is_run(run)
    recover(run.with_name(name))
    try:
        return rename_folder(run, name)
    except FileExistsError:
        raise RunError(
            f"{run.with_name(name)}: this is there already; take another name."
        ) from None


def remove_run(run: Path) -> None:
    """Remove a run with all that is in its folder, whole or not at all.

    Raises
    ------
    RunError
        If this is no run of its own.
    """
    check_is_run(run)
    remove_folder(run)


def check_is_run(run: Path) -> None:
    """Refuse what is not to be renamed or removed as a run: links, strangers, folders of runs."""
    if run.is_symlink():
        raise RunError(f"{run}: this is a link to {os.path.realpath(run)}; name that run itself.")
    if run.name in ("", ".."):
        raise RunError(f"{run}: name the run by its folder.")
    try:
        manifest = json.loads((run / MANIFEST).read_text(encoding="utf-8"))
        ours = isinstance(manifest, dict) and {"format", "matinee", "files"} <= set(manifest)
    except (OSError, ValueError, RecursionError):
        ours = False
    if not ours:
        raise RunError(f"{run}: this is no run; its {MANIFEST} is missing or is of something else.")
    if inside := next(run.glob(f"*/{MANIFEST}"), None):
        raise RunError(f"{run}: there is another run in it, {inside.parent.name}; move that first.")


def files_of(heads: Container[str]) -> list[str]:
    """The files beside the manifest of a run with these heads."""
    return [*FILES, *(file for head, file in HEAD_FILES.items() if head in heads)]


def corrupt_files(run: Path, manifest: Mapping[str, Any]) -> list[str]:
    """The files of a run that are missing, or are not what its manifest says of them."""
    found = []
    for name in files_of(manifest["heads"]):
        try:
            _checked(run / name, manifest["files"].get(name))
        except RunError:
            found.append(name)
    return found


def _checked(path: Path, said: Any) -> memoryview:
    """The bytes of a file, whose checksum the manifest says, mapped."""
    if not path.is_file():
        raise RunError(f"{path}: the file is missing.")
    content = _mapped(path)
    if not isinstance(said, Mapping) or _sha256(content) != said.get("sha256"):
        raise RunError(f"{path}: its checksum is wrong; it was changed or is damaged.")
    return content


def _mapped(path: Path) -> memoryview:
    """The bytes of a file without a copy of them.

    They may be written to and the file stays as it is: kernels are compiled for arrays that can
    be written to, and would have to be once more for others.
    """
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size == 0:  # which cannot be mapped
                return memoryview(b"")
            return memoryview(mmap(file.fileno(), 0, access=ACCESS_COPY))
    except OSError as problem:
        raise RunError(f"{path}: the file cannot be read ({problem.strerror}).") from None


def _sha256(content: memoryview) -> str:
    # in one call, which leaves the interpreter to others: they are importing meanwhile
    return hashlib.sha256(content).hexdigest()

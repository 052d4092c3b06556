"""A run on disk: everything one training left, written whole or not at all.

======================  ==========================================================
`manifest.json`         format, trainer, data, metrics, and the SHA-256 of the rest
`vectors.safetensors`   the rows of viewers and movies, and their prior means
`ratings.safetensors`   the training ratings by viewer (for `explain` and seen movies)
`movies.parquet`        item, title, year, genres, in the order of the vectors
`viewers.parquet`       user, in the order of the vectors
`history.jsonl`         one line per iteration
======================  ==========================================================

Loading executes nothing that a file says, and believes no file before it has
checked it.
"""

import hashlib
import json
import platform
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from matinee.data import Catalog, Ids, Scale
from matinee.errors import RunError
from matinee.folders import new_folder, recover
from matinee.kernels import Rows
from matinee.models.factor_model import FactorModel

FORMAT = 1
SECTIONS = ("trainer", "model", "data", "split", "metrics", "files")
MANIFEST = "manifest.json"
FILES = (
    "vectors.safetensors",
    "ratings.safetensors",
    "movies.parquet",
    "viewers.parquet",
    "history.jsonl",
)
VECTORS = ("user_rows", "item_rows", "user_prior", "genre_rows")
RATINGS = ("indptr", "indices", "values")
RATING_TYPES = (np.dtype(np.int64), np.dtype(np.int32), np.dtype(np.float32))


def save(model: FactorModel, run: Path) -> Path:
    """Write a model to the folder `run`; what was there before stays until the new one is whole.

    Raises
    ------
    RunError
        If `run` is there and is not a run.
    """
    recover(run)
    if run.exists() and not (run / MANIFEST).is_file():
        raise RunError(f"{run}: this is there already and is no run; choose another folder.")
    with new_folder(run) as fresh:
        _write_files(model, fresh)
        manifest = json.dumps(_manifest(model, fresh), indent=2, ensure_ascii=False) + "\n"
        (fresh / MANIFEST).write_text(manifest, encoding="utf-8")
    return run


def load(run: str | Path) -> FactorModel:
    """The model saved in the folder `run`.

    Raises
    ------
    RunError
        If there is no run, a file is missing, damaged or does not fit the others, or the run was
        written by a newer version.
    """
    run = Path(run)
    recover(run)
    manifest = read_manifest(run)
    for name in FILES:
        _check_file(run / name, manifest["files"].get(name))
    try:
        return _assemble(run, manifest)
    except (KeyError, TypeError, ValueError, AttributeError) as problem:
        raise RunError(f"{run}: the run does not hold together ({problem}).") from None
    except (SafetensorError, pl.exceptions.PolarsError, OSError) as problem:
        raise RunError(f"{run}: a file cannot be read ({problem}).") from None


def read_manifest(run: Path) -> dict[str, Any]:
    """What a run says about itself, its format checked and nothing else."""
    path = run / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        written = manifest["format"]
    except FileNotFoundError:
        raise RunError(f"{run}: there is no run here (no {MANIFEST}).") from None
    except (OSError, ValueError, KeyError, TypeError):
        raise RunError(f"{path}: this is no manifest of a run.") from None
    if not isinstance(written, int) or written < 1:
        raise RunError(f"{path}: format {written!r} is none that was ever written.")
    if written > FORMAT:
        raise RunError(
            f"{run}: written in format {written}, and this version knows up to {FORMAT}. "
            "Upgrade matinee."
        )
    for section in SECTIONS:
        if not isinstance(manifest.setdefault(section, {}), dict):
            raise RunError(f"{path}: {section!r} is not what it should be.")
    return dict(manifest)


def list_runs(folder: Path = Path("runs")) -> list[tuple[Path, dict[str, Any]]]:
    """(folder, manifest) of every run directly below `folder`, the newest first."""
    found = []
    for path in folder.glob(f"*/{MANIFEST}"):
        if not path.parent.name.startswith("."):
            try:
                found.append((path.parent, read_manifest(path.parent)))
            except RunError:
                continue  # somebody else's folder, or a newer version's
    return sorted(found, key=lambda run: str(run[1].get("created", "")), reverse=True)


def _write_files(model: FactorModel, folder: Path) -> None:
    vectors = {name: np.ascontiguousarray(getattr(model, name)) for name in VECTORS}
    save_file(vectors, folder / "vectors.safetensors")
    ratings = dict(zip(RATINGS, map(np.ascontiguousarray, model.rated), strict=True))
    save_file(ratings, folder / "ratings.safetensors")
    movies = model.catalog.frame.select(model.items.alias("item"), pl.all())
    movies.write_parquet(folder / "movies.parquet")
    pl.DataFrame({"user": model.user_ids.values}).write_parquet(folder / "viewers.parquet")
    model.history.write_ndjson(folder / "history.jsonl")


def _manifest(model: FactorModel, folder: Path) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "created": datetime.now(UTC).isoformat(),
        "matinee": version("matinee"),
        "python": platform.python_version(),
        "trainer": dict(model.trainer),
        "model": {
            "mean": float(model.mean),
            "scale": [model.scale.low, model.scale.high, model.scale.step],
            "genres": list(model.catalog.genre_names),
            "regularization": model.regularization,
            "exponent": model.exponent,
        },
        **model.about,
        "files": {name: {"sha256": _sha256(folder / name)} for name in FILES},
    }


def _assemble(run: Path, manifest: Mapping[str, Any]) -> FactorModel:
    """The model from files whose checksums are right; shapes and ranges are checked here."""
    vectors = load_file(run / "vectors.safetensors")
    ratings = load_file(run / "ratings.safetensors")
    movies = pl.read_parquet(run / "movies.parquet")
    viewers = pl.read_parquet(run / "viewers.parquet")
    history = pl.read_ndjson(run / "history.jsonl")
    said = manifest["model"]
    _check_arrays(vectors, ratings, len(viewers), len(movies))
    catalog = Catalog.build(Ids(movies["item"]), movies)
    return FactorModel(
        user_ids=Ids(viewers["user"]),
        catalog=replace(catalog, genre_names=tuple(said["genres"])),
        scale=Scale(*said["scale"]),
        mean=np.float32(said["mean"]),
        **vectors,
        regularization=float(said["regularization"]),
        exponent=float(said["exponent"]),
        rated=Rows(*(ratings[name] for name in RATINGS)),
        trainer=manifest["trainer"],
        history=history,
        about={
            name: value
            for name, value in manifest.items()
            if name not in ("format", "matinee", "python", "trainer", "model", "files")
        },
    )


def _check_arrays(
    vectors: Mapping[str, NDArray[Any]],
    ratings: Mapping[str, NDArray[Any]],
    viewers: int,
    movies: int,
) -> None:
    """Raise ValueError unless the arrays have the right types and shapes and point inside."""
    if set(vectors) != set(VECTORS) or set(ratings) != set(RATINGS):
        raise ValueError("an array is missing or unknown")
    width = vectors["user_prior"].shape[0]
    genres = vectors["genre_rows"].shape[0]
    shapes = {
        "user_rows": (viewers, width),
        "item_rows": (movies, width),
        "user_prior": (width,),
        "genre_rows": (genres, width),
    }
    for name, shape in shapes.items():
        if vectors[name].dtype != np.float32 or vectors[name].shape != shape:
            raise ValueError(f"{name} has another type or shape than it should")
        if not np.isfinite(vectors[name]).all():
            raise ValueError(f"{name} holds a value that is not a number")
    indptr, indices, values = (ratings[name] for name in RATINGS)
    fitting = (
        (indptr.dtype, indices.dtype, values.dtype) == RATING_TYPES
        and indptr.shape == (viewers + 1,)
        and indices.shape == values.shape == (int(indptr[-1]),)
        and indptr[0] == 0
        and (np.diff(indptr) >= 0).all()
        and (len(indices) == 0 or (indices.min() >= 0 and indices.max() < movies))
    )
    if not fitting:
        raise ValueError("the ratings do not fit the viewers and movies")


def _check_file(path: Path, said: Any) -> None:
    if not path.is_file():
        raise RunError(f"{path}: the file is missing.")
    if not isinstance(said, Mapping) or _sha256(path) != said.get("sha256"):
        raise RunError(f"{path}: its checksum is wrong; it was changed or is damaged.")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

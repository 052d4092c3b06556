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
from matinee.errors import RunError, SettingError
from matinee.folders import new_folder, recover, recover_all
from matinee.kernels import Rows
from matinee.models.factor_model import FactorModel

FORMAT = 1
RUNS = Path("runs")
"""Where runs go, and are looked for, unless another place is named."""
SECTIONS = ("trainer", "model", "data", "split", "metrics", "files")
ABOUT = ("data", "split", "metrics", "fit_seconds")  # what `FactorModel.about` may hold
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
    refuse_occupied(run)
    with new_folder(run) as fresh:
        _write_files(model, fresh)
        manifest = json.dumps(_manifest(model, fresh), indent=2, ensure_ascii=False) + "\n"
        (fresh / MANIFEST).write_text(manifest, encoding="utf-8")
    return run


def new_run(data: str, trainer: str) -> Path:
    """A folder under `RUNS` that is not there yet, named after the data and the trainer."""
    name = f"{data}-{trainer.lower()}-{datetime.now():%Y%m%d-%H%M%S}"
    folder, again = RUNS / name, 1
    while folder.exists():
        again += 1
        folder = RUNS / f"{name}-{again}"
    return folder


def refuse_occupied(run: Path) -> None:
    """Refuse a place for a run that holds something else."""
    recover(run)
    if run.exists() and not (run / MANIFEST).is_file():
        raise RunError(f"{run}: this is there already and is no run; choose another folder.")


def load(run: str | Path) -> FactorModel:
    """The model saved in the folder `run`.

    Raises
    ------
    RunError
        If there is no run, a file is missing, damaged or does not fit the others, or the run was
        written by a newer version.

    Examples
    --------
    >>> import tempfile
    >>> import matinee
    >>> from matinee.data.generated import generate
    >>> data, _ = generate(viewers=60, movies=50, ratings=1500, seed=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run = matinee.BiasOnly().fit(data).save(f"{folder}/run")
    ...     print(matinee.load(run))
    FactorModel(BiasOnly, 0 factors, 60 viewers, 50 movies)
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


def _load(run: Path) -> FactorModel:
    manifest = read_manifest(run)
    try:
        for name in FILES:
            _check_file(run / name, manifest["files"].get(name))
        return _assemble(run, manifest)
    except (SafetensorError, pl.exceptions.PolarsError, OSError) as problem:
        raise RunError(f"{run}: a file cannot be read ({problem}).") from None
    except (LookupError, TypeError, ValueError, AttributeError, SettingError) as problem:
        raise RunError(f"{run}: the run does not hold together ({problem}).") from None


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
        written = manifest["format"]
    except (FileNotFoundError, NotADirectoryError):
        raise RunError(f"{run}: there is no run here (no {MANIFEST}).") from None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
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
        **model.about,
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
        "files": {name: {"sha256": _sha256(folder / name)} for name in FILES},
    }


def _assemble(run: Path, manifest: Mapping[str, Any]) -> FactorModel:
    """The model from files whose checksums are right; shapes and ranges are checked here."""
    vectors = load_file(run / "vectors.safetensors")
    ratings = load_file(run / "ratings.safetensors")
    said = manifest["model"]
    scale, genres = Scale(*said["scale"]), tuple(said["genres"])
    _check_arrays(vectors, ratings, scale, len(genres))
    movies = _read_table(run / "movies.parquet", len(vectors["item_rows"]))
    viewers = _read_table(run / "viewers.parquet", len(vectors["user_rows"]))
    history = pl.read_ndjson(run / "history.jsonl")
    mean, ridge, exponent = (float(said[key]) for key in ("mean", "regularization", "exponent"))
    if not (np.isfinite(mean) and 0 < ridge < np.inf and 0 <= exponent <= 1):
        raise ValueError("a setting of the model makes no sense")
    if len(set(genres)) < len(genres) or not all(isinstance(name, str) for name in genres):
        raise ValueError("genres are names, each once")
    catalog = Catalog.build(Ids(movies["item"]), movies)
    return FactorModel(
        user_ids=Ids(viewers["user"]),
        catalog=replace(catalog, genre_names=genres),
        scale=scale,
        mean=np.float32(mean),
        **vectors,
        regularization=ridge,
        exponent=exponent,
        rated=Rows(*(ratings[name] for name in RATINGS)),
        trainer=manifest["trainer"],
        history=history,
        about={name: value for name, value in manifest.items() if name in ABOUT},
    )


def _check_arrays(
    vectors: Mapping[str, NDArray[Any]],
    ratings: Mapping[str, NDArray[Any]],
    scale: Scale,
    genres: int,
) -> None:
    """Raise ValueError unless the arrays have the right types and shapes and point inside."""
    if set(vectors) != set(VECTORS) or set(ratings) != set(RATINGS):
        raise ValueError("an array is missing or unknown")
    if any(array.ndim == 0 for array in (*vectors.values(), *ratings.values())):
        raise ValueError("an array has no length")
    width, linked = len(vectors["user_prior"]), len(vectors["genre_rows"])
    viewers, movies = len(vectors["user_rows"]), len(vectors["item_rows"])
    if width < 1 or linked not in (1, 1 + genres):
        raise ValueError("the vectors do not fit the genres")
    shapes = {
        "user_rows": (viewers, width),
        "item_rows": (movies, width),
        "user_prior": (width,),
        "genre_rows": (linked, width),
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
        and (indptr[1:] >= indptr[:-1]).all()
        and (len(indices) == 0 or (indices.min() >= 0 and indices.max() < movies))
        and np.isfinite(values).all()
        and (len(values) == 0 or (values.min() >= scale.low and values.max() <= scale.high))
    )
    if not fitting:
        raise ValueError("the ratings do not fit the viewers and movies")


def _read_table(path: Path, rows: int) -> pl.DataFrame:
    """A table of ids, read only if it has as many rows as there are vectors."""
    if pl.scan_parquet(path).select(pl.len()).collect().item() != rows:
        raise ValueError(f"{path.name} has another length than the vectors")
    return pl.read_parquet(path)


def _check_file(path: Path, said: Any) -> None:
    if not path.is_file():
        raise RunError(f"{path}: the file is missing.")
    if not isinstance(said, Mapping) or _sha256(path) != said.get("sha256"):
        raise RunError(f"{path}: its checksum is wrong; it was changed or is damaged.")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

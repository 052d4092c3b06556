"""A run on disk: everything one training left, written whole or not at all.

=======================  ==========================================================
`manifest.json`          format, heads, data, metrics, and the SHA-256 of the rest
`rating.safetensors`     arrays of the rating head, if there is one
`ranking.safetensors`    arrays of the ranking head, if there is one
`ratings.safetensors`    the training ratings by viewer (for `explain` and seen movies)
`movies.parquet`         item, title, year, genres, in the order of the vectors
`viewers.parquet`        user, in the order of the vectors
`history.jsonl`          one line per head and iteration
=======================  ==========================================================

Loading executes nothing that a file says, and believes no file before it has
checked it.
"""

import hashlib
import json
import platform
from collections.abc import Mapping
from dataclasses import fields, replace
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
from matinee.models.network_head import NetworkHead
from matinee.models.ranking_heads import ItemWeights, PopularityHead, RankingFactors
from matinee.models.rating_head import RatingHead

FORMAT = 2
RUNS = Path("runs")
"""Where runs go, and are looked for, unless another place is named."""
SECTIONS = ("heads", "model", "data", "split", "metrics", "files")
ABOUT = ("data", "split", "metrics", "fit_seconds")  # what `FactorModel.about` may hold
MANIFEST = "manifest.json"
FILES = ("ratings.safetensors", "movies.parquet", "viewers.parquet", "history.jsonl")
RANKING_HEADS = (RankingFactors, ItemWeights, PopularityHead, NetworkHead)
KINDS: dict[str, dict[str, Any]] = {
    "rating": {kind.__name__: kind for kind in (RatingHead, NetworkHead)},
    "ranking": {kind.__name__: kind for kind in RANKING_HEADS},
}
"""The classes of heads that a run may name."""
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
    """A folder under `RUNS` that is not there yet, named after the data and the recipe."""
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
    FactorModel(BiasOnly, 60 viewers, 50 movies)
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
        for name in _files(manifest["heads"]):
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
    if written < FORMAT:
        raise RunError(f"{run}: written by an older version of matinee; train it again.")
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


def _files(heads: Mapping[str, Any]) -> list[str]:
    return [*FILES, *(f"{name}.safetensors" for name in KINDS if name in heads)]


def _write_files(model: FactorModel, folder: Path) -> None:
    for name, head in model.heads.items():
        arrays = {key: value for key, value in vars(head).items() if _is_array_of(head, key)}
        save_file({k: np.ascontiguousarray(v) for k, v in arrays.items()}, _arrays(folder, name))
    ratings = dict(zip(RATINGS, map(np.ascontiguousarray, model.rated), strict=True))
    save_file(ratings, folder / "ratings.safetensors")
    movies = model.catalog.frame.select(model.items.alias("item"), pl.all())
    movies.write_parquet(folder / "movies.parquet")
    pl.DataFrame({"user": model.user_ids.values}).write_parquet(folder / "viewers.parquet")
    model.history.write_ndjson(folder / "history.jsonl")


def _arrays(folder: Path, name: str) -> Path:
    return folder / f"{name}.safetensors"


def _is_array_of(head: Any, name: str) -> bool:
    """Whether this is a field that holds an array; what a head has cached is no field."""
    known = name in {field.name for field in fields(head)}
    return known and isinstance(getattr(head, name), np.ndarray)


def _settings(head: Any) -> dict[str, Any]:
    """The fields of a head that are neither arrays nor kept elsewhere."""
    names = (field.name for field in fields(head))
    return {
        name: getattr(head, name)
        for name in names
        if name not in ("trainer", "history") and not _is_array_of(head, name)
    }


def _manifest(model: FactorModel, folder: Path) -> dict[str, Any]:
    heads = {
        name: {
            "kind": type(head).__name__,
            "trainer": dict(head.trainer),
            "settings": _settings(head),
        }
        for name, head in model.heads.items()
    }
    return {
        **model.about,
        "format": FORMAT,
        "created": datetime.now(UTC).isoformat(),
        "matinee": version("matinee"),
        "python": platform.python_version(),
        "heads": heads,
        "model": {
            "scale": [model.scale.low, model.scale.high, model.scale.step],
            "genres": list(model.catalog.genre_names),
        },
        "files": {name: {"sha256": _sha256(folder / name)} for name in _files(heads)},
    }


def _assemble(run: Path, manifest: Mapping[str, Any]) -> FactorModel:
    """The model from files whose checksums are right; shapes and ranges are checked here."""
    ratings = load_file(run / "ratings.safetensors")
    said = manifest["model"]
    scale, genres = Scale(*said["scale"]), tuple(said["genres"])
    if set(ratings) != set(RATINGS) or any(array.ndim != 1 for array in ratings.values()):
        raise ValueError("an array is missing or unknown")
    movies = pl.read_parquet(run / "movies.parquet")
    viewers = pl.read_parquet(run / "viewers.parquet")
    rated = Rows(*(ratings[name] for name in RATINGS))
    _check_rated(rated, scale, viewers.height, movies.height)
    if len(set(genres)) < len(genres) or not all(isinstance(name, str) for name in genres):
        raise ValueError("genres are names, each once")
    catalog = Catalog.build(Ids(movies["item"]), movies)
    if not set(manifest["heads"]) <= set(KINDS) or not manifest["heads"]:
        raise ValueError("there is no head, or an unknown one")
    history = _read_history(run / "history.jsonl")
    heads = {}
    for name, about in manifest["heads"].items():
        head = _head(name, about, load_file(_arrays(run, name)), history)
        head.check(viewers.height, movies.height, len(genres))
        heads[name] = head
    return FactorModel(
        user_ids=Ids(viewers["user"]),
        catalog=replace(catalog, genre_names=genres),
        scale=scale,
        rated=rated,
        **heads,
        about={name: value for name, value in manifest.items() if name in ABOUT},
    )


def _head(
    name: str, about: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], history: pl.DataFrame
) -> Any:
    """A head of the kind that the manifest names, all fields given and of their types."""
    kind = KINDS[name][about["kind"]]
    wanted = {field.name: str(field.type) for field in fields(kind)}
    given = {**about["settings"], **arrays}
    plain = isinstance(about["trainer"], dict)
    if set(given) != set(wanted) - {"trainer", "history"} or not plain:
        raise ValueError(f"a part of the {name} head is missing or unknown")
    for key, value in given.items():
        is_number = type(value) in (float, int) and bool(np.isfinite(value))
        right = {
            "float": is_number,
            "float | None": is_number or value is None,
            "str": isinstance(value, str),
        }
        if not right.get(
            _plain_type(wanted[key]), isinstance(value, np.ndarray) and value.ndim > 0
        ):
            raise ValueError(f"{key} has another type than it should")
    own = history
    if "head" in history.columns:
        own = history.filter(pl.col("head") == name).drop("head")
        own = own.select(column for column in own if column.null_count() < own.height)
    head = kind(**given, trainer=about["trainer"], history=own)
    if isinstance(head, NetworkHead) and head.in_stars != (name == "rating"):
        raise ValueError(f"the {name} head has learned something else")
    return head


def _plain_type(text: str) -> str:
    return text.removeprefix("<class '").removesuffix("'>")


def _read_history(path: Path) -> pl.DataFrame:
    return pl.read_ndjson(path) if path.stat().st_size else pl.DataFrame()


def _check_rated(rated: Rows, scale: Scale, viewers: int, movies: int) -> None:
    """Raise ValueError unless these are ratings by so many viewers, of so many movies."""
    indptr, indices, values = rated
    fitting = (
        tuple(array.dtype for array in rated) == RATING_TYPES
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


def _check_file(path: Path, said: Any) -> None:
    if not path.is_file():
        raise RunError(f"{path}: the file is missing.")
    if not isinstance(said, Mapping) or _sha256(path) != said.get("sha256"):
        raise RunError(f"{path}: its checksum is wrong; it was changed or is damaged.")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

"""What stands in the files of a run: writing a model's, and a model from files.

The checksums of files are right when they come here; shapes, types and ranges are checked here,
for kernels go where codes point without looking.
"""

import platform
from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from safetensors.numpy import save_file

from matinee._types import Array
from matinee.data.catalog import Catalog
from matinee.data.id_map import IdMap
from matinee.data.ratings import RatingScale
from matinee.errors import RunError, SettingError
from matinee.kernels.csr import Rows
from matinee.models.bayesian.head import BayesianHead
from matinee.models.network_head import NetworkHead
from matinee.models.ranking_heads import FactorRankingHead, ItemItemHead, PopularityHead
from matinee.models.rating_head import FactorRatingHead
from matinee.models.recommender import Recommender
from matinee.storage.runs import HEAD_FILES
from matinee.storage.safetensors import arrays_in

# what `Recommender.metadata` may hold
ABOUT = ("data", "split", "metrics", "tuning", "fit_seconds", "made")
RANKING_HEADS = (FactorRankingHead, ItemItemHead, PopularityHead, NetworkHead)
KINDS: dict[str, dict[str, Any]] = {
    "rating": {kind.__name__: kind for kind in (FactorRatingHead, BayesianHead, NetworkHead)},
    "ranking": {kind.__name__: kind for kind in RANKING_HEADS},
}
"""The classes of heads that a run may name."""
RATINGS = ("indptr", "indices", "values")
RATING_TYPES = (np.dtype(np.int64), np.dtype(np.int32), np.dtype(np.float32))


def write_files(model: Recommender, folder: Path) -> None:
    """Write all that a model holds, but for what stands in the manifest."""
    for name, head in model.heads.items():
        arrays = {key: value for key, value in vars(head).items() if _is_array_of(head, key)}
        save_file(
            {k: np.ascontiguousarray(v) for k, v in arrays.items()}, folder / HEAD_FILES[name]
        )
    ratings = dict(zip(RATINGS, map(np.ascontiguousarray, model.interactions), strict=True))
    save_file(ratings, folder / "ratings.safetensors")
    items = model.catalog.frame.select(model.items.alias("item_id"), pl.all())
    items.write_parquet(folder / "items.parquet")
    pl.DataFrame({"user_id": model.user_ids.values}).write_parquet(folder / "users.parquet")
    model.history.write_ndjson(folder / "history.jsonl")


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
        if name not in ("estimator", "history") and not _is_array_of(head, name)
    }


def describe(model: Recommender) -> dict[str, Any]:
    """What the manifest says of a model."""
    heads = {
        name: {
            "kind": type(head).__name__,
            "estimator": dict(head.estimator),
            "settings": _settings(head),
        }
        for name, head in model.heads.items()
    }
    return {
        **model.metadata,
        "created": datetime.now(UTC).isoformat(),
        "matinee": version("matinee"),
        "python": platform.python_version(),
        "heads": heads,
        "model": {
            "scale": [model.scale.low, model.scale.high, model.scale.step],
            "genres": list(model.catalog.genre_names),
        },
    }


def assemble(
    run: Path, manifest: Mapping[str, Any], files: Mapping[str, memoryview]
) -> Recommender:
    """The model from the manifest and the bytes of the other files.

    Raises
    ------
    RunError
        If a file cannot be read or does not fit the others.
    """
    try:
        return _assemble(manifest, files)
    except pl.exceptions.PolarsError as problem:
        raise RunError(f"{run}: a file cannot be read ({problem}).") from None
    except (
        *(LookupError, TypeError, ValueError, AttributeError, ArithmeticError),
        *(SettingError, pl.exceptions.PanicException),
    ) as problem:
        raise RunError(f"{run}: the run does not hold together ({problem}).") from None


def _assemble(manifest: Mapping[str, Any], files: Mapping[str, memoryview]) -> Recommender:
    said = manifest["model"]
    scale, genres = RatingScale(*said["scale"]), tuple(said["genres"])
    if len(set(genres)) < len(genres) or not all(isinstance(name, str) for name in genres):
        raise ValueError("genres are names, each once")
    ratings = _arrays(files, "ratings.safetensors")
    if set(ratings) != set(RATINGS) or any(array.ndim != 1 for array in ratings.values()):
        raise ValueError("an array of the ratings is missing or unknown")
    interactions = Rows(*(ratings[name] for name in RATINGS))
    # a few bytes of Parquet may announce billions of rows: read once the arrays have as many
    users, items = (_height(files[name]) for name in ("users.parquet", "items.parquet"))
    _check_rated(interactions, scale, users, items)
    if not set(manifest["heads"]) <= set(KINDS) or not manifest["heads"]:
        raise ValueError("there is no head, or an unknown one")
    history = _read_history(files["history.jsonl"])
    heads = {}
    for name, metadata in manifest["heads"].items():
        head = _head(name, metadata, _arrays(files, HEAD_FILES[name]), history)
        head.check(users, items, len(genres))
        heads[f"{name}_head"] = head
    table = pl.read_parquet(bytes(files["items.parquet"]))
    catalog = Catalog.build(IdMap(table["item_id"]), table)
    user_ids = IdMap(pl.read_parquet(bytes(files["users.parquet"]))["user_id"])
    if (len(user_ids), len(catalog)) != (users, items):
        raise ValueError("a table has other rows than it says")
    return Recommender(
        user_ids=user_ids,
        catalog=replace(catalog, genre_names=genres),
        scale=scale,
        interactions=interactions,
        **heads,
        metadata={name: value for name, value in manifest.items() if name in ABOUT},
    )


def _arrays(files: Mapping[str, memoryview], name: str) -> dict[str, Array]:
    try:
        return arrays_in(files[name])
    except ValueError as problem:
        raise ValueError(f"{name}: {problem}") from None


def _height(parquet: memoryview) -> int:
    """The number of rows that a Parquet file announces."""
    return int(pl.scan_parquet(bytes(parquet)).select(pl.len()).collect().item())


def _head(
    name: str,
    metadata: Mapping[str, Any],
    arrays: Mapping[str, Array],
    history: pl.DataFrame,
) -> Any:
    """A head of the kind that the manifest names, all fields given and of their types."""
    kind = KINDS[name][metadata["kind"]]
    wanted = {field.name: str(field.type) for field in fields(kind)}
    given = {**metadata["settings"], **arrays}
    plain = isinstance(metadata["estimator"], dict)
    if set(given) != set(wanted) - {"estimator", "history"} or not plain:
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
    head = kind(**given, estimator=metadata["estimator"], history=own)
    if isinstance(head, NetworkHead) and head.is_rating != (name == "rating"):
        raise ValueError(f"the {name} head has learned something else")
    return head


def _plain_type(text: str) -> str:
    return text.removeprefix("<class '").removesuffix("'>")


def _read_history(lines: memoryview) -> pl.DataFrame:
    # all lines say what a column holds: some columns begin late
    return pl.read_ndjson(bytes(lines), infer_schema_length=None) if len(lines) else pl.DataFrame()


def _check_rated(interactions: Rows, scale: RatingScale, users: int, items: int) -> None:
    """Raise ValueError unless these are ratings by so many users, of so many movies."""
    indptr, indices, values = interactions
    fitting = (
        tuple(array.dtype for array in interactions) == RATING_TYPES
        and indptr.shape == (users + 1,)
        and indices.shape == values.shape == (int(indptr[-1]),)
        and indptr[0] == 0
        and (indptr[1:] >= indptr[:-1]).all()
        and (len(indices) == 0 or (indices.min() >= 0 and indices.max() < items))
        and np.isfinite(values).all()
        and (len(values) == 0 or (values.min() >= scale.low and values.max() <= scale.high))
    )
    if not fitting:
        raise ValueError("the ratings do not fit the users and movies")

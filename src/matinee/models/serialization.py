"""Between a model and the contents of its run's files. Checksums are right when they come here, but
whoever forges a run can recompute those, so shapes, types and ranges are checked.
"""

import platform
from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from matinee._types import Array
from matinee.data.attributes import normalized
from matinee.data.catalog import Catalog
from matinee.data.id_map import IdMap
from matinee.data.ratings import RatingScale
from matinee.errors import RunError, SettingError
from matinee.kernels.csr import Rows
from matinee.models.bayesian.head import BayesianHead
from matinee.models.head import Head
from matinee.models.neighbor_head import UserKNNHead
from matinee.models.network_head import NetworkHead
from matinee.models.queries import TrainingIndex
from matinee.models.ranking_heads import FactorRankingHead, ItemItemHead, PopularityHead
from matinee.models.rating_head import FactorRatingHead
from matinee.storage.runs import HEAD_FILES, HISTORY, INTERACTIONS, ITEMS, USERS, RunParts
from matinee.storage.safetensors import arrays_in

METADATA = ("data", "split", "metrics", "tuning", "fit_seconds", "environment")
"""The sections of a manifest that are the metadata of a model."""
HEAD_CLASSES: dict[str, dict[str, Any]] = {
    head: {cls.__name__: cls for cls in classes}
    for head, classes in {
        "rating": (FactorRatingHead, BayesianHead, NetworkHead),
        "ranking": (FactorRankingHead, ItemItemHead, UserKNNHead, PopularityHead, NetworkHead),
    }.items()
}
"""The classes of heads that a run may name."""


def run_parts(
    index: TrainingIndex,
    heads: Mapping[str, Head],
    history: pl.DataFrame,
    metadata: Mapping[str, Any],
) -> RunParts:
    """What the files of a model's run hold."""
    arrays, described = {INTERACTIONS: index.interactions._asdict()}, {}
    for name, head in heads.items():
        arrays[HEAD_FILES[name]], settings = _fields_of(head)
        kind, estimator = type(head).__name__, dict(head.estimator)
        described[name] = {"kind": kind, "estimator": estimator, "settings": settings}
    tables = {
        ITEMS: index.catalog.frame.select(index.catalog.ids.values.alias("item_id"), pl.all()),
        USERS: _users_table(index),
    }
    manifest = {
        **metadata,
        "created": datetime.now(UTC).isoformat(),
        "matinee": version("matinee"),
        "python": platform.python_version(),
        "heads": described,
        "model": {
            "scale": index.scale and [index.scale.low, index.scale.high, index.scale.step],
        },
    }
    contiguous = {
        file: {name: np.ascontiguousarray(array) for name, array in named.items()}
        for file, named in arrays.items()
    }
    return RunParts(manifest, contiguous, tables, history)


def _users_table(index: TrainingIndex) -> pl.DataFrame:
    """Ids and attributes of the users."""
    ids = pl.DataFrame({"user_id": index.user_ids.values})
    if index.user_attributes is None:
        return ids
    return ids.with_columns(*index.user_attributes.drop("user_id", strict=False))


def _fields_of(head: Head) -> tuple[dict[str, Array], dict[str, Any]]:
    """The fields of a head that are arrays, and its settings; what it has cached is no field."""
    values = {field.name: getattr(head, field.name) for field in fields(head)}  # type: ignore[arg-type]
    del values["estimator"], values["history"]
    arrays = {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
    return arrays, {name: value for name, value in values.items() if name not in arrays}


def parse_run(
    run: Path, manifest: Mapping[str, Any], files: Mapping[str, memoryview]
) -> tuple[TrainingIndex, dict[str, Any], dict[str, Any]]:
    """Index, heads by name, and metadata of a run; RunError if its files do not fit together."""
    try:
        return _parse(manifest, files)
    except pl.exceptions.PolarsError as problem:
        raise RunError(f"{run}: a file cannot be read ({problem}).") from None
    except (
        *(LookupError, TypeError, ValueError, AttributeError, ArithmeticError),
        *(SettingError, pl.exceptions.PanicException),
    ) as problem:
        raise RunError(f"{run}: its files do not fit together ({problem}).") from None


def _parse(
    manifest: Mapping[str, Any], files: Mapping[str, memoryview]
) -> tuple[TrainingIndex, dict[str, Any], dict[str, Any]]:
    limits = manifest["model"]["scale"]
    scale = None if limits is None else RatingScale(*limits)
    arrays = _arrays(files, INTERACTIONS)
    if set(arrays) != set(Rows._fields) or any(array.ndim != 1 for array in arrays.values()):
        raise ValueError("an array of the interactions is missing or unknown")
    interactions = Rows(**arrays)
    # a few bytes of Parquet may announce billions of rows: read once the arrays have as many
    users, items = (_height(files[name]) for name in (USERS, ITEMS))
    _check_interactions(interactions, scale, users, items)
    if not set(manifest["heads"]) <= set(HEAD_CLASSES) or not manifest["heads"]:
        raise ValueError("there is no head, or an unknown one")
    head_arrays = {name: _arrays(files, HEAD_FILES[name]) for name in manifest["heads"]}
    for named in head_arrays.values():
        if not any(array.size and len(array) == items for array in named.values()):
            raise ValueError("a head is of other items")
    lines = bytes(files[HISTORY])  # all of them say what a column holds: some columns begin late
    history = pl.read_ndjson(lines, infer_schema_length=None) if lines else pl.DataFrame()
    heads = {}
    table = pl.read_parquet(bytes(files[ITEMS]))
    catalog = Catalog.build(IdMap(table["item_id"]), table)
    table = pl.read_parquet(bytes(files[USERS]))
    user_ids = IdMap(table["user_id"])
    attributes = normalized(table.drop("user_id")) if table.width > 1 else None
    if (len(user_ids), len(catalog)) != (users, items):
        raise ValueError("a table has other rows than it says")
    index = TrainingIndex(user_ids, catalog, scale, interactions, attributes)
    for name, entry in manifest["heads"].items():
        heads[name] = _head(name, entry, head_arrays[name], history)
        heads[name].check(index.sizes)
    return index, heads, {name: manifest[name] for name in METADATA if name in manifest}


def _arrays(files: Mapping[str, memoryview], name: str) -> dict[str, Array]:
    try:
        return arrays_in(files[name])
    except ValueError as problem:
        raise ValueError(f"{name}: {problem}") from None


def _height(parquet: memoryview) -> int:
    """The number of rows that a Parquet file announces."""
    return int(pl.scan_parquet(bytes(parquet)).select(pl.len()).collect().item())


def _head(
    name: str, entry: Mapping[str, Any], arrays: Mapping[str, Array], history: pl.DataFrame
) -> Any:
    """The head that its entry in the manifest names, all fields present and of their types."""
    cls = HEAD_CLASSES[name][entry["kind"]]
    wanted = {field.name: str(field.type) for field in fields(cls)}
    given = {**entry["settings"], **arrays}
    if set(given) != set(wanted) - {"estimator", "history"} or not isinstance(
        entry["estimator"], dict
    ):
        raise ValueError(f"a part of the {name} head is missing or unknown")
    for key, value in given.items():
        is_number = type(value) in (float, int) and bool(np.isfinite(value))
        right = {
            "float": is_number,
            "float | None": is_number or value is None,
            "int": type(value) is int,
            "str": isinstance(value, str),
        }
        plain_type = wanted[key].removeprefix("<class '").removesuffix("'>")
        if not right.get(plain_type, isinstance(value, np.ndarray) and value.ndim > 0):
            raise ValueError(f"{key} has the wrong type")
    own = history
    if "head" in history.columns:
        own = history.filter(pl.col("head") == name).drop("head")
        own = own.select(column for column in own if column.null_count() < own.height)
    head = cls(**given, estimator=entry["estimator"], history=own)
    if isinstance(head, NetworkHead) and head.is_rating != (name == "rating"):
        raise ValueError(f"the {name} head predicts something else")
    return head


INTERACTION_TYPES = (np.dtype(np.int64), np.dtype(np.int32), np.dtype(np.float32))


def _check_interactions(
    interactions: Rows, scale: RatingScale | None, users: int, items: int
) -> None:
    """Raise ValueError unless these are ratings by so many users, of so many items."""
    indptr, indices, values = interactions
    low, high = (scale.low, scale.high) if scale else (np.finfo(np.float32).tiny, np.inf)
    fitting = (
        tuple(array.dtype for array in interactions) == INTERACTION_TYPES
        and indptr.shape == (users + 1,)
        and indices.shape == values.shape == (int(indptr[-1]),)
        and indptr[0] == 0
        and (indptr[1:] >= indptr[:-1]).all()
        and (len(indices) == 0 or (indices.min() >= 0 and indices.max() < items))
        and np.isfinite(values).all()
        and (len(values) == 0 or (values.min() >= low and values.max() <= high))
    )
    if not fitting:
        raise ValueError("the interactions do not fit the users and items")

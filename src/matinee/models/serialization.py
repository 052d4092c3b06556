"""Between a model and the contents of its run's files. Checksums are right when they come here, but
whoever forges a run can recompute those, so shapes, types and ranges are checked.
"""

import json
import platform
from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from matinee._types import F64, Array
from matinee.data.attributes import normalized
from matinee.data.catalog import Catalog
from matinee.data.id_map import IdMap
from matinee.data.ratings import RatingScale
from matinee.errors import RunError, SettingError, cut, printable
from matinee.kernels.csr import Rows
from matinee.models.bayesian.head import BayesianHead
from matinee.models.head import Head, is_csr
from matinee.models.neighbor_head import UserKNNHead
from matinee.models.network_head import NetworkHead
from matinee.models.next_head import NextHead
from matinee.models.population import Population
from matinee.models.queries import Sizes, TrainingIndex
from matinee.models.ranking_heads import FactorRankingHead, ItemItemHead, PopularityHead
from matinee.models.rating_head import FactorRatingHead
from matinee.models.run_tables import height, to_arrays, to_table
from matinee.storage.runs import (
    HEAD_FILES,
    HISTORY,
    INTERACTIONS,
    ITEMS,
    MAX_HISTORY,
    PARTS,
    POPULATION,
    USERS,
    RunParts,
)
from matinee.storage.safetensors import arrays_in

METADATA = ("data", "split", "metrics", "tuning", "fit_seconds", "environment")
"""The sections of a manifest that are the metadata of a model."""
MOMENTS = "moments"
INNER = "long_term"
"""The field of a head that is a head itself: its fields are kept with this before their names."""
HEAD_CLASSES: dict[str, dict[str, Any]] = {
    head: {cls.__name__: cls for cls in classes}
    for head, classes in {
        "rating": (FactorRatingHead, BayesianHead, NetworkHead),
        "ranking": (
            *(FactorRankingHead, ItemItemHead, UserKNNHead, PopularityHead, NetworkHead),
            NextHead,
        ),
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
    described: dict[str, Any] = {}
    arrays: dict[str, dict[str, Any]] = {INTERACTIONS: index.interactions._asdict()}
    if index.moments is not None:
        arrays[INTERACTIONS][MOMENTS] = index.moments
    if index.population is not None:  # what users have rated is in their parts
        arrays = {POPULATION: {"item_counts": index.population.item_counts}}
    for name, head in heads.items():
        arrays[HEAD_FILES[name]], settings = _fields_of(head)
        kind, estimator = type(head).__name__, dict(head.estimator)
        described[name] = {"kind": kind, "estimator": estimator, "settings": settings}
    columns = {}
    for file, table in ((ITEMS, _items_table(index)), (USERS, _users_table(index))):
        columns[file], arrays[file] = to_arrays(table)
    manifest = {
        **metadata,
        "created": datetime.now(UTC).isoformat(),
        "matinee": version("matinee"),
        "python": platform.python_version(),
        "heads": described,
        "model": {
            "scale": index.scale and [index.scale.low, index.scale.high, index.scale.step],
            "user_features": index.sizes.user_features,
            "columns": columns,
        },
    }
    contiguous = {
        file: {name: np.ascontiguousarray(array) for name, array in named.items()}
        for file, named in arrays.items()
    }
    return RunParts(manifest, contiguous, history)


def _items_table(index: TrainingIndex) -> pl.DataFrame:
    """Ids, titles and attributes of the items."""
    ids = index.catalog.ids.values.alias("item_id")
    return index.catalog.frame.select(ids, pl.all())


def _users_table(index: TrainingIndex) -> pl.DataFrame:
    """Ids and attributes of the users."""
    ids = pl.DataFrame({"user_id": index.user_ids.values})
    if index.user_attributes is None:
        return ids
    return ids.with_columns(*normalized(index.user_attributes.drop("user_id", strict=False)))


def _fields_of(head: Head) -> tuple[dict[str, Array], dict[str, Any]]:
    """The fields of a head that are arrays, and its settings; what it has cached is no field."""
    values = {field.name: getattr(head, field.name) for field in fields(head)}  # type: ignore[arg-type]
    del values["estimator"], values["history"]
    inner = values.pop(INNER, None)
    arrays = {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
    settings = {name: value for name, value in values.items() if name not in arrays}
    if inner is not None:
        of_inner = _fields_of(inner)
        arrays |= {f"{INNER}.{name}": array for name, array in of_inner[0].items()}
        settings[INNER] = {"estimator": dict(inner.estimator), "settings": of_inner[1]}
    return arrays, settings


def parse_run(
    run: Path, manifest: Mapping[str, Any], files: Mapping[str, memoryview]
) -> tuple[TrainingIndex, dict[str, Any], dict[str, Any]]:
    """Index, heads by name, and metadata of a run; RunError if its files do not fit together."""
    try:
        return _parse(manifest, files)
    except (
        *(LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError),
        *(SettingError, pl.exceptions.PolarsError, pl.exceptions.PanicException),
    ) as problem:
        reason = cut(printable(str(problem)), 200)
        raise RunError(f"{run}: its files do not fit together ({reason}).") from None


def _parse(
    manifest: Mapping[str, Any], files: Mapping[str, memoryview]
) -> tuple[TrainingIndex, dict[str, Any], dict[str, Any]]:
    limits = manifest["model"]["scale"]
    scale = None if limits is None else RatingScale(*limits)
    columns = manifest["model"]["columns"]
    tables = {file: _arrays(files, file) for file in (USERS, ITEMS)}
    users, items = (height(columns[file], arrays) for file, arrays in tables.items())
    population = moments = None
    if manifest[PARTS]:
        population = _population(manifest[PARTS], _arrays(files, POPULATION), users, items)
        interactions = no_interactions(users)
    else:
        interactions, moments = _interactions(_arrays(files, INTERACTIONS))
    check_interactions(interactions, scale, users, items)
    if not set(manifest["heads"]) <= set(HEAD_CLASSES) or not manifest["heads"]:
        raise ValueError("there is no head, or an unknown one")
    history = _history(bytes(files[HISTORY]))
    heads = {}
    sizes = Sizes(users, items, int(manifest["model"]["user_features"]))
    for name, entry in manifest["heads"].items():
        heads[name] = _head(name, entry, _arrays(files, HEAD_FILES[name]), history)
        heads[name].check(sizes)
    catalog = _catalog(to_table(columns[ITEMS], tables[ITEMS], items))
    table = to_table(columns[USERS], tables[USERS], users)
    user_ids = IdMap(table["user_id"])
    attributes = table.drop("user_id") if table.width > 1 else None
    index = TrainingIndex(user_ids, catalog, scale, interactions, attributes, population, moments)
    if index.sizes != sizes:
        raise ValueError("a table has other rows or columns than it says")
    return index, heads, {name: manifest[name] for name in METADATA if name in manifest}


def _interactions(arrays: Mapping[str, Array]) -> tuple[Rows, F64 | None]:
    """The interactions, and their moments, where the model knows them."""
    names = set(arrays) - {MOMENTS}
    if names != set(Rows._fields) or any(array.ndim != 1 for array in arrays.values()):
        raise ValueError("an array of the interactions is missing or unknown")
    moments = arrays.get(MOMENTS)
    if moments is not None and not (
        moments.dtype == np.float64
        and moments.shape == arrays["values"].shape
        and np.isfinite(moments).all()
    ):
        raise ValueError("the moments do not fit the interactions")
    return Rows(**{name: arrays[name] for name in Rows._fields}), moments


def no_interactions(users: int) -> Rows:
    """Those of so many users without any."""
    return Rows(np.zeros(users + 1, np.int64), np.empty(0, np.int32), np.empty(0, np.float32))


def _population(
    section: Mapping[str, Any], arrays: Mapping[str, Array], users: int, items: int
) -> Population:
    """What a run whose users are in parts says of all of them; its own users are the sample."""
    if arrays.keys() != {"item_counts"}:
        raise ValueError("an array of the population is missing or unknown")
    population = Population(
        n_users=section["n_users"],
        item_counts=arrays["item_counts"],
        sample=np.arange(users, dtype=np.int32),
        value_name=section["value_name"],
        blend_weight=section["blend_weight"],
    )
    population.check(items)
    return population


def _arrays(files: Mapping[str, memoryview], name: str) -> dict[str, Array]:
    try:
        return arrays_in(files[name])
    except ValueError as problem:
        raise ValueError(f"{name}: {problem}") from None


def _catalog(table: pl.DataFrame) -> Catalog:
    """The items of a run: all of them have a title and a list of genres."""
    frame = table.drop("item_id")
    known = frame.select("title", "genres", "year")
    if known.dtypes != [pl.String, pl.List(pl.String), pl.Int32]:
        raise ValueError("titles, genres or years are of another type")
    if known["title"].has_nulls() or known["genres"].has_nulls():
        raise ValueError("an item has no title or no list of genres")
    return Catalog(IdMap(table["item_id"]), frame)


def _history(content: bytes) -> pl.DataFrame:
    """The history of a training: lines of names with numbers or texts, which may begin late."""
    if len(content) > MAX_HISTORY:
        raise ValueError("the history is too long")
    rows = [json.loads(line, parse_constant=float) for line in content.decode().splitlines()]
    columns = []
    for name in dict.fromkeys(name for row in rows for name in row):
        values = [row.get(name) for row in rows]
        kinds = {type(value) for value in values} - {type(None)}
        if not (kinds <= {int, float} or kinds <= {str} or kinds <= {bool}):
            raise ValueError("the history holds something else than numbers and texts")
        dtype = pl.Float64 if float in kinds else None
        columns.append(pl.Series(name, values, dtype))
    return pl.DataFrame(columns)


def _head(
    name: str, entry: Mapping[str, Any], arrays: Mapping[str, Array], history: pl.DataFrame
) -> Any:
    """The head that its entry in the manifest names."""
    own = history
    if "head" in history.columns:
        own = history.filter(pl.col("head") == name).drop("head")
        own = own.select(column for column in own if column.null_count() < own.height)
    head = _with_fields(name, HEAD_CLASSES[name][entry["kind"]], entry, arrays, own)
    if isinstance(head, NetworkHead) and head.is_rating != (name == "rating"):
        raise ValueError(f"the {name} head predicts something else")
    return head


def _with_fields(
    name: str,
    cls: type,
    entry: Mapping[str, Any],
    arrays: Mapping[str, Array],
    history: pl.DataFrame,
) -> Any:
    """A head of its settings and arrays, all of its fields present and of their types."""
    wanted = {field.name: str(field.type) for field in fields(cls)}
    given = {**entry["settings"], **arrays}
    inner = {}
    if INNER in wanted:
        prefix = f"{INNER}."
        of_inner = {key: given.pop(key) for key in arrays if key.startswith(prefix)}
        named = {key.removeprefix(prefix): array for key, array in of_inner.items()}
        inner[INNER] = _with_fields(
            name, FactorRankingHead, given.pop(INNER), named, pl.DataFrame()
        )
    if set(given) != set(wanted) - {"estimator", "history", *inner} or not isinstance(
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
    return cls(**given, **inner, estimator=entry["estimator"], history=history)


def check_interactions(
    interactions: Rows, scale: RatingScale | None, users: int, items: int
) -> None:
    """Raise ValueError unless these are ratings by so many users, of so many items."""
    indptr, indices, values = interactions
    low, high = (scale.low, scale.high) if scale else (np.finfo(np.float32).tiny, np.inf)
    fitting = (
        is_csr(indptr, indices, users, items)
        and values.dtype == np.float32
        and values.shape == indices.shape
        and np.isfinite(values).all()
        and (len(values) == 0 or (values.min() >= low and values.max() <= high))
    )
    if not fitting:
        raise ValueError("the interactions do not fit the users and items")

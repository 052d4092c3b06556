"""Runs whose users are in parts: Parquet files of which a model reads those it is asked about.

Beside the parts, such a run is an ordinary one of a sample of the users, the `base`, which also
knows what depends on all of them, its `Population`. A model of some users is the base with their
rows put in, and its lists are those of a model of all users to the last bit.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl

from matinee._types import F32
from matinee.data.archives import allowance_of
from matinee.data.id_map import IdMap
from matinee.data.parquet_bounds import parquet_bounds
from matinee.errors import RunError, SettingError, cut, printable
from matinee.kernels.csr import Rows, take_rows
from matinee.models.blended_head import BlendedHead
from matinee.models.inputs import ids_of
from matinee.models.population import Population
from matinee.models.queries import TrainingIndex
from matinee.models.ranking_heads import FactorRankingHead
from matinee.models.rating_head import FactorRatingHead
from matinee.models.recommender import Recommender
from matinee.models.reranking import sample_of
from matinee.models.serialization import check_interactions, no_interactions, run_parts
from matinee.storage.runs import PARTS, checked, write_run

USERS_PER_FILE = 100_000
NAME = re.compile(r"[0-9]{5,9}\.parquet")  # of a part: its number
UNREADABLE = (
    *(LookupError, TypeError, ValueError, OSError, ArithmeticError, SettingError),
    *(pl.exceptions.PolarsError, pl.exceptions.PanicException),
)
FactorHead = FactorRatingHead | FactorRankingHead


@dataclass(frozen=True)
class Part:
    """A file of users, whose ids are in this range and in no other's."""

    file: str
    users: int
    first: Any  # int or str
    last: Any
    sha256: str

    def __post_init__(self) -> None:
        if not (isinstance(self.file, str) and NAME.fullmatch(self.file)):
            raise ValueError("a part has no sound name")
        if type(self.users) is not int or not 1 <= self.users < 2**31:
            raise ValueError(f"{self.file} has a number of users that makes no sense")
        if not isinstance(self.sha256, str):
            raise ValueError(f"{self.file} has no checksum")


@dataclass(frozen=True, eq=False)
class RunInParts:
    """An open run whose users are in parts.

    Parameters
    ----------
    run : Path
    base : Recommender
        The items, and the sample of users.
    parts : tuple of Part
        By ids, ascending.
    """

    run: Path
    base: Recommender
    parts: tuple[Part, ...]

    @classmethod
    def of(cls, run: Path, base: Recommender, section: Mapping[str, Any]) -> "RunInParts":
        """The run with this section of its manifest; RunError if that makes no sense."""
        kind = str if base.user_ids.are_text else int
        try:
            check_heads(base)
            parts = tuple(Part(**entry) for entry in section["parts"])
            ends = [end for part in parts for end in (part.first, part.last)]
            if not parts or any(type(end) is not kind for end in ends):
                raise ValueError("there are no parts, or their ids are of another kind")
            if len({part.file for part in parts}) < len(parts):
                raise ValueError("two parts are the same file")
            apart = all(left.last < right.first for left, right in pairwise(parts))
            if not apart or any(part.first > part.last for part in parts):
                raise ValueError("the ids of parts do not ascend")
        except UNREADABLE as problem:
            raise _not_fitting(run, problem) from None
        return cls(run, base, parts)

    def with_users(self, users: Any) -> Recommender:
        """The model of these users, by id; those whom the run does not have are left out."""
        ids = _known_kind(ids_of(users, "users"), self.base.user_ids.are_text)
        firsts: list[Any] = [part.first for part in self.parts]
        by_part: dict[int, list[Any]] = {}
        for each in ids:
            place = bisect_right(firsts, each) - 1
            if place >= 0:
                by_part.setdefault(place, []).append(each)
        frames = [self._some(self.parts[place], own) for place, own in sorted(by_part.items())]
        frames = [frame for frame in frames if frame.height]
        return self._model(*frames) if frames else self.base

    def blocks(self, part: Part, step: int) -> Iterator[Recommender]:
        """Models of all users of a part, so many at a time."""
        frame = self._some(part, None)
        for start in range(0, frame.height, step):
            yield self._model(frame.slice(start, step))

    def _some(self, part: Part, ids: list[Any] | None) -> pl.DataFrame:
        """The rows of these users of a part, or of all; RunError for a file that will not do."""
        path = self.run / PARTS / part.file
        checked(path, vars(part))
        try:
            bounds = parquet_bounds(path)
            if bounds.rows != part.users or bounds.unpacked > allowance_of(path):
                raise ValueError("it has another number of users, or unpacks to too much")
            lazy = pl.scan_parquet(path, glob=False, hive_partitioning=False)
            dtype = self.base.user_ids.values.dtype
            if lazy.collect_schema()["user_id"] != dtype:
                raise ValueError("ids are of another kind")
            if ids is not None:
                wanted = pl.Series(ids, dtype=dtype)
                lazy = lazy.filter(pl.col("user_id").is_in(wanted.implode()))
            frame = lazy.collect()
            column = frame["user_id"]
            if frame.height and not (part.first <= column[0] and column[-1] <= part.last):
                raise ValueError("it has a user of another part")
            return frame
        except UNREADABLE as problem:
            raise _not_fitting(path, problem) from None

    def _model(self, *users: pl.DataFrame) -> Recommender:
        """The model of the users in these frames."""
        try:
            return with_users(self.base, pl.concat(users))
        except UNREADABLE as problem:
            raise _not_fitting(self.run, problem) from None


def _not_fitting(path: Path, problem: BaseException) -> RunError:
    reason = cut(printable(str(problem).partition("\n")[0]), 200)
    return RunError(f"{path}: its users do not fit the run ({reason}).")


def _known_kind(ids: Iterable[Any], are_text: bool) -> list[Any]:
    """Ids as a run has them: numbers that were typed are text. What can be none is left out."""
    if are_text:
        return sorted({each if isinstance(each, str) else str(each) for each in ids})
    numbers = set()
    for each in ids:
        text = str(each).strip()
        if re.fullmatch(r"-?[0-9]{1,19}", text) and -(2**63) <= int(text) < 2**63:
            numbers.add(int(text))
    return sorted(numbers)


def with_users(base: Recommender, users: pl.DataFrame) -> Recommender:
    """The base of a run in parts with these users in it.

    Parameters
    ----------
    base : Recommender
        Of the sample alone, with a `Population`.
    users : polars.DataFrame
        Columns as in the parts: `user_id`, ascending; `rating_row` and `ranking_row`, a list of
        float32 for each head there is; `items`, codes, ascending, and `values`, lists of the same
        lengths. ValueError for anything else.
    """
    index, sampled = base.index, base.user_ids.values
    own = IdMap(users["user_id"])
    others = np.flatnonzero(own.codes(sampled) < 0)
    ids = pl.concat([own.values, sampled.gather(others)])
    order = ids.arg_sort().to_numpy()
    user_ids = IdMap(ids.gather(order))
    interactions = _interactions(users, base)
    empty = np.full(len(others), interactions.indptr[-1])
    indptr = np.concatenate([interactions.indptr, empty])
    interactions = take_rows(interactions._replace(indptr=indptr), order)
    heads: dict[str, Any] = {}
    for name, head in _factor_heads(base).items():
        rows = rows_in(users[f"{name}_row"], head.width)
        heads[f"{name}_head"] = _with_rows(
            head, np.concatenate([rows, head.user_params[others]])[order]
        )
    population = replace(_population(index), sample=user_ids.codes(sampled))
    new = TrainingIndex(user_ids, index.catalog, index.scale, interactions, None, population)
    model = Recommender(new, **heads, metadata=base.metadata)
    if len(heads) == 2:
        _share(base.head(), model.head())
    return model


def rows_in(column: pl.Series, width: int) -> F32:
    """A list of so many float32 for each user as an array."""
    if column.dtype != pl.List(pl.Float32) or not (column.list.len() == width).all():
        raise ValueError(f"{column.name} must be lists of {width} float32")
    numbers = column.explode()
    if column.has_nulls() or numbers.has_nulls():
        raise ValueError(f"{column.name} lacks a number")
    rows = numbers.to_numpy().reshape(len(column), width)
    if not np.isfinite(rows).all():
        raise ValueError(f"{column.name} holds a value that is not finite")
    return rows


def _interactions(users: pl.DataFrame, base: Recommender) -> Rows:
    """What the users have rated, checked."""
    flat, lengths = {}, {}
    for name, dtype in (("items", pl.Int32), ("values", pl.Float32)):
        column = users[name]
        if column.dtype != pl.List(dtype) or column.has_nulls():
            raise ValueError(f"{name} must be lists of {dtype}")
        lengths[name] = column.list.len().to_numpy().astype(np.int64)
        numbers = column.filter(column.list.len() > 0).explode()
        if numbers.has_nulls():
            raise ValueError(f"{name} lacks a number")
        flat[name] = numbers.to_numpy()
    if not np.array_equal(lengths["items"], lengths["values"]):
        raise ValueError("items and values have different lengths")
    indptr = np.concatenate([[0], np.cumsum(lengths["items"])]).astype(np.int64)
    rows = Rows(indptr, flat["items"], flat["values"])
    check_interactions(rows, base.scale, users.height, len(base.items))
    falls = np.flatnonzero(np.diff(rows.indices) <= 0) + 1
    if not np.isin(falls, indptr).all():
        raise ValueError("the items of a user do not ascend")
    return rows


def _with_rows(head: FactorHead, rows: F32) -> FactorHead:
    """A head with these rows of users, which keeps what has been made of its items."""
    fresh = replace(head, user_params=rows)
    _share(head, fresh)
    return fresh


def _share(old: Any, fresh: Any) -> None:
    """Keep what an old head has cached, all of which follows from items."""
    made = {name: value for name, value in vars(old).items() if name not in vars(fresh)}
    vars(fresh).update(made)


def _population(index: TrainingIndex) -> Population:
    if index.population is None:
        raise SettingError("This is a model of all its users, and none of a run in parts.")
    return index.population


def _factor_heads(model: Recommender) -> dict[str, FactorHead]:
    return {name: head for name, head in model.heads.items() if isinstance(head, FactorHead)}


def check_heads(model: Recommender) -> None:
    """SettingError unless a user is a row of each head, and nothing else."""
    if _factor_heads(model).keys() != model.heads.keys():
        raise SettingError("Users can be in parts where heads are factorizations, and no others.")
    if model.index.attributes is not None:
        raise SettingError("Users with attributes cannot be in parts.")


# writing


def write_in_parts(
    model: Recommender, run: str | Path, users_per_file: int = USERS_PER_FILE
) -> Path:
    """Write a model of all its users as a run whose users are in parts, whole or not at all.

    SettingError for a model that cannot be: see `check_heads`.
    """
    check_heads(model)
    rated = np.flatnonzero(model.user_counts).astype(np.int32)
    with TemporaryDirectory(prefix="matinee-") as folder:
        files = []
        for start in range(0, len(rated), users_per_file):
            files.append(Path(folder, f"{start}.parquet"))
            users_frame(model, rated[start : start + users_per_file]).write_parquet(files[-1])
        return write_with_parts(base_of(model), files, run)


def base_of(model: Recommender) -> Recommender:
    """The base of a run in parts: a model's items, and a sample of its users."""
    index, codes = model.index, sample_of(model.index)
    ranker = model.head()
    population = Population(
        n_users=int(np.count_nonzero(index.user_counts)),
        item_counts=index.item_counts,
        sample=np.arange(len(codes), dtype=np.int32),
        value_name=index.value_name,
        blend_weight=ranker.weight if isinstance(ranker, BlendedHead) else None,
    )
    heads: dict[str, Any] = {
        f"{name}_head": replace(head, user_params=head.user_params[codes])
        for name, head in _factor_heads(model).items()
    }
    sample = IdMap(index.user_ids.values.gather(codes))
    no = no_interactions(len(codes))
    small = TrainingIndex(sample, index.catalog, index.scale, no, None, population)
    return Recommender(small, **heads, metadata=model.metadata)


def users_frame(model: Recommender, codes: Any) -> pl.DataFrame:
    """Users as in the parts: ids, rows of heads, items and values."""
    interactions = take_rows(model.interactions, codes)
    columns = [model.user_ids.values.gather(codes).alias("user_id")]
    for name, head in _factor_heads(model).items():
        rows = pl.Series(f"{name}_row", head.user_params[codes])
        columns.append(rows.cast(pl.List(pl.Float32)))
    for name, entries in (("items", interactions.indices), ("values", interactions.values)):
        lists = [entries[a:b] for a, b in pairwise(interactions.indptr)]
        dtype = pl.Int32 if name == "items" else pl.Float32  # equal lengths would make arrays
        columns.append(pl.Series(name, lists).cast(pl.List(dtype)))
    return pl.DataFrame(columns)


def write_with_parts(base: Recommender, files: Sequence[Path], run: str | Path) -> Path:
    """Write a run in parts, whole or not at all, given its base and the files of its users.

    Parameters
    ----------
    base : Recommender
        Of the sample of users alone, without interactions, and with a `Population`.
    files : sequence of Path
        Parquet files as for `with_users`, each with another range of ids; they are copied.
    run : str or Path
    """
    check_heads(base)
    entries = sorted((_entry_of(file), file) for file in files)
    parts = [
        {"file": f"{number:05}.parquet", "users": users, "first": first, "last": last}
        for number, ((first, last, users), _) in enumerate(entries)
    ]
    RunInParts.of(Path(run), base, {"parts": [{**part, "sha256": ""} for part in parts]})
    return _write(base, run, parts, [file for _, file in entries])


def write_base(base: Recommender, run: str | Path) -> Path:
    """Write a base alone, which `load_base` reads: what those need who have users elsewhere."""
    check_heads(base)
    return _write(base, run, [], [])


def _write(base: Recommender, run: str | Path, parts: list[Any], files: list[Path]) -> Path:
    population = _population(base.index)
    known = {name: getattr(population, name) for name in ("n_users", "value_name", "blend_weight")}
    contents = run_parts(base.index, base.heads, base.history, base.metadata)
    manifest = {**contents.manifest, PARTS: {**known, "parts": parts}}
    return write_run(replace(contents, manifest=manifest, users=tuple(files)), Path(run))


def _entry_of(file: Path) -> tuple[Any, Any, int]:
    """First and last id of a file of users, and how many there are."""
    ids = pl.read_parquet(file, columns=["user_id"], glob=False, hive_partitioning=False)["user_id"]
    IdMap(ids)  # which refuses ids that do not ascend
    return ids[0], ids[-1], len(ids)

"""Ratings in blocks of users and of items, each of which one task can hold.

Row c of either side is row ``c // n`` of block ``c % n``. A block holds its ratings as compressed
rows. Their columns are those rows of the other side that the block has ratings of, and no others:
first those of the other side's block 0, ascending, then of block 1, and so on. So what the other
side sends needs no labels, and what it has to send follows from its own ratings (the in- and
out-blocks of MLlib).
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa

from matinee._types import F32, I32, I64
from matinee.kernels.csr import Rows, row_of_entries
from matinee.spark.session import Workspace

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

RATINGS = 2_000_000  # of a block: some hundred megabytes with all that is made of them
FEWEST = 4  # blocks, for as many executors
TRIES = 30  # numbers for each key, of which one fits with near certainty
STRIDE = 2**32  # more than there are rows
MOST_ROWS = 100_000  # that are sent to the JVM at a time
ARRAYS: dict[str, Any] = {
    "indptr": np.dtype(np.int64),
    "indices": np.dtype(np.int32),
    "values": np.dtype(np.float32),
    "targets": np.dtype(np.float32),
    "columns": np.dtype(np.int32),
    "counts": np.dtype(np.int32),
    "routes": np.dtype(np.int32),
}
"""What a block is made of in a table, as bytes."""
BLOCK = ", ".join(["block int", *(f"{name} binary" for name in ARRAYS)])
LENGTHS = "block int, known int, lengths binary"
ENTRIES = "user int, item int, value float, target float"
Prepare = Callable[[Rows], tuple[Rows, F32]]
"""Makes of the ratings of users those to learn from, with their values, and a target for each."""


class Cut(NamedTuple):
    """How both sides are cut: into as many blocks, whose keys Spark spreads evenly."""

    keys: I32  # (blocks,) what stands for each in tables
    users: int
    items: int

    @property
    def blocks(self) -> int:
        """How many there are of either side."""
        return len(self.keys)

    def rows(self, side: str) -> int:
        """How many rows a side has, ``"user"`` or ``"item"``."""
        return self.users if side == "user" else self.items

    def codes(self, side: str, key: int) -> I32:
        """The rows of a side that are in the block with this key."""
        return np.arange(self.number(key), self.rows(side), self.blocks, dtype=np.int32)

    def number(self, key: int) -> int:
        """The block, from 0 on, that has this key."""
        return int(np.flatnonzero(self.keys == key)[0])

    def key_of(self, column: str) -> str:
        """The key of the block of a column's codes, in SQL."""
        keys = ", ".join(str(key) for key in self.keys)
        return f"element_at(array({keys}), {column} % {self.blocks} + 1)"


class Block(NamedTuple):
    """The ratings of some users, or of some items."""

    rows: Rows  # indices are columns, as above
    targets: F32  # of each rating, beside its value; empty where there are none
    columns: I32  # what the columns are on the other side
    routes: list[I32]  # for each block of the other side: the rows that have ratings of it


@dataclass(frozen=True, eq=False)
class Sides:
    """Ratings by user and by item, in the shared folder: a row of `BLOCK` for each block."""

    cut: Cut
    user: "DataFrame"
    item: "DataFrame"


def cut_into_blocks(workspace: Workspace, users: int, items: int, ratings: int) -> Cut:
    """Blocks of about `RATINGS` ratings; how many depends on the data alone."""
    n = max(FEWEST, -(-ratings // RATINGS))
    workspace.spark.conf.set("spark.sql.shuffle.partitions", n)
    # what Spark's hash sends to each of as many partitions: by chance, some would get two blocks
    place = f"pmod(hash(cast(id as int)), {n}) as place"
    hashed = workspace.spark.range(TRIES * n).selectExpr("cast(id as int) as key", place)
    found = {int(row[0]): int(row[1]) for row in hashed.groupBy("place").min("key").collect()}
    others = iter(range(TRIES * n, (TRIES + 1) * n))
    keys = [found[block] if block in found else next(others) for block in range(n)]
    return Cut(np.array(keys, np.int32), users, items)


def into_blocks(
    workspace: Workspace, name: str, ratings: "DataFrame", cut: Cut, prepare: Prepare
) -> Sides:
    """Cut ratings (`user`, `item`, `rating`) into blocks of users and of items."""
    keyed = ratings.selectExpr(f"{cut.key_of('user')} as block", "user", "item", "rating as value")
    every = pa.table({"block": pa.array(cut.keys)})  # also those without ratings
    empty = workspace.spark.createDataFrame(every, "block int")
    keyed = keyed.unionByName(empty, allowMissingColumns=True)
    packed = keyed.groupBy("block").applyInArrow(on_table(_packed, cut, "user", prepare), BLOCK)
    by_user = workspace.keep(f"{name}-by-user", packed)
    entries = by_user.mapInArrow(partial(_entries, cut), ENTRIES)
    keyed = entries.selectExpr(f"{cut.key_of('item')} as block", "user", "item", "value", "target")
    keyed = keyed.unionByName(empty, allowMissingColumns=True)
    packed = keyed.groupBy("block").applyInArrow(on_table(_packed, cut, "item", None), BLOCK)
    return Sides(cut, by_user, workspace.keep(f"{name}-by-item", packed))


def blocks_in(table: pa.Table | pa.RecordBatch) -> Iterator[tuple[int, Block]]:
    """The blocks of a table and their keys."""
    for place, key in enumerate(table["block"].to_pylist()):
        found = {
            name: np.frombuffer(table[name][place].as_buffer(), kind)
            for name, kind in ARRAYS.items()
        }
        rows = Rows(found["indptr"], found["indices"], found["values"])
        routes = np.split(found["routes"], np.cumsum(found["counts"])[:-1])
        yield key, Block(rows, found["targets"], found["columns"], routes)


def item_counts(sides: Sides) -> I64:
    """How many ratings each item has, (items,)."""
    counts = np.zeros(sides.cut.items, np.int64)
    found = sides.item.mapInArrow(_lengths, LENGTHS).toArrow()
    for key, lengths in zip(found["block"].to_pylist(), found["lengths"], strict=True):
        counts[sides.cut.codes("item", key)] = np.frombuffer(lengths.as_buffer(), np.int64)
    return counts


def count_users(sides: Sides) -> int:
    """How many users have ratings."""
    found = sides.user.mapInArrow(_lengths, LENGTHS).select("known").toArrow()
    return sum(found["known"].to_pylist())


def noise_bound(sides: Sides, counts: I64, shifts: tuple[float, float], exponent: float) -> float:
    """The bound of `als_common.noise_regularization` for a noise of 1.

    Prior weights are ``(n + shift)^exponent``; `shifts` are those of users and items, `counts` the
    numbers of ratings of items.
    """
    parts = sides.user.mapInArrow(
        partial(_noise, counts, shifts, exponent), "block int, by_user double, by_item double"
    )
    found = parts.toArrow().sort_by("block")
    sums = (math.fsum(found[name].to_pylist()) for name in ("by_user", "by_item"))
    return sum(math.sqrt(part / counts.sum()) for part in sums)


def on_table(function: Callable[..., pa.Table], *bound: Any) -> Callable[..., pa.Table]:
    """A function of a group's table, for `applyInArrow`, which looks at the types of arguments."""

    def of_group(table: pa.Table) -> pa.Table:
        return function(*bound, table)

    return of_group


def on_tables(function: Callable[..., pa.Table], *bound: Any) -> Callable[..., pa.Table]:
    """The same of the tables of two groups."""

    def of_groups(left: pa.Table, right: pa.Table) -> pa.Table:
        return function(*bound, left, right)

    return of_groups


def table_of(columns: Mapping[str, Sequence[Any]], schema: str) -> pa.Table:
    """A table for Spark; arrays become bytes."""
    types = {"int": pa.int32(), "string": pa.string(), "binary": pa.binary()}
    pairs = (part.split() for part in schema.split(", "))
    fields = [pa.field(name, types[kind]) for name, kind in pairs]
    bare = {
        name: [value.tobytes() if isinstance(value, np.ndarray) else value for value in values]
        for name, values in columns.items()
    }
    return pa.table([bare[field.name] for field in fields], schema=pa.schema(fields))


def _packed(cut: Cut, side: str, prepare: Prepare | None, table: pa.Table) -> pa.Table:
    """A block of users or items, from its ratings in any order."""
    key, other_side = table["block"][0].as_py(), "item" if side == "user" else "user"
    table = table.drop_null()  # the row that stands for the block itself
    local, other = (table[name].to_numpy() for name in (side, other_side))
    local = local // np.int32(cut.blocks)
    order = np.lexsort((_place(other, cut), local))
    counts = np.bincount(local, minlength=len(cut.codes(side, key)))
    indptr = np.concatenate(([0], np.cumsum(counts)))
    rows = Rows(indptr, other[order], table["value"].to_numpy()[order])
    if prepare is not None:
        rows, targets = prepare(rows)
    else:
        targets = table["target"].to_numpy()[order]
        targets = targets[:0] if np.isnan(targets).any() else targets
    places, indices = np.unique(_place(rows.indices, cut), return_inverse=True)
    source = places // STRIDE
    entries = row_of_entries(rows), source[indices]
    routes = [np.unique(entries[0][entries[1] == block]) for block in range(cut.blocks)]
    columns = source + places % STRIDE * cut.blocks
    arrays = [rows.indptr, indices, rows.values, targets, columns]
    arrays += [np.array([len(route) for route in routes]), np.concatenate(routes)]
    content = {
        name: [np.asarray(array, kind)]
        for (name, kind), array in zip(ARRAYS.items(), arrays, strict=True)
    }
    return table_of({"block": [key], **content}, BLOCK)


def _place(codes: I32, cut: Cut) -> I64:
    """Numbers in the order of columns: by block, then by row."""
    return codes % np.int64(cut.blocks) * STRIDE + codes // np.int64(cut.blocks)


def _lengths(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        for key, block in blocks_in(batch):
            lengths = np.diff(block.rows.indptr)
            known = np.count_nonzero(lengths)
            columns: dict[str, list[Any]] = {"block": [key], "known": [known], "lengths": [lengths]}
            yield from table_of(columns, LENGTHS).to_batches()


def _noise(
    counts: I64,
    shifts: tuple[float, float],
    exponent: float,
    batches: Iterator[pa.RecordBatch],
) -> Iterator[pa.RecordBatch]:
    """Over the ratings of users, the sums of the length of one side times what the other weighs."""
    for batch in batches:
        for key, block in blocks_in(batch):
            lengths = np.diff(block.rows.indptr)
            n_user = lengths[row_of_entries(block.rows)].astype(np.float64)
            n_item = counts[block.columns[block.rows.indices]].astype(np.float64)
            weights = (n_user + shifts[0]) ** exponent * (n_item + shifts[1]) ** exponent
            sums = {"by_user": (n_user / weights).sum(), "by_item": (n_item / weights).sum()}
            columns = {"block": pa.array([key], pa.int32())}
            yield pa.record_batch(columns | {name: pa.array([each]) for name, each in sums.items()})


def _entries(cut: Cut, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The ratings of blocks of users, one by one."""
    for batch in batches:
        for key, block in blocks_in(batch):
            user = cut.codes("user", key)[row_of_entries(block.rows)]
            item, value = block.columns[block.rows.indices], block.rows.values
            target = block.targets if len(block.targets) else np.full(len(value), np.nan, "f4")
            columns = {"user": user, "item": item, "value": value, "target": target}
            yield from pa.table(columns).to_batches(MOST_ROWS)

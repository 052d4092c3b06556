"""Alternating least squares in Spark: half by half, one side given the rows of the other.

Each block of a side is solved by one task with the kernels of the laptop, from what the blocks of
the other side have sent it, and sends in turn what they will need. Spark moves, schedules and
repeats; what a half has computed lies in the shared folder, so that a lost executor costs the work
of a moment.
"""

import time
from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from matinee._types import F32, F64, I32, Array
from matinee.kernels.parallel import thread_limit
from matinee.kernels.sampling import draw_normals
from matinee.models.als_common import FactorMatrix
from matinee.progress import progress
from matinee.spark.blocks import Block, Cut, Sides, blocks_in, on_tables, table_of
from matinee.spark.session import Workspace

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

HALF = "kind string, block int, source int, content binary"
ROWS, PRIOR, SENT, SUMS = "rows", "prior", "sent", "sums"
"""What a half tells: the rows of its own blocks, what they send to those of the other side, and
sums over all rows. Prior means are told to it, as rows."""


class Solver(Protocol):
    """What one side of a factorization computes, block by block."""

    @property
    def width(self) -> int:
        """Length of a row."""

    def start(self, codes: Any) -> F32:
        """Rows before the first half, (rows, width)."""

    def encode(self, rows: F32) -> Array:
        """Rows as they are sent, (rows, any width)."""

    def solve(self, block: Block, sent: bytes, rows: F32, prior: F32 | None) -> F32:
        """The rows of a block, from those of the other side, its own before, and prior means."""

    def sums(self, block: Block, rows: F32) -> F64:
        """Sums over the rows of a block."""


class Objective(Protocol):
    """The sum to minimize, as both sides need to know it."""

    def of_start(self) -> Solver:
        """With which users start."""

    def of_items(self, users: F64, last: bool) -> Solver:
        """What solves items, given the sums of users."""

    def of_users(self, users: F64, last: bool) -> Solver:
        """What solves users, given their sums before and the rows of items."""


def alternate(
    workspace: Workspace,
    name: str,
    sides: Sides,
    items: FactorMatrix,
    objective: Objective,
    iterations: int,
) -> tuple["DataFrame", pl.DataFrame]:
    """Solve items and users in turn; what the last half tells of users, and the history.

    The rows of `items` and their prior means are in the memory of the driver, and change there.
    """
    history, began = [], time.perf_counter()
    solver = objective.of_start()
    blocks = sides.user.mapInArrow(partial(_started, sides.cut, "user", solver), HALF)
    users = workspace.keep(f"{name}-users-0", blocks, "kind")
    with progress(f"Training {name}", iterations) as tick:
        for iteration in range(1, iterations + 1):
            last, place = iteration == iterations, iteration % 2
            sums = sums_of(users)
            known = of_kind(users, SENT)
            for kind, rows in ((ROWS, items.rows), (PRIOR, items.prior)):
                known = known.union(_from_driver(workspace, sides.cut, kind, rows))
            solver = objective.of_items(sums, last)
            solved = _half(workspace, f"{name}-items-{place}", sides, "item", known, solver)
            items.rows = rows_of(solved, sides.cut, "item", solver.width)
            solver = objective.of_users(sums, last)
            known = of_kind(solved, SENT).union(of_kind(users, ROWS))
            users = _half(workspace, f"{name}-users-{place}", sides, "user", known, solver)
            history.append({"iteration": iteration, "seconds": time.perf_counter() - began})
            tick(iteration, "")
    return users, pl.DataFrame(history)


def _half(
    workspace: Workspace, name: str, sides: Sides, side: str, told: "DataFrame", solver: Solver
) -> "DataFrame":
    """Solve all blocks of a side; `told` are their `ROWS`, perhaps `PRIOR`, and what was `SENT`."""
    blocks = getattr(sides, side).groupBy("block")
    solved = blocks.cogroup(told.groupBy("block")).applyInArrow(
        on_tables(_solved, sides.cut, side, solver), HALF
    )
    return workspace.keep(name, solved, "kind")


def random_rows(codes: I32, width: int, seed: int) -> F32:
    """Standard normal numbers, (rows, width), which depend on the codes of the rows alone."""
    rows = np.empty((len(codes), width), np.float32)
    draw_normals(0, len(codes), seed, codes.astype(np.int64), rows)
    return rows


def of_kind(frame: "DataFrame", *kinds: str) -> "DataFrame":
    """Some of what a half tells."""
    return frame.filter(frame["kind"].isin(*kinds))


def sums_of(frame: "DataFrame") -> F64:
    """The sums of all blocks, added in their order."""
    found = of_kind(frame, SUMS).toArrow().sort_by("block")
    parts = [np.frombuffer(part.as_buffer()) for part in found["content"]]
    return np.asarray(np.sum(parts, axis=0))


def rows_of(frame: "DataFrame", cut: Cut, side: str, width: int) -> F32:
    """The rows of all blocks, (rows, width), in the memory of the driver."""
    rows = np.zeros((cut.rows(side), width), np.float32)
    found = of_kind(frame, ROWS).toArrow()
    for key, content in zip(found["block"].to_pylist(), found["content"], strict=True):
        rows[cut.codes(side, key)] = np.frombuffer(content.as_buffer(), np.float32).reshape(
            -1, width
        )
    return rows


def _from_driver(workspace: Workspace, cut: Cut, kind: str, rows: F32) -> "DataFrame":
    """Rows of items, (items, width)."""
    keys = cut.keys.tolist()
    content = [rows[cut.codes("item", key)] for key in keys]
    table = _table([(kind, key, -1, part) for key, part in zip(keys, content, strict=True)])
    return workspace.spark.createDataFrame(table, HALF)


def _started(
    cut: Cut, side: str, solver: Solver, batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        for key, block in blocks_in(batch):
            rows = solver.start(cut.codes(side, key))
            yield from _told(cut, key, block, solver, rows).to_batches()


def _solved(cut: Cut, side: str, solver: Solver, left: pa.Table, right: pa.Table) -> pa.Table:
    """One block."""
    key = right["block"][0].as_py()
    _, block = next(blocks_in(left))
    own = {
        kind: np.frombuffer(content.as_buffer(), np.float32).reshape(-1, solver.width)
        for kind, content in zip(right["kind"].to_pylist(), right["content"], strict=True)
        if kind in (ROWS, PRIOR)
    }
    sent = right.filter(pc.equal(right["kind"], SENT)).sort_by("source")
    together = b"".join(part.as_buffer() for part in sent["content"])
    with thread_limit(1):
        rows = solver.solve(block, together, own[ROWS], own.get(PRIOR))
        return _told(cut, key, block, solver, rows)


def _told(cut: Cut, key: int, block: Block, solver: Solver, rows: F32) -> pa.Table:
    """What a block tells of its rows."""
    encoded = np.ascontiguousarray(solver.encode(rows))
    source = cut.number(key)
    return _table(
        [
            (ROWS, key, source, rows),
            (SUMS, key, source, solver.sums(block, rows)),
            *(
                (SENT, other, source, encoded[route])
                for other, route in zip(cut.keys.tolist(), block.routes, strict=True)
            ),
        ]
    )


def _table(records: Iterable[tuple[str, int, int, Array]]) -> pa.Table:
    kinds, blocks, sources, contents = zip(*records, strict=True)
    columns = {"kind": kinds, "block": blocks, "source": sources, "content": contents}
    return table_of({name: list(values) for name, values in columns.items()}, HALF)

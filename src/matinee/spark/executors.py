"""What executors do: open a run, once in each process of theirs, and make lists of some users.

Nothing heavy is imported before `one_thread` has said that a task is one thread.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from matinee.spark.shared_run import SharedRun
from matinee.storage.runs import PARTS, read_manifest

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

    from matinee.models.recommender import Recommender
    from matinee.models.users_in_parts import RunInParts

USERS = 4096  # that are asked about at a time
ROWS = 2**18  # of lists, at most, where lists are long


def users_at_a_time(n: int) -> int:
    """Of how many users the lists of n items are made at a time."""
    return max(1, min(USERS, ROWS // n))


def lists_of_blocks(
    run: SharedRun, n: int, options: Mapping[str, Any], schema: "pa.Schema"
) -> "Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]":
    """For `mapInArrow`: from numbers of blocks of users to the lists of these."""

    def lists(batches: "Iterable[pa.RecordBatch]") -> "Iterator[pa.RecordBatch]":
        one_thread()
        from matinee.kernels.parallel import thread_limit

        with thread_limit(1):
            for batch in batches:
                for block in batch.column(0).to_pylist():
                    for frame in _lists_of(run, block, n, options):
                        yield from as_arrow(frame, schema).to_batches()

    return lists


def one_thread() -> None:
    """Let libraries that are imported from now on use one thread: other cores have other tasks."""
    for name in ("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")


def as_arrow(frame: "pl.DataFrame", schema: "pa.Schema") -> "pa.Table":
    """A frame as Spark takes it, whose texts are of another type than those of polars."""
    return frame.to_arrow().cast(schema)


def _lists_of(
    run: SharedRun, block: int, n: int, options: Mapping[str, Any]
) -> "Iterator[pl.DataFrame]":
    """The lists of the users of a block, as `Recommender.recommend` makes them."""
    opened, step = _opened(run), users_at_a_time(n)
    if isinstance(opened, tuple):
        model, codes = opened
        ids = model.user_ids.values.gather(codes[block * step : (block + 1) * step])
        yield model.recommend(ids, n, **options)
        return
    opened.base.head()  # packs its items once for all parts
    for model in opened.blocks(opened.parts[block], step):
        yield model.recommend(None, n, **options)


@cache
def _opened(run: SharedRun) -> "tuple[Recommender, Any] | RunInParts":
    """The run, open in this process: a model with the users to ask about, or one in parts."""
    from matinee.models.loading import load, open_in_parts

    found = run.find()
    if read_manifest(found)[PARTS]:
        return open_in_parts(found)
    import numpy as np

    model = load(found)
    return model, np.flatnonzero(model.user_counts).astype(np.int32)

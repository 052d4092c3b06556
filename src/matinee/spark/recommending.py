"""Lists of all users of a run, made by our own kernel on all executors.

The users are cut into parts, which depend on the run and the length of lists alone. A part is
written as one job of Spark, by its rules of what is whole, and then entered into a log beside the
lists: so whoever is killed repeats at most the parts that were in work. All that is read and
written goes through Spark, so the folder may be wherever Spark can write.
"""

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa

from matinee.errors import SettingError, check_whole
from matinee.models.loading import load, open_in_parts
from matinee.progress import progress
from matinee.spark.executors import lists_of_blocks, users_at_a_time
from matinee.spark.failures import in_one_line
from matinee.spark.session import Workspace, as_url, literal
from matinee.spark.shared_run import SharedRun
from matinee.storage.runs import PARTS, read_manifest

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

MOST_PARTS = 64
BLOCKS = 8  # of users in a part, or more: jobs and entries of the log take time, too
USERS_OF_A_TASK = 2**14  # or those of one block: a task costs Spark a tenth of a second
AT_ONCE = 8  # parts in work, so that no executor waits for the last task of one
LOG, COMPLETE = "_parts", "_complete"  # folders that readers of tables leave out
ENTRY = "about string, part int, rows bigint"


@dataclass(frozen=True)
class AllLists:
    """What came of `recommend_all`."""

    out: str
    users: int  # who were asked about
    rows: int
    parts: int
    found: int  # parts that were there already


def recommend_all(
    workspace: Workspace, run: str | Path, out: str, n: int = 10, **options: Any
) -> AllLists:
    """Write the lists of all users with ratings into a folder of Parquet files.

    The rows are those of `Recommender.recommend` for all users, to the last bit. Called once more
    for a folder that is not complete, it makes what is missing. ``part=K`` below `out` are the
    lists; ``_complete`` is there when all of them are.

    Parameters
    ----------
    workspace : Workspace
    run : str or Path
        Any run, its users in parts or not. Executors read it at this path where they can; else it
        is sent to each of them once.
    out : str
        A path, or a URL as Spark writes to.
    n : int
    **options
        Other arguments of `Recommender.recommend`, plain values.

    Returns
    -------
    AllLists

    Raises
    ------
    SettingError
        If there is something else in the folder, or an argument makes no sense.
    """
    check_whole("n", n, 1)
    run, out = Path(run), as_url(out)
    shared = SharedRun.of(run)
    schema, users, blocks = _trial(run, n, options)
    parts = max(1, min(MOST_PARTS, blocks // BLOCKS))
    log = _Log(workspace, out, _about(shared, n, options, parts))
    done, rows = log.read()
    if rows is not None:
        return AllLists(out, users, rows, parts, parts)
    missing = [part for part in range(parts) if part not in done]
    shared.offer(workspace)
    lists = lists_of_blocks(shared, n, options, schema)

    def make(part: int) -> tuple[int, int]:
        numbers = workspace.spark.range(*_blocks_of(part, parts, blocks, users))
        return part, _write(numbers.mapInArrow(lists, _spark_schema(schema)), f"{out}/part={part}")

    with progress("Recommending", parts) as tick, in_one_line():
        tick(len(done), "")
        for made in _side_by_side(make, missing):
            done |= made
            if len(done) < parts:
                log.enter(made)
            tick(len(done), "")
        rows = sum(done.values())
        log.complete(users, rows)
    return AllLists(out, users, rows, parts, parts - len(missing))


def _blocks_of(part: int, parts: int, blocks: int, users: int) -> tuple[int, int, int, int]:
    """The blocks of a part, from, to and step, and in how many tasks they are made."""
    first, last = part * blocks // parts, (part + 1) * blocks // parts
    of_a_task = max(1, USERS_OF_A_TASK * blocks // max(1, users))
    return first, last, 1, -(-(last - first) // of_a_task)


def _write(lists: "DataFrame", folder: str) -> int:
    """Write lists into a folder; their rows, counted on their way, not in a job of their own."""
    from pyspark.sql import Observation
    from pyspark.sql.functions import count, lit

    written = Observation()
    lists.observe(written, count(lit(1)).alias("rows")).write.mode("overwrite").parquet(folder)
    return int(written.get["rows"])


def _trial(run: Path, n: int, options: Mapping[str, Any]) -> tuple[pa.Schema, int, int]:
    """The columns of lists, how many users there are, and in how many blocks their lists are made;
    errors of options come here.
    """
    if read_manifest(run)[PARTS]:
        opened = open_in_parts(run)
        model, blocks = opened.base, len(opened.parts)
    else:
        model = load(run)
        blocks = -(-int((model.user_counts > 0).sum()) // users_at_a_time(n))
    frame = model.recommend([model.fold_in(())], n, **options)
    ids = pl.Series("user_id", [], model.user_ids.values.dtype)
    frame = frame.clear().with_columns(ids)
    fields = [
        pa.field(field.name, pa.string() if pa.types.is_large_string(field.type) else field.type)
        for field in frame.to_arrow().schema
    ]
    population = model.index.population
    users = int((model.user_counts > 0).sum()) if population is None else population.n_users
    return pa.schema(fields), users, blocks


def _spark_schema(schema: pa.Schema) -> str:
    names = {"int64": "bigint", "string": "string", "float": "float"}
    return ", ".join(f"{field.name} {names[str(field.type)]}" for field in schema)


def _about(run: SharedRun, n: int, options: Mapping[str, Any], parts: int) -> str:
    """What the lists of a folder are, to be the same when it is continued."""
    told = {"run": run.checksum, "n": n, "parts": parts, "matinee": version("matinee")}
    return json.dumps({**told, "options": dict(options)}, sort_keys=True)


def _side_by_side(make: Any, parts: list[int]) -> Iterator[dict[int, int]]:
    """Parts as they are made, a few of them at once, with the rows of each."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        working: set[Future[tuple[int, int]]] = {pool.submit(make, part) for part in parts}
        try:
            while working:
                made, working = wait(working, return_when=FIRST_COMPLETED)
                yield dict(each.result() for each in made)
        finally:
            for each in working:
                each.cancel()


class _Log:
    """Which parts of the lists in a folder are there, and what lists they are."""

    def __init__(self, workspace: Workspace, out: str, about: str) -> None:
        self.spark, self.out, self.about = workspace.spark, out, about

    def read(self) -> tuple[dict[int, int], int | None]:
        """The rows of each part that is whole, and those of all, if all are; SettingError for a
        folder of anything else.
        """
        entries = self._read(LOG, ENTRY)
        if entries is None:
            if self._holds_something():
                raise SettingError(f"{self.out}: there are other files; name a new folder.")
            self._append({None: 0})
            return {}, None
        if {entry.about for entry in entries} != {self.about}:
            raise SettingError(
                f"{self.out}: holds lists of another run, or with other options; name a new folder."
            )
        done = {entry.part: entry.rows for entry in entries if entry.part is not None}
        complete = self._read(COMPLETE, "rows bigint")
        return done, complete[0].rows if complete else None

    def enter(self, parts: Mapping[int, int]) -> None:
        """Say that parts are whole."""
        self._append(parts)

    def complete(self, users: int, rows: int) -> None:
        """Say that all of them are."""
        from pyspark.sql.functions import lit

        told = {"about": self.about, "users": users, "rows": rows}
        columns = [lit(value).alias(name) for name, value in told.items()]
        row = self.spark.range(0, 1, 1, 1).select(*columns)
        row.write.mode("overwrite").json(f"{self.out}/{COMPLETE}")

    def _append(self, parts: Mapping[Any, int]) -> None:
        from pyspark.sql.functions import array, inline, lit, struct

        entered = [
            struct(lit(part).cast("int").alias("part"), lit(rows).cast("bigint").alias("rows"))
            for part, rows in parts.items()
        ]
        about = lit(self.about).alias("about")
        rows = self.spark.range(0, 1, 1, 1).select(about, inline(array(*entered)))
        rows.write.mode("append").json(f"{self.out}/{LOG}")

    def _read(self, name: str, schema: str) -> Any:
        return _if_there(self.spark.read.schema(schema).json, f"{self.out}/{name}")

    def _holds_something(self) -> bool:
        reader = self.spark.read.format("binaryFile").option("recursiveFileLookup", "true")
        return bool(_if_there(lambda out: reader.load(out).select("path").limit(1), self.out))


def _if_there(read: Any, path: str) -> Any:
    """The rows of what is at a path, or None if there is nothing."""
    from pyspark.errors import AnalysisException

    try:
        frame: DataFrame = read(literal(path))
        return frame.collect()
    except AnalysisException as problem:
        if problem.getCondition() == "PATH_NOT_FOUND":
            return None
        raise

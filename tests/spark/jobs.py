"""What the drivers of the tests do: python jobs.py JOB MASTER [STORAGE [ARGUMENTS]].

Each ends with a line of JSON. What takes its functions along is this file, which executors do not
have; the package is theirs.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np

from matinee.spark.session import open_workspace

PARTITIONS = 12
ROWS = 60_000  # of the job that is disturbed
SECONDS = 0.5  # of a task of it
LONG = 300  # items of a list: of 3,000 users, that makes four parts


def where(workspace):
    """Which package executors import, and how long a task takes them; twice, for all is warm
    the second time: rows of (file, its Python, kernels compiled in this process, seconds).
    """

    def look(batches):
        import sys
        import time
        from pathlib import Path

        import numpy as np
        import pyarrow as pa

        for _ in batches:
            pass
        began = time.perf_counter()
        import matinee
        from matinee.kernels.cache import compiled_here
        from matinee.kernels.linalg import inner

        inner(np.ones((50, 4), np.float32), np.ones((50, 4), np.float32))
        seconds = time.perf_counter() - began
        for place in (matinee.__file__, Path.home() / "x"):  # neither can be written to
            try:
                Path(place).open("ab").close()
            except PermissionError:
                continue
            raise AssertionError(place)
        row = [matinee.__file__, sys.executable, len(compiled_here), seconds]
        yield pa.RecordBatch.from_arrays([pa.array([v]) for v in row], names=list("abcd"))

    frame = workspace.spark.range(4, numPartitions=2)
    rounds = []
    for _ in range(2):
        began = time.perf_counter()
        rows = frame.mapInArrow(look, "a string, b string, c long, d double").collect()
        rounds.append({"rows": [list(row) for row in rows], "took": time.perf_counter() - began})
    return rounds


def sums(workspace, begun):
    """A table computed by a kernel in two stages, in each of which a worker may die.

    Every task that begins says on which machine, by a file in the folder `begun`.
    """
    rows = workspace.spark.range(ROWS, numPartitions=PARTITIONS)
    kept = workspace.keep("rows", rows.selectExpr("id", "pmod(id * 7919, 1000) AS place"))
    first = kept.repartition(PARTITIONS, "place").mapInArrow(
        multiplied(begun, "first"), "place long, value double"
    )
    totals = (
        first.repartition(PARTITIONS, "place")
        .groupBy("place")
        .agg({"value": "sum"})
        .toDF("place", "value")
    )
    second = totals.mapInArrow(multiplied(begun, "second"), "place long, value double")
    return sorted([row.place, row.value] for row in workspace.keep("sums", second).collect())


def multiplied(begun, stage):
    """A function for `mapInArrow` that multiplies by a kernel, and takes its time."""
    seconds = SECONDS

    def run(batches):
        import os
        import time

        import numpy as np
        import pyarrow as pa

        from matinee.kernels.linalg import inner

        machine = Path(os.environ["CLUSTER_MACHINE"]).name
        Path(begun, f"{time.time_ns()} {stage} {machine}").touch()
        end = time.monotonic() + seconds
        for batch in batches:
            place = batch.column("place").to_numpy()
            values = np.stack([place, np.ones_like(place)], axis=1).astype(np.float32)
            gram = inner(values, values)[1, 1]  # how many rows there are, whatever their order
            assert gram == len(place)
            yield pa.RecordBatch.from_arrays(
                [pa.array(place), pa.array(place * 3.0 + 1)], names=["place", "value"]
            )
        time.sleep(max(0, end - time.monotonic()))

    return run


def tables(workspace):
    """What is computed by each kind of function that executors are given."""

    def sums(batches):
        import numpy as np
        import pyarrow as pa

        from matinee.kernels.linalg import inner

        for batch in batches:
            values = batch.column("third").to_numpy().astype(np.float32)[:, None]
            squares = float(inner(values, values)[0, 0])
            yield pa.RecordBatch.from_pydict({"rows": [len(values)], "squares": [squares]})

    def counted(table):
        import pyarrow as pa

        return pa.table({"third": table["third"][:1], "rows": [table.num_rows]})

    def paired(left, right):
        import pyarrow as pa

        return pa.table({"left": [left.num_rows], "right": [right.num_rows]})

    numbers = workspace.spark.range(100).selectExpr("id", "id % 3 AS third")
    kept = workspace.keep("numbers", numbers, partition_by="third")
    groups = kept.groupBy("third")
    some = kept.where("id < 50").groupBy("third")
    frames = (
        kept.mapInArrow(sums, "rows long, squares double").selectExpr("sum(rows)", "sum(squares)"),
        groups.applyInArrow(counted, "third long, rows long"),
        groups.cogroup(some).applyInArrow(paired, "left long, right long"),
    )
    return [sorted(list(row) for row in frame.collect()) for frame in frames]


def failing(workspace):
    """A table that executors cannot compute."""

    def refuse(batches):
        from matinee.errors import DataError

        yield from ()
        raise DataError("ratings.csv, row 3: 7 is no rating.")

    workspace.keep("refused", workspace.spark.range(4).mapInArrow(refuse, "id long"))


def dying(workspace):
    """Nothing, for the JVM of the driver is killed."""
    from pyspark import SparkContext

    os.kill(SparkContext._gateway.proc.pid, signal.SIGKILL)
    workspace.spark.range(7).count()


def count(workspace):
    """How many rows there are of seven."""
    return workspace.keep("seven", workspace.spark.range(7)).count()


def trained(workspace, data, run):
    """Both heads trained on a folder of ratings, and saved: their metrics and sizes."""
    from matinee.data.reading_options import ReadingOptions
    from matinee.experiments.split import Split
    from matinee.models import ALS, ImplicitALS
    from matinee.spark.experiment import train_and_evaluate
    from matinee.spark.reading import read

    dataset = read(workspace, data, ReadingOptions.of({}))
    estimators = ALS(factors=8, iterations=4), ImplicitALS(factors=8, iterations=3)
    found = train_and_evaluate(workspace, dataset, Split("hashed"), *estimators, {})
    found.save(workspace, run, "trained")
    result = found.result
    factors = [np.abs(head.item_params).sum() for head in result.model.heads.values()]
    return [result.rating.rmse, result.ranking["ndcg@10"], *map(float, factors)]


def listed(workspace, run, out):
    """Lists of all users: how many rows, and a sum over them that is the same in any order."""
    from matinee.spark import recommending

    recommending.BLOCKS = recommending.AT_ONCE = 1  # a few small parts, one after the other
    lists = recommending.recommend_all(workspace, run, out, n=LONG)
    rows = workspace.spark.read.parquet(out)
    digest = rows.selectExpr("sum(hash(user_id, item_id, score))").collect()[0][0]
    return [lists.users, lists.rows, digest, lists.parts]


JOBS = {job.__name__: job for job in (where, sums, tables, failing, dying, count, trained, listed)}


def main(job, master, storage=None, *arguments):
    """Run a job in a session of its own, and print what it returns."""
    with open_workspace(master, storage) as workspace:
        print(json.dumps(JOBS[job](workspace, *arguments)))


if __name__ == "__main__":
    main(*sys.argv[1:])

"""How time and memory of training in Spark grow with the data: what a cost model is made of.

python bench/spark_growth.py MILLIONS ...

For each number of million ratings, generated with as many ratings per user, in an own process:
seconds to read Parquet files, to train each head, and for the rest (split, evaluation, the run);
and the most memory that the JVM and all Python processes took together, shared pages counted once.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

MASTER = "local[2]"
PER_USER = 160  # ratings, as in ml-32m and ml-1m
SHARE = 0.0004  # items per rating, up to as many as ml-32m has
MOST_ITEMS = 85_000


def one(millions: float) -> dict[str, Any]:
    """All of the above for one size."""
    from matinee.data import generate
    from matinee.data.reading_options import ReadingOptions
    from matinee.experiments.split import Split
    from matinee.models import ALS, ImplicitALS
    from matinee.spark.experiment import train_and_evaluate
    from matinee.spark.reading import read
    from matinee.spark.session import open_workspace

    n = round(millions * 1e6)
    items = min(MOST_ITEMS, max(3_700, round(n * SHARE)))
    data, _ = generate(users=n // PER_USER, items=items, ratings=n, seed=0)
    times: dict[str, float] = {}
    stop, peaks = threading.Event(), [0.0]
    with tempfile.TemporaryDirectory() as folder:
        data.ratings.to_frame().write_parquet(Path(folder) / "ratings.parquet")
        del data
        threading.Thread(target=watch, args=(stop, peaks), daemon=True).start()
        with open_workspace(MASTER) as workspace:
            started = time.perf_counter()
            dataset = read(workspace, folder, ReadingOptions.of({}))
            times["read"] = time.perf_counter() - started
            started = time.perf_counter()
            found = train_and_evaluate(workspace, dataset, Split(), ALS(), ImplicitALS(), {})
            whole = time.perf_counter() - started
            times |= {"ratings": found.result.fit_seconds}
            times |= {"ranking": found.result.ranker_fit_seconds}
            times["rest"] = whole - times["ratings"] - times["ranking"]
    stop.set()
    rmse = found.result.rating and found.result.rating.rmse
    return {"ratings": n, "items": items, "seconds": times, "peak_gib": max(peaks), "rmse": rmse}


def watch(stop: threading.Event, peaks: list[float]) -> None:
    """Note the memory of this process and all that it started, every second."""
    while not stop.wait(1):
        parents = {}
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                stat = (process / "stat").read_text().rpartition(")")[2].split()
                parents[int(process.name)] = int(stat[1])
        family, before = {os.getpid()}, 0
        while len(family) > before:
            before = len(family)
            family |= {child for child, parent in parents.items() if parent in family}
        total = 0
        for number in family:
            with suppress(OSError):
                rollup = Path(f"/proc/{number}/smaps_rollup").read_text()
                total += int(re.findall(r"^Pss: +([0-9]+) kB", rollup, re.MULTILINE)[0])
        peaks.append(total / 2**20)


if __name__ == "__main__":
    if sys.argv[1] == "--one":
        print(json.dumps(one(float(sys.argv[2]))))
    else:
        for millions in sys.argv[1:]:
            command = [sys.executable, __file__, "--one", millions]
            print(
                subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
            )

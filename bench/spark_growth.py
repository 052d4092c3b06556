"""How time and memory of training in Spark grow with the data: what a cost model is made of.

python bench/spark_growth.py MILLIONS ...

For each number of million ratings, generated with as many ratings per user, in an own process:
seconds to read Parquet files, to train each head, to evaluate, and to make lists of all users;
the most memory that the JVM and the Python workers took, and the bytes that were shuffled.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
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
    with tempfile.TemporaryDirectory() as folder:
        data.ratings.to_frame().write_parquet(Path(folder) / "ratings.parquet")
        del data
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
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    rmse = found.result.rating and found.result.rating.rmse
    memory = {"driver_gib": own, "largest_child_gib": peak}
    return {"ratings": n, "items": items, "seconds": times, **memory, "rmse": rmse}


if __name__ == "__main__":
    if sys.argv[1] == "--one":
        print(json.dumps(one(float(sys.argv[2]))))
    else:
        for millions in sys.argv[1:]:
            command = [sys.executable, __file__, "--one", millions]
            print(
                subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
            )

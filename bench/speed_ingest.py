"""Reading a large `ratings.csv`: seconds and memory against a bare `polars.read_csv` of it.

    python bench/speed_ingest.py FOLDER [--repeat 3]

FOLDER holds `ratings.csv` and `movies.csv`. Each reading is a process of its own, interleaved, on
the processors that `taskset` allows: polars; matinee from the text, with an empty cache; matinee
from the cache that this left. One more reading, not counted, compiles before. Prints JSON.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

POLARS = """
import json, resource, sys, time
import polars
started = time.perf_counter()
table = polars.read_csv(sys.argv[1] + "/ratings.csv")
"""
MATINEE = """
import json, resource, sys, time
from matinee import read
started = time.perf_counter()
ratings = read(sys.argv[1]).ratings
orders = ratings.by_user, ratings.by_item
"""
REPORT = """
print(json.dumps({
    "seconds": time.perf_counter() - started,
    "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
}))
"""
READINGS = {"polars": POLARS, "matinee": MATINEE, "matinee_cached": MATINEE}


def measure(folder: Path, repeat: int = 3) -> dict[str, Any]:
    """Median seconds and memory (`peak_mb`, in MiB) of each reading, its runs, and the ratios."""
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in READINGS}
    with tempfile.TemporaryDirectory(prefix="matinee-bench-", dir=folder.parent) as cache:
        _run(MATINEE, folder, Path(cache))  # compiles, if this was not done before
        for _ in range(repeat):
            for path in Path(cache, ".parsed").rglob("*.*"):
                path.unlink()  # so that matinee reads the text
            for name, code in READINGS.items():
                runs[name].append(_run(code, folder, Path(cache)))
    medians: dict[str, Any] = {
        name: {
            **{
                unit: statistics.median(run[unit] for run in results)
                for unit in ("seconds", "peak_mb")
            },
            "runs": results,
        }
        for name, results in runs.items()
    }
    bare = medians["polars"]["seconds"]
    return {
        **medians,
        "ratio": medians["matinee"]["seconds"] / bare,
        "ratio_cached": medians["matinee_cached"]["seconds"] / bare,
    }


def _run(code: str, folder: Path, cache: Path) -> dict[str, float]:
    environment = os.environ | {"MATINEE_CACHE": str(cache)}
    command = [sys.executable, "-c", code + REPORT, str(folder)]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    print(json.dumps(measure(arguments.folder, arguments.repeat), indent=2))

"""Reading a large `ratings.csv`: seconds and memory against a bare `polars.read_csv` of it.

    python bench/speed_ingest.py FOLDER [--repeat 3]

FOLDER holds `ratings.csv` and `items.csv`. Each reading runs in a process of its own, in turns, on
all processors it is given (`taskset` says which): polars; ours from the text, with nothing
prepared; ours from what that left in the cache. A reading that is not counted compiles before.
Prints JSON.
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
OURS = """
import json, resource, sys, time
import matinee.data
started = time.perf_counter()
ratings = matinee.data.reading(sys.argv[1]).ratings
both = ratings.by_user, ratings.by_item
"""
METRICS = """
print(json.dumps({
    "seconds": time.perf_counter() - started,
    "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
}))
"""
READINGS = {"polars": POLARS, "ours": OURS, "ours_again": OURS}


def measure(folder: Path, repeat: int = 3) -> dict[str, Any]:
    """Medians of each reading, all runs, and the ratios of ours to polars.

    Returns
    -------
    dict
        `polars`, `ours` and `ours_again`: `seconds`, `peak_mb` (10**6 * 1.048576 bytes) and `runs`;
        `ratio` and `ratio_again`: seconds of ours per second of polars.
    """
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in READINGS}
    with tempfile.TemporaryDirectory(prefix="matinee-bench-", dir=folder.parent) as cache:
        _run(OURS, folder, Path(cache))  # compiles, if nobody has yet
        for _ in range(repeat):
            for path in Path(cache, ".prepared").rglob("*.*"):
                path.unlink()  # so that ours reads the text
            for name, code in READINGS.items():
                runs[name].append(_run(code, folder, Path(cache)))
    medians: dict[str, Any] = {
        name: {
            **{f: statistics.median(run[f] for run in several) for f in ("seconds", "peak_mb")},
            "runs": several,
        }
        for name, several in runs.items()
    }
    bare = medians["polars"]["seconds"]
    return {
        **medians,
        "ratio": medians["ours"]["seconds"] / bare,
        "ratio_again": medians["ours_again"]["seconds"] / bare,
    }


def _run(code: str, folder: Path, cache: Path) -> dict[str, float]:
    environment = os.environ | {"MATINEE_DATA": str(cache)}
    command = [sys.executable, "-c", code + METRICS, str(folder)]
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

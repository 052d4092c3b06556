"""How accurate and how fast training is, on the published splits.

    python bench/accuracy.py [PART ...] [--json FILE]

PART is `quick`, the commands that a user would run, or one of `accuracy_bayes.PARTS`, Bayesian
models and their peers; by default all of them, which takes an hour. Data sets are in the cache
(`matinee data fetch ml-100k` and so on). `quick` prints what the commands report.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from accuracy_bayes import PARTS

MATINEE = Path(sys.executable).with_name("matinee")
REPEATS = 3  # timings, of which the median is reported


def matinee(*arguments: str) -> str:
    """Run the command in a new folder and return what it prints."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [MATINEE, *arguments], cwd=folder, check=True, stdout=subprocess.PIPE, encoding="utf-8"
        )
    return done.stdout


def train(*arguments: str) -> dict[str, float]:
    return json.loads(matinee("train", *arguments, "--json"))


def official_folds(*arguments: str) -> float:
    """Mean RMSE over the five official splits of ml-100k."""
    folds = [train("ml-100k", "--split", f"u{k}", *arguments)["rmse"] for k in range(1, 6)]
    return statistics.mean(folds)


def demo_seconds() -> float:
    started = time.perf_counter()
    matinee("demo")
    return time.perf_counter() - started


def quick() -> dict[str, float]:
    """All that takes no more than a minute."""
    million = [train("ml-1m", "--factors", "64", "--seed", "0") for _ in range(REPEATS)]
    return {
        "ml-100k u1-u5, RMSE of bias": official_folds("--model", "bias"),
        "ml-100k u1-u5, RMSE of als with genres": official_folds("--model", "als"),
        "ml-1m 90/10 seed 0, RMSE of als, 64 factors": million[0]["rmse"],
        "ml-1m, seconds of fitting": statistics.median(run["fit_seconds"] for run in million),
        "demo, seconds": statistics.median(demo_seconds() for _ in range(REPEATS)),
    }


def main() -> None:
    parts = {"quick": quick, **PARTS}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(parts))
    parser.add_argument("--json", type=Path, help="Write the results to this file, too.")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(parts):
        parser.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(parts)}")
    metrics: dict[str, float] = {}
    for part in options.parts or parts:
        results = parts[part]()
        for name, value in results.items():
            print(f"{name:64}{value:8.4f}", flush=True)
        metrics |= results
    if options.json:
        environment = {"processors": os.cpu_count(), "python": sys.version.split()[0]}
        options.json.write_text(json.dumps({"metrics": metrics, **environment}, indent=2) + "\n")


if __name__ == "__main__":
    main()

"""Seconds from nothing to an answer: fresh processes, without caches and with them.

    python bench/speed_start.py runs/NAME --user 7

Prints JSON. *Cold* is the first start of a new installation: no bytecode of the package, no
compiled kernel. *Warm* is every later one. Both run a copy of the package, whose caches one can
delete.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

PACKAGE = Path(__file__).parents[1] / "src" / "matinee"
COMMAND = "from matinee.cli.app import main; main()"


def start_up(run: Path, user: str, warm: int = 9, cold: int = 3) -> dict[str, dict[str, float]]:
    """Median wall seconds of fresh processes, {"cold": {command: seconds}, "warm": ...}.

    Parameters
    ----------
    run : Path
        A saved run; its files should be in the page cache, as they are after the first start.
    user : str
        The user to recommend to.
    warm, cold : int
        Starts of each kind.
    """
    commands = {
        "python": ["-c", "pass"],
        "import": ["-c", "import matinee"],
        "help": ["-c", COMMAND, "--help"],
        "recommend": ["-c", COMMAND, "recommend", str(run.resolve()), "--user", user],
    }
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "matinee"
        shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
        first = {name: median(_cold(copy, command, cold)) for name, command in commands.items()}
        later: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(warm):  # one after the other, so that a slow minute slows all
            for name, command in commands.items():
                later[name].append(_seconds(copy, command))
    return {"cold": first, "warm": {name: median(times) for name, times in later.items()}}


def _cold(package: Path, command: list[str], times: int) -> list[float]:
    seconds = []
    for _ in range(times):
        for cache in list(package.rglob("__pycache__")):
            shutil.rmtree(cache)
        seconds.append(_seconds(package, command))
    return seconds


def _seconds(package: Path, command: list[str]) -> float:
    """Wall seconds of a process that imports this copy of the package and may write caches."""
    elsewhere = ("PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX", "NUMBA_CACHE_DIR")
    environment = {name: value for name, value in os.environ.items() if name not in elsewhere}
    environment["PYTHONPATH"] = str(package.parent)
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, *command],
        check=True,
        stdout=subprocess.DEVNULL,
        env=environment,
        cwd=package.parent,  # not in a checkout, whose package would be found first
    )
    return time.perf_counter() - started


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Seconds from nothing to an answer.")
    parser.add_argument("run", type=Path)
    parser.add_argument("--user", required=True)
    options = parser.parse_args()
    print(json.dumps(start_up(options.run, options.user), indent=2))

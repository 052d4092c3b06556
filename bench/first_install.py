"""From a wheel to the first recommendation, in a new environment: seconds, and its size.

    python bench/first_install.py dist/matinee-0.2.0-py3-none-any.whl

Prints JSON. The wheel is installed without extras, with the pins of constraints.txt and pip's
cache of this machine; run it twice, for the first run fills the cache. Seconds are those of making
the environment, of pip, and of `matinee demo` and `matinee recommend` on generated data, kernels
compiled from nothing. The size is that of all files of the environment before and after the demo,
in GB of 10^9 bytes, with the largest packages.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))
from first_steps import first_recommendation, installed  # noqa: E402


def gigabytes(folder: Path) -> float:
    """The sum of the sizes of all files; a link counts as nothing."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return sum(path.stat().st_size for path in files) / 1e9


def measure(wheel: Path) -> dict[str, object]:
    """Seconds of each step, sizes, and the eight largest packages."""
    with tempfile.TemporaryDirectory() as temporary:
        folder, environment = Path(temporary), Path(temporary) / "python"
        started = time.perf_counter()
        programs = installed(environment, "-c", ROOT / "constraints.txt", wheel.resolve())
        ready = time.perf_counter()
        size = gigabytes(environment)
        asked = time.perf_counter()
        first_recommendation(programs, folder)
        answered = time.perf_counter()
        (packages,) = [*environment.glob("lib/python*/site-packages"),
                       *environment.glob("Lib/site-packages")]  # fmt: skip
        sizes = {path.name: gigabytes(path) for path in packages.iterdir() if path.is_dir()}
        largest = sorted(sizes, key=sizes.__getitem__, reverse=True)[:8]
        return {
            "install_seconds": round(ready - started, 1),
            "demo_and_recommend_seconds": round(answered - asked, 1),
            "total_seconds": round(ready - started + answered - asked, 1),
            "environment_gb": round(size, 3),
            "environment_gb_after_demo": round(gigabytes(environment), 3),
            "largest_gb": {name: round(sizes[name], 3) for name in largest},
        }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wheel", type=Path)
    print(json.dumps(measure(parser.parse_args().wheel), indent=2))

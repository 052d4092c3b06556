"""Do the oldest releases that pyproject.toml admits work? Installs them, and tries.

    python tests/lower_bounds.py

Each requirement of the package and of the extras charts, tuning and service is pinned to its
minimum; what those need themselves is whatever pip finds. Then come the first steps of a new user
and the fast tests of what stands on other packages. The Python should be the oldest, 3.11.
"""

import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from first_steps import EXTRAS, first_recommendation, further_steps, installed

ROOT = Path(__file__).parents[1]
TRIED = ["data", "models/test_serialization.py", "storage", "plots", "report"]
TRIED += [
    "tuning/test_study.py",
    "service/test_recommendations.py",
    "service/test_feedback.py",
    "service/store",
]
# old releases warn of new ones, which is no fault of ours
PYTEST = [
    "-m",
    "pytest",
    "-p",
    "no:cacheprovider",
    "-W",
    "default",
    "-m",
    "not slow and not thorough",
]


def lowest(pyproject):
    """`name==version` of each requirement; all of them must have a lower bound."""
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    extras = [project["optional-dependencies"][name] for name in EXTRAS.split(",")]
    pins = {}
    for requirement in sum(extras, project["dependencies"]):
        name, bound = re.match(r"([\w.-]+)(?:\[\w+\])?>=([\w.]+)", requirement).groups()
        if pins.setdefault(name, bound) != bound:
            sys.exit(f"{name} has two lower bounds, {pins[name]} and {bound}.")
    return [f"{name}=={bound}" for name, bound in sorted(pins.items())]


def main():
    pins = lowest(ROOT / "pyproject.toml")
    print("\n".join(pins), flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        constraints = folder / "lowest.txt"
        constraints.write_text("\n".join(pins) + "\n", encoding="utf-8")
        tools = ["hypothesis", "httpx", "pytest"]
        package = f"{ROOT}[{EXTRAS}]"
        programs = installed(folder / "python", "-c", constraints, package, *tools)
        first_recommendation(programs, folder)
        further_steps(programs, folder)
        tests = [ROOT / "tests" / name for name in TRIED]
        done = subprocess.run([programs / "python", *PYTEST, *tests], cwd=ROOT)
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()

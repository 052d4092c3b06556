"""What `import matinee` offers, and what it costs."""

import ast
import re
import subprocess
import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import pytest

import matinee

REFERENCE = Path(__file__).parents[1] / "docs" / "reference"


def test_every_public_name_is_there_and_documented():
    for name in matinee.__all__:
        assert getattr(matinee, name).__doc__, name
        assert name in dir(matinee)
    with pytest.raises(AttributeError, match="nonsense"):
        matinee.nonsense  # noqa: B018


def test_the_reference_has_every_public_name_and_no_other():
    """Of the packages whose names are there one by one."""
    pages = "".join(page.read_text() for page in REFERENCE.glob("*.md"))
    named = set(re.findall(r"^::: (matinee[\w.]*)$", pages, re.MULTILINE))
    public = {f"matinee.{name}" for name in matinee.__all__} | {"matinee.export.export"}
    for package in ("analysis", "evaluation", "experiments", "plots", "report"):
        names = import_module(f"matinee.{package}").__all__
        public |= {f"matinee.{package}.{name}" for name in names if not name.isupper()}
    repeated = {f"matinee.evaluation.{name}" for name in matinee.__all__}
    repeated |= {f"matinee.experiments.{name}" for name in matinee.__all__}
    assert named == public - repeated


def test_the_list_of_names_is_what_the_stub_imports():
    for stub in Path(matinee.__file__).parent.rglob("__init__.pyi"):
        tree = ast.parse(stub.read_text())
        names = [a.name for n in tree.body if isinstance(n, ast.ImportFrom) for a in n.names]
        (exported,) = (n for n in tree.body if isinstance(n, ast.Assign))
        assert sorted(names) == sorted(ast.literal_eval(exported.value)), stub


def test_the_version_is_the_packages():
    assert matinee.__version__ == version("matinee")


@pytest.mark.parametrize(
    "statement", ["import matinee", "import matinee.cli.app", "import matinee.storage.runs"]
)
def test_importing_is_light(statement):
    heavy = {"numpy", "numba", "polars", "rich.table", "torch", "pandas"}
    assert not heavy & _imported(statement)


@pytest.mark.slow
def test_importing_a_model_needs_no_optional_package():
    optional = {"torch", "pandas", "sklearn", "altair", "pyarrow", "optuna"}
    packages = "models, evaluation, experiments, tuning, analysis"  # plots, report are the extra
    statement = "import " + ", ".join(f"matinee.{name}" for name in packages.split(", "))
    assert not optional & _imported(statement + "; matinee.ALS; matinee.evaluate")


def _imported(statement):
    code = f"import sys; {statement}; print(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    return set(result.stdout.decode().split())

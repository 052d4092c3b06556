"""A room imports only from its own and lower floors, and knows only the packages it may."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "matinee"
FLOORS = {
    "kernels": 0,
    "data": 1,
    "models": 2,
    "neural": 2,
    "evaluation": 3,
    "explore": 4,
    "tuning": 4,
    "cli": 6,
}
ANYWHERE = {"errors", "folders", "lazy", "progress"}
PACKAGES = {
    "kernels": {"numpy", "numba", "llvmlite"},
    "data": {"numpy", "polars", "platformdirs"},
    "models": {"numpy", "polars", "safetensors"},
    "neural": {"numpy", "polars", "torch", "safetensors"},
    "evaluation": {"numpy"},
    "explore": {"numpy", "polars", "altair", "vl_convert", "sklearn", "umap", "jinja2"},
    "tuning": {"numpy", "optuna", "sqlalchemy"},
    "cli": {"typer", "rich", "polars"},
}
FILES = sorted(path for room in FLOORS for path in (SOURCE / room).rglob("*.py"))


def imported(path):
    """Dotted names of everything a file imports, wherever it stands."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute here"
            yield node.module


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_go_down(path):
    import sys

    room = path.relative_to(SOURCE).parts[0]
    for name in imported(path):
        package, _, rest = name.partition(".")
        if package == "matinee":
            other = rest.split(".")[0]
            if other and other not in ANYWHERE:
                assert FLOORS[other] <= FLOORS[room], f"{room} imports from {other}"
        elif package not in sys.stdlib_module_names:
            assert package in PACKAGES[room], f"{room} knows {package}"


def test_no_file_is_too_long_to_read_in_one_sitting():
    for path in SOURCE.rglob("*.py"):
        assert len(path.read_text().splitlines()) <= 450, path


def test_nothing_is_ever_unpickled():
    for path in SOURCE.rglob("*.py"):
        names = set(imported(path))
        assert not names & {"pickle", "joblib", "shelve", "marshal", "dill"}, path
        assert "allow_pickle" not in path.read_text(), path

"""Imports go down the layers and never in circles; files and functions are short enough to read."""

import ast
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "matinee"
ANYWHERE = {"_types", "_html"}
PACKAGES = {  # by layer, the lowest first: what it may know beside the standard library
    "errors": set(),
    "progress": {"rich", "numba"},
    "storage": {"numpy", "platformdirs", "safetensors", "filelock"},
    "kernels": {"numpy", "numba", "llvmlite"},
    "data": {"numpy", "polars"},
    "models": {"numpy", "polars", "safetensors"},
    "models.neural": {"numpy", "polars", "safetensors", "torch"},
    "evaluation": {"numpy", "polars"},
    "experiments": {"numpy", "polars"},
    "export": {"numpy", "polars"},
    "tuning": {"numpy", "optuna", "sqlalchemy"},
    "analysis": {"numpy", "polars", "sklearn", "umap"},
    "plots": {"numpy", "polars", "altair"},
    "report": {"numpy", "polars", "altair", "jinja2", "vl_convert"},
    "service": {
        *("alembic", "psycopg", "sqlalchemy"),
        *("anyio", "fastapi", "itsdangerous", "jinja2", "prometheus_client", "pydantic"),
        *("numpy", "pydantic_core", "rapidfuzz", "starlette", "structlog", "uvicorn"),
    },
    "spark": {"numpy", "polars", "pyarrow", "pyspark"},
    "cli": {"polars", "rich", "typer"},
}
LAYERS = [name for name in PACKAGES if "." not in name]
LONG = {  # functions that may be longer than 60 lines, and why; at most five
    "matinee.data.reading.read": "its docstring explains ten arguments and a dozen kinds of source",
    "matinee.cli.recommend.recommend": "its signature is the help of its options",
    "matinee.cli.train.train": "its signature is the help of its two dozen options",
    "matinee.models.recommender.recommend": "its docstring explains a dozen arguments",
    "matinee.tuning.search.tune": "its docstring explains twelve arguments",
}
FILES = sorted(SOURCE.rglob("*.py"))


def module_of(path):
    """`matinee.data.dataset` of a file; a package is its `__init__`."""
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in FILES}


@cache
def tree_of(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(path):
    """Dotted names of all that a file imports: in functions and for type checkers, too."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute here"
            for alias in node.names:  # a module, or a name in one
                name = f"{node.module}.{alias.name}"
                yield name if name in MODULES else node.module


def layer_of(module):
    """The layer of a module of matinee, and None for the package itself."""
    layer = module.split(".")[1] if "." in module else None
    return "cli" if layer == "__main__" else layer


@pytest.mark.slow
@pytest.mark.parametrize("module", sorted(MODULES))
def test_imports_go_down(module):
    layer = layer_of(module)
    assert layer is None or layer in {*LAYERS, *ANYWHERE}, f"{layer} is not in the list of layers"
    known = PACKAGES.get(layer, {"numpy"})
    if module.startswith("matinee.models.neural"):
        known = PACKAGES["models.neural"]
    for name in imported(MODULES[module]):
        package = name.split(".")[0]
        if package == "matinee":
            other = layer_of(name)
            if layer in LAYERS and other not in {None, layer, *ANYWHERE}:
                assert LAYERS.index(other) < LAYERS.index(layer), f"{layer} imports {name}"
        elif package not in sys.stdlib_module_names:
            assert package in {*known, "lazy_loader"}, f"{layer} may not know {package}"


def cycle_in(graph):
    """One cycle of a graph, as a text, or None."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return " <- ".join(error.args[1])


@pytest.mark.slow
def test_no_files_import_each_other():
    graph = {
        module: {name for name in imported(path) if name in MODULES} - {module}
        for module, path in MODULES.items()
    }
    assert cycle_in(graph) is None


def test_imports_in_functions_and_for_type_checkers_make_cycles_too(tmp_path):
    late, typed = tmp_path / "errors.py", tmp_path / "progress.py"
    late.write_text("def late():\n    from matinee import progress\n")
    typed.write_text("if TYPE_CHECKING:\n    from matinee.errors import MatineeError\n")
    graph = {"matinee.errors": set(imported(late)), "matinee.progress": set(imported(typed))}
    assert cycle_in(graph) == "matinee.errors <- matinee.progress <- matinee.errors"


@pytest.mark.slow
def test_each_package_lists_its_public_names_once():
    """In `__init__.pyi`, which lazy_loader reads; files import from files, not through packages."""
    for module, path in MODULES.items():
        if path.name == "__init__.py" and "lazy_loader" in path.read_text():
            assert path.with_suffix(".pyi").exists(), module
    for path in FILES:
        for name in imported(path):
            if name in MODULES and name != "matinee":
                lazy = MODULES[name].name == "__init__.py"
                assert not lazy, f"{path} imports through {name}, not from the file"


def test_no_file_is_too_long_to_read_in_one_sitting():
    lines = {module: len(path.read_text().splitlines()) for module, path in MODULES.items()}
    assert {module: n for module, n in lines.items() if n > 450} == {}


def test_functions_fit_on_a_screen():
    long = {}
    for module, path in MODULES.items():
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.FunctionDef):
                length = node.end_lineno - node.lineno + 1
                if length > 60:
                    long[f"{module}.{node.name}"] = length
    assert len(LONG) <= 5
    assert long.keys() <= LONG.keys(), {name: long[name] for name in long.keys() - LONG.keys()}


@pytest.mark.slow
def test_nothing_is_ever_unpickled():
    for path in FILES:
        packages = {name.split(".")[0] for name in imported(path)}
        assert not packages & {"pickle", "cPickle", "joblib", "shelve", "marshal", "dill"}, path
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
                assert isinstance(node.value, ast.Constant), path
                assert node.value.value is False, path
            if isinstance(node, ast.keyword) and node.arg == "weights_only":
                assert getattr(node.value, "value", None) is True, path

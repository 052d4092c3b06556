"""The notebooks run on small data; what they keep is complete and tidy, and shows no user."""

import ast
import re
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")
pytest.importorskip("altair")
pytest.importorskip("torch")

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
LARGEST = 1_500_000  # bytes
SHOWN = ("text/plain", "text/html")
PATHS = (str(FOLDER.parent), "/tmp", "/root", "/home", "/Users", "\\\\", "http://", "https://")  # noqa: S108
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


@pytest.mark.thorough
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_from_top_to_bottom(path, editions, tmp_path, monkeypatch):
    monkeypatch.setenv("MATINEE_CACHE", str(editions))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # steps are too small to share
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = nbformat.read(path, as_version=4)
    client = nbclient.NotebookClient(
        notebook,
        timeout=120,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    )
    client.execute()
    assert all(cell.execution_count for cell in notebook.cells if cell.cell_type == "code")


def _code(path):
    cells = nbformat.read(path, as_version=4).cells
    return [cell for cell in cells if cell.cell_type == "code"]


def _texts(notebook):
    """All text of a notebook, outputs included; no pictures."""
    for cell in notebook.cells:
        yield cell.source
        for out in cell.get("outputs", []):
            yield out.get("text", "")
            yield from (str(text) for mime, text in out.get("data", {}).items() if mime in SHOWN)


def _numbers(text):
    """Those with decimals, and shares in per cent, as they are written."""
    return re.findall(r"(?<![\w.])\d+\.\d+|\d+(?=\s?%)", text)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_numbers_in_the_prose_of_a_notebook_are_those_of_its_outputs(path):
    """Rounded, if the prose has fewer digits; what is no result stands in code."""
    notebook = nbformat.read(path, as_version=4)
    outputs = [out for cell in notebook.cells for out in cell.get("outputs", [])]
    plain = [out.get("text", "") + out.get("data", {}).get("text/plain", "") for out in outputs]
    known = [number for text in plain for number in _numbers(text)]
    prose = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    for said in _numbers(re.sub(r"`[^`]*`", "", "\n".join(prose))):
        digits = len(said.partition(".")[2])
        assert said in {f"{float(number):.{digits}f}" for number in known}, said


def _ends_in_a_value(source):
    last = ast.parse(source).body[-1]
    return isinstance(last, ast.Expr) and not source.rstrip().endswith(";")


def test_there_are_four():
    assert [path.name[:2] for path in NOTEBOOKS] == ["1-", "2-", "3-", "4-"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_keeps_what_came_out(path):
    cells = _code(path)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    for cell in cells:
        assert all(out.output_type in ("stream", "execute_result") for out in cell.outputs)
        assert all(out.name == "stdout" for out in cell.outputs if out.output_type == "stream")
        if _ends_in_a_value(cell.source):
            assert cell.outputs, cell.source


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_short_and_calls_the_library(path):
    notebook = nbformat.read(path, as_version=4)
    assert 12 <= len(notebook.cells) <= 20
    for cell in _code(path):
        tree = ast.parse(cell.source)
        assert not any(isinstance(node, DEFINITIONS) for node in ast.walk(tree)), cell.source


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_says_nothing_of_the_machine(path):
    notebook = nbformat.read(path, as_version=4)
    assert set(notebook.metadata) == {"kernelspec"}
    assert all(not cell.metadata for cell in notebook.cells)
    text = "\n".join(_texts(notebook))
    assert not [part for part in PATHS if part in text]
    assert path.stat().st_size < LARGEST


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_shows_no_user_of_the_data(path):
    shown = "\n".join(cell.source for cell in _code(path))
    names = ("to_frame", "top_rated", "typical_user", "user_embeddings", "interactions")
    assert not [name for name in names if name in shown]
    # recommendations are for users that a cell made up
    asked = re.findall(r"\.(?:recommend|explain)\((\w+)", shown)
    assert set(asked) <= set(re.findall(r"(\w+) = [\w.]+\.fold_in\(", shown))
    for text in _texts(nbformat.read(path, as_version=4)):
        assert not re.search(r"\b(userId|user_id|timestamp|<th>user</th>)\b", text)

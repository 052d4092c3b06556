"""The notebooks run on small data, and what they keep is whole, tidy and about nobody."""

import ast
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from matinee.data.synthetic import generate

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")
pytest.importorskip("altair")
pytest.importorskip("torch")

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
NAMED = ("Toy Story (1995)", "Star Wars{} (1977)", "Alien (1979)", "Casablanca (1942)")
EPISODE = ": Episode IV - A New Hope"  # in the title of all editions but the oldest
LARGEST = 1_500_000  # bytes
SHOWN = ("text/plain", "text/html")
PATHS = ("/work", "/tmp", "/root", "/home", "/Users", "\\\\", "http://", "https://")  # noqa: S108
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


@pytest.fixture(scope="module")
def editions(tmp_path_factory):
    """A cache folder with generated data in the layout of each edition that is used."""
    cache = tmp_path_factory.mktemp("editions")
    data, _ = generate(users=80, items=80, ratings=2500, seed=3)
    rows = pl.DataFrame(
        {
            "user": data.ratings.user + 1,
            "item": data.ratings.item + 1,
            "rating": data.ratings.values,
            "time": data.ratings.timestamp,
        }
    )
    whole = rows.with_columns(pl.col("rating").ceil().cast(pl.Int64))
    _as_csv(cache / "ml-latest-small", rows, _items(data, EPISODE))
    _as_100k(cache / "ml-100k", whole, _items(data, ""))
    _as_dat(cache / "ml-1m", whole, _items(data, EPISODE))
    return cache


def _items(data, episode):
    """(id, title, genres), with known titles for the most rated."""
    titles = list(data.catalog.titles)
    most = np.argsort(-data.ratings.item_counts, kind="stable").tolist()
    for code, title in zip(most, [*NAMED, "Aladdin (1992)"], strict=False):
        titles[code] = title.format(episode)
    return list(zip(range(1, len(titles) + 1), titles, data.catalog.frame["genres"], strict=True))


def _as_csv(folder, rows, items):
    folder.mkdir()
    rows.rename(
        {"user": "userId", "item": "movieId", "rating": "rating", "time": "timestamp"}
    ).write_csv(folder / "ratings.csv", float_precision=1)
    pl.DataFrame(
        [(item, title, "|".join(genres)) for item, title, genres in items],
        schema=["movieId", "title", "genres"],
        orient="row",
    ).write_csv(folder / "movies.csv")


def _as_100k(folder, rows, items):
    folder.mkdir()
    rows.write_csv(folder / "u.data", separator="\t", include_header=False)
    names = ["unknown", *sorted({name for _, _, genres in items for name in genres})]
    lines = [f"{name}|{at}" for at, name in enumerate(names)]
    (folder / "u.genre").write_text("\n".join(lines) + "\n")
    flags = [["01"[name in genres] for name in names] for _, _, genres in items]
    lines = [
        "|".join([str(item), title, "01-Jan-1995", "", "", *flag])
        for (item, title, _), flag in zip(items, flags, strict=True)
    ]
    (folder / "u.item").write_text("\n".join(lines) + "\n")


def _as_dat(folder, rows, items):
    folder.mkdir()
    lines = ["::".join(map(str, row)) for row in rows.iter_rows()]
    (folder / "ratings.dat").write_text("\n".join(lines) + "\n")
    lines = [f"{item}::{title}::{'|'.join(genres)}" for item, title, genres in items]
    (folder / "movies.dat").write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_from_top_to_bottom(path, editions, tmp_path, monkeypatch):
    monkeypatch.setenv("MATINEE_DATA", str(editions))
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
    return [one for one in nbformat.read(path, as_version=4).cells if one.cell_type == "code"]


def _texts(notebook):
    """Everything that is written in a notebook, but for pictures."""
    for cell in notebook.cells:
        yield cell.source
        for out in cell.get("outputs", []):
            yield out.get("text", "")
            yield from (str(one) for kind, one in out.get("data", {}).items() if kind in SHOWN)


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
    names = ("to_frame", "favourites", "typical_viewer", "first_ratings", "user_embeddings")
    assert not [name for name in names if name in shown]
    # recommendations are for users that a cell made up
    asked = re.findall(r"\.(?:recommend|explain)\((\w+)", shown)
    assert set(asked) <= set(re.findall(r"(\w+) = [\w.]+\.fold_in\(", shown))
    for text in _texts(nbformat.read(path, as_version=4)):
        assert not re.search(r"\b(userId|user_id|timestamp|<th>user</th>)\b", text)

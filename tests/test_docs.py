"""What the pages show as Python runs as it stands."""

import re
from pathlib import Path

import pytest

import matinee
from matinee.data.generated import generate

PAGE = Path(__file__).parents[1] / "docs" / "from-the-notebooks.md"


@pytest.fixture
def notebook(tmp_path, monkeypatch):
    """A folder to work in, where the name of an edition stands for generated data."""
    data, _ = generate(viewers=120, movies=90, ratings=4000, seed=2)
    read = matinee.read

    def read_or_generated(source, **how):
        return (
            data if isinstance(source, str) and source == "ml-latest-small" else read(source, **how)
        )

    monkeypatch.setattr(matinee, "read", read_or_generated)
    monkeypatch.chdir(tmp_path)
    return {}


def test_the_notebook_page_runs_from_top_to_bottom(notebook):
    pytest.importorskip("torch")
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(blocks) == 4
    for block in blocks:
        exec(compile(block, PAGE.name, "exec"), notebook)  # noqa: S102
    assert notebook["model"].rating.trainer["factors"] == 16
    assert notebook["vectors"].shape == (90, 16)
    assert notebook["since_2000"].to_frame()["year"].min() >= 2000
    assert (Path("runs/mine") / "manifest.json").exists()

"""What the pages show as commands and as Python runs as it stands."""

import importlib.util
import re
from pathlib import Path

import pytest

import matinee
from matinee.data.synthetic import generate

DOCS = Path(__file__).parents[1] / "docs"
PAGE = DOCS / "from-the-notebooks.md"


@pytest.fixture
def notebook(tmp_path, monkeypatch):
    """A folder to work in, where the name of an edition stands for generated data."""
    data, _ = generate(users=120, items=90, ratings=4000, seed=2)
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
    assert notebook["model"].rating_head.estimator["factors"] == 16
    assert notebook["item_factors"].shape == (90, 16)
    assert notebook["since_2000"].to_frame()["year"].min() >= 2000
    assert (Path("runs/mine") / "manifest.json").exists()


def test_the_gallery_draws_every_picture_that_it_shows(tmp_path):
    """With fewer users and movies than the pictures have."""
    for package in ("altair", "sklearn", "vl_convert"):
        pytest.importorskip(package)
    spec = importlib.util.spec_from_file_location("gallery", DOCS / "gallery.py")
    gallery = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(gallery)
    text = gallery.PAGE.read_text()
    small = text.replace(
        "users=3000, movies=2000, ratings=300_000", "users=300, movies=150, ratings=9_000"
    )
    assert small != text
    shown = set(gallery.IMAGE.findall(text))
    assert shown == {path.name for path in (DOCS / "gallery").iterdir()}
    gallery.run_page(small, tmp_path)
    drawn = {path.name for path in [*tmp_path.glob("*.png"), *tmp_path.glob("runs/*/*.png")]}
    assert shown - set(gallery.SHOTS) <= drawn
    assert (tmp_path / "report.html").stat().st_size > 1_000_000

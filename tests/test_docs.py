"""What the pages show as commands and as Python works, and their links lead somewhere."""

import importlib.util
import re
import shlex
from pathlib import Path

import pytest
import typer

import matinee
from matinee.cli.app import app
from matinee.experiments import Split, train_and_evaluate

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
SOURCE = ROOT / "src" / "matinee"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.glob("*.md"), *ROOT.glob("notebooks/*.md")])
COMMANDS = sorted(
    {
        command
        for page in PAGES
        for command in re.findall(
            r"^(?:\$ |  )(?:\.venv/bin/)?(matinee .*)$", page.read_text(), re.MULTILINE
        )
    }
)


def blocks(page):
    return re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)


@pytest.fixture
def run_blocks(tmp_path, monkeypatch, editions):
    """Run all Python of a page in a new folder, on small data; gives the names that it leaves."""
    monkeypatch.setenv("MATINEE_CACHE", str(editions))
    monkeypatch.chdir(tmp_path)
    # the defaults are for real data
    monkeypatch.setitem(matinee.BayesianMF.__init__.__kwdefaults__, "iterations", 70)

    def run(page, shorter=()):
        names = {}
        for block in blocks(page):
            for long, short in shorter:
                block = block.replace(long, short)
            exec(compile(block, page.name, "exec"), names)  # noqa: S102
        return names

    return run


@pytest.mark.slow
def test_the_python_of_the_readme_runs(run_blocks):
    for package in ("torch", "optuna", "altair", "sklearn", "vl_convert"):
        pytest.importorskip(package)
    data = matinee.read("ml-latest-small")
    split = Split("random", test_fraction=0.1, seed=0)
    train_and_evaluate(data, matinee.ALS(factors=4), split).model.save("runs/demo")
    names = run_blocks(
        ROOT / "README.md", [("trials=50", "trials=2"), ("project(model)", "project(model, 'pca')")]
    )
    explained = names["model"].item_index(names["films"]["title"][0])
    assert explained not in names["ann"].items  # a film that the user has not rated
    assert (Path("runs/mine") / "manifest.json").exists()
    assert Path("map.png").exists()


@pytest.mark.slow
def test_the_python_of_the_page_on_evaluation_runs(run_blocks):
    names = run_blocks(DOCS / "evaluation.md", [("n_users=600", "n_users=30")])
    assert 0 < names["calibration"].log_loss < 3


@pytest.mark.slow
def test_the_python_of_the_page_for_notebooks_runs(run_blocks):
    for package in ("torch", "altair"):
        pytest.importorskip(package)
    names = run_blocks(DOCS / "from-the-notebooks.md")
    assert names["model"].rating_head.estimator["factors"] == 16
    assert names["item_factors"].shape == (90, 16)
    assert names["since_2000"].to_frame()["year"].min() >= 2000
    assert (Path("runs/mine") / "manifest.json").exists()


def test_no_page_has_python_that_nothing_runs():
    run = {"README.md", "evaluation.md", "from-the-notebooks.md", "gallery.md"}
    assert {page.name for page in PAGES if blocks(page)} == run


@pytest.mark.thorough
def test_the_gallery_draws_every_picture_that_it_shows(tmp_path):
    """With fewer users and movies than the pictures have."""
    for package in ("altair", "sklearn", "vl_convert"):
        pytest.importorskip(package)
    spec = importlib.util.spec_from_file_location("gallery", DOCS / "gallery.py")
    gallery = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(gallery)
    text = gallery.PAGE.read_text()
    small = text.replace(
        "users=3000, items=2000, ratings=300_000", "users=300, items=150, ratings=9_000"
    )
    assert small != text
    shown = set(gallery.IMAGE.findall(text))
    assert shown == {path.name for path in (DOCS / "gallery").iterdir()}
    gallery.run_page(small, tmp_path)
    drawn = {path.name for path in [*tmp_path.glob("*.png"), *tmp_path.glob("runs/*/*.png")]}
    assert shown - set(gallery.SHOTS) <= drawn
    assert (tmp_path / "report.html").stat().st_size > 1_000_000


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_on_a_page_has_only_options_that_there_are(command):
    arguments = shlex.split(command, comments=True)[1:]
    group = typer.main.get_command(app)
    context = group.make_context("matinee", ["doctor"])
    while arguments and hasattr(group, "resolve_command"):
        name, group, arguments = group.resolve_command(context, arguments)
    group.make_context(name, arguments, parent=context)  # refuses what it does not know


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if re.match(r"https?:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{page.name}: {target}"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", file.read_text(), re.MULTILINE)
            anchors = {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings}
            assert anchor in anchors, f"{page.name}: {target}"


def test_the_architecture_names_all_files_and_no_other():
    text = (DOCS / "architecture.md").read_text()
    named = set(re.findall(r"`(?:\w+/)*(\w+\.(?:py|toml))`", text))
    files = {path.name for suffix in ("py", "toml") for path in SOURCE.rglob(f"*.{suffix}")}
    assert named == {name for name in files if not name.startswith("__")}

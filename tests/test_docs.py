"""What the pages show as commands and as Python works, and their links lead somewhere."""

import importlib.util
import re
import shlex
from pathlib import Path

import pytest
import typer

from matinee.cli.app import app

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
SOURCE = ROOT / "src" / "matinee"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *ROOT.glob("notebooks/*.md")])
COMMANDS = sorted(
    {
        command
        for page in PAGES
        for shown, inline in re.findall(
            r"^(?:\$ |  )(?:\.venv/bin/)?(matinee .*)$|`(matinee [a-z-]+ [A-Z].*?)`",
            page.read_text(),
            re.MULTILINE,
        )
        if (command := shown or inline)
    }
)


def blocks(page):
    return re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)


GALLERY = DOCS / "gallery.md"  # takes long, and has a test of its own
WITH_PYTHON = [page for page in PAGES if blocks(page) and page != GALLERY]


SHORTER = {  # the defaults are for real data
    "trials=50": "trials=2",
    "n_users=600": "n_users=30",
    "BayesianMF()": "BayesianMF(iterations=70)",
}
LEFT_BEHIND = {  # by the page of that name, in the folder in which it runs
    "tutorial.md": "runs/mine/manifest.json",
    "from-the-notebooks.md": "runs/mine/manifest.json",
}


@pytest.mark.slow
@pytest.mark.parametrize("page", WITH_PYTHON, ids=lambda page: page.name)
def test_the_python_of_a_page_runs(page, tmp_path, monkeypatch, editions):
    """From top to bottom, in a new folder, on small data."""
    for package in ("torch", "optuna", "altair"):
        pytest.importorskip(package)
    monkeypatch.setenv("MATINEE_CACHE", str(editions))
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in blocks(page):
        for long, short in SHORTER.items():
            block = block.replace(long, short)
        exec(compile(block, page.name, "exec"), names)  # noqa: S102
    if page.name in LEFT_BEHIND:
        assert Path(LEFT_BEHIND[page.name]).exists()
    if page.name == "evaluation.md":
        assert 0 < names["calibration"].log_loss < 3
    if page.name == "from-the-notebooks.md":
        assert names["model"].rating_head.estimator["factors"] == 16
        assert names["item_factors"].shape == (90, 16)
        assert names["since_2000"].to_frame()["year"].min() >= 2000
    if page.name == "new-users.md":
        explained = names["model"].item_index(names["films"]["title"][0])
        assert explained not in names["ann"].items  # a film that the user has not rated


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

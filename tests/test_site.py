"""The site of the documentation: it builds without a warning, and no link of it is dead."""

import importlib.util
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    pytest.importorskip("zensical")
    folder = tmp_path_factory.mktemp("docs")
    command = [sys.executable, ROOT / "docs" / "site.py", folder]
    built = subprocess.run(command, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    assert "No issues found" in built.stdout + built.stderr
    return folder / "site"


class Page(HTMLParser):
    """What a page links to, and what of it can be linked to."""

    def __init__(self, path):
        super().__init__()
        self.targets, self.anchors, self.text = [], {""}, []
        self.feed(path.read_text())

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.anchors |= {given.get("id"), given.get("name")}
        for name in ("href", "src"):
            if given.get(name) and not (tag == "link" and given.get("rel") == "canonical"):
                self.targets.append((tag, given[name]))

    def handle_data(self, data):
        self.text.append(data)


@pytest.mark.slow
def test_no_link_of_the_site_is_dead(site):
    pages = {path: Page(path) for path in site.rglob("*.html") if path.name != "404.html"}
    assert len(pages) > 25
    dead = []
    for path, page in pages.items():
        for _, target in page.targets:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            file = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            known = pages[file].anchors if file in pages else {parts.fragment}
            if not file.exists() or unquote(parts.fragment) not in known:
                dead.append(f"{path.relative_to(site)}: {target}")
    assert not dead


@pytest.mark.slow
def test_the_site_needs_nothing_from_elsewhere(site):
    """Links may lead away; scripts, styles and pictures come with it."""
    for path in site.rglob("*.html"):
        for tag, target in Page(path).targets:
            if tag in ("script", "img", "link"):
                assert not urlsplit(target).netloc, f"{path.name}: {target}"
    for path in site.rglob("*.css"):
        assert not re.search(r"(url\(|@import )[\"']?(https?:)?//", path.read_text()), path.name


@pytest.mark.slow
def test_the_reference_shows_signatures_parameters_and_examples(site):
    text = " ".join(" ".join(Page(site / "reference" / "python.html").text).split())
    for shown in ("Recommender", "fold_in", "regularization", "Examples", "predicted_rating"):
        assert shown in text
    assert "matinee cross-validate" in (site / "reference" / "command-line.html").read_text()


def test_links_to_other_files_of_the_repository_become_words():
    spec = importlib.util.spec_from_file_location("site_of_docs", ROOT / "docs" / "site.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    text = "[als](../src/matinee/models/als.py) [out](https://a.b/c) ![p](gallery/map.png)"
    text += " [how](../CONTRIBUTING.md#how-to-add) [here](#x) [run](run-format.md)"
    page = module.site_links(text, ROOT / "docs" / "scale.md", Path("a/scale.md"))
    assert page == (
        "als [out](https://a.b/c) ![p](gallery/map.png)"
        " [how](../contributing.md#how-to-add) [here](#x) [run](../run-format.md)"
    )

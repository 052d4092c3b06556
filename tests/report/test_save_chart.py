"""Charts as files that open anywhere, and are written whole or not at all."""

import json
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import altair as alt
import polars as pl
import pytest

from matinee.errors import SettingError
from matinee.models import ALS
from matinee.plots import training_curves
from matinee.report import document as page
from matinee.report import save_chart

pytest.importorskip("altair")
vl_convert = pytest.importorskip("vl_convert")
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def curves(parts):
    """A chart of three panels."""
    return training_curves(ALS(factors=3, iterations=4).fit(parts[0], test=parts[1]))


@pytest.mark.slow
def test_a_png_is_one_and_wide_enough_for_two_panels(curves, tmp_path):
    path = save_chart(curves, tmp_path / "new" / "curves.png")
    content = path.read_bytes()
    assert content.startswith(PNG)
    assert content.rstrip().endswith(b"IEND\xaeB`\x82")
    width, height = (int.from_bytes(content[at : at + 4], "big") for at in (16, 20))
    assert width > 2 * 2 * 360  # two panels, two pixels for one
    assert height > 2 * 2 * 250
    assert [entry.name for entry in path.parent.iterdir()] == ["curves.png"]


def test_an_svg_names_its_panels_and_curves(curves, tmp_path):
    path = save_chart(curves, str(tmp_path / "curves.svg"))
    root = ET.parse(path).getroot()  # noqa: S314
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    words = {element.text for element in root.iter() if element.text}
    titles = {"Rating head: loss", "Rating head: error"}
    assert words >= titles | {"training", "test", "iteration", "seconds"}


class Tags(HTMLParser):
    """What a page asks a browser to fetch."""

    def __init__(self):
        super().__init__()
        self.fetched, self.scripts = [], 0

    def handle_starttag(self, tag, attrs):
        self.scripts += tag == "script"
        if tag != "a":
            self.fetched += [value for name, value in attrs if name in ("src", "href")]


def test_a_page_needs_no_network(curves, tmp_path):
    path = save_chart(curves, tmp_path / "curves.html")
    text = path.read_text(encoding="utf-8")
    page = Tags()
    page.feed(text)
    assert page.scripts
    assert not page.fetched
    assert not re.search(r"""\bimport\s*(\(|[\w{},*\s]+from)\s*["']https?:""", text)
    assert "Rating head: error" in text
    assert len(text) > 300_000  # the libraries are inside


@pytest.mark.parametrize("name", ["curves.pdf", "curves", "png", ".png"])
def test_another_ending_is_refused_with_the_known_ones(curves, name, tmp_path):
    with pytest.raises(SettingError, match=r"\.png, \.svg, \.html"):
        save_chart(curves, tmp_path / "deep" / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("ending", ["png", "svg", "html"])
def test_an_existing_file_survives_a_failing_save(curves, ending, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    path = tmp_path / f"curves.{ending}"
    path.write_text("as it was")
    made_by = "javascript_bundle" if ending == "html" else f"vegalite_to_{ending}"
    page._library.cache_clear()
    monkeypatch.setattr(vl_convert, made_by, fail)
    with pytest.raises(OSError, match="the disk is full"):
        save_chart(curves, path)
    assert path.read_text() == "as it was"
    assert list(tmp_path.iterdir()) == [path]


def test_an_existing_file_is_replaced(curves, tmp_path):
    path = tmp_path / "curves.svg"
    path.write_text("as it was")
    assert save_chart(curves, path) == path
    assert "<svg" in path.read_text()
    assert list(tmp_path.iterdir()) == [path]


def test_saving_leaves_the_chart_as_it_was(curves, tmp_path):
    before = curves.to_dict()
    save_chart(curves, tmp_path / "curves.svg")
    assert curves.to_dict() == before


@pytest.mark.slow
def test_charts_of_ones_own_are_pages_too(tmp_path):
    frame = pl.DataFrame({"a": [1, 2], "b": [3, 4]})
    bare = alt.Chart(frame).mark_point().encode(x="a", y="b")
    for chart, count in (
        (bare, 1),
        (bare.properties(title="Mine"), 1),
        (bare | bare, 2),
        (bare & (bare | bare.properties(title="Mine")), 3),
    ):
        text = save_chart(chart, tmp_path / "made.html").read_text(encoding="utf-8")
        assert text.count("<figure ") == count
        assert ("Mine" in text) == ("Mine" in json.dumps(chart.to_dict()))

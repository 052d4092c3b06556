"""Pages: sections of text, tables and charts as one self-contained HTML file; charts as files.

Titles and names come from files that anybody can edit. They reach the page in two ways only: as
text that the template escapes, and as JSON in which no tag can end. A policy in the page's head
lets no script run but the page's own two, known by their hashes, and no request leave.
"""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import altair as alt
import jinja2
import polars as pl
import vl_convert

from matinee.errors import SettingError
from matinee.plots.theme import HEIGHT, Chart, theme
from matinee.storage.atomic import new_file

HERE = Path(__file__).parent / "templates"


class Figure(NamedTuple):
    """A chart, or several with a button for each; the name of a single one does not show.

    One that `fills` is as high as the screen has room for, and its title is that of its section.
    """

    charts: Mapping[str, Chart]
    wide: bool = False
    fills: bool = False


class Table(NamedTuple):
    """Rows of text, numbers, or lists of text (one below the other) under headings."""

    headings: Sequence[str]
    rows: Sequence[Sequence[Any]]
    caption: str = ""
    wide: bool = True


class Facts(NamedTuple):
    """Numbers that stand out, each with what it is."""

    facts: Sequence[tuple[str, str]]


class KeyMetric(NamedTuple):
    """A value in large type, which direction is better, what it means, and values beside it."""

    name: str
    value: str
    better: str
    meaning: str
    compared: Sequence[str]


class KeyMetrics(NamedTuple):
    """What matters most about a model."""

    metrics: Sequence[KeyMetric]


class Card(NamedTuple):
    """A box with a name, a line below it, and named lists; others follow from one that `leads`."""

    name: str
    line: str
    lists: Mapping[str, Sequence[str]]
    leads: bool = False


class Cards(NamedTuple):
    """Boxes beside one another."""

    cards: Sequence[Card]


class Command(str):
    """A command for a terminal, exactly as one types it."""


class Folded(NamedTuple):
    """Details under a line that opens them."""

    title: str
    blocks: "Sequence[Block]"


Block = Figure | Table | Facts | KeyMetrics | Cards | Command | Folded | str
"""What a section is made of; text is a paragraph."""


class Section(NamedTuple):
    """A part of a page under a heading, which opens it where it is folded."""

    title: str
    blocks: Sequence[Block] = ()
    folded: bool = False


class Number(str):
    """A formatted number: its digits have one width, and it is never broken into lines."""


def table(
    frame: pl.DataFrame,
    headings: Mapping[str, str],
    formats: Mapping[str, str] | None = None,
    caption: str = "",
    *,
    wide: bool = True,
) -> Table:
    """Columns of a frame under headings; numbers by `formats`, else with thousands separators."""

    def cell(name: str, value: Any) -> Any:
        if isinstance(value, int | float):
            return Number(format(value, (formats or {}).get(name, ",")))
        return "" if value is None else value

    rows = [[cell(name, row[name]) for name in headings] for row in frame.to_dicts()]
    return Table(list(headings.values()), rows, caption, wide)


def figure(chart: Chart, *, wide: bool = False) -> Figure:
    """One chart as a block."""
    return Figure({"": chart}, wide)


def terms_of_use(licence: str) -> str:
    """The line below the title of a page about a dataset."""
    return f"Terms of use of the data: {licence or 'unknown'}."


def write_page(path: Path, title: str, line: str, sections: Sequence[Section]) -> Path:
    """Write a page to a file, whole or not at all."""
    with new_file(path) as fresh:
        fresh.write_text(render(title, line, sections), encoding="utf-8")
    return path


def render(title: str, line: str, sections: Sequence[Section]) -> str:
    """The HTML of a page."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["type"] = lambda value: type(value).__name__
    charts = _Charts()
    environment.filters["add_chart"] = charts.add
    # charts are collected while the body is rendered, and stand below it
    body = environment.get_template("body.html").render(sections=sections)
    library, script = _library(), (HERE / "page.js").read_text(encoding="utf-8")
    return environment.get_template("page.html").render(
        title=title,
        line=line,
        sections=sections,
        body=body,
        policy=f"script-src {_hash(library)} {_hash(script)}",
        style=(HERE / "page.css").read_text(encoding="utf-8"),
        library=library,
        script=script,
        data=_escaped(charts.to_json()),
        version=version("matinee"),
    )


class _Charts:
    """The charts of a page, and their data, each once however many charts show them."""

    def __init__(self) -> None:
        self.charts: list[dict[str, Any]] = []
        self.datasets: dict[str, dict[str, Any]] = {}

    def add(self, chart: Chart) -> dict[str, Any]:
        """Its number, and its title and lines, which stand in the page, where they can wrap."""
        spec = chart.to_dict()
        heading = spec.pop("title", "")
        if isinstance(heading, str):
            heading = {"text": heading}
        for name, values in spec.pop("datasets", {}).items():
            columns = list(values[0]) if values else []
            self.datasets[name] = {
                "columns": columns,
                "rows": [[row[column] for column in columns] for row in values],
            }
        spec.pop("config", None)
        self.charts.append({**spec, "width": "container"})
        return {
            "number": len(self.charts) - 1,
            "title": heading["text"],
            "lines": heading.get("subtitle", []),
            "height": spec.get("height", HEIGHT),
        }

    def to_json(self) -> str:
        """Charts, data and both themes."""
        themes = {"light": theme(), "dark": theme(dark=True)}
        content = {"charts": self.charts, "datasets": self.datasets, "themes": themes}
        return json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _escaped(text: str) -> str:
    """JSON in which nothing can end a script element or begin a comment."""
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text


def _hash(script: str) -> str:
    """A script's hash as a content security policy spells it."""
    digest = hashlib.sha256(script.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


@cache
def _library() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script."""
    return vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")


FORMATS = (".png", ".svg", ".html")
CONCATENATED = {alt.ConcatChart: "concat", alt.HConcatChart: "hconcat", alt.VConcatChart: "vconcat"}
SCALE = 2  # pixels of a PNG for each of a chart


def save_chart(chart: Any, path: str | Path) -> Path:
    """Write an Altair chart to a file, whole or not at all.

    The suffix says as what: .png, .svg, or .html, a page that needs no network; SettingError for
    another one.
    """
    path = Path(path)
    if path.suffix not in FORMATS:
        raise SettingError(f"{path}: the name of a picture must end in {', '.join(FORMATS)}.")
    if path.suffix == ".html":
        blocks = [figure(panel) for panel in _panels(chart)]
        return write_page(path, path.stem, "", [Section("", blocks)])
    spec = {**chart.to_dict(), "config": theme()}
    with new_file(path) as fresh:
        if path.suffix == ".png":
            fresh.write_bytes(vl_convert.vegalite_to_png(spec, scale=SCALE))
        else:
            fresh.write_text(vl_convert.vegalite_to_svg(spec), encoding="utf-8")
    return path


def _panels(chart: Any) -> list[Any]:
    """A chart, or the charts that it concatenates, each with its own data."""
    if type(chart) not in CONCATENATED:
        return [chart]
    panels = [panel.copy() for panel in getattr(chart, CONCATENATED[type(chart)])]
    for panel in panels:
        if panel.data is alt.Undefined:  # altair lifts data that all share
            panel.data = chart.data
    return [part for panel in panels for part in _panels(panel)]

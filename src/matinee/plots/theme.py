"""Colours, sizes and the frame that all charts share, on light and dark pages."""

from collections.abc import Sequence
from typing import Any

import altair as alt
import polars as pl

Chart = alt.Chart | alt.LayerChart

WIDTH, HEIGHT = 460, 280  # pixels, of a chart that stands alone
ROW = 20  # pixels of a bar or a cell in a list of names
BLUE, ORANGE, GREY, RED = "#3f74b5", "#e0803c", "#98a1ae", "#c8504b"
LIGHT = ("#ffffff", "#1d232e", "#5b6574", "#e3e6eb")
DARK = ("#181c24", "#e9ecf2", "#a9b2c0", "#363d4b")
"""Page, ink, quieter ink, lines."""
# distinct on white and on nearly black; neighbours in a legend are far apart in hue
COLORS = (
    "#4c78a8", "#f58518", "#54a24b", "#e45756", "#b279a2", "#9d755d", "#72b7b2", "#eeca3b",
    "#ff9da6", "#6f63e8", "#7f7f9f", "#2f9e8f", "#c2568b", "#8cb4e2", "#c98a3b", "#88b04b",
    "#8c6bb1", "#b4532a", "#a3a847", "#a05d56",
)  # fmt: skip


def theme(dark: bool = False) -> dict[str, Any]:
    """The Vega-Lite configuration of all charts, for a light or a dark page."""
    page, ink, muted, line = DARK if dark else LIGHT
    text = {
        "labelColor": muted,
        "titleColor": muted,
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
    }
    return {
        "background": page,
        "font": "sans-serif",
        "padding": 8,
        "title": {
            "anchor": "start",
            "color": ink,
            "fontSize": 15,
            "fontWeight": 600,
            "subtitleColor": muted,
            "subtitleFontSize": 12,
            "subtitlePadding": 5,
            "offset": 12,
        },
        "view": {"stroke": None},
        "axis": {
            **text,
            "titlePadding": 8,
            "gridColor": line,
            "domain": False,
            "tickColor": line,
            "labelLimit": 180,
            "labelSeparation": 6,
        },
        "legend": {**text, "labelLimit": 200},
        "text": {"color": ink, "fontSize": 11},
        # titles on points: the page shines through around them
        "style": {"halo": {"stroke": page, "strokeWidth": 3, "strokeJoin": "round"}},
        "rule": {"color": muted},
    }


@alt.theme.register("matinee", enable=True)  # for notebooks, which draw charts themselves
def _default() -> alt.theme.ThemeConfig:
    return {"config": theme()}  # type: ignore[typeddict-item]


def rows(frame: pl.DataFrame) -> dict[str, Any]:
    """A frame as the data of a chart; times as text.

    A plain dict, however many rows: Altair checks and copies its own kinds of data row by row.
    """
    times = pl.selectors.temporal()
    return {"values": frame.with_columns(times.dt.to_string("iso:strict")).to_dicts()}


def framed(chart: Any, title: str, *lines: str, width: int = WIDTH, height: int = HEIGHT) -> Chart:
    """A chart with its title, lines below it that say how to read it, and a size in pixels."""
    heading = alt.TitleParams(title, subtitle=[line for line in lines if line])
    chart_in_frame: Chart = chart.properties(title=heading, width=width, height=height)
    return chart_in_frame


def in_order(names: Sequence[str]) -> alt.Scale:
    """Colours for names in this order."""
    colors = [COLORS[number % len(COLORS)] for number in range(len(names))]
    return alt.Scale(domain=list(names), range=colors)


def heatmap_axis(names: Sequence[str], **axis: Any) -> dict[str, Any]:
    """Encoding of named rows or columns of cells, in this order and without a title."""
    return {"title": None, "sort": list(names), "axis": alt.Axis(grid=False, **axis)}


def shortened(field: str, letters: int) -> str:
    """A Vega expression that cuts long titles in the middle, so that the year at the end stays."""
    return f"truncate({field}, {letters}, 'center', '\u2026')"


def n_ratings(unit: str) -> alt.Tooltip:
    """How many ratings, or interactions."""
    return alt.Tooltip("n_ratings:Q", title=f"{unit}s", format=",")


COUNT = alt.Axis(format=",d", tickCount=5)
"""The axis of a number of ratings, users or items."""
INTERVAL = {"value": pl.Float64, "ci_low": pl.Float64, "ci_high": pl.Float64}
"""Columns of a chart of intervals, beside those of what has them."""


def interval_chart(
    data: pl.DataFrame,
    axis: alt.X | alt.Y,
    tooltip: Sequence[alt.Tooltip],
    *background: alt.Chart,
    **encoding: Any,
) -> Any:
    """A dot at each value and a line over its interval; `axis` is that of the column `value`."""
    base = alt.Chart(rows(data)).encode(**encoding)
    channel = "x" if isinstance(axis, alt.X) else "y"
    dots = base.mark_circle(size=100, opacity=1).encode(**{channel: axis}, tooltip=list(tooltip))
    lines = base.mark_rule(size=2).encode(**{channel: "ci_low:Q", f"{channel}2": "ci_high:Q"})
    return alt.layer(*background, lines, dots)

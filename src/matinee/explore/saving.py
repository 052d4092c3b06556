"""Charts as files."""

from pathlib import Path
from typing import Any

import altair as alt
import vl_convert

from matinee.errors import SettingError
from matinee.explore.charts.house import theme
from matinee.explore.pages.page import Section, figure, write_page
from matinee.folders import new_file

FORMATS = (".png", ".svg", ".html")
TOGETHER: dict[Any, str] = {
    alt.ConcatChart: "concat",
    alt.HConcatChart: "hconcat",
    alt.VConcatChart: "vconcat",
}
DENSITY = 2  # pixels of a PNG for each of a chart


def save_chart(chart: Any, path: str | Path) -> Path:
    """Write a chart to a file, whole or not at all.

    Parameters
    ----------
    chart : altair chart
    path : str or Path
        Its ending says as what: .png, .svg, or .html, a page that needs no network.

    Raises
    ------
    SettingError
        For another ending.
    """
    path = Path(path)
    if path.suffix not in FORMATS:
        raise SettingError(f"{path}: a picture ends in {', '.join(FORMATS)}.")
    if path.suffix == ".html":
        blocks = [figure(panel) for panel in _panels(chart)]
        return write_page(path, path.stem, "", [Section("", blocks)])
    spec = {**chart.to_dict(), "config": theme()}
    with new_file(path) as fresh:
        if path.suffix == ".png":
            fresh.write_bytes(vl_convert.vegalite_to_png(spec, scale=DENSITY))
        else:
            fresh.write_text(vl_convert.vegalite_to_svg(spec), encoding="utf-8")
    return path


def _panels(chart: Any) -> list[Any]:
    """A chart, or the charts that it puts side by side, each with its own data."""
    for kind, name in TOGETHER.items():
        if isinstance(chart, kind):
            panels = [panel.copy() for panel in getattr(chart, name)]
            for panel in panels:
                if panel.data is alt.Undefined:  # altair lifts data that all share
                    panel.data = chart.data
            return [one for panel in panels for one in _panels(panel)]
    return [chart]

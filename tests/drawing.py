"""Charts as Vega-Lite compiles and draws them."""

import json
import re
from dataclasses import dataclass

import vl_convert

from matinee.plots.theme import theme


@dataclass
class Drawn:
    """A chart that was drawn without a complaint.

    `rows` are the data of each layer in their order, those of the whole chart first.
    """

    spec: dict
    rows: list
    svg: str

    @property
    def title(self):
        return self.spec["title"]["text"]

    @property
    def lines(self):
        return " ".join(self.spec["title"]["subtitle"])

    def count(self, mark):
        return len(re.findall(f'aria-roledescription="{mark}"', self.svg))


def drawn(chart, capfd, dark=False):
    """Compile and draw a chart; it has a title, and its axes have names."""
    spec = chart.to_dict()
    json.dumps(spec, allow_nan=False)
    assert spec["title"]["text"]
    themed = {**spec, "config": theme(dark)}
    capfd.readouterr()
    compiled = vl_convert.vegalite_to_vega(themed, show_warnings=True)
    svg = vl_convert.vegalite_to_svg(themed, show_warnings=True)
    assert capfd.readouterr().err == ""
    assert not re.search(r"NaN|Infinity|undefined", svg)
    _look_at_axes(spec, compiled)
    parts = [part for part in (spec, *spec.get("layer", [])) if "data" in part]
    return Drawn(spec, [spec["datasets"][part["data"]["name"]] for part in parts], svg)


def _look_at_axes(spec, compiled):
    """Each has a title that was written, unless it is one of names and says it has none."""
    kinds = {scale["name"]: scale["type"] for scale in compiled["scales"]}
    channels = {
        channel: [
            layer["encoding"][channel]
            for layer in (spec, *spec.get("layer", []))
            if channel in layer.get("encoding", {})
        ]
        for channel in ("x", "y")
    }
    for channel, encodings in channels.items():
        shown = [axis for axis in compiled.get("axes", []) if axis["scale"] == channel]
        if not shown:
            assert any("axis" in one and one["axis"] is None for one in encodings)
            continue
        titles = {axis["title"] for axis in shown if axis.get("title")}
        said = {one["title"] for one in encodings if one.get("title")}
        assert titles == said
        assert len(said) <= 1
        if not said:
            assert kinds[channel] in ("band", "point")
            assert any("title" in one and one["title"] is None for one in encodings)

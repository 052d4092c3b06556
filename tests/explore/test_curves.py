"""Curves of a training: what is drawn for which history, and files that open anywhere."""

import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser
from importlib.util import find_spec

import polars as pl
import pytest

import matinee
from matinee.errors import SettingError
from matinee.explore import curves, save_curves, training_curves
from matinee.models import ALS, EASE, BiasOnly, Popularity

pytest.importorskip("altair")
pytest.importorskip("vl_convert")
needs_torch = pytest.mark.skipif(not find_spec("torch"), reason="PyTorch is an extra")
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def als(parts):
    """ALS, with the test part judged after every iteration."""
    return ALS(factors=3, iterations=4).fit(parts[0], test=parts[1])


@pytest.fixture(scope="module")
def gradients(parts):
    """MF for stars and BPR for lists, both with a validation and a test part."""
    from matinee.neural import BPR, MatrixFactorization

    train, validation = parts[0].split("random", test_fraction=0.1, seed=1)
    how = {"factors": 3, "epochs": 3, "device": "cpu"}
    mf, bpr = (
        recipe(**how).fit(train, validation=validation, test=parts[1], threads=1)
        for recipe in (MatrixFactorization, BPR)
    )
    return mf.with_ranking(bpr)


def drawn(model):
    """What each panel shows: title to the columns of its table, curve by curve."""
    chart = json.loads(training_curves(model).to_json())
    panels = {}
    for panel in chart["concat"]:
        data = panel.get("data") or chart["data"]  # a single panel's stands at the top
        found = {}
        for point in chart["datasets"][data["name"]]:
            found.setdefault(point["curve"], []).append((point["iteration"], point["value"]))
        panels[panel["title"]] = found
    return panels


def numbered(history, column):
    return list(history.select("iteration", column).rows())


def colors(model):
    """Title to (curves in the order of the legend, their colours, whether there is a legend)."""
    return {
        panel["title"]: (
            panel["encoding"]["color"]["scale"]["domain"],
            panel["encoding"]["color"]["scale"]["range"],
            panel["encoding"]["color"]["legend"] is not None,
        )
        for panel in training_curves(model).to_dict()["concat"]
    }


def test_als_shows_its_loss_and_both_errors(als):
    history = als.rating.history
    assert drawn(als) == {
        "Stars: Loss": {"loss": numbered(history, "loss")},
        "Stars: RMSE in stars": {
            "training": numbered(history, "train_rmse"),
            "test": numbered(history, "test_rmse"),
        },
    }


@needs_torch
def test_gradients_show_loss_and_figures_of_both_heads(gradients):
    stars, lists = gradients.rating.history, gradients.ranking.history
    found = drawn(gradients)
    assert list(found) == [
        "Stars: Loss",
        "Stars: RMSE in stars",
        "Lists: Loss",
        "Lists: Hit rate@10 of 100",
    ]
    assert found["Stars: RMSE in stars"] == {
        "training": numbered(stars, "train_rmse"),
        "validation": numbered(stars, "validation_rmse"),
        "test": numbered(stars, "test_rmse"),
    }
    assert found["Lists: Loss"] == {"loss": numbered(lists, "loss")}
    assert found["Lists: Hit rate@10 of 100"] == {
        "validation": numbered(lists, "validation_hit_rate"),
        "test": numbered(lists, "test_hit_rate"),
    }


@needs_torch
def test_a_loaded_run_draws_what_it_drew_before(gradients, tmp_path):
    assert drawn(matinee.load(gradients.save(tmp_path / "run"))) == drawn(gradients)


@needs_torch
def test_a_curve_has_the_same_colour_in_every_panel_and_its_place_in_the_legend(gradients):
    found = colors(gradients)
    assert found["Stars: RMSE in stars"][0] == ["training", "validation", "test"]
    assert found["Lists: Hit rate@10 of 100"][0] == ["validation", "test"]
    color_of = {}
    for names, shades, legend in found.values():
        assert legend == (len(names) > 1)
        assert len(set(shades)) == len(names)
        for name, shade in zip(names, shades, strict=True):
            assert color_of.setdefault(name, shade) == shade
    assert set(color_of) == {"loss", "training", "validation", "test"}


@needs_torch
def test_steps_are_called_what_the_recipe_calls_them(als, gradients):
    for model, unit in ((als, "iteration"), (gradients, "epoch")):
        panels = training_curves(model).to_dict()["concat"]
        assert {panel["encoding"]["x"]["title"] for panel in panels} == {unit}


def test_a_long_training_is_a_line_and_a_short_one_has_points(als):
    def marks(epochs):
        history = pl.DataFrame({"iteration": range(1, epochs + 1), "loss": [1.0] * epochs})
        (panel,) = training_curves(with_history(als, history)).to_dict()["concat"]
        return panel["mark"]["point"]

    assert (marks(1), marks(30), marks(31)) == (True, True, False)


def with_history(model, history):
    return replace(model, rating=replace(model.rating, history=history))


def test_what_was_not_measured_is_left_out(als):
    history = pl.DataFrame(
        {
            "iteration": [1, 2, 3],
            "train_rmse": [1.0, 0.9, 0.8],
            "test_rmse": [None, 0.95, None],
        }
    )
    assert drawn(with_history(als, history)) == {
        "Stars: RMSE in stars": {
            "training": [(1, 1.0), (2, 0.9), (3, 0.8)],
            "test": [(2, 0.95)],
        }
    }


@pytest.mark.parametrize("recipe", [EASE(), Popularity()], ids=lambda one: type(one).__name__)
def test_a_model_without_a_training_in_steps_is_refused(recipe, parts, tmp_path):
    model = recipe.fit(parts[0])
    with pytest.raises(SettingError, match="no history"):
        training_curves(model)
    with pytest.raises(SettingError, match="no history"):
        save_curves(model, tmp_path / "deep" / "none.png")
    assert not any(tmp_path.rglob("*.*"))


def test_a_head_without_steps_leaves_the_other_its_panels(parts, als):
    both = als.with_ranking(EASE().fit(parts[0]))
    assert drawn(both) == drawn(als)
    biases = BiasOnly(iterations=3).fit(parts[0]).with_ranking(EASE().fit(parts[0]))
    assert set(drawn(biases)) == {"Stars: Loss", "Stars: RMSE in stars"}


def test_a_png_is_one_and_wide_enough_for_two_panels(als, tmp_path):
    path = save_curves(als, tmp_path / "new" / "curves.png")
    content = path.read_bytes()
    assert content.startswith(PNG)
    assert content.rstrip().endswith(b"IEND\xaeB`\x82")
    width, height = (int.from_bytes(content[at : at + 4], "big") for at in (16, 20))
    assert width > 2 * height > 600
    assert [entry.name for entry in path.parent.iterdir()] == ["curves.png"]


def test_an_svg_names_its_panels_and_curves(als, tmp_path):
    root = ET.parse(save_curves(als, str(tmp_path / "curves.svg"))).getroot()  # noqa: S314
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    words = {element.text for element in root.iter() if element.text}
    assert words >= {"Stars: Loss", "Stars: RMSE in stars", "training", "test", "iteration"}


class Tags(HTMLParser):
    """What a page asks a browser to fetch."""

    def __init__(self):
        super().__init__()
        self.fetched, self.scripts, self.inside = [], 0, False

    def handle_starttag(self, tag, attrs):
        self.scripts += tag == "script"
        if tag != "a":
            self.fetched += [value for name, value in attrs if name in ("src", "href")]


def test_a_page_needs_no_network(als, tmp_path):
    text = save_curves(als, tmp_path / "curves.html").read_text(encoding="utf-8")
    page = Tags()
    page.feed(text)
    assert page.scripts
    assert not page.fetched
    assert not re.search(r"""\bimport\s*(\(|[\w{},*\s]+from)\s*["']https?:""", text)
    assert "Stars: RMSE in stars" in text
    assert len(text) > 300_000  # the libraries are inside


@pytest.mark.parametrize("name", ["curves.pdf", "curves", "png", ".png"])
def test_another_ending_is_refused_with_the_known_ones(als, name, tmp_path):
    with pytest.raises(SettingError, match=r"\.png, \.svg, \.html"):
        save_curves(als, tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("ending", [".png", ".svg", ".html"])
def test_an_existing_file_survives_a_failing_save(als, ending, tmp_path, monkeypatch):
    class Broken:
        def save(self, path, **how):
            path.write_text("half of")
            raise OSError(28, "No space left on device")

    path = tmp_path / f"curves{ending}"
    path.write_text("as it was")
    monkeypatch.setattr(curves, "training_curves", lambda model: Broken())
    with pytest.raises(OSError, match="No space"):
        save_curves(als, path)
    assert path.read_text() == "as it was"
    assert list(tmp_path.iterdir()) == [path]


def test_an_existing_file_is_replaced(als, tmp_path):
    path = tmp_path / "curves.svg"
    path.write_text("as it was")
    assert save_curves(als, path) == path
    assert "<svg" in path.read_text()
    assert list(tmp_path.iterdir()) == [path]

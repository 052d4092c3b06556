"""Training curves: what is drawn for which history."""

import json
from dataclasses import replace
from importlib.util import find_spec

import polars as pl
import pytest

import matinee
from matinee.errors import SettingError
from matinee.models import ALS, EASE, Bias, Popularity
from matinee.plots import training_curves, training_curves_by_run

pytest.importorskip("altair")
vl_convert = pytest.importorskip("vl_convert")
needs_torch = pytest.mark.skipif(not find_spec("torch"), reason="PyTorch is an extra")
NAMES = ["Rating head: loss", "Rating head: error", "Rating head: time per iteration"]


@pytest.fixture(scope="module")
def als(parts):
    """ALS, with test errors of every iteration."""
    return ALS(factors=3, iterations=4).fit(parts[0], test=parts[1])


@pytest.fixture(scope="module")
def gradients(parts):
    """MF and BPR, both with a validation and a test set."""
    from matinee.models.neural import BPR, MatrixFactorization

    train, validation = parts[0].split("random", test_fraction=0.1, seed=1)
    how = {"factors": 3, "epochs": 3, "device": "cpu"}
    mf, bpr = (
        estimator(**how).fit(train, validation=validation, test=parts[1], threads=1)
        for estimator in (MatrixFactorization, BPR)
    )
    return mf.with_ranking(bpr)


def panels(runs):
    """Title to (panel, rows of its data)."""
    chart = training_curves(runs).to_dict()
    json.dumps(chart, allow_nan=False)
    found = {}
    for panel in chart["concat"]:
        data = panel.get("data") or chart["data"]  # a single panel's stands at the top
        found[panel["title"]["text"]] = panel, chart["datasets"][data["name"]]
    assert len(found) == len(chart["concat"])
    return found


def drawn(runs):
    """Title to the curves of a panel, (run, kind) to points."""
    found = {}
    for title, (_, points) in panels(runs).items():
        curves = found.setdefault(title, {})
        for point in points:
            curve = curves.setdefault((point["run"], point["series"]), [])
            curve.append((point["iteration"], point["value"]))
    return found


def curves(history, **columns):
    """What a run without a name shows of its history; kind to column."""
    return {
        ("", kind): list(history.select("iteration", column).rows())
        for kind, column in columns.items()
    }


def with_history(model, history):
    return replace(model, rating_head=replace(model.rating_head, history=history))


def history_of(**columns):
    steps = len(next(iter(columns.values())))
    return pl.DataFrame({"iteration": range(1, steps + 1), **columns})


def test_als_shows_its_loss_both_errors_and_its_time(als):
    history = als.rating_head.history
    found = drawn(als)
    assert list(found) == NAMES
    assert found["Rating head: loss"] == curves(history, loss="loss")
    assert found["Rating head: error"] == curves(history, training="train_rmse", test="test_rmse")
    assert [step for step, _ in found[NAMES[2]]["", "seconds"]] == [1, 2, 3, 4]


def test_time_is_that_of_each_step_and_adds_up_to_the_whole(als):
    history = history_of(seconds=[2.0, 2.5, 4.5])
    found = drawn(with_history(als, history))
    assert found == {NAMES[2]: {("", "seconds"): [(1, 2.0), (2, 0.5), (3, 2.0)]}}
    (own,) = drawn(als)[NAMES[2]].values()
    assert sum(seconds for _, seconds in own) == pytest.approx(
        als.rating_head.history["seconds"][-1]
    )
    assert all(seconds >= 0 for _, seconds in own)


@pytest.mark.slow
@needs_torch
def test_gradients_show_loss_and_metrics_of_both_heads(gradients):
    values, lists = gradients.rating_head.history, gradients.ranking_head.history
    found = drawn(gradients)
    assert list(found) == [
        "Rating head: loss",
        "Rating head: error",
        "Rating head: time per epoch",
        "Ranking head: loss",
        "Ranking head: hit rate",
        "Ranking head: time per epoch",
    ]
    assert found["Rating head: error"] == curves(
        values, training="train_rmse", validation="validation_rmse", test="test_rmse"
    )
    assert found["Ranking head: loss"] == curves(lists, loss="loss")
    assert found["Ranking head: hit rate"] == curves(
        lists, validation="validation_hit_rate", test="test_hit_rate"
    )


@pytest.mark.slow
@needs_torch
def test_a_loaded_run_draws_what_it_drew_before(gradients, tmp_path):
    assert drawn(matinee.load(gradients.save(tmp_path / "run"))) == drawn(gradients)


@pytest.mark.slow
@needs_torch
def test_a_curve_has_the_same_colour_in_every_panel_and_its_place_in_the_legend(gradients):
    color_of = {}
    for title, (panel, points) in panels(gradients).items():
        color = panel["encoding"]["color"]
        if "time" in title:
            assert set(color) == {"value"}  # one curve, one colour
            color_of["seconds"] = color["value"]
            continue
        names, shades = color["scale"]["domain"], color["scale"]["range"]
        assert color["field"] == "series"
        assert set(names) == {point["series"] for point in points}
        assert (color["legend"] is not None) == (len(names) > 1)
        for name, shade in zip(names, shades, strict=True):
            assert color_of.setdefault(name, shade) == shade
    assert set(color_of) == {"loss", "training", "validation", "test", "seconds"}
    assert len(set(color_of.values())) == len(color_of)


@pytest.mark.slow
@needs_torch
def test_steps_are_called_what_the_estimator_calls_them(als, gradients):
    for model, step in ((als, "iteration"), (gradients, "epoch")):
        shown = panels(model)
        assert {panel["encoding"]["x"]["title"] for panel, _ in shown.values()} == {step}
        assert {title for title in shown if "time" in title} <= {
            f"{head}: time per {step}" for head in ("Rating head", "Ranking head")
        }


def test_axes_name_their_units(als):
    units = [panel["encoding"]["y"]["title"] for panel, _ in panels(als).values()]
    assert units == ["loss", "RMSE", "seconds"]
    for title, (panel, _) in panels(als).items():  # time is compared with none at all
        assert panel["encoding"]["y"]["scale"]["zero"] == ("time" in title)


def test_a_long_training_is_a_line_and_a_short_one_has_points(als):
    def marks(steps):
        model = with_history(als, history_of(loss=[1.0] * steps))
        ((panel, _),) = panels(model).values()
        return panel["mark"]["point"]

    assert (marks(2), marks(30), marks(31)) == (True, True, False)


def test_what_was_not_measured_is_left_out(als):
    history = history_of(train_rmse=[1.0, 0.9, 0.8], test_rmse=[None, 0.95, None])
    assert drawn(with_history(als, history)) == {
        "Rating head: error": {
            ("", "training"): [(1, 1.0), (2, 0.9), (3, 0.8)],
            ("", "test"): [(2, 0.95)],
        }
    }


def test_a_column_without_a_single_value_makes_no_panel(als):
    history = history_of(loss=[2.0, 1.0], test_rmse=pl.Series([None, None], dtype=pl.Float64))
    assert list(drawn(with_history(als, history))) == ["Rating head: loss"]


# --- several runs


@pytest.mark.slow
def test_several_runs_lie_over_each_other_by_colour_and_kinds_by_dash(als, parts):
    runs = {
        "wide": ALS(factors=5, iterations=3).fit(parts[0], test=parts[1]),
        "<b>": als,
        "biases": Bias(iterations=2).fit(parts[0]),
    }
    alone = {name: drawn({name: model}) for name, model in runs.items()}
    together = drawn(runs)
    assert list(together) == NAMES
    for title, found in together.items():
        expected = {}
        for one in alone.values():
            expected |= one.get(title, {})
        assert found == expected
    shades = set()
    for title, (panel, _) in panels(runs).items():
        color, dash = panel["encoding"]["color"], panel["encoding"].get("strokeDash")
        assert color["field"] == "run"
        assert color["scale"]["domain"] == list(runs)
        assert len(set(color["scale"]["range"])) == len(runs)
        assert color["legend"] is not None
        shades.add(tuple(color["scale"]["range"]))
        assert (dash is not None) == (title == "Rating head: error")
    assert len(shades) == 1  # a run has one colour in all panels
    dash = panels(runs)["Rating head: error"][0]["encoding"]["strokeDash"]
    assert (dash["field"], dash["scale"]["domain"]) == ("series", ["training", "test"])
    assert len({tuple(one) for one in dash["scale"]["range"]}) == 2


@pytest.mark.slow
def test_one_run_under_a_name_looks_as_without_one(als):
    for title, (panel, points) in panels({"mine": als}).items():
        bare, nameless = panels(als)[title]
        assert panel["encoding"] == bare["encoding"]
        assert [{**point, "run": ""} for point in points] == nameless


def test_runs_without_a_history_leave_the_panels_to_the_others(als, parts):
    assert drawn({"popular": Popularity().fit(parts[0]), "als": als}) == drawn({"als": als})


@pytest.mark.slow
@needs_torch
def test_heads_of_different_runs_have_panels_of_their_own(als, gradients):
    found = drawn({"als": als, "gradients": gradients})
    for title, lines in found.items():
        names = {run for run, _ in lines}
        assert names == ({"als", "gradients"} if title.startswith("Rating") else {"gradients"})


def test_a_model_without_a_training_in_steps_is_refused(parts):
    model = Popularity().fit(parts[0])
    for runs in (model, {"one": model, "two": model}, {}):
        with pytest.raises(SettingError, match="no training history"):
            training_curves(runs)


def test_a_model_that_is_solved_at_once_is_refused(parts):
    with pytest.raises(SettingError, match="no training history"):
        training_curves(EASE().fit(parts[0]))


@pytest.mark.slow
def test_a_head_without_steps_leaves_the_other_its_panels(parts, als):
    assert drawn(als.with_ranking(EASE().fit(parts[0]))) == drawn(als)


def test_to_compare_runs_each_metric_has_a_panel_in_which_colours_tell_runs_apart(als, parts):
    runs = {"A": als, "B": ALS(factors=5, iterations=3).fit(parts[0], test=parts[1])}
    runs["C"] = Popularity().fit(parts[0])
    found = {panel.title.text: panel.to_dict() for panel in training_curves_by_run(runs)}
    assert list(found) == [
        "Rating head: loss",
        "Rating head: training error",
        "Rating head: test error",
    ]
    columns = ("loss", "train_rmse", "test_rmse")
    for column, panel in zip(columns, found.values(), strict=True):
        (points,) = panel["datasets"].values()
        for name in "AB":
            drawn_points = [
                (one["iteration"], one["value"]) for one in points if one["run"] == name
            ]
            assert drawn_points == runs[name].rating_head.history.select("iteration", column).rows()
        color = panel["encoding"]["color"]
        assert color["scale"]["domain"] == ["A", "B", "C"]  # the same colour on the whole page
        assert color["legend"]["values"] == ["A", "B"]
        assert "strokeDash" not in panel["encoding"]


def test_losses_of_different_estimators_share_no_panel(als, parts):
    runs = {"A": Bias(iterations=2).fit(parts[0], test=parts[1]), "B": als}
    titles = [panel.title.text for panel in training_curves_by_run(runs)]
    assert titles == ["Rating head: training error", "Rating head: test error"]
    assert training_curves_by_run({"A": Popularity().fit(parts[0])}) == []


@needs_torch
def test_steps_of_different_kinds_are_named_both(als, gradients):
    panels = training_curves_by_run({"A": als, "B": gradients})
    steps = {panel.title.text: panel.to_dict()["encoding"]["x"]["title"] for panel in panels}
    assert steps["Rating head: test error"] == "iteration or epoch"
    assert steps["Ranking head: loss"] == "epoch"


@pytest.mark.slow
def test_curves_compile_without_a_warning(als, parts, capfd):
    other = ALS(factors=2, iterations=2).fit(parts[0])
    for runs in (als, {"one": als, "two": other}):
        svg = vl_convert.vegalite_to_svg(training_curves(runs).to_dict(), show_warnings=True)
        assert "NaN" not in svg
    for panel in training_curves_by_run({"one": als, "two": other}):
        vl_convert.vegalite_to_svg(panel.to_dict(), show_warnings=True)
    assert "WARN" not in capfd.readouterr().err

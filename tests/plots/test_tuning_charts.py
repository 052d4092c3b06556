"""Charts of a hyperparameter search: what is drawn of which trial."""

import re

import pytest

pytest.importorskip("altair")
pytest.importorskip("vl_convert")

from drawing import drawn
from matinee.plots import optimization_history, parameter_plots
from matinee.tuning.search_space import Choice, Range, SearchSpace
from studies_by_hand import SETTINGS, SPACE, search


def points(chart):
    """Trial to its row; those of the line have no status."""
    return {row["trial"]: row for rows in chart.rows for row in rows if "status" in row}


def line(chart):
    (rows,) = (rows for rows in chart.rows if not any("status" in row for row in rows))
    return [(row["trial"], row["value"]) for row in rows]


def test_the_history_shows_every_trial_and_the_best_so_far(capfd):
    chart = drawn(optimization_history(search()), capfd)
    assert chart.title == "RMSE of each trial"
    assert {at: (row["value"], row["status"]) for at, row in points(chart).items()} == {
        0: (0.87, "default"),
        1: (0.9, "pruned"),
        2: (0.86, "best"),
        3: (0.88, "complete"),
    }
    assert list(points(chart)) == [1, 3, 0, 2]  # what is marked lies on top
    assert line(chart) == [(0, 0.87), (2, 0.86), (3, 0.86), (3, 0.86)]
    assert chart.count("circle") == 4
    assert "Pale: pruned" in chart.lines
    assert "At the edge" not in chart.lines


def test_higher_is_better_for_ranking_metrics(capfd):
    found = search(metric="ndcg@10", states="cccc")
    chart = drawn(optimization_history(found), capfd, dark=True)
    assert chart.title == "NDCG@10 of each trial"
    assert points(chart)[1]["status"] == "best"
    assert line(chart)[1:] == [(1, 0.9), (2, 0.9), (3, 0.9), (3, 0.9)]


@pytest.mark.slow
@pytest.mark.parametrize("trials", [1, 2, 3, 4, 7, 20, 33])
def test_trials_are_counted_in_whole_numbers(trials, capfd):
    found = search([0.9] * trials, "c" * trials, settings=[SETTINGS[0]] * trials)
    numbers = re.findall(r">(\d+)</text>", drawn(optimization_history(found), capfd).svg)
    assert "0" in numbers
    assert len(numbers) == len(set(numbers))


def test_the_defaults_may_be_the_best(capfd):
    chart = drawn(optimization_history(search((0.85,))), capfd)
    assert points(chart)[0]["status"] == "best (default)"
    assert chart.count("circle") == 1


def test_where_no_trial_is_complete_there_is_no_line(capfd):
    chart = drawn(optimization_history(search(states="pppp")), capfd)
    assert {row["status"] for row in points(chart).values()} == {"pruned"}
    assert [] in chart.rows


def test_trials_without_a_value_are_counted_and_not_drawn(capfd):
    found = search((0.9, None, None, float("inf")), states="cpfp")
    chart = drawn(optimization_history(found), capfd)
    assert list(points(chart)) == [0]
    assert "Not shown: 2 pruned" in chart.lines
    nothing = search((None, 0.9), states="pf")
    assert optimization_history(nothing) is None
    assert parameter_plots(nothing) == []


@pytest.mark.slow
def test_an_outlier_does_not_squeeze_the_other_trials_together(capfd):
    values = (0.86, 0.87, 0.88, 0.89, 0.9, 700.0)
    settings = [*SETTINGS, SETTINGS[0], SETTINGS[1]]
    found = search(values, states="cccccc", settings=settings)
    for chart in (optimization_history(found), *parameter_plots(found)):
        shown = drawn(chart, capfd)
        assert shown.count("circle") == 6
        assert "At the edge: 1 much worse." in shown.lines
        layers = [shown.spec, *shown.spec.get("layer", [])]
        (scale,) = (
            one["encoding"]["y"]["scale"]
            for one in layers
            if "scale" in one.get("encoding", {}).get("y", {})
        )
        assert scale["clamp"]
        assert scale["domain"][0] < 0.86 < 0.9 < scale["domain"][1] < 1.1
        assert points(shown)[5]["value"] == 700.0  # what its tooltip says


@pytest.mark.slow
def test_each_hyperparameter_has_a_chart_over_all_that_was_searched(capfd):
    charts = [drawn(chart, capfd) for chart in parameter_plots(search())]
    assert [chart.title for chart in charts] == [
        "RMSE by factors", "RMSE by regularization", "RMSE by features"
    ]  # fmt: skip
    for at, chart in enumerate(charts):
        shown = {trial: row[f"parameter{at}"] for trial, row in points(chart).items()}
        assert shown == {trial: settings[at] for trial, settings in enumerate(SETTINGS)}
        assert chart.count("circle") == 4
    x = [chart.spec["encoding"]["x"] for chart in charts]
    assert x[0]["title"] == "factors (log scale)"
    assert x[0]["scale"] == {"type": "log", "domain": [16, 128], "nice": False}
    assert x[1]["title"] == "regularization (x default) (log scale)"
    assert x[2]["scale"]["domain"] == ["all", "none"]


@pytest.mark.slow
def test_values_of_any_kind_and_names_of_any_letters_can_be_drawn(capfd):
    name = "factors.[x]' \"</script>"
    searched = {
        "factors.layers": Choice(((8, 4), (16,))),
        "factors.flag": Choice((True, False)),
        "factors.size": Choice((8, "a:b.c")),
        name: Range(0.0, 1.0),
    }
    settings = [("[8, 4]", True, 8, 0.5), ("[16]", False, "a:b.c", 1)]
    found = search(space=SearchSpace("ALS", searched), settings=settings)
    charts = [drawn(chart, capfd) for chart in parameter_plots(found)]
    first = [points(chart)[0] for chart in charts]
    assert [row[f"parameter{at}"] for at, row in enumerate(first)] == ["8,4", "true", "8", 0.5]
    domains = [chart.spec["encoding"]["x"]["scale"]["domain"] for chart in charts]
    assert domains == [["8,4", "16"], ["true", "false"], ["8", "a:b.c"], [0.0, 1.0]]
    assert charts[3].title == f"RMSE by {name}"
    assert drawn(optimization_history(found), capfd).count("circle") == 2


@pytest.mark.slow
def test_a_space_that_holds_no_defaults_marks_none(capfd):
    space = SearchSpace("ALS", {**SPACE.searched, "factors": Range(2, 8)})
    chart = drawn(optimization_history(search(space=space)), capfd)
    assert "default" not in {row["status"] for row in points(chart).values()}

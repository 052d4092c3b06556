"""The page of a comparison and its chart: what they show, and that names stay text."""

import json

import pytest

pytest.importorskip("jinja2")
pytest.importorskip("vl_convert")

from test_report import HOSTILE, check_harmless

import matinee
from drawing import drawn
from matinee.data.synthetic import write_generated
from matinee.evaluation import Figure
from matinee.experiments import Difference, Split, compare, train_and_evaluate
from matinee.models import ALS, EASE, Bias, Popularity
from matinee.plots import difference_chart
from matinee.report import write_comparison_report

NAMES = ["runs/als", f"somewhere/{HOSTILE[0].replace('/', '')}", HOSTILE[5], HOSTILE[8]]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "<b>mine"
    write_generated(folder, users=60, items=50, ratings=1500, seed=0)
    data = matinee.read(folder)
    estimators = [
        (ALS(factors=3, iterations=3), EASE()),
        (ALS(factors=5, iterations=2), EASE(regularization=3)),
        (Bias(), None),
        (None, Popularity()),
    ]
    return {
        name: train_and_evaluate(data, rating, Split(), ranker=ranking).model
        for name, (rating, ranking) in zip(NAMES, estimators, strict=True)
    }


def page_of(runs, folder):
    path = write_comparison_report(compare(runs), runs, folder / "page.html")
    return check_harmless(path.read_text(encoding="utf-8"))


def test_a_page_has_runs_settings_metrics_differences_and_curves(runs, tmp_path):
    page = page_of(runs, tmp_path)
    assert page.headings == ["Runs", "Which is better", "Figures", "Training"]
    found = compare(runs).called(dict(zip(runs, "ABCD", strict=True)))
    for one in found.differences:
        if one.metric in ("rmse", "ndcg@10"):
            assert str(one) in page.text
    for row in found.metric_rows():
        assert f"{row['figure']} {row['run']} {row['value']} {row['difference']}" in page.text
    assert "stars factors 3 5" in page.text
    assert found.settings.rest in page.text
    assert "<b>mine, tested on 150 ratings" in page.text
    titles = page.text.split("Stars: ")[1:]
    assert [title.split()[:2] for title in titles] == [["training", "error"], ["test", "error"]]
    assert len(json.loads(page.data)["charts"]) == 4


def test_names_of_runs_stay_text_and_their_places_stay_at_home(runs, tmp_path):
    page = page_of(runs, tmp_path)
    assert HOSTILE[0].replace("/", "") in page.text
    assert "somewhere" not in page.text
    assert "alert" not in page.data  # charts know letters only


def test_runs_that_have_nothing_in_common_have_a_page_too(runs, tmp_path):
    values, lists = NAMES[2:]
    page = page_of({values: runs[values], lists: runs[lists]}, tmp_path)
    assert "no figure that both have" in page.text
    assert page.headings == ["Runs", "Which is better", "Figures", "Training"]


def test_differences_are_dots_with_intervals_beside_zero(capfd):
    found = [
        Difference(metric, run, "A", Figure(value, value - 0.01, value + 0.01), 40)
        for metric in ("rmse", "mae", "ndcg@10")
        for run, value in (("B", -0.02), ("C", 0.03))
    ]
    chart = drawn(difference_chart(found, "rating", ["A", "B", "C"]), capfd)
    assert chart.count("circle") == 4
    shown = {(row["figure"], row["run"]): row["value"] for rows in chart.rows for row in rows
             if "run" in row}  # fmt: skip
    assert shown == {("RMSE", "B"): -0.02, ("RMSE", "C"): 0.03, ("MAE", "B"): -0.02,
                     ("MAE", "C"): 0.03}  # fmt: skip
    assert [{"zero": 0.0}] in chart.rows
    assert "left of zero are better than A" in chart.lines
    lists = drawn(difference_chart(found, "ranking", ["A", "B", "C"]), capfd, dark=True)
    assert "right of zero are better than A" in lists.lines
    assert difference_chart(found[:2], "ranking", ["A", "B", "C"]) is None


def test_a_difference_on_one_user_is_a_dot_without_a_line(capfd):
    one = Difference("rmse", "B", "A", Figure(0.5), 1)
    chart = drawn(difference_chart([one], "rating", ["A", "B"]), capfd)
    assert chart.count("circle") == 1

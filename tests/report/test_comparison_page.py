"""The page of a comparison and its chart: what they show, and that names stay text."""

import json

import pytest

pytest.importorskip("jinja2")
pytest.importorskip("vl_convert")

from test_report import HOSTILE, check_harmless

import matinee
from drawing import drawn
from matinee.data.synthetic import write_generated
from matinee.evaluation.uncertainty import MetricValue
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


@pytest.mark.slow
def test_a_page_has_runs_hyperparameters_metrics_differences_and_curves(runs, tmp_path):
    page = page_of(runs, tmp_path)
    assert page.headings == ["Runs", "Differences", "Metrics", "Training"]
    comparison = compare(runs).renamed(dict(zip(runs, "ABCD", strict=True)))
    for difference in comparison.differences:
        if difference.metric in ("rmse", "ndcg@10"):
            assert str(difference) in page.text
    for row in comparison.metric_rows():
        cells = " ".join(row[name] for name in ("metric", "run", "value", "ci", "difference"))
        assert cells.strip() in page.text
    assert "rating factors 3 5" in page.text
    assert comparison.hyperparameters.summary in page.text
    assert "<b>mine: 150 test ratings" in page.text
    titles = page.text.split("Rating head: ")[1:]
    assert [title.split()[:2] for title in titles] == [["training", "error"], ["test", "error"]]
    assert len(json.loads(page.data)["charts"]) == 4


@pytest.mark.slow
def test_names_of_runs_stay_text_and_their_folders_stay_private(runs, tmp_path):
    page = page_of(runs, tmp_path)
    assert HOSTILE[0].replace("/", "") in page.text
    assert "somewhere" not in page.text
    assert "alert" not in page.data  # charts know letters only


@pytest.mark.slow
def test_runs_that_have_nothing_in_common_have_a_page_too(runs, tmp_path):
    bias, popularity = NAMES[2:]
    page = page_of({bias: runs[bias], popularity: runs[popularity]}, tmp_path)
    assert "No common metric." in page.text
    assert page.headings == ["Runs", "Differences", "Metrics", "Training"]


def test_differences_are_dots_with_intervals_beside_zero(capfd):
    differences = [
        Difference(metric, run, "A", MetricValue(value, value - 0.01, value + 0.01), 40)
        for metric in ("rmse", "mae", "ndcg@10")
        for run, value in (("B", -0.02), ("C", 0.03))
    ]
    chart = drawn(difference_chart(differences, "rating", ["A", "B", "C"]), capfd)
    assert chart.count("circle") == 4
    shown = {(row["metric"], row["run"]): row["value"] for rows in chart.rows for row in rows
             if "run" in row}  # fmt: skip
    assert shown == {("RMSE", "B"): -0.02, ("RMSE", "C"): 0.03, ("MAE", "B"): -0.02,
                     ("MAE", "C"): 0.03}  # fmt: skip
    assert [{"zero": 0.0}] in chart.rows
    assert "Left of zero: better than A" in chart.lines
    ranking = drawn(difference_chart(differences, "ranking", ["A", "B", "C"]), capfd, dark=True)
    assert "Right of zero: better than A" in ranking.lines
    assert difference_chart(differences[:2], "ranking", ["A", "B", "C"]) is None


def test_a_difference_on_one_user_is_a_dot_without_a_line(capfd):
    difference = Difference("rmse", "B", "A", MetricValue(0.5), 1)
    chart = drawn(difference_chart([difference], "rating", ["A", "B"]), capfd)
    assert chart.count("circle") == 1

"""The page of a hyperparameter search at each stage; names and values stay text."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

pytest.importorskip("jinja2")
pytest.importorskip("vl_convert")

from test_report import HOSTILE, check_harmless

from matinee.report import write_study_report
from matinee.tuning.search_space import Choice, Range, SearchSpace
from studies_by_hand import SETTINGS, SPACE, search

BEST = SimpleNamespace(test_metrics={"rmse": 0.8765, "mae": None}, test_evaluations=1)
WON = {"best": BEST, "interrupted": False}


@pytest.fixture
def page_of(generated, tmp_path):
    """What makes the page of a search."""

    def make(found, command=None, **more):
        data = replace(generated[0], **more)
        path = write_study_report(found, data, tmp_path / "page.html", command)
        return check_harmless(path.read_text(encoding="utf-8"))

    return make


@pytest.mark.slow
def test_a_page_has_the_result_the_history_the_hyperparameters_and_the_trials(page_of):
    page = page_of(search(**WON), "matinee train mine --set factors=100", name="mine", licence="L")
    assert "Hyperparameter search: ALS on mine By RMSE on validation sets" in page.text
    assert "Terms of use of the data: L." in page.text
    assert page.headings == ["Result", "Trials in order", "Hyperparameters", "Complete trials"]
    for fact in (
        "test RMSE, best trial refit 0.8765",
        "validation RMSE, best trial 0.8600",
        "validation RMSE, default 0.8700",
        "4 trials: 3 complete, 1 pruned. 4 of 5 trials done. Run the same command to continue.",
        "Test set evaluated once.",
        "hyperparameter best default searched factors 100 64 16 to 128 "
        "regularization (x default) 0.7 1 0.3 to 3 features all all all or none "
        "iterations fixed: 15 x default: multiples of the default computed from the data. "
        "To train the best model: matinee train mine --set factors=100 ",
        "trial RMSE factors regularization (x default) features seconds "
        "2 0.8600 100 0.7 all 1.5 0 0.8700 64 1 all 1.5 3 0.8800 128 2 none 1.5",
    ):
        assert fact in page.text
    assert "MAE" not in page.text
    assert len(json.loads(page.data)["charts"]) == 4


@pytest.mark.slow
def test_a_page_says_whether_the_best_lies_at_a_bound(page_of):
    assert "The best trial lies well inside the search space." in page_of(search()).text
    found = search((0.9, 0.89, 0.88, 0.7), states="cccc")
    text = "The best trial lies at the high bound of factors: a wider range may be better."
    assert text in page_of(found).text


STAGES = {
    "interrupted": (
        search(),
        "Interrupted: 4 of 5 trials done. Run the same command to continue, or add",
    ),
    "others": (
        search(interrupted=False, other_workers=True),
        "Other workers are running; the last",
    ),
    "grid": (search(grid_size=9), "4 trials of a grid of 9: 3 complete, 1 pruned."),
    "one trial": (search((0.9,)), "1 trial: 1 complete, 0 pruned."),
    "none to the end": (search(states="pppp", interrupted=False), "so there is no best model."),
    "nowhere": (search((None, None), states="ff"), "First error: It diverged."),
    "nothing": (search(()), "0 trials: 0 complete, 0 pruned. Interrupted: 0 of 5 trials done."),
}


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_a_search_has_a_page_at_every_stage(page_of, stage):
    found, text = STAGES[stage]
    page = page_of(found)
    assert text in page.text
    assert "factors" in page.text
    assert "To train" not in page.text
    charts = 4 if any(one["value"] for one in found.trials) else 0
    assert len(json.loads(page.data)["charts"]) == charts
    assert ("Complete trials" in page.headings) == bool(found.completed)
    if charts and not found.completed:
        assert "No trial completed." in page.text


@pytest.mark.slow
def test_names_settings_and_reasons_stay_text(page_of):
    for text in HOSTILE:
        searched = {f"factors.{text}": Range(0.0, 1.0), "features": Choice((text, "none"))}
        space = SearchSpace("ALS", searched, {"loss": text})
        found = search(states="cf", space=space, settings=[(0.5, text), (0.1, "none")])
        found.trials[-1]["error"] = text
        page = page_of(found, text, name=text, licence=text)
        plain = " ".join(text.split())
        assert f"Hyperparameter search: ALS on {plain}" in page.text
        assert f"fixed: {plain}" in page.text
        assert f"First error: {plain}" in page.text
        assert f"To train the best model: {plain}" in page.text
        titles = [chart["encoding"]["x"]["title"] for chart in json.loads(page.data)["charts"][1:]]
        assert titles == [f"factors.{text}", "features"]


def test_the_folder_of_the_study_is_private(page_of, tmp_path):
    best = SimpleNamespace(
        test_metrics={"rmse": 0.9}, test_evaluations=2, run=str(tmp_path / "run")
    )
    found = search(best=best, interrupted=False, study=tmp_path / "study")
    page = page_of(found)
    assert str(tmp_path) not in page.text + page.data
    assert "Test set evaluated 2 times, once per best trial." in page.text


def test_defaults_outside_of_the_space_are_left_out(page_of):
    space = SearchSpace("ALS", {**SPACE.searched, "factors": Range(2, 8)})
    page = page_of(search(space=space, settings=SETTINGS))
    assert "hyperparameter best searched" in page.text
    assert "validation RMSE, default" not in page.text

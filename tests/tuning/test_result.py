"""The result of a search, in sentences."""

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("optuna")

from matinee.tuning import BestModel, Choice, Range, SearchSpace, TuningResult

BEST = BestModel(0, {}, "runs/x", {"rmse": 0.9}, 1)
FACTORS = SearchSpace("ALS", {"factors": Range(2, 8)})


def result_of(space, settings, states=("complete", "pruned", "pruned", "failed"), **kwargs):
    """A result whose trials have these settings."""
    trials = [
        {"trial": number, "value": 0.9, "state": state, "settings": settings}
        | {"error": None, "seconds": 1.0}
        for number, state in enumerate(states)
    ]
    return replace(TuningResult(Path("study"), "rmse", space, trials, n_trials=5), **kwargs)


BOUNDS = [
    (Range(0, 100), 10, "low"),
    (Range(0, 100), 11, None),
    (Range(0, 100), 89, None),
    (Range(0, 100), 91, "high"),
    (Range(1, 100, log=True), 1.5, "low"),
    (Range(1, 100, log=True), 10, None),
    (Range(1, 100, log=True), 64, "high"),
    (Choice((64, 16, 32)), 16, "low"),
    (Choice((64, 16, 32)), 32, None),
    (Choice((64, 16, 32)), 64, "high"),
    (Choice(("genres", "none")), "none", None),
    (Choice((True, False)), True, None),
    (Choice(((8, 4), (16, 8))), "[8, 4]", None),
]


@pytest.mark.parametrize(("values", "best", "bound"), BOUNDS)
def test_a_bound_is_the_outer_tenth_of_a_range_or_the_last_number(values, best, bound):
    result = result_of(SearchSpace("ALS", {"factors": values}), {"factors": best})
    assert result.at_bounds == ({"factors": bound} if bound else {})


def test_without_a_complete_trial_nothing_is_at_a_bound():
    result = result_of(FACTORS, {"factors": 8}, ("pruned",))
    assert result.at_bounds == {}
    assert result.completed == []


def test_the_default_trial_is_found_by_its_settings_in_a_grid_too():
    space = SearchSpace("ALS", {"factors": Choice((8, 64))})
    assert result_of(space, {"factors": 64}, grid_size=2).default_trial["trial"] == 0
    assert result_of(space, {"factors": 8}).default_trial is None
    assert result_of(space, {"factors": 64}, ("pruned",)).default_trial is None


def test_summary():
    result = result_of(FACTORS, {"factors": 4})
    assert result.summary == "4 trials: 1 complete, 2 pruned, 1 failed."
    grid = replace(result, grid_size=9)
    assert grid.summary == "4 trials of a grid of 9: 1 complete, 2 pruned, 1 failed."
    assert result_of(FACTORS, {}, ("complete",)).summary == "1 trial: 1 complete, 0 pruned."


RESUME = "Run the same command to continue"
WORKERS = (
    "Other workers are running; the last one refits the best trial. "
    "If it is stopped, run the same command."
)
STATUS = {
    f"4 of 5 trials done. {RESUME}. No trial completed, so there is no best model.": {},
    WORKERS: {"other_workers": True},
    f"Interrupted: 4 of 5 trials done. {RESUME}, or add --trials 4 to refit the best so far.": {
        "interrupted": True
    },
    f"Interrupted while refitting the best trial. {RESUME}.": {"interrupted": True, "n_trials": 4},
    "Test set evaluated once.": {"best": BEST, "n_trials": 4},
    f"4 of 5 trials done. {RESUME}. Test set evaluated once.": {"best": BEST},
    "There is no test set.": {"best": replace(BEST, test_evaluations=0), "n_trials": 4},
    "Test set evaluated 2 times, once per best trial.": {
        "best": replace(BEST, test_evaluations=2), "n_trials": 4
    },
}  # fmt: skip


@pytest.mark.parametrize("status", STATUS)
def test_status(status):
    assert result_of(FACTORS, {"factors": 4}, **STATUS[status]).status == status


def test_an_interrupt_comes_before_other_workers():
    result = result_of(FACTORS, {}, interrupted=True, other_workers=True)
    assert result.status.startswith("Interrupted: 4 of 5")


def test_to_dict_has_the_space_and_the_value_of_the_defaults():
    space = SearchSpace("ALS", {"factors": Choice((8, 64))}, {"iterations": 15})
    plain = result_of(space, {"factors": 64}, best=BEST).to_dict()
    assert plain["space"] == space.to_dict()
    assert plain["head"] == "rating"
    assert plain["default_value"] == 0.9
    assert plain["best"]["test_evaluations"] == 1
    assert result_of(space, {"factors": 8}).to_dict()["default_value"] is None

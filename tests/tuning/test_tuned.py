"""What a search found, in sentences."""

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("optuna")

from matinee.tuning import BestModel, Choice, Range, SearchSpace, TuningResult

WINNER = BestModel(0, {}, "runs/x", {"rmse": 0.9}, 1)


def found(space, best, states=("complete", "pruned", "pruned", "broke"), **more):
    """A search whose first trial has these settings."""
    trials = [
        {"trial": at, "value": 0.9, "state": state, "settings": best, "why": None, "seconds": 1.0}
        for at, state in enumerate(states)
    ]
    plain = TuningResult(Path("study"), "rmse", False, space, trials, 5, None, None, False, False)
    return replace(plain, **more)


ENDS = [
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


@pytest.mark.parametrize(("part", "best", "end"), ENDS)
def test_an_end_is_the_outer_tenth_of_a_range_or_the_last_number(part, best, end):
    tuned = found(SearchSpace("ALS", {"factors": part}), {"factors": best})
    assert tuned.at_an_end == ({"factors": end} if end else {})


def test_without_a_trial_to_the_end_nothing_is_at_an_end():
    tuned = found(SearchSpace("ALS", {"factors": Range(2, 3)}), {"factors": 3}, ("pruned",))
    assert tuned.at_an_end == {}
    assert tuned.whole == []


def test_the_defaults_are_found_by_their_settings_in_a_grid_too():
    space = SearchSpace("ALS", {"factors": Choice((8, 64))})
    assert found(space, {"factors": 64}, points=2).default["trial"] == 0
    assert found(space, {"factors": 8}).default is None
    assert found(space, {"factors": 64}, ("pruned",)).default is None


def test_what_was_tried_and_where_it_stands_in_words():
    space = SearchSpace("ALS", {"factors": Range(2, 8)})
    tuned = found(space, {"factors": 4})
    lost = ", 1 with settings that lead nowhere."
    assert tuned.tried == f"4 trials, 1 to the end, 2 stopped early{lost}"
    assert replace(tuned, points=9).tried.startswith("4 trials of a grid of 9, 1 to the end")
    assert found(space, {}, ("complete",)).tried == "1 trial, 1 to the end, 0 stopped early."
    assert "no winner" in tuned.standing
    assert "Others still work" in replace(tuned, others=True).standing
    assert "Stopped at 4 of 5" in replace(tuned, others=True, interrupted=True).standing
    assert "; with --trials 4 it trains" in replace(tuned, interrupted=True).standing
    assert "the winner was" in replace(tuned, interrupted=True, wanted=4).standing
    assert replace(tuned, winner=WINNER, wanted=4).standing == "The test part was looked at once."
    late = "Made were 4 of 5 trials; the same command goes on. The test part was looked at"
    assert replace(tuned, winner=WINNER).standing.startswith(late)
    twice = replace(tuned, winner=replace(WINNER, tests=2), wanted=4)
    assert twice.standing == "The test part was looked at by 2 winners."


def test_as_json_has_the_space_and_what_the_defaults_are_worth():
    space = SearchSpace("ALS", {"factors": Choice((8, 64))}, {"iterations": 15})
    plain = found(space, {"factors": 64}, winner=WINNER).as_json()
    assert plain["space"] == space.as_json()
    assert plain["default"] == 0.9
    assert plain["winner"]["tests"] == 1
    assert found(space, {"factors": 8}).as_json()["default"] is None

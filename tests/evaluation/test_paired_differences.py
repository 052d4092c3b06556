"""Paired differences against plain loops, on pairs whose truth is known, and of equal models."""

from math import sqrt

import numpy as np
import pytest

from matinee.evaluation import MetricValue
from matinee.evaluation import uncertainty as paired
from matinee.evaluation.metrics import mae, mae_interval, rmse
from matinee.evaluation.uncertainty import error_differences, ranking_difference


def pair(users, rng, worse=0.0):
    """(first, second, actual, user): the second errs with a larger deviation; users differ."""
    user = np.repeat(np.arange(users), rng.integers(1, 12, users))
    actual = rng.uniform(1, 5, len(user))
    shared = rng.normal(size=users)[user] + rng.normal(size=len(user))
    first = actual + shared + rng.normal(0, 0.3, len(user))
    return first, actual + (1 + worse) * shared + rng.normal(0, 0.3, len(user)), actual, user


def test_differences_and_intervals_are_those_of_a_loop_over_drawn_users():
    first, second, actual, user = pair(9, np.random.default_rng(3))
    drawn = {"rmse": [], "mae": []}
    random = np.random.default_rng(8)
    for _ in range(40):
        rows = [
            row
            for drawn_user in random.integers(9, size=9).tolist()
            for row in np.flatnonzero(user == drawn_user).tolist()
        ]
        for name in drawn:
            values = []
            for predicted in (first, second):
                errors = [predicted[row] - actual[row] for row in rows]
                if name == "rmse":
                    values.append(sqrt(sum(e * e for e in errors) / len(errors)))
                else:
                    values.append(sum(map(abs, errors)) / len(errors))
            drawn[name].append(values[1] - values[0])
    found = error_differences(first, second, actual, user, draws=40, seed=8)
    assert found["rmse"].value == pytest.approx(rmse(second, actual) - rmse(first, actual))
    assert found["mae"].value == pytest.approx(mae(second, actual) - mae(first, actual))
    for name, values in drawn.items():
        wanted = np.quantile(values, [0.025, 0.975])
        assert (found[name].ci_low, found[name].ci_high) == pytest.approx(tuple(wanted))


def test_users_are_known_by_any_code_in_any_order():
    first, second, actual, user = pair(20, np.random.default_rng(1))
    order = np.random.default_rng(2).permutation(len(user))
    shuffled = (array[order] for array in (first, second, actual, 7 * user + 1000))
    found, again = (error_differences(*one) for one in ((first, second, actual, user), shuffled))
    for name in found:
        assert vars(found[name]) == pytest.approx(vars(again[name]))


@pytest.mark.parametrize("worse", [0.0, 0.1])
def test_the_truth_is_in_the_interval_as_often_as_it_says(worse):
    """The truth is that of very many users of the same kind."""
    truth = error_differences(*pair(100_000, np.random.default_rng(0), worse), draws=1)
    held, rounds = {"rmse": 0, "mae": 0}, 150
    for seed in range(rounds):
        drawn = pair(120, np.random.default_rng([seed, 1]), worse)
        found = error_differences(*drawn, draws=300, seed=seed)
        for name, one in found.items():
            held[name] += one.ci_low <= truth[name].value <= one.ci_high
    for count in held.values():
        assert 0.88 <= count / rounds <= 0.99


def test_the_difference_is_known_better_than_either_metric():
    first, second, actual, user = pair(200, np.random.default_rng(4))
    found = error_differences(first, second, actual, user)["mae"]
    ci_low, ci_high = mae_interval(first, actual, user)
    assert found.ci_high - found.ci_low < 0.5 * (ci_high - ci_low)


@pytest.mark.parametrize("users", [2, 3, 57, 1000])
def test_the_same_model_twice_differs_by_nothing_at_all(users):
    first, _, actual, user = pair(users, np.random.default_rng(users))
    nothing = MetricValue(0.0, 0.0, 0.0)
    assert error_differences(first, first.copy(), actual, user) == {
        "rmse": nothing,
        "mae": nothing,
    }
    assert error_differences(actual, actual, actual, user)["rmse"] == nothing  # 0 / 0
    assert ranking_difference(first, first.copy()) == nothing


def test_many_users_are_drawn_in_groups_whose_sums_vary_as_much(monkeypatch):
    users = pair(2000, np.random.default_rng(5), worse=0.1)
    each = error_differences(*users)
    monkeypatch.setattr(paired, "MANY_USERS", 300)
    groups = error_differences(*users)
    for name, one in each.items():
        assert groups[name].value == pytest.approx(one.value)
        width = one.ci_high - one.ci_low
        assert groups[name].ci_high - groups[name].ci_low == pytest.approx(width, rel=0.2)
        assert groups[name] != one
    first, _, actual, user = users
    assert error_differences(first, first, actual, user)["rmse"] == MetricValue(0.0, 0.0, 0.0)


def test_one_user_has_no_interval():
    actual = np.array([3.0, 4.0])
    found = error_differences(actual + 1, actual + 3, actual, np.array([7, 7]))
    assert found == {"rmse": MetricValue(2.0), "mae": MetricValue(2.0)}
    assert ranking_difference(np.array([0.25]), np.array([0.75])) == MetricValue(0.5)


def test_ratings_and_predictions_are_as_many():
    with pytest.raises(ValueError, match="2 predictions for 3 ratings"):
        error_differences(np.ones(3), np.ones(2), np.ones(3), np.arange(3))


def test_the_interval_of_the_mae_is_that_of_drawing_other_users():
    first, _, actual, user = pair(400, np.random.default_rng(6))
    errors = np.bincount(user, np.abs(first - actual))
    ratings = np.bincount(user)
    drawn = np.random.default_rng(7).integers(0, 400, (4000, 400))
    wanted = np.quantile(errors[drawn].sum(axis=1) / ratings[drawn].sum(axis=1), [0.025, 0.975])
    ci_low, ci_high = mae_interval(first, actual, user)
    assert (ci_low, ci_high) == pytest.approx(tuple(wanted), abs=0.1 * (ci_high - ci_low))
    assert mae_interval(np.array([3.0]), np.array([1.0]), np.array([7])) is None

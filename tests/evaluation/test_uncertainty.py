"""Bootstrap and paired differences against plain loops, and how often intervals hold the truth."""

from math import sqrt

import numpy as np
import pytest

from matinee.evaluation import MetricValue, uncertainty
from matinee.evaluation.metrics import mae, mae_interval, rmse
from matinee.evaluation.uncertainty import (
    bootstrap_interval,
    bootstrap_means,
    error_differences,
    percentile_interval,
    ranking_difference,
)


def test_drawn_means_are_those_of_a_loop_over_the_same_users(monkeypatch):
    values = np.random.default_rng(0).random((3, 7))
    monkeypatch.setattr(uncertainty, "DRAWN_AT_ONCE", 1)  # one draw at a time
    result = bootstrap_means(values, draws=20, seed=5)
    random = np.random.default_rng(5)
    for draw in range(20):
        users = random.integers(7, size=(1, 7))[0].tolist()
        for row in range(3):
            mean = sum(values[row, user] for user in users) / 7
            assert result[row, draw] == pytest.approx(mean)
    assert bootstrap_means(values[1], draws=20, seed=5) == pytest.approx(result[1])


def test_the_middle_leaves_as_much_on_either_side():
    drawn = np.random.default_rng(0).permutation(1001).astype(float)
    assert percentile_interval(drawn) == pytest.approx((25, 975))
    assert percentile_interval(drawn, level=0.5) == pytest.approx((250, 750))


def test_the_bootstrap_interval_holds_the_mean_and_shrinks_with_the_root_of_users():
    widths = []
    # the last is by the normal approximation
    for users in (400, 6400, 25_600):
        values = np.random.default_rng(users).exponential(size=users)
        ci_low, ci_high = bootstrap_interval(values)
        assert ci_low < values.mean() < ci_high
        assert (ci_high - ci_low) / 2 == pytest.approx(1.96 * values.std() / users**0.5, rel=0.1)
        widths.append(ci_high - ci_low)
        narrow = bootstrap_interval(values, level=0.5)
        assert ci_low < narrow[0] < narrow[1] < ci_high
    assert widths[0] / widths[1] == pytest.approx(4, rel=0.25)
    assert widths[1] / widths[2] == pytest.approx(2, rel=0.25)


def test_the_bootstrap_interval_covers_the_truth_as_often_as_it_says():
    random = np.random.default_rng(1)
    covered = 0
    for seed in range(300):
        ci_low, ci_high = bootstrap_interval(random.random(80), level=0.9, draws=300, seed=seed)
        covered += ci_low < 0.5 < ci_high
    assert 0.84 < covered / 300 < 0.95


def test_the_bootstrap_interval_is_reproducible_and_leaves_nan_out():
    values = np.random.default_rng(2).random(500)
    result = bootstrap_interval(values, seed=3)
    assert bootstrap_interval(values, seed=3) == result
    assert bootstrap_interval(values, seed=4) != result
    assert bootstrap_interval(np.insert(values, [0, 250], np.nan), seed=3) == result


def test_the_bootstrap_interval_of_few_values():
    assert np.isnan(bootstrap_interval(np.array([np.nan]))).all()
    assert bootstrap_interval(np.array([0.25])) == (0.25, 0.25)
    for wrong in ({"level": 1.0}, {"level": 0.0}, {"draws": 0}):
        with pytest.raises(ValueError, match="level must be between 0 and 1"):
            bootstrap_interval(np.array([0.25]), **wrong)


# --- paired differences


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
    result = error_differences(first, second, actual, user, draws=40, seed=8)
    assert result["rmse"].value == pytest.approx(rmse(second, actual) - rmse(first, actual))
    assert result["mae"].value == pytest.approx(mae(second, actual) - mae(first, actual))
    for name, values in drawn.items():
        wanted = np.quantile(values, [0.025, 0.975])
        assert (result[name].ci_low, result[name].ci_high) == pytest.approx(tuple(wanted))


def test_users_are_known_by_any_code_in_any_order():
    first, second, actual, user = pair(20, np.random.default_rng(1))
    order = np.random.default_rng(2).permutation(len(user))
    shuffled = (array[order] for array in (first, second, actual, 7 * user + 1000))
    result = error_differences(first, second, actual, user)
    of_shuffled = error_differences(*shuffled)
    for name in result:
        assert vars(result[name]) == pytest.approx(vars(of_shuffled[name]))


@pytest.mark.slow
@pytest.mark.parametrize("worse", [0.0, 0.1])
def test_the_truth_is_in_the_interval_as_often_as_it_says(worse):
    """The truth is that of very many users of the same kind."""
    truth = error_differences(*pair(100_000, np.random.default_rng(0), worse), draws=1)
    held, rounds = {"rmse": 0, "mae": 0}, 150
    for seed in range(rounds):
        drawn = pair(120, np.random.default_rng([seed, 1]), worse)
        result = error_differences(*drawn, draws=300, seed=seed)
        for name, one in result.items():
            held[name] += one.ci_low <= truth[name].value <= one.ci_high
    for count in held.values():
        assert 0.88 <= count / rounds <= 0.99


def test_the_difference_is_known_better_than_either_metric():
    first, second, actual, user = pair(200, np.random.default_rng(4))
    result = error_differences(first, second, actual, user)["mae"]
    ci_low, ci_high = mae_interval(first, actual, user)
    assert result.ci_high - result.ci_low < 0.5 * (ci_high - ci_low)


@pytest.mark.parametrize("users", [2, 3, 57, 1000])
def test_the_same_model_twice_differs_by_nothing_at_all(users):
    first, _, actual, user = pair(users, np.random.default_rng(users))
    nothing = MetricValue(0.0, 0.0, 0.0)
    assert error_differences(first, first.copy(), actual, user) == {"rmse": nothing, "mae": nothing}
    assert error_differences(actual, actual, actual, user)["rmse"] == nothing  # 0 / 0
    assert ranking_difference(first, first.copy()) == nothing


def test_many_users_are_drawn_in_groups_whose_sums_vary_as_much(monkeypatch):
    users = pair(2000, np.random.default_rng(5), worse=0.1)
    each = error_differences(*users)
    monkeypatch.setattr(uncertainty, "MANY_USERS", 300)
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
    result = error_differences(actual + 1, actual + 3, actual, np.array([7, 7]))
    assert result == {"rmse": MetricValue(2.0), "mae": MetricValue(2.0)}
    assert ranking_difference(np.array([0.25]), np.array([0.75])) == MetricValue(0.5)


def test_ratings_and_predictions_are_as_many():
    with pytest.raises(ValueError, match="2 predictions for 3 ratings"):
        error_differences(np.ones(3), np.ones(2), np.ones(3), np.arange(3))


def test_the_interval_of_the_mae_is_that_of_drawing_other_users():
    first, _, actual, user = pair(400, np.random.default_rng(6))
    errors = np.bincount(user, np.abs(first - actual))
    ratings = np.bincount(user)
    drawn = np.random.default_rng(7).integers(0, 400, (4000, 400))
    expected = np.quantile(errors[drawn].sum(axis=1) / ratings[drawn].sum(axis=1), [0.025, 0.975])
    ci_low, ci_high = mae_interval(first, actual, user)
    assert (ci_low, ci_high) == pytest.approx(tuple(expected), abs=0.1 * (ci_high - ci_low))
    assert mae_interval(np.array([3.0]), np.array([1.0]), np.array([7])) is None

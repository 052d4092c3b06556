"""The bootstrap over users: against a plain loop, and how often its intervals hold the truth."""

import numpy as np
import pytest

from matinee.evaluation import uncertainty as bootstrap
from matinee.evaluation.uncertainty import bootstrap_interval, bootstrap_means, percentile_interval


def test_drawn_means_are_those_of_a_loop_over_the_same_users(monkeypatch):
    values = np.random.default_rng(0).random((3, 7))
    monkeypatch.setattr(bootstrap, "DRAWN_AT_ONCE", 1)  # one draw at a time
    found = bootstrap_means(values, draws=20, seed=5)
    random = np.random.default_rng(5)
    for draw in range(20):
        users = random.integers(7, size=(1, 7))[0].tolist()
        for row in range(3):
            mean = sum(values[row, user] for user in users) / 7
            assert found[row, draw] == pytest.approx(mean)
    assert bootstrap_means(values[1], draws=20, seed=5) == pytest.approx(found[1])


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
    found = bootstrap_interval(values, seed=3)
    assert bootstrap_interval(values, seed=3) == found
    assert bootstrap_interval(values, seed=4) != found
    assert bootstrap_interval(np.insert(values, [0, 250], np.nan), seed=3) == found


def test_the_bootstrap_interval_of_few_values():
    assert np.isnan(bootstrap_interval(np.array([np.nan]))).all()
    assert bootstrap_interval(np.array([0.25])) == (0.25, 0.25)
    for wrong in ({"level": 1.0}, {"level": 0.0}, {"draws": 0}):
        with pytest.raises(ValueError, match="level must be between 0 and 1"):
            bootstrap_interval(np.array([0.25]), **wrong)

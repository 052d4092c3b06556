"""From draws to distributions, against brute force."""

import numpy as np
import pytest

from matinee.errors import SettingError
from matinee.kernels.ordinal import normal_cdf
from matinee.models.bayesian.estimator import split_rhat
from matinee.models.bayesian.likelihoods import Outcome
from matinee.models.bayesian.predictive import PredictionQuery, Predictive, scores_of
from matinee.models.bayesian.temporal import RatingTimes

LEVELS = np.float32([1, 2.5, 3, 5])
CUTS = [np.array([-np.inf, -1.0, 0.2, 1.1, np.inf]), np.array([-np.inf, -0.7, 0.0, 2.0, np.inf])]
PAIRS = 7


@pytest.fixture
def draws():
    """(scores, spread, noise) of three draws."""
    rng = np.random.default_rng(0)
    return [
        (
            rng.normal(0.3 * k, 1.0, PAIRS).astype(np.float32),
            rng.uniform(0.0, 0.5, PAIRS).astype(np.float32),
            0.3 + 0.4 * k,
        )
        for k in range(3)
    ]


CENTER, UNIT = 3.2, 1.7  # of normal ratings


def outcome(ordinal):
    return Outcome(LEVELS, True) if ordinal else Outcome(LEVELS, False, CENTER, UNIT)


def predicted(draws, ordinal):
    found = Predictive(PAIRS, outcome(ordinal))
    for k, (scores, spread, noise) in enumerate(draws):
        found.add(scores, spread, noise, CUTS[k % 2] if ordinal else np.empty(0))
    return found


def simulated(draws, ordinal, times=60_000):
    """Ratings that the draws would give, (3 * times, pairs): nothing but random numbers."""
    rng, values = np.random.default_rng(1), []
    for k, (scores, spread, noise) in enumerate(draws):
        seen = scores + np.sqrt(spread + noise) * rng.standard_normal((times, PAIRS))
        values.append(
            LEVELS[np.searchsorted(CUTS[k % 2][1:-1], seen)] if ordinal else CENTER + UNIT * seen
        )
    return np.concatenate(values).astype(np.float64)


@pytest.mark.parametrize("ordinal", [True, False])
def test_means_and_deviations_are_those_of_simulated_values(draws, ordinal):
    found, values = predicted(draws, ordinal), simulated(draws, ordinal)
    np.testing.assert_allclose(found.mean(), values.mean(axis=0), atol=0.02)
    np.testing.assert_allclose(found.deviation(), values.std(axis=0), rtol=0.01)


def test_levels_are_as_probable_as_among_simulated_values(draws):
    found, values = predicted(draws, True), simulated(draws, True)
    chances = found.distribution()
    np.testing.assert_allclose(chances.sum(axis=1), 1.0, atol=1e-12)
    for level, value in enumerate(LEVELS):
        np.testing.assert_allclose(chances[:, level], (values == value).mean(axis=0), atol=0.006)
    np.testing.assert_allclose(chances @ LEVELS, found.mean(), atol=1e-12)


def test_normal_values_count_as_the_level_that_is_nearest(draws):
    found = predicted(draws, False)
    chances = found.distribution()
    np.testing.assert_allclose(chances.sum(axis=1), 1.0, atol=1e-12)
    rng = np.random.default_rng(2)
    values = found.mean() + found.deviation() * rng.standard_normal((60_000, PAIRS))
    nearest = np.abs(values[..., None] - LEVELS).argmin(axis=2)
    for level in range(len(LEVELS)):
        np.testing.assert_allclose(chances[:, level], (nearest == level).mean(axis=0), atol=0.008)


@pytest.mark.parametrize("ordinal", [True, False])
@pytest.mark.parametrize("level", [0.1, 0.5, 0.9, 0.999])
def test_an_interval_is_that_of_a_normal_number_of_this_mean_and_deviation(draws, ordinal, level):
    found = predicted(draws, ordinal)
    low, high = found.interval(level).T
    np.testing.assert_allclose((low + high) / 2, found.mean(), atol=1e-12)
    upto = normal_cdf((high - found.mean()) / found.deviation())
    np.testing.assert_allclose(2 * upto - 1, level, atol=1e-12)


@pytest.mark.parametrize("level", [0, 1, -0.5, 90, float("nan"), float("inf"), True])
def test_what_is_no_probability_is_refused(draws, level):
    with pytest.raises(SettingError, match="in \\(0, 1\\)") as refused:
        predicted(draws, True).interval(level)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("ordinal", [True, False])
def test_one_certain_draw_has_no_deviation_but_that_of_the_noise(ordinal):
    found = Predictive(2, outcome(ordinal))
    found.add(np.float32([0.5, 9.0]), np.zeros(2, np.float32), 1e-10, CUTS[0])
    if ordinal:
        assert found.distribution().tolist() == [[0, 0, 1, 0], [0, 0, 0, 1]]
        assert found.deviation().tolist() == [0, 0]
    else:
        assert found.deviation() == pytest.approx([UNIT * 1e-5, UNIT * 1e-5])
    assert found.mean() == pytest.approx(
        [3, 5] if ordinal else [CENTER + UNIT * 0.5, CENTER + UNIT * 9.0]
    )


MOMENTS = RatingTimes(np.array([0, 3, 3, 5]), np.array([100, 200, 500, 50, 90]))


def test_moments_before_and_after_a_time_are_found():
    users = np.array([0, 0, 0, 0, 0, 1, 2, -1], np.int32)
    times = np.array([99, 100, 150, 500, 501, 100, 60, 100])
    before, after, since, until = MOMENTS.around(users, times)
    assert before.tolist() == [-1, 0, 0, 2, 2, -1, 3, -1]
    assert after.tolist() == [0, 1, 1, -1, -1, -1, 4, -1]
    assert since.tolist() == [0, 0, 50, 0, 1, 0, 10, 0]
    assert until.tolist() == [1, 100, 50, 0, 0, 0, 30, 0]


def test_times_far_out_are_just_far_away():
    users = np.zeros(2, np.int32)
    times = np.array([-(2**63), 2**63 - 1])
    before, after, since, until = MOMENTS.around(users, times)
    assert before.tolist() == [-1, 2]
    assert after.tolist() == [0, -1]
    assert until[0] == pytest.approx(2.0**63)
    assert since[1] == pytest.approx(2.0**63)


@pytest.mark.parametrize("memory", [3.0, 80.0, 1e5])
def test_drifts_between_moments_are_conditional_normals(memory):
    """Against the joint normal of known and asked states; two drifts add up."""
    rng = np.random.default_rng(0)
    paths = [(memory, 0.7, rng.normal(size=5).astype(np.float32))]
    paths.append((2 * memory, 0.2, rng.normal(size=5).astype(np.float32)))
    users = np.array([0, 0, 0, 0, 1, 2, 2], np.int32)
    times = np.array([40, 130, 200, 560, 100, 70, 50])
    codes = np.column_stack([users, np.full(7, 3)]).astype(np.int32)
    biases = np.float32([0.1, 0.2, 0.3, 0.4])
    asked = PredictionQuery.at(codes, MOMENTS, users, times)
    default = np.full(3, 99, np.float32)  # is for what is asked at no time
    table = np.zeros((4, 16), np.float32)
    scores, spread = scores_of(asked, table, biases, paths, default, 99.0)
    for k, (user, time) in enumerate(zip(users, times, strict=True)):
        mine = slice(*MOMENTS.starts[user : user + 2])
        known = MOMENTS.times[mine]
        mean, left = 0.4 + biases[user], 0.0
        for of, variance, path in paths:
            gram = variance * np.exp(-np.abs(known[:, None] - known) / of)
            cross = variance * np.exp(-np.abs(known - time) / of)
            solved = np.linalg.solve(gram, cross)
            mean += solved @ path[mine]
            left += variance - solved @ cross
        assert scores[k] == pytest.approx(mean, abs=1e-4)
        assert spread[k] == pytest.approx(left, abs=1e-4)


def test_at_no_time_a_user_has_their_default_drift():
    users = np.array([1, -1], np.int32)
    codes = np.array([[1, 3], [2, 3]], np.int32)
    asked = PredictionQuery.at(codes, MOMENTS, users, None)
    table, biases = np.zeros((4, 16), np.float32), np.float32([0.1, 0.2, 0.3, 0.4])
    default = np.float32([7, 8, 9])
    scores, spread = scores_of(asked, table, biases, [], default, 0.25)
    assert scores == pytest.approx([8.6, 0.7])
    assert spread.tolist() == [0.25, 0.0]


def test_split_rhat_compares_the_halves():
    rng = np.random.default_rng(0)
    trace = rng.standard_normal(401)
    halves = trace[1:].reshape(2, 200)
    within = halves.var(axis=1, ddof=1).mean()
    both = 199 / 200 * within + halves.mean(axis=1).var(ddof=1)
    assert split_rhat(trace) == pytest.approx(np.sqrt(both / within))
    assert split_rhat(trace + np.arange(401) / 100) > 1.3
    assert np.isnan(split_rhat(trace[:15]))
    assert np.isfinite(split_rhat(trace[:16]))
    assert np.isnan(split_rhat(np.ones(100)))

"""The normal distribution and its cuts against numerical integration of the density."""

import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from matinee.kernels.ordinal import (
    add_probabilities,
    draw_latent,
    level_likelihoods,
    normal_cdf,
    normal_quantile,
    scalar_normal_cdf,
    truncated,
)
from matinee.kernels.parallel import run_blocks, uniform_blocks

GRID = 20_001  # points of an integral: an odd number, for Simpson's rule
CUTS = np.array([-np.inf, -1.8, -0.9, -0.2, 0.4, 1.7, np.inf])


def integral(values, step):
    """Simpson's rule."""
    return step / 3 * (values[..., ::2].sum(-1) * 2 + values[..., 1::2].sum(-1) * 4
                       - values[..., 0] - values[..., -1])  # fmt: skip


class Cut:
    """The normal density between two bounds, scaled so that nothing underflows.

    With m the point of the interval nearest to zero, the density at z is
    ``exp(-m^2 / 2) exp((m^2 - z^2) / 2)``, and only the second factor is integrated.
    """

    def __init__(self, low, high):
        self.nearest = min(max(low, 0.0), high)
        reach = min(12.0, 60 / max(abs(self.nearest), 1.0))  # beyond, less than e^-60 is left
        self.low, self.high = max(low, self.nearest - reach), min(high, self.nearest + reach)
        self.whole = self.upto(self.high)

    def weight(self, z):
        return np.exp((self.nearest - z) * (self.nearest + z) / 2)

    def upto(self, high, power=0):
        """Integral of z^power times the weight, from the lower bound on."""
        z = np.linspace(self.low, high, GRID)
        return integral(self.weight(z) * z**power, (high - self.low) / (GRID - 1))

    def logarithm(self):
        """Of the probability to lie between the bounds."""
        return math.log(self.whole / math.sqrt(2 * math.pi)) - self.nearest**2 / 2

    def share(self, z):
        """Of that probability, how much lies below z."""
        return self.upto(min(max(z, self.low), self.high)) / self.whole

    def moments(self):
        """(mean, standard deviation)."""
        mean = self.upto(self.high, 1) / self.whole
        return mean, math.sqrt(max(self.upto(self.high, 2) / self.whole - mean**2, 0.0))


def test_the_distribution_function_over_the_whole_range():
    for x in np.concatenate([np.linspace(-37, 8, 300), [-1e-9, 0.0, 1e-9]]):
        assert scalar_normal_cdf(x) == pytest.approx(
            math.exp(Cut(-np.inf, x).logarithm()), rel=1e-10
        )
        assert scalar_normal_cdf(-x) == pytest.approx(1 - scalar_normal_cdf(x), abs=1e-15)
    assert [scalar_normal_cdf(x) for x in (-np.inf, -60.0, 60.0, np.inf)] == [0, 0, 1, 1]


@pytest.mark.parametrize("shape", [(), (0,), (5,), (3, 4), (2, 0, 3), (2, 3, 4)])
def test_the_distribution_function_of_arrays(shape):
    numbers = np.random.default_rng(0).normal(0, 3, shape)
    probabilities = normal_cdf(np.asarray(numbers))
    assert probabilities.shape == shape
    assert probabilities.dtype == np.float64
    expected = [NormalDist().cdf(x) for x in np.ravel(numbers)]
    np.testing.assert_allclose(probabilities.ravel(), expected, rtol=1e-12, atol=1e-16)


def test_the_distribution_function_of_arrays_in_any_order():
    numbers = np.random.default_rng(0).normal(size=(6, 8))
    for view in (numbers.T, numbers[::2, ::-3], np.asfortranarray(numbers)):
        probabilities = normal_cdf(view)
        expected = [[NormalDist().cdf(x) for x in row] for row in view]
        np.testing.assert_allclose(probabilities, expected, rtol=1e-12)


def test_quantiles_undo_the_distribution_function():
    for x in np.linspace(-37, 6, 500):
        share = math.exp(Cut(-np.inf, x).logarithm())
        # where the density is low, a share's last digit is many digits of the quantile's
        blur = 1e-16 * share / max(NormalDist().pdf(x), 1e-300) if x > 0 else 0.0
        assert normal_quantile(share) == pytest.approx(x, rel=1e-11, abs=1e-11 + 10 * blur)


@settings(deadline=None)
@given(st.floats(0, 1, exclude_min=True, exclude_max=True, allow_subnormal=False))
@example(0.5)
@example(0.075)  # where one of its formulas takes over from the next
@example(0.925)
@example(math.exp(-25))
@example(2.3e-308)
@example(1 - 2**-53)
def test_quantiles_of_any_share(share):
    quantile = normal_quantile(share)
    assert quantile == pytest.approx(NormalDist().inv_cdf(share), rel=1e-14, abs=1e-16)
    assert math.copysign(1, quantile) == math.copysign(1, share - 0.5) or quantile == 0


def test_quantiles_rise_from_tail_to_tail():
    small = 10.0 ** np.linspace(-300, -0.31, 2000)
    shares = np.unique(np.concatenate([small, np.linspace(0.49, 0.99, 500), 1 - small[-100:]]))
    quantiles = [normal_quantile(share) for share in shares]
    assert (np.diff(quantiles) > 0).all()
    expected = [NormalDist().inv_cdf(share) for share in shares]
    np.testing.assert_allclose(quantiles, expected, rtol=1e-14, atol=1e-16)


BOUNDS = [
    (-np.inf, np.inf),
    (-np.inf, -1.3),
    (-np.inf, 0.0),
    (0.0, np.inf),
    (0.7, np.inf),
    (-0.4, 2.1),
    (-3.0, 0.0),
    (1.0, 1.001),
    (-6.0, -5.5),
    (4.0, 9.0),
    (7.9, 8.0),
    (12.0, np.inf),
    (-np.inf, -20.0),
    (30.0, 30.1),
    (-36.0, -35.0),
    (36.0, np.inf),
    (-30.0, 5.0),
    (-5.0, 30.0),
]


@pytest.mark.parametrize(("low", "high"), BOUNDS)
def test_a_truncated_number_is_the_quantile_of_its_share(low, high):
    cut = Cut(low, high)
    for uniform in (1e-6, 0.003, 0.1, 0.5, 0.77, 0.99, 1 - 1e-6):
        z = truncated(low, high, uniform)
        assert low <= z <= high
        share = cut.share(z)
        if low > 0:  # reflected: uniform numbers are, too
            share = 1 - share
        assert share == pytest.approx(uniform, abs=1e-9, rel=1e-6)


@pytest.mark.parametrize(("low", "high"), BOUNDS)
def test_truncated_numbers_have_the_right_mean_and_spread(low, high):
    uniforms = (np.arange(20_000) + 0.5) / 20_000
    drawn = np.array([truncated(low, high, uniform) for uniform in uniforms])
    mean, deviation = Cut(low, high).moments()
    assert drawn.mean() == pytest.approx(mean, abs=1e-3 * deviation)
    assert drawn.std() == pytest.approx(deviation, rel=5e-3, abs=1e-9)


@settings(deadline=None)
@given(st.floats(-100, 100), st.floats(0, 100), st.floats(0, 1, exclude_min=True, exclude_max=True))
@example(-1.0, 0.5, 1 - 2**-53)
@example(-38.0, 1.0, 5e-324)
def test_truncated_numbers_lie_between_any_bounds(low, length, uniform):
    high = low + length
    assume(low < high)
    assert low <= truncated(low, high, uniform) <= high
    assert low <= truncated(low, np.inf, uniform) < np.inf
    assert -np.inf < truncated(-np.inf, high, uniform) <= high


@pytest.mark.parametrize("low", [40.0, 200.0, 1e6])
def test_where_no_digit_is_left_the_number_is_the_nearer_bound(low):
    for uniform in (1e-9, 0.5, 1 - 1e-9):
        assert truncated(low, np.inf, uniform) == low
        assert truncated(-np.inf, -low, uniform) == -low
        assert truncated(low, low + 1, uniform) == low
        assert truncated(-low - 1, -low, uniform) == -low


def ratings(count, seed=0, spread=1.5):
    """(levels, scores) without any connection between the two."""
    rng = np.random.default_rng(seed)
    levels = rng.integers(0, len(CUTS) - 1, count).astype(np.int8)
    return levels, rng.normal(0, spread, count).astype(np.float32)


def latent_of(levels, scores, uniforms, cuts=CUTS, threads=1):
    """(latent, residual) as the kernel leaves them, from another pair with the same scores."""
    residual = np.random.default_rng(5).normal(size=len(scores)).astype(np.float32)
    latent = scores + residual
    arguments = levels, cuts, np.asarray(uniforms, np.float32), latent, residual
    run_blocks(draw_latent, uniform_blocks(len(scores), 100), *arguments, threads=threads)
    return latent, residual


def test_latent_values_keep_the_scores_and_lie_between_their_cuts():
    levels, scores = ratings(3000, spread=4)
    latent, residual = latent_of(levels, scores, np.random.default_rng(1).random(3000))
    np.testing.assert_allclose(latent - residual, scores, atol=3e-6)
    assert (latent >= CUTS[levels] - 3e-6).all()
    assert (latent <= CUTS[levels + 1] + 3e-6).all()
    assert len(np.unique(residual)) > 2900


def test_latent_values_are_truncated_numbers_around_the_scores():
    levels, scores = ratings(400)
    uniforms = np.random.default_rng(1).random(400, np.float32)
    _, residual = latent_of(levels, scores, uniforms)
    exact = uniforms.astype(float)
    for level, score, uniform, z in zip(levels, scores, exact, residual, strict=True):
        expected = truncated(CUTS[level] - score, CUTS[level + 1] - score, uniform + 2**-25)
        assert z == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("level", range(len(CUTS) - 1))
def test_latent_values_have_the_right_mean_and_spread(level):
    score, count = np.float32(0.3), 20_000
    uniforms = (np.arange(count) + 0.5) / count
    latent, _ = latent_of(np.full(count, level, np.int8), np.full(count, score), uniforms)
    mean, deviation = Cut(CUTS[level] - score, CUTS[level + 1] - score).moments()
    assert latent.mean(dtype=float) == pytest.approx(score + mean, abs=2e-3 * deviation)
    assert latent.std(dtype=float) == pytest.approx(deviation, rel=5e-3)


@pytest.mark.parametrize("score", [-300.0, -45.0, -20.0, 0.0, 20.0, 45.0, 300.0])
def test_the_ends_of_the_range_of_random_numbers(score):
    # random numbers in float32 start with 0 itself: once in 17 million ratings
    levels = np.repeat(np.arange(len(CUTS) - 1, dtype=np.int8), 2)
    scores = np.full(len(levels), score, np.float32)
    ends = np.tile([0.0, 1 - 2**-24], len(CUTS) - 1)
    latent, residual = latent_of(levels, scores, ends)
    assert np.isfinite(latent).all()
    np.testing.assert_allclose(latent - residual, scores, atol=1e-4)
    if score == 0:  # below the median, a smaller number is a smaller value
        least, most = latent.reshape(-1, 2)[CUTS[:-1] < 0].T
        assert (least < most).all()
        assert -6.5 < least[0] < -5.5


def test_latent_values_do_not_depend_on_threads():
    levels, scores = ratings(2000)
    uniforms = np.random.default_rng(1).random(2000)
    expected = latent_of(levels, scores, uniforms)
    for threads in (2, 5):
        drawn = latent_of(levels, scores, uniforms, threads=threads)
        assert all(np.array_equal(*pair) for pair in zip(drawn, expected, strict=True))


def test_likelihoods_of_levels_are_sums_of_logarithms():
    levels, scores = ratings(300, spread=3)
    expected = np.zeros(len(CUTS) - 1)
    for level, score in zip(levels[20:], scores[20:].astype(float), strict=True):
        expected[level] += Cut(CUTS[level] - score, CUTS[level + 1] - score).logarithm()
    likelihood = level_likelihoods(20, 300, levels, CUTS, scores)
    np.testing.assert_allclose(likelihood, expected, rtol=1e-8)
    assert (level_likelihoods(5, 5, levels, CUTS, scores) == 0).all()


@pytest.mark.parametrize("score", [-30.0, -12.0, 12.0, 30.0])
def test_likelihoods_far_from_the_cuts(score):
    for level in range(len(CUTS) - 1):
        likelihood = level_likelihoods(0, 1, np.int8([level]), CUTS, np.float32([score]))[level]
        expected = Cut(CUTS[level] - score, CUTS[level + 1] - score).logarithm()
        assert likelihood == pytest.approx(expected, rel=1e-9, abs=1e-15)


def test_a_likelihood_is_never_infinite():
    for score in (-1e6, -50.0, 50.0, 1e6):
        for level in range(len(CUTS) - 1):
            likelihood = level_likelihoods(0, 1, np.int8([level]), CUTS, np.float32([score]))
            assert np.isfinite(likelihood).all()


def test_probabilities_are_integrals_between_the_cuts():
    rng = np.random.default_rng(0)
    scores, spread = rng.normal(0, 2, 30).astype(np.float32), rng.uniform(0.1, 4, 30).astype("f4")
    before = rng.random((30, len(CUTS) - 1))
    out = before.copy()
    add_probabilities(0, 25, CUTS, scores, spread, out)
    assert np.array_equal(out[25:], before[25:])
    added = out - before
    for k in range(25):
        bounds = (CUTS - scores[k]) / math.sqrt(spread[k])
        expected = [math.exp(Cut(*bounds[level : level + 2]).logarithm()) for level in range(6)]
        np.testing.assert_allclose(added[k], expected, rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(added[:25].sum(axis=1), 1, rtol=1e-12)


def test_probabilities_are_those_of_likelihoods_where_the_spread_is_one():
    scores, out = np.linspace(-3, 3, 13).astype(np.float32), np.zeros((13, 6))
    add_probabilities(0, 13, CUTS, scores, np.ones(13, np.float32), out)
    for k, level in np.ndindex(13, 6):
        likelihood = level_likelihoods(k, k + 1, np.full(13, level, np.int8), CUTS, scores)[level]
        assert out[k, level] == pytest.approx(math.exp(likelihood), rel=1e-9)


@settings(deadline=None)
@given(st.floats(-20, 20), st.floats(0.01, 100))
def test_probabilities_are_never_negative(score, spread):
    out = np.zeros((1, 6))
    add_probabilities(0, 1, CUTS, np.float32([score]), np.float32([spread]), out)
    assert (out >= 0).all()
    assert out.sum() == pytest.approx(1)

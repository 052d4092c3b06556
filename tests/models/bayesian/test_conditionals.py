"""Single steps of the chain against the distributions they are to draw from."""

import numpy as np
import pytest
from forward import covariance_of_path, dense, sampler_of, scores, tiny_data

from matinee.kernels.ordinal import normal_cdf
from matinee.models.bayesian import BayesianMF
from matinee.models.bayesian.likelihoods import NormalLikelihood, OrdinalLikelihood
from matinee.models.bayesian.sampler import FactorBlock, draw_wishart
from matinee.models.bayesian.side_information import FeatureLink, Features, features_of_users
from matinee.models.bayesian.temporal import Drift, RatingTimeline

PRECISION = np.array([[2.0, 0.5, -0.3], [0.5, 1.0, 0.2], [-0.3, 0.2, 0.7]])


def assert_moments(draws, mean, covariance):
    """Draws have this mean and covariance, up to five standard errors."""
    draws = np.asarray(draws, np.float64).reshape(len(draws), -1)
    mean, spread = np.ravel(mean), np.diag(covariance)
    error = np.sqrt(np.maximum(spread, 1e-12) / len(draws))
    assert np.abs((draws.mean(axis=0) - mean) / error).max() < 5
    found = (draws - mean).T @ (draws - mean) / len(draws)
    error = np.sqrt((np.outer(spread, spread) + covariance**2) / len(draws))
    assert np.abs((found - covariance) / np.maximum(error, 1e-12)).max() < 5


@pytest.mark.parametrize("freedom", [3.0, 7.5, 400.0])
def test_wishart_matrices_have_the_mean_and_variances_of_the_distribution(freedom):
    rng = np.random.default_rng(0)
    draws = np.array([draw_wishart(PRECISION, freedom, rng) for _ in range(3000)])
    assert np.array_equal(draws, draws.transpose(0, 2, 1))
    scale = np.linalg.inv(PRECISION)
    variances = freedom * (scale**2 + np.outer(np.diag(scale), np.diag(scale)))
    miss = (draws.mean(axis=0) - freedom * scale) / np.sqrt(variances / len(draws))
    assert np.abs(miss).max() < 4.5
    assert np.abs(draws.var(axis=0) / variances - 1).max() < 0.3
    # x' W x is x' scale x times chi-squared, whatever x
    form = np.einsum("j,njk,k->n", np.ones(3), draws, np.ones(3)) / scale.sum()
    assert form.var() == pytest.approx(2 * freedom, rel=0.2)


@pytest.mark.slow
def test_mean_and_precision_of_rows_follow_their_normal_wishart_posterior():
    """Of few rows, so that the prior counts."""
    side = FactorBlock.start(0, 0, np.arange(3, dtype=np.int32), Features.of_groups(3, {}), 3)
    rows = np.random.default_rng(0).normal(2.0, 1.0, (3, 3))
    average = rows.mean(axis=0)
    around = rows - average
    scatter = np.eye(3) + around.T @ around + 3 * 2 / 5 * np.outer(average, average)
    rng, precisions, away = np.random.default_rng(1), [], []
    for _ in range(4000):
        side.draw_prior(rows, False, rng)
        precisions.append(side.precision)
        root = np.linalg.cholesky(5.0 * side.precision)  # of three rows, and two of the prior
        away.append(root.T @ (side.mean - 3 / 5 * average))
    assert_moments(away, np.zeros(3), np.eye(3))
    scale = np.linalg.inv(scatter)
    along = np.einsum("j,njk,k->n", average, precisions, average)  # where the prior counts most
    form = average @ scale @ average
    assert along.mean() / form == pytest.approx(6, abs=4.5 * np.sqrt(12 / 4000))
    variances = 6 * (scale**2 + np.outer(np.diag(scale), np.diag(scale)))
    miss = (np.mean(precisions, axis=0) - 6 * scale) / np.sqrt(variances / 4000)
    assert np.abs(miss).max() < 4.5


@pytest.fixture
def link():
    """Five users with traits and what they rated; groups of very different precisions."""
    link = FeatureLink.start(features_of_users(tiny_data(), ("age", "gender", "rated")), 3)
    link.precisions = np.array([0.4, 5.0, 1.5])
    return link


def test_links_are_drawn_from_their_matrix_normal_posterior(link):
    rows = np.random.default_rng(1).normal(size=(5, 3))
    features = dense(link.features)
    normal = features.T @ features + np.diag(link.precisions[link.features.group])
    rng, draws = np.random.default_rng(2), []
    for _ in range(4000):
        link.draw(rows, PRECISION, rng)
        draws.append(link.table)
    covariance = np.kron(np.linalg.inv(normal), np.linalg.inv(PRECISION))
    assert_moments(draws, np.linalg.solve(normal, features.T @ rows), covariance)


def test_groups_precisions_are_drawn_from_their_gamma_posterior(link):
    link.table = np.random.default_rng(1).normal(size=link.table.shape).astype(np.float32)
    rng, draws = np.random.default_rng(2), []
    for _ in range(4000):
        link.draw_precisions(PRECISION, rng)
        draws.append(link.precisions)
    for group in range(3):
        table = link.table[link.features.group == group].astype(np.float64)
        shape = 1 + table.size / 2
        rate = 1 + np.trace(table @ PRECISION @ table.T) / 2
        found = np.array(draws)[:, group]
        assert found.mean() == pytest.approx(shape / rate, abs=5 * found.std() / 4000**0.5)
        assert found.var() == pytest.approx(shape / rate**2, rel=0.2)


def test_what_features_say_of_rows_is_their_matrix_times_the_links(link):
    link.table = np.random.default_rng(1).normal(size=link.table.shape).astype(np.float32)
    np.testing.assert_allclose(link.means(), dense(link.features) @ link.table, atol=1e-5)
    weight = link.precisions[link.features.group]
    expected = link.table.T @ np.diag(weight) @ link.table
    np.testing.assert_allclose(link.scatter(), expected, rtol=1e-5)
    kept = link.features.only({"rated"}, link.table)
    assert (kept[link.features.group != 2] == 0).all()
    assert np.array_equal(kept[link.features.group == 2], link.table[link.features.group == 2])


def test_the_noise_is_drawn_from_its_gamma_posterior():
    values = np.random.default_rng(0).normal(0, 1.3, 40).astype(np.float32)
    likelihood = NormalLikelihood(values)
    rng, draws = np.random.default_rng(1), []
    for sweep in range(4000):
        likelihood.draw(sweep, rng)
        draws.append(likelihood.precision)
    shape, rate = 21.0, 1 + np.square(values, dtype=np.float64).sum() / 2
    assert np.mean(draws) == pytest.approx(shape / rate, abs=5 * np.std(draws) / 4000**0.5)
    assert np.var(draws) == pytest.approx(shape / rate**2, rel=0.2)


def test_paths_are_drawn_from_their_joint_normal_posterior():
    """Against the covariance of the process and everything dense."""
    data = tiny_data()
    sampler = sampler_of(data, 1, None, ("drift",))
    timeline, drift = (
        sampler.timeline,
        Drift(3e4, 0.8, np.zeros(len(sampler.timeline.gaps), np.float32)),
    )
    counts = np.diff(timeline.first)
    assert counts.max() > 1
    assert np.diff(timeline.moments.starts).max() > 2
    seen = np.random.default_rng(0).normal(size=len(data))
    shows = np.repeat(np.eye(len(counts)), counts, axis=0)  # which moment a rating is of
    prior = covariance_of_path(sampler, drift)
    covariance = np.linalg.inv(np.linalg.inv(prior) + 1.7 * shows.T @ shows)
    residual = seen.astype(np.float32)
    rng, draws = np.random.default_rng(2), []
    for _ in range(4000):
        drift.draw(timeline, residual, 1.7, 1, rng)
        draws.append(drift.path.copy())
        # what the path takes from the residuals is itself
    np.testing.assert_allclose(residual + shows @ drift.path, seen, atol=1e-4)
    assert_moments(draws, covariance @ (1.7 * shows.T @ seen), covariance)


@pytest.mark.thorough
@pytest.mark.slow
def test_memory_and_variance_of_a_drift_follow_their_posterior():
    """Against a grid: the paths integrated out densely, the logarithms of both flat."""
    moments, memory, variance = 60, 500.0, 1.5
    data = tiny_data(ratings=16)
    rng = np.random.default_rng(0)
    times = np.cumsum(rng.integers(50, 400, moments)).astype(np.int64)
    zero = np.zeros(moments, np.int32)
    table = data.ratings
    ratings = type(table)(
        zero, zero, zero.astype(np.float32), times, table.user_ids, table.item_ids, table.scale
    )
    timeline = RatingTimeline.of(ratings)
    apart = np.abs(times[:, None] - times)

    def covariance(memory, variance):
        return variance * np.exp(-apart / memory) + np.eye(moments) / 4

    seen = rng.multivariate_normal(np.zeros(moments), covariance(memory, variance))
    grid = np.exp(np.linspace(-4, 5, 55))
    logs = np.empty((55, 55))
    for i, m in enumerate(memory * grid):
        for j, v in enumerate(variance * grid):
            matrix = covariance(m, v)
            logs[i, j] = -0.5 * np.linalg.slogdet(matrix)[1]
            logs[i, j] -= 0.5 * seen @ np.linalg.solve(matrix, seen)
    weight = np.exp(logs - logs.max())
    weight /= weight.sum()
    log_grid = np.log(grid)
    means = weight.sum(axis=1) @ log_grid, weight.sum(axis=0) @ log_grid
    spreads = [
        np.sqrt(part @ log_grid**2 - mean**2)
        for part, mean in zip((weight.sum(axis=1), weight.sum(axis=0)), means, strict=True)
    ]
    drift = Drift(memory, variance, np.zeros(moments, np.float32))
    residual, draws = seen.astype(np.float32), []
    for sweep in range(100, 16_100):
        drift.draw(timeline, residual, 4.0, sweep, rng)
        draws.append((drift.memory / memory, drift.variance / variance))
    found = np.log(draws)
    for k in range(2):
        assert found[:, k].mean() == pytest.approx(means[k], abs=0.25 * spreads[k])
        assert found[:, k].std() == pytest.approx(spreads[k], rel=0.25)


def test_drifts_wait_before_memory_and_variance_are_drawn():
    sampler = sampler_of(tiny_data(), 1, None, ("drift",))
    before = [(drift.memory, drift.variance) for drift in sampler.drifts]
    for _ in range(5):
        sampler.draw()
    assert [(drift.memory, drift.variance) for drift in sampler.drifts] == before
    for _ in range(20):
        sampler.draw()
    assert all(
        drift.memory != m and drift.variance != v
        for drift, (m, v) in zip(sampler.drifts, before, strict=True)
    )


def posterior_of_cuts(levels, score, count):
    """Mean and deviation of each cut under a flat prior, by sums over a grid for each of them."""
    grid = np.linspace(-2.5, 2.5, 126)

    def probabilities(level):
        """Of what was seen of a level, for its lower and upper cut, (126, 126)."""
        upto = normal_cdf(grid[:, None] - score[levels == level])
        below = np.zeros_like(upto) if level == 0 else upto
        upto = np.ones_like(upto) if level == count - 1 else upto
        return np.maximum(upto[None] - below[:, None], 0.0).prod(axis=2)

    tables = [probabilities(level) for level in range(count)]
    means, spreads = [], []
    for cut in range(1, count):
        left, right = np.eye(126)[0], np.eye(126)[0]  # at both ends the grid does not matter
        for table in tables[:cut]:
            left = left @ table
        for table in reversed(tables[cut:]):
            right = table @ right
        weight = left * right / (left @ right)
        means.append(weight @ grid)
        spreads.append(np.sqrt(weight @ grid**2 - means[-1] ** 2))
    return np.array(means), np.array(spreads)


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.parametrize("counts", [(30, 50), (14, 30, 25, 11)])
def test_cuts_and_latent_values_follow_their_posterior_given_the_scores(counts):
    rng = np.random.default_rng(3)
    levels = rng.permutation(np.repeat(np.arange(len(counts)), counts)).astype(np.int8)
    score = rng.normal(0.0, 0.8, len(levels)).astype(np.float32)
    likelihood = OrdinalLikelihood(levels, len(counts))
    likelihood.residual[:] = likelihood.latent - score
    draws, latent = [], []
    for sweep in range(6000):
        likelihood.draw(sweep, rng)
        draws.append(likelihood.cuts[1:-1].copy())
        latent.append(likelihood.latent[:5].copy())
    draws, latent = np.array(draws[200:]), np.array(latent[200:])
    np.testing.assert_allclose(likelihood.latent - likelihood.residual, score, atol=1e-4)
    mean, spread = posterior_of_cuts(levels, score.astype(np.float64), len(counts))
    assert (np.diff(draws, axis=1) > 0).all()
    assert np.abs((draws.mean(axis=0) - mean) / spread).max() < 0.2
    assert np.abs(draws.std(axis=0) / spread - 1).max() < 0.15
    # a latent value lies between its cuts, as far up as a truncated normal number would
    cuts = np.pad(draws, ((0, 0), (1, 1)), constant_values=((0, 0), (-np.inf, np.inf)))
    for k in range(5):
        low, high, at = (
            normal_cdf(values - np.float64(score[k]))
            for values in (cuts[:, levels[k]], cuts[:, levels[k] + 1], latent[:, k])
        )
        share = (at - low) / (high - low)
        assert -1e-3 < share.min() < share.max() < 1 + 1e-3
        assert share.mean() == pytest.approx(0.5, abs=0.02)
        assert share.std() == pytest.approx(12**-0.5, abs=0.015)


def test_scores_are_biases_and_all_pairs_of_factors():
    sampler = sampler_of(tiny_data(), 3, None, ("date",))
    rng = np.random.default_rng(0)
    sampler.biases[:] = rng.normal(size=len(sampler.biases))
    sampler.table[:, :3] = rng.normal(size=(len(sampler.table), 3))
    np.testing.assert_allclose(sampler.scores(sampler.codes), scores(sampler), atol=1e-5)


@pytest.mark.slow
def test_residuals_stay_what_scores_and_drifts_leave():
    for levels in (None, [1, 2, 3]):
        sampler = sampler_of(tiny_data(), 2, levels, BayesianMF().groups(tiny_data()))
        for _ in range(150):
            sampler.draw()
        left = sampler.likelihood.target() - scores(sampler)
        np.testing.assert_allclose(sampler.likelihood.residual, left, atol=1e-4)

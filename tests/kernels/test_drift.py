"""Paths against the Gaussian process they are: dense matrices of covariances, in float64."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matinee.kernels.drift import bridge, draw_paths, path_likelihood
from matinee.kernels.parallel import balanced_blocks, run_blocks

COUNTS = (0, 1, 6, 0, 2, 9)  # moments of each row
MEMORIES = (1.0, 300.0, 1e5, 1e9)  # seconds


class Paths:
    """Moments of a few rows, one to four ratings at each, and residuals around a path."""

    def __init__(self, seed=0, counts=COUNTS):
        rng = np.random.default_rng(seed)
        moments = sum(counts)
        self.indptr = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
        self.gaps = np.ceil(10 ** rng.uniform(0, 6, moments)).astype(np.float32)
        ratings = rng.integers(1, 5, moments)
        self.moments = np.concatenate(([0], np.cumsum(ratings))).astype(np.int64)
        self.moment = np.repeat(np.arange(moments), ratings)
        self.path = rng.normal(0, 0.5, moments).astype(np.float32)
        self.residual = rng.normal(0, 1, len(self.moment)).astype(np.float32)
        self.precision = 1.7
        self.rows = [slice(*pair) for pair in zip(self.indptr, self.indptr[1:], strict=False)]

    def target(self, path=None, residual=None):
        """Residuals of the scores without the path."""
        path = self.path if path is None else path
        residual = self.residual if residual is None else residual
        return residual.astype(float) + path.astype(float)[self.moment]

    def times(self, row):
        """Seconds, from a moment of the row before, which no row may look at."""
        return np.cumsum(self.gaps[row].astype(float))

    def drawn(self, memory, variance, noise=None, threads=1, blocks=2):
        """(path, residual) as the kernel leaves them."""
        path, residual = self.path.copy(), self.residual.copy()
        noise = np.zeros(len(path)) if noise is None else noise
        arguments = self.indptr, self.moments, self.gaps, memory, variance, residual, self.precision
        cut = balanced_blocks(self.indptr, blocks)
        run_blocks(draw_paths, cut, *arguments, noise.astype(np.float32), path, threads=threads)
        return path, residual

    def likelihoods(self, memory, variance, threads=1, blocks=1):
        rows = self.indptr, self.moments, self.gaps
        arguments = (*rows, memory, variance, self.residual, self.precision, self.path)
        cut = balanced_blocks(self.indptr, blocks)
        return run_blocks(path_likelihood, cut, *arguments, threads=threads)


def covariances(times, others, memory, variance):
    return variance * np.exp(-np.abs(times[:, None] - others) / memory)


def conditional(paths, row, memory, variance):
    """(mean, covariance) of a row's states given its ratings."""
    mine = (paths.moment >= row.start) & (paths.moment < row.stop)
    seen = paths.moment[mine] - row.start
    prior = covariances(paths.times(row), paths.times(row), memory, variance)
    of_ratings = prior[np.ix_(seen, seen)] + np.eye(len(seen)) / paths.precision
    share = prior[:, seen] @ np.linalg.inv(of_ratings)
    return share @ paths.target()[mine], prior - share @ prior[seen]


def dense_likelihood(paths, memory, variance):
    """Logarithm of the density of the targets, up to a constant."""
    total = 0.0
    for row in paths.rows:
        mine = (paths.moment >= row.start) & (paths.moment < row.stop)
        times = paths.times(row)[paths.moment[mine] - row.start]
        matrix = covariances(times, times, memory, variance) + np.eye(len(times)) / paths.precision
        target = paths.target()[mine]
        total -= 0.5 * np.linalg.slogdet(matrix)[1]
        total -= 0.5 * target @ np.linalg.solve(matrix, target)
    return total


@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize("variance", [0.002, 0.7, 40.0])
def test_without_noise_the_path_is_the_conditional_mean(memory, variance):
    paths = Paths()
    path, _ = paths.drawn(memory, variance)
    for row in paths.rows:
        mean, _ = conditional(paths, row, memory, variance)
        np.testing.assert_allclose(path[row], mean, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize("variance", [0.002, 0.7])
def test_noise_spreads_paths_by_the_conditional_covariance(memory, variance):
    paths = Paths(seed=1)
    centre, _ = paths.drawn(memory, variance)
    units = np.eye(len(centre))
    # a path is the mean plus a matrix times the noise: one column of it after another
    root = np.stack([paths.drawn(memory, variance, unit)[0] - centre for unit in units], axis=1)
    spread = root.astype(float) @ root.T.astype(float)
    expected = np.zeros_like(spread)
    for row in paths.rows:
        _, expected[row, row] = conditional(paths, row, memory, variance)
    np.testing.assert_allclose(spread, expected, rtol=1e-3, atol=1e-5 * variance)


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.integers(0, 7), min_size=1, max_size=5),
    st.floats(0, 7),
    st.floats(-3, 1),
    st.integers(0, 2**32 - 1),
)
def test_means_of_any_moments(counts, memory, variance, seed):
    paths = Paths(seed, counts)
    path, _ = paths.drawn(10.0**memory, 10.0**variance)
    for row in paths.rows:
        mean, _ = conditional(paths, row, 10.0**memory, 10.0**variance)
        np.testing.assert_allclose(path[row], mean, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("memory", MEMORIES)
def test_residuals_are_what_the_new_path_leaves(memory):
    paths = Paths(seed=2)
    noise = np.random.default_rng(0).standard_normal(len(paths.path))
    path, residual = paths.drawn(memory, 0.5, noise)
    assert (path != paths.path).all()
    np.testing.assert_allclose(paths.target(path, residual), paths.target(), atol=1e-6)


def test_a_path_does_not_depend_on_the_one_before():
    paths = Paths(seed=3)
    first, _ = paths.drawn(300.0, 0.5)
    paths.residual += paths.path[paths.moment]
    paths.path[:] = 0
    second, _ = paths.drawn(300.0, 0.5)
    np.testing.assert_allclose(first, second, atol=1e-6)


def test_the_first_gap_of_a_row_does_not_matter():
    paths = Paths(seed=4)
    before = paths.drawn(300.0, 0.5)[0], paths.likelihoods(300.0, 0.5)
    starts = paths.indptr[:-1][np.diff(paths.indptr) > 0]
    paths.gaps[starts] = -1e9
    assert np.array_equal(before[0], paths.drawn(300.0, 0.5)[0])
    assert before[1] == paths.likelihoods(300.0, 0.5)


def test_likelihoods_differ_as_those_of_the_dense_process():
    paths = Paths(seed=5)
    settings = [(memory, variance) for memory in MEMORIES for variance in (0.01, 0.5, 4.0)]
    likelihoods = np.array([sum(paths.likelihoods(*setting)) for setting in settings])
    expected = np.array([dense_likelihood(paths, *setting) for setting in settings])
    np.testing.assert_allclose(
        likelihoods - likelihoods[0], expected - expected[0], rtol=1e-6, atol=1e-6
    )


def test_likelihoods_of_blocks_add_up_to_that_of_all():
    paths = Paths(seed=6, counts=[3, 0, 5, 1, 8, 2])
    blocks = paths.likelihoods(300.0, 0.5, blocks=4)
    assert len(blocks) > 2
    assert math.isclose(sum(blocks), paths.likelihoods(300.0, 0.5)[0], rel_tol=1e-12)


def test_paths_do_not_depend_on_threads_or_blocks():
    paths = Paths(seed=7, counts=np.random.default_rng(0).integers(0, 30, 100))
    noise = np.random.default_rng(1).standard_normal(len(paths.path))
    expected = paths.drawn(300.0, 0.5, noise, blocks=1)
    likelihoods = paths.likelihoods(300.0, 0.5, blocks=9)
    for threads, blocks in ((2, 9), (5, 9), (5, 64)):
        drawn = paths.drawn(300.0, 0.5, noise, threads, blocks)
        assert all(np.array_equal(*pair) for pair in zip(drawn, expected, strict=True))
        assert paths.likelihoods(300.0, 0.5, threads, blocks=9) == likelihoods


def test_states_of_a_row_rated_in_one_moment():
    paths = Paths(counts=[1])
    count, summed = len(paths.residual), paths.target().sum()
    path, _ = paths.drawn(300.0, 0.5)
    assert path[0] == pytest.approx(paths.precision * summed / (paths.precision * count + 2))


def between(times, path, asked, memory, variance):
    """(mean, variance) of states at some times, by `bridge`."""
    times, asked = np.asarray(times, float), np.asarray(asked, float)
    after = np.searchsorted(times, asked, side="right")
    before = after - 1
    after = np.where(after < len(times), after, -1)
    times_or_none = np.append(times, 0.0)  # of no moment at all
    since = np.where(before >= 0, asked - times_or_none[before], 0).astype(np.float32)
    until = np.where(after >= 0, times_or_none[after] - asked, 0).astype(np.float32)
    mean, spread = np.full((2, len(asked)), [[3.0], [5.0]], np.float32)
    path = np.asarray(path, np.float32)
    neighbours = before.astype(np.int64), after.astype(np.int64)
    bridge(0, len(asked), *neighbours, since, until, memory, variance, path, mean, spread)
    return mean - 3, spread - 5


def dense_between(times, path, asked, memory, variance):
    """The same, given all states at once."""
    times, asked = np.asarray(times, float), np.asarray(asked, float)
    share = covariances(asked, times, memory, variance)
    inverse = np.linalg.inv(covariances(times, times, memory, variance))
    left = variance - np.einsum("qm,mn,qn->q", share, inverse, share)
    return share @ inverse @ path, left


@pytest.mark.parametrize("memory", [100.0, 1500.0, 60_000.0])
@pytest.mark.parametrize("moments", [1, 2, 7])
def test_between_moments_states_follow_the_dense_process(memory, moments):
    rng = np.random.default_rng(moments)
    times = np.sort(rng.choice(5000, moments, replace=False))
    path = rng.normal(0, 0.7, moments).astype(np.float32)
    asked = np.concatenate([rng.uniform(times[0] - 900, times[-1] + 900, 60), [-1e9, 1e9]])
    asked = asked[np.abs(asked[:, None] - times).min(axis=1) > 1e-4 * memory]
    mean, spread = between(times, path, asked, memory, 0.6)
    expected, left = dense_between(times, path, asked, memory, 0.6)
    assert len(asked) > 20
    np.testing.assert_allclose(mean, expected, rtol=1e-4, atol=2e-6)
    np.testing.assert_allclose(spread, left, rtol=1e-4, atol=2e-6)


@pytest.mark.parametrize("memory", MEMORIES)
def test_at_a_moment_the_state_is_that_of_the_path(memory):
    times, path = np.array([0, 1, 70, 4000, 90_000]), np.float32([0.5, -0.3, 0.1, 0.8, -1.2])
    mean, spread = between(times, path, times, memory, 0.6)
    np.testing.assert_allclose(mean, path, atol=1e-6)
    assert (spread == 0).all()


def test_at_the_moment_after_the_state_is_that_of_the_path():
    path, mean, spread = np.float32([0.5, -0.3]), np.zeros(1, np.float32), np.zeros(1, np.float32)
    neighbours, seconds = (np.array([0]), np.array([1])), np.float32([[40], [0]])
    bridge(0, 1, *neighbours, *seconds, 100.0, 0.6, path, mean, spread)
    assert mean == path[1]
    assert spread == 0


@pytest.mark.parametrize("side", [-1, 1])
def test_close_to_a_moment_nothing_jumps(side):
    times, path = np.array([0.0, 1000.0, 2000.0]), [0.5, -0.3, 0.9]
    away = np.array([1e-4, 9e-4, 1.1e-3, 1e-2, 0.05])  # of a memory of 1000: around a millionth
    mean, spread = between(times, path, 1000 + side * away, 1000.0, 0.6)
    np.testing.assert_allclose(mean, -0.3, atol=1e-4)
    np.testing.assert_allclose(spread, 0.6 * 2 * away / 1000, atol=2e-6)


def test_beyond_its_moments_a_state_returns_to_zero():
    for asked in ([-1e9, 1e9], [-250.0, 450.0]):
        mean, spread = between([0, 200], [2.0, 2.0], asked, 100.0, 0.6)
        kept = np.exp(-np.minimum(np.abs(asked), np.abs(np.array(asked) - 200)) / 100)
        np.testing.assert_allclose(mean, 2 * kept, atol=1e-5)
        np.testing.assert_allclose(spread, 0.6 * (1 - kept**2), atol=1e-5)


def test_without_moments_a_state_has_its_prior():
    mean, spread = between([], [0.0], [5.0, 1e9], 100.0, 0.6)
    assert (mean == 0).all()
    np.testing.assert_allclose(spread, 0.6, atol=1e-6)


def test_several_drifts_add_up():
    path, mean, spread = np.float32([0.5, -0.3]), np.zeros(2, np.float32), np.zeros(2, np.float32)
    neighbours = np.array([0, -1]), np.array([1, 0])
    seconds = np.float32([30, 0]), np.float32([60, 20])
    for times in (1, 2):
        bridge(0, 2, *neighbours, *seconds, 100.0, 0.6, path, mean, spread)
        if times == 1:
            once = mean.copy(), spread.copy()
    np.testing.assert_allclose(mean, 2 * once[0], rtol=1e-6)
    np.testing.assert_allclose(spread, 2 * once[1], rtol=1e-6)

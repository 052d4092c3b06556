"""Draws of rows against dense conditional distributions, and scores against a plain loop."""

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matinee.kernels.gibbs import draw_rows, score_entries
from matinee.kernels.linalg import CHUNK, padded
from matinee.kernels.parallel import balanced_blocks, run_blocks
from matinee.kernels.simd import LANES

COUNTS = (0, 1, 2, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 5)  # ratings of a side's first rows


class Problem(NamedTuple):
    """Ratings with rows on two sides or more, and a prior for the rows of one of them.

    `rows` is float64 (rows of all sides, 1 + factors), bias first; `values` are to be explained.
    """

    firsts: np.ndarray
    codes: np.ndarray
    rows: np.ndarray
    values: np.ndarray
    precision: np.ndarray
    means: np.ndarray

    @property
    def factors(self):
        return self.rows.shape[1] - 1

    def span(self, side):
        return slice(self.firsts[side], self.firsts[side + 1])


def problem(sides, factors, side, seed=0, least=9, extra=60):
    """Ratings whose rows on one side have `COUNTS` ratings and a few; the others at random."""
    rng = np.random.default_rng(seed)
    sizes = [least + 2 * s for s in range(sides)]
    firsts = np.concatenate(([0], np.cumsum(sizes)))
    own = np.repeat(np.arange(len(COUNTS)), COUNTS)
    own = np.concatenate([own, rng.integers(len(COUNTS), sizes[side], extra)])
    own = rng.permutation(own)
    codes = [own if s == side else rng.integers(0, sizes[s], len(own)) for s in range(sides)]
    codes = (np.stack(codes, axis=1) + firsts[:-1]).astype(np.int32)
    rows = rng.normal(0, 0.6, (firsts[-1], 1 + factors)).astype(np.float32).astype(float)
    root = rng.normal(0, 0.7, (1 + factors, 1 + factors))
    precision = root @ root.T + np.eye(1 + factors)
    means = rng.normal(0, 0.5, (sizes[side], 1 + factors))
    return Problem(firsts, codes, rows, rng.normal(0, 2, len(own)), precision, means)


def dense_scores(codes, rows):
    """As the formula says, sum over pairs and all; a code of -1 is nobody."""
    out = np.zeros(len(codes))
    for k, here in enumerate(codes):
        rows_of_rating = [rows[code] for code in here if code >= 0]
        out[k] = sum(row[0] for row in rows_of_rating)
        for s, row in enumerate(rows_of_rating):
            out[k] += sum(row[1:] @ other[1:] for other in rows_of_rating[s + 1 :])
    return out


def conditional(given, side):
    """(mean, covariance) of each row of a side, all other rows as they are."""
    out = []
    for row in range(given.firsts[side], given.firsts[side + 1]):
        mine = np.flatnonzero(given.codes[:, side] == row)
        others = np.delete(given.codes[mine], side, axis=1)
        design = given.rows[others].sum(axis=1)
        design[:, 0] = 1
        target = given.values[mine] - dense_scores(others, given.rows)
        covariance = np.linalg.inv(given.precision + design.T @ design)
        right = given.precision @ given.means[row - given.firsts[side]] + design.T @ target
        mean = covariance @ right
        out.append((mean, covariance))
    return out


def draw(given, side, noise=None, threads=1, blocks=3):
    """Draw a side by the kernel: (table of factors, biases, residual)."""
    factors, width = given.factors, padded(given.factors)
    table = np.zeros((len(given.rows), width), np.float32)
    table[:, :factors] = given.rows[:, 1:]
    biases = given.rows[:, 0].astype(np.float32)
    residual = (given.values - dense_scores(given.codes, given.rows)).astype(np.float32)
    prior = np.zeros((width, width + LANES), np.float32)
    np.fill_diagonal(prior, 1)
    prior[:factors, :factors] = given.precision[1:, 1:]
    prior[:factors, width + 1] = given.precision[0, 1:]
    span = given.span(side)
    prior_gradient, wide = np.zeros((2, len(given.means), 1 + width), np.float32)
    prior_gradient[:, : 1 + factors] = (given.means - given.rows[span]) @ given.precision
    if noise is not None:
        wide[:, : 1 + factors] = noise
    entries = np.argsort(given.codes[:, side], kind="stable").astype(np.int32)
    counts = np.bincount(given.codes[:, side] - span.start, minlength=len(given.means))
    indptr = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
    model = given.codes, table, biases, residual, prior, prior_gradient
    precision = np.float32(given.precision[0, 0])
    arguments = (indptr, entries, side, int(span.start), *model, precision, wide)
    run_blocks(draw_rows, balanced_blocks(indptr, blocks), *arguments, threads=threads)
    return table, biases, residual


def rows_of(given, drawn):
    return np.column_stack([drawn[1], drawn[0][:, : given.factors]]).astype(float)


SIDES = [(2, 0), (2, 1), (3, 0), (3, 1), (3, 2), (4, 2)]


@pytest.mark.parametrize(("sides", "side"), SIDES)
@pytest.mark.parametrize("factors", [0, 1, 5, 16, 23])
def test_without_noise_rows_become_their_conditional_means(sides, side, factors):
    given = problem(sides, factors, side, seed=factors)
    drawn = rows_of(given, draw(given, side))[given.span(side)]
    expected = [mean for mean, _ in conditional(given, side)]
    np.testing.assert_allclose(drawn, expected, rtol=2e-3, atol=2e-4)


@pytest.mark.slow
@pytest.mark.parametrize(("sides", "side"), SIDES)
@pytest.mark.parametrize("factors", [3, 20])
def test_noise_spreads_rows_by_their_conditional_covariance(sides, side, factors):
    given = problem(sides, factors, side, seed=1)
    span = given.span(side)
    centre = rows_of(given, draw(given, side))[span]
    # a draw is the mean plus a matrix times the noise: one column of it after another
    columns = [
        rows_of(given, draw(given, side, unit))[span] - centre for unit in np.eye(1 + factors)
    ]
    roots = np.stack(columns, axis=2)
    for root, (_, covariance) in zip(roots, conditional(given, side), strict=True):
        np.testing.assert_allclose(root @ root.T, covariance, rtol=2e-3, atol=2e-4)


def test_noise_of_one_row_moves_that_row_alone():
    given = problem(3, 5, 1)
    noise = np.zeros((len(given.means), 6))
    noise[4] = 1
    still, moved = (rows_of(given, draw(given, 1, noise=noise)) for noise in (None, noise))
    assert np.flatnonzero((still != moved).any(axis=1)).tolist() == [given.firsts[1] + 4]


def test_twice_the_noise_moves_twice_as_far():
    given = problem(2, 6, 0)
    noise = np.random.default_rng(3).standard_normal((len(given.means), 7))
    still, once, twice = (rows_of(given, draw(given, 0, noise * times)) for times in (0, 1, 2))
    np.testing.assert_allclose(twice - still, 2 * (once - still), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("sides", "side"), SIDES)
@pytest.mark.parametrize("factors", [1, 16, 23])
def test_residuals_are_what_the_new_rows_leave(sides, side, factors):
    given = problem(sides, factors, side, seed=2)
    noise = np.random.default_rng(0).standard_normal((len(given.means), 1 + factors))
    drawn = draw(given, side, noise)
    expected = given.values - dense_scores(given.codes, rows_of(given, drawn))
    np.testing.assert_allclose(drawn[2], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("factors", [1, 17])
def test_other_rows_and_the_columns_of_no_factor_stay_as_they_are(factors):
    given = problem(3, factors, 1)
    noise = np.random.default_rng(0).standard_normal((len(given.means), 1 + factors))
    table, biases, _ = draw(given, 1, noise)
    assert (table[:, factors:] == 0).all()
    before, after = given.rows, rows_of(given, (table, biases))
    own = np.zeros(len(before), bool)
    own[given.span(1)] = True
    assert np.array_equal(before[~own], after[~own])
    assert (before[own] != after[own]).all()


def test_a_row_without_ratings_is_drawn_from_its_prior():
    given = problem(2, 4, 0)
    drawn = rows_of(given, draw(given, 0))[0]
    np.testing.assert_allclose(drawn, given.means[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("sides", "side"), [(2, 1), (3, 0)])
def test_drawing_again_without_noise_changes_nothing(sides, side):
    given = problem(sides, 7, side)
    once = rows_of(given, draw(given, side))
    twice = rows_of(given, draw(given._replace(rows=once), side))
    np.testing.assert_allclose(twice, once, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@settings(deadline=None, max_examples=20)
@given(st.integers(2, 4), st.integers(1, 35), st.integers(0, 2**32 - 1))
def test_means_of_any_problem(sides, factors, seed):
    side = seed % sides
    given = problem(sides, factors, side, seed, least=8, extra=seed % 30)
    drawn = rows_of(given, draw(given, side))[given.span(side)]
    expected = [mean for mean, _ in conditional(given, side)]
    np.testing.assert_allclose(drawn, expected, rtol=5e-3, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(("sides", "side"), [(2, 0), (3, 2)])
@pytest.mark.parametrize("factors", [8, 20])
def test_draws_do_not_depend_on_threads_or_blocks(sides, side, factors):
    given = problem(sides, factors, side, seed=4, least=200, extra=3000)
    noise = np.random.default_rng(0).standard_normal((len(given.means), 1 + factors))
    expected = draw(given, side, noise)
    for threads, blocks in ((1, 1), (2, 7), (5, 7), (5, 64)):
        drawn = draw(given, side, noise, threads, blocks)
        assert all(np.array_equal(*pair) for pair in zip(drawn, expected, strict=True))


@pytest.mark.parametrize("sides", [1, 2, 3, 4])
@pytest.mark.parametrize("width", [16, 48])
@pytest.mark.parametrize("in_16_bits", [False, True])
def test_scores_equal_a_plain_loop(sides, width, in_16_bits):
    rng = np.random.default_rng(width + sides)
    table = rng.normal(0, 0.5, (30, width)).astype(np.float16 if in_16_bits else np.float32)
    biases = rng.normal(size=30).astype(np.float32)
    codes = rng.integers(-1, 30, (200, sides)).astype(np.int32)
    codes[7] = -1
    out = np.full(200, 9, np.float32)
    score_entries(0, 190, codes, table.view(np.uint16) if in_16_bits else table, biases, out)
    rows = np.column_stack([biases, table]).astype(float)
    np.testing.assert_allclose(out[:190], dense_scores(codes, rows)[:190], rtol=1e-4, atol=1e-5)
    assert out[7] == 0
    assert (out[190:] == 9).all()


def test_scores_do_not_depend_on_threads():
    rng = np.random.default_rng(0)
    table, biases = rng.normal(size=(50, 32)).astype(np.float32), np.zeros(50, np.float32)
    codes = rng.integers(-1, 50, (2000, 3)).astype(np.int32)
    outs = np.empty((3, 2000), np.float32)
    for out, threads in zip(outs, (1, 2, 5), strict=True):
        blocks = [(start, start + 400) for start in range(0, 2000, 400)]
        run_blocks(score_entries, blocks, codes, table, biases, out, threads=threads)
    assert (outs == outs[0]).all()

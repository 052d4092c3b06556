"""Row solvers against dense normal equations in float64."""

from itertools import pairwise

import numpy as np
import pytest

from matinee.kernels.als import update_rows_cg, update_rows_cholesky
from matinee.kernels.csr import compress, transpose
from matinee.kernels.linalg import float16_buffer, to_float16
from matinee.kernels.parallel import balanced_blocks, run_blocks

MEAN = 3.3


def problem(factors, seed, rows=40, columns=30, entries=400):
    """A random sparse matrix with an empty row, a row of one rating and a very long one."""
    rng = np.random.default_rng(seed)
    cells = rng.permutation(rows * columns)[:entries]
    row, column = cells // columns, cells % columns
    keep = (row != 3) & (row != 4) & (row != 5)
    row = np.concatenate([row[keep], [4], np.full(columns, 5)]).astype(np.int32)
    column = np.concatenate([column[keep], [7], np.arange(columns)]).astype(np.int32)
    values = rng.integers(1, 11, len(row)).astype(np.float32) / 2
    matrix = compress(row, column, values, rows)
    other = rng.normal(0, 0.5, (columns, 1 + factors)).astype(np.float32)
    prior = rng.normal(0, 0.3, (rows, 1 + factors)).astype(np.float32)
    return matrix, other, prior


def reference(matrix, other, prior, ridge, exponent):
    """One row after another, by numpy, exactly as the formula says."""
    out = prior.astype(np.float64).copy()
    other = other.astype(np.float64)
    for row in range(len(prior)):
        span = slice(matrix.indptr[row], matrix.indptr[row + 1])
        columns, values = matrix.indices[span], matrix.values[span].astype(np.float64)
        if len(columns) == 0:
            continue
        design = np.column_stack([np.ones(len(columns)), other[columns, 1:]])
        target = values - MEAN - other[columns, 0]
        penalty = ridge * len(columns) ** exponent * np.eye(design.shape[1])
        right = design.T @ target + penalty @ prior[row]
        out[row] = np.linalg.solve(design.T @ design + penalty, right)
    return out


def solve(kernel, matrix, other, prior, ridge, exponent, start, *steps, threads=1, blocks=7):
    out = start.astype(np.float32).copy()
    against = (other,)
    if kernel is update_rows_cg:
        halves = float16_buffer(len(other), other.shape[1] - 1)
        to_float16(other, 1, halves)
        against = (other[:, 0].copy(), halves)
    arguments = (
        *matrix,
        np.float32(MEAN),
        *against,
        prior,
        np.float32(ridge),
        np.float32(exponent),
    )
    blocks = balanced_blocks(matrix.indptr, blocks)
    run_blocks(kernel, blocks, *arguments, out, *steps, threads=threads)
    return out


@pytest.mark.parametrize("factors", [0, 1, 5, 16, 33])
@pytest.mark.parametrize(("ridge", "exponent"), [(1.4, 0.5), (0.06, 1.0), (5.0, 0.0)])
@pytest.mark.parametrize("with_prior", [False, True])
def test_exact_solver_solves_the_normal_equations(factors, ridge, exponent, with_prior):
    matrix, other, prior = problem(factors, seed=factors)
    prior = prior * np.float32(with_prior)
    found = solve(
        update_rows_cholesky, matrix, other, prior, ridge, exponent, np.full_like(prior, 9)
    )
    expected = reference(matrix, other, prior, ridge, exponent)
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-4)


@pytest.mark.parametrize("factors", [0, 1, 5, 16])
@pytest.mark.parametrize("with_prior", [False, True])
def test_conjugate_gradients_reach_the_same_solution(factors, with_prior):
    matrix, other, prior = problem(factors, seed=factors)
    prior = prior * np.float32(with_prior)
    start = np.random.default_rng(1).normal(size=prior.shape)
    found = solve(update_rows_cg, matrix, other, prior, 1.4, 0.5, start, 3 * (1 + factors))
    expected = reference(matrix, other, prior, 1.4, 0.5)
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-3)


def test_each_conjugate_gradient_step_lowers_the_objective():
    matrix, other, prior = problem(8, seed=2)

    def objective(x):
        total = 0.0
        for row in range(len(x)):
            span = slice(matrix.indptr[row], matrix.indptr[row + 1])
            rated = other[matrix.indices[span]].astype(np.float64)
            score = MEAN + x[row, 0] + rated[:, 0] + rated[:, 1:] @ x[row, 1:]
            count = span.stop - span.start
            total += np.sum((matrix.values[span] - score) ** 2)
            total += 1.4 * count**0.5 * np.sum((x[row] - prior[row]) ** 2) if count else 0.0
        return total

    start = np.zeros_like(prior)
    values = [
        objective(solve(update_rows_cg, matrix, other, prior, 1.4, 0.5, start, k).astype(float))
        for k in range(5)
    ]
    assert all(after < before for before, after in pairwise(values))


def test_a_row_without_ratings_gets_its_prior_mean():
    matrix, other, prior = problem(4, seed=0)
    for kernel, steps in ((update_rows_cholesky, ()), (update_rows_cg, (3,))):
        found = solve(kernel, matrix, other, prior, 1.4, 0.5, np.full_like(prior, 7), *steps)
        assert np.array_equal(found[3], prior[3])


@pytest.mark.parametrize(("kernel", "steps"), [(update_rows_cholesky, ()), (update_rows_cg, (3,))])
def test_results_do_not_depend_on_threads_or_blocks(kernel, steps):
    matrix, other, prior = problem(12, seed=3, rows=300, columns=90, entries=5000)
    one = solve(kernel, matrix, other, prior, 1.4, 0.5, prior, *steps, threads=1)
    for threads, blocks in ((5, 7), (1, 1), (3, 64)):
        more = {"threads": threads, "blocks": blocks}
        many = solve(kernel, matrix, other, prior, 1.4, 0.5, prior, *steps, **more)
        assert np.array_equal(one, many)


def test_more_ratings_than_fit_one_chunk():
    rng = np.random.default_rng(0)
    count = 1001
    matrix = compress(
        np.zeros(count, np.int32),
        np.arange(count, dtype=np.int32),
        rng.integers(1, 6, count).astype(np.float32),
        1,
    )
    other = rng.normal(0, 0.4, (count, 9)).astype(np.float32)
    prior = np.zeros((1, 9), np.float32)
    expected = reference(matrix, other, prior, 1.4, 0.5)
    found = solve(update_rows_cholesky, matrix, other, prior, 1.4, 0.5, prior)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
    found = solve(update_rows_cg, matrix, other, prior, 1.4, 0.5, prior, 30)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_items_are_solved_through_the_transposed_matrix():
    matrix, _, _ = problem(2, seed=1)
    by_column = transpose(matrix, 30)
    dense = np.zeros((40, 30))
    for row in range(40):
        span = slice(matrix.indptr[row], matrix.indptr[row + 1])
        dense[row, matrix.indices[span]] = matrix.values[span]
    for column in range(30):
        span = slice(by_column.indptr[column], by_column.indptr[column + 1])
        assert (np.diff(by_column.indices[span]) > 0).all()
        assert np.array_equal(dense[by_column.indices[span], column], by_column.values[span])
        assert np.count_nonzero(dense[:, column]) == span.stop - span.start

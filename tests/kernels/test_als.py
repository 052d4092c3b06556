"""Row solvers against dense normal equations in float64, and scores against dense products."""

from itertools import pairwise

import numpy as np
import pytest

from matinee.kernels.als import (
    Ridge,
    predict_pairs,
    squared_error,
    update_rows_cg,
    update_rows_cholesky,
)
from matinee.kernels.csr import compress
from matinee.kernels.linalg import float16_buffer, to_float16
from matinee.kernels.parallel import balanced_blocks, run_blocks

MEAN = 3.3
RIDGE = Ridge.of(1.4, 0.5, 4.0, 0.0)


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


def reference(matrix, other, prior, ridge):
    """One row after another by numpy, as in the formula."""
    out = prior.astype(np.float64).copy()
    other = other.astype(np.float64)
    for row in range(len(prior)):
        span = slice(matrix.indptr[row], matrix.indptr[row + 1])
        columns, values = matrix.indices[span], matrix.values[span].astype(np.float64)
        if len(columns) == 0:
            continue
        design = np.column_stack([np.ones(len(columns)), other[columns, 1:]])
        target = values - MEAN - other[columns, 0]
        penalty = ridge.factors * len(columns) ** ridge.exponent * np.eye(design.shape[1])
        penalty[0, 0] = ridge.bias * len(columns) ** ridge.bias_exponent
        right = design.T @ target + penalty @ prior[row]
        out[row] = np.linalg.solve(design.T @ design + penalty, right)
    return out


def solve(
    kernel, matrix, other, prior, ridge, start, *steps, mean=MEAN, unit=1, threads=1, blocks=7
):
    out = start.astype(np.float32).copy()
    other_side = (other,)
    if kernel is update_rows_cg:
        half = float16_buffer(len(other), other.shape[1] - 1)
        to_float16(other, 1, half)
        other_side = (other[:, 0].copy(), half)
        steps = *steps, np.float32(unit)
    arguments = (
        *matrix,
        np.float32(mean),
        *other_side,
        prior,
        ridge,
    )
    blocks = balanced_blocks(matrix.indptr, blocks)
    run_blocks(kernel, blocks, *arguments, out, *steps, threads=threads)
    return out


@pytest.mark.parametrize("factors", [0, 1, 5, 16, 33])
@pytest.mark.parametrize("ridge", [RIDGE, Ridge.of(0.06, 1.0, 0.06, 1.0), Ridge.of(5, 0, 0.3, 0.7)])
@pytest.mark.parametrize("with_prior", [False, True])
def test_cholesky_solves_the_normal_equations(factors, ridge, with_prior):
    matrix, other, prior = problem(factors, seed=factors)
    prior = prior * np.float32(with_prior)
    solved = solve(update_rows_cholesky, matrix, other, prior, ridge, np.full_like(prior, 9))
    expected = reference(matrix, other, prior, ridge)
    np.testing.assert_allclose(solved, expected, rtol=2e-3, atol=2e-4)


@pytest.mark.parametrize("factors", [0, 1, 5, 16])
@pytest.mark.parametrize("with_prior", [False, True])
def test_conjugate_gradients_reach_the_same_solution(factors, with_prior):
    matrix, other, prior = problem(factors, seed=factors)
    prior = prior * np.float32(with_prior)
    start = np.random.default_rng(1).normal(size=prior.shape)
    solved = solve(update_rows_cg, matrix, other, prior, RIDGE, start, 3 * (1 + factors))
    expected = reference(matrix, other, prior, RIDGE)
    np.testing.assert_allclose(solved, expected, rtol=2e-3, atol=2e-3)


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
            away = np.square(x[row] - prior[row]) if count else np.zeros(9)
            total += 4.0 * away[0] + 1.4 * count**0.5 * away[1:].sum()
        return total

    start = np.zeros_like(prior)
    values = [
        objective(solve(update_rows_cg, matrix, other, prior, RIDGE, start, k).astype(float))
        for k in range(5)
    ]
    assert all(after < before for before, after in pairwise(values))


def test_the_unit_of_ratings_changes_nothing():
    matrix, other, prior = problem(8, seed=2)
    unit = 64.0  # whose root is exact, too
    root = np.array([unit] + 8 * [unit**0.5], np.float32)
    in_units = matrix._replace(values=matrix.values * np.float32(unit))
    ridge = Ridge.of(1.4 * unit, 0.5, 4.0, 0.0)
    for kernel, steps in ((update_rows_cholesky, ()), (update_rows_cg, (2,))):
        plain = solve(kernel, matrix, other, prior, RIDGE, prior, *steps)
        arguments = in_units, other * root, prior * root, ridge, prior * root, *steps
        scaled = solve(kernel, *arguments, mean=MEAN * unit, unit=unit)
        np.testing.assert_allclose(scaled, plain * root, rtol=1e-4, atol=1e-3)


def test_a_row_without_ratings_gets_its_prior_mean():
    matrix, other, prior = problem(4, seed=0)
    for kernel, steps in ((update_rows_cholesky, ()), (update_rows_cg, (3,))):
        solved = solve(kernel, matrix, other, prior, RIDGE, np.full_like(prior, 7), *steps)
        assert np.array_equal(solved[3], prior[3])


@pytest.mark.parametrize(("kernel", "steps"), [(update_rows_cholesky, ()), (update_rows_cg, (3,))])
def test_results_do_not_depend_on_threads_or_blocks(kernel, steps):
    matrix, other, prior = problem(12, seed=3, rows=300, columns=90, entries=5000)
    arguments = (kernel, matrix, other, prior, RIDGE, prior, *steps)
    expected = solve(*arguments, threads=1)
    for threads, blocks in ((5, 7), (1, 1), (3, 64)):
        assert np.array_equal(solve(*arguments, threads=threads, blocks=blocks), expected)


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
    expected = reference(matrix, other, prior, RIDGE)
    solved = solve(update_rows_cholesky, matrix, other, prior, RIDGE, prior)
    np.testing.assert_allclose(solved, expected, rtol=1e-3, atol=1e-4)
    solved = solve(update_rows_cg, matrix, other, prior, RIDGE, prior, 30)
    np.testing.assert_allclose(solved, expected, rtol=1e-3, atol=1e-4)


def random_rows(count, factors, seed):
    return np.random.default_rng(seed).normal(0, 0.5, (count, 1 + factors)).astype(np.float32)


def dense_scores(users, items):
    users, items = users.astype(np.float64), items.astype(np.float64)
    return MEAN + users[:, :1] + items[:, 0] + users[:, 1:] @ items[:, 1:].T


def test_scores_of_pairs_equal_the_dense_product():
    users, items = random_rows(11, 7, 0), random_rows(13, 7, 1)
    expected = dense_scores(users, items)
    user, item = np.divmod(np.arange(11 * 13, dtype=np.int32), 13)
    out = np.empty(len(user), np.float32)
    default_user, default_item = users[3] + 1, items[2] - 1
    predict_pairs(
        0, len(out), user, item, np.float32(MEAN), users, items, default_user, default_item, out
    )
    np.testing.assert_allclose(out.reshape(11, 13), expected, rtol=1e-5)
    unknown = np.int32([-1])
    for codes, rows_of in (((unknown, item[:1]), (default_user, items[0])),
                           ((user[:1], unknown), (users[0], default_item))):  # fmt: skip
        predict_pairs(0, 1, *codes, np.float32(MEAN), users, items, default_user, default_item, out)
        np.testing.assert_allclose(out[0], dense_scores(*(r[None] for r in rows_of)), rtol=1e-5)


def test_squared_error_sums_over_the_ratings_of_the_rows():
    users, items = random_rows(5, 3, 0), random_rows(6, 3, 1)
    user, item = np.int32([0, 0, 2, 4, 4]), np.int32([1, 5, 0, 2, 3])
    values = np.float32([1, 5, 3, 4, 2])
    matrix = compress(user, item, values, 5)
    squares = (values - dense_scores(users, items)[user, item]) ** 2
    assert np.isclose(
        squared_error(0, 5, *matrix, np.float32(MEAN), users, items), squares.sum(), rtol=1e-5
    )
    assert np.isclose(
        squared_error(1, 4, *matrix, np.float32(MEAN), users, items), squares[2], rtol=1e-5
    )

"""Row solvers over all items, rated or not, against dense float64 numpy."""

from itertools import pairwise

import numpy as np
import pytest

from matinee.kernels.csr import compress
from matinee.kernels.implicit_als import gram, update_rows_implicit_block, update_rows_implicit_cg
from matinee.kernels.linalg import float16_buffer, pad_to_lanes, to_float16
from matinee.kernels.parallel import balanced_blocks, run_blocks

UNOBSERVED = 0.3
SOLVERS = [(update_rows_implicit_cg, 300), (update_rows_implicit_block, 1000)]


def problem(factors, seed, rows=41, columns=30, entries=330):
    """A random sparse matrix with an empty row, a row of one positive and a full one."""
    rng = np.random.default_rng(seed)
    cells = rng.permutation(rows * columns)[:entries]
    row, column = cells // columns, cells % columns
    keep = (row != 3) & (row != 4) & (row != 5)
    row = np.concatenate([row[keep], [4], np.full(columns, 5)]).astype(np.int32)
    column = np.concatenate([column[keep], [7], np.arange(columns)]).astype(np.int32)
    weights = rng.uniform(0.2, 3, len(row)).astype(np.float32)
    matrix = compress(row, column, weights, rows)
    other = rng.normal(0, 1 / np.sqrt(factors), (columns, factors)).astype(np.float32)
    prior = rng.normal(0, 0.2, (rows, factors)).astype(np.float32)
    penalties = rng.uniform(0.5, 4, rows).astype(np.float32)
    return matrix, other, penalties, prior


def targets_of(matrix):
    """A preference for each positive, some below zero."""
    rng = np.random.default_rng(len(matrix.indices))
    return rng.uniform(-0.5, 2, len(matrix.indices)).astype(np.float32)


def shared(other):
    other = other.astype(np.float64)
    return UNOBSERVED * other.T @ other


def row_of(matrix, row):
    """Columns, weights and preferences of a row."""
    span = slice(matrix.indptr[row], matrix.indptr[row + 1])
    arrays = matrix.values[span], targets_of(matrix)[span]
    return matrix.indices[span], *(array.astype(np.float64) for array in arrays)


def normal_equations(matrix, other, penalties, row):
    columns, weights, targets = row_of(matrix, row)
    design = other[columns].astype(np.float64)
    normal = shared(other) + penalties[row] * np.eye(other.shape[1])
    return normal + design.T @ (weights[:, None] * design), design.T @ (weights * targets)


def reference(matrix, other, penalties, prior):
    """One row after another by numpy, as in the formula."""
    out = prior.astype(np.float64)
    for row in np.flatnonzero(np.diff(matrix.indptr)):
        normal, right = normal_equations(matrix, other, penalties, row)
        out[row] = np.linalg.solve(normal, right + penalties[row] * prior[row])
    return out


def objective(matrix, other, penalties, prior, x, rows=None):
    """The sum over all pairs of rows with positives, one pair after another."""
    total, x, other = 0.0, x.astype(np.float64), other.astype(np.float64)
    for row in range(len(x)) if rows is None else rows:
        positives = {column: pair for column, *pair in zip(*row_of(matrix, row), strict=True)}
        if not positives:
            continue
        for column in range(len(other)):
            score = float(x[row] @ other[column])
            weight, target = positives.get(column, (0.0, 0.0))
            total += UNOBSERVED * score**2 + weight * (target - score) ** 2
        total += penalties[row] * np.sum((x[row] - prior[row]) ** 2)
    return total


def as_read_by(other, kernel):
    """The other side's rows as the kernel reads them."""
    return pad_to_lanes(other) if kernel is update_rows_implicit_cg else other


def solve(kernel, matrix, other, penalties, prior, start, last, *, threads=1, blocks=7):
    """(rows, the sum that the kernel returns)."""
    out = start.astype(np.float32).copy()
    whole = shared(other).astype(np.float32)
    arguments = (
        *(*matrix, targets_of(matrix), as_read_by(other, kernel)),
        *(whole, penalties, prior, out, last),
    )
    return out, sum(
        run_blocks(kernel, balanced_blocks(matrix.indptr, blocks), *arguments, threads=threads)
    )


@pytest.mark.parametrize("count", [0, 1, 3, 4, 63, 64, 65, 200])
@pytest.mark.parametrize("factors", [1, 3, 8, 70])
def test_the_gram_matrix_is_the_sum_of_outer_products(count, factors):
    rows = np.random.default_rng(0).normal(size=(count + 5, factors)).astype(np.float32)
    out = np.full((factors, factors), 9, np.float32)
    gram(2, 2 + count, rows, out)
    some = rows[2 : 2 + count].astype(np.float64)
    np.testing.assert_allclose(out, some.T @ some, rtol=1e-4, atol=1e-4)
    assert np.array_equal(out, out.T)


@pytest.mark.parametrize("factors", [1, 3, 8, 70])
@pytest.mark.parametrize(("kernel", "last"), SOLVERS)
@pytest.mark.parametrize("with_prior", [False, True])
def test_solvers_solve_the_normal_equations(factors, kernel, last, with_prior):
    matrix, other, penalties, prior = problem(factors, seed=factors)
    prior = prior * np.float32(with_prior)
    counts = np.diff(matrix.indptr)
    assert {0, 1, 2, 3} <= set(counts % 4)
    start = np.random.default_rng(1).normal(size=prior.shape)
    for blocks in (1, 7):  # one of 41 rows, and several whose lengths are no multiples of 4
        solved, _ = solve(kernel, matrix, other, penalties, prior, start, last, blocks=blocks)
        expected = reference(matrix, other, penalties, prior)
        np.testing.assert_allclose(solved, expected, rtol=1e-3, atol=1e-4)
    assert np.array_equal(solved[3], prior[3])


@pytest.mark.parametrize(("kernel", "last"), SOLVERS)
def test_more_positives_than_fit_one_chunk(kernel, last):
    matrix, other, penalties, prior = problem(9, seed=0, rows=6, columns=1001, entries=900)
    assert np.diff(matrix.indptr).max() == 1001
    solved, _ = solve(kernel, matrix, other, penalties, prior, prior, last)
    expected = reference(matrix, other, penalties, prior)
    np.testing.assert_allclose(solved, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("factors", "block"), [(3, 1), (8, 3), (8, 4), (70, 16), (70, 69)])
def test_a_round_of_blocks_equals_the_slow_reference(factors, block):
    matrix, other, penalties, prior = problem(factors, seed=factors)
    start = np.random.default_rng(1).normal(0, 0.3, prior.shape).astype(np.float32)
    expected = prior.astype(np.float64)
    for row in np.flatnonzero(np.diff(matrix.indptr)):
        normal, right = normal_equations(matrix, other, penalties, row)
        right += penalties[row] * prior[row]
        x = start[row].astype(np.float64)
        for first in range(0, factors, block):
            mine = np.arange(first, min(first + block, factors))
            rest = np.setdiff1d(np.arange(factors), mine)
            wanted = right[mine] - normal[np.ix_(mine, rest)] @ x[rest]
            x[mine] = np.linalg.solve(normal[np.ix_(mine, mine)], wanted)
        expected[row] = x
    solved, _ = solve(update_rows_implicit_block, matrix, other, penalties, prior, start, block)
    np.testing.assert_allclose(solved, expected, rtol=1e-3, atol=1e-4)
    exact = reference(matrix, other, penalties, prior)
    assert np.abs(expected - exact).max() > 0.01  # one round is not the end


@pytest.mark.parametrize("factors", [1, 3, 8, 70])
@pytest.mark.parametrize(
    ("kernel", "last"),
    [
        *SOLVERS,
        (update_rows_implicit_cg, 0),
        (update_rows_implicit_cg, 2),
        (update_rows_implicit_block, 3),
    ],
)
def test_the_returned_sum_is_the_objective_over_all_pairs(factors, kernel, last):
    matrix, other, penalties, prior = problem(factors, seed=factors)
    start = np.random.default_rng(1).normal(0, 0.3, prior.shape)
    solved, value = solve(kernel, matrix, other, penalties, prior, start, last)
    assert value == pytest.approx(objective(matrix, other, penalties, prior, solved), rel=1e-5)
    whole = shared(other).astype(np.float32)
    arguments = (*matrix, targets_of(matrix), as_read_by(other, kernel), whole, penalties, prior)
    out = start.astype(np.float32)
    value = kernel(9, 15, *arguments, out, last)
    expected = objective(matrix, other, penalties, prior, out, range(9, 15))
    assert value == pytest.approx(expected, rel=1e-5)
    untouched = [*range(9), *range(15, len(prior))]
    assert np.array_equal(out[untouched], start.astype(np.float32)[untouched])


@pytest.mark.parametrize(
    ("kernel", "last"), [(update_rows_implicit_cg, 1), (update_rows_implicit_block, 3)]
)
def test_each_round_lowers_the_sum(kernel, last):
    matrix, other, penalties, prior = problem(8, seed=2)
    x, values = np.zeros_like(prior), []
    for _ in range(4):
        x, value = solve(kernel, matrix, other, penalties, prior, x, last)
        values.append(value)
    assert all(after < before for before, after in pairwise(values))


@pytest.mark.parametrize(
    ("kernel", "last"),
    [(update_rows_implicit_cg, 3), (update_rows_implicit_cg, 100), (update_rows_implicit_block, 5)],
)
def test_results_do_not_depend_on_threads_or_blocks(kernel, last):
    matrix, other, penalties, prior = problem(37, seed=3, rows=301, columns=90, entries=5000)
    arguments = (kernel, matrix, other, penalties, prior, prior, last)
    expected, expected_value = solve(*arguments)
    for threads, blocks in ((3, 7), (1, 1), (3, 64)):
        solved, value = solve(*arguments, threads=threads, blocks=blocks)
        assert np.array_equal(solved, expected)
        assert blocks != 7 or value == expected_value


def moved(array, offset, room=None):
    """The same values, `offset` entries into a block of memory."""
    room = np.empty(array.size + 4096, array.dtype) if room is None else room
    copy = room[offset : offset + array.size].reshape(array.shape)
    copy[...] = array
    return copy


@pytest.mark.parametrize(
    ("kernel", "last"), [(update_rows_implicit_cg, 4), (update_rows_implicit_block, 5)]
)
def test_results_do_not_depend_on_the_addresses_of_arrays(kernel, last):
    matrix, other, penalties, prior = problem(37, seed=3)
    start = np.random.default_rng(1).normal(0, 0.3, prior.shape)
    expected, _ = solve(kernel, matrix, other, penalties, prior, start, last)
    whole = shared(other).astype(np.float32)
    size = sum(map(np.size, (other, whole, prior, start)))
    for offset in (1, 2, 5, 8, 33):
        room = np.empty(size + 4 * offset, np.float32)  # all in a row, with small gaps
        arrays, begin = [], 0
        for array in (other, whole, prior, start):
            begin += offset
            arrays.append(moved(array, begin, room))
            begin += array.size
        other_, whole_, prior_, out = arrays
        values, penalties_ = moved(matrix.values, offset), moved(penalties, offset)
        indptr, indices = matrix[:2]
        other_ = as_read_by(other_, kernel)
        interactions = indptr, indices, values, moved(targets_of(matrix), offset)
        kernel(0, 41, *interactions, other_, whole_, penalties_, prior_, out, last)
        assert np.array_equal(out, expected)


@pytest.mark.parametrize("width", [5, 32])
def test_conjugate_gradients_read_16_bit_rows_exactly(width):
    matrix, other, penalties, prior = problem(width, seed=5)
    other = other.astype(np.float16).astype(np.float32)
    half = float16_buffer(len(other), width)
    to_float16(other, 0, half)
    whole, results = shared(other).astype(np.float32), []
    for rows in (pad_to_lanes(other), half):
        out = prior.copy()
        interactions = *matrix, targets_of(matrix)
        update_rows_implicit_cg(0, len(out), *interactions, rows, whole, penalties, prior, out, 3)
        results.append(out)
    assert np.array_equal(*results)

"""Ridge regression on sparse features, against the dense system."""

import tracemalloc

import numpy as np
import pytest

from matinee.kernels.csr import compress, transpose
from matinee.kernels.parallel import thread_limit
from matinee.models.ridge import (
    DIRECTIONS,
    FEW_COLUMNS,
    FEW_INVERTED,
    PRECISE,
    TOLERANCE,
    GradientSolver,
    Solver,
    SparseMatrix,
    WeightedRidge,
    solver_for,
)


def matrix_of(rows, sizes, seed, entries=8):
    """Groups of so many columns side by side; few columns hold most of the entries."""
    rng, parts, first = np.random.default_rng(seed), [], 0
    for columns in sizes:
        count = rows * min(entries, columns)
        heavy = (columns * rng.random(count) ** 3).astype(np.int64)
        cells = np.unique(rng.integers(0, rows, count) * columns + heavy)
        parts.append(np.stack([cells // columns, first + cells % columns]))
        first += columns
    row, column = np.concatenate(parts, axis=1).astype(np.int32)
    values = rng.uniform(0.1, 1.0, len(row)).astype(np.float32)
    by_row = compress(row, column, values, rows)
    return SparseMatrix(by_row, transpose(by_row, first))


def dense(matrix):
    indptr, indices, values = matrix.by_row
    out = np.zeros((len(indptr) - 1, matrix.columns))
    out[np.repeat(np.arange(len(out)), np.diff(indptr)), indices] = values
    return out


def exactly(matrix, weight, right):
    full = dense(matrix)
    return np.linalg.solve(full.T @ full + np.diag(weight), right.astype(np.float64))


def energy(matrix, weight, error):
    """Length of an error as a posterior measures it: in standard deviations."""
    along = dense(matrix) @ error
    return np.sqrt((along**2).sum(axis=0) + (weight[:, None] * error**2).sum(axis=0))


SHAPES = {
    "square": (400, (400,)),
    "tall": (3000, (300, 5)),
    "wide": (40, (700, 20)),
    "fewer columns than directions": (200, (30, 3)),
    "a single column": (50, (1,)),
    "a single row": (1, (90,)),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("spread", [0, 0.5, 1])
def test_conjugate_gradients_come_as_near_as_they_say(shape, spread):
    """With weights of groups the same, or a hundred times apart."""
    rows, sizes = SHAPES[shape]
    matrix, rng = matrix_of(rows, sizes, 1), np.random.default_rng(2)
    weight = 3.0 * np.repeat(np.logspace(-spread, spread, len(sizes)), sizes)
    signal = matrix.transposed_times(rng.normal(size=(rows, 5)).astype(np.float32))
    noise = np.sqrt(weight)[:, None] * rng.normal(size=(matrix.columns, 5))
    right = signal + noise.astype(np.float32)
    before = right.copy()
    found = GradientSolver(matrix).solve(weight, right)
    assert np.array_equal(right, before)
    expected = exactly(matrix, weight, right)
    miss = energy(matrix, weight, found - expected)
    assert (miss < 4 * TOLERANCE * energy(matrix, weight, expected)).all()
    np.testing.assert_allclose(Solver(matrix).solve(weight, right), expected, atol=1e-5)


def test_a_tighter_tolerance_comes_nearer():
    matrix, rng = matrix_of(600, (500, 40), 4), np.random.default_rng(5)
    weight = np.repeat([0.3, 20.0], (500, 40))
    right = rng.normal(size=(540, 3)).astype(np.float32)
    expected = exactly(matrix, weight, right)
    misses = []
    for tolerance in (1e-1, 1e-3, 1e-5):
        found = GradientSolver(matrix, tolerance).solve(weight, right)
        misses.append(np.linalg.norm(found - expected) / np.linalg.norm(expected))
    assert misses[0] > misses[1] > misses[2]
    assert misses[2] < 1e-4


def test_the_heaviest_directions_are_found(monkeypatch):
    matrix = matrix_of(500, (350,), 6)
    solver, full = GradientSolver(matrix), dense(matrix)
    sizes = np.linalg.eigvalsh(full.T @ full)[::-1]
    assert solver.directions.shape == (350, DIRECTIONS)
    found = solver.directions.astype(np.float64)
    np.testing.assert_allclose(found.T @ found, np.eye(DIRECTIONS), atol=1e-4)
    np.testing.assert_allclose(solver.sizes[:20], sizes[:20], rtol=0.01)
    # they are worth their while: without them it takes more steps to the same precision
    right = np.random.default_rng(0).normal(size=(350, 4)).astype(np.float32)
    steps = []
    for directions in (DIRECTIONS, 1):
        monkeypatch.setattr("matinee.models.ridge.DIRECTIONS", directions)
        solver, passes = GradientSolver(matrix), []
        gram = solver._gram
        monkeypatch.setattr(solver, "_gram", lambda *a, f=gram, p=passes: p.append(0) or f(*a))
        solver.solve(np.full(350, 0.05), right)
        steps.append(len(passes))
    assert steps[0] < steps[1]


def test_nothing_to_solve_for_gives_zero():
    matrix = matrix_of(100, (300,), 7)
    right = np.zeros((300, 3), np.float32)
    assert (GradientSolver(matrix).solve(np.ones(300), right) == 0).all()
    right[:, 1] = 1.0  # a column beside others that are done at once
    found = GradientSolver(matrix).solve(np.ones(300), right)
    assert (found[:, [0, 2]] == 0).all()
    assert (found[:, 1] != 0).any()


def test_few_columns_are_solved_exactly():
    assert type(solver_for(matrix_of(30, (FEW_COLUMNS,), 0))) is Solver
    assert type(solver_for(matrix_of(30, (FEW_COLUMNS, 1), 0))) is GradientSolver


# --- weighted, one system for many rows


@pytest.mark.parametrize("columns", [40, FEW_INVERTED, FEW_INVERTED + 1, 1500])
@pytest.mark.parametrize("ridge", [0.5, 30.0])
def test_coefficients_are_those_of_the_dense_system(columns, ridge):
    matrix, rng = matrix_of(700, (columns,), 3), np.random.default_rng(1)
    weights = np.where(rng.random(700) < 0.2, 0.0, rng.uniform(0.5, 9, 700))
    rows = rng.normal(1, 1, (700, 4)).astype(np.float32)
    full = dense(matrix)
    system = full.T @ (weights[:, None] * full) + ridge * np.eye(columns)
    expected = np.linalg.solve(system, full.T @ (weights[:, None] * rows))
    regression = WeightedRidge(matrix.by_row, weights, columns, ridge)

    def energy_of(error):
        return np.sqrt(np.einsum("fk,fg,gk->k", error, system, error))

    found = np.zeros((columns, 4))
    for factor in (1, -2):  # prepared once, for rows that change
        found = regression.fit(factor * rows, found)
        miss = energy_of(found - factor * expected) / energy_of(expected)
        assert (miss < (1e-5 if columns <= FEW_INVERTED else 10 * PRECISE)).all()


@pytest.mark.parametrize("columns", [40, 900])
def test_coefficients_are_the_same_for_any_number_of_threads(columns):
    matrix, rng = matrix_of(2000, (columns,), 3), np.random.default_rng(1)
    rows = rng.normal(size=(2000, 9)).astype(np.float32)
    found, start = [], np.zeros((columns, 9))
    for threads in (1, 2, 5):
        with thread_limit(threads):
            found.append(WeightedRidge(matrix.by_row, np.ones(2000), columns, 3.0).fit(rows, start))
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])


def test_memory_grows_with_entries_and_not_with_the_square_of_features():
    """A full matrix of products would take 3.2 GB."""
    matrix = matrix_of(5_000, (20_000,), 3, entries=3)
    rows = np.random.default_rng(1).normal(size=(5_000, 3)).astype(np.float32)
    tracemalloc.start()
    regression = WeightedRidge(matrix.by_row, np.ones(5_000), 20_000, 100.0)
    assert np.isfinite(regression.fit(rows, np.zeros((20_000, 3)))).all()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 200e6

"""Solving for the links: conjugate gradients against the dense system."""

import numpy as np
import pytest
from forward import dense, tiny_data

from matinee.kernels.parallel import thread_limit
from matinee.models.bayesian.side_information import (
    DIRECTIONS,
    FEW_COLUMNS,
    TOLERANCE,
    FeatureLink,
    Features,
    GradientSolver,
    Solver,
    features_of_items,
    features_of_users,
    solver_for,
)


def features_of(rows, sizes, seed, entries=8):
    """Sparse features in groups of so many columns; few of them hold most of the entries."""
    rng = np.random.default_rng(seed)
    groups = {}
    for at, columns in enumerate(sizes):
        count = rows * min(entries, columns)
        heavy = (columns * rng.random(count) ** 3).astype(np.int32)
        row = rng.integers(0, rows, count).astype(np.int32)
        cell = np.unique(row.astype(np.int64) * columns + heavy)
        value = rng.uniform(0.1, 1.0, len(cell)).astype(np.float32)
        groups[f"group {at}"] = (cell // columns, cell % columns, value, columns)
    return Features.of_groups(rows, groups)


def exactly(features, weight, right):
    matrix = dense(features)
    return np.linalg.solve(matrix.T @ matrix + np.diag(weight), right.astype(np.float64))


def energy(features, weight, error):
    """Length of an error as the posterior measures it: in standard deviations."""
    along = dense(features) @ error
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
    """With precisions of groups the same, or a hundred times apart."""
    rows, sizes = SHAPES[shape]
    features, rng = features_of(rows, sizes, 1), np.random.default_rng(2)
    weight = np.logspace(-spread, spread, len(sizes))[features.group] * 3.0
    signal = features.transposed_times(rng.normal(size=(rows, 5)).astype(np.float32))
    noise = np.sqrt(weight)[:, None] * rng.normal(size=(features.columns, 5))
    right = signal + noise.astype(np.float32)
    before = right.copy()
    found = GradientSolver(features).solve(weight, right)
    assert np.array_equal(right, before)
    expected = exactly(features, weight, right)
    miss = energy(features, weight, found - expected)
    assert (miss < 4 * TOLERANCE * energy(features, weight, expected)).all()
    np.testing.assert_allclose(Solver(features).solve(weight, right), expected, atol=1e-5)


def test_a_tighter_tolerance_comes_nearer(monkeypatch):
    features, rng = features_of(600, (500, 40), 4), np.random.default_rng(5)
    weight = np.array([0.3, 20.0])[features.group]
    right = rng.normal(size=(features.columns, 3)).astype(np.float32)
    expected = exactly(features, weight, right)
    misses = []
    for tolerance in (1e-1, 1e-3, 1e-5):
        monkeypatch.setattr("matinee.models.bayesian.side_information.TOLERANCE", tolerance)
        found = GradientSolver(features).solve(weight, right)
        misses.append(np.linalg.norm(found - expected) / np.linalg.norm(expected))
    assert misses[0] > misses[1] > misses[2]
    assert misses[2] < 1e-4


def test_the_heaviest_directions_are_found(monkeypatch):
    features = features_of(500, (350,), 6)
    solver = GradientSolver(features)
    matrix = dense(features)
    sizes = np.linalg.eigvalsh(matrix.T @ matrix)[::-1]
    assert solver.directions.shape == (350, DIRECTIONS)
    found = solver.directions.astype(np.float64)
    np.testing.assert_allclose(found.T @ found, np.eye(DIRECTIONS), atol=1e-4)
    np.testing.assert_allclose(solver.sizes[:20], sizes[:20], rtol=0.01)
    # they are worth their while: without them it takes more steps to the same precision
    right = np.random.default_rng(0).normal(size=(350, 4)).astype(np.float32)
    steps = []
    for directions in (DIRECTIONS, 1):
        monkeypatch.setattr("matinee.models.bayesian.side_information.DIRECTIONS", directions)
        solver, passes = GradientSolver(features), []
        gram = solver._gram
        monkeypatch.setattr(solver, "_gram", lambda *a, f=gram, p=passes: p.append(0) or f(*a))
        solver.solve(np.full(350, 0.05), right)
        steps.append(len(passes))
    assert steps[0] < steps[1]


def test_nothing_to_solve_for_gives_zero():
    features = features_of(100, (300,), 7)
    right = np.zeros((300, 3), np.float32)
    assert (GradientSolver(features).solve(np.ones(300), right) == 0).all()
    right[:, 1] = 1.0  # a column beside others that are done at once
    found = GradientSolver(features).solve(np.ones(300), right)
    assert (found[:, [0, 2]] == 0).all()
    assert (found[:, 1] != 0).any()


def test_few_columns_are_solved_exactly():
    assert type(solver_for(features_of(30, (FEW_COLUMNS,), 0))) is Solver
    assert type(solver_for(features_of(30, (FEW_COLUMNS, 1), 0))) is GradientSolver


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [(20, 4), (500, 4)])
def test_draws_are_the_same_for_any_number_of_threads(sizes):
    features = features_of(700, sizes, 8)
    rows = np.random.default_rng(0).normal(size=(700, 6))
    precision = np.eye(6) + 0.3
    tables = []
    for threads in (1, 2, 5):
        link = FeatureLink.start(features, 6)
        with thread_limit(threads):
            link.draw(rows, precision, np.random.default_rng(1))
            tables.append(link.table)
            link.draw(rows, precision, np.random.default_rng(2))
        assert not np.array_equal(tables[-1], link.table)
    assert tables[0].any()
    assert np.array_equal(tables[0], tables[1])
    assert np.array_equal(tables[0], tables[2])


@pytest.mark.slow
def test_draws_by_conjugate_gradients_have_the_posterior_mean_and_spread():
    """Groups of very different precisions; in units of each link's own standard deviation."""
    features = features_of(300, (280, 6), 9)
    link = FeatureLink.start(features, 2)
    assert type(link.solver) is GradientSolver
    link.precisions = np.array([30.0, 0.05])
    weight = link.precisions[features.group]
    rows = np.random.default_rng(0).normal(size=(300, 2))
    matrix = dense(features)
    covariance = np.linalg.inv(matrix.T @ matrix + np.diag(weight))
    mean, spread = covariance @ matrix.T @ rows, np.sqrt(np.diag(covariance))[:, None]
    precision = np.array([[4.0, 1.0], [1.0, 0.5]])
    root = np.sqrt(np.diag(np.linalg.inv(precision)))
    rng, draws = np.random.default_rng(1), []
    for _ in range(400):
        link.draw(rows, precision, rng)
        draws.append((link.table - mean) / (spread * root))
    draws = np.array(draws)
    assert np.abs(draws.mean(axis=0)).max() < 5 / 20
    assert draws.mean() == pytest.approx(0.0, abs=0.01)
    assert np.square(draws).mean(axis=(0, 1)) == pytest.approx([1.0, 1.0], abs=0.03)


def test_no_features_at_all():
    features = Features.of_groups(4, {})
    link = FeatureLink.start(features, 3)
    assert features.columns == 0
    assert np.array_equal(link.means(), np.zeros((4, 3)))
    assert np.array_equal(link.scatter(), np.zeros((3, 3)))


def test_features_are_traits_genres_and_shares_of_what_was_rated():
    data = tiny_data()
    ratings, catalog = data.ratings, data.catalog
    seen = np.zeros((5, 4))
    seen[ratings.user, ratings.item] = 1.0
    users = features_of_users(data, ("age", "gender", "rated"))
    assert users.names == ("age", "gender", "rated")
    assert users.group.tolist() == [0, 0, 0, 0, 0, 1, 1, 2, 2, 2, 2]
    found = dense(users)
    order = np.argsort(np.argsort([20, 31, 44, 21, 30]))
    assert np.array_equal(found[:, :5], np.eye(5)[order])
    assert found[:, 5:7].tolist() == [[0, 1], [1, 0], [1, 0], [0, 1], [1, 0]]
    np.testing.assert_allclose(found[:, 7:], seen / np.sqrt(seen.sum(axis=1, keepdims=True)))
    items = features_of_items(data, ("genres", "raters"))
    assert items.names == ("genres", "raters")
    found = dense(items)
    genres = len(catalog.genre_names)
    assert ((found[:, :genres] != 0) == (catalog.genre_matrix != 0)).all()
    np.testing.assert_allclose(found[:, genres:], (seen / np.sqrt(seen.sum(axis=0))).T)
    assert features_of_items(data, ()).columns == features_of_users(data, ("genres",)).columns == 0

"""Features, their links to prior means, and draws of them."""

import numpy as np
import pytest
from forward import dense, tiny_data

from matinee.kernels.parallel import thread_limit
from matinee.models.bayesian.side_information import (
    FeatureLink,
    Features,
    features_of_items,
    features_of_users,
)
from matinee.models.ridge import GradientSolver


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


@pytest.mark.thorough
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
    assert users.group.tolist() == [0] * 5 + [1] * 2 + [2] * 4
    found = dense(users)
    assert found[:, :5].tolist() == np.eye(5)[[0, 3, 4, 1, 2]].tolist()
    # of the genders F alone is not rare
    assert found[:, 5:7].tolist() == [[0, 1], [1, 0], [1, 0], [0, 1], [1, 0]]
    np.testing.assert_allclose(found[:, 7:], seen / np.sqrt(seen.sum(axis=1, keepdims=True)))
    items = features_of_items(data, ("year", "raters"))
    assert items.names == ("year", "raters")
    found, years = dense(items), catalog.frame["year"].to_numpy() // 5
    spans = years[:, None] == np.unique(years)
    assert (found[:, : spans.shape[1]] == spans).all()
    np.testing.assert_allclose(found[:, spans.shape[1] :], (seen / np.sqrt(seen.sum(axis=0))).T)
    assert features_of_items(data, ()).columns == features_of_users(data, ("genres",)).columns == 0

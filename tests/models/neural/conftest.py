"""Data small enough for slow references, and models that are trained once."""

from importlib.util import find_spec

import pytest

from matinee.data.synthetic import generate

# PyTorch is an extra
collect_ignore_glob = [] if find_spec("torch") else ["test_*.py"]


@pytest.fixture(scope="session", autouse=True)
def single_thread():
    """Tiny tensors: on a busy machine threads would mostly wait for each other."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def small():
    """12 users, 10 items, 60 ratings, each with at least one."""
    data, _ = generate(users=12, items=10, ratings=60, seed=2)
    assert data.ratings.user_counts.min() > 0
    assert data.ratings.item_counts.min() > 0
    return data


@pytest.fixture(scope="session")
def trained(parts):
    """`trained(estimator)`: its model of the training set, fitted the first time."""
    models = {}

    def fit(estimator):
        if repr(estimator) not in models:
            models[repr(estimator)] = estimator.fit(parts[0])
        return models[repr(estimator)]

    return fit

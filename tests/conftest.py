"""Small data and models that many tests look at."""

import os

import pytest
from hypothesis import settings

from editions import write_editions
from matinee.data import generate
from matinee.models import ALS, ImplicitALS
from models_by_hand import bundles, by_hand  # noqa: F401
from unrated import as_interactions

# the same cases on every run of the pipeline; at home each run looks further
settings.register_profile("pipeline", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("pipeline")


@pytest.fixture(scope="session")
def generated():
    """(dataset, truth): 300 users, 200 movies, some of them without ratings."""
    return generate(users=300, items=200, ratings=12_000, seed=5)


@pytest.fixture(scope="session")
def parts(generated):
    """(train, test) of the generated data."""
    return generated[0].split("random", test_fraction=0.1, seed=0)


@pytest.fixture(scope="session")
def unrated(generated):
    """The generated data as interactions without ratings: how often, not how good."""
    return as_interactions(generated[0])


@pytest.fixture(scope="session")
def model(parts):
    """A small model trained on the training set."""
    return ALS(factors=6, iterations=8).fit(parts[0])


@pytest.fixture(scope="session")
def both(model, parts):
    """The same model with a ranking head, trained on the same set."""
    return model.with_ranking(ImplicitALS(factors=5, iterations=4).fit(parts[0]))


@pytest.fixture(scope="session")
def editions(tmp_path_factory):
    """A cache folder with small synthetic data in the layouts of MovieLens editions."""
    cache = tmp_path_factory.mktemp("editions")
    write_editions(cache)
    return cache

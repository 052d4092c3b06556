"""Data with everything a chain looks at, and chains that are run once."""

from dataclasses import replace

import polars as pl
import pytest
from forward import SHORT, KilledError

from matinee.models.bayesian import BayesianMF
from matinee.models.bayesian.sampler import GibbsSampler


@pytest.fixture(scope="session")
def seen(parts):
    """The training set, its users with traits."""
    count = len(parts[0].ratings.user_ids)
    ages = [None if k % 7 == 0 else 18 + k % 50 for k in range(count)]
    genders = ["F" if k % 3 else "M" for k in range(count)]
    return replace(parts[0], user_attributes=pl.DataFrame({"age": ages, "gender": genders}))


@pytest.fixture(scope="session")
def small(seen):
    """The ratings of the first 40 users."""
    return replace(seen, ratings=seen.ratings.take(seen.ratings.user < 40))


@pytest.fixture(scope="session", params=["ordinal", "normal"])
def bayes(seen, request):
    """A model of all features, by either likelihood."""
    return BayesianMF(**{**SHORT, "iterations": 60}, likelihood=request.param).fit(seen)


@pytest.fixture
def end_at(monkeypatch):
    """`end_at(k, error)`: the k-th sweep from now on does not begin; `end_at(0)`: all do."""
    draw, seen = GibbsSampler.draw, []

    def arm(sweep, error=KilledError):
        seen.clear()

        def dying(sampler):
            seen.append(sampler.sweep)
            if len(seen) == sweep:
                raise error
            draw(sampler)

        monkeypatch.setattr(GibbsSampler, "draw", dying)
        return seen

    return arm

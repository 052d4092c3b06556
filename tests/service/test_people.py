"""Who a user is: what training knows of them, and what they have told since."""

import polars as pl
import pytest

from matinee.data import read
from matinee.models import ALS
from matinee.service.people import person
from matinee.service.served import Served


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A run that was retrained on what users have told, of the page and others."""
    users = ["page-x", "ann"] * 10 + ["bob"] * 5
    items = [item for item in range(10) for _ in "ab"] + list(range(5))
    frame = pl.DataFrame({"user": users, "item": items, "rating": [1.0, 5.0] * 12 + [3.0]})
    run = ALS(factors=2, iterations=2).fit(read(frame)).save(tmp_path_factory.mktemp("r") / "run")
    return Served.load(run)


def test_training_knows_a_user_of_the_api(served):
    assert person(served, "ann", []).known
    assert len(person(served, "ann", []).profile.items) == 10


def test_of_a_user_of_the_page_only_the_store_counts(served):
    """Who takes back a rating, or all of them, is not reminded of it by the next training."""
    assert not person(served, "page-x", []).known
    assert len(person(served, "page-x", []).profile.items) == 0

"""Lists of a service whose model knows in which order things were watched."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

import matinee
from matinee.models import NextItem
from matinee.service.people import person, posted
from matinee.service.schemas import Rating
from matinee.service.served import Served
from matinee.service.store.feedback import Feedback

CHAIN = 5
BEGIN = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A model of users who watch chains of five movies, each in order."""
    rng = np.random.default_rng(1)
    rows = []
    for user in range(150):
        movies = [CHAIN * chain + at for chain in rng.permutation(8)[:3] for at in range(CHAIN)]
        start = int(BEGIN.timestamp()) + 86_400 * int(rng.integers(0, 100))
        rows += [(f"u{user}", movie, 4, start + 60 * at) for at, movie in enumerate(movies)]
    schema = ["user", "item", "rating", "timestamp"]
    data = matinee.read(pl.DataFrame(rows, schema=schema, orient="row"))
    model = NextItem(factors=4, regularization=1.0).fit(data)
    return Served.load(model.save(tmp_path_factory.mktemp("runs") / "ordered"))


def told(item, days):
    moment = BEGIN + timedelta(days=days)
    return Feedback(user_id="u", item_id=str(item), kind="rating", rating=4.0, updated_at=moment)


def first_of(served, who):
    """The item that comes next for a person."""
    batch = who.batch(served.model.index)
    scores = served.model.head("next").scores(batch)[0]
    scores[who.profile.items] = 0
    return served.item_ids[int(scores.argmax())]


def test_what_was_told_last_counts_as_watched_last(served):
    assert first_of(served, person(served, "new", [told(1, 1), told(11, 2)])) == 12
    assert first_of(served, person(served, "new", [told(11, 1), told(1, 2)])) == 2
    assert first_of(served, person(served, "new", [told(11, 3), told(1, 2)])) == 12


def test_what_training_knows_comes_before_what_was_told(served):
    known = person(served, "u0", [])
    assert known.profile.moments is not None
    chains = {item // CHAIN for item in known.profile.items}
    other = CHAIN * next(chain for chain in range(8) if chain not in chains)
    assert first_of(served, person(served, "u0", [told(other, 300)])) == other + 1


def test_the_last_rating_of_a_request_counts_as_watched_last(served):
    ratings = [Rating(item_id=item, rating=4.0) for item in (1, 11)]
    assert first_of(served, posted(served, ratings)) == 12
    assert first_of(served, posted(served, ratings[::-1])) == 2


def test_the_model_says_by_what_lists_can_be_made(served):
    assert served.about["orders"][-1] == "next"

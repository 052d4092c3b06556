"""Whole items and whole users held out, against plain references."""

import numpy as np
import polars as pl
import pytest

import matinee
from matinee.errors import SettingError
from matinee.evaluation import cold_items, cold_users, evaluate_ranking, evaluate_ranking_per_user


@pytest.fixture(scope="module")
def clubs():
    """Users of two clubs who watch films in their club's language, each with attributes."""
    rng = np.random.default_rng(0)
    clubs, languages = rng.integers(0, 2, 120), rng.integers(0, 2, 60)
    rows = [
        (user, item)
        for user in range(120)
        for item in range(60)
        if rng.random() < (0.5 if clubs[user] == languages[item] else 0.05)
    ]
    return matinee.read(
        pl.DataFrame(rows, schema=["user", "item"], orient="row"),
        items=pl.DataFrame({"item": range(60), "language": np.array(["fr", "it"])[languages]}),
        users=pl.DataFrame({"user": range(120), "club": np.array(["a", "b"])[clubs]}),
    )


def test_cold_items_are_held_out_whole_and_ranked_alone(clubs):
    task = cold_items(clubs, fraction=0.2, seed=3)
    cold = np.flatnonzero(task.ranked)
    assert len(cold) == 12
    train, test = task.train.ratings, task.test.ratings
    assert not np.isin(train.item, cold).any()
    assert np.isin(test.item, cold).all()
    assert len(train) + len(test) == len(clubs)
    for place, user in enumerate(task.users):
        first, last = task.relevant.indptr[place : place + 2]
        assert set(task.relevant.indices[first:last]) == set(test.item[test.user == user])


def test_cold_users_have_no_history(clubs):
    task = cold_users(clubs, fraction=0.25, seed=1)
    assert len(task) == 30
    assert not np.isin(task.train.ratings.user, task.users).any()
    assert np.isin(task.test.ratings.user, task.users).all()
    assert len(task.history.indices) == 0


@pytest.mark.slow
@pytest.mark.parametrize("protocol", [cold_items, cold_users])
def test_attributes_tell_what_is_unknown_otherwise(clubs, protocol):
    task = protocol(clubs, fraction=0.2)
    values = {}
    for features in ("all", "none"):
        estimator = matinee.ImplicitALS(factors=4, features=features, regularization=0.01)
        values[features] = evaluate_ranking(estimator.fit(task.train), task)["ndcg@10"]
    assert values["all"] > values["none"] + 0.1


class RandomOrder:
    """Scores that say nothing."""

    def __init__(self, items):
        self.items, self.rng = items, np.random.default_rng(0)

    def scores(self, user, *, head=None):
        return self.rng.random((len(user), self.items), np.float32)


@pytest.mark.slow
def test_the_note_says_what_a_random_order_reaches(clubs):
    task = cold_items(clubs, fraction=0.5)
    model = RandomOrder(60)
    means = [evaluate_ranking_per_user(model, task).values["ndcg@10"].mean() for _ in range(60)]
    said = float(task.note.split()[-1].rstrip("."))
    assert said == pytest.approx(np.mean(means), abs=4 * np.std(means) / 60**0.5)


def test_what_cannot_be_held_out_is_refused(clubs, generated):
    with pytest.raises(SettingError, match="nothing is known of users beside their ratings"):
        cold_users(generated[0])
    with pytest.raises(SettingError, match="fraction must be between 0 and 1"):
        cold_items(clubs, fraction=1.0)
    with pytest.raises(SettingError, match="too few"):
        cold_items(clubs, fraction=0.001)

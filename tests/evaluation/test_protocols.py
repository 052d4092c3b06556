"""Ranking tasks against slow, plain references."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tasks_by_hand import (
    LIKED,
    PROPERTY,
    SEEDS,
    TABLES,
    as_lists,
    check_task,
    dataset_of,
    of_user,
    task_or_none,
)

from matinee.data.synthetic import generate
from matinee.errors import SettingError
from matinee.evaluation import (
    holdout,
    leave_one_out,
    sampled_negatives,
    strong_generalization,
    temporal,
)


def check_sets(task, train, test, min_rating):
    """Test users are exactly those with training ratings and a relevant test rating."""
    users, history, relevant = [], [], []
    for user in range(len(train.ratings.user_ids)):
        known = of_user(train, user)
        counts = [
            pair for pair in of_user(test, user) if min_rating is None or pair[1] >= min_rating
        ]
        if known and counts:
            users.append(user)
            history.append(known)
            relevant.append(counts)
    if task is None:
        assert not users
        return
    assert task.users.tolist() == users
    assert as_lists(task.history) == history
    assert as_lists(task.relevant) == relevant
    assert not task.folded_in
    assert len(task.train) == len(train)


@pytest.mark.slow
@given(rows=TABLES, min_rating=LIKED, seed=SEEDS)
@PROPERTY
def test_holdout(rows, min_rating, seed):
    data = dataset_of(rows)
    if len(data) < 2:
        return
    train, test = data.split("random", test_fraction=0.5, seed=seed)
    task = task_or_none(holdout, train, test, min_rating=min_rating)
    check_sets(task, train, test, min_rating)
    if task is not None:
        assert task.protocol == "holdout"
        assert task.train is train
        check_task(task, data)


@pytest.mark.slow
@given(rows=TABLES, min_rating=LIKED)
@PROPERTY
def test_leave_one_out(rows, min_rating):
    data = dataset_of(rows)
    task = task_or_none(leave_one_out, data, min_rating=min_rating)
    if task is not None:
        assert task.protocol == "leave-one-out"
        check_task(task, data)
        check_sets(task, *data.split("leave-last-out"), min_rating)
        assert set(np.diff(task.relevant.indptr).tolist()) == {1}


@pytest.mark.slow
@given(rows=TABLES, min_rating=LIKED, fraction=st.floats(0.05, 0.9))
@PROPERTY
def test_temporal_trains_on_nothing_later_than_the_relevant_ratings(rows, min_rating, fraction):
    data = dataset_of(rows)
    task = task_or_none(temporal, data, test_fraction=fraction, min_rating=min_rating)
    if task is not None:
        assert task.protocol == "temporal"
        check_task(task, data)
        check_sets(task, *data.split("temporal", test_fraction=fraction), min_rating)
        ratings = data.ratings
        moment = {
            (user, item): time
            for user, item, time in zip(
                ratings.user.tolist(),
                ratings.item.tolist(),
                ratings.timestamp.tolist(),
                strict=True,
            )
        }
        evaluated = [
            moment[user, item]
            for user, row in zip(task.users.tolist(), as_lists(task.relevant), strict=True)
            for item, _ in row
        ]
        assert task.train.ratings.timestamp.max() < min(evaluated)


@pytest.mark.slow
@given(rows=TABLES, min_rating=LIKED, fraction=st.floats(0.05, 0.95), seed=SEEDS)
@PROPERTY
def test_strong_takes_users_out_and_splits_what_they_like(rows, min_rating, fraction, seed):
    data = dataset_of(rows)
    likes = {
        user: [pair for pair in of_user(data, user) if min_rating is None or pair[1] >= min_rating]
        for user in range(len(data.ratings.user_ids))
    }
    eligible = {user for user, liked_items in likes.items() if len(liked_items) >= 5}
    task = task_or_none(
        strong_generalization, data, test_fraction=fraction, min_rating=min_rating, seed=seed
    )
    if task is None:
        assert not eligible or len(likes) == 1
        return
    check_task(task, data)
    assert task.protocol == "strong-generalization"
    assert task.folded_in
    evaluated = task.users.tolist()
    assert set(evaluated) <= eligible
    assert len(evaluated) == max(1, round(len(eligible) / 10))
    for user in likes:
        expected = [] if user in evaluated else of_user(data, user)
        assert of_user(task.train, user) == expected
    for user, known, counts in zip(
        evaluated, as_lists(task.history), as_lists(task.relevant), strict=True
    ):
        assert sorted(known + counts) == likes[user]
        n = len(likes[user])
        assert len(counts) == min(max(round(n * fraction), 1), n - 1)


def test_strong_holds_a_fifth_out_and_depends_on_the_seed(generated):
    data = generated[0]
    task = strong_generalization(data, n_users=40, min_rating=3.5, seed=1)
    check_task(task, data)
    counts, known = np.diff(task.relevant.indptr), np.diff(task.history.indptr)
    assert (counts == np.maximum(1, np.rint((counts + known) * 0.2))).all()
    assert min(task.history.values.min(), task.relevant.values.min()) >= 3.5
    assert task.train.ratings.values.min() < 3.5

    same, other = (
        strong_generalization(data, n_users=40, min_rating=3.5, seed=seed) for seed in (1, 2)
    )
    assert same.users.tolist() == task.users.tolist()
    assert as_lists(same.relevant) == as_lists(task.relevant)
    assert other.users.tolist() != task.users.tolist()


@pytest.mark.slow
def test_strong_holds_out_every_positive_equally_often():
    rows = [(1, item, 5, item) for item in range(1, 11)] + [(2, 1, 5, 0)]
    data = dataset_of(rows)
    times = np.zeros(10)
    for seed in range(1000):
        times[strong_generalization(data, n_users=1, seed=seed).relevant.indices] += 1
    # 200 times each, give or take five standard deviations of 13
    assert times.min() > 135
    assert times.max() < 265


@pytest.mark.parametrize("users", [-1, 0, 301])
def test_strong_with_a_number_of_users_that_makes_no_sense(generated, users):
    with pytest.raises(SettingError, match="n_users must be from 1"):
        strong_generalization(generated[0], n_users=users)


def test_strong_without_users_to_test_or_to_train_on(generated):
    with pytest.raises(SettingError, match="0 users have 5 positives"):
        strong_generalization(generated[0], min_rating=6)
    with pytest.raises(SettingError, match="must leave users to train on"):
        strong_generalization(generated[0], n_users=300)


@pytest.mark.parametrize("fraction", [0, 1, -0.1, float("nan")])
def test_strong_with_a_fraction_that_makes_no_sense(generated, fraction):
    with pytest.raises(SettingError, match="between 0 and 1"):
        strong_generalization(generated[0], test_fraction=fraction)


def test_arguments_out_of_range_are_refused(generated):
    data = generated[0]
    with pytest.raises(SettingError, match="negatives must be >= 1, got 0"):
        sampled_negatives(data, negatives=0)
    with pytest.raises(SettingError, match="n must be >= 1, got 0"):
        leave_one_out(data).sample(0)
    for make in (
        sampled_negatives,
        strong_generalization,
        lambda data, seed: leave_one_out(data).sample(3, seed),
    ):
        with pytest.raises(SettingError, match="seed must be >= 0, got -1"):
            make(data, seed=-1)


def test_a_task_without_test_users_is_refused(generated):
    data = generated[0]
    for make in (
        leave_one_out,
        temporal,
        lambda data, min_rating: holdout(data, data, min_rating=min_rating),
    ):
        with pytest.raises(SettingError, match=r"^generated: no test user; .*\.$"):
            make(data, min_rating=6)


def test_sets_of_different_data_are_refused(generated):
    other, _ = generate(users=20, items=40, ratings=400, seed=0)
    with pytest.raises(SettingError, match="their ids differ"):
        holdout(generated[0], other)


def test_a_sample_is_the_same_task_for_fewer_users(generated):
    task = sampled_negatives(generated[0], negatives=5)
    few = task.sample(20, seed=3)
    assert len(few) == 20
    check_task(few, generated[0])
    assert (few.protocol, few.note, few.train) == (task.protocol, task.note, task.train)
    at = [task.users.tolist().index(user) for user in few.users.tolist()]
    for part in ("history", "relevant", "candidates"):
        every = as_lists(getattr(task, part))
        assert as_lists(getattr(few, part)) == [every[row] for row in at]
    assert few.users.tolist() == task.sample(20, seed=3).users.tolist()
    assert few.users.tolist() != task.sample(20, seed=4).users.tolist()
    assert task.sample(len(task)) is task
    assert leave_one_out(generated[0]).sample(2).candidates is None

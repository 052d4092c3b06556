"""Exams against slow, plain references, and the NCF paper's files, real and invented."""

import os
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import matinee
from matinee.data.synthetic import generate
from matinee.errors import DataError, SettingError
from matinee.evaluation import (
    holdout,
    leave_one_out,
    ncf,
    read_negatives,
    sampled_negatives,
    strong_generalization,
    temporal,
)

BESIDE = Path(__file__).parents[3] / "shared" / "data"
ARCHIVES = Path(os.environ.get("MATINEE_TEST_ARCHIVES", BESIDE))
SEEDS = st.integers(0, 2**32)
LIKED = st.sampled_from([None, 3.0, 4.0])
# (user, movie) once each, with stars and time
TABLES = st.lists(
    st.tuples(st.integers(1, 6), st.integers(1, 25), st.integers(1, 5), st.integers(0, 30)),
    min_size=1,
    max_size=90,
    unique_by=lambda row: row[:2],
)
PROPERTY = settings(max_examples=100, deadline=None)


def dataset_of(rows):
    columns = zip(*rows, strict=True)
    table = dict(zip(["user", "item", "rating", "time"], columns, strict=True))
    return matinee.read(pl.DataFrame(table), scale=(1, 5))


def as_lists(rows):
    """Each row of a sparse matrix as a list of (code, value)."""
    pairs = list(zip(rows.indices.tolist(), rows.values.tolist(), strict=True))
    ends = rows.indptr.tolist()
    return [pairs[start:stop] for start, stop in pairwise(ends)]


def of_user(dataset, user):
    """All ratings of a user, slowly: sorted (code, stars)."""
    columns = (dataset.ratings.user, dataset.ratings.item, dataset.ratings.values)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return sorted((item, values) for who, item, values in rows if who == user)


def check(task, dataset):
    """What holds for every exam: aligned, sorted rows, and no test rating known to a model."""
    assert len(task) == len(task.users) > 0
    assert task.users.dtype == np.int32
    assert task.users.tolist() == sorted(set(task.users.tolist()))
    history, relevant = as_lists(task.history), as_lists(task.relevant)
    assert len(history) == len(relevant) == len(task)
    for user, known, counts in zip(task.users.tolist(), history, relevant, strict=True):
        interactions = of_user(dataset, user)
        assert known == sorted(known)
        assert counts == sorted(counts)
        assert known
        assert counts
        assert set(known) | set(counts) <= set(interactions)
        assert not set(known) & set(counts)
        assert of_user(task.train, user) == ([] if task.folded_in else known)


def check_parts(task, train, test, min_rating):
    """Judged are exactly those with ratings in training and a rating that counts in the test."""
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


def examine(protocol, *args, **kwargs):
    """The exam, or None where the data allow none."""
    try:
        return protocol(*args, **kwargs)
    except SettingError:
        return None


@given(rows=TABLES, min_rating=LIKED, seed=SEEDS)
@PROPERTY
def test_held_out(rows, min_rating, seed):
    data = dataset_of(rows)
    if len(data) < 2:
        return
    train, test = data.split("random", test_fraction=0.5, seed=seed)
    task = examine(holdout, train, test, min_rating=min_rating)
    check_parts(task, train, test, min_rating)
    if task is not None:
        assert task.protocol == "holdout"
        assert task.train is train
        check(task, data)


@given(rows=TABLES, min_rating=LIKED)
@PROPERTY
def test_leave_last_out(rows, min_rating):
    data = dataset_of(rows)
    task = examine(leave_one_out, data, min_rating=min_rating)
    if task is not None:
        assert task.protocol == "leave-one-out"
        check(task, data)
        check_parts(task, *data.split("leave-last-out"), min_rating)
        assert set(np.diff(task.relevant.indptr).tolist()) == {1}


@given(rows=TABLES, min_rating=LIKED, fraction=st.floats(0.05, 0.9))
@PROPERTY
def test_by_time_trains_on_nothing_later_than_what_is_evaluated(rows, min_rating, fraction):
    data = dataset_of(rows)
    task = examine(temporal, data, test_fraction=fraction, min_rating=min_rating)
    if task is not None:
        assert task.protocol == "temporal"
        check(task, data)
        check_parts(task, *data.split("temporal", test_fraction=fraction), min_rating)
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


@given(rows=TABLES, min_rating=LIKED, fraction=st.floats(0.05, 0.95), seed=SEEDS)
@PROPERTY
def test_strong_takes_users_out_and_splits_what_they_like(rows, min_rating, fraction, seed):
    data = dataset_of(rows)
    likes = {
        user: [pair for pair in of_user(data, user) if min_rating is None or pair[1] >= min_rating]
        for user in range(len(data.ratings.user_ids))
    }
    eligible = {user for user, liked_items in likes.items() if len(liked_items) >= 5}
    task = examine(
        strong_generalization, data, test_fraction=fraction, min_rating=min_rating, seed=seed
    )
    if task is None:
        assert not eligible or len(likes) == 1
        return
    check(task, data)
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
    check(task, data)
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


def test_strong_holds_out_every_liked_movie_equally_often():
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


def test_strong_with_nobody_to_evaluate_or_to_train_on(generated):
    with pytest.raises(SettingError, match="0 users have 5 positives"):
        strong_generalization(generated[0], min_rating=6)
    with pytest.raises(SettingError, match="must leave users to train on"):
        strong_generalization(generated[0], n_users=300)


@pytest.mark.parametrize("fraction", [0, 1, -0.1, float("nan")])
def test_strong_with_a_fraction_that_makes_no_sense(generated, fraction):
    with pytest.raises(SettingError, match="between 0 and 1"):
        strong_generalization(generated[0], test_fraction=fraction)


@given(rows=TABLES, negatives=st.integers(1, 30), seed=SEEDS, block=st.integers(1, 4))
@PROPERTY
def test_sampled_candidates_are_the_positive_and_movies_never_rated(rows, negatives, seed, block):
    data = dataset_of(rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ncf, "USERS_AT_ONCE", block)
        task = examine(sampled_negatives, data, negatives=negatives, seed=seed)
    if task is None:
        return
    check(task, data)
    assert task.protocol == "sampled-negatives"
    assert "Krichene" in task.note
    last = leave_one_out(data)
    assert task.users.tolist() == last.users.tolist()
    assert as_lists(task.relevant) == as_lists(last.relevant)
    everything = set(data.ratings.item.tolist())
    candidates = as_lists(task.candidates)
    assert len(candidates) == len(task)
    for user, [(positive, _)], row in zip(
        task.users.tolist(), as_lists(task.relevant), candidates, strict=True
    ):
        codes = [item for item, _ in row]
        interactions = {item for item, _ in of_user(data, user)}
        assert codes == sorted(set(codes))
        assert interactions & set(codes) == {positive}
        assert set(codes) <= everything
        assert len(codes) == 1 + min(negatives, len(everything - interactions))


def test_sampled_leaves_movies_without_ratings_out_and_depends_on_the_seed():
    data, _ = generate(users=30, items=400, ratings=900, seed=2)
    task = sampled_negatives(data, negatives=20, seed=1)
    assert (data.ratings.item_counts == 0).any()
    assert (data.ratings.item_counts[task.candidates.indices] > 0).all()
    assert set(np.diff(task.candidates.indptr).tolist()) == {21}
    same, other = (sampled_negatives(data, negatives=20, seed=seed) for seed in (1, 2))
    assert same.candidates.indices.tolist() == task.candidates.indices.tolist()
    assert other.candidates.indices.tolist() != task.candidates.indices.tolist()


def test_sampled_draws_every_unrated_movie_equally_often():
    # user 1 rated the odd movies of 20, and user 2 all of them
    rows = [(1, item, 5, item) for item in range(1, 21, 2)]
    rows += [(2, item, 5, item) for item in range(1, 21)]
    data = dataset_of(rows)
    times = np.zeros(len(data.ratings.item_ids))
    for seed in range(1000):
        task = sampled_negatives(data, negatives=3, seed=seed)
        assert np.diff(task.candidates.indptr).tolist() == [4, 1]
        times[task.candidates.indices[:4]] += 1
    drawn = np.sort(times)[-11:-1]  # the most frequent is the positive
    # 300 times each, give or take five standard deviations of 14.5
    assert drawn.min() > 227
    assert drawn.max() < 373


def test_settings_that_make_no_sense(generated):
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


def test_an_task_that_evaluates_nobody(generated):
    data = generated[0]
    for make in (
        leave_one_out,
        temporal,
        lambda data, min_rating: holdout(data, data, min_rating=min_rating),
    ):
        with pytest.raises(SettingError, match=r"^generated: no test user; .*\.$"):
            make(data, min_rating=6)


def test_parts_of_different_data_are_refused(generated):
    other, _ = generate(users=20, items=40, ratings=400, seed=0)
    with pytest.raises(SettingError, match="their ids differ"):
        holdout(generated[0], other)


def test_a_sample_is_the_same_task_for_fewer_users(generated):
    task = sampled_negatives(generated[0], negatives=5)
    few = task.sample(20, seed=3)
    assert len(few) == 20
    check(few, generated[0])
    assert (few.protocol, few.note, few.train) == (task.protocol, task.note, task.train)
    at = [task.users.tolist().index(user) for user in few.users.tolist()]
    for part in ("history", "relevant", "candidates"):
        every = as_lists(getattr(task, part))
        assert as_lists(getattr(few, part)) == [every[row] for row in at]
    assert few.users.tolist() == task.sample(20, seed=3).users.tolist()
    assert few.users.tolist() != task.sample(20, seed=4).users.tolist()
    assert task.sample(len(task)) is task
    assert leave_one_out(generated[0]).sample(2).candidates is None


# The published files number from 0 in the order of first appearance: here user 9 is 0 and
# user 4 is 1; movies 50, 30, 70, 10, 90 are 0 to 4.
ROWS = [
    (9, 50, 4, 100),
    (9, 30, 5, 101),
    (4, 70, 3, 50),
    (4, 50, 2, 40),
    (4, 10, 1, 60),
    (7, 90, 5, 10),
]
RATINGS = ["0\t1\t5\t101", "1\t3\t1\t60"]
LISTS = ["(0,1)" + "\t2\t3\t4" * 33, "(1,3)" + "\t1\t4\t3" * 33]


def write_lists(folder, ratings=RATINGS, lists=LISTS):
    for name, lines in (("tiny.test.rating", ratings), ("tiny.test.negative", lists)):
        (folder / name).write_text("".join(f"{line}\n" for line in lines))
    return folder


def test_given_lists_number_by_first_appearance_and_are_sets(tmp_path):
    data = dataset_of(ROWS)
    task = read_negatives(data, write_lists(tmp_path), "tiny")
    check(task, data)
    assert task.protocol == "sampled-negatives"
    assert "Krichene" in task.note
    assert len(task.train) == 4

    users, items = data.ratings.user_ids.values, data.ratings.item_ids.values
    found = {}
    for row, user in enumerate(task.users.tolist()):
        rows = [as_lists(part)[row] for part in (task.history, task.relevant, task.candidates)]
        found[users[user]] = [sorted(items[item] for item, _ in part) for part in rows]
    assert found == {
        9: [[50], [30], [10, 30, 70, 90]],
        # movie 10, the positive, is among its negatives
        4: [[50, 70], [10], [10, 30, 90]],
    }


def test_given_lists_in_any_order_and_on_windows(tmp_path):
    data = dataset_of(ROWS)
    task = read_negatives(data, write_lists(tmp_path), "tiny")
    for name, lines in (("tiny.test.rating", RATINGS), ("tiny.test.negative", LISTS)):
        (tmp_path / name).write_bytes("\r\n".join(reversed(lines)).encode())
    again = read_negatives(data, str(tmp_path), "tiny")
    assert again.users.tolist() == task.users.tolist()
    assert as_lists(again.candidates) == as_lists(task.candidates)


def test_a_user_with_the_test_rating_alone_is_not_evaluated(tmp_path):
    lists = [*LISTS, "(2,4)" + "\t0\t1\t2" * 33]
    write_lists(tmp_path, [*RATINGS, "2\t4\t5\t10"], lists)
    task = read_negatives(dataset_of(ROWS), tmp_path, "tiny")
    assert len(task) == 2
    assert len(task.train) == 3
    assert np.diff(task.candidates.indptr).tolist() in ([3, 4], [4, 3])


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("1\t3\t1", "must be user, item, rating, timestamp"),
        ("1\t3\t1\t60\t0", "must be"),
        ("1 3 1 60", "must be"),
        ("1\t-3\t1\t60", "must be"),
        ("1\tthree\t1\t60", "must be"),
        ("1\t" + "3" * 30 + "\t1\t60", "must be"),
        ("", "must be"),
        ("1\t\ufffd\t1\t60", "must be"),
        ("3\t3\t1\t60", "no such user or item"),
        ("1\t5\t1\t60", "no such user or item"),
        ("1\t1\t1\t60", "no such rating"),
        ("1\t3\t2\t60", "no such rating"),
        ("1\t3\t1.5\t60", "no such rating"),
        ("1\t3\t1\t61", "no such rating"),
        ("0\t0\t4\t100", "second test rating of the same user"),
    ],
)
def test_a_bad_test_rating_is_blamed_by_its_line(tmp_path, line, why):
    write_lists(tmp_path, [RATINGS[0], line])
    with pytest.raises(DataError, match=rf"^tiny\.test\.rating, line 2: .*{why}.*\. .*\.$"):
        read_negatives(dataset_of(ROWS), tmp_path, "tiny")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("(1,3)" + "\t1" * 98, r"must be \(user,item\) and 99 items"),
        ("(1,3)" + "\t1" * 100, "must be"),
        ("1,3" + "\t1" * 99, "must be"),
        ("(1,3)" + " 1" * 99, "must be"),
        ("(1,3)" + "\t1" * 98 + "\tx", "must be"),
        ("(1,2)" + "\t1" * 99, "not the user and item of that line"),
        ("(0,3)" + "\t1" * 99, "not the user and item of that line"),
        ("(1,3)" + "\t1" * 98 + "\t5", "not so many items"),
        ("(1,3)" + "\t1" * 98 + "\t0", "the user rated one of the 99"),
    ],
)
def test_a_bad_list_is_blamed_by_its_line(tmp_path, line, why):
    write_lists(tmp_path, lists=[LISTS[0], line])
    with pytest.raises(DataError, match=rf"^tiny\.test\.negative, line 2: .*{why}.*\. .*\.$"):
        read_negatives(dataset_of(ROWS), tmp_path, "tiny")


@pytest.mark.parametrize(("lists", "line"), [(LISTS[:1], 2), ([*LISTS, LISTS[0]], 3)])
def test_as_many_lists_as_test_ratings(tmp_path, lists, line):
    write_lists(tmp_path, lists=lists)
    with pytest.raises(DataError, match=rf"tiny\.test\.negative, line {line}: .* 2 ratings of"):
        read_negatives(dataset_of(ROWS), tmp_path, "tiny")


@pytest.mark.parametrize("name", ["tiny.test.rating", "tiny.test.negative"])
def test_files_that_are_empty_no_text_or_not_there(tmp_path, name):
    data = dataset_of(ROWS)
    path = write_lists(tmp_path) / name
    path.write_bytes(b"")
    with pytest.raises(DataError, match=f"{name}, line 1: the file is empty"):
        read_negatives(data, tmp_path, "tiny")
    path.write_bytes(b"\xff\xfe\0")
    with pytest.raises(DataError, match=f"{name}, line 1: must be"):
        read_negatives(data, tmp_path, "tiny")
    path.unlink()
    with pytest.raises(DataError, match=rf"{name}: cannot be read \(No such file"):
        read_negatives(data, tmp_path, "tiny")


def test_given_lists_need_timestamps(tmp_path):
    table = {"user": [1, 1], "item": [1, 2], "rating": [1, 2]}
    with pytest.raises(DataError, match=r"tiny\.test\.rating, line 1: .* timestamp"):
        read_negatives(matinee.read(pl.DataFrame(table)), write_lists(tmp_path), "tiny")


@pytest.mark.skipif(
    not ((ARCHIVES / "ml-1m.zip").exists() and (ARCHIVES / "ncf-ml-1m").exists()),
    reason="the archive of ml-1m, or the lists of the NCF paper, are not here",
)
def test_the_lists_of_the_ncf_paper():
    data = matinee.read(ARCHIVES / "ml-1m.zip")
    task = read_negatives(data, ARCHIVES / "ncf-ml-1m")
    assert len(task) == 6040
    assert len(task.train) == 1_000_209 - 6040
    assert (np.diff(task.relevant.indptr) == 1).all()
    sizes = np.diff(task.candidates.indptr)
    assert ((sizes == 99).sum(), (sizes == 100).sum()) == (156, 6040 - 156)
    # one candidate of each list, the positive, is relevant, and none is in the history
    items = len(data.catalog)
    keys = [
        np.repeat(np.arange(6040), np.diff(rows.indptr)) * items + rows.indices
        for rows in (task.candidates, task.relevant, task.history)
    ]
    assert np.isin(keys[1], keys[0]).all()
    assert not np.isin(keys[2], keys[0]).any()
    with pytest.raises(DataError, match=r"ml-1m\.test\.rating, line 1: "):
        read_negatives(task.train, ARCHIVES / "ncf-ml-1m")

"""Sampled negatives, drawn and published: the NCF paper's files, real and invented."""

import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tasks_by_hand import (
    PROPERTY,
    SEEDS,
    TABLES,
    as_lists,
    check_task,
    dataset_of,
    of_user,
    task_or_none,
)

import matinee
from matinee.data.synthetic import generate
from matinee.errors import DataError
from matinee.evaluation import leave_one_out, ncf, read_negatives, sampled_negatives

BESIDE = Path(__file__).parents[3] / "shared" / "data"
ARCHIVES = Path(os.environ.get("MATINEE_TEST_ARCHIVES", BESIDE))


@pytest.mark.slow
@given(rows=TABLES, negatives=st.integers(1, 30), seed=SEEDS, block=st.integers(1, 4))
@PROPERTY
def test_sampled_candidates_are_the_positive_and_movies_never_rated(rows, negatives, seed, block):
    data = dataset_of(rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ncf, "USERS_AT_ONCE", block)
        task = task_or_none(sampled_negatives, data, negatives=negatives, seed=seed)
    if task is None:
        return
    check_task(task, data)
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


@pytest.mark.slow
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
NEGATIVES = ["(0,1)" + "\t2\t3\t4" * 33, "(1,3)" + "\t1\t4\t3" * 33]


def write_files(folder, ratings=RATINGS, negatives=NEGATIVES):
    for name, lines in (("tiny.test.rating", ratings), ("tiny.test.negative", negatives)):
        (folder / name).write_text("".join(f"{line}\n" for line in lines))
    return folder


def test_given_lists_number_by_first_appearance_and_are_sets(tmp_path):
    data = dataset_of(ROWS)
    task = read_negatives(data, write_files(tmp_path), "tiny")
    check_task(task, data)
    assert task.protocol == "sampled-negatives"
    assert "Krichene" in task.note
    assert len(task.train) == 4

    users, items = data.ratings.user_ids.values, data.ratings.item_ids.values
    result = {}
    for row, user in enumerate(task.users.tolist()):
        rows = [as_lists(part)[row] for part in (task.history, task.relevant, task.candidates)]
        result[users[user]] = [sorted(items[item] for item, _ in part) for part in rows]
    assert result == {
        9: [[50], [30], [10, 30, 70, 90]],
        # movie 10, the positive, is among its negatives
        4: [[50, 70], [10], [10, 30, 90]],
    }


def test_given_lists_in_any_order_and_on_windows(tmp_path):
    data = dataset_of(ROWS)
    task = read_negatives(data, write_files(tmp_path), "tiny")
    for name, lines in (("tiny.test.rating", RATINGS), ("tiny.test.negative", NEGATIVES)):
        (tmp_path / name).write_bytes("\r\n".join(reversed(lines)).encode())
    copy = read_negatives(data, str(tmp_path), "tiny")
    assert copy.users.tolist() == task.users.tolist()
    assert as_lists(copy.candidates) == as_lists(task.candidates)


def test_a_user_with_the_test_rating_alone_is_not_evaluated(tmp_path):
    lists = [*NEGATIVES, "(2,4)" + "\t0\t1\t2" * 33]
    write_files(tmp_path, [*RATINGS, "2\t4\t5\t10"], lists)
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
    write_files(tmp_path, [RATINGS[0], line])
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
    write_files(tmp_path, negatives=[NEGATIVES[0], line])
    with pytest.raises(DataError, match=rf"^tiny\.test\.negative, line 2: .*{why}.*\. .*\.$"):
        read_negatives(dataset_of(ROWS), tmp_path, "tiny")


@pytest.mark.parametrize(
    ("negatives", "line"), [(NEGATIVES[:1], 2), ([*NEGATIVES, NEGATIVES[0]], 3)]
)
def test_as_many_lists_as_test_ratings(tmp_path, negatives, line):
    write_files(tmp_path, negatives=negatives)
    with pytest.raises(DataError, match=rf"tiny\.test\.negative, line {line}: .* 2 ratings of"):
        read_negatives(dataset_of(ROWS), tmp_path, "tiny")


@pytest.mark.parametrize("name", ["tiny.test.rating", "tiny.test.negative"])
def test_files_that_are_empty_no_text_or_not_there(tmp_path, name):
    data = dataset_of(ROWS)
    path = write_files(tmp_path) / name
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
        read_negatives(matinee.read(pl.DataFrame(table)), write_files(tmp_path), "tiny")


@pytest.mark.thorough
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

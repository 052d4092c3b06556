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
from matinee.evaluation import protocols
from matinee.evaluation.protocols import (
    by_time,
    given_lists,
    held_out,
    leave_last_out,
    sampled,
    strong,
)

BESIDE = Path(__file__).parents[3] / "shared" / "data"
ARCHIVES = Path(os.environ.get("MATINEE_TEST_ARCHIVES", BESIDE))
SEEDS = st.integers(0, 2**32)
LIKED = st.sampled_from([None, 3.0, 4.0])
# (viewer, movie) once each, with stars and time
TABLES = st.lists(
    st.tuples(st.integers(1, 6), st.integers(1, 25), st.integers(1, 5), st.integers(0, 30)),
    min_size=1,
    max_size=90,
    unique_by=lambda row: row[:2],
)
PROPERTY = settings(max_examples=100, deadline=None)


def dataset_of(rows):
    columns = zip(*rows, strict=True)
    table = dict(zip(["user", "item", "stars", "time"], columns, strict=True))
    return matinee.read(pl.DataFrame(table), scale=(1, 5))


def as_lists(rows):
    """Each row of a sparse matrix as a list of (code, value)."""
    pairs = list(zip(rows.indices.tolist(), rows.values.tolist(), strict=True))
    ends = rows.indptr.tolist()
    return [pairs[start:stop] for start, stop in pairwise(ends)]


def of_viewer(dataset, user):
    """All ratings of a viewer, slowly: sorted (code, stars)."""
    columns = (dataset.ratings.user, dataset.ratings.item, dataset.ratings.stars)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return sorted((item, stars) for who, item, stars in rows if who == user)


def check(exam, dataset):
    """What holds for every exam: aligned, sorted rows, and no test rating known to a model."""
    assert len(exam) == len(exam.users) > 0
    assert exam.users.dtype == np.int32
    assert exam.users.tolist() == sorted(set(exam.users.tolist()))
    history, relevant = as_lists(exam.history), as_lists(exam.relevant)
    assert len(history) == len(relevant) == len(exam)
    for user, known, counts in zip(exam.users.tolist(), history, relevant, strict=True):
        rated = of_viewer(dataset, user)
        assert known == sorted(known)
        assert counts == sorted(counts)
        assert known
        assert counts
        assert set(known) | set(counts) <= set(rated)
        assert not set(known) & set(counts)
        assert of_viewer(exam.train, user) == ([] if exam.folded_in else known)


def check_parts(exam, train, test, liked):
    """Judged are exactly those with ratings in training and a rating that counts in the test."""
    users, history, relevant = [], [], []
    for user in range(len(train.ratings.user_ids)):
        known = of_viewer(train, user)
        counts = [pair for pair in of_viewer(test, user) if liked is None or pair[1] >= liked]
        if known and counts:
            users.append(user)
            history.append(known)
            relevant.append(counts)
    if exam is None:
        assert not users
        return
    assert exam.users.tolist() == users
    assert as_lists(exam.history) == history
    assert as_lists(exam.relevant) == relevant
    assert not exam.folded_in
    assert len(exam.train) == len(train)


def examine(protocol, *args, **kwargs):
    """The exam, or None where the data allow none."""
    try:
        return protocol(*args, **kwargs)
    except SettingError:
        return None


@given(rows=TABLES, liked=LIKED, seed=SEEDS)
@PROPERTY
def test_held_out(rows, liked, seed):
    data = dataset_of(rows)
    if len(data) < 2:
        return
    train, test = data.split("random", test_fraction=0.5, seed=seed)
    exam = examine(held_out, train, test, liked=liked)
    check_parts(exam, train, test, liked)
    if exam is not None:
        assert exam.protocol == "held-out"
        assert exam.train is train
        check(exam, data)


@given(rows=TABLES, liked=LIKED)
@PROPERTY
def test_leave_last_out(rows, liked):
    data = dataset_of(rows)
    exam = examine(leave_last_out, data, liked=liked)
    if exam is not None:
        assert exam.protocol == "leave-last-out"
        check(exam, data)
        check_parts(exam, *data.split("last"), liked)
        assert set(np.diff(exam.relevant.indptr).tolist()) == {1}


@given(rows=TABLES, liked=LIKED, fraction=st.floats(0.05, 0.9))
@PROPERTY
def test_by_time_trains_on_nothing_later_than_what_is_judged(rows, liked, fraction):
    data = dataset_of(rows)
    exam = examine(by_time, data, test_fraction=fraction, liked=liked)
    if exam is not None:
        assert exam.protocol == "time"
        check(exam, data)
        check_parts(exam, *data.split("time", test_fraction=fraction), liked)
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
        judged = [
            moment[user, item]
            for user, row in zip(exam.users.tolist(), as_lists(exam.relevant), strict=True)
            for item, _ in row
        ]
        assert exam.train.ratings.timestamp.max() < min(judged)


@given(rows=TABLES, liked=LIKED, fraction=st.floats(0.05, 0.95), seed=SEEDS)
@PROPERTY
def test_strong_takes_viewers_out_and_splits_what_they_like(rows, liked, fraction, seed):
    data = dataset_of(rows)
    likes = {
        user: [pair for pair in of_viewer(data, user) if liked is None or pair[1] >= liked]
        for user in range(len(data.ratings.user_ids))
    }
    eligible = {user for user, liked_movies in likes.items() if len(liked_movies) >= 5}
    exam = examine(strong, data, test_fraction=fraction, liked=liked, seed=seed)
    if exam is None:
        assert not eligible or len(likes) == 1
        return
    check(exam, data)
    assert exam.protocol == "strong"
    assert exam.folded_in
    judged = exam.users.tolist()
    assert set(judged) <= eligible
    assert len(judged) == max(1, round(len(eligible) / 10))
    for user in likes:
        expected = [] if user in judged else of_viewer(data, user)
        assert of_viewer(exam.train, user) == expected
    for user, known, counts in zip(
        judged, as_lists(exam.history), as_lists(exam.relevant), strict=True
    ):
        assert sorted(known + counts) == likes[user]
        n = len(likes[user])
        assert len(counts) == min(max(round(n * fraction), 1), n - 1)


def test_strong_holds_a_fifth_out_and_depends_on_the_seed(generated):
    data = generated[0]
    exam = strong(data, viewers=40, liked=3.5, seed=1)
    check(exam, data)
    counts, known = np.diff(exam.relevant.indptr), np.diff(exam.history.indptr)
    assert (counts == np.maximum(1, np.rint((counts + known) * 0.2))).all()
    assert min(exam.history.values.min(), exam.relevant.values.min()) >= 3.5
    assert exam.train.ratings.stars.min() < 3.5

    same, other = (strong(data, viewers=40, liked=3.5, seed=seed) for seed in (1, 2))
    assert same.users.tolist() == exam.users.tolist()
    assert as_lists(same.relevant) == as_lists(exam.relevant)
    assert other.users.tolist() != exam.users.tolist()


def test_strong_holds_out_every_liked_movie_equally_often():
    rows = [(1, movie, 5, movie) for movie in range(1, 11)] + [(2, 1, 5, 0)]
    data = dataset_of(rows)
    times = np.zeros(10)
    for seed in range(1000):
        times[strong(data, viewers=1, seed=seed).relevant.indices] += 1
    # 200 times each, give or take five standard deviations of 13
    assert times.min() > 135
    assert times.max() < 265


@pytest.mark.parametrize("viewers", [-1, 0, 301])
def test_strong_with_a_number_of_viewers_that_makes_no_sense(generated, viewers):
    with pytest.raises(SettingError, match="cannot be drawn"):
        strong(generated[0], viewers=viewers)


def test_strong_with_nobody_to_judge_or_to_train_on(generated):
    with pytest.raises(SettingError, match="0 viewers have the 5 liked"):
        strong(generated[0], liked=6)
    with pytest.raises(SettingError, match="nobody to train on"):
        strong(generated[0], viewers=300)


@pytest.mark.parametrize("fraction", [0, 1, -0.1, float("nan")])
def test_strong_with_a_fraction_that_makes_no_sense(generated, fraction):
    with pytest.raises(SettingError, match="between 0 and 1"):
        strong(generated[0], test_fraction=fraction)


@given(rows=TABLES, negatives=st.integers(1, 30), seed=SEEDS, block=st.integers(1, 4))
@PROPERTY
def test_sampled_candidates_are_the_positive_and_movies_never_rated(rows, negatives, seed, block):
    data = dataset_of(rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(protocols, "BLOCK_VIEWERS", block)
        exam = examine(sampled, data, negatives=negatives, seed=seed)
    if exam is None:
        return
    check(exam, data)
    assert exam.protocol == "ncf"
    assert "Krichene" in exam.note
    last = leave_last_out(data)
    assert exam.users.tolist() == last.users.tolist()
    assert as_lists(exam.relevant) == as_lists(last.relevant)
    everything = set(data.ratings.item.tolist())
    candidates = as_lists(exam.candidates)
    assert len(candidates) == len(exam)
    for user, [(positive, _)], row in zip(
        exam.users.tolist(), as_lists(exam.relevant), candidates, strict=True
    ):
        codes = [item for item, _ in row]
        rated = {item for item, _ in of_viewer(data, user)}
        assert codes == sorted(set(codes))
        assert rated & set(codes) == {positive}
        assert set(codes) <= everything
        assert len(codes) == 1 + min(negatives, len(everything - rated))


def test_sampled_leaves_movies_without_ratings_out_and_depends_on_the_seed():
    data, _ = generate(viewers=30, movies=400, ratings=900, seed=2)
    exam = sampled(data, negatives=20, seed=1)
    assert (data.ratings.item_counts == 0).any()
    assert (data.ratings.item_counts[exam.candidates.indices] > 0).all()
    assert set(np.diff(exam.candidates.indptr).tolist()) == {21}
    same, other = (sampled(data, negatives=20, seed=seed) for seed in (1, 2))
    assert same.candidates.indices.tolist() == exam.candidates.indices.tolist()
    assert other.candidates.indices.tolist() != exam.candidates.indices.tolist()


def test_sampled_draws_every_unrated_movie_equally_often():
    # viewer 1 rated the odd movies of 20, and viewer 2 all of them
    rows = [(1, movie, 5, movie) for movie in range(1, 21, 2)]
    rows += [(2, movie, 5, movie) for movie in range(1, 21)]
    data = dataset_of(rows)
    times = np.zeros(len(data.ratings.item_ids))
    for seed in range(1000):
        exam = sampled(data, negatives=3, seed=seed)
        assert np.diff(exam.candidates.indptr).tolist() == [4, 1]
        times[exam.candidates.indices[:4]] += 1
    drawn = np.sort(times)[-11:-1]  # the most frequent is the positive
    # 300 times each, give or take five standard deviations of 14.5
    assert drawn.min() > 227
    assert drawn.max() < 373


def test_settings_that_make_no_sense(generated):
    data = generated[0]
    with pytest.raises(SettingError, match="At least 1 movie"):
        sampled(data, negatives=0)
    with pytest.raises(SettingError, match="At least 1 viewer"):
        leave_last_out(data).sample(0)
    for make in (sampled, strong, lambda data, seed: leave_last_out(data).sample(3, seed)):
        with pytest.raises(SettingError, match="seed is a whole number"):
            make(data, seed=-1)


def test_an_exam_that_judges_nobody(generated):
    data = generated[0]
    for make in (leave_last_out, by_time, lambda data, liked: held_out(data, data, liked=liked)):
        with pytest.raises(SettingError, match=r"^generated: nobody can be judged; .*\.$"):
            make(data, liked=6)


def test_parts_of_different_data_are_refused(generated):
    other, _ = generate(viewers=20, movies=40, ratings=400, seed=0)
    with pytest.raises(SettingError, match="different ids"):
        held_out(generated[0], other)


def test_a_sample_is_the_same_exam_for_fewer_viewers(generated):
    exam = sampled(generated[0], negatives=5)
    few = exam.sample(20, seed=3)
    assert len(few) == 20
    check(few, generated[0])
    assert (few.protocol, few.note, few.train) == (exam.protocol, exam.note, exam.train)
    at = [exam.users.tolist().index(user) for user in few.users.tolist()]
    for part in ("history", "relevant", "candidates"):
        every = as_lists(getattr(exam, part))
        assert as_lists(getattr(few, part)) == [every[row] for row in at]
    assert few.users.tolist() == exam.sample(20, seed=3).users.tolist()
    assert few.users.tolist() != exam.sample(20, seed=4).users.tolist()
    assert exam.sample(len(exam)) is exam
    assert leave_last_out(generated[0]).sample(2).candidates is None


# The published files number from 0 in the order of first appearance: here viewer 9 is 0 and
# viewer 4 is 1; movies 50, 30, 70, 10, 90 are 0 to 4.
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
    exam = given_lists(data, write_lists(tmp_path), "tiny")
    check(exam, data)
    assert exam.protocol == "ncf"
    assert "Krichene" in exam.note
    assert len(exam.train) == 4

    viewers, movies = data.ratings.user_ids.values, data.ratings.item_ids.values
    found = {}
    for row, user in enumerate(exam.users.tolist()):
        rows = [as_lists(part)[row] for part in (exam.history, exam.relevant, exam.candidates)]
        found[viewers[user]] = [sorted(movies[item] for item, _ in part) for part in rows]
    assert found == {
        9: [[50], [30], [10, 30, 70, 90]],
        # movie 10, the positive, is among its negatives
        4: [[50, 70], [10], [10, 30, 90]],
    }


def test_given_lists_in_any_order_and_on_windows(tmp_path):
    data = dataset_of(ROWS)
    exam = given_lists(data, write_lists(tmp_path), "tiny")
    for name, lines in (("tiny.test.rating", RATINGS), ("tiny.test.negative", LISTS)):
        (tmp_path / name).write_bytes("\r\n".join(reversed(lines)).encode())
    again = given_lists(data, str(tmp_path), "tiny")
    assert again.users.tolist() == exam.users.tolist()
    assert as_lists(again.candidates) == as_lists(exam.candidates)


def test_a_viewer_with_the_test_rating_alone_is_not_judged(tmp_path):
    lists = [*LISTS, "(2,4)" + "\t0\t1\t2" * 33]
    write_lists(tmp_path, [*RATINGS, "2\t4\t5\t10"], lists)
    exam = given_lists(dataset_of(ROWS), tmp_path, "tiny")
    assert len(exam) == 2
    assert len(exam.train) == 3
    assert np.diff(exam.candidates.indptr).tolist() in ([3, 4], [4, 3])


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("1\t3\t1", "there should be viewer, movie, stars, timestamp"),
        ("1\t3\t1\t60\t0", "there should be"),
        ("1 3 1 60", "there should be"),
        ("1\t-3\t1\t60", "there should be"),
        ("1\tthree\t1\t60", "there should be"),
        ("1\t" + "3" * 30 + "\t1\t60", "there should be"),
        ("", "there should be"),
        ("1\t\ufffd\t1\t60", "there should be"),
        ("3\t3\t1\t60", "no such viewer or movie"),
        ("1\t5\t1\t60", "no such viewer or movie"),
        ("1\t1\t1\t60", "no such rating"),
        ("1\t3\t2\t60", "no such rating"),
        ("1\t3\t1.5\t60", "no such rating"),
        ("1\t3\t1\t61", "no such rating"),
        ("0\t0\t4\t100", "second test rating of the same viewer"),
    ],
)
def test_a_bad_test_rating_is_blamed_by_its_line(tmp_path, line, why):
    write_lists(tmp_path, [RATINGS[0], line])
    with pytest.raises(DataError, match=rf"^tiny\.test\.rating, line 2: .*{why}.*\. .*\.$"):
        given_lists(dataset_of(ROWS), tmp_path, "tiny")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("(1,3)" + "\t1" * 98, r"there should be \(viewer,movie\) and 99 movies"),
        ("(1,3)" + "\t1" * 100, "there should be"),
        ("1,3" + "\t1" * 99, "there should be"),
        ("(1,3)" + " 1" * 99, "there should be"),
        ("(1,3)" + "\t1" * 98 + "\tx", "there should be"),
        ("(1,2)" + "\t1" * 99, "not the list of the rating on that line"),
        ("(0,3)" + "\t1" * 99, "not the list of the rating on that line"),
        ("(1,3)" + "\t1" * 98 + "\t5", "not so many movies"),
        ("(1,3)" + "\t1" * 98 + "\t0", "the viewer rated one of the 99"),
    ],
)
def test_a_bad_list_is_blamed_by_its_line(tmp_path, line, why):
    write_lists(tmp_path, lists=[LISTS[0], line])
    with pytest.raises(DataError, match=rf"^tiny\.test\.negative, line 2: .*{why}.*\. .*\.$"):
        given_lists(dataset_of(ROWS), tmp_path, "tiny")


@pytest.mark.parametrize(("lists", "line"), [(LISTS[:1], 2), ([*LISTS, LISTS[0]], 3)])
def test_as_many_lists_as_test_ratings(tmp_path, lists, line):
    write_lists(tmp_path, lists=lists)
    with pytest.raises(DataError, match=rf"tiny\.test\.negative, line {line}: .* 2 ratings of"):
        given_lists(dataset_of(ROWS), tmp_path, "tiny")


@pytest.mark.parametrize("name", ["tiny.test.rating", "tiny.test.negative"])
def test_files_that_are_empty_no_text_or_not_there(tmp_path, name):
    data = dataset_of(ROWS)
    path = write_lists(tmp_path) / name
    path.write_bytes(b"")
    with pytest.raises(DataError, match=f"{name}, line 1: the file is empty"):
        given_lists(data, tmp_path, "tiny")
    path.write_bytes(b"\xff\xfe\0")
    with pytest.raises(DataError, match=f"{name}, line 1: there should be"):
        given_lists(data, tmp_path, "tiny")
    path.unlink()
    with pytest.raises(DataError, match=rf"{name}: cannot be read \(No such file"):
        given_lists(data, tmp_path, "tiny")


def test_given_lists_need_timestamps(tmp_path):
    table = {"user": [1, 1], "item": [1, 2], "stars": [1, 2]}
    with pytest.raises(DataError, match=r"tiny\.test\.rating, line 1: .* timestamp"):
        given_lists(matinee.read(pl.DataFrame(table)), write_lists(tmp_path), "tiny")


@pytest.mark.skipif(
    not ((ARCHIVES / "ml-1m.zip").exists() and (ARCHIVES / "ncf-ml-1m").exists()),
    reason="the archive of ml-1m, or the lists of the NCF paper, are not here",
)
def test_the_lists_of_the_ncf_paper():
    data = matinee.read(ARCHIVES / "ml-1m.zip")
    exam = given_lists(data, ARCHIVES / "ncf-ml-1m")
    assert len(exam) == 6040
    assert len(exam.train) == 1_000_209 - 6040
    assert (np.diff(exam.relevant.indptr) == 1).all()
    sizes = np.diff(exam.candidates.indptr)
    assert ((sizes == 99).sum(), (sizes == 100).sum()) == (156, 6040 - 156)
    # one candidate of each list, the positive, is relevant, and none is in the history
    items = len(data.catalog)
    keys = [
        np.repeat(np.arange(6040), np.diff(rows.indptr)) * items + rows.indices
        for rows in (exam.candidates, exam.relevant, exam.history)
    ]
    assert np.isin(keys[1], keys[0]).all()
    assert not np.isin(keys[2], keys[0]).any()
    with pytest.raises(DataError, match=r"ml-1m\.test\.rating, line 1: "):
        given_lists(exam.train, ARCHIVES / "ncf-ml-1m")

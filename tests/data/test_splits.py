"""Splits: exact partitions, the same for the same seed, and never training on the future."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_editions import write_100k

from matinee.data import Dataset, read, splits
from matinee.data.synthetic import generate
from matinee.errors import SettingError

# (user, movie, Unix seconds), with many ties in time
ROWS = st.lists(
    st.tuples(st.integers(1, 8), st.integers(1, 12), st.integers(0, 15)),
    min_size=2,
    max_size=60,
    unique_by=lambda row: row[:2],
)
SEEDS = st.integers(0, 2**32)
PROPERTY = settings(max_examples=50, deadline=None)


def dataset_of(rows: list[tuple[int, int, int]]) -> Dataset:
    """A data set in which the ratings number the rows, so that each can be told apart."""
    users, items, times = zip(*rows, strict=True)
    values = np.arange(len(rows), dtype=np.float32)
    columns = {"user": users, "item": items, "rating": values, "time": times}
    return read(pl.DataFrame(columns))


def row_numbers(subset: Dataset) -> list[int]:
    return subset.ratings.values.astype(int).tolist()


def check_partition(data: Dataset, train: Dataset, test: Dataset) -> None:
    """Every rating is in one of the two sets, in its old order, with its codes unchanged."""
    assert sorted(row_numbers(train) + row_numbers(test)) == list(range(len(data)))
    for subset in (train, test):
        numbers = row_numbers(subset)
        assert len(numbers) > 0
        assert numbers == sorted(numbers)
        assert subset.ratings.user.tolist() == data.ratings.user[numbers].tolist()
        assert subset.ratings.item.tolist() == data.ratings.item[numbers].tolist()
        assert subset.ratings.timestamp.tolist() == data.ratings.timestamp[numbers].tolist()
        assert subset.ratings.user_ids is data.ratings.user_ids
        assert subset.ratings.item_ids is data.ratings.item_ids
        assert subset.ratings.scale == data.ratings.scale
        assert subset.catalog is data.catalog


@pytest.mark.slow
@given(rows=ROWS, fraction=st.floats(0.01, 0.99), seed=SEEDS)
@PROPERTY
def test_random_split_is_a_partition_of_the_wanted_size(rows, fraction, seed):
    data = dataset_of(rows)
    wanted = round(len(data) * fraction)
    if wanted in (0, len(data)):
        with pytest.raises(SettingError, match="leaves the training or the test set empty"):
            data.split("random", test_fraction=fraction, seed=seed)
        return
    train, test = data.split("random", test_fraction=fraction, seed=seed)
    check_partition(data, train, test)
    assert len(test) == wanted


@pytest.mark.slow
@given(rows=ROWS, seed=SEEDS)
@PROPERTY
def test_random_split_depends_on_the_seed_alone(rows, seed):
    data = dataset_of(rows)
    _, test = data.split("random", test_fraction=0.5, seed=seed)
    _, repeated = dataset_of(rows).split("random", test_fraction=0.5, seed=seed)
    assert row_numbers(test) == row_numbers(repeated)


def test_different_seeds_give_different_splits():
    data, _ = generate(users=20, items=40, ratings=400, seed=0)
    masks = {splits.random(len(data), 0.5, seed).tobytes() for seed in range(10)}
    assert len(masks) == 10


def test_random_split_takes_every_row_equally_often():
    chosen = sum(splits.random(50, 0.2, seed).astype(int) for seed in range(2000))
    # 400 times each, give or take five standard deviations of 18
    assert chosen.min() > 310
    assert chosen.max() < 490


@pytest.mark.slow
@given(rows=ROWS, k=st.integers(2, 10), seed=SEEDS)
@PROPERTY
def test_folds_are_disjoint_and_cover_everything(rows, k, seed):
    data = dataset_of(rows)
    if k > len(data):
        with pytest.raises(SettingError, match="number of folds must be"):
            list(data.folds(k, seed))
        return
    pairs = list(data.folds(k, seed))
    assert len(pairs) == k
    for train, test in pairs:
        check_partition(data, train, test)
    tested = [number for _, test in pairs for number in row_numbers(test)]
    assert sorted(tested) == list(range(len(data)))
    sizes = [len(test) for _, test in pairs]
    assert max(sizes) - min(sizes) <= 1
    repeated = [row_numbers(test) for _, test in data.folds(k, seed)]
    assert repeated == [row_numbers(test) for _, test in pairs]


@pytest.mark.slow
@given(rows=ROWS, count=st.integers(1, 4))
@PROPERTY
def test_leave_last_out_holds_out_the_latest_of_each_user(rows, count):
    data = dataset_of(rows)
    # Python's sort is stable, so rows of the same second stay in order
    expected = []
    for user_id in {user for user, _, _ in rows}:
        own = sorted(
            (number for number, row in enumerate(rows) if row[0] == user_id),
            key=lambda number: rows[number][2],
        )
        if len(own) > count:
            expected += own[-count:]
    if not expected:
        with pytest.raises(SettingError, match="leaves the training or the test set empty"):
            data.split("leave-last-out", last=count)
        return
    train, test = data.split("leave-last-out", last=count)
    check_partition(data, train, test)
    assert row_numbers(test) == sorted(expected)
    assert splits.cold_start_counts(train.ratings, test.ratings)[0] == 0  # everyone keeps a rating


@pytest.mark.slow
@given(rows=ROWS, fraction=st.floats(0.01, 0.99))
@PROPERTY
def test_temporal_split_never_trains_on_the_future(rows, fraction):
    data = dataset_of(rows)
    wanted = min(round(len(data) * fraction), len(data) - 1)
    times = sorted(time for _, _, time in rows)
    try:
        train, test = data.split("temporal", test_fraction=fraction)
    except SettingError:
        # only where no moment cuts off at most the wanted number of ratings
        assert sum(time == times[-1] for time in times) > wanted
        return
    check_partition(data, train, test)
    assert train.ratings.timestamp.max() < test.ratings.timestamp.min()
    # as many as wanted, but for the ratings of the second in which the cut falls
    assert len(test) <= wanted
    assert len(test) + sum(train.ratings.timestamp == train.ratings.timestamp.max()) > wanted


def test_temporal_split_without_ties_has_the_wanted_size():
    data = dataset_of([(row % 7 + 1, row % 11 + 1, 50 - row) for row in range(50)])
    train, test = data.split("temporal", test_fraction=0.2)
    assert row_numbers(test) == list(range(10))
    assert len(train) == 40


@given(rows=ROWS, seed=SEEDS)
@PROPERTY
def test_new_users_and_items_are_kept_and_counted(rows, seed):
    data = dataset_of(rows)
    train, test = data.split("random", test_fraction=0.6, seed=seed)
    numbers = row_numbers(train)
    users, items = {rows[row][0] for row in numbers}, {rows[row][1] for row in numbers}
    tested = [rows[row] for row in row_numbers(test)]
    assert splits.cold_start_counts(train.ratings, test.ratings) == (
        sum(user not in users for user, _, _ in tested),
        sum(item not in items for _, item, _ in tested),
    )


@given(rows=ROWS, fraction=st.floats(0.1, 0.9), seed=SEEDS)
@PROPERTY
def test_a_pair_stays_in_its_hashed_set_whatever_else_there_is(rows, fraction, seed):
    whole = dataset_of(rows)
    held_out = splits.hashed(whole.ratings, fraction, seed)
    part = dataset_of(rows[1::2])
    assert splits.hashed(part.ratings, fraction, seed).tolist() == held_out[1::2].tolist()
    texts = read(whole.to_frame().with_columns(pl.col("user_id").cast(pl.String)))
    assert splits.hashed(texts.ratings, fraction, seed).tolist() == held_out.tolist()


@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.93])
def test_hashed_sets_have_their_size_for_each_user_and_differ_by_seed(fraction):
    ratings = generate(users=200, items=400, ratings=40_000, seed=2)[0].ratings
    held_out = splits.hashed(ratings, fraction, seed=0)
    deviation = np.sqrt(fraction * (1 - fraction) / len(ratings))
    assert abs(held_out.mean() - fraction) < 4 * deviation
    shares = np.bincount(ratings.user, held_out) / ratings.user_counts
    # as many users as of independent draws are further away than one deviation
    away = np.abs(shares - fraction) > np.sqrt(fraction * (1 - fraction) / ratings.user_counts)
    assert 0.2 < away.mean() < 0.45
    other = splits.hashed(ratings, fraction, seed=1)
    assert abs(np.mean(held_out & other) - fraction**2) < 0.02


def test_sets_of_an_official_split_offer_no_official_splits(tmp_path):
    train, test = read(write_100k(tmp_path)).split("u1")
    assert (len(train), len(test)) == (4, 3)
    with pytest.raises(SettingError, match="'leave-last-out', 'temporal', 'hashed', got 'u1'"):
        train.split("u1")


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5, float("nan"), float("inf")])
@pytest.mark.parametrize("method", ["random", "temporal", "hashed"])
def test_fraction_that_makes_no_sense(method, fraction):
    data = dataset_of([(1, 1, 1), (1, 2, 2), (2, 1, 3)])
    with pytest.raises(SettingError, match="test_fraction must be > 0 and < 1"):
        data.split(method, test_fraction=fraction)


@pytest.mark.parametrize("count", [0, -1])
def test_count_that_makes_no_sense(count):
    with pytest.raises(SettingError, match="last must be ≥ 1"):
        dataset_of([(1, 1, 1), (1, 2, 2)]).split("leave-last-out", last=count)


@pytest.mark.parametrize("k", [-1, 0, 1, 4])
def test_folds_that_make_no_sense(k):
    with pytest.raises(SettingError, match="number of folds must be"):
        list(dataset_of([(1, 1, 1), (1, 2, 2), (2, 1, 3)]).folds(k))


@pytest.mark.parametrize("method", ["leave-last-out", "temporal"])
def test_splits_by_time_need_timestamps(method):
    data = read({"user": [1, 1, 2], "item": [1, 2, 1], "rating": [1, 2, 3]})
    with pytest.raises(SettingError, match="needs timestamps"):
        data.split(method)
    assert len(data.split("random", test_fraction=0.4)[1]) == 1


def test_unknown_split_names_those_there_are(tmp_path):
    data = read(write_100k(tmp_path))
    valid = "'random', 'leave-last-out', 'temporal', 'hashed', 'u1', 'ua'"
    for unknown in ("u3", "last", "time"):
        with pytest.raises(SettingError, match=f"must be one of {valid}, got '{unknown}'"):
            data.split(unknown)


@pytest.mark.parametrize("seed", [0, 1, 42])
def test_random_masks_are_those_of_a_permutation(seed):
    """Published results are of these very masks."""
    for n in (2, 3, 10, 1000, 70_001):
        expected = np.zeros(n, bool)
        expected[np.random.default_rng(seed).permutation(n)[: round(n * 0.3)]] = True
        assert np.array_equal(splits.random(n, 0.3, seed), expected)

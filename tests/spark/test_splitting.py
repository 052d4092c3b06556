"""Spark holds out what this machine holds out."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from same import read_both, rows_here, rows_of

from matinee.data.reading_options import ReadingOptions
from matinee.errors import SettingError
from matinee.experiments.split import Split

pytestmark = pytest.mark.thorough

TIMES = st.lists(st.integers(-5, 2**40), min_size=2, max_size=40)


@pytest.fixture(scope="module")
def rated(workspace, tmp_path_factory):
    """(by Spark, on this machine) of 3,000 ratings with ties in time, in several files."""
    folder = tmp_path_factory.mktemp("rated")
    rows = [(f"u{n % 97}", n * 7 % 331, n % 10 / 2 + 0.5, n * n % 1000) for n in range(3000)]
    table = pl.DataFrame(rows, schema=["user", "item", "rating", "timestamp"], orient="row")
    table = table.unique(["user", "item"], maintain_order=True)
    for part in range(3):
        table[part::3].write_parquet(folder / f"part-{part}.parquet")
    return read_both(workspace, folder)


@pytest.mark.parametrize("method", ["hashed", "temporal"])
def test_the_same_as_on_this_machine(workspace, rated, method):
    from matinee.spark.splitting import split

    found, expected = rated
    how = Split(method, 0.2, 7)
    for mine, theirs in zip(split(workspace, found, how), how.apply(expected), strict=True):
        assert rows_of(mine) == rows_here(theirs.ratings)


def test_random_follows_from_the_ratings_and_the_seed(workspace, rated):
    from matinee.spark.splitting import split

    found, _ = rated
    everything = rows_of(found.ratings)
    tests = []
    for seed in (0, 0, 1):
        train, test = (rows_of(part) for part in split(workspace, found, Split(seed=seed)))
        assert sorted(train + test) == everything
        assert 0.07 < len(test) / len(everything) < 0.13
        tests.append(test)
    assert tests[0] == tests[1] != tests[2]
    from dataclasses import replace

    spread = replace(found, ratings=found.ratings.repartition(7))
    assert rows_of(split(workspace, spread, Split(seed=1))[1]) == tests[2]


def test_the_last_of_each_user(workspace, rated):
    from matinee.spark.splitting import split

    found, _ = rated
    rows = rows_of(found.ratings)
    train, test = (rows_of(part) for part in split(workspace, found, Split("leave-last-out")))
    assert sorted(train + test) == rows
    last = {}
    for row in sorted(rows, key=lambda row: (row[3], row[1])):
        last[row[0]] = row
    n = {user: sum(row[0] == user for row in rows) for user in last}
    assert test == sorted(row for user, row in last.items() if n[user] > 1)


def test_everything_may_be_the_training_set(workspace, rated):
    from matinee.spark.splitting import split

    train, test = split(workspace, rated[0], Split(test_fraction=0))
    assert rows_of(train) == rows_of(rated[0].ratings)
    assert rows_of(test) == []
    assert train.columns == test.columns == ["user", "item", "rating", "timestamp"]


def test_refused(workspace, rated, tmp_path):
    from matinee.spark.reading import read
    from matinee.spark.splitting import split

    found, _ = rated
    with pytest.raises(SettingError, match="no official"):
        split(workspace, found, Split("u1"))
    with pytest.raises(SettingError, match="start from"):
        split(workspace, found, Split(warm_start="run"))
    with pytest.raises(SettingError, match="must be > 0 and < 1"):
        split(workspace, found, Split(test_fraction=1.5))
    with pytest.raises(SettingError, match="leaves the training or the test set empty"):
        split(workspace, found, Split("hashed", 1e-9))
    (tmp_path / "data.csv").write_text("user,item\n1,1\n2,2\n")
    untimed = read(workspace, str(tmp_path / "data.csv"), ReadingOptions())
    with pytest.raises(SettingError, match="no timestamps"):
        split(workspace, untimed, Split("temporal"))


@settings(max_examples=10, deadline=None)
@given(TIMES, st.data())
def test_the_nth_time(workspace, times, data):
    from matinee.spark.splitting import _nth_time

    frame = workspace.spark.createDataFrame([(each,) for each in times], "timestamp bigint")
    n = data.draw(st.integers(1, len(times)))
    assert _nth_time(frame, n) == sorted(times)[n - 1]

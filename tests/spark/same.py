"""Whether Spark has read what this machine reads."""

import numpy as np

import matinee
from matinee.data.reading_options import ReadingOptions


def read_both(workspace, source, **options):
    """(by Spark, on this machine) of a source, which are compared to the last bit."""
    from matinee.spark.reading import read

    found = read(workspace, str(source), ReadingOptions.of(options))
    expected = matinee.read(source, **options)
    assert_same(found, expected)
    return found, expected


def assert_same(found, expected):
    """Ids, codes, values, times, items, scale, names and notes are the same."""
    ratings = expected.ratings
    users = found.users.orderBy("user").toArrow()
    assert users["user_id"].to_pylist() == ratings.user_ids.values.to_list()
    assert users["user"].to_pylist() == list(range(len(ratings.user_ids)))
    assert found.catalog.ids.equals(ratings.item_ids)
    assert found.catalog.frame.equals(expected.catalog.frame)
    assert rows_of(found.ratings) == rows_here(ratings)
    assert found.n_ratings == len(ratings)
    assert found.n_users == len(ratings.user_ids)
    assert found.scale == ratings.scale
    assert (found.name, found.source) == (expected.name, expected.source)
    assert found.notes == expected.notes
    assert found.unit == expected.unit


def rows_of(frame):
    """(user, item, value, time), sorted, of a frame of Spark."""
    table = frame.toArrow()
    columns = [table[name].to_pylist() for name in ("user", "item", "rating")]
    timed = "timestamp" in table.column_names
    columns.append(table["timestamp"].to_pylist() if timed else [None] * len(table))
    return sorted(zip(*columns, strict=True))


def rows_here(ratings):
    """The same of ratings on this machine."""
    stamps = ratings.timestamp
    times = [None] * len(ratings) if stamps is None else stamps.tolist()
    values = ratings.values.astype(np.float64).tolist()
    return sorted(zip(ratings.user.tolist(), ratings.item.tolist(), values, times, strict=True))

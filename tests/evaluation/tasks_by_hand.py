"""Ranking tasks by hand: small tables, plain lists, and what holds for every task."""

from itertools import pairwise

import numpy as np
import polars as pl
from hypothesis import settings
from hypothesis import strategies as st

import matinee
from matinee.errors import SettingError

SEEDS = st.integers(0, 2**32)
LIKED = st.sampled_from([None, 3.0, 4.0])
# (user, item) once each, with rating and time
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
    """All ratings of a user, slowly: sorted (code, rating)."""
    columns = (dataset.ratings.user, dataset.ratings.item, dataset.ratings.values)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return sorted((item, values) for who, item, values in rows if who == user)


def check_task(task, dataset):
    """What holds for every task: aligned, sorted rows, and no test rating known to a model."""
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


def task_or_none(protocol, *args, **kwargs):
    """The task, or None where the data allow none."""
    try:
        return protocol(*args, **kwargs)
    except SettingError:
        return None

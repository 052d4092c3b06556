"""What is known of a new user, said in a forked child: there, polars' threads are gone."""

import sys
from dataclasses import replace

import polars as pl
import pytest

import matinee
from forked import said_in_a_fork
from matinee.models import ALS

KNOWN = [
    {"age": 25, "likes": ["a", "c"], "language": "fr", "since": 1990},
    {"likes": "a|b", "age": "31"},
    {},
]


def scores(model):
    return [model.scores(model.fold_in({1: 4}, attributes=known)).tolist() for known in KNOWN]


@pytest.mark.skipif(sys.platform == "win32", reason="no forks")
def test_a_forked_child_knows_a_new_user_by_attributes(parts, tmp_path):
    users = pl.DataFrame(
        {
            "age": [20.0, 30.0, None] * 100,
            "likes": [["a", "b"], ["b"], ["c"]] * 100,
            "language": ["fr", "de", "it"] * 100,
            "since": [1990, 1991, 2005] * 100,
        }
    )
    train = replace(parts[0], user_attributes=users)
    run = ALS(factors=2, iterations=2).fit(train).save(tmp_path / "run")
    expected = scores(matinee.load(run))
    loaded = matinee.load(run)  # which has not answered anything yet
    assert said_in_a_fork(scores, loaded) == expected

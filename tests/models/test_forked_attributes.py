"""What is known of a new user, said in a forked child: there, polars' threads are gone."""

import multiprocessing
import sys
from dataclasses import replace

import polars as pl
import pytest

import matinee
from matinee.models import ALS

PATIENCE = 60  # seconds after which a child hangs
KNOWN = [
    {"age": 25, "likes": ["a", "c"], "language": "fr", "since": 1990},
    {"likes": "a|b", "age": "31"},
    {},
]


def send_scores(model, connection):
    connection.send(scores(model))


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
    pl.DataFrame({"a": [2, 1], "b": [3, 4]}).sort("a").select(pl.col("a") + 1, "b")
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    child = context.Process(target=send_scores, args=(loaded, theirs))
    child.start()
    try:
        assert ours.poll(PATIENCE), "the child does not answer"
        assert ours.recv() == expected
    finally:
        child.kill()
        child.join()

"""Evaluation in Spark is the laptop's: the same metrics of the same lists."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from matinee.errors import SettingError
from matinee.evaluation import evaluate_ranking as on_laptop
from matinee.evaluation import evaluate_ratings as ratings_on_laptop
from matinee.evaluation import holdout
from matinee.evaluation.protocols import subset
from matinee.models import ALS, ImplicitALS
from matinee.models.users_in_parts import base_of, users_frame
from matinee.spark import evaluating
from matinee.spark.evaluating import evaluate_ranking, evaluate_ratings

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas:FutureWarning"),
]


@pytest.fixture(scope="module")
def split(generated):
    """(train, test) in which some users and items have no training ratings."""
    train, test = generated[0].split("random", test_fraction=0.1, seed=0)
    ratings = train.ratings
    return subset(train, (ratings.user % 17 != 3) & (ratings.item % 23 != 5)), test


@pytest.fixture(scope="module")
def model(split):
    ranker = ImplicitALS(factors=5, iterations=3).fit(split[0])
    return ALS(factors=4, iterations=3).fit(split[0]).with_ranking(ranker)


@pytest.fixture(scope="module")
def frames(workspace, model, split, tmp_path_factory):
    """(users, test) in Spark, in no particular order and in several files."""
    folder = tmp_path_factory.mktemp("frames")
    codes = np.flatnonzero(model.user_counts).astype(np.int32)
    users = users_frame(model, codes).drop("user_id").with_columns(pl.Series("user", codes))
    ratings = split[1].ratings
    columns = {"user": ratings.user, "item": ratings.item, "rating": ratings.values}
    return [
        workspace.spark.read.parquet(written(folder / name, frame))
        for name, frame in (("users", users), ("test", pl.DataFrame(columns)))
    ]


def written(folder, frame):
    folder.mkdir()
    shuffled = frame.sample(fraction=1, shuffle=True, seed=1)
    for number, part in enumerate(shuffled.iter_slices(-(-frame.height // 3))):
        part.write_parquet(folder / f"{number}.parquet")
    return str(folder)


def assert_same_ranking(ours, theirs):
    assert (ours.n_users, ours.protocol) == (theirs.n_users, theirs.protocol)
    assert list(ours.metrics) == list(theirs.metrics)
    for name, metric in theirs.metrics.items():
        assert ours.metrics[name].value == pytest.approx(metric.value, abs=1e-6), name
        assert ours.metrics[name].interval == pytest.approx(metric.interval, abs=1e-6), name


def test_errors_of_ratings_are_those_of_the_laptop(workspace, model, split, frames):
    ours = evaluate_ratings(workspace, base_of(model), *frames)
    theirs = ratings_on_laptop(model, *split)
    assert ours.cold_start_user_ratings > 0
    assert ours.cold_start_item_ratings > 0
    assert ours.rmse_ci == pytest.approx(theirs.rmse_ci, abs=1e-6)
    assert replace(ours, rmse_ci=None).to_dict() == pytest.approx(
        replace(theirs, rmse_ci=None).to_dict(), abs=1e-6
    )


def test_rankings_are_those_of_the_laptop(workspace, model, split, frames):
    ours = evaluate_ranking(workspace, base_of(model), *frames)
    assert_same_ranking(ours, on_laptop(model, holdout(*split)))


def test_of_one_head_and_of_what_was_liked(workspace, model, split, frames):
    ours = evaluate_ranking(workspace, base_of(model), *frames, head="rating", min_rating=4)
    theirs = on_laptop(model, holdout(*split, min_rating=4), head="rating")
    assert_same_ranking(ours, theirs)


def test_intervals_of_many_users_are_those_of_the_normal_distribution(
    workspace, model, split, frames, monkeypatch
):
    monkeypatch.setattr(evaluating, "MANY_USERS", 10)
    monkeypatch.setattr("matinee.evaluation.uncertainty.MANY_USERS", 10)
    ours = evaluate_ranking(workspace, base_of(model), *frames)
    assert_same_ranking(ours, on_laptop(model, holdout(*split)))


def test_interactions_without_ratings(workspace, unrated, tmp_path):
    train, test = unrated.split("random", test_fraction=0.1, seed=0)
    model = ImplicitALS(factors=5, iterations=3).fit(train)
    codes = np.flatnonzero(model.user_counts).astype(np.int32)
    users = users_frame(model, codes).drop("user_id").with_columns(pl.Series("user", codes))
    ratings = test.ratings
    columns = {"user": ratings.user, "item": ratings.item, "rating": ratings.values}
    frames = [
        workspace.spark.read.parquet(written(tmp_path / name, frame))
        for name, frame in (("users", users), ("test", pl.DataFrame(columns)))
    ]
    ours = evaluate_ranking(workspace, base_of(model), *frames)
    assert_same_ranking(ours, on_laptop(model, holdout(train, test)))


def test_nothing_to_evaluate_is_said(workspace, model, frames):
    users, test = frames
    with pytest.raises(SettingError, match="No test user has both"):
        evaluate_ranking(workspace, base_of(model), users, test.where("user < 0"))
    with pytest.raises(SettingError, match="no test rating"):
        evaluate_ratings(workspace, base_of(model), users, test.where("user < 0"))

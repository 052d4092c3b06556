"""Errors by hand, and experiments from split to figures."""

import json

import numpy as np
import polars as pl
import pytest

import matinee
from matinee.errors import RunError, SettingError
from matinee.evaluation import Split, evaluate, held_out, judge, mae, rmse, train_and_test
from matinee.evaluation.experiment import data_of
from matinee.models import ALS, EASE, BiasOnly


def test_errors_by_hand():
    predicted, actual = np.float32([1, 2, 3.5]), np.float32([2, 2, 1])
    assert rmse(predicted, actual) == pytest.approx(np.sqrt((1 + 0 + 6.25) / 3))
    assert mae(predicted, actual) == pytest.approx(3.5 / 3)
    for metric in (rmse, mae):
        with pytest.raises(ValueError, match="0 ratings"):
            metric(predicted, actual[:0])
        with pytest.raises(ValueError, match="2 ratings"):
            metric(predicted, actual[:2])


def test_ratings_by_unknown_viewers_and_of_unknown_movies_are_judged_and_counted():
    table = pl.DataFrame(
        {
            "user": [1, 1, 2, 2, 3],
            "item": [10, 20, 10, 20, 30],
            "stars": [4.0, 2.0, 5.0, 3.0, 1.0],
        }
    )
    data = matinee.read(table)
    train = matinee.data.Dataset(data.ratings.take(np.arange(3)), data.catalog)
    test = matinee.data.Dataset(data.ratings.take(np.arange(3, 5)), data.catalog)
    model = BiasOnly().fit(train)
    found = evaluate(model, train, test)
    assert (found.ratings, found.by_unknown_viewers, found.of_unknown_movies) == (2, 1, 1)
    expected = model.predict([2, 3], [20, 30], unknown="average")
    assert found.rmse == pytest.approx(rmse(expected, np.float32([3, 1])))


def test_an_experiment_is_noted_beside_its_model(generated):
    data = generated[0]
    result = train_and_test(data, ALS(factors=3, iterations=2), Split("last", seed=3))
    about = result.model.about
    assert result.test.ratings == 300
    assert result.train_ratings == len(data) - 300 == about["split"]["train_ratings"]
    assert about["split"]["method"] == "last"
    assert about["data"]["fingerprint"] == data.ratings.fingerprint()
    assert about["metrics"]["rmse"] == result.test.rmse
    assert result.model.history["test_rmse"][-1] == pytest.approx(result.test.rmse, abs=1e-5)
    assert json.loads(json.dumps(result.as_json()))["test_ratings"] == 300


def test_an_experiment_judges_lists_by_the_ranking_head_if_there_is_one(generated):
    data, split = generated[0], Split(seed=1)
    exam = held_out(*split.apply(data))
    for ranking, by in ((EASE(regularization=20, liked=4), "ranking"), (None, "stars")):
        result = train_and_test(data, BiasOnly(), split, ranking=ranking)
        assert result.lists == judge(result.model, exam, by=by)
        assert result.model.about["metrics"]["lists"] == result.as_json()["lists"]
    with_ranking = train_and_test(data, BiasOnly(), split, ranking=EASE(liked=4))
    assert with_ranking.as_json()["trainers"]["ranking"]["liked"] == 4
    assert with_ranking.test == result.test
    assert with_ranking.ranking_seconds > result.ranking_seconds == 0


def test_an_experiment_whose_viewers_are_all_unknown_has_no_lists():
    table = pl.DataFrame(
        {"user": [1, 1, 2, 2], "item": [1, 2, 1, 2], "stars": 3.0, "time": [1, 2, 3, 4]}
    )
    result = train_and_test(matinee.read(table), BiasOnly(), Split("time", test_fraction=0.5))
    assert result.lists is None
    assert result.as_json()["lists"] is None
    assert result.test.by_unknown_viewers == 2


def test_stopping_early_holds_a_tenth_of_the_training_part_out_from_both_heads(generated):
    result = train_and_test(
        generated[0],
        ALS(factors=3, iterations=3, patience=1),
        Split(),
        ranking=EASE(),
        hold_out_validation=True,
    )
    assert result.train_ratings == len(result.model.rated.indices) == 9720
    assert result.model.ranking.popularity.sum() == 9720
    assert "validation_rmse" in result.model.history.columns


@pytest.mark.parametrize("early", [False, True])
def test_a_run_finds_its_data_and_both_parts_again(generated, tmp_path, early):
    ratings = generated[0].ratings
    table = pl.DataFrame({"user": ratings.user, "item": ratings.item, "stars": ratings.stars})
    path = tmp_path / "mine.csv"
    table.write_csv(path)
    split = Split(test_fraction=0.2, seed=7)
    before = matinee.read(path)
    result = train_and_test(before, BiasOnly(), split, hold_out_validation=early)
    model = matinee.load(result.model.save(tmp_path / "run"))
    dataset, train, test = data_of(model)
    assert dataset.ratings.fingerprint() == before.ratings.fingerprint()
    assert test.ratings.fingerprint() == split.apply(before)[1].ratings.fingerprint()
    assert all(map(np.array_equal, train.ratings.by_user, model.rated))
    assert evaluate(model, train, test) == result.test
    table.tail(-1).write_csv(path)
    with pytest.raises(RunError, match="no longer"):
        data_of(model)


def test_a_run_on_a_table_in_memory_cannot_be_read_again():
    table = pl.DataFrame({"user": [1, 2] * 5, "item": range(10), "stars": [1.0, 2.0] * 5})
    result = train_and_test(matinee.read(table), BiasOnly(), Split())
    with pytest.raises(RunError, match="in memory"):
        data_of(result.model)
    with pytest.raises(SettingError, match="u1"):
        train_and_test(matinee.read(table), BiasOnly(), Split("u1"))

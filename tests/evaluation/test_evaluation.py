"""Errors by hand, and experiments from split to figures."""

import json

import numpy as np
import polars as pl
import pytest

import matinee
from matinee.errors import RunError, SettingError
from matinee.evaluation import Split, evaluate, evaluate_again, mae, rmse, train_and_test
from matinee.models import ALS, BiasOnly


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


def test_stopping_early_holds_a_tenth_of_the_training_part_out(generated):
    result = train_and_test(
        generated[0], ALS(factors=3, iterations=3, patience=1), Split(), hold_out_validation=True
    )
    assert result.train_ratings == 9720
    assert "validation_rmse" in result.model.history.columns


def test_a_run_is_judged_again_on_the_same_ratings(generated, tmp_path):
    data = generated[0]
    ratings = data.ratings
    table = pl.DataFrame({"user": ratings.user, "item": ratings.item, "stars": ratings.stars})
    path = tmp_path / "mine.csv"
    table.write_csv(path)
    result = train_and_test(matinee.read(path), BiasOnly(), Split(test_fraction=0.2, seed=7))
    model = matinee.load(result.model.save(tmp_path / "run"))
    assert evaluate_again(model) == result.test
    table.tail(-1).write_csv(path)
    with pytest.raises(RunError, match="no longer"):
        evaluate_again(model)


def test_a_run_on_a_table_in_memory_cannot_be_judged_again():
    table = pl.DataFrame({"user": [1, 2] * 5, "item": range(10), "stars": [1.0, 2.0] * 5})
    result = train_and_test(matinee.read(table), BiasOnly(), Split())
    with pytest.raises(RunError, match="in memory"):
        evaluate_again(result.model)
    with pytest.raises(SettingError, match="u1"):
        train_and_test(matinee.read(table), BiasOnly(), Split("u1"))

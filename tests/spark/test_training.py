"""Both heads trained in Spark: the sums of the laptop, minimized as far."""

from dataclasses import replace

import numpy as np
import pytest

import matinee
from matinee.errors import RunError, SettingError
from matinee.evaluation.evaluator import evaluate_ranking, evaluate_ratings
from matinee.evaluation.protocols import holdout
from matinee.experiments import Split
from matinee.models import ALS, EASE, ImplicitALS
from matinee.models.users_in_parts import write_with_parts
from matinee.spark import training
from matinee.spark.experiment import train_and_evaluate
from matinee.spark.training import train

pytestmark = pytest.mark.thorough

ESTIMATORS = [ALS(factors=6, iterations=8), ImplicitALS(factors=5, iterations=6)]


@pytest.fixture(scope="module")
def found(workspace, parts, in_spark):
    """What Spark leaves of a training."""
    data = in_spark(parts[0])
    return train(workspace, data, data.ratings, ESTIMATORS)


@pytest.fixture(scope="module")
def trained(found, parts):
    """(model trained in Spark, training set)."""
    return found.in_memory(), parts[0]


def test_it_is_as_accurate_as_on_the_laptop(trained, parts):
    model, train_set = trained
    task = holdout(*parts)
    rating, ranking = (estimator.fit(train_set) for estimator in ESTIMATORS)
    on_laptop = rating.with_ranking(ranking)
    error, expected = (evaluate_ratings(one, *parts).rmse for one in (model, on_laptop))
    assert error == pytest.approx(expected, rel=0.01)
    gain, expected = (evaluate_ranking(one, task)["ndcg@10"] for one in (model, on_laptop))
    assert gain == pytest.approx(expected, rel=0.06)
    assert model.index.same_as(on_laptop.index)


def test_a_run_in_parts_makes_the_same_lists(workspace, found, trained, tmp_path, monkeypatch):
    monkeypatch.setattr("matinee.spark.assembling.USERS_PER_FILE", 90)
    base = replace(found.base(), metadata={})
    with found.write_users(workspace) as files:
        assert len(files) == 4
        run = write_with_parts(base, files, tmp_path / "run")
    model, _ = trained
    ids = model.user_ids.values.to_list()[5:200:31]
    some = matinee.load(run, users=ids)
    # the blend was weighed by fewer users
    for head in ("rating", "ranking"):
        one, two = (each.recommend(ids, 5, head=head) for each in (some, model))
        assert one.equals(two)
    weights = [each.head().weight for each in (some, model)]
    assert weights[0] == pytest.approx(weights[1], rel=0.1)


@pytest.mark.parametrize("share", [0, 1])
def test_what_is_too_large_for_this_machine_is_saved_in_parts(
    workspace, generated, in_spark, tmp_path, monkeypatch, share
):
    monkeypatch.setattr("matinee.spark.assembling.SHARE", share)
    data, estimator = in_spark(generated[0]), ALS(factors=3, iterations=2)
    found = train_and_evaluate(workspace, data, Split("hashed"), estimator, None, {})
    run = found.save(workspace, tmp_path / "run", "als")
    assert (run / "users").is_dir() == (share == 0)
    model = matinee.load(run, users=[1, 2])
    assert model.recommend([1, 2], 3).height == 6
    assert model.metadata["environment"]["engine"] == "spark"
    test_set = generated[0].split("hashed", test_fraction=0.1, seed=0)
    assert found.result.test_ratings == len(test_set[1])
    whole = found.trained.in_memory()
    expected = evaluate_ratings(whole, *test_set)
    assert found.result.rating.rmse == pytest.approx(expected.rmse, rel=1e-6)
    if share == 0:
        with pytest.raises(RunError, match="its users are in parts"):
            matinee.load(run)


def test_hyperparameters_are_chosen_as_on_the_laptop(trained):
    model, train_set = trained
    assert model.rating_head.ridge == ALS(factors=6, iterations=8).choose_ridge(train_set)
    chosen = ImplicitALS(factors=5, iterations=6).choose(train_set)
    assert (model.ranking_head.regularization, model.ranking_head.unobserved) == chosen


@pytest.mark.parametrize("head", ["rating", "ranking"])
def test_a_user_has_the_row_that_folding_in_gives(trained, head):
    model, _ = trained
    for user in model.user_ids.values.to_list()[::37]:
        profile = model.user_profile(user)
        rows = [
            model.heads[head].rows(model.user_batch([who]))
            for who in (user, replace(profile, features=None))
        ]
        np.testing.assert_allclose(*rows, rtol=1e-3, atol=1e-4)


def test_the_model_is_saved_and_loaded(trained, tmp_path):
    model, _ = trained
    model = replace(model, metadata={"data": {"name": "x"}})
    loaded = matinee.load(model.save(tmp_path / "run"))
    assert loaded.recommend(1).equals(model.recommend(1))


@pytest.mark.parametrize("blocks", [1, 7])
def test_the_same_for_any_number_of_blocks(workspace, trained, in_spark, monkeypatch, blocks):
    model, train_set = trained
    monkeypatch.setattr("matinee.spark.blocks.FEWEST", blocks)
    data = in_spark(train_set)
    other = train(workspace, data, data.ratings, ESTIMATORS)
    other = other.in_memory()
    for head in ("rating", "ranking"):
        one, two = model.heads[head], other.heads[head]
        for rows in ("user_params", "item_params"):
            np.testing.assert_allclose(getattr(one, rows), getattr(two, rows), atol=2e-3)


def test_interactions_have_no_ratings_to_predict(workspace, unrated, in_spark):
    data = in_spark(unrated)
    with pytest.raises(SettingError, match="there is no rating to predict"):
        train(workspace, data, data.ratings, [ALS()])


def test_interactions_without_ratings(workspace, unrated, in_spark):
    data = in_spark(unrated)
    estimator = ImplicitALS(factors=5, iterations=6)
    model = train(workspace, data, data.ratings, [estimator]).in_memory()
    expected = estimator.fit(unrated).ranking_head
    head = model.ranking_head
    assert (head.confidence, head.rating_weight) == ("counts", 0.0)
    assert head.average == pytest.approx(expected.average, rel=1e-6)
    assert np.array_equal(head.popularity, expected.popularity)


def test_a_lowest_rating_of_positives(workspace, parts, in_spark):
    data = in_spark(parts[0])
    estimator = ImplicitALS(factors=5, iterations=3, min_rating=4, confidence="rating")
    model = train(workspace, data, data.ratings, [estimator])
    head, expected = model.heads["ranking"], estimator.fit(parts[0]).ranking_head
    assert np.array_equal(head.popularity, expected.popularity)
    assert head.average == pytest.approx(expected.average, rel=1e-6)
    with pytest.raises(SettingError, match="no rating is >= 9; lower min_rating"):
        train(workspace, data, data.ratings, [replace(estimator, min_rating=9)])


def test_beyond_what_the_driver_holds_defaults_follow_from_sums(
    workspace, parts, in_spark, monkeypatch
):
    monkeypatch.setattr(training, "MOST_HELD", 0)
    data, ratings = in_spark(parts[0]), parts[0].ratings
    model = train(workspace, data, data.ratings, [ALS(iterations=1), ImplicitALS(iterations=1)])
    head = model.heads["rating"]
    assert head.regularization == pytest.approx(ALS().default_regularization(ratings), rel=1e-5)
    head = model.heads["ranking"]
    expected = ImplicitALS().default_regularization(ratings)
    assert head.regularization == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("estimator", "said"),
    [
        (EASE(), "Spark trains als and ials, not EASE"),
        (ALS(patience=3), "without a validation set; leave out --patience"),
        (ALS(solver="cholesky"), "solves by cg alone, not cholesky"),
    ],
)
def test_what_spark_does_not_train_is_refused(workspace, parts, in_spark, estimator, said):
    data = in_spark(parts[0])
    with pytest.raises(SettingError, match=said):
        train(workspace, data, data.ratings, [estimator])

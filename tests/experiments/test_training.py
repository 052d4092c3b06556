"""Training and evaluation, from split to metrics and manifest."""

import json
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
import pytest

import matinee
from matinee.errors import RunError, SettingError
from matinee.evaluation import (
    evaluate_ranking,
    evaluate_ratings,
    holdout,
    leave_one_out,
    sampled_negatives,
)
from matinee.experiments import (
    Split,
    cross_validate,
    get_preset,
    run_preset,
    train_and_evaluate,
)
from matinee.experiments.provenance import load_run_data
from matinee.models import ALS, EASE, Bias, ImplicitALS, ItemKNN, Popularity, UserKNN
from matinee.models.base import Estimator
from unrated import all_ones, as_interactions


def test_the_model_holds_data_split_and_metrics(generated):
    data = generated[0]
    result = train_and_evaluate(data, ALS(factors=3, iterations=2), Split("leave-last-out", seed=3))
    about = result.model.metadata
    assert result.rating.n_ratings == 300
    assert result.train_ratings == len(data) - 300 == about["split"]["train_ratings"]
    assert about["split"]["method"] == "leave-last-out"
    assert about["data"]["fingerprint"] == data.ratings.fingerprint()
    assert about["metrics"]["rmse"] == result.rating.rmse
    assert result.model.history["test_rmse"][-1] == pytest.approx(result.rating.rmse, abs=1e-5)
    assert json.loads(json.dumps(result.to_dict()))["test_ratings"] == 300


@pytest.mark.slow
def test_the_ranking_head_is_evaluated_if_there_is_one(generated):
    data, split = generated[0], Split(seed=1)
    task = holdout(*split.apply(data))
    for ranking, head in ((EASE(regularization=20, min_rating=4), "ranking"), (None, "rating")):
        result = train_and_evaluate(data, Bias(), split, ranker=ranking)
        assert result.ranking == evaluate_ranking(result.model, task, head=head)
        assert result.model.metadata["metrics"]["ranking"] == result.to_dict()["ranking"]
    with_ranking = train_and_evaluate(data, Bias(), split, ranker=EASE(min_rating=4))
    assert with_ranking.to_dict()["estimators"]["ranking"]["min_rating"] == 4
    assert with_ranking.rating == result.rating
    assert with_ranking.ranker_fit_seconds > result.ranker_fit_seconds == 0


def test_without_known_test_users_there_are_no_ranking_metrics():
    table = pl.DataFrame(
        {"user": [1, 1, 2, 2], "item": [1, 2, 1, 2], "rating": 3.0, "time": [1, 2, 3, 4]}
    )
    result = train_and_evaluate(matinee.read(table), Bias(), Split("temporal", test_fraction=0.5))
    assert result.ranking is None
    assert result.to_dict()["ranking"] is None
    assert result.rating.cold_start_user_ratings == 2


@pytest.mark.slow
def test_early_stopping_takes_a_tenth_of_the_training_set_from_both_heads(generated):
    result = train_and_evaluate(
        generated[0],
        ALS(factors=3, iterations=3, patience=1),
        Split(),
        ranker=EASE(),
        validation=True,
    )
    assert result.train_ratings == len(result.model.interactions.indices) == 9720
    assert result.model.ranking_head.popularity.sum() == 9720
    assert "validation_rmse" in result.model.history.columns


@pytest.mark.parametrize("early", [False, True])
def test_a_run_finds_its_data_and_both_sets(generated, tmp_path, early):
    ratings = generated[0].ratings
    table = pl.DataFrame({"user": ratings.user, "item": ratings.item, "rating": ratings.values})
    path = tmp_path / "mine.csv"
    table.write_csv(path)
    split = Split(test_fraction=0.2, seed=7)
    before = matinee.read(path)
    result = train_and_evaluate(before, Bias(), split, validation=early)
    model = matinee.load(result.model.save(tmp_path / "run"))
    dataset, train, test = load_run_data(model)
    assert dataset.ratings.fingerprint() == before.ratings.fingerprint()
    assert test.ratings.fingerprint() == split.apply(before)[1].ratings.fingerprint()
    assert all(map(np.array_equal, train.ratings.by_user, model.interactions))
    assert evaluate_ratings(model, train, test) == result.rating
    table.tail(-1).write_csv(path)
    with pytest.raises(RunError, match="have changed"):
        load_run_data(model)


def test_a_run_on_a_table_in_memory_cannot_be_read_again():
    table = pl.DataFrame({"user": [1, 2] * 5, "item": range(10), "rating": [1.0, 2.0] * 5})
    result = train_and_evaluate(matinee.read(table), Bias(), Split())
    with pytest.raises(RunError, match="in memory"):
        load_run_data(result.model)
    with pytest.raises(SettingError, match="u1"):
        train_and_evaluate(matinee.read(table), Bias(), Split("u1"))


def test_a_ranker_alone_has_no_rating_metrics(generated, tmp_path):
    data, split = generated[0], Split(seed=1)
    result = train_and_evaluate(data, None, split, ranker=EASE(min_rating=4))
    model = result.model
    assert (result.rating, result.fit_seconds, model.rating_head) == (None, 0, None)
    assert result.ranker_fit_seconds > 0
    assert (result.train_ratings, result.test_ratings) == (10_800, 1200)
    assert result.ranking == evaluate_ranking(model, holdout(*split.apply(data)), head="ranking")
    assert set(model.metadata["metrics"]) == {"ranking"}
    assert model.metadata["fit_seconds"] == result.ranker_fit_seconds
    loaded = matinee.load(model.save(tmp_path / "run"))
    assert loaded.metadata["metrics"] == json.loads(json.dumps(result.model.metadata["metrics"]))
    assert set(loaded.heads) == {"ranking"}


@pytest.mark.slow
def test_the_keys_are_the_same_whatever_was_trained(generated):
    data = generated[0]
    both = train_and_evaluate(data, Bias(), Split(), ranker=EASE()).to_dict()
    lists = train_and_evaluate(data, None, Split(), ranker=EASE()).to_dict()
    values = train_and_evaluate(data, Bias(), Split()).to_dict()
    assert list(both) == list(lists) == list(values)
    assert json.loads(json.dumps([both, lists, values], allow_nan=False))
    missing = ("rmse", "mae", "cold_start_user_ratings", "cold_start_item_ratings")
    assert [lists[name] for name in missing] == [None] * 4
    assert None not in [both[name] for name in missing]
    assert {name: values[name] for name in missing} == {name: both[name] for name in missing}
    assert [set(keys["estimators"]) for keys in (both, lists, values)] == [
        {"rating", "ranking"},
        {"ranking"},
        {"rating"},
    ]
    assert (values["ranker_fit_seconds"], lists["fit_seconds"]) == (0, 0)


@pytest.mark.slow
@pytest.mark.parametrize("make", [leave_one_out, sampled_negatives])
def test_rankings_are_evaluated_on_the_given_task(generated, make):
    data = generated[0]
    task = make(data)
    for estimator, ranking in ((Bias(), EASE()), (None, EASE()), (Bias(), None)):
        result = train_and_evaluate(
            data, estimator, Split("leave-last-out"), ranker=ranking, task=task
        )
        assert result.ranking == evaluate_ranking(result.model, task)
        assert result.ranking.protocol == task.protocol == result.to_dict()["ranking"]["protocol"]
        assert result.model.metadata["metrics"]["ranking"] == result.to_dict()["ranking"]
        assert all(map(np.array_equal, result.model.interactions, task.train.ratings.by_user))


def test_no_estimator_is_refused(generated):
    with pytest.raises(SettingError, match="Nothing to train"):
        train_and_evaluate(generated[0], None, Split())


def test_both_estimators_get_the_same_sets(generated):
    @dataclass(frozen=True)
    class Spy(Estimator):
        estimator: Estimator

        def fit(self, train, *, validation, test, threads, **_):
            given.append((train, validation, test, threads))
            return self.estimator.fit(train, validation=validation, test=test, threads=threads)

    given = []
    estimators = Spy(ALS(factors=2, iterations=1)), Spy(ImplicitALS(factors=2, iterations=1))
    data, split = generated[0], Split(seed=2)
    train_and_evaluate(data, estimators[0], split, ranker=estimators[1], validation=True, threads=1)
    first, second = given
    assert first[3] == second[3] == 1
    prints = [[part.ratings.fingerprint() for part in parts[:3]] for parts in given]
    assert prints[0] == prints[1]
    train, test = split.apply(data)
    assert [len(part) for part in first[:3]] == [9720, 1080, 1200]
    assert prints[0][2] == test.ratings.fingerprint()
    pairs = [set(zip(part.ratings.user, part.ratings.item, strict=True)) for part in first[:3]]
    assert not pairs[0] & pairs[1]
    assert pairs[0] | pairs[1] == set(zip(train.ratings.user, train.ratings.item, strict=True))
    given.clear()
    train_and_evaluate(data, estimators[0], replace(split, method="leave-last-out"))
    assert given[0][1] is None


# --- without ratings, and without a test set


@pytest.mark.parametrize("change", [as_interactions, all_ones])
def test_where_nothing_is_to_be_predicted_there_is_a_ranking_head_alone(generated, change):
    model = matinee.fit(change(generated[0]), ranker=EASE())
    assert list(model.heads) == ["ranking"]
    assert model.recommend(1, 3).columns == ["item_id", "title", "genres", "score"]


@pytest.mark.parametrize("train", [
    lambda data: matinee.fit(data, ALS()),
    lambda data: train_and_evaluate(data, Bias(), Split(), ranker=EASE()),
    lambda data: cross_validate(data, Bias(), EASE()),
    lambda data: run_preset(data, get_preset("google-course")),
])  # fmt: skip
def test_ratings_are_not_learned_from_interactions_without_them(unrated, train, monkeypatch):
    for estimator in (ALS, Bias, EASE, ImplicitALS):
        monkeypatch.setattr(estimator, "_fit", None)  # refused before any work
    with pytest.raises(SettingError, match="generated: These are interactions without ratings"):
        train(unrated)


RANKERS = {
    "ials": ImplicitALS(factors=4, iterations=2),
    "ease": EASE(),
    "itemknn": ItemKNN(),
    "userknn": UserKNN(),
    "popularity": Popularity(),
}
NEURAL = {
    "bpr": ("BPR", {}),
    "gmf": ("GMF", {"feedback": "implicit"}),
    "mlp": ("MLP", {"feedback": "implicit"}),
    "neumf": ("NeuMF", {"feedback": "implicit"}),
}


NEURAL_ONES = [pytest.param(name, marks=pytest.mark.thorough) for name in NEURAL]


@pytest.mark.parametrize("name", [*RANKERS, *NEURAL_ONES])
def test_every_ranking_model_learns_from_interactions(unrated, name):
    if name in NEURAL:
        pytest.importorskip("torch")
        cls, settings = NEURAL[name]
        ranker = getattr(matinee, cls)(**settings, epochs=3)
    else:
        ranker = RANKERS[name]
    result = train_and_evaluate(unrated, None, Split(), ranker=ranker)
    popular = train_and_evaluate(unrated, None, Split(), ranker=Popularity())
    assert result.rating is None
    assert result.to_dict()["rmse"] is None
    assert result.ranking["ndcg@10"] > 0.5 * popular.ranking["ndcg@10"]
    assert result.model.scale is None


@pytest.mark.parametrize("ranker", [Popularity, EASE, ItemKNN])
def test_min_rating_is_a_least_number_of_times(unrated, ranker):
    often = unrated.ratings.take(unrated.ratings.values >= 2)
    assert 0 < len(often) < len(unrated)
    only_those = replace(unrated, ratings=often)
    scores = [
        ranker(min_rating=2).fit(unrated).scores(1),
        ranker().fit(only_those).scores(1),
    ]
    np.testing.assert_allclose(*scores, rtol=1e-5)


def test_a_model_is_trained_on_everything(generated):
    data = generated[0]
    result = train_and_evaluate(data, ALS(factors=3, iterations=2), Split("temporal", 0.0),
                                ranker=EASE())  # fmt: skip
    assert (result.train_ratings, result.test_ratings) == (len(data), 0)
    assert (result.rating, result.ranking) == (None, None)
    assert result.fit_seconds > 0
    found = result.to_dict()
    assert [found[name] for name in ("rmse", "mae", "ranking")] == [None] * 3
    assert found.keys() == train_and_evaluate(data, Bias(), Split()).to_dict().keys()
    assert result.model.metadata["split"]["test_fraction"] == 0
    assert result.model.metadata["metrics"] == {"ranking": None}
    assert "test_rmse" not in result.model.history.columns
    expected = ALS(factors=3, iterations=2).fit(data)
    assert np.array_equal(result.model.predict(1, [1, 2]), expected.predict(1, [1, 2]))


def test_a_split_without_a_test_set_says_so(generated):
    assert str(Split(test_fraction=0)) == "no test set"
    assert str(Split(test_fraction=0.25, seed=2)) == "random, test fraction 0.25, seed 2"
    train, test = Split("leave-last-out", 0).apply(generated[0])
    assert (len(train), len(test)) == (len(generated[0]), 0)
    assert train.ratings.same_codes_as(test.ratings)


def test_early_stopping_has_its_validation_set_without_a_test_set(generated):
    result = train_and_evaluate(generated[0], ALS(factors=2, iterations=3, patience=1),
                                Split(test_fraction=0), validation=True)  # fmt: skip
    assert result.train_ratings == round(0.9 * len(generated[0]))
    assert "validation_rmse" in result.model.history.columns

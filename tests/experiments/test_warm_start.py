"""Training from an earlier run whose data have grown: what it is tested on, and how good it is."""

from dataclasses import replace

import numpy as np
import pytest

import matinee
from matinee.data import generate
from matinee.errors import SettingError
from matinee.experiments import Split, reproduce, train_and_evaluate
from matinee.experiments.warm_start import estimators_of, fit_from
from matinee.models import ALS, EASE, Bias, ImplicitALS

ESTIMATORS = ALS(factors=6, iterations=10), ImplicitALS(factors=6, iterations=10)


def growing(ratings, seed):
    """(data before, data now, truth): users, items and ratings have been added."""
    now, truth = generate(users=300, items=120, ratings=ratings, seed=seed)
    ratings = now.ratings
    rng = np.random.default_rng(0)
    old = (rng.random(len(now)) < 0.95) & (ratings.user % 20 > 0) & (ratings.item % 30 > 0)
    return matinee.read(ratings.take(old).to_frame()), now, truth


@pytest.fixture(scope="module")
def grown():
    return growing(11_000, seed=4)[:2]


def error_of(model, data, truth):
    """The RMSE for all pairs of users and items, against ratings without noise."""
    sizes = len(data.ratings.user_ids), len(data.catalog)
    user, item = (codes.ravel().astype(np.int32) for codes in np.indices(sizes))
    expected = truth.values(user, item)
    low, high = data.ratings.scale.low, data.ratings.scale.high
    predicted = np.clip(model.rating_head.pairs(user, item), low, high)
    return float(np.sqrt(np.mean((predicted - expected) ** 2)))


@pytest.fixture(scope="module")
def early(grown, tmp_path_factory):
    """The run of the data before."""
    als, ials = ESTIMATORS
    model = train_and_evaluate(grown[0], als, Split(), ranker=ials).model
    return model.save(tmp_path_factory.mktemp("runs") / "early")


def pairs_of(ratings, user_ids, item_ids):
    users, items = user_ids.values.to_list(), item_ids.values.to_list()
    return {(users[u], items[i]) for u, i in zip(ratings.user, ratings.item, strict=True)}


def test_nothing_that_the_earlier_run_has_seen_is_tested(grown, early):
    before, now = grown
    seen, _ = Split().apply(before)
    train, test = Split(warm_start=str(early)).apply(now)
    ids = now.ratings.user_ids, now.ratings.item_ids
    seen = pairs_of(seen.ratings, before.ratings.user_ids, before.ratings.item_ids)
    tested = pairs_of(test.ratings, *ids)
    _, drawn = Split().apply(now)
    assert tested == pairs_of(drawn.ratings, *ids) - seen
    assert len(tested) > 50
    assert pairs_of(train.ratings, *ids) == pairs_of(now.ratings, *ids) - tested


@pytest.mark.slow
def test_it_ends_as_well_as_a_full_training_in_fewer_iterations(grown, early):
    als, ials = ESTIMATORS
    split = Split(warm_start=str(early))
    warm = train_and_evaluate(grown[1], als, split, ranker=ials)
    train, test = split.apply(grown[1])
    full = als.fit(train).with_ranking(ials.fit(train))
    expected = matinee.evaluate(full, train, test)
    assert warm.ranking["ndcg@10"] > expected.ranking["ndcg@10"] - 0.02
    assert [head.history.height for head in warm.model.heads.values()] == [3, 3]
    assert {head.estimator["iterations"] for head in warm.model.heads.values()} == {10}


@pytest.mark.slow
def test_ratings_are_predicted_as_well():
    before, now, truth = growing(11_000, seed=4)
    als = ESTIMATORS[0]
    warm, full = fit_from(als.fit(before), als, now), als.fit(now)
    assert warm.rating_head.history.height == 3
    assert error_of(warm, now, truth) < error_of(full, now, truth) + 0.01
    assert error_of(full, now, truth) < error_of(Bias().fit(now), now, truth) - 0.04


@pytest.mark.slow
def test_what_suited_few_ratings_is_kept():
    als = ESTIMATORS[0]
    before, now, _ = growing(8_000, seed=4)
    early = als.fit(before)
    warm = fit_from(early, als, now).rating_head
    assert warm.ridge == early.rating_head.ridge != als.fit(now).rating_head.ridge
    assert warm.history.height == 3


@pytest.mark.slow
def test_factors_that_said_nothing_are_no_start():
    als = ESTIMATORS[0]
    before, now, _ = growing(4_000, seed=3)
    early, full = als.fit(before), als.fit(now)
    assert early.rating_head.vanished  # biases alone were the choice
    for warm in (fit_from(early, als, now), als.fit(now, warm_start=early)):
        assert np.array_equal(warm.rating_head.item_params, full.rating_head.item_params)


@pytest.mark.slow
def test_it_is_reproduced_from_the_earlier_run(early, tmp_path, grown):
    source = tmp_path / "now.parquet"
    grown[1].ratings.to_frame().write_parquet(source)
    data = matinee.read(source)
    result = train_and_evaluate(data, ESTIMATORS[0], Split(warm_start=str(early)))
    run = result.model.save(tmp_path / "warm")
    found = reproduce(run).model.rating_head
    assert np.array_equal(found.item_params, result.model.rating_head.item_params)


def test_estimators_are_those_of_the_run(early):
    assert estimators_of(matinee.load(early)) == ESTIMATORS


def test_what_cannot_start_from_a_model_is_trained_whole(grown, early):
    before, now = grown
    earlier = matinee.load(early)
    model = fit_from(earlier, EASE(), now)
    assert np.array_equal(model.ranking_head.weights, EASE().fit(now).ranking_head.weights)
    baselines = Bias().fit(before).with_ranking(EASE().fit(before))
    with pytest.raises(SettingError, match="Bias and EASE cannot start from an earlier model"):
        estimators_of(baselines)


def test_short_trainings_are_not_made_shorter(grown, early):
    short = replace(ESTIMATORS[0], iterations=2)
    assert fit_from(matinee.load(early), short, grown[1]).rating_head.history.height == 2

"""The estimator and its models: what must hold whatever the data."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from forward import SHORT, assert_same

from matinee.data import Dataset, RatingScale
from matinee.data.synthetic import generate
from matinee.errors import SettingError
from matinee.evaluation import evaluate_calibration
from matinee.models import ALS
from matinee.models.bayesian import BayesianMF
from matinee.models.bayesian.sampler import FEATURES

pytestmark = pytest.mark.slow  # a chain of every kind, to begin with

ESTIMATOR = BayesianMF(**SHORT)


def changed(data, **ratings):
    return replace(data, ratings=replace(data.ratings, **ratings))


@pytest.mark.thorough
@pytest.mark.parametrize("likelihood", ["ordinal", "normal"])
def test_same_seed_same_bits_for_any_number_of_threads(seen, parts, likelihood):
    estimator = replace(ESTIMATOR, likelihood=likelihood, iterations=16, seed=3)
    models = [estimator.fit(seen, test=parts[1], threads=threads) for threads in (1, 2, 3)]
    assert_same(models[0], models[1])
    assert_same(models[0], models[2])
    other = replace(estimator, seed=4).fit(seen, test=parts[1])
    for name in ("draw_table", "draw_biases", "draw_paths", "user_params", "item_params"):
        assert not np.array_equal(
            getattr(models[0].rating_head, name), getattr(other.rating_head, name)
        )


def test_the_order_of_the_rows_does_not_matter(small):
    order = np.random.default_rng(0).permutation(len(small))
    shuffled = replace(small, ratings=small.ratings.take(order))
    assert_same(ESTIMATOR.fit(small), ESTIMATOR.fit(shuffled))


@pytest.mark.thorough
def test_those_who_are_evaluated_change_nothing(seen, parts):
    alone, watched = ESTIMATOR.fit(seen), ESTIMATOR.fit(seen, validation=parts[1], test=parts[1])
    assert np.array_equal(alone.rating_head.draw_table, watched.rating_head.draw_table)
    assert np.array_equal(alone.rating_head.user_params, watched.rating_head.user_params)
    assert watched.history["validation_rmse"].equals(
        watched.history["test_rmse"].alias("validation_rmse")
    )


@pytest.mark.thorough
def test_the_history_tells_the_error_of_the_average(seen, parts):
    test = parts[1]
    model = ESTIMATOR.fit(seen, test=test)
    history = model.history
    assert history["iteration"].to_list() == list(range(1, 25))
    users, items = test.ratings.user_ids.values, model.items
    values = model.predict(
        users[test.ratings.user],
        items[test.ratings.item],
        test.ratings.timestamp,
        unknown="average",
    )
    error = np.sqrt(np.square(values - test.ratings.values).mean())
    # draws are kept in fewer digits than they are evaluated in
    assert history["test_rmse"][-1] == pytest.approx(error, abs=2e-3)
    best_guess = test.ratings.values.std()
    assert history["test_rmse"][-1] < 0.95 * best_guess
    assert history["test_rmse"][-1] < history["test_rmse"][:8].min()
    assert history["rhat"].is_null().to_list() == [True] * 23 + [False]


@pytest.mark.parametrize("features", ["none", *FEATURES, "genres, drift", "all"])
def test_groups_of_features_can_be_switched_on_alone(small, features):
    model = replace(ESTIMATOR, features=features, iterations=6, burn_in=2).fit(small)
    head, names = model.rating_head, [name.strip() for name in features.split(",")]
    assert head.dated == (features in ("date", "all"))
    assert head.draw_paths.shape[1] == 3 * bool({"drift", "all"} & set(names))
    assert (head.draw_rated.shape[1] > 0) == (features in ("rated", "all"))
    values = model.predict(1, [1, 2, 3], 10**9)
    timeless = model.predict(1, [1, 2, 3])
    assert np.isfinite(values).all()
    knows_of_time = bool({"date", "drift", "all"} & set(names))
    assert np.array_equal(values, timeless) != knows_of_time


@pytest.mark.parametrize("features", ["genre", "genres,", "genres,all", "all,date", "none,drift"])
def test_features_that_there_are_none_of_are_refused(small, features):
    with pytest.raises(SettingError, match=r"features: no attribute .*there are genres") as refused:
        replace(ESTIMATOR, features=features).fit(small)
    assert "\n" not in str(refused.value)


def test_each_group_of_features_can_be_left_out(small):
    whole = replace(ESTIMATOR, iterations=4, burn_in=1).fit(small)
    for name in FEATURES:
        left = ",".join(other for other in FEATURES if other != name)
        model = replace(ESTIMATOR, iterations=4, burn_in=1, features=left).fit(small)
        assert not np.array_equal(model.predict(1, [1, 2]), whole.predict(1, [1, 2])), name


@pytest.mark.parametrize("likelihood", ["ordinal", "normal"])
def test_data_without_times_or_traits(small, likelihood):
    bare = replace(changed(small, timestamp=None), user_attributes=None)
    model = replace(ESTIMATOR, likelihood=likelihood).fit(bare, test=bare)
    assert model.rating_head.draw_paths.shape[1] == 0
    assert not model.rating_head.dated
    assert np.array_equal(model.predict(1, [1, 2]), model.predict(1, [1, 2], 10**9))
    assert not model.rating_head.draw_mean_drift.any()
    assert not model.rating_head.draw_drift_variance.any()


def test_values_on_a_continuous_scale_are_normal(small):
    rng = np.random.default_rng(0)
    values = np.clip(small.ratings.values + rng.normal(0, 0.2, len(small)), 0, 5).astype(np.float32)
    values[:2] = [3.6539612, 3.6539614]  # alike in six digits
    model = ESTIMATOR.fit(changed(small, values=values, scale=RatingScale(0, 5)))
    assert not model.rating_head.ordinal
    chances = model.predict_proba(1, [1, 2])
    assert [np.float32(name) for name in chances.columns] == np.unique(values).tolist()
    np.testing.assert_allclose(chances.sum_horizontal(), 1.0, atol=1e-4)
    with pytest.raises(SettingError, match="2 to 20"):
        replace(ESTIMATOR, likelihood="ordinal").fit(
            changed(small, values=values, scale=RatingScale(0, 5))
        )


def test_a_scale_with_two_levels(small):
    min_rating = small.ratings.values > 3.5
    values = np.where(min_rating, np.float32(1), np.float32(0))
    model = ESTIMATOR.fit(changed(small, values=values, scale=RatingScale(0, 1, 1)))
    assert model.rating_head.ordinal
    users, items = small.ratings.user_ids.values, model.items
    chances = model.predict_proba(
        users[small.ratings.user], items[small.ratings.item], small.ratings.timestamp
    )
    assert chances.columns == ["0", "1"]
    assert chances["1"].mean() == pytest.approx(min_rating.mean(), abs=0.03)
    assert (
        chances["1"].to_numpy()[min_rating].mean()
        > chances["1"].to_numpy()[~min_rating].mean() + 0.1
    )


@pytest.mark.parametrize("count", [1, 3, 30])
def test_values_that_are_all_the_same_are_expected_again(small, count):
    some = replace(small, ratings=small.ratings.take(np.arange(count)))
    model = ESTIMATOR.fit(changed(some, values=np.full(count, 4, np.float32)))
    user = some.ratings.user_ids.values[int(some.ratings.user[0])]
    assert model.predict(user, [1, 2]) == pytest.approx([4, 4], abs=1.0)
    with pytest.raises(SettingError, match="2 to 20"):
        replace(ESTIMATOR, likelihood="ordinal").fit(changed(some, values=np.full(count, 4.0)))


def test_a_single_user(small):
    alone = replace(small, ratings=small.ratings.take(small.ratings.user == 3))
    model = ESTIMATOR.fit(alone, test=small)
    user = alone.ratings.user_ids.values[3]
    assert np.isfinite(model.predict(user, model.items)).all()
    assert model.recommend(user, n=3).height == 3


def test_users_and_movies_without_ratings(small):
    ratings = small.ratings
    default_user = int(np.flatnonzero(np.bincount(ratings.user, minlength=300) == 0)[0])
    kept = ratings.item != 7
    left = replace(small, ratings=ratings.take(kept))
    known = ratings.user_ids.values[default_user]
    by_attributes = ESTIMATOR.fit(left).predict(known, [1, 2])
    model = ESTIMATOR.fit(replace(left, user_attributes=None))
    assert not np.array_equal(by_attributes, model.predict("x", [1, 2], unknown="average"))
    assert np.isfinite(model.predict(1, model.items[7])).all()  # known by its genres
    unknown = ratings.user_ids.values[default_user]
    values, ranges = model.predict(unknown, [1, 2], interval=0.5, unknown="average")
    assert np.isfinite(ranges).all()
    assert np.array_equal(values, model.predict("default_user", [1, 2], unknown="average"))


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("factors", 0),
        ("iterations", 1),
        ("seed", -1),
        ("memory", -1),
        ("memory", float("nan")),
        ("likelihood", "poisson"),
        ("burn_in", 24),
        ("burn_in", -1),
        ("features", ""),
        ("features", None),
    ],
)
def test_settings_that_make_no_sense_are_refused(setting, value):
    with pytest.raises(SettingError, match=setting) as refused:
        replace(ESTIMATOR, **{setting: value})
    assert "\n" not in str(refused.value)


def test_parts_with_other_ids_are_refused(seen):
    few = generate(users=30, items=20, ratings=300, seed=0)[0]
    other = Dataset(few.ratings, few.catalog)
    with pytest.raises(SettingError, match="other users or items"):
        ESTIMATOR.fit(seen, test=other)


@pytest.mark.parametrize(("iterations", "first"), [(2, 0), (40, 10), (256, 64), (4000, 64)])
def test_the_first_sweeps_do_not_count(iterations, first):
    assert replace(ESTIMATOR, iterations=iterations, burn_in=None).burn_in_end == first


def test_a_small_memory_keeps_fewer_draws_evenly_spaced(small):
    models = [
        replace(ESTIMATOR, iterations=30, memory=memory).fit(small) for memory in (256, 0.3, 0)
    ]
    kept = [model.rating_head.draw_table.shape[0] for model in models]
    assert kept[0] == 22
    assert kept[2] == 1
    assert 1 < kept[1] < 22
    size = sum(
        getattr(models[1].rating_head, name).nbytes
        for name in vars(models[1].rating_head)
        if name.startswith("draw_")
    )
    assert size <= 0.3 * 2**20
    apart = next(step for step in (2, 4, 8, 16) if len(range(0, 22, step)) == kept[1])
    for name in ("draw_table", "draw_biases", "draw_paths", "draw_noise", "draw_mean_drift"):
        every = getattr(models[0].rating_head, name)
        assert np.array_equal(getattr(models[1].rating_head, name), every[::apart])
    # the average is over all draws, kept or not
    for model in models[1:]:
        assert np.array_equal(model.rating_head.item_params, models[0].rating_head.item_params)


def test_models_by_other_estimators_know_nothing_of_time_or_ranges(model):
    values = model.predict(1, [1, 2])
    assert np.array_equal(model.predict(1, [1, 2], [10**9, 5]), values)
    for asked in (
        lambda: model.predict(1, [1, 2], interval=0.9),
        lambda: model.predict_proba(1, [1, 2]),
    ):
        with pytest.raises(SettingError, match="BayesianMF") as refused:
            asked()
        assert "\n" not in str(refused.value)


def test_it_learns_more_than_a_point_estimate(seen, parts):
    """With 36 ratings a user, averages over a posterior beat its mode."""
    error = {
        estimator: estimator.fit(seen, test=parts[1]).history["test_rmse"][-1]
        for estimator in (ALS(factors=4), BayesianMF(factors=4, iterations=100, features="genres"))
    }
    als, bayes = error.values()
    assert bayes < als - 0.001


def test_users_is_a_table_with_gaps(small):
    blank = pl.DataFrame({"age": [None] * 300, "gender": ["F", None, "M"] * 100})
    model = replace(ESTIMATOR, features="gender").fit(replace(small, user_attributes=blank))
    assert np.isfinite(model.predict(1, [1, 2])).all()


@pytest.mark.slow
@pytest.mark.parametrize("likelihood", ["normal", "ordinal"])
def test_the_unit_of_ratings_changes_nothing(likelihood):
    data, _ = generate(users=40, items=30, ratings=700, seed=1)
    estimator = BayesianMF(factors=3, iterations=12, likelihood=likelihood)
    values, plain = data.ratings.values, estimator.fit(data)
    for times, plus in ((0.05, 0.0), (20.0, 0.0), (1.0, 3.0)):
        scaled = (times * values + plus).astype(np.float32)
        scale = RatingScale(times * 0.5 + plus, times * 5 + plus, times * 0.5)
        ratings = replace(data.ratings, values=scaled, scale=scale)
        other = estimator.fit(replace(data, ratings=ratings))
        expected, ranges = plain.predict(1, plain.items, interval=0.8)
        found, found_ranges = other.predict(1, plain.items, interval=0.8)
        np.testing.assert_allclose(found, times * expected + plus, atol=2e-3 * times)
        np.testing.assert_allclose(found_ranges, times * ranges + plus, atol=5e-3 * times)


@pytest.mark.slow
def test_ranges_hold_for_users_without_ratings_as_for_others():
    data, _ = generate(users=320, items=60, ratings=12_000, seed=4)
    new = data.ratings.user >= 220
    train = replace(data, ratings=data.ratings.take(~new))
    test = replace(data, ratings=data.ratings.take(new))
    model = BayesianMF(factors=3, iterations=60).fit(train)
    codes = np.int32([219, 220, -1])
    predictive = model.rating_head.predictive(codes, np.int32([0, 0, 0]))
    assert predictive.unknown.tolist() == [False, True, True]
    coverage = evaluate_calibration(model, train, test).coverage
    assert 0.75 < coverage[0.8] < 0.88
    assert 0.85 < coverage[0.9] < 0.96

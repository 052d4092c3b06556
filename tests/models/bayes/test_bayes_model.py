"""The recipe and its models: what must hold whatever the data."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from forward import SHORT, assert_same

from matinee.data import Dataset, Scale
from matinee.data.synthetic import generate
from matinee.errors import SettingError
from matinee.models import ALS
from matinee.models.bayesian import BayesianMF
from matinee.models.bayesian.sampler import FEATURES

RECIPE = BayesianMF(**SHORT)


def changed(data, **ratings):
    return replace(data, ratings=replace(data.ratings, **ratings))


@pytest.mark.parametrize("likelihood", ["ordinal", "normal"])
def test_same_seed_same_bits_for_any_number_of_threads(seen, parts, likelihood):
    recipe = replace(RECIPE, likelihood=likelihood, iterations=16, seed=3)
    models = [recipe.fit(seen, test=parts[1], threads=threads) for threads in (1, 2, 3)]
    assert_same(models[0], models[1])
    assert_same(models[0], models[2])
    other = replace(recipe, seed=4).fit(seen, test=parts[1])
    for name in ("draw_table", "draw_biases", "draw_paths", "user_rows", "item_rows"):
        assert not np.array_equal(getattr(models[0].rating, name), getattr(other.rating, name))


def test_the_order_of_the_rows_does_not_matter(small):
    order = np.random.default_rng(0).permutation(len(small))
    shuffled = replace(small, ratings=small.ratings.take(order))
    assert_same(RECIPE.fit(small), RECIPE.fit(shuffled))


def test_those_who_are_judged_change_nothing(seen, parts):
    alone, watched = RECIPE.fit(seen), RECIPE.fit(seen, validation=parts[1], test=parts[1])
    assert np.array_equal(alone.rating.draw_table, watched.rating.draw_table)
    assert np.array_equal(alone.rating.user_rows, watched.rating.user_rows)
    assert watched.history["validation_rmse"].equals(
        watched.history["test_rmse"].alias("validation_rmse")
    )


def test_the_history_tells_the_error_of_the_average(seen, parts):
    test = parts[1]
    model = RECIPE.fit(seen, test=test)
    history = model.history
    assert history["iteration"].to_list() == list(range(1, 25))
    users, movies = test.ratings.user_ids.values, model.items
    stars = model.predict(
        users[test.ratings.user],
        movies[test.ratings.item],
        test.ratings.timestamp,
        unknown="average",
    )
    error = np.sqrt(np.square(stars - test.ratings.stars).mean())
    # draws are kept in fewer digits than they are judged in
    assert history["test_rmse"][-1] == pytest.approx(error, abs=2e-3)
    best_guess = test.ratings.stars.std()
    assert history["test_rmse"][-1] < 0.95 * best_guess
    assert history["test_rmse"][-1] < history["test_rmse"][:8].min()
    assert history["rhat"].is_null().to_list() == [True] * 23 + [False]


@pytest.mark.parametrize("features", ["none", *FEATURES, "genres, drift", "all"])
def test_groups_of_features_can_be_switched_on_alone(small, features):
    model = replace(RECIPE, features=features, iterations=6, burn_in=2).fit(small)
    head, names = model.rating, [name.strip() for name in features.split(",")]
    assert head.dated == (features in ("date", "all"))
    assert head.draw_paths.shape[1] == 3 * bool({"drift", "all"} & set(names))
    assert (head.draw_rated.shape[1] > 0) == (features in ("rated", "all"))
    stars = model.predict(1, [1, 2, 3], 10**9)
    timeless = model.predict(1, [1, 2, 3])
    assert np.isfinite(stars).all()
    knows_of_time = bool({"date", "drift", "all"} & set(names))
    assert np.array_equal(stars, timeless) != knows_of_time


def test_each_group_of_features_can_be_left_out(small):
    whole = replace(RECIPE, iterations=4, burn_in=1).fit(small)
    for name in FEATURES:
        left = ",".join(other for other in FEATURES if other != name)
        model = replace(RECIPE, iterations=4, burn_in=1, features=left).fit(small)
        assert not np.array_equal(model.predict(1, [1, 2]), whole.predict(1, [1, 2])), name


@pytest.mark.parametrize("likelihood", ["ordinal", "normal"])
def test_data_without_times_or_traits(small, likelihood):
    bare = replace(changed(small, timestamp=None), viewers=None)
    model = replace(RECIPE, likelihood=likelihood).fit(bare, test=bare)
    assert model.rating.draw_paths.shape[1] == 0
    assert not model.rating.dated
    assert np.array_equal(model.predict(1, [1, 2]), model.predict(1, [1, 2], 10**9))
    assert not model.rating.draw_usual.any()
    assert not model.rating.draw_restless.any()


def test_stars_on_a_continuous_scale_are_normal(small):
    rng = np.random.default_rng(0)
    stars = np.clip(small.ratings.stars + rng.normal(0, 0.2, len(small)), 0, 5).astype(np.float32)
    stars[:2] = [3.6539612, 3.6539614]  # alike in six digits
    model = RECIPE.fit(changed(small, stars=stars, scale=Scale(0, 5)))
    assert not model.rating.ordinal
    chances = model.predict_distribution(1, [1, 2])
    assert [np.float32(name) for name in chances.columns] == np.unique(stars).tolist()
    np.testing.assert_allclose(chances.sum_horizontal(), 1.0, atol=1e-4)
    with pytest.raises(SettingError, match="2 to 20"):
        replace(RECIPE, likelihood="ordinal").fit(changed(small, stars=stars, scale=Scale(0, 5)))


def test_a_scale_with_two_levels(small):
    liked = small.ratings.stars > 3.5
    stars = np.where(liked, np.float32(1), np.float32(0))
    model = RECIPE.fit(changed(small, stars=stars, scale=Scale(0, 1, 1)))
    assert model.rating.ordinal
    users, items = small.ratings.user_ids.values, model.items
    chances = model.predict_distribution(
        users[small.ratings.user], items[small.ratings.item], small.ratings.timestamp
    )
    assert chances.columns == ["0", "1"]
    assert chances["1"].mean() == pytest.approx(liked.mean(), abs=0.03)
    assert chances["1"].to_numpy()[liked].mean() > chances["1"].to_numpy()[~liked].mean() + 0.1


@pytest.mark.parametrize("count", [1, 3, 30])
def test_stars_that_are_all_the_same_are_expected_again(small, count):
    some = replace(small, ratings=small.ratings.take(np.arange(count)))
    model = RECIPE.fit(changed(some, stars=np.full(count, 4, np.float32)))
    user = some.ratings.user_ids.values[int(some.ratings.user[0])]
    assert model.predict(user, [1, 2]) == pytest.approx([4, 4], abs=1.0)
    with pytest.raises(SettingError, match="2 to 20"):
        replace(RECIPE, likelihood="ordinal").fit(changed(some, stars=np.full(count, 4.0)))


def test_a_single_viewer(small):
    alone = replace(small, ratings=small.ratings.take(small.ratings.user == 3))
    model = RECIPE.fit(alone, test=small)
    user = alone.ratings.user_ids.values[3]
    assert np.isfinite(model.predict(user, model.items)).all()
    assert model.recommend(user, n=3).height == 3


def test_viewers_and_movies_without_ratings(small):
    ratings = small.ratings
    nobody = int(np.flatnonzero(np.bincount(ratings.user, minlength=300) == 0)[0])
    kept = ratings.item != 7
    model = RECIPE.fit(replace(small, ratings=ratings.take(kept)))
    assert np.isfinite(model.predict(1, model.items[7])).all()  # known by its genres
    unknown = ratings.user_ids.values[nobody]
    stars, ranges = model.predict(unknown, [1, 2], interval=0.5, unknown="average")
    assert np.isfinite(ranges).all()
    assert np.array_equal(stars, model.predict("nobody", [1, 2], unknown="average"))


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
        ("features", "genre"),
        ("features", "genres,"),
        ("features", ""),
        ("features", "genres,all"),
    ],
)
def test_settings_that_make_no_sense_are_refused(setting, value):
    with pytest.raises(SettingError, match=setting) as refused:
        replace(RECIPE, **{setting: value})
    assert "\n" not in str(refused.value)


def test_parts_with_other_ids_are_refused(seen):
    few = generate(viewers=30, movies=20, ratings=300, seed=0)[0]
    other = Dataset(few.ratings, few.catalog)
    with pytest.raises(SettingError, match="other viewers or movies"):
        RECIPE.fit(seen, test=other)


@pytest.mark.parametrize(("iterations", "first"), [(2, 0), (40, 10), (256, 64), (4000, 64)])
def test_the_first_sweeps_do_not_count(iterations, first):
    assert replace(RECIPE, iterations=iterations, burn_in=None).settled == first


def test_a_small_memory_keeps_fewer_draws_evenly_spaced(small):
    models = [replace(RECIPE, iterations=30, memory=memory).fit(small) for memory in (256, 0.3, 0)]
    kept = [model.rating.draw_table.shape[0] for model in models]
    assert kept[0] == 22
    assert kept[2] == 1
    assert 1 < kept[1] < 22
    size = sum(
        getattr(models[1].rating, name).nbytes
        for name in vars(models[1].rating)
        if name.startswith("draw_")
    )
    assert size <= 0.3 * 2**20
    apart = next(step for step in (2, 4, 8, 16) if len(range(0, 22, step)) == kept[1])
    for name in ("draw_table", "draw_biases", "draw_paths", "draw_noise", "draw_usual"):
        every = getattr(models[0].rating, name)
        assert np.array_equal(getattr(models[1].rating, name), every[::apart])
    # the average is over all draws, kept or not
    for model in models[1:]:
        assert np.array_equal(model.rating.item_rows, models[0].rating.item_rows)


def test_models_by_other_recipes_know_nothing_of_time_or_ranges(model):
    stars = model.predict(1, [1, 2])
    assert np.array_equal(model.predict(1, [1, 2], [10**9, 5]), stars)
    for asked in (
        lambda: model.predict(1, [1, 2], interval=0.9),
        lambda: model.predict_distribution(1, [1, 2]),
    ):
        with pytest.raises(SettingError, match="BayesianMF") as refused:
            asked()
        assert "\n" not in str(refused.value)


def test_it_learns_more_than_a_point_estimate(seen, parts):
    """With 36 ratings a viewer, averages over a posterior beat its mode."""
    error = {
        recipe: recipe.fit(seen, test=parts[1]).history["test_rmse"][-1]
        for recipe in (ALS(factors=4), BayesianMF(factors=4, iterations=100, features="genres"))
    }
    als, bayes = error.values()
    assert bayes < als - 0.001


def test_viewers_is_a_table_with_gaps(small):
    blank = pl.DataFrame({"age": [None] * 300, "gender": ["F", None, "M"] * 100})
    model = replace(RECIPE, features="traits").fit(replace(small, viewers=blank))
    assert np.isfinite(model.predict(1, [1, 2])).all()

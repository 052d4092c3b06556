"""Presets: that each is what its source trains, and one of them in plain numpy."""

from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import polars as pl
import pytest

import matinee
from matinee.errors import SettingError
from matinee.evaluation import evaluate_ranking, sampled_negatives
from matinee.experiments import PRESETS, Preset, PresetStage, Split, get_preset, run_preset
from matinee.models import ALS, EASE, Bias, ImplicitALS
from matinee.models.registry import NEURAL, estimator_from_config

needs_torch = pytest.mark.skipif(not find_spec("torch"), reason="PyTorch is an extra")


def configs(stage):
    return [config for config in (stage.rating, stage.ranking) if config]


def with_params(preset, **settings):
    """The same preset, every stage with other hyperparameters."""
    stages = tuple(
        replace(
            stage,
            rating=stage.rating and {**stage.rating, **settings},
            ranking=stage.ranking and {**stage.ranking, **settings},
        )
        for stage in preset.stages
    )
    return replace(preset, stages=stages)


@pytest.fixture(scope="module")
def even():
    """4,000 ratings by 200 users of 200 movies, 20 of each: no user or item is rare in any set."""
    rng = np.random.default_rng(0)
    user, turn = np.divmod(np.arange(4000), 20)
    item = (user + 10 * turn) % 200
    likes, min_rating = rng.normal(0, 0.7, (2, 200, 3))
    values = np.clip(
        np.rint(3.4 + (likes[user] * min_rating[item]).sum(1) + rng.normal(0, 0.4, 4000)), 1, 5
    )
    table = pl.DataFrame({"user": user, "item": item, "rating": values})
    return matinee.read(table, name="even", scale=(1, 5))


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
@needs_torch
def test_every_stage_names_estimators_that_can_be_built(preset):
    assert get_preset(preset.name) is preset
    for stage in preset.stages:
        assert configs(stage)
        for params in configs(stage):
            estimator = estimator_from_config(params)
            assert type(estimator).__name__ == params["name"]
            for name, value in params.items():
                value = tuple(value) if isinstance(value, list) else value
                assert name == "name" or getattr(estimator, name) == value


def test_names_differ_and_an_unknown_one_is_refused_with_the_known_ones():
    names = [preset.name for preset in PRESETS]
    assert len(set(names)) == len(names) >= 7
    with pytest.raises(SettingError, match="got 'magic'") as problem:
        get_preset("magic")
    assert all(name in str(problem.value) for name in names)


def test_no_two_stages_of_a_preset_share_a_checkpoint_folder():
    """They are named after the estimator: the second would be refused as another training."""
    for preset in PRESETS:
        names = [
            (estimator["name"], estimator.get("feedback"))
            for stage in preset.stages
            for estimator in configs(stage)
            if estimator["name"] in NEURAL
        ]
        assert len(set(names)) == len(names)


COURSE = {
    "optimizer": "sgd",
    "batch_size": 0,
    "biases": False,
    "regularization": 0,
    "schedule": "constant",
    "weight_decay": 0,
}
PUBLISHED = {
    "google-course": COURSE
    | {"factors": 30, "init_stddev": 0.5, "epochs": 1000, "learning_rate": 10, "l2": 0,
       "gravity": 0},
    "google-course-regularized": COURSE
    | {"factors": 35, "init_stddev": 0.05, "epochs": 2000, "learning_rate": 20, "l2": 0.1,
       "gravity": 1},
    "embedding-adam": {
        "optimizer": "adam", "batch_size": 4096, "epochs": 5, "learning_rate": 0.005,
        "biases": False, "regularization": 0, "weight_decay": 0, "schedule": "constant",
    },
    "embedding-dot": {"optimizer": "adam", "biases": False, "regularization": 0,
                      "weight_decay": 0, "schedule": "constant"},
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLISHED)
@needs_torch
def test_the_settings_are_those_that_were_published(name):
    preset = get_preset(name)
    (step,) = preset.stages
    estimator = estimator_from_config(step.rating)
    assert type(estimator).__name__ == "MatrixFactorization"
    assert {key: getattr(estimator, key) for key in PUBLISHED[name]} == PUBLISHED[name]
    assert preset.split == Split("random", test_fraction=0.1)
    assert preset.protocol == "holdout"


@needs_torch
def test_what_is_tuned_in_embedding_adam_is_what_the_name_says():
    plain, tuned = (
        estimator_from_config(get_preset(name).stages[-1].rating)
        for name in ("embedding-adam", "embedding-adam-tuned")
    )
    same = ("factors", "epochs", "batch_size", "learning_rate", "optimizer")
    assert all(getattr(plain, name) == getattr(tuned, name) for name in same)
    assert (plain.biases, tuned.biases) == (False, True)
    assert tuned.weight_decay_of("factors") > 0
    assert tuned.schedule != "constant"


@needs_torch
def test_neumf_is_trained_and_evaluated_as_in_its_paper():
    preset = get_preset("neumf")
    estimator = estimator_from_config(preset.stages[-1].ranking)
    assert (type(estimator).__name__, estimator.feedback) == ("NeuMF", "implicit")
    assert (estimator.negatives, estimator.learning_rate, estimator.min_rating) == (4, 0.001, None)
    assert (preset.split.method, preset.protocol) == ("leave-last-out", "sampled-negatives")


@needs_torch
def test_neumf_is_pre_trained_if_its_description_says_so():
    preset = get_preset("neumf")
    estimator = estimator_from_config(preset.stages[-1].ranking)
    assert ("pre-trained" in preset.description) == (estimator.pretrain_epochs > 0)


def test_biases_then_factors_then_genres():
    first, second, third = get_preset("bias-genres-als").stages
    assert [estimator_from_config(step.rating) for step in (first, second, third)] == [
        Bias(),
        ALS(features="none"),
        ALS(features="genres"),
    ]
    assert (first.ranking, second.ranking) == (None, None)
    assert estimator_from_config(third.ranking) == ImplicitALS()


@pytest.mark.slow
def test_stages_run_in_order_with_the_seed(even):
    steps = (
        PresetStage("one", {"name": "Bias"}),
        PresetStage("two", {"name": "ALS", "factors": 3, "iterations": 1}, {"name": "EASE"}),
        PresetStage("three", None, {"name": "ImplicitALS", "factors": 3, "iterations": 1}),
    )
    preset = Preset("mine", "", "", "", "", "", steps, Split(test_fraction=0.25))
    results = run_preset(even, preset, seed=5)
    assert [result.to_dict()["estimators"] for result in results] == [
        {"rating": Bias().to_config()},
        {"rating": ALS(factors=3, iterations=1, seed=5).to_config(), "ranking": EASE().to_config()},
        {"ranking": ImplicitALS(factors=3, iterations=1, seed=5).to_config()},
    ]
    train, test = even.split("random", test_fraction=0.25, seed=5)
    for result in results:
        assert all(map(np.array_equal, result.model.interactions, train.ratings.by_user))
        assert result.test_ratings == len(test) == 1000
        assert result.ranking.protocol == "holdout"


@pytest.mark.parametrize("tied", [False, True])
def test_the_ncf_task_asks_for_what_the_split_held_out(generated, tied):
    data = generated[0]
    if tied:  # who rates several movies at the same second has no single last one
        moments = replace(data.ratings, timestamp=data.ratings.timestamp // 10_000)
        data = replace(data, ratings=moments)
    ranking = {"name": "ImplicitALS", "factors": 3, "iterations": 1}
    steps = (PresetStage("", None, ranking),)
    preset = replace(get_preset("neumf"), stages=steps)
    (result,) = run_preset(data, preset, seed=3)
    task = sampled_negatives(data, seed=3)
    train, test = data.split("leave-last-out")
    assert task.train.ratings.fingerprint() == train.ratings.fingerprint()
    assert task.test.ratings.fingerprint() == test.ratings.fingerprint()
    assert all(map(np.array_equal, result.model.interactions, train.ratings.by_user))
    assert result.ranking == evaluate_ranking(result.model, task)
    assert (result.ranking.protocol, result.ranking.n_users) == ("sampled-negatives", 300)
    (other,) = run_preset(data, preset, seed=4)
    assert other.ranking != result.ranking


@pytest.mark.slow
@needs_torch
def test_neumf_runs_from_end_to_end(generated):
    small = {"factors": 2, "layers": (4, 2), "epochs": 2, "pretrain_epochs": 1, "device": "cpu"}
    small = with_params(get_preset("neumf"), **small)
    (result,) = run_preset(generated[0], small, threads=1)
    assert result.rating is None
    assert result.ranking.protocol == "sampled-negatives"
    assert result.to_dict()["rmse"] is None
    assert result.model.ranking_head.history["iteration"].to_list() == [1, 2]


def gradient_descent(train, test, p, q, *, rate, steps, l2, gravity):
    """Google's course in plain numpy: the whole matrix, float64, one step after the other.

    RMSE of the training set before each step, and of the test set after it; then the factors.
    """
    users, items = len(p), len(q)
    values, given = np.zeros((2, users, items))
    values[train.ratings.user, train.ratings.item] = train.ratings.values
    given[train.ratings.user, train.ratings.item] = 1
    before, after = [], []
    for _ in range(steps):
        error = given * (p @ q.T - values)
        before.append(np.sqrt((error**2).sum() / given.sum()))
        slopes = []
        for mine, other, wrong in ((p, q, error), (q, p, error.T)):
            slopes.append(
                2 * wrong @ other / given.sum()
                + 2 * l2 * mine / len(mine)
                + 2 * gravity * (mine @ other.T) @ other / (users * items)
            )
        p, q = p - rate * slopes[0], q - rate * slopes[1]
        after.append(error_of(p @ q.T, test))
    return before, after, p, q


def error_of(scores, test):
    """RMSE on a data set, where this is the table of all scores."""
    missed = scores[test.ratings.user, test.ratings.item] - test.ratings.values
    return np.sqrt(np.mean(missed**2))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["google-course", "google-course-regularized"])
@needs_torch
def test_googles_course_in_plain_numpy_learns_the_same(name, even):
    steps = 30
    preset = with_params(get_preset(name), epochs=steps, device="cpu")
    (result,) = run_preset(even, preset, threads=1)
    train, test = even.split("random", test_fraction=0.1, seed=0)
    assert min(train.ratings.user_counts.min(), train.ratings.item_counts.min()) > 0
    published = PUBLISHED[name]
    start = estimator_from_config(preset.stages[0].rating).build_module(train)
    first = (
        getattr(start, part).detach().numpy().astype(np.float64)
        for part in ("user_factors", "item_factors")
    )
    before, after, p, q = gradient_descent(
        train,
        test,
        *first,
        rate=published["learning_rate"],
        steps=steps,
        l2=published["l2"],
        gravity=published["gravity"],
    )
    history = result.model.rating_head.history
    np.testing.assert_allclose(history["train_rmse"], before, rtol=0, atol=1e-4)
    np.testing.assert_allclose(history["test_rmse"], after, rtol=0, atol=1e-4)
    assert before[-1] < 0.8 * before[0]  # it learned something that could have differed
    assert result.rating.rmse == pytest.approx(error_of(np.clip(p @ q.T, 1, 5), test), abs=1e-4)


def test_every_preset_says_its_results_and_deviations():
    for preset in PRESETS:
        for name in ("description", "source", "dataset", "results", "deviations"):
            assert len(getattr(preset, name)) > 4, preset.name

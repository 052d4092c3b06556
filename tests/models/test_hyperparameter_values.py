"""Hyperparameters of any value: a model whose lists are numbers, or one short line."""

import warnings
from dataclasses import fields

import numpy as np
import pytest

from matinee import errors
from matinee.errors import DivergedWarning, MatineeError, SettingError
from matinee.kernels import parallel
from matinee.models import ALS, EASE, BayesianMF, Bias, ImplicitALS, ItemKNN, Popularity, UserKNN

VALUES = [
    10**9, 2**70, 10**400, -1, 0, float("nan"), float("inf"), -float("inf"), 1e308, 1e30, -1e308,
    1e-320, "text", "", "x" * 100_000, b"x", None, True, [1], (1,), ("a",), {}, {"a": 1}, 1.5,
    np.int64(3), np.float32(0.5),
]  # fmt: skip
LONG = ("iterations", "cg_steps")  # a large number of them is possible, and takes as long
SMALL = {"factors": 2, "iterations": 2}


def small(estimator, **values):
    names = {field.name for field in fields(estimator)}
    return estimator(**{name: SMALL[name] for name in names & set(SMALL)} | values)


@pytest.mark.slow
@pytest.mark.parametrize("estimator", [ALS, ImplicitALS, EASE, ItemKNN, Popularity, Bias])
def test_any_value_trains_or_is_refused_in_a_line(estimator, tiny, monkeypatch):
    monkeypatch.setattr(errors, "LONGEST", 10**9)
    for field in fields(estimator):
        for value in VALUES:
            if field.name in LONG and value == 10**9:
                continue
            message = ""
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", DivergedWarning)
                    model = small(estimator, **{field.name: value}).fit(tiny)
                    scores = model.recommend(tiny.ratings.user_ids.values[0])["score"]
                assert scores.is_finite().all(), (field.name, value)
            except MatineeError as problem:
                message = str(problem)
            assert len(message) < 300, (field.name, value)
            assert message.isprintable(), (field.name, value)


@pytest.fixture(scope="module")
def tiny(generated):
    """A few of the generated users."""
    dataset = generated[0]
    return dataset.split("random", test_fraction=0.9, seed=0)[0]


@pytest.mark.parametrize("estimator", [ALS, ImplicitALS, BayesianMF])
def test_memory_that_factors_need_is_compared_with_what_there_is(tiny, estimator):
    with pytest.raises(
        SettingError, match=r"factors=1000000000 needs at least [\d,]+ GiB .* Fewer"
    ):
        estimator(factors=10**9).fit(tiny)


def test_a_machine_too_small_is_noticed_before_the_training(tiny, monkeypatch):
    monkeypatch.setattr("matinee.models.base.machine_memory", lambda: 1000.0)
    with pytest.raises(SettingError, match="300 users and 200 items, and there are 0"):
        ALS(factors=8).fit(tiny)


def test_memory_that_ends_in_training_is_one_line(tiny, monkeypatch):
    def fail(*_):
        raise MemoryError("Unable to allocate 7 GiB")

    monkeypatch.setattr(ALS, "_fit", fail)
    with pytest.raises(SettingError, match=r"ALS needs more memory than there is \(Unable to"):
        ALS().fit(tiny)


def test_this_machine_has_memory():
    assert 2**27 < parallel.machine_memory() < 2**50


def test_numbers_of_numpy_become_those_of_python():
    estimator = ALS(factors=np.int16(4), regularization=np.float32(0.5), seed=np.uint64(7))
    assert estimator == ALS(factors=4, regularization=0.5, seed=7)
    assert type(estimator.factors) is type(estimator.seed) is int
    assert type(estimator.regularization) is float


def test_thread_counts_of_any_size_give_the_same_model(tiny):
    expected = ALS(factors=2, iterations=1).fit(tiny)
    many = ALS(factors=2, iterations=1).fit(tiny, threads=10**6)
    assert np.array_equal(many.item_factors(), expected.item_factors())
    for threads in (0, -1, 1.5, "two", True, -(10**5000)):
        with pytest.raises(SettingError, match="threads must be"):
            ALS(factors=2).fit(tiny, threads=threads)
        with pytest.raises(SettingError, match="threads must be"):
            UserKNN().fit(tiny, threads=threads)

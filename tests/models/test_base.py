"""The base class of estimators: warm starts, callbacks, hyperparameters."""

import json
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest

import matinee
from matinee import ALS, EASE, BayesianMF, Bias, Checkpoint, ImplicitALS
from matinee.errors import SettingError
from matinee.models.registry import estimator_from_config


def rows(model):
    head = model.rating_head or model.ranking_head
    return head.user_params, head.item_params


@pytest.mark.parametrize("cls", [ALS, ImplicitALS])
def test_two_halves_are_nearly_the_whole(parts, cls):
    """Conjugate gradients of a last iteration are exact, and so one half knows a little more."""
    train = parts[0]
    whole = cls(factors=3, iterations=12).fit(train)
    half = cls(factors=3, iterations=6)
    warm = half.fit(train, warm_start=half.fit(train))
    cold = half.fit(train)
    for one, other, first in zip(rows(warm), rows(whole), rows(cold), strict=True):
        assert np.abs(one - other).max() < 0.5 * np.abs(first - other).max()


def test_exact_solves_start_warm_but_for_the_rounding_of_what_is_kept(parts):
    estimator = ALS(factors=3, iterations=4, solver="cholesky")
    whole = ALS(factors=3, iterations=8, solver="cholesky").fit(parts[0])
    warm = estimator.fit(parts[0], warm_start=estimator.fit(parts[0]))
    for one, other in zip(rows(warm), rows(whole), strict=True):
        assert np.allclose(one, other, atol=1e-5)


@pytest.mark.parametrize("cls", [ALS, ImplicitALS])
def test_further_factors_join_those_that_are_there(parts, cls):
    small = cls(factors=2, iterations=8).fit(parts[0])
    grown = cls(factors=5, iterations=3).fit(parts[0], warm_start=small)
    cold = cls(factors=5, iterations=3).fit(parts[0])
    loss = {
        name: float(model.history["loss"][-1])
        for name, model in (("small", small), ("grown", grown), ("cold", cold))
    }
    assert loss["grown"] < loss["cold"]
    assert loss["grown"] < 1.01 * loss["small"]


def test_a_warm_start_that_does_not_fit_is_refused(parts):
    train = parts[0]
    wide = ALS(factors=4, iterations=1).fit(train)
    lists = ImplicitALS(factors=4, iterations=1).fit(train)
    with pytest.raises(SettingError, match="has 4 factors, more than 3; a model can only grow"):
        ALS(factors=3, iterations=1).fit(train, warm_start=wide)
    with pytest.raises(SettingError, match="no factors that predict ratings"):
        ALS(factors=8, iterations=1).fit(train, warm_start=lists)
    with pytest.raises(SettingError, match="no factors that rank"):
        ImplicitALS(factors=8, iterations=1).fit(train, warm_start=wide)


@pytest.mark.slow
def test_a_callback_sees_each_row_of_the_history(parts):
    seen = []
    estimator = BayesianMF(factors=2, iterations=8)
    model = estimator.fit(parts[0], validation=parts[1], callback=seen.append)
    assert [row["validation_rmse"] for row in seen] == model.history["validation_rmse"].to_list()

    def enough(row):
        if row["iteration"] == 3:
            raise StopIteration

    with pytest.raises(StopIteration):
        estimator.fit(parts[0], callback=enough)

    def impatient(row):
        if row["iteration"] == 5:  # when there is an average that could be returned
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        estimator.fit(parts[0], callback=impatient, on_interrupt="raise")


ESTIMATORS = [
    matinee.ALS(factors=3, regularization=0.5),
    matinee.ImplicitALS(factors=3, min_rating=4.0),
    matinee.BayesianMF(factors=3, iterations=8, features="genres"),
    matinee.Bias(regularization=2.0),
    matinee.EASE(regularization=20.0),
    matinee.Popularity(min_rating=3.0),
]


def gradient_estimators():
    pytest.importorskip("torch")
    return [
        matinee.MatrixFactorization(factors=3, weight_decay={"factors": 0.1}),
        matinee.GMF(factors=3),
        matinee.MLP(layers=(8, 4)),
        matinee.NeuMF(factors=3, layers=(8, 4), feedback="explicit"),
        matinee.BPR(factors=3),
    ]


@pytest.mark.parametrize("number", range(11))
def test_an_estimator_is_cloned_rebuilt_and_frozen(number):
    clone = pytest.importorskip("sklearn.base").clone
    estimator = [*ESTIMATORS, *gradient_estimators()][number]
    assert clone(estimator) == estimator
    assert type(estimator)(**estimator.get_params()) == estimator
    assert estimator_from_config(estimator.to_config()) == estimator
    assert estimator_from_config(json.loads(json.dumps(estimator.to_config()))) == estimator
    with pytest.raises(FrozenInstanceError):
        estimator.seed = 1
    with pytest.raises(TypeError):
        type(estimator)(3)  # keywords only


def test_an_estimator_says_what_it_predicts_and_supports(parts):
    pytest.importorskip("torch")
    networks = matinee.NeuMF(feedback="explicit"), matinee.NeuMF()
    assert [network.predicts for network in networks] == ["rating", "ranking"]
    for estimator in ESTIMATORS:
        assert list(estimator.fit(parts[0]).heads) == [estimator.predicts]
    given = {
        "warm_start": Bias().fit(parts[0]),
        "checkpoint": Checkpoint("nowhere"),
        "callback": lambda row: None,
    }
    for name, value in given.items():
        assert not getattr(EASE, f"supports_{name}")
        with pytest.raises(SettingError, match=f"EASE does not support {name}"):
            EASE().fit(parts[0], **{name: value})
    with pytest.raises(SettingError, match="on_interrupt must be"):
        EASE().fit(parts[0], on_interrupt="ignore")


@pytest.mark.parametrize("cls", [ALS, ImplicitALS])
def test_a_callback_of_als_sees_the_history_and_may_end_it(parts, cls):
    rows = []
    model = cls(factors=2, iterations=3).fit(parts[0], callback=rows.append)
    assert [row["loss"] for row in rows] == model.history["loss"].to_list()

    def stop(row):
        raise StopIteration

    with pytest.raises(StopIteration):
        cls(factors=2, iterations=3).fit(parts[0], callback=stop)


def test_a_notebook_shows_heads_hyperparameters_and_metrics(both):
    shown = replace(both, metadata={"metrics": {"rmse": 0.8765}})._repr_html_()
    for text in ("rating head", "ranking head", "ALS", "factors", "0.8765", "300 users"):
        assert text in shown
    assert "None" not in shown.split("ranking head")[0]  # the regularization that was computed

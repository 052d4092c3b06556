"""The base class of estimators: callbacks, hyperparameters."""

import json
from dataclasses import FrozenInstanceError, replace

import pytest

import matinee
from matinee import ALS, EASE, BayesianMF, Bias, Checkpoint, ImplicitALS
from matinee.errors import SettingError
from matinee.models.registry import estimator_from_config


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

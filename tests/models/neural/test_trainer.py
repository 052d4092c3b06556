"""The training loop: its history, when it stops, and what it does when a loss diverges."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch

import matinee
from matinee.errors import DivergedWarning, SettingError
from matinee.models.neural import BPR, GMF, MLP, MatrixFactorization, NeuMF
from matinee.models.neural.losses import ImplicitLoss, RatingLoss
from matinee.storage.checkpoint import Checkpoint

MF = MatrixFactorization(factors=3, epochs=5, batch_size=2000, learning_rate=0.02, device="cpu")
OVERFITTING = replace(
    MF, factors=16, learning_rate=0.05, epochs=30, regularization=0.0, schedule="constant"
)


@pytest.fixture(scope="module")
def known(parts):
    """(train, validation), without cold-start users and items in the second."""
    train, validation = parts[0].split("random", test_fraction=0.2, seed=1)
    ratings = validation.ratings
    is_warm = (train.ratings.user_counts[ratings.user] > 0) & (
        train.ratings.item_counts[ratings.item] > 0
    )
    return train, replace(validation, ratings=ratings.take(is_warm))


def rmse_of(model, data):
    """Error before ratings are clipped, from scores."""
    scores = model.scores(model.user_ids.values.to_list()).astype(np.float64)
    ratings = data.ratings
    return np.sqrt(np.mean((scores[ratings.user, ratings.item] - ratings.values) ** 2))


ESTIMATORS = [MF, MLP(layers=(6, 4), epochs=3, feedback="explicit", device="cpu")]


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_the_history_has_a_row_for_each_epoch(known, estimator):
    train, validation = known
    history = estimator.fit(train, validation=validation, test=validation).history
    errors = ["train_rmse", "validation_rmse", "test_rmse"]
    columns = ["head", "iteration", "loss", *errors, "learning_rate", "seconds"]
    assert history.columns == columns
    assert history["iteration"].to_list() == list(range(1, estimator.epochs + 1))
    assert history["test_rmse"].equals(history["validation_rmse"].alias("test_rmse"))
    assert history["seconds"].is_sorted()


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_recorded_errors_are_those_of_the_model(known, estimator):
    train, validation = known
    model = estimator.fit(train, test=validation)
    assert model.history["test_rmse"][-1] == pytest.approx(rmse_of(model, validation), abs=1e-5)


def test_losses_are_means_over_the_epoch(parts):
    """With a rate that moves nothing, they are those of the first weights."""
    estimator = replace(MF, learning_rate=1e-12, regularization=0.0, gravity=0.5, epochs=1)
    history = estimator.fit(parts[0]).history
    values = parts[0].ratings.values.astype(np.float64)
    assert history["train_rmse"][0] == pytest.approx(values.std(), abs=1e-3)
    module = estimator.build_module(parts[0])
    scores = (module.user_factors @ module.item_factors.T).detach().double()
    gravity = 0.5 * scores.square().mean().item()
    assert history["loss"][0] == pytest.approx(history["train_rmse"][0] ** 2 + gravity, rel=1e-6)


def test_patience_restores_the_best_weights(known):
    train, validation = known
    model = replace(OVERFITTING, patience=2).fit(train, validation=validation)
    errors = model.history["validation_rmse"].to_numpy()
    assert errors.argmin() == len(errors) - 3
    assert 3 < len(errors) < 30
    assert rmse_of(model, validation) == pytest.approx(errors.min(), abs=1e-5)
    assert errors[-1] > errors.min() + 1e-3
    # with a constant rate the epochs before do not know how many there will be
    short = replace(OVERFITTING, epochs=int(errors.argmin()) + 1).fit(train)
    assert np.array_equal(model.rating_head.user_params, short.rating_head.user_params)


def test_without_patience_the_last_weights_stay(known):
    train, validation = known
    model = replace(OVERFITTING, epochs=12).fit(train, validation=validation)
    errors = model.history["validation_rmse"].to_numpy()
    assert len(errors) == 12
    assert errors.argmin() < 11
    assert rmse_of(model, validation) == pytest.approx(errors[-1], abs=1e-5)


def test_the_noise_is_that_of_the_best_weights(known):
    train, validation = known
    estimator = GMF(
        factors=16,
        feedback="explicit",
        epochs=30,
        learning_rate=0.05,
        schedule="constant",
        batch_size=500,
        patience=3,
        device="cpu",
    )
    model = estimator.fit(train, validation=validation)
    best = int(model.history["validation_rmse"].arg_min())
    assert best < model.history.height - 1
    assert model.rating_head.noise == pytest.approx(model.history["train_rmse"][best] ** 2)


SCRIPTS = [
    (ImplicitLoss, "hit_rate", [0.2, 0.5, 0.4, 0.5, 0.9], 2),
    (ImplicitLoss, "hit_rate", [0.5, 0.4, 0.3, 0.9, 0.9], 1),
    (RatingLoss, "rmse", [0.9, 0.8, 0.8, 0.85, 0.1], 2),
    (RatingLoss, "rmse", [0.9, 1.2, 1.1, 0.1, 0.1], 1),
]


@pytest.mark.parametrize(("cls", "metric", "values", "best"), SCRIPTS)
def test_the_best_is_the_highest_hit_rate_and_the_lowest_error(
    parts, monkeypatch, cls, metric, values, best
):
    """Two epochs without a better one end it; as good is not better."""
    following = iter(values)
    monkeypatch.setattr(
        cls,
        "metrics",
        lambda loss, error: {"train_rmse": 1.0, f"validation_{metric}": next(following)},
    )
    feedback = "explicit" if cls is RatingLoss else "implicit"
    estimator = GMF(
        factors=2,
        feedback=feedback,
        negatives=1,
        epochs=5,
        batch_size=8000,
        schedule="constant",
        patience=2,
        device="cpu",
    )
    model = estimator.fit(parts[0], validation=parts[1])
    assert model.history.height == best + 2
    monkeypatch.undo()
    short = replace(estimator, epochs=best, patience=0).fit(parts[0])
    head, other = (next(iter(fitted.heads.values())) for fitted in (model, short))
    assert np.array_equal(head.user_params, other.user_params)
    assert np.array_equal(head.dense, other.dense)


@pytest.mark.parametrize("estimator", [GMF(negatives=1, factors=4), BPR(negatives=1, factors=4)])
def test_hit_rates_rise_from_chance(parts, estimator):
    estimator = replace(estimator, epochs=6, learning_rate=0.02, batch_size=1000, device="cpu")
    history = estimator.fit(parts[0], test=parts[1]).history
    assert history.columns[3] == "test_hit_rate"
    assert "train_rmse" not in history.columns
    assert history["test_hit_rate"][-1] > 0.4  # chance is 0.1


@pytest.mark.parametrize("rate", [1e3, 1e30])
@pytest.mark.parametrize("optimizer", ["adam", "sgd", "adagrad", "sparse-adam"])
def test_a_loss_that_diverges_at_once_names_the_learning_rate(parts, optimizer, rate):
    estimator = replace(MF, optimizer=optimizer, learning_rate=rate, schedule="constant")
    with pytest.raises(SettingError, match="first epoch with learning rate 1") as raised:
        estimator.fit(parts[0])
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "estimator",
    [
        GMF(factors=3, feedback="explicit"),
        GMF(factors=3, negatives=1),
        NeuMF(factors=3, layers=(4, 3), negatives=1),
        NeuMF(factors=3, layers=(4, 3), negatives=1, pretrain_epochs=1),
        BPR(factors=3, negatives=1),
    ],
)
def test_every_estimator_notices_divergence(parts, estimator):
    estimator = replace(estimator, epochs=2, batch_size=2000, learning_rate=1e6, device="cpu")
    with pytest.raises(SettingError, match="learning rate 1e"):
        estimator.fit(parts[0])


# full-batch steps that are a little too long: each loss is larger than the last
DIVERGING = replace(
    MF,
    optimizer="sgd",
    schedule="constant",
    batch_size=0,
    learning_rate=55.0,
    epochs=60,
    regularization=1.4,
)


@pytest.fixture(scope="module")
def diverged(known):
    """(model, warning) of a training that diverges after some good epochs."""
    with pytest.warns(DivergedWarning) as caught:
        model = DIVERGING.fit(known[0], validation=known[1])
    assert len(caught) == 1
    return model, caught[0]


def test_a_loss_that_diverges_later_leaves_the_last_good_weights(known, diverged):
    model, warning = diverged
    last = model.history.height
    assert 1 < last < 60
    message = str(warning.message)
    assert f"epoch {last + 1} with learning rate 55" in message
    assert f"weights of epoch {last}" in message
    assert "lower" in message
    assert np.isfinite(model.scores([1, 2])).all()
    assert model.history["loss"].is_finite().all()
    error = model.history["validation_rmse"][-1]
    assert rmse_of(model, known[1]) == pytest.approx(error, rel=1e-4)
    shorter = replace(DIVERGING, epochs=last).fit(known[0])
    assert np.array_equal(shorter.rating_head.user_params, model.rating_head.user_params)


def test_patience_keeps_the_best_weights_when_a_loss_diverges(known, diverged):
    errors = diverged[0].history["validation_rmse"].to_numpy()
    with pytest.warns(DivergedWarning, match=f"weights of epoch {errors.argmin() + 1}"):
        model = replace(DIVERGING, patience=60).fit(known[0], validation=known[1])
    assert np.array_equal(model.history["validation_rmse"].to_numpy(), errors)
    assert rmse_of(model, known[1]) == pytest.approx(errors.min(), rel=1e-5)
    assert errors.argmin() < len(errors) - 1


def test_weights_that_are_not_finite_are_a_divergence(parts, monkeypatch):
    """Even where the loss of the epoch, as it went, was one."""
    metrics, errors = RatingLoss.metrics, []

    def poisoned(loss, error):
        errors.append(error)
        if len(errors) == 2:  # the epoch after this one ends with weights that are NaN
            loss.module.user_factors.register_hook(lambda grad: torch.full_like(grad, float("nan")))
        return metrics(loss, error)

    monkeypatch.setattr(RatingLoss, "metrics", poisoned)
    with pytest.warns(DivergedWarning, match="weights of epoch 2"):
        model = replace(MF, batch_size=0).fit(parts[0])
    assert model.history.height == 2
    assert np.isfinite(model.scores([1, 2])).all()


def test_a_resumed_training_diverges_at_the_same_epoch(known, diverged, tmp_path):
    for _ in range(2):
        with pytest.warns(DivergedWarning):
            model = DIVERGING.fit(known[0], validation=known[1], checkpoint=Checkpoint(tmp_path))
        assert np.array_equal(model.rating_head.user_params, diverged[0].rating_head.user_params)
        assert model.history.height == diverged[0].history.height


@pytest.mark.parametrize(
    "estimator",
    [
        DIVERGING,
        GMF(
            factors=3,
            feedback="explicit",
            optimizer="sgd",
            schedule="constant",
            batch_size=0,
            learning_rate=30.0,
            epochs=60,
            device="cpu",
        ),
    ],
    ids=["MatrixFactorization", "GMF"],
)
def test_the_warning_points_at_the_caller_of_fit(known, estimator, monkeypatch):
    losses = iter([1.0, 1.0, 1.0, 1e9])  # before, after the first epoch, the second, the third
    monkeypatch.setattr("matinee.models.neural.trainer._sample_loss", lambda loss: next(losses))
    estimator = replace(estimator, learning_rate=0.01)
    with pytest.warns(DivergedWarning, match="epoch 3") as caught:
        estimator.fit(known[0])
    assert caught[0].filename == __file__


CONSTANT = pl.DataFrame({"user_id": [1, 1, 2], "item_id": [1, 2, 1], "rating": [3, 3, 3]})


@pytest.mark.parametrize(
    "estimator",
    [
        MatrixFactorization(factors=2, device="cpu"),
        MatrixFactorization(factors=2, regularization=0.0, device="cpu"),
        GMF(factors=2, feedback="explicit", device="cpu"),
        MLP(layers=(4, 2), feedback="explicit", device="cpu"),
    ],
)
def test_ratings_that_are_all_the_same_train_without_trouble(estimator):
    model = estimator.fit(matinee.read(CONSTANT))
    np.testing.assert_allclose(model.predict([1, 2], [2, 2]), 3.0, atol=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("estimator", [MF, BPR(factors=3, epochs=4, device="cpu")])
def test_a_callback_sees_each_epoch_and_can_end_the_training(known, estimator):
    rows = []
    model = estimator.fit(known[0], validation=known[1], callback=rows.append)
    assert [row["loss"] for row in rows] == model.history["loss"].to_list()

    def stop(row):
        if row["iteration"] == 2:
            raise StopIteration

    with pytest.raises(StopIteration):
        estimator.fit(known[0], validation=known[1], callback=stop)

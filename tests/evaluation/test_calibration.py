"""Prediction intervals and probabilities against held-out ratings."""

import numpy as np
import polars as pl
import pytest

import matinee
from matinee.errors import SettingError
from matinee.evaluation import evaluate_calibration


@pytest.fixture(scope="module")
def evaluated(parts):
    model = matinee.BayesianMF(factors=3, iterations=60).fit(parts[0])
    return model, evaluate_calibration(model, *parts)


@pytest.mark.thorough
@pytest.mark.slow
def test_metrics_are_those_of_the_models_own_answers(evaluated, parts):
    model, result = evaluated
    train, test = (part.ratings for part in parts)
    pairs = test.user_ids.values[test.user], test.item_ids.values[test.item], test.timestamp
    for promise, share in result.coverage.items():
        _, ranges = model.predict(*pairs, interval=promise, unknown="average")
        inside = [
            ci_low <= given <= ci_high
            for given, (ci_low, ci_high) in zip(test.values, ranges, strict=True)
        ]
        assert share == pytest.approx(np.mean(inside))
        assert result.width[promise] == pytest.approx(
            np.mean(ranges[:, 1] - ranges[:, 0]), rel=1e-5
        )
    chances = model.predict_proba(*pairs, unknown="average")
    column = {float(name): chances[name].to_numpy() for name in chances.columns}
    of_given = [column[float(given)][at] for at, given in enumerate(test.values)]
    assert result.log_loss == pytest.approx(-np.mean(np.log(of_given)), rel=1e-6)
    shares = [np.mean(train.values == given) for given in test.values]
    assert result.baseline_log_loss == pytest.approx(-np.mean(np.log(shares)), rel=1e-6)


def test_steps_that_floats_cannot_hold_are_levels_like_any_others():
    rng = np.random.default_rng(0)
    rows = [(u, i, round(3 + 0.1 * rng.integers(-5, 6), 1)) for u in range(30) for i in range(20)]
    data = matinee.read(pl.DataFrame(rows, ["user", "item", "rating"], orient="row"))
    train, test = data.split("random", test_fraction=0.2)
    model = matinee.BayesianMF(factors=2, iterations=20).fit(train)
    result = evaluate_calibration(model, train, test)
    shares = [np.mean(train.ratings.values == given) for given in test.ratings.values]
    assert result.baseline_log_loss == pytest.approx(-np.mean(np.log(shares)), rel=1e-6)


def test_a_model_without_intervals_is_refused(parts):
    with pytest.raises(SettingError, match="train one with BayesianMF"):
        evaluate_calibration(matinee.Bias().fit(parts[0]), *parts)

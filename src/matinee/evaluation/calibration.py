"""Whether intervals and probabilities of ratings hold what they promise."""

from dataclasses import dataclass

import numpy as np

from matinee._types import F32, F64, Floats, Ints
from matinee.data.dataset import Dataset
from matinee.evaluation.evaluator import rated_pairs
from matinee.models.recommender import Recommender

COVERAGES = (0.5, 0.8, 0.9)
MIN_PROBABILITY = 1e-12  # below it, a logarithm is taken of this


@dataclass(frozen=True)
class Calibration:
    """Prediction intervals and probabilities on a test set.

    `coverage` is the share of ratings within the interval of each nominal probability, `width` the
    mean width of these intervals in units of ratings. `log_loss` is the mean of
    ``-log(probability of the rating that was given)``, in nats; `baseline_log_loss` the same for
    the frequencies of ratings in the training set, whoever and whatever is asked.
    """

    coverage: dict[float, float]
    width: dict[float, float]
    log_loss: float
    baseline_log_loss: float


def evaluate_calibration(model: Recommender, train: Dataset, test: Dataset) -> Calibration:
    """Compare predicted intervals and probabilities with the ratings of `test`.

    Raises SettingError if the model has no predictive distribution: see
    `Recommender.predict_proba`.

    Examples
    --------
    >>> model = matinee.BayesianMF(factors=4, iterations=40).fit(train)
    >>> result = evaluate_calibration(model, train, test)
    >>> result.coverage[0.5] < result.coverage[0.9], result.log_loss < result.baseline_log_loss
    (True, True)
    """
    ratings = test.ratings
    query = rated_pairs(test)
    coverage, width = {}, {}
    for nominal in COVERAGES:
        _, intervals = model.predict(*query, interval=nominal, unknown="average")
        low, high = intervals.T
        coverage[nominal] = float(((ratings.values >= low) & (ratings.values <= high)).mean())
        width[nominal] = float((high - low).mean(dtype=np.float64))
    probabilities = model.predict_proba(*query, unknown="average")
    levels = np.array([float(name) for name in probabilities.columns])
    frequencies = np.bincount(_nearest(levels, train.ratings.values), minlength=len(levels))
    level = _nearest(levels, ratings.values)
    return Calibration(
        coverage,
        width,
        _log_loss(probabilities.to_numpy()[np.arange(len(level)), level]),
        _log_loss(frequencies[level] / frequencies.sum()),
    )


def _nearest(levels: F64, values: F32) -> Ints:
    """Index of the level nearest to each value."""
    return np.searchsorted((levels[1:] + levels[:-1]) / 2, values)


def _log_loss(probability: Floats) -> float:
    return float(-np.log(np.maximum(probability, MIN_PROBABILITY, dtype=np.float64)).mean())

"""Whether a model knows how sure it is: ranges that hold what they promise, and probabilities."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matinee.data import Dataset
from matinee.models import FactorModel

PROMISES = (0.5, 0.8, 0.9)
SMALLEST = 1e-12  # probability that a logarithm is taken of


@dataclass(frozen=True)
class Calibration:
    """Ranges and probabilities on held-out ratings.

    Parameters
    ----------
    coverage : dict of float to float
        Share of ratings within the range of that probability.
    width : dict of float to float
        Mean width of these ranges, in stars.
    log_loss : float
        Mean of ``-log(probability of the stars that were given)``, in nats.
    log_loss_of_constant : float
        The same of the training part's shares of each number of stars, for everybody.
    """

    coverage: dict[float, float]
    width: dict[float, float]
    log_loss: float
    log_loss_of_constant: float


def calibration(model: FactorModel, train: Dataset, test: Dataset) -> Calibration:
    """Compare what the model says of each rating of `test` with what was given.

    Raises
    ------
    SettingError
        If the model knows no ranges: see `FactorModel.predict_distribution`.

    Examples
    --------
    >>> import matinee
    >>> from matinee.data.generated import generate
    >>> data, _ = generate(viewers=60, movies=50, ratings=1500, seed=0)
    >>> train, test = data.split("random", test_fraction=0.1)
    >>> found = calibration(matinee.BayesianMF(factors=4, iterations=40).fit(train), train, test)
    >>> found.coverage[0.5] < found.coverage[0.9], found.log_loss < found.log_loss_of_constant
    (True, True)
    """
    given = test.ratings
    asked = given.user_ids.values[given.user], given.item_ids.values[given.item], given.timestamp
    coverage, width = {}, {}
    for promise in PROMISES:
        _, ranges = model.predict(*asked, interval=promise, unknown="average")
        low, high = ranges.T
        coverage[promise] = float(((given.stars >= low) & (given.stars <= high)).mean())
        width[promise] = float((high - low).mean(dtype=np.float64))
    probabilities = model.predict_distribution(*asked, unknown="average")
    levels = np.array([float(name) for name in probabilities.columns])
    shares = np.bincount(_nearest(levels, train.ratings.stars), minlength=len(levels))
    level = _nearest(levels, given.stars)
    return Calibration(
        coverage,
        width,
        _log_loss(probabilities.to_numpy()[np.arange(len(level)), level]),
        _log_loss(shares[level] / shares.sum()),
    )


def _nearest(levels: NDArray[np.float64], stars: NDArray[np.float32]) -> NDArray[np.intp]:
    """Place of the level nearest to each number of stars."""
    return np.searchsorted((levels[1:] + levels[:-1]) / 2, stars)


def _log_loss(probability: NDArray[np.floating]) -> float:
    return float(-np.log(np.maximum(probability, SMALLEST, dtype=np.float64)).mean())

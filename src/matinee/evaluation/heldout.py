"""Judging predicted stars on held-out ratings."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matinee.data import Dataset
from matinee.data.splits import unknown
from matinee.evaluation.metrics import mae, rmse, rmse_interval
from matinee.models import Recommender


@dataclass(frozen=True)
class HeldOut:
    """Errors on held-out ratings, in stars, and how many ratings they are over.

    `rmse_interval` says where the RMSE would lie with other viewers, at 95 %. Ratings by viewers,
    or of movies, that training has never seen are judged like all others: the model answers with
    what it knows, the average viewer or a movie's genres.
    """

    ratings: int
    rmse: float
    rmse_interval: tuple[float, float] | None
    mae: float
    by_unknown_viewers: int
    of_unknown_movies: int


def evaluate(model: Recommender, train: Dataset, test: Dataset) -> HeldOut:
    """Predict every rating of `test` and compare.

    Parameters
    ----------
    model : Recommender
        Trained on `train`.
    train, test : Dataset
        The two parts of one split.

    Examples
    --------
    >>> import matinee
    >>> from matinee.data.generated import generate
    >>> data, _ = generate(viewers=60, movies=50, ratings=1500, seed=0)
    >>> train, test = data.split("random", test_fraction=0.1)
    >>> evaluate(matinee.BiasOnly().fit(train), train, test).ratings
    150
    """
    ratings, predicted = test.ratings, predict_all(model, test)
    by_unknown, of_unknown = unknown(train.ratings, ratings)
    return HeldOut(
        len(ratings),
        rmse(predicted, ratings.stars),
        rmse_interval(predicted, ratings.stars, ratings.user),
        mae(predicted, ratings.stars),
        by_unknown,
        of_unknown,
    )


def predict_all(model: Recommender, test: Dataset) -> NDArray[np.float32]:
    """Predicted stars of every rating of `test`; what is unknown is the average, float32 (n,)."""
    ratings = test.ratings
    users, items = ratings.user_ids.values[ratings.user], ratings.item_ids.values[ratings.item]
    return model.predict(users, items, ratings.timestamp, unknown="average")

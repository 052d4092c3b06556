"""Who is served how well: errors and lists by how much is known of a user or a movie."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from matinee._types import F32, F64, I64, Bools, Floats, Ints
from matinee.data.dataset import Dataset
from matinee.data.ratings import Ratings
from matinee.errors import SettingError
from matinee.evaluation.evaluator import evaluate_ranking, predict_all
from matinee.evaluation.metrics import rmse, rmse_interval
from matinee.evaluation.protocols import RankingTask, holdout
from matinee.evaluation.uncertainty import MetricValue
from matinee.kernels.csr import filter_entries, row_of_entries
from matinee.models.recommender import Recommender

PARTS = 4  # of the users, and of the movies
METRIC_OF = {"users": "ndcg@10", "items": "recall_capped@20"}
"""Which figure of lists is told, by what is divided."""


@dataclass(frozen=True)
class GroupMetrics:
    """How well one part of the users, or of the movies, is served.

    Parameters
    ----------
    of : {"users", "items"}
    least, most : int
        Training ratings of each of them.
    members : int
        How many there are.
    test_ratings : int
        Held-out ratings by them, or of them.
    rmse : MetricValue or None
        Of predicted stars; None without a rating head or without test ratings.
    found : MetricValue or None
        Of lists: NDCG@10 of these users' lists; of movies, the part of those held out that is
        among the first 20 of a list (capped recall); None if nobody can be judged.
    """

    of: str
    least: int
    most: int
    members: int
    test_ratings: int
    rmse: MetricValue | None
    found: MetricValue | None


def evaluate_groups(
    model: Recommender, train: Dataset, test: Dataset, *, task: RankingTask | None = None
) -> list[GroupMetrics]:
    """Errors and lists for users by activity, then for movies by popularity.

    Users, and movies, with training ratings are divided into four parts as equal as ties allow,
    the least active, or known, first; those without any are a part of their own before.

    Parameters
    ----------
    model : Recommender
    train, test : Dataset
        The two parts of the split it was trained with.
    task : RankingTask, optional
        Whose lists to judge; by default everybody's.

    Examples
    --------
    >>> import matinee
    >>> from matinee.data.synthetic import generate
    >>> data, _ = generate(users=60, items=50, ratings=1500, seed=0)
    >>> train, test = data.split("random", test_fraction=0.1)
    >>> parts = evaluate_groups(matinee.ALS(factors=4).fit(train), train, test)
    >>> sum(one.test_ratings for one in parts if one.of == "users")
    150
    """
    if task is None:
        try:
            task = holdout(train, test)
        except SettingError:  # nobody has both kinds of ratings
            task = None
    predicted = predict_all(model, test) if model.rating_head else None
    rows = []
    sides = {
        "users": (train.ratings.user_counts, test.ratings.user),
        "items": (train.ratings.item_counts, test.ratings.item),
    }
    for of, (counts, tested) in sides.items():
        for members in _parts(counts):
            mine = members[tested]
            part = _part_of(task, of, members) if task else None
            rows.append(
                GroupMetrics(
                    of,
                    int(counts[members].min()),
                    int(counts[members].max()),
                    int(members.sum()),
                    int(mine.sum()),
                    _rmse(predicted, test.ratings, mine),
                    evaluate_ranking(model, part).metrics[METRIC_OF[of]] if part else None,
                )
            )
    return rows


def _parts(counts: I64) -> Iterator[Bools]:
    """Masks of those without ratings, and of quarters of the others by their number.

    All with the same number are in one part: the one in which the middle of them falls.
    """
    if (counts == 0).any():
        yield counts == 0
    values, members = np.unique(counts[counts > 0], return_counts=True)
    middle = np.cumsum(members) - members / 2
    part = np.floor(PARTS * middle / members.sum()).astype(np.int64)
    for number in np.unique(part):
        yield np.isin(counts, values[part == number])


def _rmse(predicted: F32 | None, ratings: Ratings, mine: Bools) -> MetricValue | None:
    if predicted is None or not mine.any():
        return None
    values = predicted[mine], ratings.values[mine]
    return MetricValue(rmse(*values), *(rmse_interval(*values, ratings.user[mine]) or ()))


def _part_of(task: RankingTask, of: str, members: Bools) -> RankingTask | None:
    """The exam of these users only, or by these movies only; None if nobody is left."""
    if of == "items":
        wanted = members[task.relevant.indices]
        evaluated = np.unique(row_of_entries(task.relevant)[wanted])
        task = replace(task, relevant=filter_entries(task.relevant, wanted))
    else:
        evaluated = np.flatnonzero(members[task.users])
    return task.take(evaluated) if len(evaluated) else None


COVERAGES = (0.5, 0.8, 0.9)
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
        Mean of ``-log(probability of the values that were given)``, in nats.
    log_loss_of_constant : float
        The same of the training part's shares of each number of stars, for everybody.
    """

    coverage: dict[float, float]
    width: dict[float, float]
    log_loss: float
    log_loss_of_constant: float


def calibration(model: Recommender, train: Dataset, test: Dataset) -> Calibration:
    """Compare what the model says of each rating of `test` with what was given.

    Raises
    ------
    SettingError
        If the model knows no ranges: see `Recommender.predict_proba`.

    Examples
    --------
    >>> import matinee
    >>> from matinee.data.synthetic import generate
    >>> data, _ = generate(users=60, items=50, ratings=1500, seed=0)
    >>> train, test = data.split("random", test_fraction=0.1)
    >>> found = calibration(matinee.BayesianMF(factors=4, iterations=40).fit(train), train, test)
    >>> found.coverage[0.5] < found.coverage[0.9], found.log_loss < found.log_loss_of_constant
    (True, True)
    """
    given = test.ratings
    asked = given.user_ids.values[given.user], given.item_ids.values[given.item], given.timestamp
    coverage, width = {}, {}
    for promise in COVERAGES:
        _, ranges = model.predict(*asked, interval=promise, unknown="average")
        ci_low, ci_high = ranges.T
        coverage[promise] = float(((given.values >= ci_low) & (given.values <= ci_high)).mean())
        width[promise] = float((ci_high - ci_low).mean(dtype=np.float64))
    probabilities = model.predict_proba(*asked, unknown="average")
    levels = np.array([float(name) for name in probabilities.columns])
    shares = np.bincount(_nearest(levels, train.ratings.values), minlength=len(levels))
    level = _nearest(levels, given.values)
    return Calibration(
        coverage,
        width,
        _log_loss(probabilities.to_numpy()[np.arange(len(level)), level]),
        _log_loss(shares[level] / shares.sum()),
    )


def _nearest(levels: F64, values: F32) -> Ints:
    """Place of the level nearest to each number of stars."""
    return np.searchsorted((levels[1:] + levels[:-1]) / 2, values)


def _log_loss(probability: Floats) -> float:
    return float(-np.log(np.maximum(probability, SMALLEST, dtype=np.float64)).mean())

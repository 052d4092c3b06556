"""Judging lists: every figure of a model on one exam, with how sure it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from matinee.data.dataset import Dataset
from matinee.data.splits import unknown
from matinee.evaluation import ranking_metrics as lists
from matinee.evaluation.metrics import mae, rmse, rmse_interval
from matinee.evaluation.protocols import Exam
from matinee.evaluation.uncertainty import bootstrap_interval
from matinee.kernels.csr import Rows, take_rows
from matinee.kernels.parallel import even_blocks, run_blocks
from matinee.kernels.topk import best_of_rows
from matinee.models.queries import Viewer
from matinee.models.topk import viewer_blocks
from matinee.progress import progress
from matinee.storage.runs import plain


class Recommender(Protocol):
    """Ids in, ids and titles out."""

    @property
    def items(self) -> pl.Series:
        """Ids of all movies the model can recommend, in the order of `scores`."""

    def predict(
        self, users: Any, items: Any, timestamps: Any = None, *, unknown: str = "error"
    ) -> NDArray[np.float32]:
        """Stars for pairs of a viewer and a movie, given at some time, float32 (n,)."""

    def scores(self, user: Any, *, by: str | None = None) -> NDArray[np.float32]:
        """What lists are ranked by: float32 (items,), of several viewers (viewers, items)."""

    def recommend(self, user: Any, n: int = 10, *, by: str | None = None) -> pl.DataFrame:
        """The best n movies: columns `item`, `title`, `genres`, `stars`, `score`."""


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
    >>> from matinee.data.synthetic import generate
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


DEPTH = 100  # places of the longest list that a figure looks at
SHORT = 10  # places that fit a screen: for everything beyond accuracy


@dataclass(frozen=True)
class Figure:
    """A mean over viewers with its 95 % bootstrap interval, or a figure of the whole catalogue.

    The interval says how the figure would vary with other viewers; it knows nothing of other
    seeds or other times.
    """

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class ListFigures:
    """How good lists are, by the names of the figures, and over how many viewers.

    ``hit_rate@10`` and so on are defined in `matinee.evaluation.ranking_metrics`.
    """

    protocol: str
    viewers: int
    figures: Mapping[str, Figure]
    note: str = ""

    def __getitem__(self, name: str) -> float:
        return self.figures[name].value

    def as_json(self) -> dict[str, Any]:
        """Plain values with stable keys."""
        figures = {
            name: {"value": plain(one.value), "low": plain(one.low), "high": plain(one.high)}
            for name, one in self.figures.items()
        }
        return {
            "protocol": self.protocol,
            "viewers": self.viewers,
            "note": self.note,
            "figures": figures,
        }


@dataclass(frozen=True, eq=False)
class ListsOfViewers:
    """How good each judged viewer's list is, and how good all of them are together.

    Parameters
    ----------
    exam : Exam
    values : mapping of str to float64 (viewers,)
        By the names of the figures, in the order of ``exam.users``.
    of_all : mapping of str to float
        Figures of the whole catalogue, which no single list has.
    """

    exam: Exam
    values: Mapping[str, NDArray[np.float64]]
    of_all: Mapping[str, float]

    def figures(self) -> ListFigures:
        """Means over the viewers, with their intervals."""
        figures = {name: mean_figure(values) for name, values in self.values.items()}
        figures |= {name: Figure(value) for name, value in self.of_all.items()}
        return ListFigures(self.exam.protocol, len(self.exam), figures, self.exam.note)


def judge(model: Recommender, exam: Exam, *, by: str | None = None) -> ListFigures:
    """Rank every movie for every judged viewer, and compare with what they went on to watch.

    Parameters
    ----------
    model : Recommender
        Trained on ``exam.train``.
    exam : Exam
    by : {"ranking", "stars"}, optional
        Which head makes the lists.

    Examples
    --------
    >>> import matinee
    >>> from matinee.data.synthetic import generate
    >>> from matinee.evaluation.protocols import leave_last_out
    >>> data, _ = generate(viewers=60, movies=50, ratings=1500, seed=0)
    >>> exam = leave_last_out(data)
    >>> found = judge(matinee.Popularity().fit(exam.train), exam)
    >>> found.viewers, 0 < found["ndcg@10"] < 1
    (60, True)
    """
    return judge_each(model, exam, by=by).figures()


def judge_each(model: Recommender, exam: Exam, *, by: str | None = None) -> ListsOfViewers:
    """The same as `judge`, viewer by viewer.

    Scores are exact and held for a block of viewers at a time, so memory does not grow with
    the number of viewers beyond their lists.

    Examples
    --------
    >>> import matinee
    >>> from matinee.data.synthetic import generate
    >>> from matinee.evaluation.protocols import leave_last_out
    >>> data, _ = generate(viewers=60, movies=50, ratings=1500, seed=0)
    >>> exam = leave_last_out(data)
    >>> found = judge_each(matinee.Popularity().fit(exam.train), exam)
    >>> found.values["ndcg@10"].shape
    (60,)
    """
    movies = len(exam.train.catalog)
    width = min(DEPTH, movies)
    listed = np.empty((len(exam), width), np.int32)
    hits = np.zeros((len(exam), width), bool)
    with progress("Judging lists", len(exam)) as tick:
        for first, last in viewer_blocks(len(exam), movies):
            rows = np.arange(first, last)
            scores = model.scores(_who(exam, rows), by=by)
            relevant = take_rows(exam.relevant, rows)
            if exam.candidates is not None:
                rank = _sampled_rank(scores, take_rows(exam.candidates, rows), relevant)
                shown = np.flatnonzero(rank < width)
                hits[first + shown, rank[shown]] = True
            else:
                known = take_rows(exam.history, rows)
                _best(scores, known, listed[first:last])
                hits[first:last] = _members(listed[first:last], relevant, movies)
            tick(last, "")
    counts = np.diff(exam.relevant.indptr)
    values = _accuracy(hits, counts, sampled=exam.candidates is not None)
    if exam.candidates is not None:
        return ListsOfViewers(exam, values, {})
    short = listed[:, :SHORT]
    return ListsOfViewers(exam, values | _beyond_accuracy(short, exam), _of_all(short, movies))


def _who(exam: Exam, rows: NDArray[np.intp]) -> Any:
    """The judged viewers as the model is asked: ids of those it knows, else their ratings."""
    if not exam.folded_in:
        return exam.train.ratings.user_ids.values[exam.users[rows]]
    indptr, items, stars = take_rows(exam.history, rows)
    cuts = indptr[1:-1]
    pairs = zip(np.split(items, cuts), np.split(stars, cuts), strict=True)
    return [Viewer(codes, given) for codes, given in pairs]


def _best(scores: NDArray[np.float32], known: Rows, listed: NDArray[np.int32]) -> None:
    """Fill `listed` with the best movies of each viewer, but for those they are known by."""
    run_blocks(
        best_of_rows,
        even_blocks(len(scores)),
        np.ascontiguousarray(scores),
        np.ones(scores.shape[1], bool),
        known.indptr,
        known.indices,
        listed,
        np.empty(listed.shape, np.float32),
    )


def _members(listed: NDArray[np.int32], relevant: Rows, movies: int) -> NDArray[np.bool_]:
    """Which places hold a movie of the same row of `relevant`."""
    row = np.repeat(np.arange(len(listed)), np.diff(relevant.indptr))
    wanted = row * movies + relevant.indices
    keys = np.arange(len(listed))[:, None] * movies + listed
    return np.isin(keys, wanted) & (listed >= 0)


def _sampled_rank(
    scores: NDArray[np.float32], candidates: Rows, relevant: Rows
) -> NDArray[np.int64]:
    """How many other candidates score as high as the one positive, or higher: ties count against.

    A model that scores everything the same would otherwise look perfect.
    """
    row = np.repeat(np.arange(len(scores)), np.diff(candidates.indptr))
    own = scores[np.arange(len(scores)), relevant.indices]
    rivals = scores[row, candidates.indices] >= own[row]
    return np.bincount(row, weights=rivals, minlength=len(scores)).astype(np.int64) - 1


def _accuracy(
    hits: NDArray[np.bool_], counts: NDArray[np.int64], sampled: bool
) -> dict[str, NDArray[np.float64]]:
    def at(k: int) -> int:
        return int(min(k, hits.shape[1]))

    found = {
        "hit_rate@10": lists.hit_rate(hits, at(10)),
        "ndcg@10": lists.ndcg(hits, counts, at(10)),
        f"mrr@{DEPTH}": lists.reciprocal_rank(hits),
    }
    if not sampled:
        found |= {
            "ndcg@100": lists.ndcg(hits, counts, at(100)),
            "precision@10": lists.precision(hits, at(10)),
            "recall@10": lists.recall(hits, counts, at(10)),
            "recall_capped@20": lists.recall_capped(hits, counts, at(20)),
            "recall_capped@50": lists.recall_capped(hits, counts, at(50)),
            "map@10": lists.average_precision(hits, counts, at(10)),
        }
    return found


def _beyond_accuracy(listed: NDArray[np.int32], exam: Exam) -> dict[str, NDArray[np.float64]]:
    ratings, catalog = exam.train.ratings, exam.train.catalog
    counts = ratings.item_counts
    viewers = int(np.count_nonzero(ratings.user_counts))
    return {
        f"popularity_share@{SHORT}": lists.popularity_share(listed, counts),
        f"novelty@{SHORT}": lists.novelty(listed, counts, viewers),
        f"diversity@{SHORT}": lists.genre_diversity(listed, catalog.genre_matrix),
    }


def _of_all(listed: NDArray[np.int32], movies: int) -> dict[str, float]:
    return {
        f"coverage@{SHORT}": lists.coverage(listed, movies),
        f"gini@{SHORT}": lists.gini(listed, movies),
    }


def mean_figure(values: NDArray[np.float64]) -> Figure:
    """The mean over viewers with its interval; viewers with nan are left out."""
    if np.isnan(values).all():
        return Figure(float("nan"))
    return Figure(float(np.nanmean(values)), *bootstrap_interval(values))

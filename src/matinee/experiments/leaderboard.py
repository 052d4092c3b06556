"""Every head of several models on one exam, side by side."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from matinee.data.dataset import Dataset
from matinee.errors import SettingError
from matinee.evaluation.evaluator import RankingMetrics, RatingMetrics, evaluate, evaluate_ranking
from matinee.evaluation.protocols import (
    RankingTask,
    holdout,
    leave_one_out,
    sampled_negatives,
    strong_generalization,
    temporal,
)
from matinee.experiments.provenance import DataProvenance, recorded
from matinee.models.als import ALS
from matinee.models.base import Estimator, best_epoch
from matinee.models.baselines import Popularity
from matinee.models.head import Head
from matinee.models.recommender import Recommender
from matinee.models.registry import estimator_from_config

MOST_WATCHED = "(most watched)"  # stands for a run that has no name
PROTOCOLS = ("holdout", "leave-one-out", "strong-generalization", "time", "ncf")


@dataclass(frozen=True)
class LeaderboardRow:
    """One line of the table.

    Parameters
    ----------
    model : str
        The run, or the baseline.
    estimator : str
    head : {"ranking", "rating"}
        Which head made the lists.
    lists : RankingMetrics
    values : RatingMetrics or None
        Errors of predicted stars, where this head predicts them and the protocol holds ratings
        out.
    """

    model: str
    estimator: str
    head: str
    lists: RankingMetrics
    values: RatingMetrics | None = None

    @property
    def who(self) -> str:
        """What made the lists, for people."""
        if self.model == MOST_WATCHED:
            return "most watched, the same for all"
        return f"{self.estimator}, sorted by stars" if self.head == "rating" else self.estimator

    def as_json(self) -> dict[str, Any]:
        """Plain values with stable keys."""
        values = None
        if self.values:
            values = {
                "rmse": self.values.rmse,
                "mae": self.values.mae,
                "ratings": self.values.ratings,
            }
        return {
            "model": self.model,
            "estimator": self.estimator,
            "head": self.head,
            "rating": values,
            **self.lists.as_json(),
        }


def evaluate_runs(
    runs: Mapping[str, Recommender],
    protocol: str = "holdout",
    *,
    min_rating: float | None = None,
    seed: int = 0,
) -> list[LeaderboardRow]:
    """Every head of every run on the same exam, and the most watched movies beside them.

    ``"holdout"`` judges the runs as they are, on the split they were trained with. The other
    protocols keep other ratings aside, which a run has seen; so its recipes are trained again
    on what the protocol allows.

    Parameters
    ----------
    runs : mapping of str to Recommender
        As loaded, by name; trained on the same data.
    protocol : {"holdout", "leave-one-out", "strong-generalization", "time", "ncf"}
        See `matinee.evaluation.protocols`.
    min_rating : float, optional
        Only held-out ratings of at least so many stars count; without it, all do.
    seed : int
        Of what the protocol draws.

    Raises
    ------
    RunError
        If the data are not those of the runs.
    SettingError
        For an unknown protocol, or runs on different data.
    """
    if protocol not in PROTOCOLS:
        raise SettingError(f"protocol is one of {', '.join(PROTOCOLS)}, not {protocol!r}.")
    if not runs:
        raise SettingError("There is no run to compare.")
    said = {name: recorded(model.metadata) for name, model in runs.items()}
    first = next(iter(said.values()))
    dataset = first.read()
    train, test = _parts(first, dataset)
    for name, other in said.items():
        if not _same_parts(first, other, dataset):
            raise SettingError(
                f"{name} was trained on other data, another split, or another part of it than the "
                "first run (patience keeps some of it aside); evaluate them one by one."
            )
    task = _task(protocol, dataset, train, test, min_rating, seed)
    return evaluate_heads(task, runs, retrain=protocol != "holdout", min_rating=min_rating)


def evaluate_heads(
    task: RankingTask,
    models: Mapping[str, Recommender],
    *,
    retrain: bool = False,
    min_rating: float | None = None,
) -> list[LeaderboardRow]:
    """Every head of every model on one exam, and the most watched movies beside them.

    Parameters
    ----------
    task : RankingTask
    models : mapping of str to Recommender
    retrain : bool
        Train the recipes again on what the exam allows; else judge the models as they are.
    min_rating : float, optional
        Least stars of a rating that makes a movie popular.
    """
    rows = []
    for name, model in models.items():
        for part, fitted in model.heads.items():
            evaluated, head = model, part
            if retrain:
                evaluated = _estimator(fitted).fit(task.train)
            values = None
            if part == "rating" and task.test is not None:
                values = evaluate(evaluated, task.train, task.test)
            metrics = evaluate_ranking(evaluated, task, head=head)
            rows.append(LeaderboardRow(name, str(fitted.estimator["name"]), head, metrics, values))
    popular = Popularity(min_rating=min_rating).fit(task.train)
    rows.append(
        LeaderboardRow(MOST_WATCHED, "Popularity", "ranking", evaluate_ranking(popular, task))
    )
    return rows


def _estimator(head: Head) -> Estimator:
    """The head's recipe; one that stopped early runs as long as it had to, on everything.

    A learning rate that falls to zero does so within that time.
    """
    estimator = estimator_from_config(head.estimator)
    patience = estimator.patience
    if not patience:
        return estimator
    best = int(head.history["iteration"][best_epoch(head.history, patience)])
    length = "iterations" if isinstance(estimator, ALS) else "epochs"
    changed: Any = estimator
    return cast(Estimator, replace(changed, patience=0, **{length: best}))


def _parts(said: DataProvenance, dataset: Dataset) -> tuple[Dataset, Dataset]:
    train, test = said.split.apply(dataset)
    return said.learned_from(train), test


def _same_parts(one: DataProvenance, other: DataProvenance, dataset: Dataset) -> bool:
    """Whether two runs learned from the same ratings and are tested on the same ones."""
    if one.fingerprint != other.fingerprint:
        return False
    how = [(said.split, said.holdout_validation) for said in (one, other)]
    # an official split is the same whatever its seed
    return how[0] == how[1] or _prints(one, dataset) == _prints(other, dataset)


def _prints(said: DataProvenance, dataset: Dataset) -> list[str]:
    return [part.ratings.fingerprint() for part in _parts(said, dataset)]


def _task(
    protocol: str,
    dataset: Dataset,
    train: Dataset,
    test: Dataset,
    min_rating: float | None,
    seed: int,
) -> RankingTask:
    if protocol == "holdout":
        return holdout(train, test, min_rating=min_rating)
    if protocol == "leave-one-out":
        return leave_one_out(dataset, min_rating=min_rating)
    if protocol == "time":
        return temporal(dataset, min_rating=min_rating)
    if protocol == "strong-generalization":
        return strong_generalization(dataset, min_rating=min_rating, seed=seed)
    if min_rating is not None:
        raise SettingError("The ncf protocol counts every rating; leave `min_rating` out.")
    return sampled_negatives(dataset, seed=seed)

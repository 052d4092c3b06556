"""Every head of several models on one ranking task."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from matinee.data.dataset import Dataset
from matinee.errors import SettingError, shortened
from matinee.evaluation.cold_start import cold_items, cold_users
from matinee.evaluation.evaluator import evaluate_ranking, evaluate_ratings
from matinee.evaluation.ncf import sampled_negatives
from matinee.evaluation.protocols import (
    RankingTask,
    holdout,
    leave_one_out,
    strong_generalization,
    temporal,
)
from matinee.evaluation.results import RankingMetrics, RatingMetrics
from matinee.experiments.provenance import DataProvenance, read_provenance
from matinee.models.als import ALS
from matinee.models.base import Estimator, best_epoch
from matinee.models.baselines import Popularity
from matinee.models.blended_head import BlendedHead
from matinee.models.head import Head
from matinee.models.recommender import Recommender
from matinee.models.registry import estimator_from_config
from matinee.models.trained import HEADS

BASELINE = "(most popular)"  # in place of a run's name
LABELS = {"rating": "rating head", "timely": "timely", "next": "next"}
PROTOCOLS = (
    "holdout",
    "leave-one-out",
    "temporal",
    "strong-generalization",
    "sampled-negatives",
    "cold-items",
    "cold-users",
)


@dataclass(frozen=True)
class LeaderboardRow:
    """One order of the lists of one model.

    `model` is the run, or `BASELINE`; `head` is what ranked, as `Recommender.recommend` names it.
    `rating` are errors of predicted ratings, where this head predicts them and the protocol splits
    ratings.
    """

    model: str
    estimator: str
    head: str
    ranking: RankingMetrics
    rating: RatingMetrics | None = None

    @property
    def label(self) -> str:
        """What ranked, on screen."""
        if self.model == BASELINE:
            return "popularity (baseline)"
        if self.head in LABELS:
            return f"{self.estimator} ({LABELS[self.head]})"
        return self.estimator

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as in JSON."""
        return {
            "model": self.model,
            "estimator": self.estimator,
            "head": self.head,
            "rating": self.rating and self.rating.to_dict(),
            **self.ranking.to_dict(),
        }


def evaluate_runs(
    runs: Mapping[str, Recommender],
    protocol: str = "holdout",
    *,
    min_rating: float | None = None,
    seed: int = 0,
) -> list[LeaderboardRow]:
    """Every head of every run on the same ranking task, with the most popular items as baseline.

    `runs` are loaded runs by name, trained on the same data. `protocol` is one of `PROTOCOLS`:
    ``"holdout"`` evaluates the runs as they are, on their split; the others hold out ratings that a
    run has seen, so its estimators are trained again on what the protocol allows. `seed` is for
    what it draws. Only held-out ratings of at least `min_rating` are relevant; by default all are.
    Raises RunError if the data are not those of the runs; SettingError for an unknown protocol,
    runs on different data or without a test set, or a `min_rating` of interactions without ratings.
    """
    if protocol not in PROTOCOLS:
        names = ", ".join(map(repr, PROTOCOLS))
        raise SettingError(f"protocol must be one of {names}, got {shortened(protocol)}.")
    if not runs:
        raise SettingError("There is no run to evaluate.")
    provenances = {name: read_provenance(model.metadata) for name, model in runs.items()}
    first = next(iter(provenances.values()))
    dataset = first.read()
    if min_rating is not None and dataset.ratings.scale is None:
        raise SettingError(
            f"{dataset.name}: these are interactions without ratings; leave min_rating out."
        )
    if protocol == "holdout" and first.split.test_fraction == 0:
        raise SettingError(
            f"{next(iter(runs))} was trained on everything and has no test set; choose another "
            "protocol, such as leave-one-out: it holds out interactions and trains again."
        )
    for name, other in provenances.items():
        if not _same_sets(first, other, dataset):
            raise SettingError(
                f"{name} was trained on other data, another split or a smaller training set (for "
                "early stopping) than the first run; evaluate them one by one."
            )
    if protocol == "holdout":
        task = holdout(*first.sets(dataset), min_rating=min_rating)
    else:
        task = _make_task(protocol, dataset, min_rating, seed)
    return evaluate_heads(task, runs, retrain=protocol != "holdout", min_rating=min_rating)


def evaluate_heads(
    task: RankingTask,
    models: Mapping[str, Recommender],
    *,
    retrain: bool = False,
    min_rating: float | None = None,
) -> list[LeaderboardRow]:
    """Every order of the lists of every model on one ranking task.

    The most popular items are the baseline. With `retrain`, the estimators are trained again on
    ``task.train``; by default models are evaluated as they are. `min_rating` is the lowest rating
    that counts as popularity.
    """
    rows = []
    for name, given in models.items():
        model = _retrained(given, task.train) if retrain else given
        for head in (head for head in HEADS if head in model.orders):
            order = model.orders[head]
            estimator = str(order.estimator["name"])
            if isinstance(order, BlendedHead):
                estimator = f"{order.rating.estimator['name']} and {estimator}"
            rating = None
            if head == "rating" and task.test is not None:
                rating = evaluate_ratings(model, task.train, task.test)
            ranking = evaluate_ranking(model, task, head=head)
            rows.append(LeaderboardRow(name, estimator, head, ranking, rating))
    popular = evaluate_ranking(Popularity(min_rating=min_rating).fit(task.train), task)
    return [*rows, LeaderboardRow(BASELINE, "Popularity", "ranking", popular)]


def _retrained(model: Recommender, train: Dataset) -> Recommender:
    """The same estimators fitted on `train`."""
    fitted = [_full_length_estimator(head).fit(train) for head in model.heads.values()]
    return fitted[0] if len(fitted) == 1 else fitted[0].with_ranking(fitted[1])


def _full_length_estimator(head: Head) -> Estimator:
    """The head's estimator; after early stopping with as many iterations as were best.

    It needs no validation set then, and a learning rate that falls to 0 does so in that time.
    """
    estimator = estimator_from_config(head.estimator)
    if not estimator.patience:
        return estimator
    best = int(head.history["iteration"][best_epoch(head.history, estimator.patience)])
    length = "iterations" if isinstance(estimator, ALS) else "epochs"
    changed: Any = estimator
    return cast(Estimator, replace(changed, patience=0, **{length: best}))


def _same_sets(first: DataProvenance, other: DataProvenance, dataset: Dataset) -> bool:
    """Whether two runs were fitted on the same ratings and are tested on the same ones."""
    if first.fingerprint != other.fingerprint:
        return False
    if (first.split, first.validation_fraction) == (other.split, other.validation_fraction):
        return True
    # an official split is the same whatever its seed
    pairs = zip(first.sets(dataset), other.sets(dataset), strict=True)
    return all(ours.ratings.fingerprint() == theirs.ratings.fingerprint() for ours, theirs in pairs)


def _make_task(protocol: str, dataset: Dataset, min_rating: float | None, seed: int) -> RankingTask:
    if protocol == "leave-one-out":
        return leave_one_out(dataset, min_rating=min_rating)
    if protocol == "temporal":
        return temporal(dataset, min_rating=min_rating)
    if protocol == "cold-items":
        return cold_items(dataset, min_rating=min_rating, seed=seed)
    if protocol == "cold-users":
        return cold_users(dataset, min_rating=min_rating, seed=seed)
    if protocol == "strong-generalization":
        return strong_generalization(dataset, min_rating=min_rating, seed=seed)
    if min_rating is not None:
        raise SettingError("sampled-negatives counts every rating; leave min_rating out.")
    return sampled_negatives(dataset, seed=seed)

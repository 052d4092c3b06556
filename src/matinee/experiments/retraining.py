"""Retraining a run on its data as they are now, and on what users have told since.

The new model takes the place of the former one only if it is not worse on ratings that neither has
learned from.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from matinee.data.archives import copy_tree
from matinee.data.dataset import Dataset
from matinee.data.merging import Merged, merge_feedback
from matinee.data.writing import write_tables
from matinee.errors import RunError, check_number
from matinee.evaluation.evaluator import evaluate_ranking, evaluate_ratings, holdout_or_none
from matinee.evaluation.protocols import subset
from matinee.experiments.folded_in import FoldedIn
from matinee.experiments.provenance import read_provenance
from matinee.experiments.reproduction import RunSpec
from matinee.experiments.split import Split, not_learned
from matinee.experiments.training import MAX_EVAL_USERS, TrainingResult, train_and_evaluate
from matinee.models.loading import load
from matinee.models.recommender import Recommender
from matinee.storage.atomic import new_folder, version_of
from matinee.storage.runs import OWN_DATA, check_target, fill_run

MARGIN = 0.01
FRACTION = 0.1  # of the test set, where the former run had none
BEFORE = "-before-retraining"
"""What follows the name of a run in that of the former one."""


@dataclass(frozen=True)
class Errors:
    """How a model does on ratings that it has not learned from; None where it has no such head."""

    rmse: float | None
    ndcg: float | None  # of the first ten places


@dataclass(frozen=True)
class Retraining:
    """What came of retraining a run.

    `merged` says what went into the data, and `source_changed` whether these have changed beside.
    `former` and `new` are the errors of both models on `n_ratings` ratings. `before` is where the
    former model is now, if the new one has taken the run's folder; else None.
    """

    merged: Merged
    source_changed: bool
    result: TrainingResult
    former: Errors
    new: Errors
    n_ratings: int
    before: Path | None


def retrain(
    run: Path, feedback: pl.DataFrame, *, margin: float = MARGIN, threads: int | None = None
) -> Retraining | None:
    """Train a run's estimators on its data and on `feedback`, and save the model in its place.

    The data are read once more from where the run, or the first run before it, had them, and may
    have changed. A hashed part is the test set, which stays what it is as data grow, so that the
    model that is retrained next has not learned from it either.

    Parameters
    ----------
    run : Path
    feedback : polars.DataFrame
        As in `merge_feedback`.
    margin : float
        The new model is kept unless its RMSE is above, or its NDCG@10 below, that of the former
        one by more than this share.

    Returns
    -------
    Retraining, or None if there is nothing that the run has not been trained on

    RunError is raised where the run cannot be trained anew, its data cannot be read, or nothing is
    left to compare the two models on.
    """
    check_number("margin", margin, lambda margin: 0 <= margin < 1, "≥ 0 and < 1")
    run, before = _places(run)
    version, former, spec = version_of(run), load(run), RunSpec.read(run)
    provenance = read_provenance(former.metadata)
    origin = former.metadata["data"].get("origin") or former.metadata["data"]  # without feedback
    dataset = read_provenance({**former.metadata, "data": origin}).read_now()
    fingerprint = dataset.ratings.fingerprint()
    source_changed = fingerprint != origin["fingerprint"]
    merged = merge_feedback(dataset, feedback)
    known = merged.dataset.ratings.fingerprint() == provenance.fingerprint
    if known or not (source_changed or merged.used or "origin" in former.metadata["data"]):
        return None
    split = Split("hashed", provenance.split.test_fraction or FRACTION, provenance.split.seed)
    train, test = split.apply(merged.dataset)
    test = _to_compare_on(test, former, run)
    result = train_and_evaluate(
        merged.dataset,
        spec.estimator,
        split,
        ranker=spec.ranker,
        validation=provenance.validation_fraction > 0,
        on_interrupt="raise",
        threads=threads or spec.threads,
    )
    old, new = (_errors(model, train, test) for model in (former, result.model))
    done = Retraining(merged, source_changed, result, old, new, len(test), before)
    worse = _worse(old, new, margin)
    if version_of(run) != version:
        raise RunError(f"{run}: another run has taken its place meanwhile; retrain that one.")
    if worse:
        return replace(done, before=None)
    origin = {**origin, "fingerprint": fingerprint}
    _replace(run, before, result.model, merged.dataset, origin)
    return done


def _places(run: Path) -> tuple[Path, Path]:
    """The run itself, not a link to it, and the place of the former one, which must be free."""
    run = run.resolve() if run.is_symlink() or run.name in ("", "..") else run
    before = run.with_name(run.name + BEFORE)
    check_target(before)
    return run, before


def _to_compare_on(test: Dataset, former: Recommender, run: Path) -> Dataset:
    """What the former model has not learned from, of as many users as are evaluated at most."""
    test = not_learned(test, former)
    if not len(test):
        raise RunError(
            f"{run}: there is no rating that the model has not learned from, so a new one cannot "
            "be compared with it. Train anew: matinee train."
        )
    users = np.flatnonzero(test.ratings.user_counts)
    if len(users) <= MAX_EVAL_USERS:
        return test
    drawn = np.random.default_rng(0).choice(users, MAX_EVAL_USERS, replace=False)
    return subset(test, np.isin(test.ratings.user, drawn))


def _errors(model: Recommender, train: Dataset, test: Dataset) -> Errors:
    asked, task = FoldedIn(model, train), holdout_or_none(train, test)
    return Errors(
        evaluate_ratings(asked, train, test).rmse if model.rating_head else None,
        evaluate_ranking(asked, task)["ndcg@10"] if task else None,
    )


def _worse(former: Errors, new: Errors, margin: float) -> bool:
    """Whether the new model is worse than the former one by more than the margin."""
    worse = []
    if former.rmse is not None and new.rmse is not None:
        worse.append(not new.rmse <= former.rmse * (1 + margin))
    if former.ndcg is not None and new.ndcg is not None:
        worse.append(not new.ndcg >= former.ndcg * (1 - margin))
    if not worse:
        raise RunError("There is no metric by which the two models can be compared.")
    return any(worse)


def _replace(
    run: Path, before: Path, model: Recommender, dataset: Dataset, origin: Mapping[str, Any]
) -> None:
    """Save the model, with its data, in the place of the former one, and that beside it."""
    with new_folder(before, origins=[run]) as fresh:
        copy_tree(run, fresh)
    with new_folder(run) as fresh:
        own = fresh / OWN_DATA
        own.mkdir()
        section = {
            "source": OWN_DATA,
            "reading": write_tables(dataset, own),
            "origin": dict(origin),
        }
        metadata = {**model.metadata, "data": model.metadata["data"] | section}
        fill_run(replace(model, metadata=metadata).to_parts(), fresh)

"""Compare runs on the same test ratings, with paired confidence intervals."""

from collections.abc import Mapping

import numpy as np

from matinee._types import F32
from matinee.data.dataset import Dataset
from matinee.errors import SettingError
from matinee.evaluation.evaluator import evaluate_ranking_per_user, holdout_or_none, predict_all
from matinee.evaluation.metrics import mae, mae_interval, rmse, rmse_interval
from matinee.evaluation.results import PerUserMetrics
from matinee.evaluation.uncertainty import MetricValue, error_differences, ranking_difference
from matinee.experiments.comparison_result import (
    COMPARED_METRICS,
    ComparedRun,
    Comparison,
    Difference,
    diff_hyperparameters,
)
from matinee.experiments.provenance import DataProvenance, read_provenance
from matinee.experiments.training import MAX_EVAL_USERS
from matinee.models.recommender import Recommender
from matinee.storage.runs import finite_or_none


def compare(runs: Mapping[str, Recommender]) -> Comparison:
    """Compare loaded runs by name, tested on the same ratings: the others with the first.

    They need not be trained on the same ratings: one may have given a part to a validation set.
    Rankings are evaluated for the same users and leave out the same items for all runs, those of
    the whole training set; for users with training ratings in all runs, at most `MAX_EVAL_USERS`.
    Raises RunError if the data are no longer those of the runs; SettingError if there are fewer
    than two runs, or they were tested on different ratings or none.

    Examples
    --------
    >>> from matinee.experiments import Split, train_and_evaluate
    >>> estimators = {"biases": matinee.Bias(), "factors": matinee.ALS(factors=4)}
    >>> runs = {name: train_and_evaluate(data, e, Split()).model for name, e in estimators.items()}
    >>> [difference.metric for difference in compare(runs).differences]
    ['rmse', 'mae']
    """
    if len(runs) < 2:
        raise SettingError("A comparison takes two runs or more.")
    provenances = {name: read_provenance(model.metadata) for name, model in runs.items()}
    train, test = _common_sets(provenances)
    predictions = {
        name: predict_all(model, test) for name, model in runs.items() if model.rating_head
    }
    rankings = _evaluate_rankings(runs, train, test)
    compared = {}
    for name, model in runs.items():
        metrics = _rating_metrics(predictions[name], test) if name in predictions else {}
        if name in rankings:
            means = rankings[name].mean().metrics
            metrics |= {key: means[key] for key in COMPARED_METRICS if key in means}
        compared[name] = ComparedRun(
            {head: str(fitted.estimator["name"]) for head, fitted in model.heads.items()},
            len(model.interactions.indices),
            provenances[name].validation_fraction,
            finite_or_none(model.metadata.get("fit_seconds")),
            metrics,
        )
    data = next(iter(runs.values())).metadata["data"]
    return Comparison(
        str(data.get("name")),
        test.unit,
        str(data.get("licence") or ""),
        len(test),
        len(next(iter(rankings.values())).task) if rankings else 0,
        compared,
        diff_hyperparameters(runs),
        tuple(_differences(list(runs), predictions, rankings, test)),
    )


def _common_sets(provenances: Mapping[str, DataProvenance]) -> tuple[Dataset, Dataset]:
    """The training and test set that the runs share; SettingError if they do not."""
    first, *others = provenances
    common = provenances[first]
    for name in others:
        if provenances[name].fingerprint != common.fingerprint:
            raise SettingError(
                f"{name} was trained on other ratings than {first}; compare runs on the same data."
            )
    dataset = common.read()
    train, test = common.split.apply(dataset)
    if len(test) == 0:
        raise SettingError(
            f"{first} was trained on everything: there is no test set to compare runs on."
        )
    same = {common.split}
    for name in others:
        split = provenances[name].split
        if split in same:
            continue
        # an official split is the same whatever its seed
        if split.apply(dataset)[1].ratings.fingerprint() != test.ratings.fingerprint():
            raise SettingError(
                f"{name} was tested on other ratings than {first} (split: {split}, not "
                f"{common.split}); compare runs on the same split."
            )
        same.add(split)
    return train, test


def _evaluate_rankings(
    runs: Mapping[str, Recommender], train: Dataset, test: Dataset
) -> dict[str, PerUserMetrics]:
    """Default lists of runs with a ranking head, for users with training ratings in all of them."""
    rankers = {name: model for name, model in runs.items() if model.ranking_head}
    task = holdout_or_none(train, test) if rankers else None
    if task is None:
        return {}
    known = [model.user_counts[task.users] > 0 for model in rankers.values()]
    rows = np.flatnonzero(np.logical_and.reduce(known))
    if len(rows) == 0:
        return {}
    task = task.take(rows).sample(MAX_EVAL_USERS)
    return {name: evaluate_ranking_per_user(model, task) for name, model in rankers.items()}


def _rating_metrics(predicted: F32, test: Dataset) -> dict[str, MetricValue]:
    pairs, user = (predicted, test.ratings.values), test.ratings.user
    return {
        "rmse": MetricValue(rmse(*pairs), *(rmse_interval(*pairs, user) or ())),
        "mae": MetricValue(mae(*pairs), *(mae_interval(*pairs, user) or ())),
    }


def _differences(
    names: list[str],
    predictions: Mapping[str, F32],
    rankings: Mapping[str, PerUserMetrics],
    test: Dataset,
) -> list[Difference]:
    """Of every other run to the first, metric by metric."""
    first, *others = names
    ratings, differences = test.ratings, []
    n_users = len(np.unique(ratings.user))
    for name in others:
        if first in predictions and name in predictions:
            pair = predictions[first], predictions[name]
            values = error_differences(*pair, ratings.values, ratings.user)
            differences += [Difference(key, name, first, values[key], n_users) for key in values]
        if first in rankings and name in rankings:
            baseline, other = rankings[first].values, rankings[name].values
            n_ranked = len(rankings[first].task)
            for metric in COMPARED_METRICS.keys() & baseline.keys():
                value = ranking_difference(baseline[metric], other[metric])
                differences.append(Difference(metric, name, first, value, n_ranked))
    order = list(COMPARED_METRICS)
    return sorted(differences, key=lambda difference: order.index(difference.metric))

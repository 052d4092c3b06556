"""Runs against each other: judged on the same test ratings, and how sure it is which is better."""

from collections.abc import Mapping, Sequence

import numpy as np

from matinee._types import F32
from matinee.data.dataset import Dataset
from matinee.errors import SettingError
from matinee.evaluation.evaluator import PerUserMetrics, evaluate_ranking_per_user, predict_all
from matinee.evaluation.metrics import mae, mae_interval, rmse, rmse_interval
from matinee.evaluation.protocols import holdout
from matinee.evaluation.uncertainty import MetricValue, error_differences, list_differences
from matinee.experiments.comparison_result import (
    COMPARED_BY,
    ComparedRun,
    Comparison,
    Difference,
    differing_settings,
)
from matinee.experiments.provenance import DataProvenance, recorded
from matinee.experiments.training import MAX_EVAL_USERS
from matinee.models.recommender import Recommender
from matinee.storage.runs import finite_or_none


def compare(runs: Mapping[str, Recommender]) -> Comparison:
    """Compare runs that were tested on the same ratings; the others with the first.

    They need not have learned from the same ratings: one may have kept a part aside to know when
    to stop. Lists are judged for the same users and leave out the same movies for all runs, those
    of the whole training part; of users whom all runs know, at most `MAX_EVAL_USERS`.

    Parameters
    ----------
    runs : mapping of str to Recommender
        As loaded, by name; two or more.

    Raises
    ------
    RunError
        If the data are no longer those of the runs.
    SettingError
        If there are fewer than two runs, or they were tested on different ratings.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import matinee
    >>> from matinee.data.synthetic import write_generated
    >>> from matinee.experiments import Split, train_and_evaluate
    >>> folder = tempfile.TemporaryDirectory()
    >>> _ = write_generated(Path(folder.name), users=60, items=50, ratings=1500, seed=0)
    >>> data = matinee.read(folder.name)
    >>> runs = {
    ...     "biases": train_and_evaluate(data, matinee.Bias(), Split()).model,
    ...     "factors": train_and_evaluate(data, matinee.ALS(factors=4), Split()).model,
    ... }
    >>> [one.metric for one in compare(runs).differences]
    ['rmse', 'mae']
    >>> folder.cleanup()
    """
    if len(runs) < 2:
        raise SettingError("A comparison takes two runs or more.")
    said = {name: recorded(model.metadata) for name, model in runs.items()}
    train, test = _common_parts(said)
    settings = differing_settings(runs)
    values = {name: predict_all(model, test) for name, model in runs.items() if model.rating_head}
    lists = _evaluated(runs, train, test)
    compared = {
        name: ComparedRun(
            {part: str(head.estimator["name"]) for part, head in model.heads.items()},
            len(model.interactions.indices),
            said[name].holdout_validation,
            finite_or_none(model.metadata.get("fit_seconds")),
            _error_metrics(values, name, test) | _list_metrics(lists, name),
        )
        for name, model in runs.items()
    }
    metadata = next(iter(runs.values())).metadata["data"]
    return Comparison(
        str(metadata.get("name")),
        str(metadata.get("licence") or ""),
        len(test),
        len(next(iter(lists.values())).task) if lists else 0,
        compared,
        settings,
        tuple(_differences(list(runs), values, lists, test)),
    )


def _common_parts(said: Mapping[str, DataProvenance]) -> tuple[Dataset, Dataset]:
    """The training and the test part that the runs share; those that do not are refused."""
    first, *others = said
    for name in others:
        if said[name].fingerprint != said[first].fingerprint:
            raise SettingError(
                f"{name} was trained on other ratings than {first}; compare runs on the same data."
            )
    dataset = said[first].read()
    parts = {said[first].split: said[first].split.apply(dataset)}
    print_of_test = ""
    for name in others:
        split = said[name].split
        if split in parts:
            continue
        parts[split] = split.apply(dataset)
        # an official split is the same whatever its seed
        print_of_test = print_of_test or parts[said[first].split][1].ratings.fingerprint()
        if parts[split][1].ratings.fingerprint() != print_of_test:
            raise SettingError(
                f"{name} was tested on other ratings than {first} (its split is {split}, not "
                f"{said[first].split}); compare runs on the same split."
            )
    return parts[said[first].split]


def _evaluated(
    runs: Mapping[str, Recommender], train: Dataset, test: Dataset
) -> dict[str, PerUserMetrics]:
    """The lists of the runs that make some, for users whom all of these know."""
    makers = {name: model for name, model in runs.items() if model.ranking_head}
    if not makers:
        return {}
    try:
        task = holdout(train, test)
    except SettingError:  # nobody can be judged
        return {}
    known = [np.diff(model.interactions.indptr)[task.users] > 0 for model in makers.values()]
    evaluated = np.flatnonzero(np.logical_and.reduce(known))
    if len(evaluated) == 0:
        return {}
    task = task.take(evaluated).sample(MAX_EVAL_USERS)
    return {
        name: evaluate_ranking_per_user(model, task, head="ranking")
        for name, model in makers.items()
    }


def _error_metrics(values: Mapping[str, F32], name: str, test: Dataset) -> dict[str, MetricValue]:
    if name not in values:
        return {}
    pairs, user = (values[name], test.ratings.values), test.ratings.user
    return {
        "rmse": MetricValue(rmse(*pairs), *(rmse_interval(*pairs, user) or ())),
        "mae": MetricValue(mae(*pairs), *(mae_interval(*pairs, user) or ())),
    }


def _list_metrics(lists: Mapping[str, PerUserMetrics], name: str) -> dict[str, MetricValue]:
    if name not in lists:
        return {}
    metrics = lists[name].metrics().metrics
    return {metric: metrics[metric] for metric in COMPARED_BY if metric in metrics}


def _differences(
    names: Sequence[str],
    values: Mapping[str, F32],
    lists: Mapping[str, PerUserMetrics],
    test: Dataset,
) -> list[Difference]:
    """Of every other run from the first, figure by figure."""
    first, *others = names
    ratings, found = test.ratings, []
    users = len(np.unique(ratings.user))
    for name in others:
        if first in values and name in values:
            both = values[first], values[name]
            for metric, head in error_differences(*both, ratings.values, ratings.user).items():
                found.append(Difference(metric, name, first, head, users))
        if first in lists and name in lists:
            one, other = lists[first], lists[name]
            for metric in COMPARED_BY.keys() & one.values:
                head = list_differences(one.values[metric], other.values[metric])
                found.append(Difference(metric, name, first, head, len(one.task)))
    order = list(COMPARED_BY)
    return sorted(found, key=lambda one: order.index(one.metric))

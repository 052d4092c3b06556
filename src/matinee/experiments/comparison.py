"""Runs against each other: judged on the same test ratings, and how sure it is which is better."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from matinee.data.dataset import Dataset
from matinee.errors import SettingError
from matinee.evaluation.evaluator import Figure, ListsOfViewers, judge_each, predict_all
from matinee.evaluation.metrics import mae, mae_interval, rmse, rmse_interval
from matinee.evaluation.protocols import held_out
from matinee.evaluation.uncertainty import error_differences, list_differences
from matinee.experiments.comparison_result import (
    COMPARED_BY,
    Compared,
    Comparison,
    Difference,
    differing_settings,
)
from matinee.experiments.provenance import Noted, noted
from matinee.experiments.training import JUDGED
from matinee.models.recommender import FactorModel
from matinee.storage.runs import plain


def compare(runs: Mapping[str, FactorModel]) -> Comparison:
    """Compare runs that were tested on the same ratings; the others with the first.

    They need not have learned from the same ratings: one may have kept a part aside to know when
    to stop. Lists are judged for the same viewers and leave out the same movies for all runs, those
    of the whole training part; of viewers whom all runs know, at most `JUDGED`.

    Parameters
    ----------
    runs : mapping of str to FactorModel
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
    >>> from matinee.experiments import Split, train_and_test
    >>> folder = tempfile.TemporaryDirectory()
    >>> _ = write_generated(Path(folder.name), viewers=60, movies=50, ratings=1500, seed=0)
    >>> data = matinee.read(folder.name)
    >>> runs = {
    ...     "biases": train_and_test(data, matinee.BiasOnly(), Split()).model,
    ...     "factors": train_and_test(data, matinee.ALS(factors=4), Split()).model,
    ... }
    >>> [one.figure for one in compare(runs).differences]
    ['rmse', 'mae']
    >>> folder.cleanup()
    """
    if len(runs) < 2:
        raise SettingError("A comparison takes two runs or more.")
    said = {name: noted(model.about) for name, model in runs.items()}
    train, test = _common_parts(said)
    settings = differing_settings(runs)
    stars = {name: predict_all(model, test) for name, model in runs.items() if model.rating}
    lists = _judged(runs, train, test)
    compared = {
        name: Compared(
            {part: str(head.trainer["name"]) for part, head in model.heads.items()},
            len(model.rated.indices),
            said[name].hold_out_validation,
            plain(model.about.get("fit_seconds")),
            _error_figures(stars, name, test) | _list_figures(lists, name),
        )
        for name, model in runs.items()
    }
    about = next(iter(runs.values())).about["data"]
    return Comparison(
        str(about.get("name")),
        str(about.get("licence") or ""),
        len(test),
        len(next(iter(lists.values())).exam) if lists else 0,
        compared,
        settings,
        tuple(_differences(list(runs), stars, lists, test)),
    )


def _common_parts(said: Mapping[str, Noted]) -> tuple[Dataset, Dataset]:
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


def _judged(
    runs: Mapping[str, FactorModel], train: Dataset, test: Dataset
) -> dict[str, ListsOfViewers]:
    """The lists of the runs that make some, for viewers whom all of these know."""
    makers = {name: model for name, model in runs.items() if model.ranking}
    if not makers:
        return {}
    try:
        exam = held_out(train, test)
    except SettingError:  # nobody can be judged
        return {}
    known = [np.diff(model.rated.indptr)[exam.users] > 0 for model in makers.values()]
    judged = np.flatnonzero(np.logical_and.reduce(known))
    if len(judged) == 0:
        return {}
    exam = exam.take(judged).sample(JUDGED)
    return {name: judge_each(model, exam, by="ranking") for name, model in makers.items()}


def _error_figures(
    stars: Mapping[str, NDArray[np.float32]], name: str, test: Dataset
) -> dict[str, Figure]:
    if name not in stars:
        return {}
    pairs, user = (stars[name], test.ratings.stars), test.ratings.user
    return {
        "rmse": Figure(rmse(*pairs), *(rmse_interval(*pairs, user) or ())),
        "mae": Figure(mae(*pairs), *(mae_interval(*pairs, user) or ())),
    }


def _list_figures(lists: Mapping[str, ListsOfViewers], name: str) -> dict[str, Figure]:
    if name not in lists:
        return {}
    figures = lists[name].figures().figures
    return {figure: figures[figure] for figure in COMPARED_BY if figure in figures}


def _differences(
    names: Sequence[str],
    stars: Mapping[str, NDArray[np.float32]],
    lists: Mapping[str, ListsOfViewers],
    test: Dataset,
) -> list[Difference]:
    """Of every other run from the first, figure by figure."""
    first, *others = names
    ratings, found = test.ratings, []
    viewers = len(np.unique(ratings.user))
    for name in others:
        if first in stars and name in stars:
            both = stars[first], stars[name]
            for figure, by in error_differences(*both, ratings.stars, ratings.user).items():
                found.append(Difference(figure, name, first, by, viewers))
        if first in lists and name in lists:
            one, other = lists[first], lists[name]
            for figure in COMPARED_BY.keys() & one.values:
                by = list_differences(one.values[figure], other.values[figure])
                found.append(Difference(figure, name, first, by, len(one.exam)))
    order = list(COMPARED_BY)
    return sorted(found, key=lambda one: order.index(one.figure))

"""The best trial, trained on the whole training part, and tested."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from optuna import Study
from optuna.trial import FrozenTrial, TrialState

from matinee.data import Dataset
from matinee.errors import RunError
from matinee.evaluation import Result, Split, train_and_test
from matinee.models import ALS, ImplicitALS, Trainer
from matinee.models.runs import MANIFEST, new_run, save_new
from matinee.models.settings import nested_settings
from matinee.tuning.objective import Objective
from matinee.tuning.space import recipe_with
from matinee.tuning.study import finished
from matinee.tuning.trials import Trials


@dataclass(frozen=True)
class Winner:
    """The best trial, trained on the whole training part and judged on the test part.

    Parameters
    ----------
    trial : int
        Its number, from 0 on.
    settings : mapping of str to value
        Those that were searched or fixed, as the recipe knows them.
    run : str
        Where the model is.
    test : mapping of str to float or None
        Of the test part: ``rmse`` and ``mae`` of what predicts stars, ``ndcg@10`` of what makes
        lists, and the metric.
    tests : int
        How many winners of this study were judged on the test part.
    """

    trial: int
    settings: Mapping[str, Any]
    run: str
    test: Mapping[str, float | None]
    tests: int


def best_of(trials: Iterable[FrozenTrial], higher_is_better: bool) -> FrozenTrial | None:
    """The best trial that got to its end, of equally good ones the first."""
    sign = -1.0 if higher_is_better else 1.0
    ended = (one for one in trials if one.state == TrialState.COMPLETE and one.value is not None)
    return min(ended, key=lambda one: (sign * (one.value or 0.0), one.number), default=None)


def crown(
    study: Study,
    job: Trials,
    dataset: Dataset,
    train: Dataset,
    model: str,
    split: Split,
    run: str | Path | None,
) -> Winner | None:
    """The winner, trained and tested unless it was before; None if no trial got to its end."""
    best = best_of(finished(study), job.objective.higher_is_better)
    if best is None:
        return None
    earlier = _earlier(study)
    again = earlier is not None and earlier.trial == best.number
    if earlier and again:
        same_place = run is None or Path(run) == Path(earlier.run)
        if same_place and Path(earlier.run, MANIFEST).is_file():
            return earlier
    tests = study.user_attrs.get("tests", 0)
    if not again:
        tests += 1
        study.set_user_attr("tests", tests)  # before the look, so that none is forgotten
    settings = job.space.settings(job.space.of(best.params), train.ratings)
    lists = job.objective.of_lists
    feedback = "implicit" if lists else "explicit"
    recipe = recipe_with(job.space.recipe, settings, seed=split.seed, feedback=feedback)
    # the other head with its defaults, as `matinee train` would
    rating: Trainer = ALS(seed=split.seed) if lists else recipe
    ranking: Trainer = recipe if lists else ImplicitALS(seed=split.seed)
    result = train_and_test(
        dataset, rating, split, ranking=ranking, threads=job.threads, whole=True
    )
    noted = {
        "study": study.user_attrs["identity"],
        "trials": len(finished(study)),
        "trial": best.number,
        "value": best.value,
        "tests": tests,
    }
    tuned = replace(result.model, about={**result.model.about, "tuning": noted})
    usual = new_run(dataset.name, f"{model}-tuned")
    folder = tuned.save(run) if run else save_new(tuned, usual)
    test = _tested(result, job.objective)
    winner = Winner(best.number, nested_settings(settings), str(folder), test, tests)
    study.set_user_attr("winner", asdict(winner))
    return winner


def _earlier(study: Study) -> Winner | None:
    """The winner that the study knows of."""
    said = study.user_attrs.get("winner")
    if said is None:
        return None
    names = {one.name for one in fields(Winner)}
    if not isinstance(said, dict) or said.keys() != names or not isinstance(said["settings"], dict):
        raise RunError("The study does not hold together (its winner); begin another one.")
    settings = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in said["settings"].items()
    }
    return Winner(**{**said, "settings": settings})


def _tested(result: Result, objective: Objective) -> dict[str, float | None]:
    """The figures that the tuned head has on the test part."""
    if not objective.of_lists:
        return {name: getattr(result.test, name, None) for name in ("rmse", "mae")}
    lists = result.lists
    return {name: lists[name] if lists else None for name in ("ndcg@10", objective.metric)}

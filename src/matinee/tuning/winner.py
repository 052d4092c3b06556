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
from matinee.models.runs import keep, read_manifest
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
        Where the model is; below the working folder, from there.
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
    identity = study.user_attrs["identity"]
    earlier = _earlier(study)
    if earlier and earlier.trial == best.number and _is_there(earlier, identity):
        place = Path(earlier.run)
        if run is None or Path(run).resolve() == place:
            return replace(earlier, run=str(_from_here(place)))
    tested = sorted({*study.user_attrs.get("tested", ()), best.number})
    study.set_user_attr("tested", tested)  # before the look, so that none is forgotten
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
        "study": identity,
        "trials": len(finished(study)),
        "trial": best.number,
        "value": best.value,
        "tests": len(tested),
    }
    tuned = replace(result.model, about={**result.model.about, "tuning": noted})
    folder = keep(tuned, run, f"{model}-tuned")
    test = _tested(result, job.objective)
    winner = Winner(best.number, nested_settings(settings), str(folder), test, len(tested))
    # wherever the next one looks from
    study.set_user_attr("winner", asdict(replace(winner, run=str(folder.resolve()))))
    return winner


def _is_there(winner: Winner, identity: Mapping[str, Any]) -> bool:
    """Whether the winner's run is where it was put, and no other run in its place."""
    try:
        tuning = read_manifest(Path(winner.run)).get("tuning")
    except RunError:
        return False
    wanted = {"study": identity, "trial": winner.trial}
    return isinstance(tuning, dict) and wanted.items() <= tuning.items()


def _from_here(place: Path) -> Path:
    here = Path.cwd()
    return place.relative_to(here) if place.is_relative_to(here) else place


def _earlier(study: Study) -> Winner | None:
    """The winner that the study knows of."""
    said = study.user_attrs.get("winner")
    if said is None:
        return None
    names = {one.name for one in fields(Winner)}
    whole = isinstance(said, dict) and said.keys() == names
    if not whole or not isinstance(said["settings"], dict) or not isinstance(said["run"], str):
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

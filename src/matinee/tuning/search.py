"""The search: trials on the training part alone, then the winner on the test part, once."""

import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from optuna import Study, TrialPruned
from optuna.trial import FrozenTrial, TrialState

from matinee.data.dataset import Dataset
from matinee.errors import RunError, SettingError
from matinee.experiments.training import Split, TrainingResult, compile_kernels, train_and_evaluate
from matinee.models.als import ALS
from matinee.models.base import Estimator
from matinee.models.implicit_als import ImplicitALS
from matinee.models.loading import save_run
from matinee.models.registry import RANKING, RATING, nested_settings
from matinee.progress import progress
from matinee.storage.runs import check_target, read_manifest
from matinee.tuning.objective import Objective, objective_of, validation_splits
from matinee.tuning.result import BestModel, TuningResult
from matinee.tuning.search_space import (
    SearchSpace,
    default_search_space,
    estimator_with,
    read_space,
)
from matinee.tuning.study import (
    FINISHED,
    FIRST,
    STUDIES,
    exclusive_lock,
    finished,
    open_study,
    requeue_failed_trials,
    sampler_of,
    storage_errors_as_run_error,
)
from matinee.tuning.trial import TrialRunner, grows, pruner_of

TRIALS = 50


@dataclass(frozen=True)
class SearchPlan:
    """The first settings, and how many trials there are to be.

    Parameters
    ----------
    first : list of mappings
        Settings by which a study begins.
    wanted : int
        Trials, those of earlier calls included.
    whole : bool
        Whether the first settings are all there are: a grid.
    """

    first: list[dict[str, Any]]
    wanted: int
    whole: bool

    def goes_on(self, trials: Iterable[FrozenTrial]) -> bool:
        """Whether another trial is to begin: fewer than are wanted have ended or run."""
        states = [one.state for one in trials]
        begun = sum(state in (*FINISHED, TrialState.RUNNING) for state in states)
        return begun < self.wanted and (not self.whole or TrialState.WAITING in states)


def plan_of(space: SearchSpace, search: str, trials: int | None, seed: int) -> SearchPlan:
    """The plan of a search that is to make so many trials.

    A grid is tried in no order, so that a part of it tells of the whole; so is a space of a few
    values, whatever the search, for nothing has to be tried twice. The defaults come first, where
    they are among them.

    Examples
    --------
    >>> from matinee.tuning import Choice
    >>> space = SearchSpace("EASE", {"regularization": Choice((100.0, 200.0, 300.0))})
    >>> plan = plan_of(space, "tpe", None, seed=0)
    >>> plan.wanted, plan.first[0]
    (3, {'regularization': 300.0})
    """
    default = space.default()
    # by space and search alone, so that a study stays what it was begun as
    if search != "grid" and not (space.finite and space.points <= TRIALS):
        return SearchPlan([] if default is None else [default], trials or TRIALS, whole=False)
    grid = space.grid()
    mixed = [grid[at] for at in np.random.default_rng(seed).permutation(len(grid))]
    mixed.sort(key=lambda point: point != default)  # the rest stays as it is
    return SearchPlan(mixed, min(trials or len(grid), len(grid)), whole=True)


def best_of(trials: Iterable[FrozenTrial], higher_is_better: bool) -> FrozenTrial | None:
    """The best trial that got to its end, of equally good ones the first."""
    sign = -1.0 if higher_is_better else 1.0
    ended = (one for one in trials if one.state == TrialState.COMPLETE and one.value is not None)
    return min(ended, key=lambda one: (sign * (one.value or 0.0), one.number), default=None)


def refit_best(
    study: Study,
    job: TrialRunner,
    dataset: Dataset,
    train: Dataset,
    model: str,
    split: Split,
    run: str | Path | None,
) -> BestModel | None:
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
    estimator = estimator_with(job.space.estimator, settings, seed=split.seed, feedback=feedback)
    # the other head with its defaults, as `matinee train` would
    rating: Estimator = ALS(seed=split.seed) if lists else estimator
    ranking: Estimator = estimator if lists else ImplicitALS(seed=split.seed)
    result = train_and_evaluate(
        dataset, rating, split, ranker=ranking, threads=job.threads, on_interrupt="raise"
    )
    recorded = {
        "study": identity,
        "trials": len(finished(study)),
        "trial": best.number,
        "value": best.value,
        "tests": len(tested),
    }
    tuned = replace(result.model, metadata={**result.model.metadata, "tuning": recorded})
    folder = save_run(tuned, run, f"{model}-tuned")
    test = _tested(result, job.objective)
    winner = BestModel(best.number, nested_settings(settings), str(folder), test, len(tested))
    # wherever the next one looks from
    study.set_user_attr("winner", asdict(replace(winner, run=str(folder.resolve()))))
    return winner


def _is_there(winner: BestModel, identity: Mapping[str, Any]) -> bool:
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


def _earlier(study: Study) -> BestModel | None:
    """The winner that the study knows of."""
    said = study.user_attrs.get("winner")
    if said is None:
        return None
    names = {one.name for one in fields(BestModel)}
    whole = isinstance(said, dict) and said.keys() == names
    if not whole or not isinstance(said["settings"], dict) or not isinstance(said["run"], str):
        raise RunError("The study does not hold together (its winner); begin another one.")
    settings = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in said["settings"].items()
    }
    return BestModel(**{**said, "settings": settings})


def _tested(result: TrainingResult, objective: Objective) -> dict[str, float | None]:
    """The figures that the tuned head has on the test part."""
    if not objective.of_lists:
        return {name: getattr(result.rating, name, None) for name in ("rmse", "mae")}
    lists = result.ranking
    return {name: lists[name] if lists else None for name in ("ndcg@10", objective.metric)}


def tune(
    dataset: Dataset,
    model: str,
    *,
    metric: str | None = None,
    trials: int | None = None,
    minutes: float | None = None,
    space: SearchSpace | str | Path | None = None,
    search: str = "tpe",
    split: Split | None = None,
    validation: str = "random",
    study: str | Path | None = None,
    run: str | Path | None = None,
    threads: int | None = None,
) -> TuningResult:
    """Search for settings within the training part; train the best on all of it, and test that.

    Every trial that ends is in the study at once. The same call goes on with it, in the same
    process or another one, now or later, until there are `trials`; several may at the same time.
    The last of them to end trains the winner.

    Parameters
    ----------
    dataset : Dataset
    model : str
        As `matinee train` names them: ``"als"``, ``"ials"`` ...
    metric : str, optional
        ``"rmse"`` or ``"mae"``; or of lists, ``"ndcg@10"`` and so on. By default RMSE for what
        predicts stars, and NDCG@10 for what makes lists.
    trials : int, optional
        Finished trials of the study, those of earlier calls included. By default 50, or all
        points of a grid.
    minutes : float, optional
        Begin no trial after so many.
    space : SearchSpace or path of a TOML file, optional
        By default the one that ships with the recipe.
    search : {"tpe", "random", "grid"}
        Where the next trial is. A space of a few values is tried whole, whatever is said.
    split : Split, optional
        By default a random tenth is the test part.
    validation : str
        ``"random"``, ``"temporal"``, or ``"5-fold"`` and so on.
    study : path, optional
        The study's folder; by default one under `STUDIES`.
    run : path, optional
        Where the winner's run goes; by default a new one under `runs`.
    threads : int, optional

    Raises
    ------
    RunError
        If the study cannot be used, or is of other ratings.
    SettingError
        If something does not fit: a metric that the model cannot give, a study begun with
        something else, data that the split does not suit.

    Examples
    --------
    >>> import tempfile
    >>> from matinee.data.synthetic import generate
    >>> data, _ = generate(users=60, items=50, ratings=1500, seed=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     found = tune(data, "bias", trials=3, study=f"{folder}/study", run=f"{folder}/run")
    >>> len(found.trials), found.winner.tests, sorted(found.winner.settings)
    (3, 1, ['regularization'])
    """
    if trials is not None and trials < 1:
        raise SettingError(f"At least 1 trial is made, not {trials}.")
    if minutes is not None and not minutes > 0:
        raise SettingError(f"minutes are above 0, not {minutes:g}.")
    if run is not None:
        check_target(Path(run))  # before the work, not after it
    objective = objective_of(model, metric)
    estimator = (RANKING if objective.of_lists else RATING)[model]
    named = None if space is None else "own-space"
    if space is None:
        space = default_search_space(estimator)
    elif not isinstance(space, SearchSpace):
        named = Path(space).stem
        space = read_space(estimator, space)
    split = split or Split()
    train, _ = split.apply(dataset)
    parts = validation_splits(train, validation, split.seed)
    plan = plan_of(space, search, trials, split.seed)
    sampler = sampler_of(search, split.seed)
    identity: dict[str, Any] = {
        "data": dataset.ratings.fingerprint(),
        "items": dataset.catalog.fingerprint(),
        "model": model,
        "metric": objective.metric,
        "space": space.as_json(),
        "search": search,
        "split": {"method": split.method, "test_fraction": split.test_fraction},
        "validation": validation,
        "seed": split.seed,
        "unsearched": space.unsearched(train.ratings),
    }
    folder = Path(study or _default_folder(dataset.name, identity, named))
    job = TrialRunner(space, objective, parts, split.seed, threads)
    compile_kernels([estimator_with(estimator, space.fixed)])
    until = math.inf if minutes is None else time.monotonic() + 60 * minutes
    while True:
        work = open_study(
            folder,
            identity,
            higher_is_better=objective.higher_is_better,
            sampler=sampler,
            pruner=pruner_of(estimator),
            first=plan.first,
        )
        with work as opened, storage_errors_as_run_error(folder):
            interrupted = _work(opened, job, plan, until)
        with storage_errors_as_run_error(folder), exclusive_lock(folder) as alone:
            if alone:
                requeue_failed_trials(opened)
                left = plan.goes_on(opened.get_trials(deepcopy=False))
                if left and not interrupted and time.monotonic() < until:
                    continue  # with what processes had begun that were killed meanwhile
            winner = None
            if alone and not interrupted:
                try:
                    winner = refit_best(opened, job, dataset, train, model, split, run)
                except KeyboardInterrupt:
                    interrupted = True
            return TuningResult(
                study=folder,
                metric=objective.metric,
                of_lists=objective.of_lists,
                space=space,
                trials=_table(opened, job),
                wanted=plan.wanted,
                points=len(plan.first) if plan.whole else None,
                winner=winner,
                interrupted=interrupted,
                others=not alone,
            )


def _default_folder(name: str, identity: Mapping[str, Any], space: str | None) -> Path:
    """A folder for each data set, model and metric, and for whatever else is not as usual."""
    parts = [name, identity["model"], identity["metric"]]
    default = {"search": "tpe", "validation": "random", **asdict(Split())}
    for key, value in {**identity, **identity["split"]}.items():
        if key in default and value != default[key]:
            parts.append(f"seed{value}" if key == "seed" else str(value))
    return STUDIES / "-".join([*parts, *([space] if space else [])])


def _work(study: Study, job: TrialRunner, plan: SearchPlan, until: float) -> bool:
    """Make the trials that are wanting; whether the keyboard stopped it."""
    with progress("Tuning", plan.wanted) as tick:
        try:
            while True:
                trials = study.get_trials(deepcopy=False)
                best = best_of(trials, job.objective.higher_is_better)
                done = sum(one.state in FINISHED for one in trials)
                tick(done, f"best {job.objective.metric} {best.value:.4f}" if best else "")
                if time.monotonic() >= until or not plan.goes_on(trials):
                    return False
                trial = study.ask()
                if plan.whole and FIRST not in trial.user_attrs:
                    return False  # another process has just taken the last point
                try:
                    study.tell(trial, job(trial))
                except TrialPruned:
                    study.tell(trial, state=TrialState.PRUNED)
        except KeyboardInterrupt:
            return True


def _table(study: Study, job: TrialRunner) -> list[dict[str, Any]]:
    sign = -1 if job.objective.higher_is_better else 1
    comparable = grows(job.space.estimator)  # what others stream may be another figure

    def row(trial: FrozenTrial) -> dict[str, Any]:
        state = "broke" if "broke" in trial.user_attrs else trial.state.name.lower()
        told = state == "complete" or (state == "pruned" and comparable)
        return {
            "trial": trial.number,
            "value": trial.value if told else None,
            "state": state,
            "seconds": trial.duration.total_seconds() if trial.duration else None,
            "settings": dict(trial.params),
            "why": trial.user_attrs.get("broke"),
        }

    def order(row: Mapping[str, Any]) -> tuple[bool, bool, float]:
        value = row["value"]
        return row["state"] != "complete", value is None, sign * (value or 0.0)

    return sorted(map(row, finished(study)), key=order)

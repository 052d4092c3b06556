"""The search: trials on validation sets, then the best one refit and evaluated on the test set."""

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from optuna import Study, TrialPruned
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from matinee.data.dataset import Dataset
from matinee.data.ratings import Ratings
from matinee.errors import RunError, SettingError, shortened
from matinee.evaluation.metrics import METRICS
from matinee.experiments.compiling import compile_kernels
from matinee.experiments.split import Split
from matinee.experiments.training import TrainingResult, train_and_evaluate
from matinee.models.als import ALS
from matinee.models.base import Estimator
from matinee.models.implicit_als import ImplicitALS
from matinee.models.loading import save_run
from matinee.models.registry import RANKING, RATING, estimator_class, nested_settings
from matinee.progress import progress
from matinee.storage.runs import RUNS, check_target, read_manifest
from matinee.storage.writing import check_place
from matinee.tuning.objective import Objective, default_validation, get_objective, validation_splits
from matinee.tuning.result import BestModel, TuningResult
from matinee.tuning.search_space import SearchSpace, build_estimator
from matinee.tuning.space_parsing import default_search_space, parse_space, read_space
from matinee.tuning.study import (
    FINISHED,
    INITIAL,
    STUDY_FILE,
    exclusive_lock,
    finished,
    make_sampler,
    open_study,
    requeue_failed_trials,
    storage_errors_as_run_error,
)
from matinee.tuning.trial import TrialRunner, make_pruner

STUDIES = Path("studies")
"""Where studies go by default."""
DEFAULT_TRIALS = 50


def tune(
    dataset: Dataset,
    model: str | None = None,
    *,
    metric: str | None = None,
    trials: int | None = None,
    minutes: float | None = None,
    space: SearchSpace | Mapping[str, Any] | str | Path | None = None,
    search: str = "tpe",
    split: Split | None = None,
    validation: str | None = None,
    study: str | Path | None = None,
    run: str | Path | None = None,
    threads: int | None = None,
) -> TuningResult:
    """Search hyperparameters on validation sets, then refit the best one and test it.

    Every finished trial is in the study on disk at once. The same call resumes it, in this process
    or another one, now or later, until it has `trials`; several may run at the same time. The last
    one to end refits the best trial on the full training set, saves it as a run and evaluates it on
    the test set. Raises RunError if the study cannot be used, or began with other data;
    SettingError if arguments do not fit together, the data, or those that the study began with.

    Parameters
    ----------
    model : str, optional
        As `matinee tune --model` names it: ``"als"``, ``"ials"`` ... By default `default_model`.
    metric : str, optional
        By name or label: ``"rmse"``, ``"NDCG@10"``. By default RMSE for models with a rating head
        only, NDCG@10 for all others.
    trials : int, optional
        Number of finished trials, those of earlier calls included. By default 50, or a whole grid.
    minutes : float, optional
        Begin no trial after so many.
    space : mapping, SearchSpace or path of a TOML file, optional
        What to search, such as ``{"factors": (16, 64), "features": ["genres", "none"],
        "exponent": 0.5}``: a range, a choice, a fixed value; see `parse_space`. By default
        `default_search_space`.
    search : {"tpe", "random", "grid"}
        How the next trial is chosen. A space of few combinations is always searched as a grid.
    split : Split, optional
        By default a random tenth is the test set.
    validation : {"random", "temporal", "leave-last-out", "K-fold"}, optional
        How the training set is split for trials: a random tenth validates, the latest tenth, the
        last item of each user, or, as with ``"5-fold"``, each fold in turn. By default
        ``"random"``; for `NextItem`, of which the order ``"next"`` is tuned,
        ``"leave-last-out"``.
    study, run : path, optional
        Folders of the study and of the best model's run; by default new ones under ``studies`` and
        ``runs``.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     result = tune(data, "bias", trials=3, space={"regularization": (1.0, 9.0)},
    ...                   study=f"{folder}/study", run=f"{folder}/run")
    >>> len(result.trials), result.best.test_evaluations, sorted(result.best.settings)
    (3, 1, ['regularization'])
    """
    if trials is not None and trials < 1:
        raise SettingError(f"trials must be >= 1, got {shortened(trials)}.")
    if minutes is not None and not minutes > 0:
        raise SettingError(f"minutes must be > 0, got {minutes:g}.")
    if run is not None:  # before the work, not after it
        check_target(Path(run))
    check_place(Path(run) if run else RUNS / "new")
    model = model or default_model(dataset.ratings)
    validation = validation or default_validation(model)
    objective = get_objective(model, metric, dataset)
    estimators = RATING if objective.head == "rating" else RANKING
    space, space_name = _open_space(estimators[model], space)
    split = split or Split()
    train, _ = split.apply(dataset)
    runner = TrialRunner(
        space, objective, validation_splits(train, validation, split.seed), split.seed, threads
    )
    plan = make_plan(space, search, trials, split.seed)
    sampler = make_sampler(search, split.seed)
    identity = {
        "data": dataset.ratings.fingerprint(),
        "items": dataset.catalog.fingerprint(),
        "model": model,
        "metric": objective.metric,
        "space": space.to_dict(),
        "search": search,
        "split": {"method": split.method, "test_fraction": split.test_fraction},
        "validation": validation,
        "seed": split.seed,
        "unsearched": space.unsearched(train.ratings),
    }
    folder = Path(study or _default_folder(dataset.name, identity, space_name))
    if not folder.is_file():  # which is refused as no study
        check_place(folder / STUDY_FILE)
    compile_kernels([build_estimator(space.estimator, space.fixed)])
    deadline = math.inf if minutes is None else time.monotonic() + 60 * minutes

    def refit(study: Study) -> BestModel | None:
        return refit_best(study, runner, dataset, train, model, split, run)

    return _run_study(folder, identity, runner, plan, sampler, deadline, refit)


def default_model(ratings: Ratings) -> str:
    """What is tuned by default: als, or ials where there is no rating to predict."""
    return "als" if ratings.differ else "ials"


def _open_space(
    estimator: str, space: SearchSpace | Mapping[str, Any] | str | Path | None
) -> tuple[SearchSpace, str | None]:
    """The search space that `tune` was given, and its name in that of the study."""
    if space is None:
        return default_search_space(estimator), None
    if isinstance(space, SearchSpace):
        return space, "custom-space"
    if isinstance(space, Mapping):
        return parse_space(estimator, space), "custom-space"
    return read_space(estimator, space), Path(space).stem


def _default_folder(dataset: str, identity: Mapping[str, Any], space: str | None) -> Path:
    """A folder named by data set, model, metric, and all arguments that are not the defaults."""
    parts = [dataset, identity["model"], identity["metric"]]
    validation = default_validation(identity["model"])
    default = {"search": "tpe", "validation": validation, **asdict(Split())}
    for key, value in {**identity, **identity["split"]}.items():
        if key in default and value != default[key]:
            parts.append(f"seed{value}" if key == "seed" else str(value))
    return STUDIES / "-".join([*parts, *([space] if space else [])])


@dataclass(frozen=True)
class SearchPlan:
    """The values that a study begins with, and how many trials it is to have."""

    initial: list[dict[str, Any]]
    n_trials: int
    exhaustive: bool  # a grid: no values but the initial ones

    def needs_another(self, trials: Iterable[FrozenTrial]) -> bool:
        """Whether fewer trials than planned have finished or are running."""
        states = [trial.state for trial in trials]
        begun = sum(state in (*FINISHED, TrialState.RUNNING) for state in states)
        return begun < self.n_trials and (not self.exhaustive or TrialState.WAITING in states)


def make_plan(space: SearchSpace, search: str, trials: int | None, seed: int) -> SearchPlan:
    """The plan of a search: the defaults first, then a grid in random order, or samples."""
    default = space.default_values()
    # by space and search alone, so that a study stays the same whatever number of trials is asked
    if search != "grid" and not (space.finite and space.grid_size <= DEFAULT_TRIALS):
        initial = [] if default is None else [default]
        return SearchPlan(initial, trials or DEFAULT_TRIALS, exhaustive=False)
    grid = space.grid()  # also of few combinations, of which sampling would repeat some
    shuffled = [grid[index] for index in np.random.default_rng(seed).permutation(len(grid))]
    shuffled.sort(key=lambda values: values != default)  # stable: the rest stays shuffled
    return SearchPlan(shuffled, min(trials or len(grid), len(grid)), exhaustive=True)


def _run_study(
    folder: Path,
    identity: Mapping[str, Any],
    runner: TrialRunner,
    plan: SearchPlan,
    sampler: BaseSampler,
    deadline: float,
    refit: Callable[[Study], BestModel | None],
) -> TuningResult:
    """Work on a study until its plan is done; the process that ends last refits the best trial."""
    higher_is_better = runner.objective.higher_is_better
    pruner = make_pruner(runner.space.estimator)
    while True:
        opened = open_study(
            folder, identity, higher_is_better, sampler, pruner, plan.initial, runner.space.has
        )
        with opened as study, storage_errors_as_run_error(folder):
            interrupted = _run_trials(study, runner, plan, deadline)
        with storage_errors_as_run_error(folder), exclusive_lock(folder) as alone:
            if alone:
                requeue_failed_trials(study)
                unfinished = plan.needs_another(study.get_trials(deepcopy=False))
                if unfinished and not interrupted and time.monotonic() < deadline:
                    continue  # with the trials of processes that were killed meanwhile
            best = None
            if alone and not interrupted:
                try:
                    best = refit(study)
                except KeyboardInterrupt:
                    interrupted = True
            return TuningResult(
                study=folder,
                metric=runner.objective.metric,
                space=runner.space,
                trials=_trial_rows(study, runner),
                n_trials=plan.n_trials,
                grid_size=len(plan.initial) if plan.exhaustive else None,
                best=best,
                interrupted=interrupted,
                other_workers=not alone,
            )


def _run_trials(study: Study, runner: TrialRunner, plan: SearchPlan, deadline: float) -> bool:
    """Run the trials that are missing; whether Ctrl-C stopped it."""
    label = METRICS[runner.objective.metric].label
    with progress("Tuning", plan.n_trials) as tick:
        try:
            while True:
                trials = study.get_trials(deepcopy=False)
                best = best_trial(trials, runner.objective.higher_is_better)
                done = sum(trial.state in FINISHED for trial in trials)
                tick(done, f"best {label} {best.value:.4f}" if best else "")
                if time.monotonic() >= deadline or not plan.needs_another(trials):
                    return False
                trial = study.ask()
                if plan.exhaustive and INITIAL not in trial.user_attrs:
                    return False  # another process has just taken the last grid point
                try:
                    study.tell(trial, runner(trial))
                except TrialPruned:
                    study.tell(trial, state=TrialState.PRUNED)
        except KeyboardInterrupt:
            return True


def best_trial(trials: Iterable[FrozenTrial], higher_is_better: bool) -> FrozenTrial | None:
    """The best complete trial, the first of equals."""
    sign = -1.0 if higher_is_better else 1.0
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    return min(complete, key=lambda t: (sign * (t.value or 0.0), t.number), default=None)


def _trial_rows(study: Study, runner: TrialRunner) -> list[dict[str, Any]]:
    """Finished trials as `TuningResult.trials` has them."""
    sign = -1 if runner.objective.higher_is_better else 1
    # other estimators may report another metric
    comparable = estimator_class(runner.space.estimator).supports_warm_start

    def row(trial: FrozenTrial) -> dict[str, Any]:
        error = trial.user_attrs.get("error")
        state = "failed" if error is not None else trial.state.name.lower()
        has_value = state == "complete" or (state == "pruned" and comparable)
        return {
            "trial": trial.number,
            "value": trial.value if has_value else None,
            "state": state,
            "seconds": trial.duration.total_seconds() if trial.duration else None,
            "settings": dict(trial.params),
            "error": error,
        }

    def rank(row: Mapping[str, Any]) -> tuple[bool, bool, float]:
        value = row["value"]
        return row["state"] != "complete", value is None, sign * (value or 0.0)

    return sorted(map(row, finished(study)), key=rank)


def refit_best(
    study: Study,
    runner: TrialRunner,
    dataset: Dataset,
    train: Dataset,
    model: str,
    split: Split,
    run: str | Path | None,
) -> BestModel | None:
    """Refit, evaluate and save the best trial unless its run exists; None if none completed."""
    best = best_trial(finished(study), runner.objective.higher_is_better)
    if best is None:
        return None
    identity = study.user_attrs["identity"]
    saved = _saved_best(study)
    if saved and saved.trial == best.number and _has_run(saved, identity):
        folder = Path(saved.run)
        if run is None or Path(run).resolve() == folder:
            inside = folder.is_relative_to(Path.cwd())
            return replace(saved, run=str(folder.relative_to(Path.cwd()) if inside else folder))
    tested = sorted({*study.user_attrs.get("tested", ()), best.number})
    if split.test_fraction == 0:
        tested = []  # there is no test set
    study.set_user_attr("tested", tested)  # before the evaluation, so that none goes uncounted
    space, head = runner.space, runner.objective.head
    settings = space.to_settings(space.from_study(best.params), train.ratings)
    feedback = "explicit" if head == "rating" else "implicit"
    estimator = build_estimator(space.estimator, settings, seed=split.seed, feedback=feedback)
    # the other head has its defaults, as with `matinee train`
    default = ALS(seed=split.seed) if dataset.ratings.differ else None
    rating: Estimator | None = estimator if head == "rating" else default
    ranker: Estimator = estimator if head == "ranking" else ImplicitALS(seed=split.seed)
    result = train_and_evaluate(
        dataset, rating, split, ranker=ranker, threads=runner.threads, on_interrupt="raise"
    )
    found = {"trial": best.number, "value": best.value, "test_evaluations": len(tested)}
    tuning = {"study": identity, "trials": len(finished(study)), **found}
    tuned = replace(result.model, metadata={**result.model.metadata, "tuning": tuning})
    folder = save_run(tuned, run, f"{model}-tuned")
    metrics, nested = _test_metrics(result, runner.objective), nested_settings(settings)
    refitted = BestModel(best.number, nested, str(folder), metrics, len(tested))
    # absolute, since another process may have another working folder
    study.set_user_attr("best", asdict(replace(refitted, run=str(folder.resolve()))))
    return refitted


def _has_run(best: BestModel, identity: Mapping[str, Any]) -> bool:
    """Whether the run of the best model still lies where it was saved."""
    try:
        tuning = read_manifest(Path(best.run)).get("tuning")
    except RunError:
        return False
    expected = {"study": identity, "trial": best.trial}
    return isinstance(tuning, dict) and expected.items() <= tuning.items()


def _saved_best(study: Study) -> BestModel | None:
    """The best model that the study remembers."""
    saved = study.user_attrs.get("best")
    if saved is None:
        return None
    names = {attribute.name for attribute in fields(BestModel)}
    complete = isinstance(saved, dict) and saved.keys() == names
    if not complete or not isinstance(saved["settings"], dict) or not isinstance(saved["run"], str):
        raise RunError("The study is damaged (its best model); begin a new one.")
    settings = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in saved["settings"].items()
    }
    return BestModel(**{**saved, "settings": settings})


def _test_metrics(result: TrainingResult, objective: Objective) -> dict[str, float | None]:
    """The test metrics of the head that was tuned."""
    if objective.head == "rating":
        return {name: getattr(result.rating, name, None) for name in ("rmse", "mae")}
    ranking = result.ranking
    return {name: ranking[name] if ranking else None for name in ("ndcg@10", objective.metric)}

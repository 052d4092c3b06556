"""The search: trials on the training part alone, then the winner on the test part, once."""

import math
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from optuna import Study, TrialPruned
from optuna.trial import FrozenTrial, TrialState

from matinee.data import Dataset
from matinee.errors import SettingError
from matinee.evaluation import Split
from matinee.models.recipes import RANKING, RATING
from matinee.models.runs import refuse_occupied
from matinee.models.warmup import compile_kernels
from matinee.progress import progress
from matinee.tuning.objective import objective_of
from matinee.tuning.plan import Plan, plan_of
from matinee.tuning.samplers import sampler_of
from matinee.tuning.space import Space, recipe_with
from matinee.tuning.space_files import read_space, usual_space
from matinee.tuning.study import (
    FINISHED,
    FIRST,
    STUDIES,
    alone_with,
    at_work,
    bury,
    finished,
    told_plainly,
)
from matinee.tuning.trials import Trials, grows, pruner_of
from matinee.tuning.tuned import Tuned
from matinee.tuning.validation import inner_parts
from matinee.tuning.winner import best_of, crown


def tune(
    dataset: Dataset,
    model: str,
    *,
    metric: str | None = None,
    trials: int | None = None,
    minutes: float | None = None,
    space: Space | str | Path | None = None,
    search: str = "tpe",
    split: Split | None = None,
    validation: str = "random",
    study: str | Path | None = None,
    run: str | Path | None = None,
    threads: int | None = None,
) -> Tuned:
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
    space : Space or path of a TOML file, optional
        By default the one that ships with the recipe.
    search : {"tpe", "random", "grid"}
        Where the next trial is. A space of a few values is tried whole, whatever is said.
    split : Split, optional
        By default a random tenth is the test part.
    validation : str
        ``"random"``, ``"time"``, or ``"5-fold"`` and so on.
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
    >>> from matinee.data.generated import generate
    >>> data, _ = generate(viewers=60, movies=50, ratings=1500, seed=0)
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
        refuse_occupied(Path(run))  # before the work, not after it
    objective = objective_of(model, metric)
    recipe = (RANKING if objective.of_lists else RATING)[model]
    named = None if space is None else "own-space"
    if space is None:
        space = usual_space(recipe)
    elif not isinstance(space, Space):
        named = Path(space).stem
        space = read_space(recipe, space)
    split = split or Split()
    train, _ = split.apply(dataset)
    parts = inner_parts(train, validation, split.seed)
    plan = plan_of(space, search, trials, split.seed)
    sampler = sampler_of(search, split.seed)
    identity: dict[str, Any] = {
        "data": dataset.ratings.fingerprint(),
        "movies": dataset.catalog.fingerprint(),
        "model": model,
        "metric": objective.metric,
        "space": space.as_json(),
        "search": search,
        "split": {"method": split.method, "test_fraction": split.test_fraction},
        "validation": validation,
        "seed": split.seed,
        "unsearched": space.unsearched(train.ratings),
    }
    folder = Path(study or _usual_folder(dataset.name, identity, named))
    job = Trials(space, objective, parts, split.seed, threads)
    compile_kernels([recipe_with(recipe, space.fixed)])
    until = math.inf if minutes is None else time.monotonic() + 60 * minutes
    while True:
        work = at_work(
            folder,
            identity,
            higher_is_better=objective.higher_is_better,
            sampler=sampler,
            pruner=pruner_of(recipe),
            first=plan.first,
        )
        with work as opened, told_plainly(folder):
            interrupted = _work(opened, job, plan, until)
        with told_plainly(folder), alone_with(folder) as alone:
            if alone:
                bury(opened)
                left = plan.goes_on(opened.get_trials(deepcopy=False))
                if left and not interrupted and time.monotonic() < until:
                    continue  # with what processes had begun that were killed meanwhile
            winner = None
            if alone and not interrupted:
                try:
                    winner = crown(opened, job, dataset, train, model, split, run)
                except KeyboardInterrupt:
                    interrupted = True
            return Tuned(
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


def _usual_folder(name: str, identity: Mapping[str, Any], space: str | None) -> Path:
    """A folder for each data set, model and metric, and for whatever else is not as usual."""
    parts = [name, identity["model"], identity["metric"]]
    usual = {"search": "tpe", "validation": "random", **asdict(Split())}
    for key, value in {**identity, **identity["split"]}.items():
        if key in usual and value != usual[key]:
            parts.append(f"seed{value}" if key == "seed" else str(value))
    return STUDIES / "-".join([*parts, *([space] if space else [])])


def _work(study: Study, job: Trials, plan: Plan, until: float) -> bool:
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


def _table(study: Study, job: Trials) -> list[dict[str, Any]]:
    sign = -1 if job.objective.higher_is_better else 1
    comparable = grows(job.space.recipe)  # what others stream may be another figure

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

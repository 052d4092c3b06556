"""The search: trials on the training part alone, then the winner on the test part, once."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from optuna import Study
from optuna.trial import FrozenTrial, TrialState

from matinee.data import Dataset
from matinee.errors import SettingError
from matinee.evaluation import Result, Split, train_and_test
from matinee.models import ALS, ImplicitALS, Trainer
from matinee.models.recipes import RANKING, RATING
from matinee.models.runs import new_run
from matinee.models.warmup import compile_kernels
from matinee.progress import progress
from matinee.tuning.objective import Objective, objective_of
from matinee.tuning.samplers import sampler_of
from matinee.tuning.space import Space, recipe_with, usual_space
from matinee.tuning.study import (
    STUDIES,
    alone_with,
    at_work,
    bury,
    finished,
    stop_after,
    told_plainly,
)
from matinee.tuning.trials import Trials, pruner_of
from matinee.tuning.validation import inner_parts

TRIALS = 50


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
        Of the test part: ``rmse``, ``mae``, ``ndcg@10`` and the metric.
    tests : int
        How often the test part was looked at in this study.
    """

    trial: int
    settings: Mapping[str, Any]
    run: str
    test: Mapping[str, float | None]
    tests: int


@dataclass(frozen=True)
class Tuned:
    """What a search found.

    Parameters
    ----------
    study : Path
    metric : str
    trials : list of dict
        Of each finished trial, the best first: ``trial``, ``value`` (on the validation part; of a
        pruned one, when it was stopped), ``state`` (``"complete"``, ``"pruned"``, ``"broke"``),
        ``seconds``, its ``settings`` as they were searched, and ``why`` it broke.
    default : float or None
        Value of the default settings, where these were the first trial and got to the end.
    relative : tuple of str
        Settings that were searched as times what the data ask for.
    winner : Winner or None
        None where others still work on the study, no trial got to the end, or it was interrupted.
    interrupted, others : bool
        Whether the keyboard stopped it; whether other processes still work on it.
    """

    study: Path
    metric: str
    trials: list[dict[str, Any]]
    default: float | None
    relative: tuple[str, ...]
    winner: Winner | None
    interrupted: bool
    others: bool

    def as_json(self) -> dict[str, Any]:
        """Plain values with stable keys."""
        return {**asdict(self), "study": str(self.study)}


def tune(
    dataset: Dataset,
    model: str,
    *,
    metric: str | None = None,
    trials: int = TRIALS,
    minutes: float | None = None,
    space: Space | None = None,
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
    trials : int
        Finished trials of the study, those of earlier calls included.
    minutes : float, optional
        Begin no trial after so many.
    space : Space, optional
        By default the one that ships with the recipe.
    search : {"tpe", "random", "grid"}
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
    if trials < 1:
        raise SettingError(f"At least 1 trial is made, not {trials}.")
    if minutes is not None and not minutes > 0:
        raise SettingError(f"minutes are above 0, not {minutes:g}.")
    objective = objective_of(model, metric)
    recipe = (RANKING if objective.of_lists else RATING)[model]
    space = space or usual_space(recipe)
    split = split or Split()
    train, _ = split.apply(dataset)
    parts = inner_parts(train, validation, split.seed)
    folder = Path(study or STUDIES / f"{dataset.name}-{model}-{objective.metric}")
    identity = {
        "data": dataset.ratings.fingerprint(),
        "model": model,
        "metric": objective.metric,
        "space": space.as_json(),
        "search": search,
        "split": {"method": split.method, "test_fraction": split.test_fraction},
        "validation": validation,
        "seed": split.seed,
    }
    job = Trials(space, objective, parts, split.seed, threads)
    compile_kernels([recipe_with(recipe, space.fixed)])
    work = at_work(
        folder,
        identity,
        higher_is_better=objective.higher_is_better,
        sampler=sampler_of(search, space, split.seed),
        pruner=pruner_of(recipe),
        first=None if search == "grid" else space.default(),
    )
    with work as opened, told_plainly(folder):
        interrupted = _work(opened, job, trials, minutes)
    winner = None
    with told_plainly(folder), alone_with(folder) as alone:
        if alone:
            bury(opened)
        if alone and not interrupted:
            winner = _crown(opened, job, dataset, model, split, run)
        return Tuned(
            study=folder,
            metric=objective.metric,
            trials=_table(opened, objective),
            default=_default(opened),
            relative=space.relative,
            winner=winner,
            interrupted=interrupted,
            others=not alone,
        )


def _work(study: Study, job: Trials, trials: int, minutes: float | None) -> bool:
    """Make the trials that are wanting; whether the keyboard stopped it."""
    if len(finished(study)) >= trials:
        return False
    with progress("Tuning", trials) as tick:

        def tell(study: Study, _: FrozenTrial) -> None:
            done = finished(study)
            best = _best(study)
            tick(len(done), f"best {job.objective.metric} {best.value:.4f}" if best else "")

        try:
            study.optimize(
                job,
                timeout=None if minutes is None else 60 * minutes,
                callbacks=[tell, stop_after(trials)],
            )
        except KeyboardInterrupt:
            return True
    return False


def _best(study: Study) -> FrozenTrial | None:
    if not any(one.state == TrialState.COMPLETE for one in finished(study)):
        return None
    return study.best_trial


def _crown(
    study: Study,
    job: Trials,
    dataset: Dataset,
    model: str,
    split: Split,
    run: str | Path | None,
) -> Winner | None:
    """The winner, trained and tested unless it was before."""
    best = _best(study)
    if best is None:
        return None
    earlier = study.user_attrs.get("winner")
    if earlier and earlier["trial"] == best.number:
        return Winner(**earlier)
    train, _ = split.apply(dataset)
    settings = job.space.settings(job.space.of(best.params), train.ratings)
    objective = job.objective
    feedback = "implicit" if objective.of_lists else "explicit"
    recipe = recipe_with(job.space.recipe, settings, seed=split.seed, feedback=feedback)
    # the other head with its defaults, as `matinee train` would
    rating: Trainer = ALS(seed=split.seed) if objective.of_lists else recipe
    ranking: Trainer = recipe if objective.of_lists else ImplicitALS(seed=split.seed)
    result = train_and_test(dataset, rating, split, ranking=ranking, threads=job.threads)
    tests = earlier["tests"] + 1 if earlier else 1
    noted = {
        "study": study.user_attrs["identity"],
        "trials": len(finished(study)),
        "trial": best.number,
        "value": best.value,
        "tests": tests,
    }
    tuned = replace(result.model, about={**result.model.about, "tuning": noted})
    folder = tuned.save(run or new_run(dataset.name, f"{model}-tuned"))
    winner = Winner(best.number, settings, str(folder), _tested(result, objective), tests)
    study.set_user_attr("winner", asdict(winner))
    return winner


def _tested(result: Result, objective: Objective) -> dict[str, float | None]:
    """The figures of the test part."""
    found: dict[str, float | None] = {
        name: getattr(result.test, name, None) for name in ("rmse", "mae")
    }
    for name in ("ndcg@10", objective.metric):
        if name not in found:
            found[name] = result.lists[name] if result.lists else None
    return found


def _table(study: Study, objective: Objective) -> list[dict[str, Any]]:
    sign = -1 if objective.higher_is_better else 1

    def order(trial: FrozenTrial) -> tuple[bool, float]:
        value = trial.value
        return trial.state != TrialState.COMPLETE, sign * value if value is not None else 0.0

    return [
        {
            "trial": one.number,
            "value": one.value,
            "state": "broke" if "broke" in one.user_attrs else one.state.name.lower(),
            "seconds": one.duration.total_seconds() if one.duration else None,
            "settings": dict(one.params),
            "why": one.user_attrs.get("broke"),
        }
        for one in sorted(finished(study), key=order)
    ]


def _default(study: Study) -> float | None:
    """Value of the first trial, where it was enqueued with the defaults."""
    for one in finished(study):
        if (
            one.number == 0
            and one.state == TrialState.COMPLETE
            and "fixed_params" in one.system_attrs
        ):
            return one.value
    return None

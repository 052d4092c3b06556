"""Studies on disk: every finished trial, in the SQLite file that Optuna's own tools read.

Processes at work share a lock on the study's folder. One that gets it alone knows that no other is
alive, and so that trials marked as running were killed.
"""

import json
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import URL, event
from sqlalchemy.exc import SQLAlchemyError

from matinee.errors import MatineeError, RunError, SettingError
from matinee.progress import progress
from matinee.storage.locks import locked

STUDY_FILE = "study.sqlite3"
WRITE_TIMEOUT = 60  # seconds to wait for another process to write
INITIAL = "initial"  # user attribute of the trials a study begins with, and of their repetitions
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
STORAGE_ERRORS = (SQLAlchemyError, StorageInternalError)
SEARCHES = ("tpe", "random", "grid")
STARTUP_TRIALS = 10  # random trials before TPE learns from them
# what makes a study what it is, and how messages name it: the data, then the arguments
DATA = {"data": "ratings", "items": "items (titles, years, genres)"}
ARGUMENTS = {
    "model": "--model",
    "metric": "--metric",
    "space": "the search space",
    "search": "--search",
    "split": "the split",
    "validation": "--validation",
    "seed": "--seed",
    "unsearched": "the settings that are not searched (defaults of another version)",
}


@contextmanager
def open_study(
    folder: Path,
    identity: Mapping[str, Any],
    higher_is_better: bool,
    sampler: BaseSampler,
    pruner: BasePruner,
    initial: Sequence[Mapping[str, Any]] = (),
    allowed: Callable[[Mapping[str, Any]], bool] = lambda values: True,
) -> Iterator[Study]:
    """The study in a folder, new or resumed, with the folder's lock shared until the block ends.

    `allowed` says whether a trial may have such values; a study with another one is refused.
    """
    usable = folder.is_dir() and ((folder / STUDY_FILE).is_file() or not any(folder.iterdir()))
    if folder.exists() and not usable:
        raise RunError(f"{folder}: exists and is not a study; choose another folder.")
    folder.mkdir(parents=True, exist_ok=True)
    identity = json.loads(json.dumps(identity))  # as the study will return it

    direction = StudyDirection.MAXIMIZE if higher_is_better else StudyDirection.MINIMIZE

    def load() -> Study:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            study = optuna.create_study(
                study_name="matinee",
                storage=_storage(folder / STUDY_FILE),
                direction=direction,
                sampler=sampler,
                pruner=pruner,
                load_if_exists=True,
            )
        if "identity" in study.user_attrs and study.directions != [direction]:
            raise ValueError("it does not say what is best")
        return study

    # a damaged file can break Optuna's loading in any way
    with storage_errors_as_run_error(folder, (Exception,)), exclusive_lock(folder) as alone:
        if alone:
            study = load()
            if "identity" not in study.user_attrs and not finished(study):
                waiting = study.get_trials(deepcopy=False)  # left by a process killed right here
                enqueued = [trial.system_attrs.get("fixed_params") for trial in waiting]
                for values in initial:
                    if values not in enqueued:
                        study.enqueue_trial(dict(values), user_attrs={INITIAL: True})
                study.set_user_attr("identity", identity)
            requeue_failed_trials(study)
    with ExitStack() as stack:
        with progress("Waiting for another process to open the study"):
            stack.enter_context(locked(folder, shared=True))
        with storage_errors_as_run_error(folder, (Exception,)):
            study = load()
            _check_identity(study.user_attrs.get("identity"), identity, folder)
            _check_trials(study, allowed)
        yield study


@contextmanager
def exclusive_lock(folder: Path) -> Iterator[bool]:
    """Whether no other process works on the study; if so, none can begin until the block ends."""
    with locked(folder, wait=False) as alone:
        yield alone


def finished(study: Study) -> list[FrozenTrial]:
    """The complete and the pruned trials."""
    return study.get_trials(deepcopy=False, states=FINISHED)


def requeue_failed_trials(study: Study) -> None:
    """Mark the trials of killed processes as failed and re-enqueue them; needs the lock."""
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
    requeued = set(study.user_attrs.get("requeued", ()))
    for trial in study.get_trials(deepcopy=False, states=(TrialState.FAIL,)):
        values = {**trial.system_attrs.get("fixed_params", {}), **trial.params}
        if values and trial.number not in requeued:
            initial = {INITIAL: True} if INITIAL in trial.user_attrs else None
            study.enqueue_trial(values, user_attrs=initial)
            requeued.add(trial.number)
    study.set_user_attr("requeued", sorted(requeued))


@contextmanager
def storage_errors_as_run_error(
    folder: Path, errors: tuple[type[Exception], ...] = STORAGE_ERRORS
) -> Iterator[None]:
    """Errors of the study's file as a RunError in one line."""
    try:
        yield
    except MatineeError:
        raise
    except errors as error:
        raise RunError(
            f"{folder / STUDY_FILE}: cannot use the study ({first_line(error)}); "
            "choose another folder, or remove this one."
        ) from None


def first_line(error: BaseException) -> str:
    """The first line of an error's message, without its full stop."""
    cause = error.__cause__ or error
    text = str(getattr(cause, "orig", None) or cause)
    return text.partition("\n")[0].rstrip(".") or type(cause).__name__


def _storage(path: Path) -> RDBStorage:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    address = URL.create("sqlite", database=str(path)).render_as_string()
    storage = RDBStorage(address, engine_kwargs={"connect_args": {"timeout": WRITE_TIMEOUT}})
    event.listen(storage.engine, "connect", _write_ahead)
    storage.engine.dispose()  # connections opened before the listener
    return storage


def _write_ahead(connection: Any, _: Any) -> None:
    """Writing twice as fast: a kill loses nothing, a power cut the last trial at most."""
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")


def _check_identity(began: Any, now: Mapping[str, Any], folder: Path) -> None:
    """Refuse to resume a study with other data or arguments than it began with."""
    if not isinstance(began, dict):
        raise RunError(f"{folder}: not a study of matinee tune; choose another folder.")
    for name, label in DATA.items():
        if began.get(name) != now[name]:
            raise RunError(
                f"{folder}: the {label} changed since this study began; "
                "choose another folder with --study."
            )
    for name, label in ARGUMENTS.items():
        old, new = began.get(name), now[name]
        if old != new:
            short = isinstance(old, str | int) and isinstance(new, str | int)
            raise SettingError(
                f"{folder}: this study began with another value of {label}"
                f"{f' ({old}, not {new})' if short else ''}; choose another folder with --study."
            )


def _check_trials(study: Study, allowed: Callable[[Mapping[str, Any]], bool]) -> None:
    """ValueError unless trials are such as matinee leaves, since anybody can write the file."""
    for number, trial in enumerate(study.get_trials(deepcopy=False)):
        told = trial.user_attrs.get("error")
        sound = trial.number == number and allowed(trial.params) and isinstance(told, str | None)
        if trial.state == TrialState.COMPLETE:
            sound = sound and trial.value is not None and math.isfinite(trial.value)
        if not sound:
            raise ValueError(f"trial {number} is none of this search")


def make_sampler(search: str, seed: int) -> BaseSampler:
    """The sampler of a search; grid points are enqueued when the study begins, so never sampled."""
    # Bergstra et al. 2011, "Algorithms for hyper-parameter optimization"; over all hyperparameters
    # together, and with running trials counted as bad, so that no two processes try the same
    if search not in SEARCHES:
        names = ", ".join(map(repr, SEARCHES))
        raise SettingError(f"search must be one of {names}, got {search!r}.")
    tpe = partial(
        TPESampler, n_startup_trials=STARTUP_TRIALS, multivariate=True, constant_liar=True
    )
    return SeededPerTrial(tpe if search == "tpe" else RandomSampler, seed)


class SeededPerTrial(BaseSampler):
    """A sampler that seeds each trial by the study's seed and its rank, as if never interrupted."""

    def __init__(self, make: Callable[..., BaseSampler], seed: int) -> None:
        self._make, self._seed = make, seed
        self._trial, self._sampler = -1, make(seed=0)

    def _sampler_of(self, study: Study, trial: FrozenTrial) -> BaseSampler:
        """The sampler of a trial, which Optuna asks for once per hyperparameter."""
        if trial.number != self._trial:
            failed = study.get_trials(deepcopy=False, states=(TrialState.FAIL,))
            # failed ones are repeated: they do not count
            rank = trial.number - sum(other.number < trial.number for other in failed)
            seed = np.random.SeedSequence((self._seed, rank)).generate_state(1)[0]
            self._trial, self._sampler = trial.number, self._make(seed=int(seed))
        return self._sampler

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """The hyperparameters that are sampled together."""
        return self._sampler_of(study, trial).infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Values of the hyperparameters that are sampled together."""
        return self._sampler_of(study, trial).sample_relative(study, trial, search_space)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """The value of a hyperparameter that is sampled alone."""
        sampler = self._sampler_of(study, trial)
        return sampler.sample_independent(study, trial, param_name, param_distribution)

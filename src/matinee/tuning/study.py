"""A study on disk: every trial that ended, for whoever works on it, whenever.

A folder holds `study.sqlite3`, which Optuna keeps and its other tools can read. Processes at work
hold the folder's lock together; who holds it alone knows that nobody else is alive, and that trials
that seem to run were killed.
"""

import json
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
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
from matinee.storage.atomic import LOCKS, locked

STUDIES = Path("studies")
"""Where studies go unless another place is named."""
FILE = "study.sqlite3"
PATIENCE = 60  # seconds to wait for another process to write
FIRST = "first"
"""Attribute of the trials that a study begins with, and of those made in their place."""
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
UNUSABLE = (SQLAlchemyError, StorageInternalError)
"""How it shows that a study's file cannot be used."""
DATA = {"data": "ratings", "items": "movies, with their years and genres,"}
NAMES = {
    "model": "--model",
    "metric": "--metric",
    "space": "the space",
    "search": "--search",
    "split": "the split",
    "validation": "--validation",
    "seed": "--seed",
    "unsearched": "the settings that are not searched (another version's defaults)",
}
"""What makes a study what it is, in words: its data, and the rest."""


@contextmanager
def open_study(
    folder: Path,
    identity: Mapping[str, Any],
    *,
    higher_is_better: bool,
    sampler: BaseSampler,
    pruner: BasePruner,
    first: Sequence[Mapping[str, Any]] = (),
) -> Iterator[Study]:
    """The study in a folder, begun now or earlier, for as long as this process works on it.

    Parameters
    ----------
    folder : Path
    identity : mapping of str to plain values
        The fingerprints that `DATA` names, and what `NAMES` does.
    higher_is_better : bool
    sampler, pruner : of Optuna
    first : sequence of mappings
        Settings of the first trials.

    Raises
    ------
    RunError
        If the folder holds something else, or a study of other data.
    SettingError
        If the study was begun with something else that `NAMES` names.
    """
    ours = folder.is_dir() and ((folder / FILE).is_file() or not any(folder.iterdir()))
    if folder.exists() and not ours:
        raise RunError(f"{folder}: this is there already and is no study; choose another folder.")
    folder.mkdir(parents=True, exist_ok=True)
    same: dict[str, Any] = json.loads(json.dumps(identity))  # as it will come back

    def opened() -> Study:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            return optuna.create_study(
                study_name="matinee",
                storage=_storage(folder / FILE),
                direction=StudyDirection.MAXIMIZE if higher_is_better else StudyDirection.MINIMIZE,
                sampler=sampler,
                pruner=pruner,
                load_if_exists=True,
            )

    with _opening(folder), exclusive_lock(folder) as alone:
        if alone:
            study = opened()
            if "identity" not in study.user_attrs and not finished(study):
                waiting = study.get_trials(deepcopy=False)  # of a process killed just here
                there = [one.system_attrs.get("fixed_params") for one in waiting]
                for settings in first:
                    if settings not in there:
                        study.enqueue_trial(dict(settings), user_attrs={FIRST: True})
                study.set_user_attr("identity", same)
            requeue_failed_trials(study)
    with ExitStack() as held:
        with progress("Waiting for another process at this study"):
            held.enter_context(locked(folder, shared=True))
        with _opening(folder):
            study = opened()
            _compare(study.user_attrs.get("identity"), same, folder)
        yield study


@contextmanager
def exclusive_lock(folder: Path) -> Iterator[bool]:
    """Whether nobody else works on the study; if so, nobody will begin to before the block ends."""
    with locked(folder, wait=False) as alone:
        yield alone or not LOCKS  # where there are no locks, one process is up to the user


def finished(study: Study) -> list[FrozenTrial]:
    """The trials that ended, whole or pruned."""
    return study.get_trials(deepcopy=False, states=FINISHED)


def requeue_failed_trials(study: Study) -> None:
    """End the trials of processes that are no more, and have them made again.

    For who is alone with the study.
    """
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
    again = set(study.user_attrs.get("again", ()))
    for trial in study.get_trials(deepcopy=False, states=(TrialState.FAIL,)):
        settings = {**trial.system_attrs.get("fixed_params", {}), **trial.params}
        if settings and trial.number not in again:
            first = {FIRST: True} if FIRST in trial.user_attrs else None
            study.enqueue_trial(settings, user_attrs=first)
            again.add(trial.number)
    study.set_user_attr("again", sorted(again))


@contextmanager
def storage_errors_as_run_error(
    folder: Path, kinds: tuple[type[Exception], ...] = UNUSABLE
) -> Iterator[None]:
    """Errors of the file as `RunError`."""
    try:
        yield
    except MatineeError:
        raise
    except kinds as problem:
        raise RunError(
            f"{folder / FILE}: the study cannot be used ({first_line(problem)}); "
            "choose another folder, or remove this one."
        ) from None


def _opening(folder: Path) -> AbstractContextManager[None]:
    """The same for opening, where a file that says strange things breaks in many ways."""
    return storage_errors_as_run_error(folder, (Exception,))


def first_line(problem: BaseException) -> str:
    """What an error says first, without its full stop."""
    cause = problem.__cause__ or problem
    lines = str(getattr(cause, "orig", None) or cause).splitlines()
    return lines[0].rstrip(".") if lines else type(cause).__name__


def _storage(path: Path) -> RDBStorage:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    address = URL.create("sqlite", database=str(path)).render_as_string()
    storage = RDBStorage(address, engine_kwargs={"connect_args": {"timeout": PATIENCE}})
    event.listen(storage.engine, "connect", _quicker)
    storage.engine.dispose()  # connections from before
    return storage


def _quicker(connection: Any, _: Any) -> None:
    """A kill loses nothing; a power cut may lose the last trial, and writing is twice as quick."""
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")


def _compare(begun: Any, asked: Mapping[str, Any], folder: Path) -> None:
    """Refuse to go on with something else than the study was begun with."""
    if not isinstance(begun, dict):
        raise RunError(f"{folder}: this is no study of matinee tune; choose another folder.")
    for name, words in DATA.items():
        if begun.get(name) != asked[name]:
            raise RunError(
                f"{folder}: these are no longer the {words} that the study was begun with; "
                "name another folder with --study."
            )
    for name, words in NAMES.items():
        if begun.get(name) != asked[name]:
            raise SettingError(
                f"{folder}: this study was begun with another value of {words}"
                f"{_both(begun.get(name), asked[name])}; name another folder with --study."
            )


def _both(begun: Any, asked: Any) -> str:
    short = isinstance(begun, str | int) and isinstance(asked, str | int)
    return f" ({begun}, not {asked})" if short else ""


SEARCHES = ("tpe", "random", "grid")
AT_RANDOM = 10  # trials before the first that learns from others


def sampler_of(search: str, seed: int) -> BaseSampler:
    """The sampler of a search; the points of a grid stand in the study from the beginning.

    ``"tpe"`` is a tree-structured Parzen estimator over all settings together (Bergstra et al.
    2011, "Algorithms for hyper-parameter optimization"); trials of other processes that have not
    ended count as bad, so that nobody tries the same.

    Raises
    ------
    SettingError
        If there is no such search.
    """
    if search == "tpe":
        return EachSeeded(
            lambda own: TPESampler(
                n_startup_trials=AT_RANDOM, multivariate=True, constant_liar=True, seed=own
            ),
            seed,
        )
    if search in SEARCHES:
        return EachSeeded(lambda own: RandomSampler(seed=own), seed)
    raise SettingError(f"search is {', '.join(SEARCHES)}, not {search!r}.")


class EachSeeded(BaseSampler):
    """Draws each trial with a seed made of the study's and the trial's place among the others.

    Trials that were interrupted do not count, for they are made again. So what one process tries
    next depends on what was found before, and not on whether it was interrupted.
    """

    def __init__(self, make: Callable[[int], BaseSampler], seed: int) -> None:
        self._make, self._seed = make, seed
        self._trial, self._sampler = -1, make(0)

    def _of(self, study: Study, trial: FrozenTrial) -> BaseSampler:
        """The sampler of a trial, which is asked for each of its settings."""
        if trial.number != self._trial:
            gone = study.get_trials(deepcopy=False, states=(TrialState.FAIL,))
            place = trial.number - sum(one.number < trial.number for one in gone)
            own = np.random.SeedSequence((self._seed, place)).generate_state(1)[0]
            self._trial, self._sampler = trial.number, self._make(int(own))
        return self._sampler

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """What is drawn together."""
        return self._of(study, trial).infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Settings drawn together."""
        return self._of(study, trial).sample_relative(study, trial, search_space)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """A setting drawn alone."""
        sampler = self._of(study, trial)
        return sampler.sample_independent(study, trial, param_name, param_distribution)

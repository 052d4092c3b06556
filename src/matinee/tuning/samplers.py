"""Where the next trial is: anywhere, or where earlier ones were good."""

from collections.abc import Callable
from typing import Any

import numpy as np
from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from matinee.errors import SettingError

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

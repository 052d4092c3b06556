"""Where the next trial is: on a grid, anywhere, or where earlier ones were good."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, GridSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from matinee.errors import SettingError
from matinee.tuning.space import Space

SEARCHES = ("tpe", "random", "grid")
AT_RANDOM = 10  # trials before the first that learns from others


def sampler_of(search: str, space: Space, seed: int) -> BaseSampler:
    """The sampler of a search.

    ``"tpe"`` is a tree-structured Parzen estimator over all settings together (Bergstra et al.
    2011, "Algorithms for hyper-parameter optimization"); trials of other processes that have not
    ended count as bad, so that nobody tries the same.

    Raises
    ------
    SettingError
        If there is no such search.
    """
    if search == "grid":
        return GridSampler(space.grid(), seed=seed)
    if search == "random":
        return EachSeeded(lambda own: RandomSampler(seed=own), seed)
    if search == "tpe":
        return EachSeeded(
            lambda own: TPESampler(
                n_startup_trials=AT_RANDOM, multivariate=True, constant_liar=True, seed=own
            ),
            seed,
        )
    raise SettingError(f"search is {', '.join(SEARCHES)}, not {search!r}.")


class EachSeeded(BaseSampler):
    """Draws each trial with a seed made of the study's and the trial's number.

    So what is tried depends on what was found before and on nothing else: a study goes on after
    an interrupt as it would have, and processes that share one do not draw the same.
    """

    def __init__(self, make: Callable[[int], BaseSampler], seed: int) -> None:
        # seeds of different studies may meet at numbers that few studies reach
        self._of = lru_cache(maxsize=1)(lambda number: make(1_000_003 * seed + number))

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """What is drawn together."""
        return self._of(trial.number).infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Settings drawn together."""
        return self._of(trial.number).sample_relative(study, trial, search_space)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """A setting drawn alone."""
        sampler = self._of(trial.number)
        return sampler.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Any) -> None:
        """What a sampler notes beside a trial."""
        self._of(trial.number).after_trial(study, trial, state, values)

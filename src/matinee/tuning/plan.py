"""What a search sets out to try."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from optuna.trial import FrozenTrial, TrialState

from matinee.tuning.space import Space
from matinee.tuning.study import FINISHED

TRIALS = 50


@dataclass(frozen=True)
class Plan:
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


def plan_of(space: Space, search: str, trials: int | None, seed: int) -> Plan:
    """The plan of a search that is to make so many trials.

    A grid is tried in no order, so that a part of it tells of the whole; so is a space of a few
    values, whatever the search, for nothing has to be tried twice. The defaults come first, where
    they are among them.

    Examples
    --------
    >>> from matinee.tuning import Choice
    >>> space = Space("EASE", {"regularization": Choice((100.0, 200.0, 300.0))})
    >>> plan = plan_of(space, "tpe", None, seed=0)
    >>> plan.wanted, plan.first[0]
    (3, {'regularization': 300.0})
    """
    default = space.default()
    # by space and search alone, so that a study stays what it was begun as
    if search != "grid" and not (space.finite and space.points <= TRIALS):
        return Plan([] if default is None else [default], trials or TRIALS, whole=False)
    grid = space.grid()
    mixed = [grid[at] for at in np.random.default_rng(seed).permutation(len(grid))]
    mixed.sort(key=lambda point: point != default)  # the rest stays as it is
    return Plan(mixed, min(trials or len(grid), len(grid)), whole=True)

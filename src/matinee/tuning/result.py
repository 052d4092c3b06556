"""The result of a search: its trials, the best model, and both in sentences."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from matinee.evaluation.metrics import METRICS
from matinee.tuning.search_space import Choice, Range, SearchSpace

BOUNDARY = 0.1  # fraction of a range that counts as its end


@dataclass(frozen=True)
class BestModel:
    """The best trial, refit on the full training set and evaluated on the test set.

    `trial` is its number, from 0 on; `settings` are the hyperparameters searched or fixed, relative
    ones resolved; `run` is the run's folder, relative to the working folder where it lies below
    that. `test_metrics` has ``rmse`` and ``mae`` of a rating head, ``ndcg@10`` and the metric of
    the search of a ranking head. `test_evaluations` is how many best trials of this study were
    evaluated on the test set so far, 0 if there is none.
    """

    trial: int
    settings: Mapping[str, Any]
    run: str
    test_metrics: Mapping[str, float | None]
    test_evaluations: int


@dataclass(frozen=True)
class TuningResult:
    """The result of a search.

    `trials` are the finished ones of the `n_trials` asked for, the best first: ``trial`` (its
    number), ``value`` (on the validation set; of a pruned trial of ``als`` or ``ials`` the value at
    which it was pruned, of other pruned trials None), ``state`` (``"complete"``, ``"pruned"``,
    ``"failed"``), ``seconds``, ``settings`` (as searched: relative ones are multiples) and
    ``error`` of a failed one. `grid_size` is the number of grid points of an exhaustive search.
    `best` is None if other workers still run (`other_workers`), no trial completed, or Ctrl-C
    stopped the search (`interrupted`). `study` is the study's folder.
    """

    study: Path
    metric: str
    space: SearchSpace
    trials: list[dict[str, Any]]
    n_trials: int
    grid_size: int | None = None
    best: BestModel | None = None
    interrupted: bool = False
    other_workers: bool = False

    @property
    def head(self) -> str:
        """The head that was tuned: ``"rating"`` or ``"ranking"``."""
        return METRICS[self.metric].task

    @property
    def higher_is_better(self) -> bool:
        """False for errors, True for ranking metrics."""
        return METRICS[self.metric].direction == "higher"

    @property
    def completed(self) -> list[dict[str, Any]]:
        """The trials that ran to completion, the best first."""
        return [trial for trial in self.trials if trial["state"] == "complete"]

    @property
    def default_trial(self) -> dict[str, Any] | None:
        """The completed trial of the default settings, if there is one."""
        default = self.space.default_values()
        return next((trial for trial in self.completed if trial["settings"] == default), None)

    @property
    def labels(self) -> dict[str, str]:
        """Column titles of the hyperparameters that were searched."""
        labels = {name: name for name in self.space.searched}
        return labels | {name: f"{name} (x default)" for name in self.space.relative}

    @property
    def summary(self) -> str:
        """How many trials there are, and how they ended."""
        states = [trial["state"] for trial in self.trials]
        count = f"{len(states):,} trial{'' if len(states) == 1 else 's'}"
        grid = f" of a grid of {self.grid_size:,}" if self.grid_size else ""
        counts = [f"{states.count('complete'):,} complete", f"{states.count('pruned'):,} pruned"]
        if failed := states.count("failed"):
            counts.append(f"{failed:,} failed")
        return f"{count}{grid}: {', '.join(counts)}."

    @property
    def status(self) -> str:
        """How often the test set was evaluated, or why there is no best model yet."""
        done = len(self.trials)
        resume = "Run the same command to continue"
        if self.interrupted and done >= self.n_trials:
            return f"Interrupted while refitting the best trial. {resume}."
        if self.interrupted:
            fewer = f", or add --trials {done} to refit the best so far" if self.completed else ""
            return f"Interrupted: {done:,} of {self.n_trials:,} trials done. {resume}{fewer}."
        if self.other_workers:
            workers = "Other workers are running; the last one refits the best trial"
            return f"{workers}. If it is stopped, run the same command."
        missing = done < self.n_trials
        progress = f"{done:,} of {self.n_trials:,} trials done. {resume}. " if missing else ""
        if self.best is None:
            return f"{progress}No trial completed, so there is no best model."
        times = self.best.test_evaluations
        if times == 0:
            return f"{progress}There is no test set."
        count = "once" if times == 1 else f"{times} times, once per best trial"
        return f"{progress}Test set evaluated {count}."

    @property
    def has_bounds(self) -> bool:
        """Whether any hyperparameter that was searched has a lowest and a highest value."""
        return any(len(_numbers(values)) > 1 for values in self.space.searched.values())

    @property
    def at_bounds(self) -> dict[str, str]:
        """The hyperparameters whose best value lies at the ``"low"`` or ``"high"`` bound.

        Better values may lie beyond. The outer tenth of a range counts, and the lowest and highest
        of a list of numbers.

        Examples
        --------
        >>> space = SearchSpace("ALS", {"factors": Range(16, 128, log=True)})
        >>> trial = {"state": "complete", "settings": {"factors": 110}}
        >>> TuningResult(Path("study"), "rmse", space, [trial], n_trials=5).at_bounds
        {'factors': 'high'}
        """
        best = self.completed[0]["settings"] if self.completed else {}
        ends = {}
        for name, values in self.space.searched.items():
            position = _position(values, best[name]) if name in best else None
            if position is not None and min(position, 1 - position) <= BOUNDARY:
                ends[name] = "low" if position < 0.5 else "high"
        return ends

    def to_dict(self) -> dict[str, Any]:
        """Plain values with stable keys."""
        return {
            **asdict(self),
            "study": str(self.study),
            "head": self.head,
            "space": self.space.to_dict(),
            "default_value": None if self.default_trial is None else self.default_trial["value"],
        }


def _numbers(values: Range | Choice) -> list[float]:
    """The bounds of a range, or the values of a list of numbers, ascending; else none."""
    numeric = all(type(value) in (int, float) for value in values.bounds)
    return sorted(set(values.bounds)) if numeric else []


def _position(values: Range | Choice, value: Any) -> float | None:
    """Where a value lies between the lowest, 0, and the highest, 1; None without two numbers."""
    numbers = _numbers(values)
    if len(numbers) < 2:
        return None
    if isinstance(values, Choice):
        return numbers.index(value) / (len(numbers) - 1)
    scale = math.log if values.log else float
    low, here, high = scale(values.low), scale(value), scale(values.high)
    return (here - low) / (high - low)

"""Searches whose trials a test lays down by hand."""

from dataclasses import replace
from pathlib import Path

from matinee.tuning.result import TuningResult
from matinee.tuning.search_space import Choice, Range, SearchSpace

SPACE = SearchSpace(
    "ALS",
    {
        "factors": Range(16, 128, log=True, integer=True),
        "regularization": Range(0.3, 3.0, log=True, relative=True),
        "features": Choice(("all", "none")),
    },
    {"iterations": 15},
)
SETTINGS = [(64, 1.0, "all"), (20, 0.5, "none"), (100, 0.7, "all"), (128, 2.0, "none")]


def search(values=(0.87, 0.9, 0.86, 0.88), states="cpcc", space=SPACE, settings=SETTINGS, **kwargs):
    """A search that was interrupted: trial 0 is of the defaults.

    `states` has a letter for each trial: complete, pruned, failed.
    """
    names = {"c": "complete", "p": "pruned", "f": "failed"}
    trials = [
        {
            "trial": number,
            "value": value,
            "state": names[state],
            "seconds": 1.5,
            "settings": dict(zip(space.searched, chosen, strict=True)),
            "error": "It diverged." if state == "f" else None,
        }
        for number, (value, state, chosen) in enumerate(zip(values, states, settings, strict=False))
    ]
    result = replace(
        TuningResult(Path("study"), "rmse", space, trials, n_trials=5, interrupted=True), **kwargs
    )
    sign = -1 if result.higher_is_better else 1
    trials.sort(key=lambda trial: (trial["state"] != "complete", sign * (trial["value"] or 0)))
    return result

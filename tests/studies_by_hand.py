"""Searches whose trials a test lays down by hand."""

from dataclasses import replace
from pathlib import Path

from matinee.tuning.result import TuningResult
from matinee.tuning.search_space import Choice, Range, SearchSpace

SPACE = SearchSpace(
    "ALS",
    {
        "factors": Range(16, 128, log=True, whole=True),
        "regularization": Range(0.3, 3.0, log=True, relative=True),
        "features": Choice(("genres", "none")),
    },
    {"iterations": 15},
)
SETTINGS = [(64, 1.0, "genres"), (20, 0.5, "none"), (100, 0.7, "genres"), (128, 2.0, "none")]


def search(values=(0.87, 0.9, 0.86, 0.88), states="wpww", space=SPACE, settings=SETTINGS, **more):
    """A search that was interrupted: trial 0 is of the defaults.

    `states` has a letter for each trial: whole, pruned, broke.
    """
    names = {"w": "complete", "p": "pruned", "b": "broke"}
    trials = [
        {
            "trial": at,
            "value": value,
            "state": names[state],
            "seconds": 1.5,
            "settings": dict(zip(space.searched, chosen, strict=True)),
            "why": "It diverged." if state == "b" else None,
        }
        for at, (value, state, chosen) in enumerate(zip(values, states, settings, strict=False))
    ]
    sign = -1 if more.get("of_lists") else 1
    trials.sort(key=lambda one: (one["state"] != "complete", sign * (one["value"] or 0)))
    return replace(
        TuningResult(Path("study"), "rmse", False, space, trials, 5, None, None, True, False),
        **more,
    )

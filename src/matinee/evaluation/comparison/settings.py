"""Which settings of several runs differ."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from matinee.evaluation.noted import noted
from matinee.models import FactorModel
from matinee.models.factor_model import HEADS
from matinee.models.head import Head

NO_RECIPE = "none"
PARTS = {"stars": "stars", "ranking": "lists"}
"""What people call that which a head is for, by how it is asked."""


@dataclass(frozen=True)
class Setting:
    """A setting, and what it was in each run.

    Parameters
    ----------
    part : {"stars", "lists", "split", "data"}
        What it is a setting of.
    name : str
    values : mapping of str to Any
        By run; only of those whose recipe has such a setting. One that was left to the data is
        what it became.
    """

    part: str
    name: str
    values: Mapping[str, Any]

    def shown(self, run: str) -> str:
        """The value for people; nothing where there is no such setting."""
        value = self.values.get(run, "")
        if value is None:
            return "not set"
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, float):
            return f"{value:.4g}"
        if isinstance(value, list | tuple):
            return ", ".join(map(str, value))
        if isinstance(value, Mapping):
            return ", ".join(f"{name} {one}" for name, one in value.items())
        return str(value)


@dataclass(frozen=True)
class DifferingSettings:
    """The settings of several runs.

    Parameters
    ----------
    differ : tuple of Setting
    same : int
        How many are the same in all runs that predict stars, or make lists.
    of_some : int
        How many belong to some of their recipes only, and do not differ among those.
    """

    differ: tuple[Setting, ...]
    same: int
    of_some: int

    def rows(self, runs: Iterable[str]) -> list[dict[str, str]]:
        """Those that differ, for tables: `of`, `setting`, and a column for each run."""
        return [
            {"of": one.part, "setting": one.name, **{run: one.shown(run) for run in runs}}
            for one in self.differ
        ]

    @property
    def rest(self) -> str:
        """How many are not shown, as a sentence."""
        some = f"; {self.of_some} more belong to some of these recipes only" if self.of_some else ""
        return f"{self.same} settings are the same{some}."


def differing_settings(runs: Mapping[str, FactorModel]) -> DifferingSettings:
    """Compare what runs were trained with: recipes and their settings, split, how data are read.

    Parameters
    ----------
    runs : mapping of str to FactorModel
        As loaded, by name.

    Raises
    ------
    RunError
        If a run does not say what it was trained on.
    """
    differ: list[Setting] = []
    same = of_some = 0
    for part, settings in _parts(runs).items():
        having = sum(own.get("recipe") != NO_RECIPE for own in settings.values())
        for name in _names(settings.values()):
            values = {run: own[name] for run, own in settings.items() if name in own}
            first = next(iter(values.values()))
            if any(value != first for value in values.values()):
                differ.append(Setting(part, name, values))
            elif len(values) == having:
                same += 1
            else:
                of_some += 1
    return DifferingSettings(tuple(differ), same, of_some)


def _parts(runs: Mapping[str, FactorModel]) -> dict[str, dict[str, Mapping[str, Any]]]:
    """The settings of each part of each run that has it."""
    heads = {
        part: {run: model.heads.get(HEADS[by]) for run, model in runs.items()}
        for by, part in PARTS.items()
    }
    said = {run: noted(model.about) for run, model in runs.items()}
    return {
        **{
            part: {run: _trained_with(head) for run, head in of_runs.items()}
            for part, of_runs in heads.items()
            if any(of_runs.values())
        },
        "split": {
            run: {**vars(one.split), "hold_out_validation": one.hold_out_validation}
            for run, one in said.items()
        },
        "data": {run: one.reading for run, one in said.items()},
    }


def _trained_with(head: Head | None) -> Mapping[str, Any]:
    """The recipe and its settings; those that it left to the data are what they became."""
    if head is None:
        return {"recipe": NO_RECIPE}
    settings = dict(head.trainer)
    for name in [name for name, value in settings.items() if value is None]:
        became = getattr(head, name, None)
        settings[name] = became if isinstance(became, int | float | str) else None
    return {"recipe": settings.pop("name"), **settings}


def _names(settings: Iterable[Mapping[str, Any]]) -> list[str]:
    """All names, each once, in the order in which they come."""
    return list(dict.fromkeys(name for own in settings for name in own))

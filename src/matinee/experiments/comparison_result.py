"""What a comparison of runs has found, in figures and in sentences."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import floor, log10
from string import ascii_uppercase
from typing import Any

from matinee.errors import SettingError
from matinee.evaluation.evaluator import Figure
from matinee.evaluation.metrics import TABLED
from matinee.experiments.provenance import noted
from matinee.models.head import Head
from matinee.models.recommender import HEADS, FactorModel
from matinee.storage.runs import plain

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


COMPARED_BY = {name: kind for name, kind in TABLED.items() if kind.better}
"""The figures that runs are compared by."""
LESS_OR_MORE = "RMSE and MAE: the less the better. The others: the more the better."


@dataclass(frozen=True)
class Compared:
    """One run of a comparison.

    Parameters
    ----------
    recipes : mapping of str to str
        Head to recipe.
    train_ratings : int
        How many ratings it learned from.
    held_out_validation : bool
        Whether it kept a part of the training part aside, to know when to stop.
    fit_seconds : float or None
        As measured when it was trained; None if it was not.
    figures : mapping of str to Figure
        By the names in `COMPARED_BY`, with 95 % intervals over viewers: of stars if it predicts
        any, of lists if it has a head that makes them.
    """

    recipes: Mapping[str, str]
    train_ratings: int
    held_out_validation: bool
    fit_seconds: float | None
    figures: Mapping[str, Figure]


@dataclass(frozen=True)
class Difference:
    """A figure of one run less that of the first.

    Parameters
    ----------
    figure : str
        A name in `COMPARED_BY`.
    run, than : str
        The run, and the first one.
    by : Figure
        The difference with its paired 95 % bootstrap interval over viewers, if there are several.
        It knows nothing of other seeds.
    viewers : int
        On how many it was measured.
    """

    figure: str
    run: str
    than: str
    by: Figure
    viewers: int

    @property
    def reach(self) -> float | None:
        """Half the width of the interval."""
        if self.by.low is None or self.by.high is None:
            return None
        return (self.by.high - self.by.low) / 2

    @property
    def amount(self) -> str:
        """The difference, and how sure it is: ``+0.0040 ± 0.0010``.

        An interval need not lie evenly around it. Where ``±`` would reach beyond 0 and the interval
        does not, or the other way round, it is ``+0.0040 (+0.0001 to +0.0062)``.
        """
        value, low, high = self.by.value, self.by.low, self.by.high
        if self.reach is None or low is None or high is None:
            return _digits(value, "+")
        if self._even:
            return f"{_digits(value, '+')} ± {_digits(self.reach)}"
        return f"{_digits(value, '+')} ({_digits(low, '+')} to {_digits(high, '+')})"

    @property
    def better(self) -> str | None:
        """Which of the two is better; None if the interval holds 0, or there is none."""
        low, high = self.by.low, self.by.high
        if low is None or high is None or low <= 0 <= high:
            return None
        return self.run if (high < 0) == (COMPARED_BY[self.figure].better == "less") else self.than

    @property
    def _even(self) -> bool:
        """Whether ``±``, as it is shown, reaches beyond 0 if and only if the interval does."""
        if self.reach is None:
            return False
        value, reach = _digits(abs(self.by.value)), _digits(self.reach)
        return (float(value) > float(reach)) == (self.better is not None)

    def __str__(self) -> str:
        """A sentence."""
        pair, name = f"{self.than} and {self.run}", COMPARED_BY[self.figure].title
        value, low, high = self.by.value, self.by.low, self.by.high
        if self.reach is None or low is None or high is None:
            return f"{pair} differ by {_digits(abs(value))} {name}, on one viewer only."
        over = f"(95 %, over {self.viewers:,} viewers)"
        if self.better:
            other = self.than if self.better == self.run else self.run
            by = f"{self.better} is better than {other} by {_digits(abs(value))}"
            if self._even:
                return f"{by} ± {_digits(self.reach)} {name} {over}."
            least, most = sorted(map(abs, (low, high)))
            return f"{by} {name}, between {_digits(least)} and {_digits(most)} {over}."
        if low == high:
            return f"{pair} have the same {name}, viewer by viewer."
        return (
            f"{pair} cannot be told apart by {name}: {self.run} minus {self.than} is between "
            f"{_digits(low, '+')} and {_digits(high, '+')} {over}."
        )


@dataclass(frozen=True)
class Comparison:
    """Several runs on the same test ratings.

    Parameters
    ----------
    data, licence : str
        What the ratings are called, and the terms they come under.
    test_ratings : int
        What stars were judged on.
    viewers : int
        Whose lists were judged; 0 if nobody's.
    runs : mapping of str to Compared
        By name; the others are compared with the first.
    settings : DifferingSettings
    differences : tuple of Difference
        Figure by figure, of each other run; where both it and the first have the figure.
    """

    data: str
    licence: str
    test_ratings: int
    viewers: int
    runs: Mapping[str, Compared]
    settings: DifferingSettings
    differences: tuple[Difference, ...]

    def difference(self, figure: str, run: str) -> Difference | None:
        """The one of this figure and run."""
        found = [one for one in self.differences if (one.figure, one.run) == (figure, run)]
        return found[0] if found else None

    @property
    def tested(self) -> str:
        """On what, for headings."""
        lists = f", lists of {self.viewers:,} viewers" if self.viewers else ""
        return f"{self.data}, tested on {self.test_ratings:,} ratings{lists}"

    def run_rows(self) -> list[dict[str, str]]:
        """What each run is, for tables: `run`, `stars_by`, `lists_by`, `learned_from` and so on."""
        return [
            {
                "run": name,
                "stars_by": run.recipes.get("rating", "none"),
                "lists_by": run.recipes.get("ranking", "none"),
                "learned_from": f"{run.train_ratings:,} ratings",
                "fitted_in": "not known" if run.fit_seconds is None else f"{run.fit_seconds:.2f} s",
            }
            for name, run in self.runs.items()
        ]

    def figure_rows(self) -> list[dict[str, str]]:
        """For tables, each figure of each run: its `value`, `interval` and `difference`."""
        return [
            {
                "figure": kind.title,
                "run": name,
                "value": f"{run.figures[figure].value:.4f}",
                "interval": _interval(run.figures[figure]),
                "difference": by.amount if (by := self.difference(figure, name)) else "",
            }
            for figure, kind in COMPARED_BY.items()
            for name, run in self.runs.items()
            if figure in run.figures
        ]

    @property
    def notes(self) -> list[str]:
        """What one has to know to read the figures."""
        kept = [name for name, run in self.runs.items() if run.held_out_validation]
        found = [
            f"{name} kept a part of the training ratings aside to know when to stop, and learned "
            f"from {self.runs[name].train_ratings:,}."
            for name in kept
        ]
        if kept and self.viewers:
            found.append("What any of them could have learned from is left out of all lists.")
        if not self.differences:
            found.append("No two of them do the same: there is no figure that both have.")
        return found

    def called(self, names: Mapping[str, str]) -> "Comparison":
        """The same with other names for the runs; see `short_names`."""

        def renamed(of_runs: Mapping[str, Any]) -> dict[str, Any]:
            return {names[name]: value for name, value in of_runs.items()}

        differ = [replace(one, values=renamed(one.values)) for one in self.settings.differ]
        return replace(
            self,
            runs=renamed(self.runs),
            settings=replace(self.settings, differ=tuple(differ)),
            differences=tuple(
                replace(one, run=names[one.run], than=names[one.than]) for one in self.differences
            ),
        )

    def as_json(self) -> dict[str, Any]:
        """Plain values with stable keys."""
        return {
            "data": self.data,
            "test_ratings": self.test_ratings,
            "list_viewers": self.viewers,
            "runs": [
                {
                    "run": name,
                    **asdict(run),
                    "figures": {figure: _plain(one) for figure, one in run.figures.items()},
                }
                for name, run in self.runs.items()
            ],
            "settings": {
                "differ": [asdict(one) for one in self.settings.differ],
                "same": self.settings.same,
                "of_some": self.settings.of_some,
            },
            "differences": [
                {
                    "figure": one.figure,
                    "run": one.run,
                    "than": one.than,
                    **_plain(one.by),
                    "viewers": one.viewers,
                    "better": one.better,
                }
                for one in self.differences
            ],
            "notes": self.notes,
        }


def short_names(runs: Sequence[str]) -> dict[str, str]:
    """A, B, C ... for names that are long.

    Examples
    --------
    >>> short_names(["runs/mine", "runs/yours"])
    {'runs/mine': 'A', 'runs/yours': 'B'}

    Raises
    ------
    SettingError
        If there are more than letters.
    """
    if len(runs) > len(ascii_uppercase):
        raise SettingError(f"Name at most {len(ascii_uppercase)} runs at once, not {len(runs)}.")
    return dict(zip(runs, ascii_uppercase, strict=False))


def _digits(value: float, sign: str = "") -> str:
    """Four decimals, or two digits of a difference that is too small to show in four."""
    unseen = value != 0 and float(f"{value:.4f}") == 0
    return f"{value:{sign}.{1 - floor(log10(abs(value))) if unseen else 4}f}"


def _interval(figure: Figure) -> str:
    return "" if figure.low is None else f"{figure.low:.4f} to {figure.high:.4f}"


def _plain(figure: Figure) -> dict[str, float | None]:
    return {name: plain(value) for name, value in asdict(figure).items()}

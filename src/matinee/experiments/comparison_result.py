"""What a comparison of runs has found, in figures and in sentences."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import floor, log10
from string import ascii_uppercase
from typing import Any

from matinee.errors import SettingError
from matinee.evaluation.metrics import REPORTED_METRICS
from matinee.evaluation.uncertainty import MetricValue
from matinee.experiments.provenance import recorded
from matinee.models.head import Head
from matinee.models.recommender import Recommender
from matinee.storage.runs import finite_or_none

NO_ESTIMATOR = "none"
PARTS = {"rating": "rating", "ranking": "ranking"}
"""What people call that which a head is for, by how it is asked."""


@dataclass(frozen=True)
class Hyperparameter:
    """A setting, and what it was in each run.

    Parameters
    ----------
    part : {"rating", "ranking", "split", "data"}
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
class HyperparameterDiff:
    """The settings of several runs.

    Parameters
    ----------
    differ : tuple of Hyperparameter
    same : int
        How many are the same in all runs that predict stars, or make lists.
    of_some : int
        How many belong to some of their recipes only, and do not differ among those.
    """

    differ: tuple[Hyperparameter, ...]
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


def differing_settings(runs: Mapping[str, Recommender]) -> HyperparameterDiff:
    """Compare what runs were trained with: recipes and their settings, split, how data are read.

    Parameters
    ----------
    runs : mapping of str to Recommender
        As loaded, by name.

    Raises
    ------
    RunError
        If a run does not say what it was trained on.
    """
    differ: list[Hyperparameter] = []
    same = of_some = 0
    for part, settings in _parts(runs).items():
        having = sum(own.get("estimator") != NO_ESTIMATOR for own in settings.values())
        for name in _names(settings.values()):
            values = {run: own[name] for run, own in settings.items() if name in own}
            first = next(iter(values.values()))
            if any(value != first for value in values.values()):
                differ.append(Hyperparameter(part, name, values))
            elif len(values) == having:
                same += 1
            else:
                of_some += 1
    return HyperparameterDiff(tuple(differ), same, of_some)


def _parts(runs: Mapping[str, Recommender]) -> dict[str, dict[str, Mapping[str, Any]]]:
    """The settings of each part of each run that has it."""
    heads = {
        part: {run: model.heads.get(head) for run, model in runs.items()}
        for head, part in PARTS.items()
    }
    said = {run: recorded(model.metadata) for run, model in runs.items()}
    return {
        **{
            part: {run: _trained_with(entry) for run, entry in of_runs.items()}
            for part, of_runs in heads.items()
            if any(of_runs.values())
        },
        "split": {
            run: {**vars(one.split), "holdout_validation": one.holdout_validation}
            for run, one in said.items()
        },
        "data": {run: one.reading for run, one in said.items()},
    }


def _trained_with(head: Head | None) -> Mapping[str, Any]:
    """The recipe and its settings; those that it left to the data are what they became."""
    if head is None:
        return {"estimator": NO_ESTIMATOR}
    settings = dict(head.estimator)
    for name in [name for name, value in settings.items() if value is None]:
        became = getattr(head, name, None)
        settings[name] = became if isinstance(became, int | float | str) else None
    return {"estimator": settings.pop("name"), **settings}


def _names(settings: Iterable[Mapping[str, Any]]) -> list[str]:
    """All names, each once, in the order in which they come."""
    return list(dict.fromkeys(name for own in settings for name in own))


COMPARED_BY = {name: kind for name, kind in REPORTED_METRICS.items() if kind.better}
"""The figures that runs are compared by."""
LESS_OR_MORE = "RMSE and MAE: the less the better. The others: the more the better."


@dataclass(frozen=True)
class ComparedRun:
    """One run of a comparison.

    Parameters
    ----------
    estimators : mapping of str to str
        Head to recipe.
    train_ratings : int
        How many ratings it learned from.
    held_out_validation : bool
        Whether it kept a part of the training part aside, to know when to stop.
    fit_seconds : float or None
        As measured when it was trained; None if it was not.
    metrics : mapping of str to MetricValue
        By the names in `COMPARED_BY`, with 95 % intervals over users: of stars if it predicts
        any, of lists if it has a head that makes them.
    """

    estimators: Mapping[str, str]
    train_ratings: int
    held_out_validation: bool
    fit_seconds: float | None
    metrics: Mapping[str, MetricValue]


@dataclass(frozen=True)
class Difference:
    """A figure of one run less that of the first.

    Parameters
    ----------
    metric : str
        A name in `COMPARED_BY`.
    run, than : str
        The run, and the first one.
    head : MetricValue
        The difference with its paired 95 % bootstrap interval over users, if there are several.
        It knows nothing of other seeds.
    users : int
        On how many it was measured.
    """

    metric: str
    run: str
    than: str
    head: MetricValue
    users: int

    @property
    def reach(self) -> float | None:
        """Half the width of the interval."""
        if self.head.ci_low is None or self.head.ci_high is None:
            return None
        return (self.head.ci_high - self.head.ci_low) / 2

    @property
    def amount(self) -> str:
        """The difference, and how sure it is: ``+0.0040 ± 0.0010``.

        An interval need not lie evenly around it. Where ``±`` would reach beyond 0 and the interval
        does not, or the other way round, it is ``+0.0040 (+0.0001 to +0.0062)``.
        """
        value, ci_low, ci_high = self.head.value, self.head.ci_low, self.head.ci_high
        if self.reach is None or ci_low is None or ci_high is None:
            return _digits(value, "+")
        if self._even:
            return f"{_digits(value, '+')} ± {_digits(self.reach)}"
        return f"{_digits(value, '+')} ({_digits(ci_low, '+')} to {_digits(ci_high, '+')})"

    @property
    def better(self) -> str | None:
        """Which of the two is better; None if the interval holds 0, or there is none."""
        ci_low, ci_high = self.head.ci_low, self.head.ci_high
        if ci_low is None or ci_high is None or ci_low <= 0 <= ci_high:
            return None
        return (
            self.run if (ci_high < 0) == (COMPARED_BY[self.metric].better == "less") else self.than
        )

    @property
    def _even(self) -> bool:
        """Whether ``±``, as it is shown, reaches beyond 0 if and only if the interval does."""
        if self.reach is None:
            return False
        value, reach = _digits(abs(self.head.value)), _digits(self.reach)
        return (float(value) > float(reach)) == (self.better is not None)

    def __str__(self) -> str:
        """A sentence."""
        pair, name = f"{self.than} and {self.run}", COMPARED_BY[self.metric].title
        value, ci_low, ci_high = self.head.value, self.head.ci_low, self.head.ci_high
        if self.reach is None or ci_low is None or ci_high is None:
            return f"{pair} differ by {_digits(abs(value))} {name}, on one user only."
        over = f"(95 %, over {self.users:,} users)"
        if self.better:
            other = self.than if self.better == self.run else self.run
            head = f"{self.better} is better than {other} by {_digits(abs(value))}"
            if self._even:
                return f"{head} ± {_digits(self.reach)} {name} {over}."
            least, most = sorted(map(abs, (ci_low, ci_high)))
            return f"{head} {name}, between {_digits(least)} and {_digits(most)} {over}."
        if ci_low == ci_high:
            return f"{pair} have the same {name}, user by user."
        return (
            f"{pair} cannot be told apart by {name}: {self.run} minus {self.than} is between "
            f"{_digits(ci_low, '+')} and {_digits(ci_high, '+')} {over}."
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
    users : int
        Whose lists were judged; 0 if nobody's.
    runs : mapping of str to ComparedRun
        By name; the others are compared with the first.
    settings : HyperparameterDiff
    differences : tuple of Difference
        Figure by figure, of each other run; where both it and the first have the figure.
    """

    data: str
    licence: str
    test_ratings: int
    users: int
    runs: Mapping[str, ComparedRun]
    settings: HyperparameterDiff
    differences: tuple[Difference, ...]

    def difference(self, metric: str, run: str) -> Difference | None:
        """The one of this figure and run."""
        found = [one for one in self.differences if (one.metric, one.run) == (metric, run)]
        return found[0] if found else None

    @property
    def tested(self) -> str:
        """On what, for headings."""
        lists = f", lists of {self.users:,} users" if self.users else ""
        return f"{self.data}, tested on {self.test_ratings:,} ratings{lists}"

    def run_rows(self) -> list[dict[str, str]]:
        """What each run is, for tables: `run`, `values_by`, `lists_by`, `learned_from` and so on."""
        return [
            {
                "run": name,
                "stars_by": run.estimators.get("rating", "none"),
                "lists_by": run.estimators.get("ranking", "none"),
                "learned_from": f"{run.train_ratings:,} ratings",
                "fitted_in": "not known" if run.fit_seconds is None else f"{run.fit_seconds:.2f} s",
            }
            for name, run in self.runs.items()
        ]

    def metric_rows(self) -> list[dict[str, str]]:
        """For tables, each figure of each run: its `value`, `interval` and `difference`."""
        return [
            {
                "figure": kind.title,
                "run": name,
                "value": f"{run.metrics[metric].value:.4f}",
                "interval": _interval(run.metrics[metric]),
                "difference": head.amount if (head := self.difference(metric, name)) else "",
            }
            for metric, kind in COMPARED_BY.items()
            for name, run in self.runs.items()
            if metric in run.metrics
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
        if kept and self.users:
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
            "list_viewers": self.users,
            "runs": [
                {
                    "run": name,
                    **asdict(run),
                    "metrics": {metric: _plain(one) for metric, one in run.metrics.items()},
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
                    "figure": one.metric,
                    "run": one.run,
                    "than": one.than,
                    **_plain(one.head),
                    "users": one.users,
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


def _interval(metric: MetricValue) -> str:
    return "" if metric.ci_low is None else f"{metric.ci_low:.4f} to {metric.ci_high:.4f}"


def _plain(metric: MetricValue) -> dict[str, float | None]:
    return {name: finite_or_none(value) for name, value in asdict(metric).items()}

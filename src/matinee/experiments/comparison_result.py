"""What a comparison of runs shows: differing hyperparameters, metrics, differences with 95% CI."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import floor, log10
from string import ascii_uppercase
from typing import Any

from matinee._html import html_block, html_table
from matinee.errors import SettingError
from matinee.evaluation.metrics import REPORTED_METRICS
from matinee.evaluation.uncertainty import MetricValue
from matinee.experiments.provenance import read_provenance
from matinee.models.head import Head, fitted_params
from matinee.models.recommender import Recommender

NO_ESTIMATOR = "none"
COMPARED_METRICS = {name: metric for name, metric in REPORTED_METRICS.items() if metric.direction}
"""The metrics by which runs are compared."""


@dataclass(frozen=True)
class Hyperparameter:
    """A hyperparameter and its value in each run."""

    section: str  # "rating", "ranking": the head; "split", "data": how it is made and read
    name: str
    values: Mapping[str, Any]  # by run, of those that have it; computed defaults as they came out

    def text(self, run: str) -> str:
        """The value for people; empty where there is none."""
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
            return ", ".join(f"{key} {part}" for key, part in value.items())
        return str(value)


@dataclass(frozen=True)
class HyperparameterDiff:
    """The hyperparameters of several runs."""

    differing: tuple[Hyperparameter, ...]
    n_same: int  # how many have the same value in all runs with such a head
    n_partial: int  # how many belong to some of the estimators only, and do not differ among those

    def rows(self, runs: Iterable[str]) -> list[dict[str, str]]:
        """Those that differ, for tables: `section`, `hyperparameter`, and a column for each run."""
        return [
            {"section": each.section, "hyperparameter": each.name}
            | {run: each.text(run) for run in runs}
            for each in self.differing
        ]

    @property
    def summary(self) -> str:
        """How many are not shown, as a sentence."""
        partial = f"; {self.n_partial} belong to some of the estimators only"
        return f"{self.n_same} others are the same{partial if self.n_partial else ''}."


def diff_hyperparameters(runs: Mapping[str, Recommender]) -> HyperparameterDiff:
    """Compare what runs were trained with: estimators, hyperparameters, split, reading of data.

    RunError if a run does not say what it was trained on.
    """
    differing: list[Hyperparameter] = []
    n_same = n_partial = 0
    for section, by_run in _sections(runs).items():
        n_with_head = sum(params.get("estimator") != NO_ESTIMATOR for params in by_run.values())
        for name in dict.fromkeys(name for params in by_run.values() for name in params):
            values = {run: params[name] for run, params in by_run.items() if name in params}
            first = next(iter(values.values()))
            if any(value != first for value in values.values()):
                differing.append(Hyperparameter(section, name, values))
            elif len(values) == n_with_head:
                n_same += 1
            else:
                n_partial += 1
    return HyperparameterDiff(tuple(differing), n_same, n_partial)


def _sections(runs: Mapping[str, Recommender]) -> dict[str, dict[str, Mapping[str, Any]]]:
    """By section and run, the parameters of each run that has the section."""
    sections: dict[str, dict[str, Mapping[str, Any]]] = {}
    for head in ("rating", "ranking"):
        heads = {run: model.heads.get(head) for run, model in runs.items()}
        if any(heads.values()):
            sections[head] = {run: _params(fitted) for run, fitted in heads.items()}
    provenances = {run: read_provenance(model.metadata) for run, model in runs.items()}
    sections["split"] = {
        run: {**vars(each.split), "validation_fraction": each.validation_fraction}
        for run, each in provenances.items()
    }
    sections["data"] = {run: each.reading for run, each in provenances.items()}
    return sections


def _params(head: Head | None) -> Mapping[str, Any]:
    """Estimator and hyperparameters."""
    if head is None:
        return {"estimator": NO_ESTIMATOR}
    params = fitted_params(head)
    return {"estimator": params.pop("name"), **params}


@dataclass(frozen=True)
class ComparedRun:
    """One run of a comparison.

    `estimators` are named by head; it was fitted on `train_ratings`, having given
    `validation_fraction` of the training set to a validation set for early stopping.
    `fit_seconds`, measured when it was trained, may be None. `metrics`, by the names in
    `COMPARED_METRICS`, have 95 % confidence intervals over users: rating metrics if it has a rating
    head, ranking metrics if it has a ranking head.
    """

    estimators: Mapping[str, str]
    train_ratings: int
    validation_fraction: float
    fit_seconds: float | None
    metrics: Mapping[str, MetricValue]


@dataclass(frozen=True)
class Difference:
    """A metric of one run minus that of the first run.

    `metric` is a name in `COMPARED_METRICS`, `baseline` the first run. `value` has its paired 95 %
    bootstrap interval over `n_users` users, if there are several; it does not cover other seeds.
    """

    metric: str
    run: str
    baseline: str
    value: MetricValue
    n_users: int

    @property
    def better(self) -> str | None:
        """Which of the two runs is better; None if the interval holds 0, or there is none."""
        interval = self.value.interval
        if interval is None or interval[0] <= 0 <= interval[1]:
            return None
        lower_is_better = COMPARED_METRICS[self.metric].direction == "lower"
        return self.run if (interval[1] < 0) == lower_is_better else self.baseline

    @property
    def text(self) -> str:
        """The difference with its interval, for tables: ``+0.0040 (+0.0029 to +0.0051)``."""
        value, interval = format_metric(self.value.value, "+"), _interval(self.value, "+")
        return f"{value} ({interval})" if interval else value

    def __str__(self) -> str:
        """A sentence."""
        label = COMPARED_METRICS[self.metric].label
        value = format_metric(self.value.value, "+")
        difference = f"{label} of {self.run} minus {self.baseline} {value}"
        if self.value.interval is None:
            return f"Unknown which is better: {difference} (a single user)."
        interval = f"95% CI {_interval(self.value, '+')}, {self.n_users:,} users"
        if self.better is None:
            return f"No significant difference: {difference} ({interval})."
        other = self.baseline if self.better == self.run else self.run
        return f"{self.better} is better than {other}: {difference} ({interval})."


@dataclass(frozen=True)
class Comparison:
    """Several runs on the same test ratings.

    `data` and `licence` are the name of the data set and its terms of use, `unit` is what it holds:
    "rating", or "interaction" without one. `n_users` are the test
    users of the rankings; 0 if there are none. The other `runs` are compared with the first:
    `differences` are metric by metric, where both have the metric.
    """

    data: str
    unit: str
    licence: str
    test_ratings: int
    n_users: int
    runs: Mapping[str, ComparedRun]
    hyperparameters: HyperparameterDiff
    differences: tuple[Difference, ...]

    def difference(self, metric: str, run: str) -> Difference | None:
        """That of this metric and run."""
        wanted = (each for each in self.differences if (each.metric, each.run) == (metric, run))
        return next(wanted, None)

    @property
    def title(self) -> str:
        """On what the runs are compared, for headings."""
        ranking = f", ranking for {self.n_users:,} test users" if self.n_users else ""
        return f"{self.data}: {self.test_ratings:,} test {self.unit}s{ranking}"

    def run_rows(self) -> list[dict[str, str]]:
        """For tables: `run`, `rating_head`, `ranking_head`, `fitted_on`, `fit_time`."""
        return [
            {
                "run": name,
                "rating_head": run.estimators.get("rating", "none"),
                "ranking_head": run.estimators.get("ranking", "none"),
                "fitted_on": f"{run.train_ratings:,} {self.unit}s",
                "fit_time": "unknown" if run.fit_seconds is None else f"{run.fit_seconds:.2f} s",
            }
            for name, run in self.runs.items()
        ]

    def metric_rows(self) -> list[dict[str, str]]:
        """For tables: `metric`, `run`, `value`, `ci`, and `difference` to the first run."""
        return [
            {
                "metric": metric.label,
                "run": run,
                "value": f"{compared.metrics[name].value:.4f}",
                "ci": _interval(compared.metrics[name]),
                "difference": difference.text if (difference := self.difference(name, run)) else "",
            }
            for name, metric in COMPARED_METRICS.items()
            for run, compared in self.runs.items()
            if name in compared.metrics
        ]

    @property
    def directions(self) -> str:
        """Which values of the metrics are better, as a sentence."""
        shown = {name for run in self.runs.values() for name in run.metrics}
        by_direction: dict[str | None, list[str]] = {"lower": [], "higher": []}
        for name, metric in COMPARED_METRICS.items():
            if name in shown:
                by_direction[metric.direction].append(metric.label)
        lower, higher = (by_direction[direction] for direction in ("lower", "higher"))
        if not lower:
            return "Higher is better."
        rest = "; higher is better: the rest" if higher else ""
        return f"Lower is better: {', '.join(lower)}{rest}."

    @property
    def notes(self) -> list[str]:
        """What one has to know to read the metrics."""
        notes = [
            f"{name} used {run.validation_fraction:.0%} of the training set for early "
            f"stopping and was fitted on {run.train_ratings:,} {self.unit}s."
            for name, run in self.runs.items()
            if run.validation_fraction
        ]
        if notes and self.n_users:
            notes.append("Rankings leave out all items of the whole training set, for all runs.")
        if not self.differences:
            notes.append("No common metric.")
        return notes

    def renamed(self, names: Mapping[str, str]) -> "Comparison":
        """The same with other names for the runs; see `short_names`."""

        def rename(by_run: Mapping[str, Any]) -> dict[str, Any]:
            return {names[name]: value for name, value in by_run.items()}

        old = self.hyperparameters
        differing = tuple(replace(each, values=rename(each.values)) for each in old.differing)
        new = replace(old, differing=differing)
        differences = tuple(
            replace(each, run=names[each.run], baseline=names[each.baseline])
            for each in self.differences
        )
        return replace(self, runs=rename(self.runs), hyperparameters=new, differences=differences)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as in JSON."""
        runs = []
        for name, run in self.runs.items():
            metrics = {metric: value.to_dict() for metric, value in run.metrics.items()}
            runs.append({"run": name, **asdict(run), "metrics": metrics})
        differences = [
            {**vars(each), **each.value.to_dict(), "better": each.better}
            for each in self.differences
        ]
        return {
            "data": self.data,
            "test_ratings": self.test_ratings,
            "n_users": self.n_users,
            "runs": runs,
            "hyperparameters": asdict(self.hyperparameters),
            "differences": differences,
            "notes": self.notes,
        }

    def _repr_html_(self) -> str:
        rows = self.metric_rows()
        columns = ["metric", "run", "value", "95% CI", f"difference to {next(iter(self.runs))}"]
        tables = [html_table(columns, [list(row.values()) for row in rows], numeric=columns[2:])]
        if differing := self.hyperparameters.rows(self.runs):
            cells = [list(row.values()) for row in differing]
            caption = "Hyperparameters that differ"
            tables.append(html_table(list(differing[0]), cells, caption=caption))
        return html_block(self.title, *tables)


def short_names(runs: Sequence[str]) -> dict[str, str]:
    """A, B, C ... for names that are long; SettingError for more runs than letters.

    Examples
    --------
    >>> short_names(["runs/mine", "runs/yours"])
    {'runs/mine': 'A', 'runs/yours': 'B'}
    """
    if len(runs) > len(ascii_uppercase):
        raise SettingError(f"At most {len(ascii_uppercase)} runs at once, got {len(runs)}.")
    return dict(zip(runs, ascii_uppercase, strict=False))


def format_metric(value: float, sign: str = "") -> str:
    """Four decimals, or two digits of a difference that is too small to show in four."""
    invisible = value != 0 and float(f"{value:.4f}") == 0
    return f"{value:{sign}.{1 - floor(log10(abs(value))) if invisible else 4}f}"


def _interval(value: MetricValue, sign: str = "") -> str:
    return " to ".join(format_metric(bound, sign) for bound in value.interval or ())

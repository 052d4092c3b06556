"""The pages of a comparison of runs and of a hyperparameter search."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from matinee.data.dataset import Dataset
from matinee.evaluation.metrics import METRICS, PRIMARY_METRIC
from matinee.experiments.comparison_result import Comparison, short_names
from matinee.models.recommender import Recommender
from matinee.plots.evaluation import difference_chart
from matinee.plots.training import training_curves_by_run
from matinee.plots.tuning import optimization_history, parameter_plots, value_label
from matinee.report.document import (
    Block,
    Command,
    Facts,
    Number,
    Section,
    Table,
    figure,
    table,
    terms_of_use,
    write_page,
)
from matinee.tuning.search_space import Choice

if TYPE_CHECKING:
    from matinee.tuning.result import TuningResult

RUN_COLUMNS = {
    "run": "",
    "name": "run",
    "rating_head": "rating head",
    "ranking_head": "ranking head",
    "fitted_on": "fitted on",
    "fit_time": "fit time",
}
HOW_TO_READ = (
    "A 95% confidence interval covers the choice of users, not of seeds. A "
    "difference is measured on the same users for both runs, so it is known more precisely than "
    "either metric: look at its interval rather than at whether two intervals overlap. Of twenty "
    "differences between equally good runs, one looks significant by chance."
)


def write_comparison_report(
    comparison: Comparison, runs: Mapping[str, Recommender], path: str | Path
) -> Path:
    """Write the page of a comparison as one HTML file, which needs no network.

    `comparison` is what `matinee.experiments.compare` says of these `runs`.
    """
    letters = short_names(list(runs))
    short = comparison.renamed(letters)
    # a page is passed on, and the folders that runs lie in are private
    names = {letter: Path(name).name for name, letter in letters.items()}
    run_rows = [{**row, "name": names[row["run"]]} for row in short.run_rows()]
    run_table = table(pl.DataFrame(run_rows), RUN_COLUMNS)
    sections = [
        Section("Runs", [run_table, *_hyperparameters(short)]),
        Section("Differences", _differences(short)),
        Section("Metrics", [_metric_table(short), f"{short.directions} {HOW_TO_READ}"]),
    ]
    if panels := training_curves_by_run({letters[name]: model for name, model in runs.items()}):
        sections.append(Section("Training", [figure(panel) for panel in panels]))
    line = f"{comparison.title}. {terms_of_use(comparison.licence)}"
    return write_page(Path(path), f"Comparison of {len(runs)} runs", line, sections)


def _hyperparameters(comparison: Comparison) -> list[Block]:
    summary = comparison.hyperparameters.summary
    rows = [list(row.values()) for row in comparison.hyperparameters.rows(comparison.runs)]
    if not rows:
        return [summary]
    headings = ["section", "hyperparameter", *comparison.runs]
    return [Table(headings, rows, "Hyperparameters that differ"), summary]


def _differences(comparison: Comparison) -> list[Block]:
    """A sentence for each primary metric, notes, and charts of all differences."""
    first = next(iter(comparison.runs))
    primary = [
        [str(each)] for each in comparison.differences if each.metric in PRIMARY_METRIC.values()
    ]
    blocks: list[Block] = [Table([f"compared with {first}"], primary)] if primary else []
    if comparison.notes:
        blocks.append(" ".join(comparison.notes))
    runs = list(comparison.runs)
    charts = [difference_chart(comparison.differences, head, runs) for head in PRIMARY_METRIC]
    return [*blocks, *(figure(chart) for chart in charts if chart)]


def _metric_table(comparison: Comparison) -> Table:
    first = next(iter(comparison.runs))
    rows = [
        [row["metric"], row["run"], *map(Number, (row["value"], row["ci"], row["difference"]))]
        for row in comparison.metric_rows()
    ]
    return Table(["metric", "run", "value", "95% CI", f"difference to {first} (95% CI)"], rows)


def write_study_report(
    result: "TuningResult", dataset: Dataset, path: str | Path, command: str | None = None
) -> Path:
    """Write the page of a hyperparameter search as one HTML file, which needs no network.

    `result` is what `matinee.tuning.tune` found for `dataset`, complete or interrupted; `command`,
    which trains the best model, is shown as it is.
    """
    metric = METRICS[result.metric].label
    sections = [Section("Result", [*_outcome(result, metric), *_settings(result, command)])]
    if history := optimization_history(result):
        sections.append(Section("Trials in order", [figure(history, wide=True)]))
    if charts := parameter_plots(result):
        bounds = filter(None, [_bounds(result)])
        sections.append(Section("Hyperparameters", [*bounds, *map(figure, charts)]))
    if result.completed:
        sections.append(Section("Complete trials", [_trials(result, metric)]))
    title = f"Hyperparameter search: {result.space.estimator} on {dataset.name}"
    line = f"By {metric} on validation sets within the training set."
    return write_page(Path(path), title, f"{line} {terms_of_use(dataset.licence)}", sections)


def _outcome(result: "TuningResult", metric: str) -> list[Block]:
    """How good the best trial is, and how the others ended."""
    facts = []
    if result.best:
        facts += [
            (f"{value:.4f}", f"test {METRICS[name].label}, best trial refit")
            for name, value in result.best.test_metrics.items()
            if value is not None
        ]
    if result.completed:
        facts.append((f"{result.completed[0]['value']:.4f}", f"validation {metric}, best trial"))
    if result.default_trial:
        facts.append((f"{result.default_trial['value']:.4f}", f"validation {metric}, default"))
    errors = [trial["error"] for trial in result.trials if trial["error"]]
    first_error = f"First error: {errors[0]}" if errors else ""
    text = " ".join(filter(None, (result.summary, result.status, first_error)))
    return [Facts(facts), text] if facts else [text]


def _settings(result: "TuningResult", command: str | None) -> list[Block]:
    """Best, default and searched values of each hyperparameter; how to train the best model."""
    best = result.completed[0]["settings"] if result.completed else {}
    columns = {"best": best, "default": result.space.default_values() or {}}
    columns = {title: settings for title, settings in columns.items() if settings}
    rows = [
        [
            result.labels[name],
            *(_cell(settings[name]) for settings in columns.values()),
            " or ".join(map(value_label, values.grid()))
            if isinstance(values, Choice)
            else f"{values.low:g} to {values.high:g}",
        ]
        for name, values in result.space.searched.items()
    ]
    rows += [
        [name, *[""] * len(columns), f"fixed: {value_label(value)}"]
        for name, value in result.space.fixed.items()
    ]
    blocks: list[Block] = [Table(["hyperparameter", *columns, "searched"], rows, wide=False)]
    if result.space.relative:
        blocks.append("x default: multiples of the default computed from the data.")
    if command:
        blocks += ["To train the best model:", Command(command)]
    return blocks


def _bounds(result: "TuningResult") -> str:
    """Whether better values may lie outside of the search space."""
    if not result.completed:
        return "No trial completed."
    bounds = [f"the {bound} bound of {name}" for name, bound in result.at_bounds.items()]
    if bounds:
        return f"The best trial lies at {' and '.join(bounds)}: a wider range may be better."
    return "The best trial lies well inside the search space." if result.has_bounds else ""


def _trials(result: "TuningResult", metric: str) -> Table:
    rows = []
    for trial in result.completed:
        settings = [_cell(trial["settings"].get(name)) for name in result.labels]
        seconds = "" if trial["seconds"] is None else f"{trial['seconds']:.1f}"
        value = Number(f"{trial['value']:.4f}")
        rows.append([_cell(trial["trial"]), value, *settings, Number(seconds)])
    return Table(["trial", metric, *result.labels.values(), "seconds"], rows)


def _cell(value: Any) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else value_label(value)
    return Number(text) if type(value) in (int, float) else text

"""The pages of a comparison of runs and of a hyperparameter search."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from matinee.data.dataset import Dataset
from matinee.evaluation.metrics import METRICS, PRIMARY_METRIC
from matinee.experiments.comparison_result import METRIC_DIRECTIONS, Comparison, short_names
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
    f"{METRIC_DIRECTIONS} A 95% confidence interval covers the choice of users, not of seeds. A "
    "difference is measured on the same users for both runs, so it is known more precisely than "
    "either metric: look at its interval rather than at whether two intervals overlap. Of twenty "
    "differences between equally good runs, one looks significant by chance."
)


def write_comparison_report(
    comparison: Comparison, runs: Mapping[str, Recommender], path: str | Path
) -> Path:
    """Write the page of a comparison as one HTML file, which needs no network.

    Parameters
    ----------
    comparison : Comparison
        From `matinee.experiments.compare`.
    runs : mapping of str to Recommender
        What was compared.
    path : str or Path
        Of the HTML file.
    """
    letters = short_names(list(runs))
    short = comparison.renamed(letters)
    # a page is passed on, and the folders that runs lie in are private
    names = {letter: Path(name).name for name, letter in letters.items()}
    sections = [
        Section("Runs", [_run_table(short, names), *_hyperparameters(short)]),
        Section("Differences", _differences(short)),
        Section("Metrics", [_metric_table(short), HOW_TO_READ]),
    ]
    if panels := training_curves_by_run({letters[name]: model for name, model in runs.items()}):
        sections.append(Section("Training", [figure(panel) for panel in panels]))
    line = f"{comparison.title}. {terms_of_use(comparison.licence)}"
    return write_page(Path(path), f"Comparison of {len(runs)} runs", line, sections)


def _run_table(comparison: Comparison, names: Mapping[str, str]) -> Table:
    rows = [{**row, "name": names[row["run"]]} for row in comparison.run_rows()]
    return table(pl.DataFrame(rows), RUN_COLUMNS)


def _hyperparameters(comparison: Comparison) -> list[Block]:
    summary = comparison.hyperparameters.summary
    rows = comparison.hyperparameters.rows(comparison.runs)
    if not rows:
        return [summary]
    headings = {name: name for name in rows[0]}
    return [table(pl.DataFrame(rows), headings, caption="Hyperparameters that differ"), summary]


def _differences(comparison: Comparison) -> list[Block]:
    """A sentence for each primary metric, notes, and charts of all differences."""
    first = next(iter(comparison.runs))
    primary = [
        [str(difference)]
        for difference in comparison.differences
        if difference.metric in PRIMARY_METRIC.values()
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


RELATIVE = "x default: multiples of the default computed from the data."


def write_study_report(
    result: "TuningResult", dataset: Dataset, path: str | Path, command: str | None = None
) -> Path:
    """Write the page of a hyperparameter search as one HTML file, which needs no network.

    Parameters
    ----------
    result : TuningResult
        From `matinee.tuning.tune`, complete or interrupted.
    dataset : Dataset
        What was searched for.
    path : str or Path
        Of the HTML file.
    command : str, optional
        That trains the best model; shown as it is.
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
    line = (
        f"By {metric} on validation sets within the training set. {terms_of_use(dataset.licence)}"
    )
    return write_page(Path(path), title, line, sections)


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
        blocks.append(RELATIVE)
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
    rows = [
        [
            _cell(trial["trial"]),
            Number(f"{trial['value']:.4f}"),
            *(_cell(trial["settings"].get(name)) for name in result.labels),
            Number("" if trial["seconds"] is None else f"{trial['seconds']:.1f}"),
        ]
        for trial in result.completed
    ]
    return Table(["trial", metric, *result.labels.values(), "seconds"], rows)


def _cell(value: Any) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else value_label(value)
    return Number(text) if type(value) in (int, float) else text

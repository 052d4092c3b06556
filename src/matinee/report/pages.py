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
from matinee.plots.tuning import label, optimization_history, parameter_plots
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
from matinee.tuning.search_space import Choice, Range

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


DEFAULT = "x default: multiples of the default computed from the data."


def write_study_report(
    found: "TuningResult", dataset: Dataset, path: str | Path, command: str | None = None
) -> Path:
    """Write the page of a search as one HTML file, which needs no network.

    Parameters
    ----------
    found : TuningResult
        From `matinee.tuning.tune`, at its end or interrupted.
    dataset : Dataset
        What was searched for.
    path : str or Path
        Of the HTML file.
    command : str, optional
        What trains the winner again.
    """
    name = METRICS[found.metric].label
    sections = [Section("The search", [*_outcome(found, name), *_again(found, command)])]
    if course := optimization_history(found):
        sections.append(Section("Trial by trial", [figure(course, wide=True)]))
    if charts := parameter_plots(found):
        sections.append(Section("Settings", [*filter(None, [_ends(found)]), *map(figure, charts)]))
    if found.completed:
        sections.append(Section("Trials to the end", [_trials(found, name)]))
    terms = f"Terms: {dataset.licence}." if dataset.licence else "Terms of use are not known."
    title = f"Settings of {found.space.estimator} for {dataset.name}"
    line = f"Searched by {name} on a part kept aside within the training part. {terms}"
    return write_page(Path(path), title, line, sections)


def _outcome(found: "TuningResult", name: str) -> list[Block]:
    """What was tried, and how good the best is."""
    facts = []
    if found.best:
        facts += [
            (f"{value:.4f}", f"{METRICS[figure].label} of the best on the test part")
            for figure, value in found.best.test_metrics.items()
            if value is not None
        ]
    if found.completed:
        facts.append((f"{found.completed[0]['value']:.4f}", f"{name} of the best in the search"))
    if found.default_trial:
        facts.append(
            (f"{found.default_trial['value']:.4f}", f"{name} of the defaults in the search")
        )
    broke = [one["error"] for one in found.trials if one["error"]]
    nowhere = f"What led nowhere: {broke[0]}" if broke else ""
    said = " ".join(filter(None, (found.summary, found.status, nowhere)))
    return [*([Facts(facts)] if facts else []), said]


def _again(found: "TuningResult", command: str | None) -> list[Block]:
    """The settings of the best beside the defaults and what was searched, and how to have it."""
    best = found.completed[0]["settings"] if found.completed else {}
    default = found.space.default_values() or {}
    columns = [("best", best), ("default", default)]
    columns = [(title, settings) for title, settings in columns if settings]
    rows = [
        [found.labels[name], *(_cell(settings[name]) for _, settings in columns), _extent(part)]
        for name, part in found.space.searched.items()
    ]
    rows += [
        [name, *[""] * len(columns), f"always {label(value)}"]
        for name, value in found.space.fixed.items()
    ]
    table = Table(["setting", *(title for title, _ in columns), "searched"], rows, wide=False)
    blocks: list[Block] = [table, *([DEFAULT] if found.space.relative else [])]
    return [*blocks, "What trains the best again:", Command(command)] if command else blocks


def _ends(found: "TuningResult") -> str:
    """Whether better settings may lie outside of what was searched."""
    if not found.completed:
        return "No trial got to its end yet."
    at = [f"the {end} end of {name}" for name, end in found.at_bounds.items()]
    if not at:
        if not found.has_bounds:
            return ""
        return "The best lies well inside what was searched."
    return (
        f"The best lies at {' and '.join(at)} as searched: a wider range may hold something better."
    )


def _trials(found: "TuningResult", name: str) -> Table:
    rows = [
        [
            _cell(one["trial"]),
            Number(f"{one['value']:.4f}"),
            *(_cell(one["settings"].get(setting)) for setting in found.labels),
            Number("" if one["seconds"] is None else f"{one['seconds']:.1f}"),
        ]
        for one in found.completed
    ]
    return Table(["trial", name, *found.labels.values(), "seconds"], rows)


def _extent(part: Range | Choice) -> str:
    """What was searched of a setting."""
    if isinstance(part, Choice):
        return " or ".join(map(label, part.grid()))
    return f"{part.low:g} to {part.high:g}"


def _cell(value: Any) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else label(value)
    return Number(text) if type(value) in (int, float) else text

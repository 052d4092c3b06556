"""The page of a search for settings."""

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
    write_page,
)
from matinee.tuning.search_space import Choice, Range

if TYPE_CHECKING:
    from matinee.tuning.result import TuningResult

RUN_COLUMNS = {
    "rating_head": "rating head",
    "ranking_head": "ranking head",
    "fitted_on": "fitted on",
    "fit_time": "fit time",
}
HOW_TO_READ = (
    f"{METRIC_DIRECTIONS} An interval says where a figure would be with other users, at 95 %. A "
    "difference is measured on the same users for both runs, so it is known better than either "
    "figure: look at it, not at whether two intervals overlap. None of this knows of other seeds, "
    "and of twenty differences between equally good runs, one looks real by chance."
)


def write_comparison_report(
    comparison: Comparison, runs: Mapping[str, Recommender], path: str | Path
) -> Path:
    """Write the page of a comparison as one HTML file, which needs no network.

    Parameters
    ----------
    comparison : Comparison
        From `matinee.evaluation.compare`.
    runs : mapping of str to Recommender
        What was compared.
    path : str or Path
        Of the HTML file.
    """
    letters = short_names(list(runs))
    found = comparison.renamed(letters)
    models = {letters[name]: model for name, model in runs.items()}
    sections = [
        Section("Runs", [_runs(found, letters), *_settings(found)]),
        Section("Which is better", [*_sentences(found), *_charts(found)]),
        Section("Figures", [_metrics(found), HOW_TO_READ]),
    ]
    if panels := training_curves_by_run(models):
        sections.append(Section("Training", [figure(panel) for panel in panels]))
    terms = f"Terms: {comparison.licence}." if comparison.licence else "Terms of use are not known."
    line = f"{found.title}. {terms}"
    return write_page(Path(path), f"{len(runs)} runs compared", line, sections)


def _runs(found: Comparison, letters: Mapping[str, str]) -> Table:
    """Which run is meant by which letter; where they lie is nobody's business."""
    names = {letter: Path(name).name for name, letter in letters.items()}
    frame = pl.DataFrame([{**row, "name": names[row["run"]]} for row in found.run_rows()])
    return table(frame, {"run": "", "name": "run", **RUN_COLUMNS})


def _settings(found: Comparison) -> list[Block]:
    rows = found.hyperparameters.rows(found.runs)
    if not rows:
        return [found.hyperparameters.summary]
    frame = pl.DataFrame(rows)
    caption = "Settings that differ"
    return [
        table(frame, {name: name for name in frame.columns}, caption=caption),
        found.hyperparameters.summary,
    ]


def _metrics(found: Comparison) -> Table:
    rows = [
        [
            row["metric"],
            row["run"],
            *map(Number, (row["value"], row["difference"], row["ci"])),
        ]
        for row in found.metric_rows()
    ]
    first = next(iter(found.runs))
    return Table(
        ["figure", "run", "value", f"minus that of {first}", "95 % interval of the value"], rows
    )


def _sentences(found: Comparison) -> list[Block]:
    main = [[str(one)] for one in found.differences if one.metric in PRIMARY_METRIC.values()]
    first = next(iter(found.runs))
    said = [Table([f"compared with {first}"], main)] if main else []
    return [*said, *([" ".join(found.notes)] if found.notes else [])]


def _charts(found: Comparison) -> list[Block]:
    charts = [
        difference_chart(found.differences, of, [*found.runs]) for of in ("rating", "ranking")
    ]
    return [figure(chart) for chart in charts if chart]


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

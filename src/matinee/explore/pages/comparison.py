"""The page of a comparison of runs."""

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from matinee.evaluation.comparison import LESS_OR_MORE, Comparison, short_names
from matinee.evaluation.figures import MAIN
from matinee.explore.charts.comparison import difference_chart
from matinee.explore.charts.training import panels_of_runs
from matinee.explore.pages.page import Block, Number, Section, Table, figure, table, write_page
from matinee.models import FactorModel

RUN_COLUMNS = {
    "stars_by": "stars by",
    "lists_by": "lists by",
    "learned_from": "learned from",
    "fitted_in": "fitted in",
}
HOW_TO_READ = (
    f"{LESS_OR_MORE} An interval says where a figure would be with other viewers, at 95 %. A "
    "difference is measured on the same viewers for both runs, so it is known better than either "
    "figure: look at it, not at whether two intervals overlap. None of this knows of other seeds, "
    "and of twenty differences between equally good runs, one looks real by chance."
)


def write_comparison(
    comparison: Comparison, runs: Mapping[str, FactorModel], path: str | Path
) -> Path:
    """Write the page of a comparison as one HTML file, which needs no network.

    Parameters
    ----------
    comparison : Comparison
        From `matinee.evaluation.compare`.
    runs : mapping of str to FactorModel
        What was compared.
    path : str or Path
        Of the HTML file.
    """
    letters = short_names(list(runs))
    found = comparison.called(letters)
    models = {letters[name]: model for name, model in runs.items()}
    sections = [
        Section("Runs", [_runs(found, letters), *_settings(found)]),
        Section("Which is better", [*_sentences(found), *_charts(found)]),
        Section("Figures", [_figures(found), HOW_TO_READ]),
    ]
    if panels := panels_of_runs(models):
        sections.append(Section("Training", [figure(panel) for panel in panels]))
    terms = f"Terms: {comparison.licence}." if comparison.licence else "Terms of use are not known."
    line = f"{found.tested}. {terms}"
    return write_page(Path(path), f"{len(runs)} runs compared", line, sections)


def _runs(found: Comparison, letters: Mapping[str, str]) -> Table:
    """Which run is meant by which letter; where they lie is nobody's business."""
    names = {letter: Path(name).name for name, letter in letters.items()}
    frame = pl.DataFrame([{**row, "name": names[row["run"]]} for row in found.run_rows()])
    return table(frame, {"run": "", "name": "run", **RUN_COLUMNS})


def _settings(found: Comparison) -> list[Block]:
    rows = found.settings.rows(found.runs)
    if not rows:
        return [found.settings.rest]
    frame = pl.DataFrame(rows)
    caption = "Settings that differ"
    return [
        table(frame, {name: name for name in frame.columns}, caption=caption),
        found.settings.rest,
    ]


def _figures(found: Comparison) -> Table:
    rows = [
        [
            row["figure"],
            row["run"],
            *map(Number, (row["value"], row["difference"], row["interval"])),
        ]
        for row in found.figure_rows()
    ]
    first = next(iter(found.runs))
    return Table(
        ["figure", "run", "value", f"minus that of {first}", "95 % interval of the value"], rows
    )


def _sentences(found: Comparison) -> list[Block]:
    main = [[str(one)] for one in found.differences if one.figure in MAIN.values()]
    first = next(iter(found.runs))
    said = [Table([f"compared with {first}"], main)] if main else []
    return [*said, *([" ".join(found.notes)] if found.notes else [])]


def _charts(found: Comparison) -> list[Block]:
    charts = [difference_chart(found.differences, of, [*found.runs]) for of in ("stars", "lists")]
    return [figure(chart) for chart in charts if chart]

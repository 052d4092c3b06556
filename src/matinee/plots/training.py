"""Training curves of one run or of several."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import altair as alt
import polars as pl

from matinee.errors import SettingError
from matinee.models.recommender import Recommender
from matinee.plots.theme import BLUE, GREY, ORANGE, RED, Chart, framed, in_order, rows

SERIES = {"loss": GREY, "training": BLUE, "validation": "#4a9c5d", "test": RED}
"""Curves and their colours."""
DASHES = {"loss": [1, 0], "training": [6, 3], "validation": [2, 2], "test": [1, 0]}
"""The same curves by dashes, where colours tell runs apart."""
PREFIXES = {"": "loss", "loss": "loss", "train": "training"}
"""Curves by how columns of a history begin, where they have another name."""
METRICS = {"loss": ("loss", "loss"), "rmse": ("error", "RMSE"),
           "hit_rate": ("hit rate", "HR@10 (100 candidates)")}  # fmt: skip
"""Title and axis by how columns of a history end."""
PANEL_WIDTH, PANEL_HEIGHT = 360, 250
EXACT = "The last iteration of ALS solves users exactly."
OWN_LOSS = "Losses of other settings or other data are not comparable."
MAX_POINTS = 30  # steps; longer curves have no points

Runs = Recommender | Mapping[str, Recommender]


def training_curves(runs: Runs) -> alt.ConcatChart:
    """Loss, errors and time of each head over its training, one panel for each unit.

    Several `runs`, by name, are drawn over each other. A notebook shows the chart as it is. Raises
    SettingError if no model has a history.

    Examples
    --------
    >>> model = matinee.ALS(factors=4, iterations=3).fit(train, test=test)
    >>> [panel.title.text for panel in training_curves(model).concat]
    ['Rating head: loss', 'Rating head: error', 'Rating head: time per iteration']
    """
    curves: alt.ConcatChart = alt.concat(*training_panels(runs), columns=2).resolve_scale(
        color="independent", strokeDash="independent"
    )
    return curves


def training_panels(runs: Runs) -> list[Chart]:
    """The panels of `training_curves`, one by one."""
    panels: list[Chart] = []
    for head, histories, estimators, step in _histories(runs):
        for suffix, (name, unit) in METRICS.items():
            curves = _curves(histories, suffix)
            if curves.height:
                panels.append(_panel(curves, f"{head}: {name}", step, unit))
        times = _times(histories)
        if times.height:
            exact = EXACT if "ALS" in estimators else ""
            panels.append(_panel(times, f"{head}: time per {step}", step, "seconds", exact))
    if not panels:
        raise SettingError("The model has no training history: it was solved in one step.")
    return panels


def training_curves_by_run(runs: Mapping[str, Recommender]) -> list[Chart]:
    """Training curves to compare runs: a panel for each metric and set, a colour for each run.

    The loss is left out where estimators differ, for then it is not the same quantity, and so is
    the time of a step.

    Examples
    --------
    >>> runs = {"als": matinee.ALS(factors=4), "bias": matinee.Bias()}
    >>> models = {name: estimator.fit(train, test=test) for name, estimator in runs.items()}
    >>> [panel.title.text for panel in training_curves_by_run(models)]
    ['Rating head: training error', 'Rating head: test error']
    """
    panels: list[Chart] = []
    for head, histories, estimators, step in _histories(runs):
        for suffix, (name, unit) in METRICS.items():
            curves = _curves(histories, suffix)
            for series in SERIES if curves.height else ():
                own = curves.filter(pl.col("series") == series)
                if own.height == 0 or (series == "loss" and len(estimators) > 1):
                    continue
                title = "loss" if series == "loss" else f"{series} {name}"
                line = OWN_LOSS if series == "loss" else ""
                panels.append(_panel(own, f"{head}: {title}", step, unit, line, list(runs)))
    return panels


def _histories(runs: Runs) -> Iterator[tuple[str, dict[str, pl.DataFrame], set[str], str]]:
    """Each head that was trained in steps: title, histories by run, estimators, name of a step."""
    models = runs if isinstance(runs, Mapping) else {"": runs}
    for head in ("rating", "ranking"):
        heads = {name: model.heads[head] for name, model in models.items() if head in model.heads}
        heads = {name: part for name, part in heads.items() if part.history.height > 1}
        configs = [part.estimator for part in heads.values()]
        steps = {"epoch" if "epochs" in config else "iteration" for config in configs}
        if heads:
            yield (
                f"{head.capitalize()} head",
                {name: part.history for name, part in heads.items()},
                {str(config.get("name")) for config in configs},
                " or ".join(sorted(steps, reverse=True)),
            )


def _curves(histories: Mapping[str, pl.DataFrame], suffix: str) -> pl.DataFrame:
    """Columns `run`, `series`, `iteration`, `value` of all histories' columns with this suffix."""
    curves = []
    for run, history in histories.items():
        for column in history.columns:
            if column.endswith(suffix):
                prefix = column.removesuffix(suffix).rstrip("_")
                series = PREFIXES.get(prefix, prefix)
                curves.append(_curve(run, series, history, pl.col(column)))
    return pl.concat(curves).drop_nulls() if curves else pl.DataFrame()


def _times(histories: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """The same for how long each step took, from the seconds since the start."""
    elapsed = pl.col("seconds")
    curves = [
        _curve(run, "seconds", history, elapsed.diff().fill_null(elapsed.first()))
        for run, history in histories.items()
        if "seconds" in history.columns
    ]
    return pl.concat(curves) if curves else pl.DataFrame()


def _curve(run: str, series: str, history: pl.DataFrame, value: pl.Expr) -> pl.DataFrame:
    return history.select(
        run=pl.lit(run),
        series=pl.lit(series),
        iteration=pl.col("iteration").cast(pl.Int64),
        value=value.cast(pl.Float64),
    )


def _panel(
    curves: pl.DataFrame, title: str, step: str, unit: str, line: str = "", runs: Sequence[str] = ()
) -> Chart:
    """One chart of several curves; `runs` are all that have a colour, by default those shown."""
    shown = curves["run"].unique(maintain_order=True).to_list()
    runs = runs or shown
    series = [name for name in (*SERIES, "seconds") if name in curves["series"].unique()]
    # points would hide the dashes in the legend
    dots = (len(runs) == 1 or len(series) == 1) and curves["iteration"].n_unique() <= MAX_POINTS
    chart = (
        alt.Chart(rows(curves))
        .mark_line(point=dots)
        .encode(
            x=alt.X("iteration:Q", title=step).axis(tickMinStep=1, format="d", grid=False),
            y=alt.Y("value:Q", title=unit).scale(zero=unit == "seconds").axis(tickCount=5),
            tooltip=[
                "run:N",
                alt.Tooltip("series:N", title=" "),
                alt.Tooltip("iteration:Q", title=step),
                alt.Tooltip("value:Q", title=unit, format=".4f"),
            ],
            **(_by_run(runs, shown, series) if len(runs) > 1 else _by_series(series, unit)),
        )
    )
    return framed(chart, title, line, width=PANEL_WIDTH, height=PANEL_HEIGHT)


def _by_run(runs: Sequence[str], shown: list[str], series: list[str]) -> dict[str, Any]:
    """Colours for runs, and dashes for series where there are several."""
    color = alt.Color("run:N", title=None, scale=in_order(runs))
    color = color.legend(orient="bottom", symbolType="stroke", values=shown)
    encoding: dict[str, Any] = {"color": color}
    if len(series) > 1:
        dashes = alt.Scale(domain=series, range=[DASHES[name] for name in series])
        dash = alt.StrokeDash("series:N", title=None, scale=dashes)
        encoding["strokeDash"] = dash.legend(orient="bottom", symbolType="stroke")
    return encoding


def _by_series(series: list[str], unit: str) -> dict[str, Any]:
    """Colours for series, with a legend in the corner where no curve ends."""
    if series == ["seconds"]:
        return {"color": alt.value(ORANGE)}
    colors = alt.Scale(domain=series, range=[SERIES[name] for name in series])
    color = alt.Color("series:N", title=None, scale=colors)
    if len(series) == 1:
        return {"color": color.legend(None)}
    rising = unit == METRICS["hit_rate"][1]
    return {"color": color.legend(orient="bottom-right" if rising else "top-right")}

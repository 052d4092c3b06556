"""Charts of a hyperparameter search: its trials in order, and by each hyperparameter."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import altair as alt
import numpy as np
import polars as pl

from matinee.evaluation.metrics import METRICS
from matinee.models.registry import format_value
from matinee.plots.theme import BLUE, COLORS, GREY, HEIGHT, ORANGE, WIDTH, Chart, framed, rows
from matinee.storage.runs import finite_or_none
from matinee.tuning.search_space import Choice, from_stored

if TYPE_CHECKING:  # searching needs an extra of its own
    from matinee.tuning.result import TuningResult

BEST, BEST_DEFAULT, DEFAULT = "best", "best (default)", "default"
COMPLETE, PRUNED = "complete", "pruned"
COLOR_OF = {BEST: ORANGE, BEST_DEFAULT: ORANGE, DEFAULT: COLORS[4], COMPLETE: BLUE, PRUNED: GREY}
PRUNED_LINE = "Pale: pruned; their value is that of fewer factors or iterations."
MAX_TICKS = 20  # trials, each of which has its number on the axis
OUTLIER = 6  # times as far from the best as three quarters of the trials: the axis ends there


def optimization_history(result: "TuningResult") -> Chart | None:
    """The value of every trial of `matinee.tuning.tune` in the order of their start, and the best.

    None if no trial has a value.

    Examples
    --------
    >>> from pathlib import Path
    >>> from matinee.tuning import Range, SearchSpace
    >>> from matinee.tuning.result import TuningResult
    >>> trial = {"trial": 0, "value": 0.87, "state": "complete", "settings": {"factors": 8}}
    >>> space = SearchSpace("ALS", {"factors": Range(4, 64, log=True, integer=True)})
    >>> result = TuningResult(Path("study"), "rmse", space, [trial], n_trials=1)
    >>> optimization_history(result).title.text
    'RMSE of each trial'
    """
    data = _trial_rows(result)
    if data.height == 0:
        return None
    last = max(data["trial"])
    # left alone, Vega counts three trials in halves
    ticks: Any = {"values": list(range(last + 1))} if last < MAX_TICKS else {}
    trial = alt.X("trial:Q", title="trial").axis(format="d", grid=False, **ticks)
    best_so_far = alt.Chart(rows(_best_so_far(data, result.higher_is_better))).mark_line(
        color=ORANGE, interpolate="step-after", size=1.5, opacity=0.7
    )
    points, outliers = _points(result, data)
    pruned = sum(trial["state"] == "pruned" for trial in result.trials)
    without_value = pruned - int((data["status"] == PRUNED).sum())
    return framed(
        best_so_far.encode(x=trial, y="value:Q") + points.encode(x=trial),
        f"{METRICS[result.metric].label} of each trial",
        "Line: the best complete trial so far.",
        PRUNED_LINE if PRUNED in data["status"] else "",
        f"Not shown: {without_value:,} pruned without a comparable value." if without_value else "",
        outliers,
        width=2 * WIDTH,
        height=HEIGHT,
    )


def parameter_plots(result: "TuningResult") -> list[Chart]:
    """The value of every trial by each hyperparameter searched; no charts if none has a value."""
    data = _trial_rows(result)
    if data.height == 0:
        return []
    points, outliers = _points(result, data)
    charts = []
    for column, name, title in _columns(result):
        values = result.space.searched[name]
        if isinstance(values, Choice):
            names = [value_label(value) for value in values.grid()]
            x = alt.X(f"{column}:N", title=title).scale(domain=names, paddingInner=0.3)
            # side by side where many trials chose the same
            x = x.axis(labelAngle=0, labelLimit=130, grid=False)
            chart = points.encode(x=x, xOffset=alt.XOffset("trial:Q"))
        else:
            title = f"{title} (log scale)" if values.log else title
            x = alt.X(f"{column}:Q", title=title).axis(format="~g", tickCount=6, grid=False)
            limits = [values.low, values.high]
            x = x.scale(type="log" if values.log else "linear", domain=limits, nice=False)
            chart = points.encode(x=x)
        heading = f"{METRICS[result.metric].label} by {name}"
        charts.append(framed(chart, heading, outliers, height=HEIGHT - 60))
    return charts


def value_label(value: Any) -> str:
    """A stored hyperparameter value as one types it.

    Examples
    --------
    >>> value_label(True), value_label(64), value_label("[128, 64]")
    ('true', '64', '128,64')
    """
    return format_value(from_stored(value))


def _columns(result: "TuningResult") -> Iterator[tuple[str, str, str]]:
    """For each hyperparameter: its column, which no odd name can break, its name and its title."""
    for number, (name, title) in enumerate(result.labels.items()):
        yield f"parameter{number}", name, title


def _trial_rows(result: "TuningResult") -> pl.DataFrame:
    """The trials with a value in their order, but the default and the best last, to lie on top."""
    best = result.completed[0]["trial"] if result.completed else None
    default = result.default_trial["trial"] if result.default_trial else None

    def row(trial: dict[str, Any]) -> dict[str, Any]:
        number, settings = trial["trial"], trial["settings"]
        status = COMPLETE if trial["state"] == "complete" else PRUNED
        if number == best:
            status = BEST_DEFAULT if best == default else BEST
        elif number == default:
            status = DEFAULT
        values = {
            column: value_label(settings.get(name))
            if isinstance(result.space.searched[name], Choice)
            else settings.get(name)
            for column, name, _ in _columns(result)
        }
        return {"trial": number, "value": trial["value"], "status": status, **values}

    with_value = [
        row(trial)
        for trial in result.trials
        if trial["state"] != "failed" and finite_or_none(trial["value"]) is not None
    ]
    with_value.sort(key=lambda row: (row["trial"] == best, row["trial"] == default, row["trial"]))
    return pl.DataFrame(with_value, infer_schema_length=None)


def _points(result: "TuningResult", data: pl.DataFrame) -> tuple[alt.Chart, str]:
    """Trials as points by their value, and a line on those beyond the axis."""
    metric = METRICS[result.metric].label
    colors = {status: color for status, color in COLOR_OF.items() if status in data["status"]}
    low, high = _axis_limits(data["value"], result.higher_is_better)
    outliers = int(((data["value"] < low) | (data["value"] > high)).sum())
    parameters = [
        alt.Tooltip(f"{column}:N", title=title)
        if isinstance(result.space.searched[name], Choice)
        else alt.Tooltip(f"{column}:Q", title=title, format=".4~g")
        for column, name, title in _columns(result)
    ]
    large = alt.FieldOneOfPredicate("status", [BEST, BEST_DEFAULT, DEFAULT])
    chart = (
        alt.Chart(rows(data))
        .mark_circle()
        .encode(
            y=alt.Y("value:Q", title=metric)
            .scale(domain=[low, high], zero=False, clamp=True)
            .axis(tickCount=5),
            color=alt.Color("status:N", title=None)
            .scale(domain=list(colors), range=list(colors.values()))
            .legend(orient="bottom", symbolOpacity=1),
            opacity=alt.condition(alt.datum.status == PRUNED, alt.value(0.6), alt.value(1)),
            size=alt.condition(large, alt.value(130), alt.value(60)),
            tooltip=[
                "trial:Q",
                "status:N",
                alt.Tooltip("value:Q", title=metric, format=".4f"),
                *parameters,
            ],
        )
    )
    return chart, f"At the edge: {outliers:,} much worse." if outliers else ""


def _best_so_far(data: pl.DataFrame, higher_is_better: bool) -> pl.DataFrame:
    """At each complete trial, and at the last of all, the best value until then."""
    value = pl.col("value").cum_max() if higher_is_better else pl.col("value").cum_min()
    complete = data.filter(pl.col("status") != PRUNED).sort("trial").select("trial", value)
    end = complete.tail(1).with_columns(trial=pl.lit(max(data["trial"]), pl.Int64))
    return pl.concat([complete, end])


def _axis_limits(values: pl.Series, higher_is_better: bool) -> tuple[float, float]:
    """Ends of an axis on which a few bad trials do not squeeze all others together."""
    sign = -1.0 if higher_is_better else 1.0
    best, upper_quartile, end = np.quantile(sign * values.to_numpy(), [0, 0.75, 1])
    if upper_quartile > best:
        end = min(end, best + OUTLIER * (upper_quartile - best))
    margin = 0.05 * (end - best) or 0.05 * abs(best) or 1.0
    low, high = sorted((sign * (best - margin), sign * (end + margin)))
    return float(low), float(high)

"""A search for settings as pictures: how it went, and what each setting did."""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import altair as alt
import numpy as np
import polars as pl

from matinee.evaluation.metrics import METRICS
from matinee.models.registry import format_value
from matinee.plots.theme import BLUE, COLORS, GREY, HEIGHT, ORANGE, WIDTH, Chart, framed, rows
from matinee.tuning.search_space import Choice, from_stored

if TYPE_CHECKING:  # a search is made with an extra of its own
    from matinee.tuning.result import TuningResult

BEST, DEFAULTS, WHOLE, STOPPED = "the best", "the defaults", "to the end", "stopped early"
BOTH = "best (default)"
KINDS = {BEST: ORANGE, BOTH: ORANGE, DEFAULTS: COLORS[4], WHOLE: BLUE, STOPPED: GREY}
"""What trials are, and their colours."""
PALE = 0.6  # opacity of those stopped early
PALER = "Paler: stopped early, with what they had then from fewer factors and iterations."
FEW = 20  # trials, each of which has its number on the axis
FAR = 6  # times as far from the best as three quarters of the trials: as far as an axis goes


def optimization_history(found: "TuningResult") -> Chart | None:
    """The value of every trial in the order in which they were begun, and the best so far.

    Parameters
    ----------
    found : TuningResult
        From `matinee.tuning.tune`.

    Returns
    -------
    altair chart or None
        None if no trial has a value.

    Examples
    --------
    >>> from pathlib import Path
    >>> from matinee.tuning import Range, SearchSpace
    >>> from matinee.tuning.result import TuningResult
    >>> trial = {"trial": 0, "value": 0.87, "state": "complete", "settings": {"factors": 8}}
    >>> space = SearchSpace("ALS", {"factors": Range(4, 64, log=True, integer=True)})
    >>> found = TuningResult(Path("study"), "rmse", space, [trial], n_trials=1)
    >>> optimization_history(found).title.text
    'RMSE of each trial'
    """
    data = _shown(found)
    if data.height == 0:
        return None
    last = max(data["trial"])
    # left alone, Vega counts three trials in halves
    ticks: Any = {"values": list(range(last + 1))} if last < FEW else {}
    number = alt.X("trial:Q", title="trial").axis(format="d", grid=False, **ticks)
    so_far = _best_so_far(data, found.higher_is_better)
    line = alt.Chart(rows(so_far)).mark_line(
        color=ORANGE, interpolate="step-after", size=1.5, opacity=0.7
    )
    base, beyond = _points(found, data)
    pruned = sum(one["state"] == "pruned" for one in found.trials)
    unknown = pruned - int((data["kind"] == STOPPED).sum())
    return framed(
        line.encode(x=number, y="value:Q") + base.encode(x=number),
        f"{METRICS[found.metric].label} of each trial",
        "Line: the best so far of those that got to the end.",
        PALER if STOPPED in data["kind"] else "",
        f"Not shown: {unknown:,} stopped early, without a value to compare." if unknown else "",
        beyond,
        width=2 * WIDTH,
        height=HEIGHT,
    )


def parameter_plots(found: "TuningResult") -> list[Chart]:
    """The value of every trial by each setting that was searched, a chart for each.

    Parameters
    ----------
    found : TuningResult

    Returns
    -------
    list of altair charts
        Empty if no trial has a value.
    """
    data = _shown(found)
    if data.height == 0:
        return []
    base, beyond = _points(found, data)
    charts = []
    for column, name, title in _columns(found):
        part = found.space.searched[name]
        if isinstance(part, Choice):
            names = [label(value) for value in part.grid()]
            x = alt.X(f"{column}:N", title=title).scale(domain=names, paddingInner=0.3)
            # side by side where many chose the same
            drawn = base.encode(
                x=x.axis(labelAngle=0, labelLimit=130, grid=False),
                xOffset=alt.XOffset("trial:Q"),
            )
        else:
            scale = alt.Scale(
                type="log" if part.log else "linear",
                domain=[part.low, part.high],
                nice=False,
            )
            even = f"{title}, logarithmic" if part.log else title
            x = alt.X(f"{column}:Q", title=even, scale=scale)
            drawn = base.encode(x=x.axis(format="~g", tickCount=6, grid=False))
        heading = f"{METRICS[found.metric].label} by {name}"
        charts.append(framed(drawn, heading, beyond, width=WIDTH, height=HEIGHT - 60))
    return charts


def label(value: Any) -> str:
    """A value of a setting, as one types it, from what a study keeps of it.

    Examples
    --------
    >>> label(True), label(64), label("[128, 64]")
    ('true', '64', '128,64')
    """
    return format_value(from_stored(value))


def _columns(found: "TuningResult") -> Iterator[tuple[str, str, str]]:
    """For each setting: its column, which no odd name can break, its name, and its title."""
    for at, (name, title) in enumerate(found.labels.items()):
        yield f"setting{at}", name, title


def _shown(found: "TuningResult") -> pl.DataFrame:
    """The trials that have a value in their order, but the defaults and the best on top of all."""
    best = found.completed[0]["trial"] if found.completed else None
    default = found.default_trial["trial"] if found.default_trial else None
    searched = found.space.searched

    def row(one: dict[str, Any]) -> dict[str, Any]:
        kind = WHOLE if one["state"] == "complete" else STOPPED
        if one["trial"] == best:
            kind = BOTH if best == default else BEST
        elif one["trial"] == default:
            kind = DEFAULTS
        settings = {
            column: label(one["settings"].get(name))
            if isinstance(searched[name], Choice)
            else one["settings"].get(name)
            for column, name, _ in _columns(found)
        }
        return {"trial": one["trial"], "value": one["value"], "kind": kind, **settings}

    shown = (one for one in found.trials if one["state"] != "failed" and _known(one["value"]))
    ordered = sorted(
        map(row, shown),
        key=lambda one: (one["trial"] == best, one["trial"] == default, one["trial"]),
    )
    return pl.DataFrame(ordered, infer_schema_length=None)


def _known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _points(found: "TuningResult", data: pl.DataFrame) -> tuple[alt.Chart, str]:
    """Trials as points by their value, and what to say of those beyond the axis."""
    metric = METRICS[found.metric].label
    kinds = [kind for kind in KINDS if kind in set(data["kind"])]
    low, high = _limits(data["value"], found.higher_is_better)
    beyond = int(((data["value"] < low) | (data["value"] > high)).sum())
    settings = [
        alt.Tooltip(f"{column}:N", title=title)
        if isinstance(found.space.searched[name], Choice)
        else alt.Tooltip(f"{column}:Q", title=title, format=".4~g")
        for column, name, title in _columns(found)
    ]
    chart = (
        alt.Chart(rows(data))
        .mark_circle()
        .encode(
            y=alt.Y("value:Q", title=metric)
            .scale(domain=[low, high], zero=False, clamp=True)
            .axis(tickCount=5),
            color=alt.Color("kind:N", title=None)
            .scale(domain=kinds, range=[KINDS[kind] for kind in kinds])
            .legend(orient="bottom", symbolOpacity=1),
            opacity=alt.condition(alt.datum.kind == STOPPED, alt.value(PALE), alt.value(1)),
            size=alt.condition(
                alt.FieldOneOfPredicate("kind", [BEST, BOTH, DEFAULTS]),
                alt.value(130),
                alt.value(60),
            ),
            tooltip=[
                alt.Tooltip("trial:Q"),
                alt.Tooltip("kind:N", title="which is"),
                alt.Tooltip("value:Q", title=metric, format=".4f"),
                *settings,
            ],
        )
    )
    return chart, f"At the edge: {beyond:,} that are far worse." if beyond else ""


def _best_so_far(data: pl.DataFrame, higher_is_better: bool) -> pl.DataFrame:
    """At each trial from the first that got to its end on, the best value until then."""
    value = pl.col("value").cum_max() if higher_is_better else pl.col("value").cum_min()
    ended = data.filter(pl.col("kind") != STOPPED).sort("trial").select("trial", value)
    return pl.concat(
        [ended, ended.tail(1).with_columns(trial=pl.lit(max(data["trial"]), pl.Int64))]
    )


def _limits(values: pl.Series, higher_is_better: bool) -> tuple[float, float]:
    """Ends of an axis on which a few bad trials do not press all others together."""
    sign = -1.0 if higher_is_better else 1.0
    away = sign * values.to_numpy()
    best, most, worst = np.quantile(away, [0, 0.75, 1])
    end = min(worst, best + FAR * (most - best)) if most > best else worst
    room = 0.05 * (end - best) or 0.05 * abs(best) or 1.0
    low, high = sorted((sign * (best - room), sign * (end + room)))
    return float(low), float(high)

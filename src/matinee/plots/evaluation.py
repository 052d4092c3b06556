"""Charts of metrics with confidence intervals: by head, by group, and differences between runs."""

from collections.abc import Sequence
from typing import Any

import altair as alt
import polars as pl

from matinee.evaluation.groups import GROUP_METRIC, GroupMetrics
from matinee.evaluation.metrics import METRICS, Metric
from matinee.evaluation.uncertainty import MetricValue
from matinee.experiments.comparison_result import Difference
from matinee.experiments.leaderboard import BASELINE, LeaderboardRow
from matinee.plots.theme import (
    BLUE,
    HEIGHT,
    INTERVAL,
    RED,
    Chart,
    framed,
    in_order,
    interval_chart,
    rows,
)
from matinee.storage.runs import finite_or_none

CI = "Lines: 95% CI over users."
GROUPED_BY = {"users": "user activity", "items": "{noun} popularity"}
GROUP_AXIS = {"users": "training {unit}s of the user", "items": "training {unit}s of the {noun}"}


def ranking_metrics_chart(leaderboard: Sequence[LeaderboardRow], metric: str) -> Chart:
    """A ranking metric, such as ``"ndcg@10"``, of every head of every run, with 95 % intervals.

    `leaderboard` is from `matinee.experiments.evaluate_runs`.
    """
    several_runs = len({row.model for row in leaderboard} - {BASELINE}) > 1

    def name(row: LeaderboardRow) -> str:
        named = not several_runs or row.model in (BASELINE, row.estimator)
        return row.label if named else f"{row.model}: {row.label}"

    label = METRICS[metric].label
    data = pl.DataFrame(
        [{"ranked_by": name(row)} | _interval(row.ranking.metrics[metric]) for row in leaderboard],
        schema={"ranked_by": pl.String, **INTERVAL},
    ).drop_nulls("value")
    order = data.sort("value", descending=True)["ranked_by"].to_list()
    return framed(
        interval_chart(
            data,
            alt.X("value:Q", title=label).scale(zero=True).axis(tickCount=5),
            [alt.Tooltip("ranked_by:N", title="ranked by"), *_tooltips(METRICS[metric])],
            y=alt.Y("ranked_by:N", title=None, sort=order).axis(labelLimit=240, grid=True),
            color=alt.value(BLUE),
        ),
        label,
        CI,
        height=32 * max(1, len(data)),
    )


def rating_by_group(groups: Sequence[GroupMetrics], side: str, noun: str = "item") -> Chart:
    """RMSE of users by activity, or of items by popularity; `noun` is what an item is called."""
    axis = GROUP_AXIS[side].format(noun=noun, unit="rating")
    return _by_group(groups, side, "rmse", METRICS["rmse"], noun, axis, BLUE)


def ranking_by_group(
    groups: Sequence[GroupMetrics], side: str, noun: str = "item", unit: str = "rating"
) -> Chart:
    """NDCG@10 of users by activity, or capped Recall@20 of items by popularity.

    `unit` is what users and items have: a "rating", or an "interaction" without one.
    """
    axis = GROUP_AXIS[side].format(noun=noun, unit=unit)
    return _by_group(groups, side, "ranking", METRICS[GROUP_METRIC[side]], noun, axis, RED)


def _by_group(
    groups: Sequence[GroupMetrics],
    side: str,
    field: str,
    metric: Metric,
    noun: str,
    axis: str,
    color: str,
) -> Chart:
    data = pl.DataFrame(
        [
            {"group": group_range(group), "size": group.size, **_interval(value)}
            for group in groups
            if group.side == side and (value := getattr(group, field)) is not None
        ],
        schema={"group": pl.String, "size": pl.Int64, **INTERVAL},
    )
    tooltips = [
        alt.Tooltip("group:N", title=axis),
        alt.Tooltip("size:Q", title="users" if side == "users" else f"{noun}s", format=","),
        *_tooltips(metric),
    ]
    group = alt.X("group:N", title=axis, sort=data["group"].to_list())
    y = alt.Y("value:Q", title=metric.label).scale(zero=metric.direction == "higher")
    return framed(
        interval_chart(
            data,
            y.axis(tickCount=5),
            tooltips,
            x=group.axis(labelAngle=0, grid=False),
            color=alt.value(color),
        ),
        f"{metric.label} by {GROUPED_BY[side].format(noun=noun)}",
        CI,
        height=HEIGHT - 40,
    )


def difference_chart(
    differences: Sequence[Difference], head: str, runs: Sequence[str]
) -> Chart | None:
    """Differences of runs to the first one, with 95 % intervals; None without such a difference.

    `differences` are from `matinee.experiments.compare`; those in the metrics of `head`,
    ``"rating"`` or ``"ranking"``, are shown. `runs` names all runs in the order of their colours,
    first the one that the others are compared with.
    """
    text = dict.fromkeys(("metric", "run", "sentence"), pl.String)
    data = pl.DataFrame(
        [
            (METRICS[each.metric].label, each.run, str(each), *_interval(each.value).values())
            for each in differences
            if METRICS[each.metric].task == head
        ],
        schema={**text, **INTERVAL},
        orient="row",
    )
    if data.height == 0:
        return None
    first, *others = runs
    metrics = data["metric"].unique(maintain_order=True).to_list()
    legend = alt.Legend(orient="bottom", values=others)
    zero = alt.Chart(rows(pl.DataFrame({"zero": [0.0]})))
    chart = interval_chart(
        data,
        alt.X("value:Q", title=f"difference to {first}").axis(tickCount=5, grid=False),
        [alt.Tooltip("sentence:N", title=" ")],
        zero.mark_rule(strokeDash=[4, 3]).encode(x="zero:Q"),
        y=alt.Y("metric:N", title=None, sort=metrics).axis(labelLimit=180),
        yOffset=alt.YOffset("run:N", sort=others),
        color=alt.Color("run:N", title=None, scale=in_order(runs), legend=legend),
    )
    better = "left" if head == "rating" else "right"
    return framed(
        chart,
        f"{head.capitalize()} metrics, difference to {first}",
        f"{better.capitalize()} of zero: better than {first}. {CI}",
        height=22 * len(data) + 20,
    )


def _tooltips(metric: Metric) -> list[alt.Tooltip]:
    return [
        alt.Tooltip("value:Q", title=metric.label, format=".4f"),
        alt.Tooltip("ci_low:Q", title="95% CI from", format=".4f"),
        alt.Tooltip("ci_high:Q", title="to", format=".4f"),
    ]


def _interval(value: MetricValue) -> dict[str, Any]:
    """The columns `INTERVAL`; nan is missing."""
    return {name: finite_or_none(getattr(value, name)) for name in INTERVAL}


def group_range(group: GroupMetrics) -> str:
    """The training ratings of the members of a group: `0` or `2-1,234`."""
    low, high = group.min_ratings, group.max_ratings
    return f"{low:,}" if low == high else f"{low:,}-{high:,}"

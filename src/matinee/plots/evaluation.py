"""Charts of how good a model is, and for whom."""

from collections.abc import Sequence

import altair as alt
import polars as pl

from matinee.evaluation.groups import GroupMetrics
from matinee.evaluation.metrics import METRICS
from matinee.evaluation.uncertainty import MetricValue
from matinee.experiments.comparison_result import Difference
from matinee.experiments.leaderboard import BASELINE, LeaderboardRow
from matinee.plots.theme import BLUE, HEIGHT, ORANGE, RED, WIDTH, Chart, framed, in_order, rows
from matinee.storage.runs import finite_or_none

SIDES = {"users": "ratings given in training", "items": "training ratings of the movie"}
VALUES = {"value": pl.Float64, "low": pl.Float64, "high": pl.Float64}
FOUND = {
    "users": ("NDCG@10", "How well lists find what users watched"),
    "items": ("part found in 20 places", "How much of what was watched lists find"),
}


def ranking_metrics_chart(table: Sequence[LeaderboardRow], figure: str) -> Chart:
    """One figure of lists for every head of every run, with 95 % intervals.

    Parameters
    ----------
    table : sequence of LeaderboardRow
        From `matinee.evaluation.evaluate_runs`.
    figure : str
        Such as ``"ndcg@10"``.
    """
    name = METRICS[figure].label
    several = len({row.model for row in table} - {BASELINE}) > 1
    data = pl.DataFrame(
        [
            {
                "who": f"{row.model}: {row.label}"
                if several and row.model != BASELINE
                else row.label,
                **_plain_values(row.ranking.metrics[figure]),
            }
            for row in table
        ],
        schema={"who": pl.String, **VALUES},
    ).drop_nulls("value")
    names = data.sort("value", descending=True)["who"].to_list()
    base = alt.Chart(rows(data)).encode(
        y=alt.Y("who:N", title=None, sort=names).axis(labelLimit=240)
    )
    bars = base.mark_bar(color=BLUE, opacity=0.75, cornerRadiusEnd=2, height=14).encode(
        x=alt.X("value:Q", title=name).axis(tickCount=5),
        tooltip=[alt.Tooltip("who:N", title="lists by"), *_metrics(name)],
    )
    reach = base.mark_rule(size=2, color=ORANGE).encode(x="low:Q", x2="high:Q")
    return framed(
        (bars + reach),
        f"Lists: {name}",
        "Orange: 95 % interval over users.",
        width=WIDTH,
        height=32 * len(data),
    )


def rating_by_group(parts: Sequence[GroupMetrics], of: str) -> Chart:
    """RMSE for users by activity, or for movies by popularity."""
    return _by_group(
        parts, of, "rmse", "RMSE, stars", f"How far off stars are, {of} in parts", BLUE
    )


def ranking_by_group(parts: Sequence[GroupMetrics], of: str) -> Chart:
    """What lists find for users by activity, or of movies by popularity."""
    name, title = FOUND[of]
    return _by_group(parts, of, "ranking", name, title, RED)


def _by_group(
    parts: Sequence[GroupMetrics], of: str, figure: str, name: str, title: str, color: str
) -> Chart:
    shown = [
        {
            "part": _range(part.min_ratings, part.max_ratings),
            "members": part.size,
            **_plain_values(found),
        }
        for part in parts
        if part.side == of and (found := getattr(part, figure)) is not None
    ]
    data = pl.DataFrame(shown, schema={"part": pl.String, "members": pl.Int64, **VALUES})
    base = alt.Chart(rows(data)).encode(
        x=alt.X("part:N", title=SIDES[of], sort=data["part"].to_list()).axis(
            labelAngle=0, grid=False
        )
    )
    dots = base.mark_circle(size=110, opacity=1, color=color).encode(
        y=alt.Y("value:Q", title=name).scale(zero=figure != "rmse").axis(tickCount=5),
        tooltip=[
            alt.Tooltip("part:N", title=SIDES[of]),
            alt.Tooltip("members:Q", title=of, format=","),
            *_metrics(name),
        ],
    )
    reach = base.mark_rule(size=2, color=color).encode(y="low:Q", y2="high:Q")
    return framed(
        (reach + dots), title, "Lines: 95 % interval over users.", width=WIDTH, height=HEIGHT - 40
    )


def _metrics(name: str) -> list[alt.Tooltip]:
    return [
        alt.Tooltip("value:Q", title=name, format=".4f"),
        alt.Tooltip("low:Q", format=".4f"),
        alt.Tooltip("high:Q", format=".4f"),
    ]


def _plain_values(figure: MetricValue) -> dict[str, float | None]:
    """A figure as columns; what is no number is missing."""
    return {
        "value": finite_or_none(figure.value),
        "low": finite_or_none(figure.ci_low),
        "high": finite_or_none(figure.ci_high),
    }


def _range(least: int, most: int) -> str:
    return f"{least:,}" if least == most else f"{least:,}-{most:,}"


TITLES = {"rating": "Errors of stars", "ranking": "How well lists find what was watched"}
BETTER = {"rating": "left", "ranking": "right"}


def difference_chart(
    differences: Sequence[Difference], of: str, runs: Sequence[str]
) -> Chart | None:
    """By how much runs differ from the first one, with 95 % intervals.

    Parameters
    ----------
    differences : sequence of Difference
        From `matinee.evaluation.compare`.
    of : {"rating", "ranking"}
    runs : sequence of str
        All runs, in the order of their colours; the first is what the others differ from.

    Returns
    -------
    altair chart or None
        None if there is no such difference.
    """
    shown = [
        {
            "figure": METRICS[one.metric].label,
            "run": one.run,
            "value": one.value.value,
            "low": one.value.ci_low,
            "high": one.value.ci_high,
            "in_words": str(one),
        }
        for one in differences
        if METRICS[one.metric].task == of
    ]
    if not shown:
        return None
    data = pl.DataFrame(shown, schema_overrides={"low": pl.Float64, "high": pl.Float64})
    first, *others = runs
    base = alt.Chart(rows(data)).encode(
        y=alt.Y("figure:N", title=None, sort=data["figure"].unique(maintain_order=True).to_list()),
        yOffset=alt.YOffset("run:N", sort=others),
        color=alt.Color("run:N", title=None)
        .scale(in_order(runs))
        .legend(alt.Legend(orient="bottom", values=others)),
        tooltip=alt.Tooltip("in_words:N", title=" "),
    )
    dots = base.mark_circle(size=90, opacity=1).encode(
        x=alt.X("value:Q", title=f"run minus {first}{', stars' if of == 'rating' else ''}").axis(
            tickCount=5, grid=False
        )
    )
    reach = base.mark_rule(size=2).encode(x="low:Q", x2="high:Q")
    zero = alt.Chart(rows(pl.DataFrame({"zero": [0.0]}))).mark_rule(strokeDash=[4, 3])
    height = 22 * len(data) + 20
    return framed(
        zero.encode(x="zero:Q") + reach + dots,
        f"{TITLES[of]}, minus those of {first}",
        f"Runs {BETTER[of]} of zero are better than {first}. Lines: 95 % interval over users.",
        width=WIDTH,
        height=height,
    )

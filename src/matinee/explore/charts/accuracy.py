"""Charts of how good a model is, and for whom."""

from collections.abc import Sequence

import altair as alt
import polars as pl

from matinee.evaluation import FIGURES, Figure, Row, Served
from matinee.evaluation.side_by_side import MOST_WATCHED
from matinee.explore.charts.house import BLUE, HEIGHT, ORANGE, RED, WIDTH, Chart, framed, rows
from matinee.models.runs import plain

SIDES = {"viewers": "ratings given in training", "movies": "training ratings of the movie"}
VALUES = {"value": pl.Float64, "low": pl.Float64, "high": pl.Float64}
FOUND = {
    "viewers": ("NDCG@10", "How well lists find what viewers watched"),
    "movies": ("part found in 20 places", "How much of what was watched lists find"),
}


def list_figures(table: Sequence[Row], figure: str) -> Chart:
    """One figure of lists for every head of every run, with 95 % intervals.

    Parameters
    ----------
    table : sequence of Row
        From `matinee.evaluation.judge_runs`.
    figure : str
        Such as ``"ndcg@10"``.
    """
    name = FIGURES[figure].called
    several = len({row.model for row in table} - {MOST_WATCHED}) > 1
    data = pl.DataFrame(
        [
            {
                "who": f"{row.model}: {row.who}"
                if several and row.model != MOST_WATCHED
                else row.who,
                **_plain_values(row.lists.figures[figure]),
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
        tooltip=[alt.Tooltip("who:N", title="lists by"), *_figures(name)],
    )
    reach = base.mark_rule(size=2, color=ORANGE).encode(x="low:Q", x2="high:Q")
    return framed(
        (bars + reach),
        f"Lists: {name}",
        "Orange: 95 % interval over viewers.",
        width=WIDTH,
        height=32 * len(data),
    )


def stars_by_group(parts: Sequence[Served], of: str) -> Chart:
    """RMSE for viewers by activity, or for movies by popularity."""
    return _by_group(
        parts, of, "rmse", "RMSE, stars", f"How far off stars are, {of} in parts", BLUE
    )


def lists_by_group(parts: Sequence[Served], of: str) -> Chart:
    """What lists find for viewers by activity, or of movies by popularity."""
    name, title = FOUND[of]
    return _by_group(parts, of, "found", name, title, RED)


def _by_group(
    parts: Sequence[Served], of: str, figure: str, name: str, title: str, color: str
) -> Chart:
    shown = [
        {
            "part": _range(part.least, part.most),
            "members": part.members,
            **_plain_values(found),
        }
        for part in parts
        if part.of == of and (found := getattr(part, figure)) is not None
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
            *_figures(name),
        ],
    )
    reach = base.mark_rule(size=2, color=color).encode(y="low:Q", y2="high:Q")
    return framed(
        (reach + dots), title, "Lines: 95 % interval over viewers.", width=WIDTH, height=HEIGHT - 40
    )


def _figures(name: str) -> list[alt.Tooltip]:
    return [
        alt.Tooltip("value:Q", title=name, format=".4f"),
        alt.Tooltip("low:Q", format=".4f"),
        alt.Tooltip("high:Q", format=".4f"),
    ]


def _plain_values(figure: Figure) -> dict[str, float | None]:
    """A figure as columns; what is no number is missing."""
    return {name: plain(getattr(figure, name)) for name in VALUES}


def _range(least: int, most: int) -> str:
    return f"{least:,}" if least == most else f"{least:,}-{most:,}"

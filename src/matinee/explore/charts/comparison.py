"""Charts of runs against each other."""

from collections.abc import Sequence

import altair as alt
import polars as pl

from matinee.evaluation import FIGURES, Difference
from matinee.explore.charts.house import WIDTH, Chart, framed, in_order, rows

TITLES = {"stars": "Errors of stars", "lists": "How well lists find what was watched"}
BETTER = {"stars": "left", "lists": "right"}


def difference_chart(
    differences: Sequence[Difference], of: str, runs: Sequence[str]
) -> Chart | None:
    """By how much runs differ from the first one, with 95 % intervals.

    Parameters
    ----------
    differences : sequence of Difference
        From `matinee.evaluation.compare`.
    of : {"stars", "lists"}
    runs : sequence of str
        All runs, in the order of their colours; the first is what the others differ from.

    Returns
    -------
    altair chart or None
        None if there is no such difference.
    """
    shown = [
        {
            "figure": FIGURES[one.figure].title,
            "run": one.run,
            "value": one.by.value,
            "low": one.by.low,
            "high": one.by.high,
            "in_words": str(one),
        }
        for one in differences
        if FIGURES[one.figure].of == of
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
        x=alt.X("value:Q", title=f"run minus {first}{', stars' if of == 'stars' else ''}").axis(
            tickCount=5, grid=False
        )
    )
    reach = base.mark_rule(size=2).encode(x="low:Q", x2="high:Q")
    zero = alt.Chart(rows(pl.DataFrame({"zero": [0.0]}))).mark_rule(strokeDash=[4, 3])
    height = 22 * len(data) + 20
    return framed(
        zero.encode(x="zero:Q") + reach + dots,
        f"{TITLES[of]}, minus those of {first}",
        f"Runs {BETTER[of]} of zero are better than {first}. Lines: 95 % interval over viewers.",
        width=WIDTH,
        height=height,
    )

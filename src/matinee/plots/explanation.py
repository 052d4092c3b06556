"""Charts of one user."""

import altair as alt
import polars as pl

from matinee.models.head import COMPONENT_LABELS
from matinee.plots.theme import BLUE, GREY, ORANGE, ROW, Chart, framed, rows, shortened

TITLES = {"genre": "genres", "decade": "decades", "popularity": "popularity"}
USER, AVERAGE = "this user", "the average user"


def taste_chart(profile: pl.DataFrame, kind: str = "genre", unit: str = "rating") -> Chart:
    """What a user watches, beside the average user.

    `profile` is from `matinee.analysis.genre_profile`; `kind` is ``"genre"``, ``"decade"`` or
    ``"popularity"``; `unit` is what the shares are of: a "rating", or an "interaction" without one.
    """
    data = profile.filter(pl.col("kind") == kind)
    if kind == "genre":
        data = data.sort(pl.max_horizontal("share", "share_of_all"), descending=True)
    names = data["trait"].to_list()
    both = pl.concat(
        data.select("trait", share=f"share{of}", mean_rating=f"mean_rating{of}", who=pl.lit(who))
        for who, of in ((USER, ""), (AVERAGE, "_of_all"))
    )
    y = alt.Y("trait:N", title=None, sort=names)
    share = f"share of {unit}s"
    means = [alt.Tooltip("mean_rating:Q", title="mean rating", format=".2f")]
    lines = alt.Chart(rows(data)).mark_rule(color=GREY, size=2)
    dots = alt.Chart(rows(both)).mark_circle(size=90, opacity=1)
    return framed(
        lines.encode(x=alt.X("share:Q"), x2="share_of_all:Q", y=y)
        + dots.encode(
            x=alt.X("share:Q", title=share).axis(format="%", tickCount=5),
            y=y,
            color=alt.Color("who:N", title=None)
            .scale(domain=[USER, AVERAGE], range=[ORANGE, BLUE])
            .legend(orient="top"),
            tooltip=[
                alt.Tooltip("trait:N", title=kind),
                alt.Tooltip("who:N", title=" "),
                alt.Tooltip("share:Q", title=share, format=".1%"),
                *(means if unit == "rating" else []),
            ],
        ),
        f"What they watch: {TITLES[kind]}",
        height=max(80, ROW * len(names)),
    )


def explanation_chart(
    explanation: pl.DataFrame,
    title: str,
    head: str,
    max_ratings: int = 10,
    unit: str = "rating",
) -> Chart:
    """What the score of an item with this title is made of.

    `explanation` is from `Recommender.explain` by this head, ``"ranking"`` or ``"rating"``. The
    `max_ratings` largest contributions are shown one by one, and a line has the sum of the others;
    the global mean of ratings is left out, for it would dwarf the rest. `unit` is what an item has
    from the user: a "rating", or an "interaction" without one.
    """
    is_rating = pl.col("component") == "rating"
    general = explanation.filter(~is_rating & (pl.col("component") != "global_mean")).select(
        pl.col("component").replace(COMPONENT_LABELS).alias("label"),
        pl.lit(None, pl.Float64).alias("rating"),
        "contribution",
    )
    # with the id where several items have the same title
    with_id = pl.format("{} [{}]", "title", "item_id")
    label = pl.when(pl.col("title").is_duplicated()).then(with_id).otherwise("title")
    ratings = explanation.filter(is_rating).select(
        label.alias("label"), pl.col("rating").cast(pl.Float64), "contribution"
    )
    rest = ratings.slice(max_ratings)
    data = pl.concat([general, ratings.head(max_ratings)])
    of = "predicted rating" if head == "rating" else "score"
    value = "their rating" if unit == "rating" else "weight"
    y = alt.Y("label:N", title=None, sort=data["label"].to_list())
    return framed(
        alt.Chart(rows(data))
        .mark_bar(cornerRadiusEnd=2)
        .encode(
            x=alt.X("contribution:Q", title=f"contribution to the {of}").axis(tickCount=5),
            y=y.axis(labelExpr=shortened("datum.label", 36), labelLimit=260),
            color=alt.condition(alt.datum.contribution > 0, alt.value(BLUE), alt.value(ORANGE)),
            tooltip=[
                alt.Tooltip("label:N", title="because of"),
                alt.Tooltip("rating:Q", title=value),
                alt.Tooltip("contribution:Q", format="+.3f"),
            ],
        ),
        f"Why {title}",
        f"And {rest.height:,} more {unit}s, {rest['contribution'].sum():+.3f} together."
        if rest.height
        else "",
        height=max(60, ROW * len(data)),
    )

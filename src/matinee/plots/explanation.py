"""Charts of one user."""

import altair as alt
import polars as pl

from matinee.models.recommender import COMPONENT_LABELS
from matinee.plots.theme import BLUE, GREY, ORANGE, WIDTH, Chart, framed, rows

ROW = 21
KINDS = {"genre": "genres", "years": "decades", "popularity": "how well known"}


def taste_chart(genre_profile: pl.DataFrame, kind: str = "genre") -> Chart:
    """What a user watches, beside the average user.

    Parameters
    ----------
    genre_profile : polars.DataFrame
        From `matinee.explore.genre_profile`.
    kind : {"genre", "years", "popularity"}
    """
    data = genre_profile.filter(pl.col("kind") == kind)
    if kind == "genre":
        data = data.sort(pl.max_horizontal("share", "share_of_all"), descending=True)
    names = data["trait"].to_list()
    both = data.unpivot(
        ["share", "share_of_all"], index=["trait", "rating", "stars_of_all"], variable_name="who"
    ).with_columns(
        pl.col("who").replace({"share": "this user", "share_of_all": "the average user"}),
        values=pl.when(pl.col("who") == "share").then("rating").otherwise("stars_of_all"),
    )
    y = alt.Y("trait:N", title=None, sort=names)
    x = alt.X("value:Q", title="part of their ratings").axis(format="%", tickCount=5)
    lines = alt.Chart(rows(data)).mark_rule(color=GREY, size=2)
    dots = alt.Chart(rows(both.drop("stars_of_all"))).mark_circle(size=90, opacity=1)
    return framed(
        lines.encode(x=alt.X("share:Q"), x2="share_of_all:Q", y=y)
        + dots.encode(
            x=x,
            y=y,
            color=alt.Color("who:N", title=None)
            .scale(domain=["this user", "the average user"], range=[ORANGE, BLUE])
            .legend(orient="top"),
            tooltip=[
                alt.Tooltip("trait:N", title=kind),
                "who:N",
                alt.Tooltip("value:Q", title="of their ratings", format=".1%"),
                alt.Tooltip("stars:Q", title="mean stars given", format=".2f"),
            ],
        ),
        f"What they watch: {KINDS[kind]}",
        width=WIDTH,
        height=max(80, ROW * len(names)),
    )


def explanation_chart(parts: pl.DataFrame, title: str, head: str, most: int = 10) -> Chart:
    """What the score of a movie is made of.

    Parameters
    ----------
    parts : polars.DataFrame
        From `Recommender.explain`.
    title : str
        Of the movie.
    head : {"ranking", "rating"}
        Whose score; of stars, the mean is left out, for it would dwarf the rest.
    most : int
        Ratings shown one by one; a line tells what the rest add.
    """
    rated = pl.col("component") == "rating"
    general = parts.filter(~rated & (pl.col("component") != "global_mean")).select(
        what=pl.col("component").replace(COMPONENT_LABELS),
        values=pl.lit(None, pl.Float64),
        adds="contribution",
    )
    ratings = parts.filter(rated).select(
        what=_told_apart(), values=pl.col("rating").cast(pl.Float64), adds="contribution"
    )
    rest = ratings.slice(most)
    data = pl.concat([general, ratings.head(most)])
    return framed(
        alt.Chart(rows(data))
        .mark_bar(cornerRadiusEnd=2)
        .encode(
            x=alt.X(
                "adds:Q", title="adds to the " + ("rating" if head == "rating" else "score")
            ).axis(tickCount=5),
            y=alt.Y("what:N", title=None, sort=data["what"].to_list()).axis(labelLimit=230),
            color=alt.condition(alt.datum.adds > 0, alt.value(BLUE), alt.value(ORANGE)),
            tooltip=[
                alt.Tooltip("what:N", title="because of"),
                alt.Tooltip("stars:Q", title="their stars"),
                alt.Tooltip("adds:Q", format="+.3f"),
            ],
        ),
        f"Why {title}",
        f"And {rest.height:,} more ratings, together {rest['adds'].sum():+.3f}."
        if rest.height
        else "",
        width=WIDTH,
        height=max(60, ROW * len(data)),
    )


def _told_apart() -> pl.Expr:
    """Titles, with the id where several movies have the same."""
    twice = pl.col("title").is_duplicated()
    longer = pl.format("{} [{}]", "title", "item_id")
    return pl.when(twice).then(longer).otherwise("title")

"""Charts of a data set."""

import altair as alt
import numpy as np
import polars as pl

from matinee.analysis.dataset import DatasetSummary
from matinee.analysis.traits import MOST_GENRES
from matinee.plots.theme import BLUE, GREY, HEIGHT, ORANGE, WIDTH, Chart, framed, rows

ROW = 19  # pixels of a bar in a list of names


def rating_histogram(summary: DatasetSummary) -> Chart:
    """How often each number of stars was given."""
    data = summary.values.with_columns(share=pl.col("ratings") / summary.ratings)
    return framed(
        alt.Chart(rows(data))
        .mark_bar(color=BLUE, cornerRadiusEnd=2)
        .encode(
            x=alt.X("stars:O", title="rating").axis(labelAngle=0, format=".3~g", grid=False),
            y=alt.Y("ratings:Q", title="ratings").axis(format=",d", tickCount=5),
            tooltip=[
                alt.Tooltip("stars:Q"),
                alt.Tooltip("ratings:Q", format=","),
                alt.Tooltip("share:Q", format=".1%"),
            ],
        ),
        "Stars given",
        f"{summary.mean_rating:.2f} on average",
    )


def ratings_histogram(summary: DatasetSummary, of: str) -> Chart:
    """How many users, or movies, have how many ratings, on a logarithmic axis."""
    data = summary.counts.filter(pl.col("of") == of).with_columns(end=pl.col("to") + 1)
    quantiles = summary.ratings_per_user if of == "users" else summary.ratings_per_item
    one = of.removesuffix("s")
    axis = alt.Axis(format=",d", values=[10**power for power in range(9)], grid=False)
    bars = (
        alt.Chart(rows(data))
        .mark_bar(color=BLUE, binSpacing=1)
        .encode(
            x=alt.X("from:Q", title=f"ratings per {one}, logarithmic", axis=axis).scale(type="log"),
            x2="end:Q",
            y=alt.Y("members:Q", title=of).axis(format=",d", tickCount=5),
            y2=alt.value(HEIGHT),
            tooltip=[
                alt.Tooltip("from:Q", title="from", format=","),
                alt.Tooltip("to:Q", title="to", format=","),
                alt.Tooltip("members:Q", title=of, format=","),
            ],
        )
    )
    middle = alt.Chart(rows(pl.DataFrame({"median": [quantiles["median"]]})))
    rule = middle.mark_rule(color=ORANGE, size=2).encode(x="median:Q")
    return framed(
        (bars + rule),
        f"Ratings per {one}",
        f"median {quantiles['median']:,.0f} (orange), mean {quantiles['mean']:,.0f}, "
        f"most {quantiles['most']:,.0f}",
    )


def long_tail(summary: DatasetSummary) -> Chart:
    """What part of the ratings the most rated movies have."""
    tail = summary.long_tail
    tenth = float(np.interp(0.1, tail["items"], tail["ratings"]))
    curve = (
        alt.Chart(rows(tail))
        .mark_area(color=BLUE, opacity=0.25, line={"color": BLUE, "size": 2})
        .encode(
            x=alt.X("movies:Q", title="part of the rated movies, the most rated first").axis(
                format="%"
            ),
            y=alt.Y("ratings:Q", title="part of all ratings").axis(format="%"),
            tooltip=[
                alt.Tooltip("movies:Q", format=".1%"),
                alt.Tooltip("ratings:Q", format=".1%"),
            ],
        )
    )
    ends = pl.DataFrame({"items": [0.0, 1.0], "ratings": [0.0, 1.0]})
    equal = (
        alt.Chart(rows(ends))
        .mark_line(color=GREY, strokeDash=[4, 4])
        .encode(x="movies:Q", y="ratings:Q")
    )
    return framed(
        (curve + equal),
        "The long tail",
        f"The most rated tenth of the movies has {tenth:.0%} of the ratings;",
        "dashed: if all movies had the same number.",
    )


def activity_over_time(summary: DatasetSummary) -> Chart:
    """Ratings by week, month or year."""
    times = summary.over_time["from"]
    days = (times[1] - times[0]).days if len(times) > 1 else 7
    period = "week" if days < 10 else "month" if days < 40 else "year"
    return framed(
        alt.Chart(rows(summary.over_time))
        .mark_area(color=BLUE, opacity=0.35, line={"color": BLUE, "size": 1.5}, interpolate="step")
        .encode(
            x=alt.X("from:T", title=f"time, by {period}").axis(grid=False, tickCount=6),
            y=alt.Y("ratings:Q", title=f"ratings a {period}").axis(format=",d", tickCount=5),
            tooltip=[
                alt.Tooltip("from:T", title=f"{period} from"),
                alt.Tooltip("ratings:Q", format=","),
            ],
        ),
        "Activity over time",
    )


def genres_by_count(summary: DatasetSummary) -> Chart:
    """How many ratings each genre has; of many genres, the most rated."""
    genres = summary.genres.head(MOST_GENRES)
    return framed(
        alt.Chart(rows(genres))
        .mark_bar(color=BLUE, cornerRadiusEnd=2)
        .encode(
            x=alt.X("ratings:Q", title="ratings").axis(format=",d", tickCount=5),
            y=alt.Y("genre:N", title=None, sort=genres["genre"].to_list()),
            tooltip=[
                "genre:N",
                alt.Tooltip("ratings:Q", format=","),
                alt.Tooltip("movies:Q", format=","),
            ],
        ),
        "Genres by ratings",
        "A movie counts for each of its genres.",
        width=WIDTH,
        height=max(60, ROW * genres.height),
    )


def genres_by_rating(summary: DatasetSummary) -> Chart:
    """Mean stars of each genre, beside those of all ratings."""
    liked = summary.genres.drop_nulls("mean_rating").head(MOST_GENRES)
    liked = liked.sort("mean_rating", descending=True)
    liked = liked.with_columns(everything=pl.lit(summary.mean_rating))
    y = alt.Y("genre:N", title=None, sort=liked["genre"].to_list())
    base = alt.Chart(rows(liked))
    x = alt.X("mean_stars:Q", title="mean stars").scale(zero=False).axis(tickCount=5)
    stems = base.mark_rule(color=GREY, size=2).encode(x="everything:Q", x2="mean_stars:Q", y=y)
    dots = base.mark_circle(color=ORANGE, size=90, opacity=1).encode(
        x=x,
        y=y,
        tooltip=[
            "genre:N",
            alt.Tooltip("mean_stars:Q", format=".2f"),
            alt.Tooltip("ratings:Q", format=","),
        ],
    )
    return framed(
        (stems + dots),
        "Genres by stars",
        f"Lines start at the mean of all ratings, {summary.mean_rating:.2f}.",
        width=WIDTH,
        height=max(60, ROW * liked.height),
    )


def filled_matrix(summary: DatasetSummary) -> Chart:
    """Which parts of the matrix of users and movies are known."""
    data = summary.filled_parts
    axis = alt.Axis(labels=False, ticks=False)
    return framed(
        alt.Chart(rows(data))
        .mark_rect(color=BLUE)
        .encode(
            x=alt.X("movies:O", title="movies, the most rated on the left", axis=axis),
            y=alt.Y("viewers:O", title="users, the most active on top", axis=axis),
            # by opacity: empty is the colour of the page, light or dark
            opacity=alt.Opacity("filled:Q", title="filled")
            .scale(type="sqrt", domainMin=0, range=[0, 1])
            .legend(format=".0%"),
            tooltip=[alt.Tooltip("filled:Q", format=".2%")],
        ),
        f"{summary.sparsity:.1%} of the matrix is empty",
        f"{data['users'].n_unique()} equal parts of the users and "
        f"{data['items'].n_unique()} of the movies: what is known of each block.",
        width=WIDTH - 60,
        height=HEIGHT + 60,
    )


def charts_of_data(summary: DatasetSummary) -> dict[str, Chart]:
    """All charts that the data allow, by name: of times and genres only where there are any."""
    charts = {
        "rating": rating_histogram(summary),
        "users": ratings_histogram(summary, "users"),
        "items": ratings_histogram(summary, "items"),
        "tail": long_tail(summary),
        "matrix": filled_matrix(summary),
    }
    if summary.over_time.height:
        charts["time"] = activity_over_time(summary)
    if summary.genres.height:
        charts["genres"] = genres_by_count(summary)
    if summary.genres["mean_rating"].count():
        charts["liked genres"] = genres_by_rating(summary)
    return charts

"""Charts of a dataset."""

import altair as alt
import numpy as np
import polars as pl

from matinee.analysis.dataset import DatasetSummary
from matinee.analysis.traits import MAX_GENRES
from matinee.plots import theme
from matinee.plots.theme import BLUE, COUNT, GREY, HEIGHT, ORANGE, Chart, framed, n_ratings, rows


def rating_histogram(summary: DatasetSummary) -> Chart:
    """How often each rating was given."""
    data = summary.rating_histogram.with_columns(share=pl.col("n_ratings") / summary.ratings)
    bars = alt.Chart(rows(data)).mark_bar(color=BLUE, cornerRadiusEnd=2)
    return framed(
        bars.encode(
            x=alt.X("rating:O", title="rating").axis(labelAngle=0, format=".3~g", grid=False),
            y=alt.Y("n_ratings:Q", title="ratings", axis=COUNT),
            tooltip=["rating:Q", n_ratings(summary.unit), alt.Tooltip("share:Q", format=".1%")],
        ),
        "Distribution of ratings",
        f"mean {summary.mean_rating:.2f}",
    )


def weight_histogram(summary: DatasetSummary) -> Chart:
    """How many pairs of user and item have how many interactions, or which weight."""
    data = summary.weight_histogram.with_columns(share=pl.col("n_ratings") / summary.ratings)
    what, levels = summary.value_name, data["weight"].to_list()
    names = alt.Axis(labelAngle=-40, labelOverlap=True, grid=False)
    bars = alt.Chart(rows(data)).mark_bar(color=BLUE, cornerRadiusEnd=2)
    return framed(
        bars.encode(
            x=alt.X("weight:N", title=what, axis=names, sort=levels),
            y=alt.Y("n_ratings:Q", title=f"{summary.unit}s", axis=COUNT),
            tooltip=[
                alt.Tooltip("weight:N", title=what),
                n_ratings(summary.unit),
                alt.Tooltip("share:Q", format=".1%"),
            ],
        ),
        f"{what.capitalize()} per user and {summary.noun}",
        f"mean {summary.mean_weight:.2f}",
    )


def activity_histogram(summary: DatasetSummary, of: str) -> Chart:
    """How many users, or items, have how many ratings, on a logarithmic axis."""
    data = summary.activity_histogram.filter(pl.col("of") == of)
    bars = alt.Chart(rows(data.with_columns(end=pl.col("high") + 1)))
    quantiles = summary.ratings_per_user if of == "users" else summary.ratings_per_item
    noun, units = "user" if of == "users" else summary.noun, f"{summary.unit}s"
    axis = alt.Axis(format=",d", values=[10**power for power in range(9)], grid=False)
    bars = bars.mark_bar(color=BLUE, binSpacing=1).encode(
        x=alt.X("low:Q", title=f"{units} per {noun} (log scale)", axis=axis).scale(type="log"),
        x2="end:Q",
        y=alt.Y("members:Q", title=f"{noun}s", axis=COUNT),
        y2=alt.value(HEIGHT),
        tooltip=[
            alt.Tooltip(f"{column}:Q", title=title, format=",")
            for column, title in (("low", f"{units} from"), ("high", "to"), ("members", f"{noun}s"))
        ],
    )
    median = alt.Chart(rows(pl.DataFrame({"median": [quantiles["median"]]})))
    return framed(
        bars + median.mark_rule(color=ORANGE, size=2).encode(x="median:Q"),
        f"{units.capitalize()} per {noun}",
        f"median {quantiles['median']:,.0f} (orange), mean {quantiles['mean']:,.0f}, "
        f"maximum {quantiles['max']:,.0f}",
    )


def long_tail(summary: DatasetSummary) -> Chart:
    """Which share of the ratings the most rated items have."""
    tail, noun, units = summary.long_tail, summary.noun, f"{summary.unit}s"
    tenth = float(np.interp(0.1, tail["item_share"], tail["rating_share"]))
    x = alt.X("item_share:Q", title=f"share of {noun}s with {units}, most popular first").axis(
        format="%"
    )
    area = alt.Chart(rows(tail)).mark_area(
        color=BLUE, opacity=0.25, line={"color": BLUE, "size": 2}
    )
    curve = area.encode(
        x=x,
        y=alt.Y("rating_share:Q", title=f"share of all {units}").axis(format="%"),
        tooltip=[
            alt.Tooltip("item_share:Q", title=f"{noun}s", format=".1%"),
            alt.Tooltip("rating_share:Q", title=units, format=".1%"),
        ],
    )
    ends = pl.DataFrame({"item_share": [0.0, 1.0], "rating_share": [0.0, 1.0]})
    equal = alt.Chart(rows(ends)).mark_line(color=GREY, strokeDash=[4, 4])
    return framed(
        curve + equal.encode(x="item_share:Q", y="rating_share:Q"),
        "Long tail",
        f"The most popular 10% of the {noun}s have {tenth:.0%} of the {units}.",
        f"Dashed: if all {noun}s had equally many.",
    )


def activity_over_time(summary: DatasetSummary) -> Chart:
    """Ratings by week, month or year."""
    unit = summary.unit
    times = summary.over_time["start"]
    days = (times[1] - times[0]).days if len(times) > 1 else 7
    period = "week" if days < 10 else "month" if days < 40 else "year"
    area = alt.Chart(rows(summary.over_time)).mark_area(
        color=BLUE, opacity=0.35, line={"color": BLUE, "size": 1.5}, interpolate="step"
    )
    return framed(
        area.encode(
            x=alt.X("start:T", title=f"{period} of {unit}").axis(grid=False, tickCount=6),
            y=alt.Y("n_ratings:Q", title=f"{unit}s per {period}", axis=COUNT),
            tooltip=[alt.Tooltip("start:T", title=f"{period} from"), n_ratings(unit)],
        ),
        "Activity over time",
    )


def genres_by_count(summary: DatasetSummary) -> Chart:
    """How many ratings each genre has; the most rated genres."""
    genres, noun, unit = summary.genres.head(MAX_GENRES), summary.noun, summary.unit
    bars = alt.Chart(rows(genres)).mark_bar(color=BLUE, cornerRadiusEnd=2)
    n_items = alt.Tooltip("n_items:Q", title=f"{noun}s", format=",")
    return framed(
        bars.encode(
            x=alt.X("n_ratings:Q", title=f"{unit}s", axis=COUNT),
            y=alt.Y("genre:N", title=None, sort=genres["genre"].to_list()),
            tooltip=["genre:N", n_ratings(unit), n_items],
        ),
        f"{unit.capitalize()}s per genre",
        f"{'An' if noun == 'item' else 'A'} {noun} counts for each of its genres.",
        height=max(60, theme.ROW * genres.height),
    )


def genres_by_rating(summary: DatasetSummary) -> Chart:
    """Mean rating of each genre, beside that of all ratings."""
    genres = summary.genres.drop_nulls("mean_rating").head(MAX_GENRES)
    genres = genres.sort("mean_rating", descending=True)
    genres = genres.with_columns(overall=pl.lit(summary.mean_rating))
    base = alt.Chart(rows(genres)).encode(
        y=alt.Y("genre:N", title=None, sort=genres["genre"].to_list())
    )
    stems = base.mark_rule(color=GREY, size=2).encode(x="overall:Q", x2="mean_rating:Q")
    mean_rating = alt.Tooltip("mean_rating:Q", title="mean rating", format=".2f")
    dots = base.mark_circle(color=ORANGE, size=90, opacity=1).encode(
        x=alt.X("mean_rating:Q", title="mean rating").scale(zero=False).axis(tickCount=5),
        tooltip=["genre:N", mean_rating, n_ratings(summary.unit)],
    )
    return framed(
        stems + dots,
        "Mean rating per genre",
        f"Lines start at the mean of all ratings, {summary.mean_rating:.2f}.",
        height=max(60, theme.ROW * genres.height),
    )


def density_heatmap(summary: DatasetSummary) -> Chart:
    """Which blocks of the users × items matrix are known."""
    data, noun = summary.density_blocks, summary.noun
    axis = alt.Axis(labels=False, ticks=False)
    # by opacity: empty is the colour of the page, light or dark
    opacity = alt.Opacity("density:Q", title="density").legend(format=".0%")
    return framed(
        alt.Chart(rows(data))
        .mark_rect(color=BLUE)
        .encode(
            x=alt.X("item_block:O", title=f"{noun}s, most popular on the left", axis=axis),
            y=alt.Y("user_block:O", title="users, most active on top", axis=axis),
            opacity=opacity.scale(type="sqrt", domainMin=0, range=[0, 1]),
            tooltip=[alt.Tooltip("density:Q", format=".2%")],
        ),
        f"{summary.sparsity:.1%} of the matrix is empty",
        f"{data['user_block'].n_unique()} equal blocks of users by "
        f"{data['item_block'].n_unique()} of {noun}s: the share that is known.",
        width=theme.WIDTH - 60,
        height=HEIGHT + 60,
    )


def charts_of_data(summary: DatasetSummary) -> dict[str, Chart]:
    """All charts of a dataset by name; of times and genres only where there are any."""
    charts = {}
    if summary.rating_histogram.height:
        charts["ratings"] = rating_histogram(summary)
    elif summary.weight_histogram.height > 1:
        charts["weights"] = weight_histogram(summary)
    charts |= {
        "users": activity_histogram(summary, "users"),
        "items": activity_histogram(summary, "items"),
        "long tail": long_tail(summary),
        "density": density_heatmap(summary),
    }
    if summary.over_time.height:
        charts["time"] = activity_over_time(summary)
    if summary.genres.height:
        charts["genres"] = genres_by_count(summary)
    if summary.genres["mean_rating"].n_unique() > 1:
        charts["mean ratings"] = genres_by_rating(summary)
    return charts

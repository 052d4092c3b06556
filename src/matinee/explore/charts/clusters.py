"""Charts of clusters."""

import altair as alt
import polars as pl

from matinee.explore.charts.house import BLUE, ORANGE, WIDTH, Chart, framed, rows
from matinee.explore.clusters import Clusters
from matinee.explore.space import HEAD_TITLES

ROW = 20
MOST_LIFT = 8.0  # colours go no further


def silhouettes(clusters: Clusters) -> Chart:
    """The silhouette of every number of clusters that was tried."""
    tried = clusters.silhouettes
    base = alt.Chart(rows(tried)).encode(
        x=alt.X("k:Q", title="clusters").axis(tickMinStep=1, format="d", grid=False),
        y=alt.Y("silhouette:Q", title="silhouette, -1 to 1").scale(zero=False),
        tooltip=["k:Q", alt.Tooltip("silhouette:Q", format=".3f")],
    )
    chosen = base.transform_filter(alt.datum.k == clusters.table.height)
    return framed(
        base.mark_line(color=BLUE, point=alt.OverlayMarkDef(color=BLUE, size=40))
        + chosen.mark_circle(color=ORANGE, size=130, opacity=1),
        "How many clusters",
        "Silhouette: how much nearer members are to one another than to the next cluster.",
    )


def cluster_lifts(clusters: Clusters) -> Chart:
    """What each cluster has more and less of, genre by genre."""
    of = clusters.space.of
    held = "ratings" if of == "viewers" else "movies"
    names = [f"{at + 1} {name}" for at, name in enumerate(clusters.names)]
    data = (
        clusters.traits.filter(pl.col("kind") == "genre", pl.col("share_of_all") > 0)
        .with_columns(
            pl.col("cluster").replace_strict(dict(enumerate(names)), return_dtype=pl.String),
            shown=pl.col("lift").clip(1 / MOST_LIFT, MOST_LIFT).log(2),
        )
        .select("cluster", "trait", "share", "share_of_all", "lift", "shown")
    )
    label = "datum.value < 0 ? '1/' + pow(2, -datum.value) : pow(2, datum.value) + 'x'"
    return framed(
        alt.Chart(rows(data))
        .mark_rect()
        .encode(
            x=alt.X("cluster:N", title=None, sort=names).axis(
                labelAngle=-40, grid=False, labelLimit=150
            ),
            y=alt.Y("trait:N", title=None).axis(grid=False),
            color=alt.Color("shown:Q", title="lift")
            .scale(scheme="blueorange", domain=[-3, 3], domainMid=0)
            .legend(labelExpr=label, values=[-3, -2, -1, 0, 1, 2, 3]),
            tooltip=[
                alt.Tooltip("cluster:N"),
                alt.Tooltip("trait:N", title="genre"),
                alt.Tooltip("share:Q", title=f"of its {held}", format=".1%"),
                alt.Tooltip("share_of_all:Q", title=f"of all {held}", format=".1%"),
                alt.Tooltip("lift:Q", format=".2f"),
            ],
        ),
        f"What clusters of {of} have more of",
        f"Part of the cluster's {held} over part of all, by the vectors of the "
        f"{HEAD_TITLES[clusters.space.by]}.",
        width=WIDTH,
        height=ROW * max(3, data["trait"].n_unique()),
    )

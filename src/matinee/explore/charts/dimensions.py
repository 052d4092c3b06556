"""Charts of the axes of a factor space."""

import altair as alt
import numpy as np
import polars as pl

from matinee.explore.charts.house import HEIGHT, WIDTH, Chart, framed, rows
from matinee.explore.dimensions import Dimensions
from matinee.explore.space import HEAD_TITLES


def genre_positions(dimensions: Dimensions) -> Chart:
    """Where the movies of each genre lie on the axes, on average."""
    data = dimensions.genre_positions
    first = data.filter(pl.col("axis") == 1).sort("position")["genre"].to_list()
    end = max(1e-9, data.select(pl.col("position").abs().max()).item() or 0.0)
    return framed(
        alt.Chart(rows(data))
        .mark_rect()
        .encode(
            x=alt.X("axis:O", title="axis, the widest first").axis(labelAngle=0),
            y=alt.Y("genre:N", title=None, sort=first),
            color=alt.Color("position:Q", title="position")
            .scale(scheme="purpleorange", domain=[-end, end], domainMid=0)
            .legend(format=".1f"),
            tooltip=["genre:N", "axis:O", alt.Tooltip("position:Q", format=".2f")],
        ),
        "Genres on the axes",
        "Mean position of the genre's movies, in standard deviations "
        f"({HEAD_TITLES[dimensions.space.by]}, {dimensions.rotation} axes).",
        width=WIDTH,
        height=max(80, 20 * len(first)),
    )


def genre_likeness(dimensions: Dimensions) -> Chart:
    """Which genres lie close: cosines of their mean vectors."""
    data = dimensions.genre_likeness
    names = _chained(data)
    axis = alt.Axis(labelAngle=-45)
    return framed(
        alt.Chart(rows(data))
        .mark_rect()
        .encode(
            x=alt.X("other:N", title=None, sort=names, axis=axis),
            y=alt.Y("genre:N", title=None, sort=names),
            color=alt.Color("cosine:Q", title="cosine")
            .scale(scheme="purpleorange", domain=[-1, 1], domainMid=0)
            .legend(format=".1f"),
            tooltip=["genre:N", "other:N", alt.Tooltip("cosine:Q", format=".2f")],
        ),
        "Which genres lie close",
        "Cosine of the genres' mean vectors, as differences from the average movie "
        f"({HEAD_TITLES[dimensions.space.by]}).",
        width=WIDTH,
        height=max(HEIGHT, 20 * len(names)),
    )


def _chained(likeness: pl.DataFrame) -> list[str]:
    """Genres in an order in which neighbours are alike: each time the nearest one not yet named."""
    names = likeness["genre"].unique(maintain_order=True).to_list()
    cosines = likeness["cosine"].to_numpy().reshape(len(names), len(names)).copy()
    if not names:
        return []
    here = int(cosines.sum(axis=1).argmin())  # an outlier makes a good end of a chain
    order = [here]
    while len(order) < len(names):
        cosines[:, here] = -np.inf
        here = int(cosines[here].argmax())
        order.append(here)
    return [names[at] for at in order]

"""The map of movies, and how long their vectors are."""

from typing import Any

import altair as alt
import numpy as np
import polars as pl

from matinee._types import F64, I32
from matinee.analysis.axes import EmbeddingAxes
from matinee.analysis.clusters import Clusters
from matinee.analysis.embeddings import HEAD_TITLES
from matinee.analysis.projection import Projection
from matinee.errors import SettingError
from matinee.plots.theme import (
    BLUE,
    COLORS,
    GREY,
    HEIGHT,
    ORANGE,
    WIDTH,
    Chart,
    framed,
    in_order,
    rows,
)

READINGS = {
    "genre": "Colour: the rarest of a movie's genres.",
    "cluster": "Colour: cluster.",
    "year": "Colour: year.",
    "rating": "Colour: mean stars.",
}
"""What a map may be coloured by, and how to read it."""
MAP_WIDTH, MAP_HEIGHT = 820, 620
METHOD_NAMES = {"tsne": "t-SNE", "pca": "two principal axes", "umap": "UMAP"}
LABELLED = 24  # well-known movies whose titles stand on the map
MARGIN = 0.07  # around the points, as a part of the map
NON_HYPERPARAMETERS = np.array([1.35, 0.18])  # between these titles, in standard deviations
KNOWN = 400  # the most rated, among which these are
TREND = 1.5  # ratio of ratings from one mean length to the next
LINE = 18  # pixels from one title found to the next
NARROW, NARROW_APART = 560, 2.0  # pixels of a small map, on which titles are further apart
FOUND = 12  # titles shown of those searched for
OTHER = "other"
TYPE_LABELS = "indexof(lower(datum.title), lower(search)) >= 0"
SEARCHING = "search != ''"


def item_map(layout: Projection, color: str = "genre") -> Chart:
    """Movies in two dimensions, to hover over, search, zoom and pick from.

    Parameters
    ----------
    layout : Projection
    color : {"genre", "cluster", "year", "rating"}
        Genre: the rarest of each movie's; picking one in the legend shows all that have it.

    Raises
    ------
    SettingError
        For another colour.

    Examples
    --------
    >>> import matinee
    >>> from matinee.data.synthetic import generate
    >>> from matinee.analysis import project
    >>> data, _ = generate(users=200, items=150, ratings=8000, seed=0)
    >>> layout = project(matinee.ALS(factors=4).fit(data), "pca")
    >>> item_map(layout).title.text
    'Map of 124 movies'
    """
    if color not in READINGS:
        raise SettingError(f"color is one of {', '.join(READINGS)}, not {color!r}.")
    data = _drawn(layout.points)
    search = alt.param(
        name="search",
        value="",
        bind=alt.binding(
            input="search", name="Find a movie ", placeholder="part of a title", debounce=100
        ),
    )
    params: list[alt.Parameter] = [search, alt.selection_interval(name="zoom", bind="scales")]
    picked = "true"
    if color in ("genre", "cluster"):
        params.append(alt.selection_point(name="pick", fields=[color], bind="legend", toggle=False))
        picked = f"!isArray(pick.{color}) || datum.{color} == pick.{color}[0]"
        if color == "genre":  # whatever genre gives it its colour
            picked += " || indexof('|' + datum.genres + '|', '|' + pick.genre[0] + '|') >= 0"
    base = alt.Chart().encode(*_axes(data))
    points = base.mark_circle(invalid="show").encode(
        color=_coloured(data, color),
        size=alt.Size("ratings:Q", legend=None).scale(type="sqrt", range=[8, 150]),
        opacity=alt.when(f"{SEARCHING} ? {TYPE_LABELS} : {picked}")
        .then(alt.value(0.75))
        .otherwise(alt.value(0.05)),
        tooltip=[
            "title:N",
            "genres:N",
            alt.Tooltip("stars:Q", title="mean stars", format=".2f"),
            alt.Tooltip("ratings:Q", format=","),
            "cluster:N",
            alt.Tooltip("near:N", title="most like it"),
        ],
    )
    marked = base.transform_filter(
        f"!({SEARCHING}) && (datum.label == 1 || datum.label == 2 && width > {NARROW})"
    ).encode(text="title:N", opacity=alt.condition(picked, alt.value(0.95), alt.value(0.1)))
    labels = [
        marked.mark_text(fontSize=11, fontWeight=600, dy=-10, limit=150, style=style)
        for style in ("halo", "text")
    ]
    found = (
        base.transform_filter(f"{SEARCHING} && {TYPE_LABELS}")
        .transform_window(place="row_number()", sort=[alt.SortField("ratings", order="descending")])
        .transform_filter(f"datum.place <= (width > {NARROW} ? {FOUND} : {FOUND // 2})")
        .transform_calculate(line="datum.place + '  ' + datum.title")
    )
    rings = found.mark_point(filled=False, size=140, strokeWidth=2, color=ORANGE, opacity=1)
    # what is alike lies in one place, where titles would cover one another: so they are a list
    lines = alt.expr(f"{LINE} * datum.place")
    names = [
        found.mark_text(style=style, align="left", **how).encode(**what)
        for style in ("halo", "text")
        for how, what in (
            ({"fontSize": 12, "fontWeight": 700, "dx": 9, "dy": -6}, {"text": "place:Q"}),
            (
                {"fontSize": 13, "fontWeight": 600, "dy": lines, "limit": 330},
                {"text": "line:N", "x": alt.value(6), "y": alt.value(0)},
            ),
        )
    ]
    return framed(
        (alt.layer(points.add_params(*params), *labels, rings, *names, data=rows(data))),
        f"Map of {len(data):,} movies",
        f"Near: alike by the {HEAD_TITLES[layout.space.head]}, laid out by "
        f"{METHOD_NAMES[layout.method]}. Large: many ratings.",
        READINGS[color],
        layout.space.left_out,
        width=MAP_WIDTH,
        height=MAP_HEIGHT,
    )


def user_on_map(layout: Projection, watched: I32, listed: I32) -> Chart:
    """Where one user's movies lie, and what is recommended to them.

    Parameters
    ----------
    layout : Projection
    watched, listed : int32
        Codes of movies; those that are not on the map are left out.
    """
    kinds = {"rated": (watched, BLUE, 60), "recommended": (listed, ORANGE, 110)}
    place = pl.DataFrame({"code": layout.space.codes}).hstack(
        layout.points.select("title", "genres", "x", "y")
    )
    base = alt.Chart(rows(layout.points.select("x", "y"))).encode(*_axes(layout.points))
    layers: list[alt.Chart] = [base.mark_circle(color=GREY, size=8, opacity=0.3)]
    own = pl.concat(
        place.filter(pl.col("code").is_in(codes.tolist())).with_columns(
            kind=pl.lit(kind), size=pl.lit(size)
        )
        for kind, (codes, _, size) in kinds.items()
    )
    color = alt.Color("kind:N", title=None).scale(
        domain=list(kinds), range=[color for _, color, _ in kinds.values()]
    )
    theirs = alt.Chart(rows(own.drop("code"))).encode(x="x:Q", y="y:Q")
    layers.append(
        theirs.mark_circle(opacity=0.85).encode(
            color=color.legend(orient="top"),
            size=alt.Size("size:Q", legend=None, scale=None),
            tooltip=["title:N", "genres:N", "kind:N"],
        )
    )
    return framed((alt.layer(*layers)), "Their place on the map", width=WIDTH, height=HEIGHT + 100)


def norms(lengths: pl.DataFrame, head: str) -> Chart:
    """Length of the vectors against popularity: why dot products and cosines differ.

    Parameters
    ----------
    lengths : polars.DataFrame
        From `matinee.explore.vector_lengths`.
    head : {"rating", "ranking"}
        Whose.
    """
    together = lengths.select(pl.corr("ratings", "length", method="spearman")).item()
    known = together is not None and np.isfinite(together)
    base = alt.Chart(rows(lengths)).encode(
        x=alt.X("ratings:Q", title="training ratings, logarithmic")
        .scale(type="log", nice=False)
        .axis(format=",d", tickCount=5, grid=False),
        y=alt.Y("length:Q", title=f"length of the vector ({HEAD_TITLES[head]})"),
    )
    dots = base.mark_circle(color=BLUE, opacity=0.35, size=16).encode(
        tooltip=[
            "title:N",
            alt.Tooltip("ratings:Q", format=","),
            alt.Tooltip("length:Q", format=".2f"),
        ]
    )
    step = (pl.col("ratings").log() / np.log(TREND)).floor()
    means = lengths.group_by(step=step).agg(pl.col("ratings", "length").mean()).sort("step")
    trend = base.properties(data=rows(means.drop("step"))).mark_line(color=ORANGE, size=2.5)
    return framed(
        dots + trend,
        f"Popularity and length of the vectors, {HEAD_TITLES[head]}",
        f"Rank correlation {together:.2f}." if known else "",
        "Dot products favour long vectors,",
        "cosines compare directions only. Orange: means.",
    )


def _drawn(points: pl.DataFrame) -> pl.DataFrame:
    """What the map shows of each movie; genres beyond the colours there are share one."""
    common = _by_number(points["genre"])
    if len(common) > len(COLORS):
        rare = common[len(COLORS) - 1 :]
        points = points.with_columns(
            genre=pl.when(pl.col("genre").is_in(rare)).then(pl.lit(OTHER)).otherwise("genre")
        )
    places = points.select("x", "y").to_numpy()
    label = np.zeros(len(points), np.int64)
    few = _labelled(places, NON_HYPERPARAMETERS * NARROW_APART, [])
    label[_labelled(places, NON_HYPERPARAMETERS, few)] = 2
    label[few] = 1
    return points.drop("item_id").with_columns(label=pl.Series(label))


def _labelled(places: F64, apart: F64, chosen: list[int]) -> list[int]:
    """The best known movies whose titles keep clear of those chosen before, and these."""
    chosen = list(chosen)
    for row, place in enumerate(places[:KNOWN]):
        away = np.abs(places[chosen] - place)
        if len(chosen) < LABELLED and (away > apart).any(axis=1).all():
            chosen.append(row)
    return chosen


def _by_number(names: pl.Series) -> list[str]:
    """Names, the most frequent first; by the alphabet, where they are as frequent."""
    counted = names.value_counts()
    return counted.sort("count", names.name, descending=[True, False])[names.name].to_list()


def _axes(places: pl.DataFrame) -> tuple[alt.X, alt.Y]:
    """Places on a map have no unit, so no axis; titles find room beside the outermost points."""

    def around(name: str) -> alt.Scale:
        ends = places[name].to_numpy()
        room = MARGIN * (ends.max() - ends.min())
        return alt.Scale(domain=[float(ends.min() - room), float(ends.max() + room)])

    return (
        alt.X("x:Q", axis=None, scale=around("x")),
        alt.Y("y:Q", axis=None, scale=around("y")),
    )


def _coloured(data: pl.DataFrame, color: str) -> Any:
    """What gives points their colour; those without a year are grey."""
    if color == "year":
        if data["year"].null_count() == len(data):
            return alt.value(GREY)
        years = alt.Color("year:Q", title="year").scale(scheme="viridis").legend(format="d")
        return alt.when("isValid(datum.year)").then(years).otherwise(alt.value(GREY))
    if color == "rating":
        return alt.Color("stars:Q", title="mean stars").scale(scheme="redyellowblue")
    if color == "genre":
        names = _by_number(data["genre"])
    else:  # a cluster's name begins with its number
        names = sorted(data["cluster"].unique(), key=lambda name: int(name.split()[0]))
    return alt.Color(f"{color}:N", title=color).scale(in_order(names)).legend(symbolOpacity=1)


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
    held = "ratings" if of == "users" else "items"
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
        f"{HEAD_TITLES[clusters.space.head]}.",
        width=WIDTH,
        height=ROW * max(3, data["trait"].n_unique()),
    )


def genre_positions(dimensions: EmbeddingAxes) -> Chart:
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
        f"({HEAD_TITLES[dimensions.space.head]}, {dimensions.rotation} axes).",
        width=WIDTH,
        height=max(80, 20 * len(first)),
    )


def genre_likeness(dimensions: EmbeddingAxes) -> Chart:
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
        f"({HEAD_TITLES[dimensions.space.head]}).",
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

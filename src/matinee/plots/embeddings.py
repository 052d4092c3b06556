"""Charts of embeddings: the map of items, norms, clusters, axes."""

from typing import Any

import altair as alt
import numpy as np
import polars as pl

from matinee._types import F64, I32
from matinee.analysis.axes import EmbeddingAxes
from matinee.analysis.clusters import Clusters
from matinee.analysis.projection import Projection
from matinee.errors import SettingError
from matinee.plots.theme import (
    BLUE,
    COLORS,
    GREY,
    HEIGHT,
    ORANGE,
    ROW,
    Chart,
    framed,
    heatmap_axis,
    in_order,
    n_ratings,
    rows,
    shortened,
)

MAP_COLORS = {
    "genre": "Colour: the rarest genre of each.",
    "cluster": "Colour: cluster.",
    "year": "Colour: year.",
    "rating": "Colour: mean rating.",
}
"""What a map may be coloured by, and how to read it."""
METHOD_NAMES = {"tsne": "t-SNE", "pca": "principal components", "umap": "UMAP"}
OTHER_GENRES = "other"
NO_CLUSTERS = "There are no clusters: use project(model, clusters=find_clusters(model))."
MAX_GENRES = 10  # with a colour of their own: more cannot be told apart

MAP_WIDTH, MAP_HEIGHT = 820, 620  # pixels
NARROW, NARROW_SPACING = 560, 2.0  # a map of fewer pixels has its titles further apart
LINE = 18  # pixels from one search result to the next
MARGIN = 0.07  # around the points, as a share of the map
TITLE_SPACING = np.array([1.35, 0.18])  # between titles, in standard deviations of the points
LETTER = 3.9  # pixels, half the width of a letter of a title
MAX_TITLES, MAX_RESULTS = 24, 12  # on the map; of a search
TITLE_CANDIDATES = 400  # the most rated items, some of whose titles stand on the map
IS_MATCH = "indexof(lower(datum.title), lower(search)) >= 0"
IS_SEARCH = "search != ''"

TREND_RATIO = 1.5  # of numbers of ratings, from one mean norm to the next
MAX_LIFT = 8.0  # colours go no further


def map_colors(unit: str) -> list[str]:
    """What a map may be coloured by, where an item has a "rating", or an "interaction" without."""
    return [color for color in MAP_COLORS if color != "rating" or unit == "rating"]


def item_map(projection: Projection, color: str = "genre") -> Chart:
    """Items in two dimensions, to hover over, search, zoom and pick from.

    `color` is ``"genre"`` (the rarest of each item; picking one in the legend shows all items that
    have it), ``"cluster"`` (of a projection with clusters), ``"year"`` or ``"rating"``;
    SettingError for another one, or for ``"rating"`` of interactions without ratings.

    >>> from matinee.analysis import project
    >>> projection = project(matinee.ALS(factors=4).fit(data), "pca")
    >>> item_map(projection).title.text
    'Map of 45 movies'
    """
    embeddings = projection.embeddings
    unit = embeddings.unit
    if color not in map_colors(unit):
        choices = ", ".join(map(repr, map_colors(unit)))
        raise SettingError(f"color must be one of {choices}, got {color!r}.")
    if color == "cluster" and projection.clusters is None:
        raise SettingError(NO_CLUSTERS)
    data = _map_data(projection.points)
    means = [alt.Tooltip("mean_rating:Q", title="mean rating", format=".2f")]
    picked, pick = _legend_picking(color)
    article = "an" if embeddings.noun == "item" else "a"
    field = {"name": f"Find {article} {embeddings.noun} ", "placeholder": "part of a title"}
    search_box = alt.binding(input="search", debounce=100, **field)
    search = alt.param(name="search", value="", bind=search_box)
    base = alt.Chart().encode(**_plane(data))
    points = base.mark_circle(invalid="show").encode(
        color=_map_color(data, color),
        size=alt.Size("n_ratings:Q", legend=None).scale(type="sqrt", range=[8, 150]),
        opacity=alt.when(f"{IS_SEARCH} ? {IS_MATCH} : {picked}")
        .then(alt.value(0.75))
        .otherwise(alt.value(0.05)),
        tooltip=[
            "title:N",
            "genres:N",
            *(means if unit == "rating" else []),
            n_ratings(unit),
            *(["cluster:N"] if projection.clusters else []),
            alt.Tooltip("neighbours:N", title="most similar"),
        ],
    )
    zoom = alt.selection_interval(name="zoom", bind="scales")
    points = points.add_params(search, zoom, *pick)
    return framed(
        alt.layer(
            points,
            *_titles(base, picked),
            *_search_results(base),
            _no_result(base, embeddings.noun),
            data=rows(data),
        ),
        f"Map of {len(data):,} {embeddings.noun}s",
        f"Nearby: similar by {embeddings.head} factors, projected by "
        f"{METHOD_NAMES[projection.method]}. Large: many {unit}s.",
        MAP_COLORS[color],
        embeddings.left_out,
        width=MAP_WIDTH,
        height=MAP_HEIGHT,
    )


def _legend_picking(color: str) -> tuple[str, list[alt.Parameter]]:
    """The expression for what is picked in the legend, and the parameter behind it."""
    if color not in ("genre", "cluster"):
        return "true", []
    picked = f"!isArray(pick.{color}) || datum.{color} == pick.{color}[0]"
    if color == "genre":  # whichever of its genres gives a point its colour
        picked += " || indexof('|' + datum.genres + '|', '|' + pick.genre[0] + '|') >= 0"
    return picked, [alt.selection_point(name="pick", fields=[color], bind="legend", toggle=False)]


def _titles(base: alt.Chart, picked: str) -> list[alt.Chart]:
    """The titles of well-known items, each with a halo below it, none cut at an edge."""
    x, y = "scale('x', datum.x)", "scale('y', datum.y)"
    half = f"{LETTER} * length(datum.short)"
    inwards = f"max(0, {half} - {x}) - max(0, {x} + {half} - width)"
    on_map = f"inrange({x}, [0, width]) && inrange({y}, [0, height])"
    titled = base.transform_filter(
        f"!({IS_SEARCH}) && (datum.label == 1 || datum.label == 2 && width > {NARROW})"
    ).transform_calculate(
        short=f"width > {NARROW} ? {shortened('datum.title', 26)} : {shortened('datum.title', 20)}"
    )
    visible = alt.when(f"!({on_map})").then(alt.value(0)).when(picked).then(alt.value(0.95))
    titled = titled.encode(text="short:N", opacity=visible.otherwise(alt.value(0.1)))
    return [
        titled.mark_text(
            fontSize=11,
            fontWeight=600,
            dx=alt.expr(inwards),
            dy=alt.expr(f"{y} < {LINE} ? 14 : -10"),
            style=style,
        )
        for style in ("halo", "text")
    ]


def _search_results(base: alt.Chart) -> list[alt.Chart]:
    """Rings around the results of a search, numbered, and their titles as a list in the corner.

    Similar items lie in one place, where titles would cover one another.
    """
    results = (
        base.transform_filter(f"{IS_SEARCH} && {IS_MATCH}")
        .transform_window(
            rank="row_number()", sort=[alt.SortField("n_ratings", order="descending")]
        )
        .transform_filter(f"datum.rank <= (width > {NARROW} ? {MAX_RESULTS} : {MAX_RESULTS // 2})")
        .transform_calculate(line="datum.rank + '  ' + " + shortened("datum.title", 44))
    )
    # most of the time there are none, and a group of nothing has no name to be read out
    ring: dict[str, Any] = {
        "size": 140,
        "strokeWidth": 2,
        "color": ORANGE,
        "opacity": 1,
        "aria": False,
    }
    rings = results.mark_point(filled=False, **ring)
    number = {"fontSize": 12, "fontWeight": 700, "dx": 9, "dy": -6}
    listed = {"fontSize": 13, "fontWeight": 600, "dy": alt.expr(f"{LINE} * datum.rank")}
    corner = {"x": alt.value(6), "y": alt.value(0)}
    return [rings] + [
        results.mark_text(style=style, align="left", **mark).encode(**encoding)
        for style in ("halo", "text")
        for mark, encoding in ((number, {"text": "rank:Q"}), (listed, {"text": "line:N", **corner}))
    ]


def _no_result(base: alt.Chart, noun: str) -> alt.Chart:
    """A line in the corner where nothing has what is searched for in its title."""
    text = f"'No {noun} has \u201c' + {shortened('search', 24)} + '\u201d in its title'"
    line: alt.Chart = (
        base.transform_calculate(found=f"{IS_MATCH} ? 1 : 0")
        .transform_joinaggregate(hits="sum(found)")
        .transform_window(row="row_number()")
        .transform_filter(f"{IS_SEARCH} && datum.hits == 0 && datum.row == 1")
        .transform_calculate(line=text)
        .mark_text(align="left", fontSize=13, fontWeight=600)
        .encode(text="line:N", x=alt.value(6), y=alt.value(LINE))
    )
    return line


def user_on_map(projection: Projection, rated: I32, recommended: I32) -> Chart:
    """Where a user's items and their recommendations lie.

    `rated` and `recommended` are int32 indices of items; those that are not on the map are left
    out.
    """
    own_items = "rated" if projection.embeddings.unit == "rating" else "theirs"
    groups = {own_items: (rated, BLUE, 60), "recommended": (recommended, ORANGE, 110)}
    points = projection.points.select("title", "genres", "x", "y").with_columns(
        index=pl.Series(projection.embeddings.indices)
    )
    own = pl.concat(
        points.filter(pl.col("index").is_in(indices.tolist())).with_columns(
            group=pl.lit(group), size=pl.lit(size)
        )
        for group, (indices, _, size) in groups.items()
    )
    background = alt.Chart(rows(points.select("x", "y"))).encode(**_plane(points))
    colors = alt.Scale(domain=list(groups), range=[color for _, color, _ in groups.values()])
    foreground = alt.Chart(rows(own.drop("index"))).encode(
        x="x:Q",
        y="y:Q",
        color=alt.Color("group:N", title=None, scale=colors).legend(orient="top"),
        size=alt.Size("size:Q", legend=None, scale=None),
        tooltip=["title:N", "genres:N", alt.Tooltip("group:N", title=" ")],
    )
    return framed(
        background.mark_circle(color=GREY, size=8, opacity=0.3)
        + foreground.mark_circle(opacity=0.85),
        "Their place on the map",
        height=HEIGHT + 100,
    )


def _map_data(points: pl.DataFrame) -> pl.DataFrame:
    """What the map shows of each item; genres beyond the available colours become one.

    `label` is 1 for titles on maps of any width, 2 for those on wide maps only.
    """
    frequent = _by_frequency(points["genre"])
    if len(frequent) > MAX_GENRES + 1:
        rare = frequent[MAX_GENRES:]
        points = points.with_columns(
            genre=pl.when(pl.col("genre").is_in(rare)).then(pl.lit(OTHER_GENRES)).otherwise("genre")
        )
    plane = points.select("x", "y").to_numpy()
    on_any_map = _titled(plane, TITLE_SPACING * NARROW_SPACING, [])
    label = np.zeros(len(points), np.int64)
    label[_titled(plane, TITLE_SPACING, on_any_map)] = 2
    label[on_any_map] = 1
    return points.drop("item_id").with_columns(label=pl.Series(label))


def _titled(plane: F64, spacing: F64, chosen: list[int]) -> list[int]:
    """`chosen` and the most rated items whose titles keep clear of one another."""
    chosen = list(chosen)
    for row, point in enumerate(plane[:TITLE_CANDIDATES]):
        distance = np.abs(plane[chosen] - point)
        if len(chosen) < MAX_TITLES and (distance > spacing).any(axis=1).all():
            chosen.append(row)
    return chosen


def _by_frequency(names: pl.Series) -> list[str]:
    """Names, the most frequent first, else alphabetically."""
    counted = names.value_counts()
    return counted.sort("count", names.name, descending=[True, False])[names.name].to_list()


def _plane(points: pl.DataFrame) -> dict[str, Any]:
    """Encoding of positions, which have no unit and so no axis; the outer titles find room."""

    def scale(name: str) -> alt.Scale:
        values = points[name].to_numpy()
        margin = MARGIN * (values.max() - values.min())
        return alt.Scale(domain=[float(values.min() - margin), float(values.max() + margin)])

    return {
        "x": alt.X("x:Q", axis=None, scale=scale("x")),
        "y": alt.Y("y:Q", axis=None, scale=scale("y")),
    }


def _map_color(data: pl.DataFrame, color: str) -> Any:
    """What gives points their colour; those without a year are grey."""
    if color == "year":
        if data["year"].null_count() == len(data):
            return alt.value(GREY)
        years = alt.Color("year:Q", title="year").scale(scheme="viridis").legend(format="d")
        return alt.when("isValid(datum.year)").then(years).otherwise(alt.value(GREY))
    if color == "rating":
        return alt.Color("mean_rating:Q", title="mean rating").scale(scheme="redyellowblue")
    if color == "genre":
        names = [name for name in _by_frequency(data["genre"]) if name != OTHER_GENRES]
        if len(names) < data["genre"].n_unique():  # whatever is left is last, and grey
            colors = [*COLORS[: len(names)], GREY]
            scale = alt.Scale(domain=[*names, OTHER_GENRES], range=colors)
            return alt.Color("genre:N", title="genre").scale(scale).legend(symbolOpacity=1)
    else:  # a cluster's name begins with its number
        names = sorted(data["cluster"].unique(), key=lambda name: int(name.split()[0]))
    return alt.Color(f"{color}:N", title=color).scale(in_order(names)).legend(symbolOpacity=1)


def norms(table: pl.DataFrame, head: str, unit: str = "rating") -> Chart:
    """Norms of the item factors against popularity: why dot products and cosines differ.

    `table` is from `matinee.analysis.embedding_norms`, of this head; `unit` is what items have: a
    "rating", or an "interaction" without one.
    """
    correlation = table.select(pl.corr("n_ratings", "norm", method="spearman")).item()
    defined = correlation is not None and np.isfinite(correlation)
    base = alt.Chart(rows(table)).encode(
        x=alt.X("n_ratings:Q", title=f"training {unit}s (log scale)")
        .scale(type="log", nice=False)
        .axis(format=",d", tickCount=5, grid=False),
        y=alt.Y("norm:Q", title=f"norm of the {head} factors"),
    )
    dots = base.mark_circle(color=BLUE, opacity=0.35, size=16).encode(
        tooltip=["title:N", n_ratings(unit), alt.Tooltip("norm:Q", format=".2f")]
    )
    step = (pl.col("n_ratings").log() / np.log(TREND_RATIO)).floor()
    means = table.group_by(step=step).agg(pl.col("n_ratings", "norm").mean()).sort("step")
    trend = base.properties(data=rows(means.drop("step"))).mark_line(color=ORANGE, size=2.5)
    return framed(
        dots + trend,
        f"Popularity and norm of the {head} factors",
        f"Rank correlation {correlation:.2f}." if defined else "",
        "Dot products favour large norms; cosines compare directions only. Orange: means.",
    )


def silhouettes(clusters: Clusters) -> Chart:
    """The silhouette of every number of clusters that was tried."""
    base = alt.Chart(rows(clusters.silhouettes)).encode(
        x=alt.X("k:Q", title="clusters").axis(tickMinStep=1, format="d", grid=False),
        y=alt.Y("silhouette:Q", title="silhouette (-1 to 1)").scale(zero=False),
        tooltip=["k:Q", alt.Tooltip("silhouette:Q", format=".3f")],
    )
    chosen = base.transform_filter(alt.datum.k == clusters.table.height)
    return framed(
        base.mark_line(color=BLUE, point=alt.OverlayMarkDef(color=BLUE, size=40))
        + chosen.mark_circle(color=ORANGE, size=130, opacity=1),
        "Number of clusters",
        "Silhouette: how much nearer members are to one another than to the next cluster.",
        "Orange: the chosen number.",
    )


def cluster_lifts(clusters: Clusters) -> Chart:
    """What each cluster has more and less of, genre by genre."""
    noun = clusters.embeddings.noun
    counted = f"{clusters.embeddings.unit if clusters.embeddings.of == 'users' else noun}s"
    titles = dict(enumerate(clusters.titles, 1))
    genres = clusters.traits.filter(pl.col("kind") == "genre", pl.col("share_of_all") > 0)
    data = genres.select(
        pl.col("cluster").replace_strict(titles, return_dtype=pl.String),
        *("trait", "share", "share_of_all", "lift"),
        log2_lift=pl.col("lift").clip(1 / MAX_LIFT, MAX_LIFT).log(2),
    )
    label = "datum.value < 0 ? '1/' + pow(2, -datum.value) : pow(2, datum.value) + 'x'"
    names = sorted(data["trait"].unique())
    colors = alt.Scale(scheme="blueorange", domain=[-3, 3], domainMid=0)
    legend = alt.Legend(labelExpr=label, values=[-3, -2, -1, 0, 1, 2, 3])
    return framed(
        alt.Chart(rows(data))
        .mark_rect()
        .encode(
            x=alt.X("cluster:N", **heatmap_axis(clusters.titles, labelAngle=-40, labelLimit=190)),
            y=alt.Y("trait:N", **heatmap_axis(names)),
            color=alt.Color("log2_lift:Q", title="lift", scale=colors, legend=legend),
            tooltip=[
                "cluster:N",
                alt.Tooltip("trait:N", title="genre"),
                alt.Tooltip("share:Q", title=f"of its {counted}", format=".1%"),
                alt.Tooltip("share_of_all:Q", title=f"of all {counted}", format=".1%"),
                alt.Tooltip("lift:Q", format=".2f"),
            ],
        ),
        f"Genres of the {noun} clusters",
        f"Lift: share of the cluster's {counted} over the share of all {counted}.",
        height=ROW * max(3, len(names)),
    )


def genre_positions(axes: EmbeddingAxes) -> Chart:
    """Where the items of each genre lie on the axes, on average."""
    data = axes.genre_positions
    genres = data.filter(pl.col("axis") == 1).sort("position")["genre"].to_list()
    x = alt.X("axis:O", title="axis, widest first").axis(labelAngle=0)
    limit = max(1e-9, data.select(pl.col("position").abs().max()).item() or 0.0)
    return framed(
        _genre_heatmap(data, x, genres, "position", limit),
        "Genres on the axes",
        f"Mean position of the genre's {axes.embeddings.noun}s, in standard deviations "
        f"({axes.embeddings.head} factors, {axes.rotation} axes).",
        height=max(80, ROW * len(genres)),
    )


def genre_similarity(axes: EmbeddingAxes) -> Chart:
    """Cosines between the mean factors of genres."""
    genres = _chain(axes.genre_similarity)
    x = alt.X("other:N", **heatmap_axis(genres, labelAngle=-45))
    return framed(
        _genre_heatmap(axes.genre_similarity, x, genres, "cosine", 1),
        "Similarity of genres",
        "Cosine of the genres' mean factors, as differences from the average "
        f"{axes.embeddings.noun} ({axes.embeddings.head} factors).",
        height=max(HEIGHT, ROW * len(genres)),
    )


def _genre_heatmap(
    data: pl.DataFrame, x: alt.X, genres: list[str], column: str, limit: float
) -> Any:
    """Cells by genre and `x`, coloured by a column that lies between -limit and limit."""
    colors = alt.Scale(scheme="purpleorange", domain=[-limit, limit], domainMid=0)
    cells = alt.Chart(rows(data)).mark_rect()
    return cells.encode(
        x=x,
        y=alt.Y("genre:N", **heatmap_axis(genres)),
        color=alt.Color(f"{column}:Q", title=column, scale=colors).legend(format=".1f"),
        tooltip=["genre:N", x.shorthand, alt.Tooltip(f"{column}:Q", format=".2f")],
    )


def _chain(similarity: pl.DataFrame) -> list[str]:
    """Genres in an order in which each is followed by the most similar of those left."""
    genres = similarity["genre"].unique(maintain_order=True).to_list()
    if not genres:
        return []
    cosines = similarity["cosine"].to_numpy().reshape(len(genres), len(genres)).copy()
    current = int(cosines.sum(axis=1).argmin())  # an outlier makes a good end of a chain
    order = [current]
    while len(order) < len(genres):
        cosines[:, current] = -np.inf
        current = int(cosines[current].argmax())
        order.append(current)
    return [genres[row] for row in order]

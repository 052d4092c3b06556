"""What a model learned of movies and viewers: clusters, map, neighbours, dimensions."""

import polars as pl

from matinee.explore.charts.clusters import cluster_lifts, silhouettes
from matinee.explore.charts.dimensions import genre_likeness, genre_positions
from matinee.explore.charts.map import READINGS, movie_map, norms
from matinee.explore.clusters import Clusters
from matinee.explore.dimensions import Dimensions
from matinee.explore.layout import Layout
from matinee.explore.pages.page import Block, Card, Cards, Facts, Figure, Section, figure, table
from matinee.explore.space import HEAD_TITLES, vector_lengths
from matinee.models import FactorModel
from matinee.models.factor_model import BY

TRAITS_SHOWN = 3
COLOR_NAMES = {"genre": "Genre", "cluster": "Cluster", "year": "Year", "stars": "Mean stars"}


def map_section(model: FactorModel, layout: Layout, first: str = "genre") -> Section:
    """The map, coloured in several ways, and how long the vectors of each head are."""
    having = [BY[name] for name, head in model.heads.items() if head.vectors is not None]
    without = {"year"} if layout.points["year"].null_count() == len(layout.space) else set()
    colors = sorted(READINGS.keys() - without, key=[first, *READINGS].index)
    maps = {COLOR_NAMES[color]: movie_map(layout, color) for color in colors}
    return Section(
        "The map",
        [
            "Movies that the same people like lie together. Hover over one, or touch it, for its "
            "nearest neighbours; search for a title; pick a genre or cluster in the legend; drag "
            "and scroll to move and zoom, and click twice to come back. What is near is alike; how "
            "far apart groups lie means little.",
            Figure(maps, wide=True),
            *(figure(norms(vector_lengths(model, by), by)) for by in having),
        ],
    )


def clusters_section(clusters: Clusters) -> Section:
    """Groups of movies or of viewers, named and judged."""
    of, one = clusters.space.of, clusters.space.of.removesuffix("s")
    blocks: list[Block] = [
        f"K-means on the directions of the {one} vectors of the {HEAD_TITLES[clusters.space.by]}, "
        f"named by what each has more of than all {of}. {clusters.space.left_out}",
        Facts(
            [
                (str(clusters.table.height), "clusters"),
                (f"{clusters.silhouette:.2f}", "silhouette: 0 is none, 1 is perfect separation"),
                (f"{clusters.genre_agreement:.2f}", "agreement with genres, from 0 to 1"),
                (f"{clusters.stability:.2f}", "stability over seeds, up to 1"),
            ]
        ),
        Cards(_cards(clusters)),
    ]
    if "genre" in clusters.traits["kind"]:
        blocks.append(figure(cluster_lifts(clusters)))
    if clusters.silhouettes.height > 1:
        blocks.append(figure(silhouettes(clusters)))
    return Section(f"Clusters of {of}", blocks)


def _cards(clusters: Clusters) -> list[Card]:
    cards = []
    for row in clusters.table.iter_rows(named=True):
        own = clusters.traits.filter(
            pl.col("cluster") == row["cluster"], pl.col("kind") != "popularity"
        )
        traits = own.head(TRAITS_SHOWN).iter_rows(named=True)
        more = [f"{one['trait']} {one['lift']:.1f} times" for one in traits if one["lift"] > 1]
        lists = {"has more of": [", ".join(more)]} if more else {}
        if clusters.space.of == "movies":
            lists |= {"popular": row["popular"], "typical": row["typical"]}
        else:
            lists |= {"watch more than others": row["popular"]} if row["popular"] else {}
        size = f"{row['size']:,} {clusters.space.of}"
        cards.append(Card(f"{row['cluster'] + 1} {row['name']}", size, lists))
    return cards


def neighbours_section(near: pl.DataFrame) -> Section:
    """The nearest movies by each head, side by side."""
    heads = [name for name in near.columns if name not in ("movie", "place")]
    cards = [
        Card(str(movie), "", {f"by the {head}": rows[head].to_list() for head in heads})
        for (movie,), rows in near.group_by("movie", maintain_order=True)
    ]
    text = (
        "The rating head learned from stars: near is what the same people like. The ranking head "
        "learned from who watches what: near is also what came out at the same time."
        if len(heads) > 1
        else "Near is what has the most similar vector, by cosine."
    )
    return Section("Neighbours", [text, Cards(cards)])


def dimensions_section(dimensions: Dimensions) -> Section:
    """The widest axes with what lies at their ends, and which genres lie close."""
    rotated = "turned by varimax" if dimensions.rotation == "varimax" else "the principal axes"
    ends = dimensions.axes.select(
        "axis",
        pl.col("share"),
        pl.col("low_genres").list.join(", "),
        "low",
        pl.col("high_genres").list.join(", "),
        "high",
    )
    headings = {
        "axis": "axis",
        "share": "variance",
        "low_genres": "low end",
        "low": "well-known movies there",
        "high_genres": "high end",
        "high": "well-known movies there ",
    }
    blocks: list[Block] = [
        "Factors as trained mean nothing one by one: turned to other axes, they predict the "
        f"same. These are {rotated} of the {HEAD_TITLES[dimensions.space.by]}'s vectors.",
        table(ends, headings, {"share": ".0%"}),
    ]
    if dimensions.genre_positions.height:
        charts = (genre_positions(dimensions), genre_likeness(dimensions))
        blocks += [figure(chart) for chart in charts]
    return Section("Dimensions", blocks)

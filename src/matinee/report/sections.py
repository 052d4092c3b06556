"""The page of a data set, and its part of a report."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from matinee.analysis.axes import EmbeddingAxes
from matinee.analysis.clusters import Clusters
from matinee.analysis.dataset import DatasetSummary, describe
from matinee.analysis.embeddings import HEAD_TITLES, vector_lengths
from matinee.analysis.projection import Projection
from matinee.analysis.users import explain_recommendations, genre_profile, top_rated
from matinee.data.dataset import Dataset
from matinee.errors import SettingError
from matinee.evaluation.groups import GroupMetrics, evaluate_groups
from matinee.evaluation.metrics import REPORTED_METRICS
from matinee.evaluation.protocols import holdout
from matinee.evaluation.uncertainty import MetricValue
from matinee.experiments.leaderboard import LeaderboardRow, evaluate_heads
from matinee.experiments.training import MAX_EVAL_USERS
from matinee.models.recommender import Recommender
from matinee.plots.dataset import charts_of_data
from matinee.plots.embeddings import (
    READINGS,
    cluster_lifts,
    genre_likeness,
    genre_positions,
    item_map,
    norms,
    silhouettes,
    user_on_map,
)
from matinee.plots.evaluation import ranking_by_group, ranking_metrics_chart, rating_by_group
from matinee.plots.explanation import explanation_chart, taste_chart
from matinee.plots.training import training_panels
from matinee.report.document import (
    Block,
    Card,
    Cards,
    Facts,
    Figure,
    Number,
    Section,
    Table,
    figure,
    table,
    write_page,
)


def data_section(summary: DatasetSummary) -> Section:
    """What is in the data, as figures and charts."""
    facts = [
        (f"{summary.users:,}", "users"),
        (f"{summary.items:,}", "items"),
        (f"{summary.ratings:,}", "ratings"),
        (f"{summary.mean_rating:.2f}", f"stars on average, from {summary.scale}"),
        (f"{summary.sparsity:.2%}", "of the full matrix is empty"),
    ]
    if summary.first_rating and summary.last_rating:
        first, last = summary.first_rating, summary.last_rating
        facts.append((f"{first:%b %Y} to {last:%b %Y}", "rated"))
    unrated = summary.items - summary.rated_items
    charts = [figure(chart) for chart in charts_of_data(summary).values()]
    note = [f"{unrated:,} of the movies have no rating."] if unrated else []
    return Section("The data", [Facts(facts), *note, *charts])


def write_dataset_report(dataset: Dataset, path: str | Path) -> Path:
    """Write the page of a data set.

    Parameters
    ----------
    dataset : Dataset
    path : str or Path
        Of the HTML file.
    """
    summary = describe(dataset)
    items = {"item_id": "id", "title": "title", "genres": "genres"}
    ratings = {name: name for name in summary.first_ratings.columns}
    rows = Section(
        "First rows",
        [
            table(
                summary.first_ratings.with_columns(
                    pl.selectors.datetime().dt.to_string("%Y-%m-%d")
                ),
                ratings,
                {"user_id": "", "item_id": "", "rating": "g"},
                "Ratings",
            ),
            table(summary.first_items, items, {"item_id": ""}, "Movies"),
        ],
    )
    terms = f"Terms: {summary.licence}." if summary.licence else "Terms of use are not known."
    return write_page(Path(path), summary.name, terms, [data_section(summary), rows])


TRAITS_SHOWN = 3
COLOR_NAMES = {"genre": "Genre", "cluster": "Cluster", "year": "Year", "rating": "Mean stars"}


def map_section(model: Recommender, layout: Projection, first: str = "genre") -> Section:
    """The map, coloured in several ways, and how long the vectors of each head are."""
    having = [name for name, one in model.heads.items() if one.item_factors is not None]
    without = {"year"} if layout.points["year"].null_count() == len(layout.space) else set()
    colors = sorted(READINGS.keys() - without, key=[first, *READINGS].index)
    maps = {COLOR_NAMES[color]: item_map(layout, color) for color in colors}
    return Section(
        "The map",
        [
            "Movies that the same people like lie together. Hover over one, or touch it, for its "
            "nearest neighbours; search for a title; pick a genre or cluster in the legend; drag "
            "and scroll to move and zoom, and click twice to come back. What is near is alike; how "
            "far apart groups lie means little.",
            Figure(maps, wide=True),
            *(figure(norms(vector_lengths(model, head), head)) for head in having),
        ],
    )


def clusters_section(clusters: Clusters) -> Section:
    """Groups of movies or of users, named and judged."""
    of, one = clusters.space.of, clusters.space.of.removesuffix("s")
    blocks: list[Block] = [
        f"K-means on the directions of the {one} vectors of the {HEAD_TITLES[clusters.space.head]}, "
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
        if clusters.space.of == "items":
            lists |= {"popular": row["popular"], "typical": row["typical"]}
        else:
            lists |= {"watch more than others": row["popular"]} if row["popular"] else {}
        size = f"{row['size']:,} {clusters.space.of}"
        cards.append(Card(f"{row['cluster'] + 1} {row['name']}", size, lists))
    return cards


def neighbours_section(near: pl.DataFrame) -> Section:
    """The nearest movies by each head, side by side."""
    heads = [name for name in near.columns if name not in ("item_id", "place")]
    cards = [
        Card(str(item), "", {f"by the {head}": rows[head].to_list() for head in heads})
        for (item,), rows in near.group_by("item_id", maintain_order=True)
    ]
    text = (
        "The rating head learned from stars: near is what the same people like. The ranking head "
        "learned from who watches what: near is also what came out at the same time."
        if len(heads) > 1
        else "Near is what has the most similar vector, by cosine."
    )
    return Section("Neighbours", [text, Cards(cards)])


def dimensions_section(dimensions: EmbeddingAxes) -> Section:
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
        f"same. These are {rotated} of the {HEAD_TITLES[dimensions.space.head]}'s vectors.",
        table(ends, headings, {"share": ".0%"}),
    ]
    if dimensions.genre_positions.height:
        charts = (genre_positions(dimensions), genre_likeness(dimensions))
        blocks += [figure(chart) for chart in charts]
    return Section("Dimensions", blocks)


SHOWN = 8


def user_section(model: Recommender, user: Any, layout: Projection | None = None) -> Section:
    """One user beside the average one.

    Parameters
    ----------
    model : Recommender
    user : id or UserProfile
    layout : Projection, optional
        The map to find their place on.
    """
    profile = model.user_profile(user)
    found = explain_recommendations(model, user, SHOWN)
    last = {"rating": "predicted stars"} if "rating" in found.columns else {"score": "score"}
    found = found.with_columns(pl.col("genres").str.replace_all("|", ", ", literal=True))
    mine = genre_profile(model, user)
    kinds = [kind for kind in ("genre", "years", "popularity") if kind in mine["kind"].unique()]
    tastes = [figure(taste_chart(mine, kind)) for kind in kinds]
    blocks: list[Block] = [
        f"{len(profile.items):,} training ratings, {profile.values.mean():.2f} stars on average.",
        table(
            top_rated(model, user, SHOWN),
            {"title": "title", "rating": "rating"},
            {"rating": "g"},
            "What they loved",
            wide=False,
        ),
        tastes[0],
        table(
            found,
            {"title": "title", "genres": "genres", **last, "because": "because of"},
            {next(iter(last)): ".2f"},
            "What they should watch, the likeliest first",
        ),
    ]
    blocks += tastes[1:]
    if layout is not None:
        listed = model.catalog.ids.codes(found["item_id"].to_list())
        blocks.append(figure(user_on_map(layout, profile.items, listed)))
    if found.height:
        head = "ranking" if model.ranking_head else "rating"
        try:
            parts = model.explain(user, found["item_id"][0], head=head)
        except SettingError:  # a network's scores do not come apart
            return Section(_name(user), blocks)
        blocks.append(figure(explanation_chart(parts, found["title"][0], head)))
    return Section(_name(user), blocks)


def _name(user: Any) -> str:
    return f"User {user}" if isinstance(user, str | int) else "Somebody new"


EXPLAINED = (
    "NDCG@10, HR@10, Recall@20, NDCG@100: how well lists find what users watched among the "
    "ratings kept aside; 1 is perfect. Coverage: the part of the catalogue that is ever listed. "
    "Popular: the part of listed movies that are among the most rated tenth."
)


def training_section(model: Recommender) -> Section | None:
    """Curves of the training; None if it had no steps."""
    try:
        return Section("Training", [figure(panel) for panel in training_panels(model)])
    except SettingError:
        return None


def quality_sections(model: Recommender, train: Dataset, test: Dataset) -> list[Section]:
    """Accuracy with intervals, and accuracy by how much is known."""
    try:
        task = holdout(train, test).sample(MAX_EVAL_USERS)
    except SettingError:
        return [
            Section(
                "Accuracy", ["Nobody has both training and test ratings, so it cannot be judged."]
            )
        ]
    rows = evaluate_heads(task, {"": model})
    blocks: list[Block] = [
        f"{len(test):,} ratings were kept aside. Stars are judged on all of them, lists on "
        f"{len(task):,} users; intervals say what other users would give, at 95 %.",
        Facts(_facts(rows)),
        _table(rows),
        EXPLAINED,
        figure(ranking_metrics_chart(rows, "ndcg@10")),
        figure(ranking_metrics_chart(rows, "hit_rate@10")),
    ]
    parts = evaluate_groups(model, train, test, task=task)
    return [Section("Accuracy", blocks), _limits(parts)]


def _facts(rows: Sequence[LeaderboardRow]) -> list[tuple[str, str]]:
    facts = []
    for row in rows:
        if row.values:
            ci_low, ci_high = row.values.rmse_interval or (row.values.rmse, row.values.rmse)
            facts += [
                (f"{row.values.rmse:.3f}", f"RMSE of stars, {ci_low:.3f} to {ci_high:.3f}"),
                (f"{row.values.mae:.3f}", "mean absolute error of stars"),
            ]
        figure = row.lists.metrics["ndcg@10"]
        facts.append((f"{figure.value:.3f}", f"NDCG@10 of {row.who}, {_interval(figure)}"))
    return facts


def _table(rows: Sequence[LeaderboardRow]) -> Table:
    names = [name for name in REPORTED_METRICS if all(name in row.lists.metrics for row in rows)]
    return Table(
        ["lists by", *(REPORTED_METRICS[name].title for name in names)],
        [
            [row.who, *(Number(_shown(name, row.lists.metrics[name])) for name in names)]
            for row in rows
        ],
        "Lists",
    )


def _shown(name: str, figure: MetricValue) -> str:
    kind = REPORTED_METRICS[name]
    if not kind.better:
        return format(figure.value, kind.form)
    value = f"{figure.value:.3f}"
    return value if figure.ci_low is None else f"{value} ({_interval(figure)})"


def _interval(figure: MetricValue) -> str:
    return "" if figure.ci_low is None else f"{figure.ci_low:.3f} to {figure.ci_high:.3f}"


def _limits(parts: Sequence[GroupMetrics]) -> Section:
    """Who is badly served, in words and charts."""
    blocks: list[Block] = [
        "Averages hide who is served badly. Here users are divided by how many ratings they gave "
        "in training, movies by how many they got."
    ]
    for of in ("users", "items"):
        errors = {
            (part.least, part.most): part.rmse.value
            for part in parts
            if part.of == of and part.rmse and part.least > 0
        }
        if len(errors) > 1:
            (few, worse), *_, (many, better) = errors.items()
            blocks.append(
                f"{of.capitalize()} with {few[0]:,} to {few[1]:,} ratings: stars are off by an "
                f"RMSE of {worse:.3f}, against {better:.3f} for those with {many[0]:,} to "
                f"{many[1]:,}."
            )
    for of in ("users", "items"):
        if any(part.of == of and part.rmse for part in parts):
            blocks.append(figure(rating_by_group(parts, of)))
        if any(part.of == of and part.found for part in parts):
            blocks.append(figure(ranking_by_group(parts, of)))
    blocks += [
        "Ratings were kept aside as the split says; unless it is by time, the model has seen what "
        "other people rated later, which a recommender in use never has. What people did not rate "
        "is not known to be bad: a list is given no credit for a good movie that nobody rated. And "
        "those who rate are not everybody: people who gave few ratings are not in most editions.",
    ]
    return Section("Limits", blocks)

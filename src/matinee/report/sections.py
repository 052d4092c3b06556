"""The sections of pages: data, embeddings, one user, accuracy."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from matinee._types import F32
from matinee.analysis.axes import EmbeddingAxes
from matinee.analysis.clusters import Clusters
from matinee.analysis.dataset import DatasetSummary, describe
from matinee.analysis.embeddings import embedding_norms
from matinee.analysis.projection import Projection
from matinee.analysis.users import explain_recommendations, genre_profile, top_rated
from matinee.data.dataset import Dataset
from matinee.errors import SettingError
from matinee.evaluation.evaluator import evaluate_ratings
from matinee.evaluation.groups import GroupMetrics, evaluate_groups
from matinee.evaluation.metrics import METRICS, REPORTED_METRICS, Metric
from matinee.evaluation.protocols import holdout
from matinee.evaluation.uncertainty import MetricValue
from matinee.experiments.leaderboard import LeaderboardRow, evaluate_heads
from matinee.experiments.training import MAX_EVAL_USERS
from matinee.models.baselines import Bias
from matinee.models.recommender import Recommender
from matinee.plots import embeddings as embedding_charts
from matinee.plots import evaluation as metric_charts
from matinee.plots.dataset import charts_of_data
from matinee.plots.explanation import explanation_chart, taste_chart
from matinee.plots.training import training_panels
from matinee.report.document import (
    Block,
    Card,
    Cards,
    Facts,
    Figure,
    Folded,
    KeyMetric,
    KeyMetrics,
    Number,
    Section,
    Table,
    figure,
    table,
    terms_of_use,
    write_page,
)

ROWS, BEST = 6, 10  # recommendations of a user, and their best ratings


def data_section(summary: DatasetSummary) -> Section:
    """Sizes and charts of a dataset."""
    unit = summary.unit
    facts = [
        (f"{summary.users:,}", "users"),
        (f"{summary.items:,}", f"{summary.noun}s"),
        (f"{summary.ratings:,}", f"{unit}s"),
        (f"{summary.sparsity:.2%}", "sparsity"),
    ]
    if summary.mean_rating is not None:
        facts.insert(3, (f"{summary.mean_rating:.2f}", f"mean rating ({summary.scale})"))
    elif summary.weight_histogram.height > 1:
        what = f"mean {summary.value_name} per user and {summary.noun}"
        facts.insert(3, (f"{summary.mean_weight:.2f}", what))
    if summary.first_rating and summary.last_rating:
        first, last = summary.first_rating, summary.last_rating
        facts.append((f"{first:%b %Y} to {last:%b %Y}", f"time of {unit}s"))
    unrated = summary.items - summary.rated_items
    note = [f"{unrated:,} of the {summary.noun}s have no {unit}."] if unrated else []
    charts = [figure(chart) for chart in charts_of_data(summary).values()]
    return Section("Data", [Facts(facts), *note, *charts])


def write_dataset_report(dataset: Dataset, path: str | Path) -> Path:
    """Write the page of a dataset as one HTML file, which needs no network."""
    summary = describe(dataset)
    ratings = summary.sample_ratings.with_columns(
        pl.selectors.datetime().dt.to_string("%Y-%m-%d")
    ).rename({"timestamp": "date"}, strict=False)
    headings = {name: name.removesuffix("_id") for name in ratings.columns}
    if "weight" in headings:
        headings["weight"] = summary.value_name
    formats = {"user_id": "", "item_id": "", "rating": "g", "weight": "g"}
    items = summary.sample_items.with_columns(genres=_genres())
    item_headings = {"item_id": "id", "title": "title", "genres": "genres"}
    sample = [
        table(ratings, headings, formats, f"{summary.unit}s".capitalize()),
        table(items, item_headings, {"item_id": ""}, f"{summary.noun}s".capitalize()),
    ]
    sections = [data_section(summary), Section("Sample", sample)]
    return write_page(Path(path), summary.name, terms_of_use(summary.licence), sections)


def _genres() -> pl.Expr:
    return pl.col("genres").str.replace_all("|", ", ", literal=True)


def map_section(model: Recommender, projection: Projection, color: str = "genre") -> Section:
    """The map in several colours, first in this one, and the norms of each head's factors."""
    noun, unit = projection.embeddings.noun, projection.embeddings.unit
    colors = list(dict.fromkeys([color, *embedding_charts.map_colors(unit)]))
    if projection.clusters is None and color != "cluster":
        colors.remove("cluster")
    if projection.points["year"].null_count() == len(projection.points):
        colors.remove("year")
    titles = {color: color.capitalize() for color in colors} | {"rating": "Mean rating"}
    heads = model.heads_with("items")
    pickable = "genre or cluster" if "cluster" in colors else "genre"
    return Section(
        "Map",
        [
            Figure(
                {titles[color]: embedding_charts.item_map(projection, color) for color in colors},
                wide=True,
                fills=True,
            ),
            f"{noun.capitalize()}s that the same people like lie together. Hover over one, or "
            f"tap it, for its nearest neighbours; search for a title; pick a {pickable} in "
            "the legend; drag and scroll to move and zoom, double-click to reset. Nearby means "
            "similar; distances between groups mean little.",
            Folded(
                "Popularity and norms",
                [
                    figure(embedding_charts.norms(embedding_norms(model, head), head, unit))
                    for head in heads
                ],
            ),
        ],
    )


def clusters_section(clusters: Clusters) -> Section:
    """Clusters of items or of users: how good they are, and what is in them."""
    embeddings = clusters.embeddings
    noun = embeddings.noun
    facts = [
        (str(clusters.table.height), "clusters"),
        (f"{clusters.silhouette:.2f}", "silhouette (0: none, 1: perfect separation)"),
        (f"{clusters.genre_agreement:.2f}", "agreement with genres (0: chance, 1: same)"),
        (f"{clusters.stability:.2f}", "stability over seeds (1: same clusters)"),
    ]
    blocks: list[Block] = [
        f"K-means on the directions of the {noun} factors ({embeddings.head} head). Each cluster "
        f"is named by the genres and the decade that it has more of than all {noun}s. "
        f"{embeddings.left_out}",
        Facts(facts),
        Cards(_cards(clusters)),
    ]
    charts = []
    if "genre" in clusters.traits["kind"]:
        charts.append(figure(embedding_charts.cluster_lifts(clusters)))
    if clusters.silhouettes.height > 1:
        charts.append(figure(embedding_charts.silhouettes(clusters)))
    if charts:
        blocks.append(Folded(f"Charts of the clusters of {noun}s", charts))
    return Section(f"Clusters of {noun}s", blocks)


def _cards(clusters: Clusters) -> list[Card]:
    """A card for each cluster, with the lift of every trait in its name."""
    lift = {each[:2]: each[2] for each in clusters.traits["cluster", "trait", "lift"].rows()}
    cards = []
    for row, title in zip(clusters.table.rows(named=True), clusters.titles, strict=True):
        more = [f"{trait} {lift[row['cluster'], trait]:.1f}x" for trait in row["named_by"]]
        lists = {"more than average": [", ".join(more)]} if more else {}
        if clusters.embeddings.of == "items":
            lists |= {"most popular": row["popular"], "most typical": row["typical"]}
        elif row["popular"]:
            lists |= {"watched more than by others": row["popular"]}
        cards.append(Card(title, f"{row['size']:,} {clusters.embeddings.noun}s", lists))
    return cards


def neighbours_section(near: pl.DataFrame) -> Section:
    """The nearest items by each head, side by side."""
    heads = [name for name in ("rating", "ranking") if name in near.columns]
    cards = [
        Card(str(title), "", {f"{head} factors": rows[head].to_list() for head in heads})
        for (title,), rows in near.group_by("title", maintain_order=True)
    ]
    text = (
        "By rating factors, neighbours are liked by the same people. By ranking factors, they are "
        "watched by the same people, which includes what came out at the same time."
        if len(heads) > 1
        else "Neighbours have the largest cosine of their factors."
    )
    return Section("Neighbours", [text, Cards(cards)])


def axes_section(axes: EmbeddingAxes) -> Section:
    """The widest axes with what lies at their ends, and which genres are similar."""
    rotation = "varimax axes" if axes.rotation == "varimax" else "principal axes"
    noun = axes.embeddings.noun
    ends = axes.axes.with_columns(pl.col("low_genres", "high_genres").list.join(", "))
    headings = {
        "axis": "axis",
        "variance_share": "variance",
        "low_genres": "low end",
        "low_titles": f"well-known {noun}s",
        "high_genres": "high end",
        "high_titles": f"well-known {noun}s",
    }
    blocks: list[Block] = [
        "Single factors have no meaning: rotated, they predict the same. These are the "
        f"{rotation} of the {axes.embeddings.head} factors.",
        table(ends, headings, {"variance_share": ".0%"}),
    ]
    if axes.genre_positions.height:
        blocks.append(figure(embedding_charts.genre_positions(axes)))
        blocks.append(figure(embedding_charts.genre_similarity(axes)))
    return Section("Axes", blocks)


def user_section(model: Recommender, user: Any, projection: Projection | None = None) -> Section:
    """One user beside the average one; their items on the map, if there is one."""
    profile = model.user_profile(user)
    recommended = explain_recommendations(model, user, ROWS)
    tastes = genre_profile(model, user)
    kinds = tastes["kind"].unique(maintain_order=True)
    unit, values = model.index.unit, profile.values
    charts = [figure(taste_chart(tastes, kind, unit)) for kind in kinds]
    mean = f", mean {values.mean():.2f}" if unit == "rating" else ""
    name = f"User {user}" if isinstance(user, str | int) else "New user"
    blocks: list[Block] = [
        f"{len(values):,} training {unit}s{mean}. From the best of them follows what is "
        "recommended; each with what contributed most to it.",
        Cards([_best_card(model, user, values), *_recommended_cards(recommended)]),
    ]
    if "next" in model.orders:
        follows = explain_recommendations(model, user, ROWS, head="next")
        blocks += ["Next", Cards(_recommended_cards(follows))]
    if projection is not None:
        indices = model.catalog.ids.codes(recommended["item_id"].to_list())
        charts.append(figure(embedding_charts.user_on_map(projection, profile.items, indices)))
    if recommended.height:
        head = "ranking" if "ranking" in model.orders else "rating"
        title = recommended["title"][0]
        try:
            explanation = model.explain(user, recommended["item_id"][0], head=head)
            charts.insert(0, figure(explanation_chart(explanation, title, head, unit=unit)))
        except SettingError:  # a network, whose scores are no sum over ratings
            pass
    blocks.append(Folded(f"More about {name[0].lower()}{name[1:]}", charts))
    return Section(name, blocks)


def _best_card(model: Recommender, user: Any, values: F32) -> Card:
    """The best of a user: with ratings; with how often, where that differs; else popular items."""
    what = model.index.value_name
    best = top_rated(model, user, BEST)
    entries = [
        f"{value:g} \u00b7 {title}" for title, value in best["title", best.columns[-1]].rows()
    ]
    caption, line = "Top rated", f"{what} \u00b7 title"
    if model.scale is None:
        caption = "Most often" if what == "times" else "Highest weights"
        if values.min() == values.max():
            entries, line = best["title"].to_list(), ""
            caption = f"The user's most popular {model.catalog.noun}s"
    return Card(caption, line, {"": entries}, leads=True)


def _recommended_cards(recommended: pl.DataFrame) -> list[Card]:
    """A card for each recommendation: what it is, its score, and because of what."""
    score = "predicted_rating" if "predicted_rating" in recommended.columns else "score"
    return [
        Card(
            row["title"],
            " \u00b7 ".join(
                filter(None, (row["genres"], f"{score.replace('_', ' ')} {row[score]:.2f}"))
            ),
            {"because of": row["because"]} if row["because"] else {},
        )
        for row in recommended.with_columns(genres=_genres()).to_dicts()
    ]


def training_section(model: Recommender) -> Section | None:
    """Training curves; None if the model was solved in one step."""
    try:
        return Section("Training", [figure(panel) for panel in training_panels(model)])
    except SettingError:
        return None


def quality_sections(model: Recommender, train: Dataset, test: Dataset) -> list[Section]:
    """Key metrics; accuracy on the test set with confidence intervals; the same by group."""
    unit = train.unit
    if len(test) == 0:
        return [Section("Accuracy", ["Trained on everything: there is no test set."])]
    try:
        task = holdout(train, test).sample(MAX_EVAL_USERS)
    except SettingError:
        return [Section("Accuracy", [f"No user has both training and test {unit}s."])]
    leaderboard = evaluate_heads(task, {"": model})
    predicted = f"rating prediction on {len(test):,} ratings, " if model.rating_head else ""
    blocks: list[Block] = [
        f"On the test set: {predicted}top-10 ranking for {len(task):,} users, with 95% confidence "
        "intervals over users.",
        _ranking_table(leaderboard),
        "NDCG, HR and Recall: how well rankings find a user's test items; 1 is perfect. Coverage: "
        "share of the catalog that is ever recommended. Popular share: share of recommendations "
        "that are among the most popular tenth.",
        figure(metric_charts.ranking_metrics_chart(leaderboard, "ndcg@10")),
        figure(metric_charts.ranking_metrics_chart(leaderboard, "hit_rate@10")),
    ]
    groups = evaluate_groups(model, train, test, task=task)
    groups_section = _groups_section(groups, model.catalog.noun, unit)
    averages = evaluate_ratings(Bias().fit(train), train, test).rmse if model.rating_head else None
    key = KeyMetrics(_key_metrics(leaderboard, averages, train))
    users = np.count_nonzero(train.ratings.user_counts)
    sizes = (
        f"Trained on {len(train):,} {unit}s of {users:,} users and "
        f"{len(train.catalog):,} {model.catalog.noun}s."
    )
    return [
        Section("Key metrics", [key, sizes]),
        Section("Accuracy", blocks),
        groups_section._replace(folded=True),
    ]


def _key_metrics(
    leaderboard: Sequence[LeaderboardRow], averages: float | None, train: Dataset
) -> list[KeyMetric]:
    """Errors of predicted ratings, and what the default lists find, beside baselines."""
    noun, default, popular = train.catalog.noun, leaderboard[0], leaderboard[-1]
    found = []
    for row in leaderboard:
        if row.rating:
            rmse = MetricValue(row.rating.rmse, *(row.rating.rmse_ci or ()))
            compared = [f"{averages:.3f} by averages of users and {noun}s (Bias)"]
            meaning = f"typical error of a predicted rating, on a scale of {train.ratings.scale}"
            found.append(_key_metric("rmse", rmse, meaning, compared))
    meanings = {
        "ndcg@10": f"how high the ten {noun}s on a list hold a user's test {noun}s; 1 is perfect",
        "hit_rate@10": f"of all lists of ten hold at least one of the user's test {noun}s",
        "coverage@10": "of the catalog is on the list of at least one user",
    }
    for name, meaning in meanings.items():
        value, baseline = (row.ranking.metrics.get(name) for row in (default, popular))
        if value and baseline:
            compared = [f"{_key_value(name, baseline.value)} by popularity (baseline)"]
            found.append(_key_metric(name, value, meaning, compared))
    return found


def _key_metric(name: str, value: MetricValue, meaning: str, compared: list[str]) -> KeyMetric:
    metric = METRICS[name]
    better = f"{metric.direction} is better" if metric.direction else ""
    if value.ci_low is not None and value.ci_high is not None:
        ends = (_key_value(name, end) for end in (value.ci_low, value.ci_high))
        compared = [f"95% CI {' to '.join(ends)}", *compared]
    return KeyMetric(metric.label, _key_value(name, value.value), better, meaning, compared)


def _key_value(name: str, value: float) -> str:
    """A share of users or of the catalog in per cent."""
    return format(value, ".1%" if name in ("hit_rate@10", "coverage@10") else ".3f")


def _ranking_table(leaderboard: Sequence[LeaderboardRow]) -> Table:
    metrics = [
        metric
        for name, metric in REPORTED_METRICS.items()
        if all(name in row.ranking.metrics for row in leaderboard)
    ]

    def cell(row: LeaderboardRow, metric: Metric) -> Number:
        value = row.ranking.metrics[metric.name]
        if metric.direction is None:
            return Number(format(value.value, metric.format))
        return Number(f"{value.value:.3f}{_ci(value)}")

    return Table(
        ["ranked by", *(metric.label for metric in metrics)],
        [[row.label, *(cell(row, metric) for metric in metrics)] for row in leaderboard],
        "Ranking",
    )


def _ci(value: MetricValue) -> str:
    return "" if value.ci_low is None else f" ({value.ci_low:.3f} to {value.ci_high:.3f})"


def _groups_section(groups: Sequence[GroupMetrics], noun: str, unit: str) -> Section:
    """Metrics by user activity and item popularity, and what they do not measure."""
    blocks: list[Block] = [
        "Averages hide for whom a model works badly. Here users are grouped by how many training "
        f"{unit}s they have, and so are {noun}s."
    ]
    charts: list[Block] = []
    for side, members in (("users", "Users"), ("items", f"{noun.capitalize()}s")):
        own = [group for group in groups if group.side == side]
        errors = [(group, group.rmse.value) for group in own if group.rmse and group.min_ratings]
        if len(errors) > 1:
            (fewest, rmse), (most, rmse_of_most) = errors[0], errors[-1]
            few, many = metric_charts.group_range(fewest), metric_charts.group_range(most)
            blocks.append(
                f"{members} with {few} training ratings: RMSE {rmse:.3f}; "
                f"with {many}: {rmse_of_most:.3f}."
            )
        if any(group.rmse for group in own):
            charts.append(figure(metric_charts.rating_by_group(own, side, noun)))
        if any(group.ranking for group in own):
            charts.append(figure(metric_charts.ranking_by_group(own, side, noun, unit)))
    blocks += charts
    blocks.append(
        f"Unless the split is temporal, the model has seen {unit}s that are later than the test "
        f"set, which a recommender in use never has. An item without the user's {unit} counts as "
        f"not relevant, although they might like it. Users with few {unit}s are missing from most "
        "datasets."
    )
    return Section("Performance by group", blocks)

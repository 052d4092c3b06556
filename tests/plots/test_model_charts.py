"""Charts of clusters, axes, users and metrics: what they show is what was found."""

import math
import re
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

pytest.importorskip("altair")
pytest.importorskip("vl_convert")

from drawing import drawn
from matinee.analysis import embedding_axes, find_clusters, genre_profile
from matinee.evaluation import GroupMetrics, evaluate_groups, holdout
from matinee.evaluation.uncertainty import MetricValue
from matinee.experiments import evaluate_heads
from matinee.plots.embeddings import cluster_lifts, genre_positions, genre_similarity, silhouettes
from matinee.plots.evaluation import ranking_by_group, ranking_metrics_chart, rating_by_group
from matinee.plots.explanation import explanation_chart, taste_chart

HOSTILE = "</script><script>alert(1)</script><b>&amp; \"quoted\" {{x}} datum['x']"


@pytest.fixture(scope="module")
def groups(both):
    return find_clusters(both)


def columns(rows, *names):
    return [tuple(row[name] for name in names) for row in rows]


def plain_model(by_hand, items=14, **how):
    """A model of items with random factors."""
    return by_hand(np.random.default_rng(1).normal(size=(items, 4)), **how)


# --- clusters


@pytest.mark.slow
def test_every_number_of_clusters_tried_is_shown_and_the_chosen_one_marked(groups, capfd):
    chart = drawn(silhouettes(groups), capfd)
    (rows,) = chart.rows
    assert columns(rows, "k", "silhouette") == groups.silhouettes.rows()
    best = max(rows, key=lambda row: row["silhouette"])["k"]
    (filtering,) = chart.spec["layer"][1]["transform"]
    assert filtering == {"filter": f"(datum.k === {best})"}
    assert best == groups.table.height
    assert chart.count("circle") == 1


def test_a_single_number_of_clusters_is_one_point(both, capfd):
    chart = drawn(silhouettes(find_clusters(both, 3)), capfd)
    assert columns(chart.rows[0], "k") == [(3,)]
    assert chart.count("circle") == 1


@pytest.mark.thorough
@pytest.mark.slow
def test_clusters_are_compared_with_all_movies_by_genre(groups, both, capfd):
    chart = drawn(cluster_lifts(groups), capfd)
    (rows,) = chart.rows
    genres, codes = both.catalog.frame["genres"], groups.embeddings.indices.tolist()
    names = chart.spec["encoding"]["x"]["sort"]
    assert names == [f"{at} {name}" for at, name in enumerate(groups.names, 1)] == groups.titles
    seen = set()
    for row in rows:
        label = names.index(row["cluster"])
        own = [c for c, lab in zip(codes, groups.labels.tolist(), strict=True) if lab == label]
        share, overall = (
            sum(row["trait"] in genres[code] for code in some) / len(some) for some in (own, codes)
        )
        assert (row["share"], row["share_of_all"]) == pytest.approx((share, overall))
        assert row["lift"] == pytest.approx(share / overall)
        eighth = min(max(row["lift"], 1 / 8), 8)
        assert row["log2_lift"] == pytest.approx(math.log2(eighth))
        seen.add((label, row["trait"]))
    present = {genre for code in codes for genre in genres[code]}
    assert seen == {(label, genre) for label in range(len(names)) for genre in present}
    assert len(rows) == len(seen)


@pytest.mark.slow
def test_clusters_of_users_speak_of_ratings(both, capfd):
    chart = drawn(cluster_lifts(find_clusters(both, 4, of="users")), capfd)
    assert chart.title == "Genres of the user clusters"
    assert "ratings" in chart.lines
    assert "items" not in chart.lines
    assert len({row["cluster"] for row in chart.rows[0]}) == 4


@pytest.mark.slow
def test_clusters_without_genres_are_drawn_empty(by_hand, capfd):
    found = find_clusters(plain_model(by_hand), 3)
    assert drawn(cluster_lifts(found), capfd).rows == [[]]


# --- axes


def test_genres_stand_on_the_axes_where_they_were_found(both, capfd):
    axes = embedding_axes(both, 3)
    chart = drawn(genre_positions(axes), capfd)
    (rows,) = chart.rows
    assert rows == axes.genre_positions.to_dicts()
    first = {row["genre"]: row["position"] for row in rows if row["axis"] == 1}
    order = chart.spec["encoding"]["y"]["sort"]
    assert order == sorted(first, key=first.get)
    low, high = chart.spec["encoding"]["color"]["scale"]["domain"]
    assert -low == high == max(abs(row["position"]) for row in rows)


def test_genres_stand_beside_their_likes(both, capfd):
    axes = embedding_axes(both)
    chart = drawn(genre_similarity(axes), capfd)
    (rows,) = chart.rows
    assert rows == axes.genre_similarity.to_dicts()
    cosine = {(row["genre"], row["other"]): row["cosine"] for row in rows}
    order = chart.spec["encoding"]["x"]["sort"]
    assert order == chart.spec["encoding"]["y"]["sort"]
    assert sorted(order) == sorted({row["genre"] for row in rows})
    for at, here in enumerate(order[:-1]):
        left = order[at + 1 :]
        assert cosine[here, left[0]] == max(cosine[here, other] for other in left)


@pytest.mark.parametrize("genres", [[], ["War"]], ids=["none", "one"])
def test_axes_of_hardly_any_genres_are_drawn(by_hand, genres, capfd):
    axes = embedding_axes(plain_model(by_hand, genres=[genres] * 14), 2)
    assert len(drawn(genre_positions(axes), capfd).rows[0]) == 2 * len(genres)
    assert len(drawn(genre_similarity(axes), capfd).rows[0]) == len(genres)


# --- users


@pytest.mark.parametrize("kind", ["genre", "decade", "popularity"])
def test_a_taste_is_shown_beside_that_of_all(both, kind, capfd):
    mine = genre_profile(both, 7)
    wanted = {row["trait"]: row for row in mine.filter(pl.col("kind") == kind).to_dicts()}
    lines, dots = (chart := drawn(taste_chart(mine, kind), capfd)).rows
    assert {row["trait"]: row for row in lines} == wanted
    assert len(dots) == 2 * len(lines)
    for who, ending in (("this user", ""), ("the average user", "_of_all")):
        assert {
            row["trait"]: (row["share"], row["mean_rating"]) for row in dots if row["who"] == who
        } == {
            name: (row[f"share{ending}"], row[f"mean_rating{ending}"])
            for name, row in wanted.items()
        }
    assert chart.spec["layer"][0]["encoding"]["y"]["sort"] == [row["trait"] for row in lines]
    if kind == "genre":
        larger = [max(row["share"], row["share_of_all"]) for row in lines]
        assert larger == sorted(larger, reverse=True)


def test_a_taste_without_traits_of_a_kind_is_drawn_empty(by_hand, capfd):
    mine = genre_profile(plain_model(by_hand), 1)
    assert drawn(taste_chart(mine, "genre"), capfd).rows[0] == []
    assert len(drawn(taste_chart(mine, "popularity"), capfd).rows[0]) == 4


@pytest.mark.slow
@pytest.mark.parametrize(("head", "most"), [("rating", 10), ("ranking", 4), ("ranking", 1000)])
def test_an_explanation_adds_up_to_the_score(both, head, most, capfd):
    item = both.recommend(7, 1)["item_id"][0]
    parts = both.explain(7, item, head=head)
    chart = drawn(explanation_chart(parts, HOSTILE, head, most), capfd)
    (rows,) = chart.rows
    score = float(both.scores(7, head=head)[both.item_index(item)])
    mean = both.rating_head.mean if head == "rating" else 0.0
    ratings = parts.filter(pl.col("component") == "rating")
    shown, left = ratings.head(most), ratings.slice(most)
    told = sum(row["contribution"] for row in rows) + left["contribution"].sum()
    assert told == pytest.approx(score - mean, abs=1e-5)
    own = [row for row in rows if row["rating"] is not None]
    assert (
        columns(own, "label", "rating", "contribution")
        == shown["title", "rating", "contribution"].rows()
    )
    line = f"And {len(left):,} more ratings, {left['contribution'].sum():+.3f} together."
    assert (line in chart.lines) == (len(left) > 0)
    assert ("more ratings" in chart.lines) == (len(left) > 0)
    assert chart.spec["encoding"]["y"]["sort"] == [row["label"] for row in rows]
    assert chart.title == f"Why {HOSTILE}"


def test_two_rated_movies_of_one_title_have_a_bar_each(both, capfd):
    parts = both.explain(7, both.recommend(7, 1)["item_id"][0], head="rating")
    same = parts.with_columns(title=pl.when(pl.col("component") == "rating").then(pl.lit("Emma")))
    (rows,) = drawn(explanation_chart(same, "It", "rating"), capfd).rows
    assert len({row["label"] for row in rows}) == len(rows)


# --- accuracy


def test_ranking_metrics_of_every_head_are_shown_with_their_intervals(both, parts, capfd):
    table = evaluate_heads(holdout(*parts), {"mine": both})
    chart = drawn(ranking_metrics_chart(table, "hit_rate@10"), capfd)
    (rows,) = chart.rows
    wanted = {
        (row.label, metric.value, metric.ci_low, metric.ci_high)
        for row in table
        for metric in [row.ranking.metrics["hit_rate@10"]]
    }
    assert set(columns(rows, "ranked_by", "value", "ci_low", "ci_high")) == wanted
    assert len(wanted) == 4
    names = chart.spec["layer"][0]["encoding"]["y"]["sort"]
    best_first = sorted(rows, key=lambda row: -row["value"])
    assert names == [row["ranked_by"] for row in best_first]


@pytest.mark.slow
def test_heads_of_several_runs_are_told_apart_by_the_run(both, parts, capfd):
    table = evaluate_heads(holdout(*parts), {"one": both, "two": both})
    (rows,) = drawn(ranking_metrics_chart(table, "ndcg@10"), capfd).rows
    assert {row["ranked_by"] for row in rows} == {
        *("one: ALS (rating head)", "one: ImplicitALS", "one: ALS and ImplicitALS"),
        *("two: ALS (rating head)", "two: ImplicitALS", "two: ALS and ImplicitALS"),
        "popularity (baseline)",
    }
    assert len(rows) == 7


def test_a_run_that_is_called_as_its_estimator_is_named_once(both, parts, capfd):
    names = {"ImplicitALS": both, "mine": both}
    table = evaluate_heads(holdout(*parts), names)
    (rows,) = drawn(ranking_metrics_chart(table, "ndcg@10"), capfd).rows
    shown = {row["ranked_by"] for row in rows}
    assert "ImplicitALS" in shown
    assert {"ImplicitALS: ALS (rating head)", "mine: ImplicitALS"} <= shown


def test_metrics_without_an_interval_are_dots_only(both, parts, capfd):
    table = evaluate_heads(holdout(*parts), {"": both})
    chart = drawn(ranking_metrics_chart(table, "coverage@10"), capfd)
    assert {(row["ci_low"], row["ci_high"]) for row in chart.rows[0]} == {(None, None)}
    assert chart.count("circle") == 4
    assert chart.count("rule mark") == 0


def test_a_metric_that_no_head_has_is_drawn_as_nothing(both, parts, capfd):
    table = [
        replace(
            row, ranking=replace(row.ranking, metrics={"diversity@10": MetricValue(float("nan"))})
        )
        for row in evaluate_heads(holdout(*parts), {"": both})
    ]
    drawn(ranking_metrics_chart(table, "diversity@10"), capfd)


@pytest.mark.slow
@pytest.mark.parametrize("side", ["users", "items"])
@pytest.mark.parametrize(
    ("draw", "metric"), [(rating_by_group, "rmse"), (ranking_by_group, "ranking")]
)
def test_groups_are_shown_with_their_intervals(both, parts, side, draw, metric, capfd):
    groups = evaluate_groups(both, *parts)
    chart = drawn(draw(groups, side), capfd)
    wanted = [
        (group.size, value.value, value.ci_low, value.ci_high)
        for group in groups
        if group.side == side
        for value in [getattr(group, metric)]
        if value
    ]
    (rows,) = chart.rows
    assert columns(rows, "size", "value", "ci_low", "ci_high") == wanted
    assert len({row["group"] for row in rows}) == len(rows)
    assert chart.count("circle") == chart.count("rule mark") == len(rows)
    order = [row["group"] for row in rows]
    assert {tuple(one["encoding"]["x"]["sort"]) for one in chart.spec["layer"]} == {tuple(order)}


def users(min_ratings, max_ratings, rmse, ranking=None):
    return GroupMetrics("users", min_ratings, max_ratings, 2, 2, rmse, ranking)


def test_a_group_without_an_interval_is_a_point_and_one_without_a_metric_is_not_there(capfd):
    groups = [
        users(0, 0, MetricValue(1.5)),
        users(1, 1, None),
        users(2, 1234, MetricValue(1.2, 1.0, 1.4)),
    ]
    chart = drawn(rating_by_group(groups, "users"), capfd)
    assert columns(chart.rows[0], "group", "value", "ci_low") == [
        ("0", 1.5, None),
        ("2-1,234", 1.2, 1.0),
    ]
    assert chart.count("circle") == 2
    assert chart.count("rule mark") == 1


def test_groups_stand_in_their_order_though_some_have_no_interval(capfd):
    groups = [users(0, 0, MetricValue(1.5)), users(2, 9, MetricValue(1.2, 1.0, 1.4))]
    svg = drawn(rating_by_group(groups, "users"), capfd).svg
    assert re.findall(r">(0|2-9)</text>", svg) == ["0", "2-9"]


def test_an_interval_that_is_not_known_is_left_out(capfd):
    groups = [users(1, 1, None, MetricValue(0.5, float("nan"), float("nan")))]
    chart = drawn(ranking_by_group(groups, "users"), capfd)
    assert chart.count("circle") == 1

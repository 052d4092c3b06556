"""Charts of findings: what they show is what was found, and they are drawn without a complaint."""

import inspect
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

pytest.importorskip("altair")
pytest.importorskip("vl_convert")

import matinee
from drawing import drawn
from matinee.analysis import (
    describe,
    embedding_axes,
    find_clusters,
    genre_profile,
    project,
    vector_lengths,
)
from matinee.evaluation import holdout, served
from matinee.experiments import evaluate_heads
from matinee.plots import dataset as data
from matinee.plots import embeddings as clusters
from matinee.plots import embeddings as dimensions
from matinee.plots import embeddings as map
from matinee.plots import evaluation as accuracy  # noqa: A004
from matinee.plots import explanation as user
from matinee.plots.theme import Chart

NOBODY = np.zeros(0, np.int32)
CHARTS = {
    "rating_histogram": lambda f: data.rating_histogram(f.metadata),
    "ratings_histogram": lambda f: data.ratings_histogram(f.metadata, "users"),
    "long_tail": lambda f: data.long_tail(f.metadata),
    "activity_over_time": lambda f: data.activity_over_time(f.metadata),
    "genres_by_count": lambda f: data.genres_by_count(f.metadata),
    "genres_by_rating": lambda f: data.genres_by_rating(f.metadata),
    "filled_matrix": lambda f: data.filled_matrix(f.metadata),
    "silhouettes": lambda f: clusters.silhouettes(f.clusters),
    "cluster_lifts": lambda f: clusters.cluster_lifts(f.clusters),
    "genre_positions": lambda f: dimensions.genre_positions(f.dimensions),
    "genre_likeness": lambda f: dimensions.genre_likeness(f.dimensions),
    "taste_chart": lambda f: user.taste_chart(f.genre_profile),
    "explanation_chart": lambda f: user.explanation_chart(f.parts, "It", "ranking"),
    "ranking_metrics_chart": lambda f: accuracy.ranking_metrics_chart(f.table, "ndcg@10"),
    "rating_by_group": lambda f: accuracy.rating_by_group(f.served, "users"),
    "ranking_by_group": lambda f: accuracy.ranking_by_group(f.served, "items"),
    "item_map": lambda f: map.item_map(f.layout),
    "user_on_map": lambda f: map.user_on_map(f.layout, f.watched, f.listed),
    "norms": lambda f: map.norms(f.lengths, "rating"),
}


@pytest.fixture(scope="module")
def found(generated, parts, both):
    """Findings of every kind."""
    groups = find_clusters(both)
    listed = both.recommend(7, 5)
    return SimpleNamespace(
        summary=describe(generated[0]),
        clusters=groups,
        dimensions=embedding_axes(both, 3),
        genre_profile=genre_profile(both, 7),
        parts=both.explain(7, listed["item_id"][0], head="ranking"),
        table=evaluate_heads(holdout(*parts), {"": both}),
        served=served(both, *parts),
        layout=project(both, "pca", clusters=groups),
        lengths=vector_lengths(both, "rating"),
        watched=both.user_profile(7).items,
        listed=both.catalog.ids.codes(listed["item_id"].to_list()),
    )


def columns(rows, *names):
    return [tuple(row[name] for name in names) for row in rows]


@pytest.mark.parametrize("name", CHARTS)
def test_every_chart_is_drawn_with_a_title_and_named_axes(found, name, capfd):
    chart = drawn(CHARTS[name](found), capfd)
    assert chart.rows[0]
    assert chart.title in chart.svg
    assert (chart.spec["width"], chart.spec["height"]) >= (300, 60)


def test_these_are_all_the_charts():
    modules = (accuracy, clusters, data, dimensions, map, user)
    drawing = [
        name
        for module in modules
        for name, made in inspect.getmembers(module, inspect.isfunction)
        if made.__module__ == module.__name__
        and made.__annotations__["return"] == Chart
        and name[0] != "_"
    ]
    assert sorted(drawing) == sorted(CHARTS)


def test_a_dark_page_has_light_letters(found, capfd):
    light, dark = (
        drawn(data.rating_histogram(found.metadata), capfd, dark=d) for d in (False, True)
    )
    assert light.spec == dark.spec
    assert light.svg != dark.svg
    assert 'fill="#ffffff"' in light.svg
    assert 'fill="#181c24"' in dark.svg


# --- of data


def test_values_are_shown_with_their_share(found, generated, capfd):
    (rows,) = drawn(data.rating_histogram(found.metadata), capfd).rows
    values = generated[0].ratings.values.tolist()
    assert columns(rows, "rating", "ratings") == [(s, values.count(s)) for s in sorted(set(values))]
    assert [row["share"] * len(values) for row in rows] == pytest.approx(
        [row["ratings"] for row in rows]
    )


@pytest.mark.parametrize("of", ["users", "items"])
def test_counts_of_ratings_stand_on_a_logarithmic_axis_with_their_median(
    found, generated, of, capfd
):
    ratings = generated[0].ratings
    counts = ratings.user_counts if of == "users" else ratings.item_counts
    counts = sorted(n for n in counts.tolist() if n)
    chart = drawn(data.ratings_histogram(found.metadata, of), capfd)
    bars, middle = chart.rows
    assert [row["members"] for row in bars] == [
        sum(row["from"] <= n < row["end"] for n in counts) for row in bars
    ]
    assert sum(row["members"] for row in bars) == len(counts)
    (median,) = middle[0].values()
    assert sum(n < median for n in counts) <= len(counts) / 2 >= sum(n > median for n in counts)
    assert f"most {counts[-1]:,}" in chart.lines
    assert chart.spec["layer"][0]["encoding"]["x"]["scale"] == {"type": "log"}


def read(users, items, values=3.0, **columns):
    table = pl.DataFrame({"user": users, "item": items}).with_columns(
        values=pl.lit(values), **{name: pl.Series(levels) for name, levels in columns.items()}
    )
    return describe(matinee.read(table, scale=(1, 5, 1)))


def test_the_long_tail_says_what_the_most_rated_tenth_has(found, capfd):
    who, what = zip(*((u, i) for i in range(10) for u in range(10 - i)), strict=True)
    chart = drawn(data.long_tail(read(who, what)), capfd)
    assert f"tenth of the movies has {10 / 55:.0%} of the ratings" in chart.lines
    curve, equal = chart.rows
    assert curve[-1] == pytest.approx({"items": 1, "ratings": 1})
    for row in curve:
        best = sum(range(11)[::-1][: round(10 * row["items"])])
        assert row["ratings"] == pytest.approx(best / 55)
    assert columns(equal, "items", "ratings") == [(0, 0), (1, 1)]


DAY = 86_400


@pytest.mark.parametrize(
    ("times", "period"),
    [
        ([0], "week"),
        ([0, 9 * DAY, 30 * DAY], "week"),
        ([0, 2000 * DAY], "month"),
        ([0, 9000 * DAY], "year"),
    ],
)
def test_activity_names_its_period(times, period, capfd):
    n = len(times)
    chart = drawn(data.activity_over_time(read([1] * n, range(n), timestamp=times)), capfd)
    assert chart.spec["encoding"]["x"]["title"] == f"time, by {period}"
    assert chart.spec["encoding"]["y"]["title"] == f"ratings a {period}"
    (rows,) = chart.rows
    assert sum(row["ratings"] for row in rows) == n
    assert all(isinstance(row["from"], str) for row in rows)


def test_genres_are_counted_and_sorted(found, generated, capfd):
    catalog, ratings = generated[0].catalog, generated[0].ratings
    given = {}
    for code, values in zip(ratings.item.tolist(), ratings.values.tolist(), strict=True):
        for genre in catalog.frame["genres"][code]:
            given.setdefault(genre, []).append(values)
    counted = drawn(data.genres_by_count(found.metadata), capfd)
    (rows,) = counted.rows
    assert {row["genre"]: row["ratings"] for row in rows} == {g: len(s) for g, s in given.items()}
    order = counted.spec["encoding"]["y"]["sort"]
    assert [len(given[genre]) for genre in order] == sorted(map_len(given), reverse=True)
    min_rating = drawn(data.genres_by_rating(found.metadata), capfd)
    (rows,) = min_rating.rows
    means = {genre: sum(values) / len(values) for genre, values in given.items()}
    assert {row["genre"]: row["mean_rating"] for row in rows} == pytest.approx(means)
    everything = float(ratings.values.mean(dtype=np.float64))
    assert [row["everything"] for row in rows] == pytest.approx([everything] * len(rows))
    order = min_rating.spec["layer"][1]["encoding"]["y"]["sort"]
    assert order == sorted(means, key=means.get, reverse=True)


def map_len(lists):
    return [len(one) for one in lists.values()]


def test_the_matrix_shows_every_block_and_how_much_is_empty(found, generated, capfd):
    chart = drawn(data.filled_matrix(found.metadata), capfd)
    (rows,) = chart.rows
    assert rows == found.metadata.filled_parts.to_dicts()
    assert len(rows) == 40 * 40
    ratings, catalog = generated[0].ratings, generated[0].catalog
    cells = int((ratings.user_counts > 0).sum()) * len(catalog)
    assert chart.title == f"{1 - len(ratings) / cells:.1%} of the matrix is empty"


def test_all_charts_that_the_data_allow(found, capfd):
    titles = [drawn(chart, capfd).title for chart in data.charts_of_data(found.metadata).values()]
    assert len(titles) == len(set(titles)) == 8
    bare = read([1, 2, 2], [1, 1, 2])
    titles = [drawn(chart, capfd).title for chart in data.charts_of_data(bare).values()]
    assert len(titles) == 5
    assert not {title for title in titles if "Genre" in title or "time" in title}


def with_genres(**interactions):
    """A description of a data set with these genres: name to (ratings, mean stars)."""
    rows = [(name, 2, *how) for name, how in interactions.items()]
    types = {"genre": pl.String, "items": int, "ratings": int, "mean_rating": float}
    return replace(read([1, 2, 2], [1, 1, 2]), genres=pl.DataFrame(rows, types, orient="row"))


@pytest.mark.parametrize("rated", [{}, {"Noir": (0, None)}], ids=["alone", "beside-unrated"])
def test_a_single_genre_with_values_is_drawn(interactions, capfd):
    summary = with_genres(War=(3, 3.0), **interactions)
    assert columns(drawn(data.genres_by_rating(summary), capfd).rows[0], "genre") == [("War",)]
    assert len(drawn(data.genres_by_count(summary), capfd).rows[0]) == 1 + len(interactions)


def test_genres_that_nobody_rated_have_no_chart_of_values(capfd):
    for chart in data.charts_of_data(with_genres(Noir=(0, None))).values():
        assert drawn(chart, capfd).rows[0]

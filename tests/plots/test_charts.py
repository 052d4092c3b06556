"""Every chart is drawn without a complaint; charts of a dataset show what was found."""

import inspect
import re
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
    embedding_norms,
    find_clusters,
    genre_profile,
    project,
)
from matinee.errors import SettingError
from matinee.evaluation import evaluate_groups, holdout
from matinee.experiments import evaluate_heads
from matinee.models import EASE, ImplicitALS
from matinee.plots import charts_of_data, dataset, embeddings, evaluation, explanation
from matinee.plots.theme import Chart
from unrated import all_ones, as_interactions

CHARTS = {
    "weight_histogram": lambda f: dataset.weight_histogram(f.weights),
    "rating_histogram": lambda f: dataset.rating_histogram(f.summary),
    "activity_histogram": lambda f: dataset.activity_histogram(f.summary, "users"),
    "long_tail": lambda f: dataset.long_tail(f.summary),
    "activity_over_time": lambda f: dataset.activity_over_time(f.summary),
    "genres_by_count": lambda f: dataset.genres_by_count(f.summary),
    "genres_by_rating": lambda f: dataset.genres_by_rating(f.summary),
    "density_heatmap": lambda f: dataset.density_heatmap(f.summary),
    "silhouettes": lambda f: embeddings.silhouettes(f.clusters),
    "cluster_lifts": lambda f: embeddings.cluster_lifts(f.clusters),
    "genre_positions": lambda f: embeddings.genre_positions(f.axes),
    "genre_similarity": lambda f: embeddings.genre_similarity(f.axes),
    "taste_chart": lambda f: explanation.taste_chart(f.tastes),
    "explanation_chart": lambda f: explanation.explanation_chart(f.explanation, "It", "ranking"),
    "ranking_metrics_chart": lambda f: evaluation.ranking_metrics_chart(f.table, "ndcg@10"),
    "rating_by_group": lambda f: evaluation.rating_by_group(f.groups, "users"),
    "ranking_by_group": lambda f: evaluation.ranking_by_group(f.groups, "items"),
    "item_map": lambda f: embeddings.item_map(f.projection),
    "user_on_map": lambda f: embeddings.user_on_map(f.projection, f.rated, f.recommended),
    "norms": lambda f: embeddings.norms(f.norms, "rating"),
}


@pytest.fixture(scope="module")
def found(generated, unrated, parts, both):
    """Findings of every kind."""
    clusters = find_clusters(both)
    recommended = both.recommend(7, 5)
    return SimpleNamespace(
        summary=describe(generated[0]),
        weights=describe(unrated),
        clusters=clusters,
        axes=embedding_axes(both, 3),
        tastes=genre_profile(both, 7),
        explanation=both.explain(7, recommended["item_id"][0], head="ranking"),
        table=evaluate_heads(holdout(*parts), {"": both}),
        groups=evaluate_groups(both, *parts),
        projection=project(both, "pca", clusters=clusters),
        norms=embedding_norms(both, "rating"),
        rated=both.user_profile(7).items,
        recommended=both.catalog.ids.codes(recommended["item_id"].to_list()),
    )


def columns(rows, *names):
    return [tuple(row[name] for name in names) for row in rows]


@pytest.mark.slow
@pytest.mark.parametrize("name", CHARTS)
def test_every_chart_is_drawn_with_a_title_and_named_axes(found, name, capfd):
    chart = drawn(CHARTS[name](found), capfd)
    assert chart.rows[0]
    assert chart.title in chart.svg
    assert (chart.spec["width"], chart.spec["height"]) >= (300, 60)


def test_these_are_all_the_charts():
    modules = (dataset, embeddings, evaluation, explanation)
    drawing = [
        name
        for module in modules
        for name, made in inspect.getmembers(module, inspect.isfunction)
        if made.__module__ == module.__name__
        and made.__annotations__["return"] == Chart
        and name[0] != "_"
    ]
    assert sorted(drawing) == sorted(CHARTS)


@pytest.mark.slow
def test_a_dark_page_has_light_letters(found, capfd):
    light, dark = (
        drawn(dataset.rating_histogram(found.summary), capfd, dark=d) for d in (False, True)
    )
    assert light.spec == dark.spec
    assert light.svg != dark.svg
    assert 'fill="#ffffff"' in light.svg
    assert 'fill="#181c24"' in dark.svg


# --- of data


def test_values_are_shown_with_their_share(found, generated, capfd):
    (rows,) = drawn(dataset.rating_histogram(found.summary), capfd).rows
    values = generated[0].ratings.values.tolist()
    assert columns(rows, "rating", "n_ratings") == [
        (s, values.count(s)) for s in sorted(set(values))
    ]
    assert [row["share"] * len(values) for row in rows] == pytest.approx(
        [row["n_ratings"] for row in rows]
    )


@pytest.mark.parametrize("of", ["users", "items"])
def test_counts_of_ratings_stand_on_a_logarithmic_axis_with_their_median(
    found, generated, of, capfd
):
    ratings = generated[0].ratings
    counts = ratings.user_counts if of == "users" else ratings.item_counts
    counts = sorted(n for n in counts.tolist() if n)
    chart = drawn(dataset.activity_histogram(found.summary, of), capfd)
    bars, middle = chart.rows
    assert [row["members"] for row in bars] == [
        sum(row["low"] <= n < row["end"] for n in counts) for row in bars
    ]
    assert sum(row["members"] for row in bars) == len(counts)
    (median,) = middle[0].values()
    assert sum(n < median for n in counts) <= len(counts) / 2 >= sum(n > median for n in counts)
    assert f"maximum {counts[-1]:,}" in chart.lines
    assert chart.spec["layer"][0]["encoding"]["x"]["scale"] == {"type": "log"}


def read(users, items, values=3.0, **columns):
    table = pl.DataFrame({"user": users, "item": items}).with_columns(
        rating=pl.lit(values), **{name: pl.Series(levels) for name, levels in columns.items()}
    )
    return describe(matinee.read(table, scale=(1, 5, 1)))


@pytest.mark.slow
def test_the_long_tail_says_what_the_most_rated_tenth_has(found, capfd):
    who, what = zip(*((u, i) for i in range(10) for u in range(10 - i)), strict=True)
    chart = drawn(dataset.long_tail(read(who, what)), capfd)
    assert f"10% of the items have {10 / 55:.0%} of the ratings" in chart.lines
    curve, equal = chart.rows
    assert curve[-1] == pytest.approx({"item_share": 1, "rating_share": 1})
    for row in curve:
        best = sum(range(11)[::-1][: round(10 * row["item_share"])])
        assert row["rating_share"] == pytest.approx(best / 55)
    assert columns(equal, "item_share", "rating_share") == [(0, 0), (1, 1)]


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
    chart = drawn(dataset.activity_over_time(read([1] * n, range(n), timestamp=times)), capfd)
    assert chart.spec["encoding"]["x"]["title"] == f"{period} of rating"
    assert chart.spec["encoding"]["y"]["title"] == f"ratings per {period}"
    (rows,) = chart.rows
    assert sum(row["n_ratings"] for row in rows) == n
    assert all(isinstance(row["start"], str) for row in rows)


@pytest.mark.slow
def test_genres_are_counted_and_sorted(found, generated, capfd):
    catalog, ratings = generated[0].catalog, generated[0].ratings
    given = {}
    for code, values in zip(ratings.item.tolist(), ratings.values.tolist(), strict=True):
        for genre in catalog.frame["genres"][code]:
            given.setdefault(genre, []).append(values)
    counted = drawn(dataset.genres_by_count(found.summary), capfd)
    (rows,) = counted.rows
    assert {row["genre"]: row["n_ratings"] for row in rows} == {g: len(s) for g, s in given.items()}
    order = counted.spec["encoding"]["y"]["sort"]
    assert [len(given[genre]) for genre in order] == sorted(map_len(given), reverse=True)
    rated = drawn(dataset.genres_by_rating(found.summary), capfd)
    (rows,) = rated.rows
    means = {genre: sum(values) / len(values) for genre, values in given.items()}
    assert {row["genre"]: row["mean_rating"] for row in rows} == pytest.approx(means)
    everything = float(ratings.values.mean(dtype=np.float64))
    assert [row["overall"] for row in rows] == pytest.approx([everything] * len(rows))
    order = rated.spec["layer"][1]["encoding"]["y"]["sort"]
    assert order == sorted(means, key=means.get, reverse=True)


def map_len(lists):
    return [len(one) for one in lists.values()]


@pytest.mark.slow
def test_the_matrix_shows_every_block_and_how_much_is_empty(found, generated, capfd):
    chart = drawn(dataset.density_heatmap(found.summary), capfd)
    (rows,) = chart.rows
    assert rows == found.summary.density_blocks.to_dicts()
    assert len(rows) == 40 * 40
    ratings, catalog = generated[0].ratings, generated[0].catalog
    cells = int((ratings.user_counts > 0).sum()) * len(catalog)
    assert chart.title == f"{1 - len(ratings) / cells:.1%} of the matrix is empty"


@pytest.mark.slow
def test_all_charts_that_the_data_allow(found, capfd):
    titles = [drawn(chart, capfd).title for chart in dataset.charts_of_data(found.summary).values()]
    assert len(titles) == len(set(titles)) == 8
    bare = read([1, 2, 2], [1, 1, 2])
    titles = [drawn(chart, capfd).title for chart in dataset.charts_of_data(bare).values()]
    assert len(titles) == 5
    assert not {title for title in titles if "genre" in title or "time" in title}


def with_genres(**genres):
    """A summary of a dataset with these genres: name to (ratings, mean rating)."""
    rows = [(name, 2, *how) for name, how in genres.items()]
    types = {"genre": pl.String, "n_items": int, "n_ratings": int, "mean_rating": float}
    return replace(read([1, 2, 2], [1, 1, 2]), genres=pl.DataFrame(rows, types, orient="row"))


@pytest.mark.slow
@pytest.mark.parametrize("unrated", [{}, {"Noir": (0, None)}], ids=["alone", "beside-unrated"])
def test_a_single_genre_with_ratings_is_drawn(unrated, capfd):
    summary = with_genres(War=(3, 3.0), **unrated)
    assert columns(drawn(dataset.genres_by_rating(summary), capfd).rows[0], "genre") == [("War",)]
    assert len(drawn(dataset.genres_by_count(summary), capfd).rows[0]) == 1 + len(unrated)


@pytest.mark.slow
def test_genres_that_nobody_rated_have_no_chart_of_values(capfd):
    for chart in dataset.charts_of_data(with_genres(Noir=(0, None))).values():
        assert drawn(chart, capfd).rows[0]


# --- of interactions without ratings


@pytest.fixture(scope="module")
def without_ratings(unrated):
    """The same findings for them."""
    train, test = unrated.split("random", test_fraction=0.1, seed=0)
    model = ImplicitALS(factors=4, iterations=2).fit(train)
    clusters = find_clusters(model, of="users")
    recommended = model.recommend(7, 5)
    return SimpleNamespace(
        summary=describe(unrated),
        weights=describe(unrated),
        clusters=clusters,
        axes=embedding_axes(model, 3),
        tastes=genre_profile(model, 7),
        explanation=EASE().fit(train).explain(7, recommended["item_id"][0]),
        table=evaluate_heads(holdout(train, test), {"": model}),
        groups=evaluate_groups(model, train, test),
        projection=project(model, "pca"),
        norms=embedding_norms(model, "ranking"),
        rated=model.user_profile(7).items,
        recommended=model.catalog.ids.codes(recommended["item_id"].to_list()),
    )


OF_INTERACTIONS = {
    **CHARTS,
    "taste_chart": lambda f: explanation.taste_chart(f.tastes, unit="interaction"),
    "explanation_chart": lambda f: explanation.explanation_chart(
        f.explanation, "It", "ranking", 3, unit="interaction"
    ),
    "ranking_by_group": lambda f: evaluation.ranking_by_group(
        f.groups, "items", unit="interaction"
    ),
    "norms": lambda f: embeddings.norms(f.norms, "ranking", "interaction"),
}
OF_RATINGS = {"rating_histogram", "genres_by_rating", "rating_by_group"}


def words(part):
    """All that a chart says: titles, labels, tooltips, names."""
    if isinstance(part, dict):
        for key, value in part.items():
            if key not in ("field", "x", "y", "datasets", "calculate", "filter", "sort"):
                yield from words(value)
    elif isinstance(part, list):
        for value in part:
            yield from words(value)
    elif isinstance(part, str) and not part.endswith((":Q", ":N", ":O")):
        yield part


@pytest.mark.thorough
@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(OF_INTERACTIONS.keys() - OF_RATINGS))
def test_charts_of_interactions_do_not_speak_of_ratings(without_ratings, name, capfd):
    chart = drawn(OF_INTERACTIONS[name](without_ratings), capfd)
    assert chart.rows[0]
    assert not [text for text in words(chart.spec) if re.search(r"\brat(ed|ings?)\b", text)]


def test_which_charts_a_data_set_has(generated, unrated):
    every = {"users", "items", "long tail", "density", "time", "genres"}
    of_ratings = charts_of_data(describe(generated[0])).keys()
    assert of_ratings == every | {"ratings", "mean ratings"}
    assert charts_of_data(describe(unrated)).keys() == every | {"weights"}
    once = as_interactions(unrated, np.ones(len(unrated)))
    assert charts_of_data(describe(once)).keys() == every
    assert charts_of_data(describe(all_ones(unrated))).keys() == every | {"ratings"}


def test_how_often_is_shown_in_order(without_ratings, capfd):
    summary = without_ratings.summary
    chart = drawn(dataset.weight_histogram(summary), capfd)
    (rows,) = chart.rows
    assert [int(row["weight"]) for row in rows] == sorted(int(row["weight"]) for row in rows)
    assert sum(row["n_ratings"] for row in rows) == summary.ratings
    assert chart.title == "Times per user and movie"
    assert chart.spec["encoding"]["x"]["sort"] == [row["weight"] for row in rows]


def test_a_map_of_interactions_has_no_colour_of_ratings(without_ratings):
    with pytest.raises(SettingError, match="one of 'genre', 'cluster', 'year', got 'rating'"):
        embeddings.item_map(without_ratings.projection, "rating")

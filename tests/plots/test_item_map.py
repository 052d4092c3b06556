"""The map of items as a chart: its data, its titles, and what one can do with it."""

import json
import math
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from itertools import combinations

import numpy as np
import polars as pl
import pytest

pytest.importorskip("altair")
pytest.importorskip("vl_convert")

from drawing import drawn
from matinee.analysis import embedding_norms, find_clusters, project
from matinee.errors import SettingError
from matinee.plots import MAP_COLORS, item_map
from matinee.plots.embeddings import norms, user_on_map
from matinee.plots.theme import GREY
from matinee.report import save_chart

HOSTILE = "</script><script>alert(1)</script><b>&amp; \"quoted\" {{x}} datum['x']"
NO_ITEMS = np.zeros(0, np.int32)


@pytest.fixture(scope="module")
def layout(both):
    return project(both, "pca", clusters=find_clusters(both, 5))


@pytest.fixture(scope="module")
def laid_out(by_hand):
    """Projects items set by hand, with random factors."""

    def of(items, **how):
        item_factors = np.random.default_rng(1).normal(size=(items, 4))
        model = by_hand(item_factors, **how)
        return project(model, "pca", clusters=find_clusters(model, 3))

    return of


def params(chart):
    return {one["name"]: one for one in chart.spec["params"]}


def conditions(chart):
    """(mark, test) of each layer that lets opacity say something."""
    found = []
    for layer in chart.spec["layer"]:
        opacity = layer["encoding"].get("opacity", {})
        if "condition" in opacity:
            condition = opacity["condition"]
            several = condition if isinstance(condition, list) else [condition]
            found.append((layer["mark"]["type"], " ".join(one["test"] for one in several)))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("color", MAP_COLORS)
def test_a_map_shows_every_movie_as_it_was_laid_out(layout, color, capfd):
    chart = drawn(item_map(layout, color), capfd)
    (rows,) = chart.rows
    points = layout.points.to_dicts()
    for row, point in zip(rows, points, strict=True):
        assert row.pop("label") in (0, 1, 2)
        assert row.pop("genre") in (point["genre"], "other")
        assert row == {key: point[key] for key in row}
    assert set(rows[0]) >= {
        "title",
        "genres",
        "year",
        "mean_rating",
        "n_ratings",
        "cluster",
        "x",
        "y",
    }
    assert chart.count("circle") == len(points)
    encoding = chart.spec["layer"][0]["encoding"]
    coloured = encoding["color"]
    if color == "year":  # grey where there is none
        coloured = coloured["condition"]
    assert coloured["field"] == ("mean_rating" if color == "rating" else color)
    assert {one["field"] for one in encoding["tooltip"]} >= {"title", "neighbours"}
    assert chart.title == f"Map of {len(points)} movies"
    assert MAP_COLORS[color] in chart.lines
    assert layout.embeddings.left_out in chart.lines


def test_clusters_that_were_not_found_are_no_colour_and_the_others_do_without(both, capfd):
    bare = project(both, "pca")
    assert "cluster" not in bare.points.columns
    with pytest.raises(SettingError, match="There are no clusters: use project"):
        item_map(bare, "cluster")
    chart = drawn(item_map(bare), capfd)
    assert "cluster" not in {one["field"] for one in chart.spec["layer"][0]["encoding"]["tooltip"]}


def test_another_colour_is_refused(layout):
    with pytest.raises(SettingError, match="'genre', 'cluster', 'year', 'rating', got 'mood'"):
        item_map(layout, "mood")


@pytest.mark.slow
@pytest.mark.parametrize("color", MAP_COLORS)
def test_one_can_search_zoom_and_pick_from_the_legend(layout, color, capfd):
    chart = drawn(item_map(layout, color), capfd)
    found = params(chart)
    picking = color in ("genre", "cluster")
    assert set(found) == {"search", "zoom"} | ({"pick"} if picking else set())
    assert found["search"]["value"] == ""
    assert found["search"]["bind"]["input"] == "search"
    assert found["zoom"]["bind"] == "scales"
    tests = conditions(chart)
    assert "search" in dict(tests)["circle"]
    assert "datum.title" in dict(tests)["circle"]
    for _, test in tests:
        assert (f"pick.{color}" in test) == picking
    if picking:
        assert found["pick"]["bind"] == "legend"
        assert found["pick"]["select"]["fields"] == [color]
    assert ("datum.genres" in dict(tests)["circle"]) == (color == "genre")


@pytest.mark.slow
def test_every_point_has_room_within_the_map(layout, capfd):
    chart = drawn(item_map(layout), capfd)
    encoding = chart.spec["layer"][0]["encoding"]
    for axis in ("x", "y"):
        low, high = encoding[axis]["scale"]["domain"]
        places = layout.points[axis]
        assert low < places.min() <= places.max() < high
        assert high - low < 1.3 * (places.max() - places.min())


def covers(one, other, more=1.0):
    """Whether two titles, 1.35 standard deviations wide and 0.18 high, would touch."""
    away = abs(one["x"] - other["x"]), abs(one["y"] - other["y"])
    return away[0] <= 1.35 * more and away[1] <= 0.18 * more


@pytest.mark.slow
def test_titles_on_the_map_are_the_best_known_that_do_not_cover_one_another(layout, capfd):
    (rows,) = drawn(item_map(layout), capfd).rows
    named = [row for row in rows if row["label"]]
    assert 5 < len(named) <= 24
    assert rows[0] in named
    assert not any(covers(one, other) for one, other in combinations(named, 2))
    filled_up = [rows.index(row) for row in named if row["label"] == 2]  # after those of any map
    last = filled_up[-1] if len(named) == 24 else len(rows)
    for row in rows[:last]:
        assert row in named or any(covers(row, other) for other in named)


@pytest.mark.slow
def test_fewer_titles_on_a_small_map_are_further_apart(layout, capfd):
    (rows,) = drawn(item_map(layout), capfd).rows
    few = [row for row in rows if row["label"] == 1]
    assert 1 <= len(few) < sum(row["label"] > 0 for row in rows)
    assert not any(covers(one, other, 2) for one, other in combinations(few, 2))


@pytest.mark.slow
def test_a_title_stands_alone_where_all_movies_are_in_one_place(layout, capfd):
    points = layout.points.with_columns(x=pl.col("x") / 100, y=pl.col("y") / 100)
    (rows,) = drawn(item_map(replace(layout, points=points)), capfd).rows
    assert [row["label"] for row in rows] == [1] + [0] * (len(rows) - 1)


@pytest.mark.slow
def test_genres_have_colours_by_how_many_have_them(layout, capfd):
    scale = drawn(item_map(layout), capfd).spec["layer"][0]["encoding"]["color"]["scale"]
    counts = Counter(layout.points["genre"])
    assert len(counts) > 11
    *named, last = scale["domain"]
    assert last == "other"
    by_size = [counts[genre] for genre in named]
    assert by_size == sorted(counts.values(), reverse=True)[:10]
    assert len(set(scale["range"])) == 11


@pytest.mark.slow
def test_clusters_have_colours_in_their_order(layout, capfd):
    many = replace(
        layout,
        points=layout.points.with_columns(
            cluster=pl.Series([f"{at % 12 + 1} of them" for at in range(len(layout.points))])
        ),
    )
    color = drawn(item_map(many, "cluster"), capfd).spec["layer"][0]["encoding"]["color"]
    assert color["scale"]["domain"] == [f"{at} of them" for at in range(1, 13)]


@pytest.mark.slow
def test_genres_beyond_the_colours_are_others(layout, capfd):
    genres = [f"Genre {min(at // 4, 23)}" for at in range(len(layout.points))]
    counts = Counter(genres)
    assert len(counts) == 24
    many = replace(layout, points=layout.points.with_columns(genre=pl.Series(genres)))
    chart = drawn(item_map(many), capfd)
    (rows,) = chart.rows
    color = chart.spec["layer"][0]["encoding"]["color"]
    domain = color["scale"]["domain"]
    shown = Counter(row["genre"] for row in rows)
    assert set(shown) == set(domain)
    assert len(domain) == 11
    assert domain[-1] == "other"
    assert color["scale"]["range"][-1] == GREY
    assert sum(shown.values()) == len(genres)
    kept = set(shown) - {"other"}
    assert {genre: shown[genre] for genre in kept} == {genre: counts[genre] for genre in kept}
    assert min(counts[genre] for genre in kept) >= max(counts[g] for g in counts.keys() - kept)


@pytest.mark.slow
@pytest.mark.parametrize("genres", [None, ["War"]], ids=["none", "one"])
def test_movies_without_years_and_of_hardly_any_genre_are_on_the_map(laid_out, genres, capfd):
    layout = laid_out(14, genres=genres and [genres] * 14)
    for color in ("genre", "cluster", "rating"):
        assert drawn(item_map(layout, color), capfd).count("circle") == 14
    (rows,) = drawn(item_map(layout), capfd).rows
    assert {row["genre"] for row in rows} == {"War" if genres else "no genre"}
    assert {row["year"] for row in rows} == {None}


@pytest.mark.slow
def test_movies_without_a_year_stay_on_the_map_of_years(laid_out, capfd):
    layout = laid_out(14, years=[1980, None] * 7)
    assert drawn(item_map(layout, "year"), capfd).count("circle") == 14


@pytest.mark.slow
def test_a_map_of_years_without_any_is_drawn(laid_out, capfd):
    drawn(item_map(laid_out(14), "year"), capfd)


# --- text that nobody checked


@pytest.mark.slow
def test_hostile_titles_and_genres_stay_data(laid_out, capfd):
    titles = [f"{HOSTILE} {at}" for at in range(14)]
    layout = laid_out(14, titles=titles, genres=[[HOSTILE]] * 14)
    chart = drawn(item_map(layout), capfd)
    (rows,) = chart.rows
    assert {row["title"] for row in rows} == set(titles)
    assert {row["genre"] for row in rows} == {HOSTILE}
    assert "<script" not in chart.svg
    assert "<b>" not in chart.svg
    text = json.dumps([*params(chart).values(), *conditions(chart)])
    assert "alert" not in text  # titles are no part of an expression


class Scripts(HTMLParser):
    def __init__(self):
        super().__init__()
        self.texts, self.inside = [], False

    def handle_starttag(self, tag, attrs):
        self.inside = tag == "script"
        if self.inside:
            self.texts.append("")

    def handle_data(self, text):
        if self.inside:
            self.texts[-1] += text

    def handle_endtag(self, tag):
        self.inside = False


@pytest.mark.slow
def test_a_saved_page_runs_no_script_of_a_title(laid_out, tmp_path):
    layout = laid_out(14, titles=[f"{HOSTILE} {at}" for at in range(14)])
    path = save_chart(item_map(layout), tmp_path / "map.html")
    page = Scripts()
    page.feed(path.read_text(encoding="utf-8"))
    assert page.texts
    assert not [text for text in page.texts if text.strip() == "alert(1)"]


# --- one user's place, and lengths


def test_a_user_is_shown_by_what_they_rated_and_what_is_recommended(both, layout, capfd):
    rated = both.user_profile(7).items
    recommended = both.catalog.ids.codes(both.recommend(7, 8)["item_id"].to_list())
    chart = drawn(user_on_map(layout, rated, recommended), capfd)
    everything, own = chart.rows
    assert len(everything) == len(layout.points)
    on_map = set(layout.embeddings.indices.tolist())
    titles = both.catalog.titles
    for group, codes in (("rated", rated), ("recommended", recommended)):
        shown = [row["title"] for row in own if row["group"] == group]
        assert sorted(shown) == sorted(titles[code] for code in codes.tolist() if code in on_map)
        assert shown
    place = {row["title"]: (row["x"], row["y"]) for row in layout.points.to_dicts()}
    assert all(place[row["title"]] == (row["x"], row["y"]) for row in own)
    assert chart.count("circle") == len(everything) + len(own)


def test_what_is_not_on_the_map_is_left_out(both, layout, capfd):
    off = np.setdiff1d(np.arange(len(both.catalog)), layout.embeddings.indices).astype(np.int32)
    assert len(off)
    on = layout.embeddings.indices[:2]
    for rated, recommended, groups in (
        (on, off, ["rated"] * 2),
        (off, off, []),
        (NO_ITEMS, NO_ITEMS, []),
    ):
        chart = drawn(user_on_map(layout, rated, recommended), capfd)
        assert [row["group"] for row in chart.rows[1]] == groups
        assert chart.count("circle") == len(layout.points) + len(groups)


def test_norms_stand_beside_popularity_with_their_rank_correlation(both, capfd):
    table = embedding_norms(both, "ranking")
    chart = drawn(norms(table, "ranking"), capfd)
    rows, means = chart.rows
    assert rows == table.to_dicts()
    steps = {}
    for row in rows:
        steps.setdefault(math.floor(math.log(row["n_ratings"]) / math.log(1.5)), []).append(row)
    for mean, step in zip(means, [steps[at] for at in sorted(steps)], strict=True):
        for name in ("n_ratings", "norm"):
            assert mean[name] == pytest.approx(sum(row[name] for row in step) / len(step))
    ranks = [table[name].rank().to_numpy() for name in ("n_ratings", "norm")]
    assert f"Rank correlation {np.corrcoef(*ranks)[0, 1]:.2f}." in chart.lines
    assert "ranking factors" in chart.title
    assert chart.spec["layer"][0]["encoding"]["x"]["scale"]["type"] == "log"


def test_norms_of_three_items_are_drawn(capfd):
    few = pl.DataFrame({"title": list("abc"), "n_ratings": [10, 30, 20], "norm": [0.1, 0.3, 0.2]})
    chart = drawn(norms(few, "rating"), capfd)
    assert chart.count("circle") == 3
    assert "Rank correlation 1.00" in chart.lines


def test_movies_of_one_popularity_have_no_rank_correlation(capfd):
    same = pl.DataFrame({"title": list("abc"), "n_ratings": [12] * 3, "norm": [0.1, 0.3, 0.2]})
    assert "nan" not in drawn(norms(same, "rating"), capfd).lines

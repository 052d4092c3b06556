"""Summaries of a dataset against counting by hand: activity, times, density."""

import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

import matinee
from matinee.analysis import describe, top_rated, typical_user
from matinee.models import Popularity
from unrated import as_interactions

DAY = 86_400


def table(pairs, times=None):
    """A data set of these (user, movie) pairs."""
    users, items = zip(*pairs, strict=True)
    frame = pl.DataFrame({"user": users, "item": items, "rating": [3.0] * len(pairs)})
    if times is not None:
        frame = frame.with_columns(timestamp=pl.Series(times))
    return matinee.read(frame, scale=(1, 5, 1))


def part(pairs, items):
    """A data set of these pairs whose catalogue has so many movies, and one user more."""
    unrated = [("nobody", item) for item in range(items)]
    whole = table([(str(user), item) for user, item in [*pairs, *unrated]])
    return replace(whole, ratings=whole.ratings.take(np.arange(len(pairs))))


def unequal(users, items, seed):
    """Pairs of which few users and few movies have most."""
    rng = np.random.default_rng(seed)
    odds = np.outer(rng.uniform(size=users) ** 3, rng.uniform(size=items) ** 3)
    some = [tuple(pair) for pair in np.argwhere(rng.uniform(size=odds.shape) < odds).tolist()]
    return [*some, (0, items), (users, 0)]  # nobody is without


def counted(pairs):
    """Numbers of ratings of users and of movies."""
    users, items = zip(*pairs, strict=True)
    return {"users": Counter(users), "items": Counter(items)}


SIZES = {"one": (1, 1), "few": (3, 2), "forty": (40, 41), "many": (150, 97)}


@pytest.fixture(params=SIZES)
def pairs(request):
    return unequal(*SIZES[request.param], seed=3)


# --- counts


def test_everybody_stands_in_the_one_step_that_holds_their_count(pairs):
    counts = describe(table(pairs)).activity_histogram
    assert counts["of"].unique(maintain_order=True).to_list() == ["users", "items"]
    for of, numbers in counted(pairs).items():
        steps = counts.filter(pl.col("of") == of)
        for row in steps.to_dicts():
            within = [n for n in numbers.values() if row["low"] <= n <= row["high"]]
            assert row["members"] == len(within)
        assert steps["members"].sum() == len(numbers)


def test_steps_of_counts_follow_one_another_and_grow_alike():
    pairs = [(user, item) for user in range(2) for item in range(700)]
    steps = describe(table(pairs)).activity_histogram.filter(pl.col("of") == "users")
    first, last = steps["low"].to_list(), steps["high"].to_list()
    assert first[0] == 1
    assert first[1:] == [end + 1 for end in last[:-1]]
    assert first[-1] <= 700 <= last[-1]
    for start, end in zip(first, last, strict=True):
        if start >= 10:  # of five steps to ten times as many
            assert (end + 1) / start == pytest.approx(10**0.2, rel=1 / start + 0.01)


@pytest.mark.parametrize("n", [1, 2, 9, 10, 11, 15, 16, 99, 100, 101])
def test_a_count_at_the_edge_of_a_step_is_counted_once(n):
    counts = describe(table([(0, item) for item in range(n)])).activity_histogram
    found = counts.filter(pl.col("of") == "users", pl.col("members") > 0)
    ((start, end, members),) = found.select("low", "high", "members").rows()
    assert start <= n <= end
    assert members == 1


# --- the long tail


def test_the_long_tail_adds_up_ratings_from_the_most_rated_on(pairs):
    held = sorted(counted(pairs)["items"].values(), reverse=True)
    tail = describe(table(pairs)).long_tail
    assert tail.row(0) == (0, 0)
    assert tail.row(-1) == (1, 1)
    assert 2 <= len(tail) <= 102
    for items, ratings in tail.rows():
        best = items * len(held)
        assert best == pytest.approx(round(best))
        assert ratings == pytest.approx(sum(held[: round(best)]) / len(pairs))
    assert tail["item_share"].is_sorted()
    assert tail["item_share"].n_unique() == len(tail)


def test_movies_without_ratings_are_no_part_of_the_tail():
    summary = describe(part([(0, 0), (1, 0), (1, 1)], 50))
    assert summary.items == 50
    assert summary.long_tail.rows() == [(0, 0), (0.5, pytest.approx(2 / 3)), (1, 1)]
    assert summary.activity_histogram.filter(pl.col("of") == "items")["members"].sum() == 2


# --- over time


def began(moment, period):
    """The first moment of the week, month or year."""
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    if period == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if period == "month" else day.replace(day=1, month=1)


def after(moment, period):
    """The next one."""
    return began(moment + timedelta(days={"week": 7, "month": 31, "year": 366}[period]), period)


@pytest.mark.parametrize(
    ("days", "period"),
    [(0, "week"), (400, "week"), (1400, "week"), (1401, "month"), (6000, "month"),
     (6001, "year"), (20_000, "year")],
)  # fmt: skip
def test_ratings_are_counted_by_week_month_or_year(days, period):
    rng = np.random.default_rng(days)
    start = 800_000_000
    times = [start, start + days * DAY]
    times += (start + rng.integers(0, days * DAY + 1, 60)).tolist()
    found = describe(table([(0, item) for item in range(len(times))], times)).over_time
    moments = [datetime.fromtimestamp(time, UTC).replace(tzinfo=None) for time in times]
    numbers = Counter(began(moment, period) for moment in moments)
    expected, here = [], min(numbers)
    while here <= max(numbers):  # periods without ratings, too
        expected.append((here, numbers[here]))
        here = after(here, period)
    assert found.rows() == expected
    assert len(found) <= 202


def test_times_before_1970_are_times():
    summary = describe(table([(0, 0), (0, 1)], [-10 * DAY, -DAY]))
    assert summary.over_time["n_ratings"].to_list() == [1, 1]
    assert summary.over_time["start"].to_list() == [datetime(1969, 12, 22), datetime(1969, 12, 29)]


def test_without_times_there_are_no_periods():
    summary = describe(table([(0, 0)]))
    assert summary.over_time.is_empty()
    assert summary.over_time.columns == ["start", "n_ratings"]


# --- filled blocks


def slow_blocks(pairs, parts=40):
    """(users' part, movies' part) to the part of the cells that is known."""
    sides = []
    for counts in counted(pairs).values():
        order = sorted(counts, key=lambda one: (-counts[one], one))
        n = min(parts, len(order))
        sides.append(({one: at * n // len(order) for at, one in enumerate(order)}, n))
    (row_of, rows), (column_of, columns) = sides
    known = Counter((row_of[user], column_of[item]) for user, item in pairs)
    tall, wide = Counter(row_of.values()), Counter(column_of.values())
    return {
        (row, column): known[row, column] / (tall[row] * wide[column])
        for row in range(rows)
        for column in range(columns)
    }


def test_blocks_of_the_matrix_are_filled_as_counted(pairs):
    found = describe(table(pairs)).density_blocks
    expected = slow_blocks(pairs)
    assert [row[:2] for row in found.rows()] == list(expected)
    assert found["density"].to_list() == pytest.approx(list(expected.values()))


def test_movies_without_ratings_are_in_no_block():
    assert describe(part([(0, 3), (0, 7), (1, 7)], 500)).density_blocks.rows() == [
        (0, 0, 1.0),
        (0, 1, 1.0),
        (1, 0, 1.0),
        (1, 1, 0.0),
    ]


# --- all of it


def test_all_of_it_is_plain_json(pairs):
    summary = describe(table(pairs, range(len(pairs))))
    found = json.loads(json.dumps(summary.to_dict(), allow_nan=False))
    for name in ("activity_histogram", "long_tail", "density_blocks"):
        assert found[name] == getattr(summary, name).to_dicts()
    (week,) = found["over_time"]
    assert week["n_ratings"] == len(pairs)
    assert datetime.fromisoformat(week["start"]) == datetime(1969, 12, 29)


# --- by hand, and single users


@pytest.fixture
def data():
    table = pl.DataFrame(
        {
            "user": [1, 1, 1, 2, 3],
            "item": [10, 20, 30, 10, 10],
            "rating": [5.0, 4.0, 1.0, 3.0, 5.0],
            "timestamp": [0, 86_400, 10, 20, 30],
            "title": ["Ay (1990)", "Bee", "Sea (2001)", "Ay (1990)", "Ay (1990)"],
            "genres": ["War|Drama", "Drama", "", "War|Drama", "War|Drama"],
        }
    )
    return matinee.read(table, name="five")


def test_a_description_counts_what_is_there(data):
    summary = describe(data)
    assert (summary.name, summary.users, summary.items, summary.ratings) == ("five", 3, 3, 5)
    assert (summary.cells, summary.density, summary.sparsity) == (9, 5 / 9, pytest.approx(4 / 9))
    assert summary.mean_rating == pytest.approx(18 / 5)
    assert summary.rating_histogram.rows() == [(1.0, 1), (3.0, 1), (4.0, 1), (5.0, 2)]
    assert summary.ratings_per_user["max"] == 3
    assert summary.ratings_per_user["median"] == 1
    assert summary.ratings_per_item["mean"] == pytest.approx(5 / 3)
    assert summary.genres.rows() == [("Drama", 2, 4, 4.25), ("War", 1, 3, pytest.approx(13 / 3))]
    assert (summary.last_rating - summary.first_rating).days == 1
    assert summary.sample_ratings.row(0)[:3] == (1, 10, 5.0)
    assert summary.sample_items["title"].to_list() == ["Ay (1990)", "Bee", "Sea (2001)"]
    assert json.loads(json.dumps(summary.to_dict()))["sparsity"] == pytest.approx(4 / 9)


def test_data_without_times_and_genres():
    table = pl.DataFrame({"user": ["a", "b"], "item": ["x", "y"], "rating": [1, 2]})
    summary = describe(matinee.read(table))
    assert summary.first_rating is None
    assert summary.genres.is_empty()
    assert "timestamp" not in summary.sample_ratings.columns


def test_favourites_are_the_best_rated_then_the_best_known(data):
    model = matinee.Bias().fit(data)
    assert top_rated(model, 1, 2)["item_id"].to_list() == [10, 20]
    assert top_rated(model, 1, 9)["rating"].to_list() == [5.0, 4.0, 1.0]
    assert typical_user(model) == 2


# --- interactions without ratings, ratings all the same, very many genres


def test_interactions_are_counted_not_averaged(data):
    summary = describe(as_interactions(data, [1, 1, 3, 1, 2]))
    assert (summary.unit, summary.value_name, summary.ratings) == ("interaction", "times", 5)
    assert repr(summary).endswith("3 movies, 5 interactions, sparsity 44.44%)")
    assert (summary.mean_rating, summary.scale) == (None, None)
    assert summary.mean_weight == pytest.approx(8 / 5)
    assert summary.rating_histogram.is_empty()
    assert summary.weight_histogram.rows() == [("1", 1, 1, 3), ("2", 2, 2, 1), ("3", 3, 3, 1)]
    assert summary.genres.rows() == [("Drama", 2, 4, None), ("War", 1, 3, None)]
    assert summary.sample_ratings.columns[:3] == ["user_id", "item_id", "weight"]
    rated = describe(data)
    assert summary.to_dict().keys() == rated.to_dict().keys()
    assert (rated.unit, rated.value_name, rated.mean_weight) == ("rating", "rating", None)
    assert rated.weight_histogram.is_empty()
    json.dumps(summary.to_dict(), allow_nan=False)


@pytest.mark.parametrize("whole", [True, False])
def test_many_different_weights_are_counted_in_bins_of_equal_ratio(whole):
    many = table([(user, item) for user in range(30) for item in range(20)])
    weights = np.random.default_rng(1).lognormal(3, 2, len(many))
    weights = np.ceil(weights) if whole else weights
    summary = describe(as_interactions(many, weights))
    assert summary.value_name == ("times" if whole else "weight")
    bins = summary.weight_histogram
    assert len(bins) < 40
    assert bins["n_ratings"].sum() == len(many)
    for low, high, n in bins["low", "high", "n_ratings"].rows():
        top = high if whole or high == bins["high"].max() else np.nextafter(high, 0)
        values = np.float32(weights).astype(np.float64)
        assert n == ((values >= low) & (values <= top)).sum()


def test_of_72000_genres_no_matrix_is_made(monkeypatch):
    pairs = table([(user, item) for user in range(2) for item in range(3000)])
    genres = pl.Series([[f"tag {24 * item + k}" for k in range(24)] for item in range(3000)])
    tagged = replace(pairs.catalog, frame=pairs.catalog.frame.with_columns(genres=genres))
    monkeypatch.setattr(type(tagged), "genre_matrix", property(lambda _: 1 / 0))
    summary = describe(replace(pairs, catalog=tagged))
    assert summary.genres.shape == (72_000, 4)
    assert set(summary.genres["n_ratings"]) == {2}


def test_a_genre_that_a_movie_names_twice_counts_once(data):
    twice = pl.Series([["Drama", "Drama"], ["War"], []])
    catalog = replace(data.catalog, frame=data.catalog.frame.with_columns(genres=twice))
    genres = describe(replace(data, catalog=catalog)).genres
    assert genres["genre", "n_items"].rows() == [("Drama", 1), ("War", 1)]


def test_favourites_without_ratings_are_what_one_took_most_often(data):
    model = Popularity().fit(as_interactions(data, [2, 1, 7, 1, 1]))
    best = top_rated(model, 1, 2)
    assert best["item_id"].to_list() == [30, 10]
    assert best["weight"].to_list() == [7, 2]

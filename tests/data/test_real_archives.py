"""The real MovieLens archives, where a developer has them: never part of this repository."""

import os
from pathlib import Path

import numpy as np
import pytest

from matinee.data import Dataset, read
from matinee.data.movielens import EDITIONS

BESIDE_THE_REPOSITORY = Path(__file__).resolve().parents[3] / "shared" / "data"
ARCHIVES = Path(os.environ.get("MATINEE_TEST_ARCHIVES", BESIDE_THE_REPOSITORY))


def read_archive(name: str) -> Dataset:
    path = ARCHIVES / f"{name}.zip"
    if not path.exists():
        pytest.skip(f"{name}.zip is not there; MATINEE_TEST_ARCHIVES may name its folder")
    return read(path)


@pytest.mark.parametrize(
    ("name", "ratings", "users", "rated", "items", "mean", "scale"),
    [
        ("ml-latest-small", 100_836, 610, 9_724, 9_742, 3.5016, "0.5 to 5 in steps of 0.5"),
        ("ml-100k", 100_000, 943, 1_682, 1_682, 3.52986, "1 to 5 in steps of 1"),
        ("ml-1m", 1_000_209, 6_040, 3_706, 3_883, 3.581564, "1 to 5 in steps of 1"),
    ],
)
def test_counts_are_those_of_the_readme(name, ratings, users, rated, items, mean, scale):
    data = read_archive(name)
    assert data.name == name
    assert len(data) == ratings == EDITIONS[name].ratings
    assert len(data.ratings.user_ids) == users == EDITIONS[name].users
    assert len(data.catalog) == items == EDITIONS[name].items
    assert int((data.ratings.item_counts > 0).sum()) == rated
    assert (data.ratings.user_counts >= 20).all()
    digits = len(str(mean).partition(".")[2])
    assert round(float(data.ratings.values.mean(dtype=np.float64)), digits) == mean
    assert str(data.ratings.scale) == scale
    assert data.ratings.timestamp is not None
    assert (data.users is not None) == (name != "ml-latest-small")
    assert "GroupLens" in data.licence


def test_official_splits_of_ml_100k():
    data = read_archive("ml-100k")
    assert list(data.official) == ["u1", "u2", "u3", "u4", "u5", "ua", "ub"]
    fifths = [data.official[f"u{at}"] for at in range(1, 6)]
    assert [int(mask.sum()) for mask in fifths] == [20_000] * 5
    assert (sum(mask.astype(int) for mask in fifths) == 1).all()
    for name in ("ua", "ub"):  # exactly ten ratings of each user
        _, test = data.split(name)
        assert (test.ratings.user_counts == 10).all()
    assert not (data.official["ua"] & data.official["ub"]).any()


@pytest.mark.parametrize("name", ["ml-latest-small", "ml-100k", "ml-1m"])
def test_titles_are_whole(name):
    catalog = read_archive(name).catalog
    titles = "".join(catalog.titles)
    assert "\N{REPLACEMENT CHARACTER}" not in titles
    assert titles.isprintable()
    assert "é" in titles
    assert catalog.frame["year"].is_not_null().mean() > 0.99
    assert "Comedy" in catalog.genre_names
    assert "(no genres listed)" not in catalog.genre_names


@pytest.mark.parametrize("name", ["ml-latest-small", "ml-100k", "ml-1m"])
def test_well_known_movies_are_found(name):
    data = read_archive(name)
    for format_value in ("toy story", "The Godfather", "fargo"):
        code = data.catalog.find(format_value, data.ratings.item_counts)
        assert format_value.split()[-1].casefold() in data.catalog.titles[code].casefold()
        assert data.ratings.item_counts[code] > 30


def test_user_traits():
    for name in ("ml-100k", "ml-1m"):
        users = read_archive(name).users
        assert users.columns == ["user", "age", "gender", "occupation"]
        assert users.null_count().row(0) == (0, 0, 0, 0)
        assert set(users["gender"]) == {"F", "M"}

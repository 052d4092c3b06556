"""A data set written as a folder of tables is read as the same data set."""

import polars as pl
import pytest

import matinee
from matinee.data import read
from matinee.data.writing import write_folder
from unrated import as_interactions


def same(written, data):
    reread = read(written.source, **written.reading)
    assert reread.ratings.fingerprint() == data.ratings.fingerprint()
    assert reread.catalog.frame.equals(data.catalog.frame)
    assert reread.catalog.ids.equals(data.catalog.ids)
    assert reread.reading == written.reading
    return reread


def test_ratings_times_and_attributes(generated, tmp_path):
    data = generated[0]
    reread = same(write_folder(data, tmp_path / "data"), data)
    assert reread.ratings.timestamp.tolist() == data.ratings.timestamp.tolist()


def test_users_and_their_attributes(tmp_path):
    frame = pl.DataFrame({"user": [1, 2], "item": [1, 2], "rating": [3, 4]})
    data = read(frame, users=pl.DataFrame({"user": [1, 2], "age": [30, None], "job": ["", "x"]}))
    reread = same(write_folder(data, tmp_path / "data"), data)
    assert reread.user_attributes.equals(data.user_attributes)


def test_interactions_without_ratings(generated, tmp_path):
    data = as_interactions(generated[0])
    reread = same(write_folder(data, tmp_path / "data"), data)
    assert reread.ratings.scale is None


@pytest.mark.parametrize("scale", [(1, 10), (0, 100, 1)])
def test_a_scale_of_which_not_all_is_used_and_ids_that_are_text(scale, tmp_path):
    books = {"user": ["a/b", "ö", "a/b"], "item": ["x", "y", "=z"], "rating": [3, 4, 7]}
    data = read(pl.DataFrame(books), scale=scale)
    reread = same(write_folder(data, tmp_path / "data"), data)
    assert reread.ratings.scale == data.ratings.scale
    assert reread.ratings.user_ids.values.to_list() == ["a/b", "ö"]


def test_a_later_one_takes_the_place_of_the_first(generated, tmp_path):
    data = generated[0]
    write_folder(data, tmp_path / "data")
    half, _ = data.split(test_fraction=0.5)
    kept = read(half.to_frame(), scale=data.ratings.scale)
    assert len(matinee.read(write_folder(kept, tmp_path / "data").source)) == len(half)

"""Synthetic data: exact sizes, the same everywhere for the same seed, and as noisy as intended."""

from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_editions import contents

from matinee.data import read, synthetic
from matinee.data.synthetic import generate, write_generated
from matinee.errors import SettingError
from matinee.kernels import parallel
from matinee.kernels.sampling import item_keys

SIZE = {"users": 300, "items": 400, "ratings": 12_000}


def pairs_of(ratings) -> np.ndarray:
    return ratings.user.astype(np.int64) * len(ratings.item_ids) + ratings.item


@given(
    users=st.integers(1, 60),
    items=st.integers(1, 80),
    share=st.floats(0, 1),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=40, deadline=None)
def test_any_size_is_exact_and_has_no_repeated_pair(users, items, share, seed):
    ratings = round(users + share * (users * items - users))
    data, _ = generate(users=users, items=items, ratings=ratings, seed=seed)
    assert len(data) == ratings
    assert len(data.ratings.user_ids) == users
    assert len(data.catalog) == items
    assert data.ratings.user_counts.min() >= min(20, ratings // users)
    assert len(np.unique(pairs_of(data.ratings))) == ratings
    assert data.ratings.scale.contains(data.ratings.values).all()


@pytest.mark.parametrize(
    "size",
    [
        {"users": 0, "items": 5, "ratings": 5},
        {"users": 5, "items": 0, "ratings": 5},
        {"users": 5, "items": 5, "ratings": 4},
        {"users": 5, "items": 5, "ratings": 26},
    ],
)
def test_sizes_that_cannot_be(size, tmp_path):
    with pytest.raises(SettingError, match="must be ≥ 1"):
        generate(**size)
    with pytest.raises(SettingError, match="must be ≥ 1"):
        write_generated(tmp_path / "new", **size)
    assert not (tmp_path / "new").exists()


def test_same_seed_same_data_other_seed_other_data():
    (first, truth), (second, same_truth) = generate(**SIZE, seed=3), generate(**SIZE, seed=3)
    assert first.ratings.fingerprint() == second.ratings.fingerprint()
    assert first.ratings.timestamp.tolist() == second.ratings.timestamp.tolist()
    assert first.catalog.frame.equals(second.catalog.frame)
    assert truth.user_factors.tobytes() == same_truth.user_factors.tobytes()
    other, _ = generate(**SIZE, seed=4)
    assert other.ratings.fingerprint() != first.ratings.fingerprint()
    assert other.catalog.titles != first.catalog.titles


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_data_do_not_depend_on_the_number_of_threads(threads, monkeypatch):
    expected, _ = generate(**SIZE, seed=1)
    monkeypatch.setattr(parallel, "usable_threads", lambda: threads)
    data, _ = generate(**SIZE, seed=1)
    assert data.ratings.fingerprint() == expected.ratings.fingerprint()
    assert data.ratings.timestamp.tolist() == expected.ratings.timestamp.tolist()


def test_truth_is_as_far_from_the_values_as_the_noise():
    data, truth = generate(users=1000, items=500, ratings=60_000, seed=0)
    values, ideal = data.ratings.values, truth.values(data.ratings.user, data.ratings.item)
    rmse = float(np.sqrt(np.mean((values - ideal) ** 2, dtype=np.float64)))
    # rounding to halves adds a little, the ends of the scale take a little away
    assert synthetic.NOISE - 0.08 < rmse < synthetic.NOISE + 0.05
    # and what is not the truth is clearly worse
    shuffled = truth.values(np.roll(data.ratings.user, 30_000), data.ratings.item)
    for worse in (np.full_like(values, values.mean()), shuffled):
        assert np.sqrt(np.mean((values - worse) ** 2)) > rmse + 0.1


def test_shape_is_that_of_movielens():
    data, _ = generate(users=1000, items=500, ratings=60_000, seed=0)
    users, items = data.ratings.user_counts, np.sort(data.ratings.item_counts)[::-1]
    assert users.max() > 4 * np.median(users)  # some rate far more than others
    assert items[:50].sum() > 0.3 * items.sum()  # a tenth of the movies, much of the ratings
    assert set(np.unique(data.ratings.values)) <= set(np.arange(0.5, 5.5, 0.5))
    assert data.catalog.frame["genres"].list.len().is_between(1, 3).all()
    assert data.catalog.frame["year"].is_between(1923, 2022).all()
    assert len(set(data.catalog.titles)) == len(data.catalog)
    order = np.lexsort((data.ratings.timestamp, data.ratings.user))
    same_user = np.diff(data.ratings.user[order]) == 0
    assert (np.diff(data.ratings.timestamp[order])[same_user] > 0).all()
    # what is watched last is not simply the movie with the highest code
    assert 0.4 < (np.diff(data.ratings.item[order])[same_user] > 0).mean() < 0.6
    assert data.ratings.values.mean() == pytest.approx(3.5, abs=0.1)


def test_people_watch_as_their_truth_says():
    """Of many users with one taste, how often each item comes first, against the truth."""
    plan = synthetic._plan(3000, 60, 3000, seed=4)
    truth = plan.truth
    alike = {
        name: np.repeat(getattr(truth, name)[:1], 3000, axis=0)
        for name in ("user_bias", "user_factors", "first_session", "session_gap", "sessions")
    }
    plan = replace(plan, truth=replace(truth, **alike), counts=np.ones(3000, np.int64))
    item = np.concatenate([block[1] for block in synthetic._blocks(plan)])
    share, expected = np.bincount(item, minlength=60) / 3000, plan.truth.watching(0)
    assert expected.sum() == pytest.approx(1)
    # five standard deviations of a share
    assert (np.abs(share - expected) < 5 * np.sqrt(expected / 3000) + 1e-9).all()
    assert expected.max() > 4 * np.median(expected)


def test_items_drawn_by_keys_are_drawn_as_the_truth_says():
    """The first of a weighted draw without replacement is a weighted draw."""
    plan = synthetic._plan(1, 50, 1, seed=0)
    truth, first = plan.truth, []
    keys = np.empty(50)
    for seed in range(4000):
        item_keys(seed, 0, truth.watching(0), keys)
        first.append(int(keys.argmax()))
    share, expected = np.bincount(first, minlength=50) / 4000, truth.watching(0)
    assert (np.abs(share - expected) < 5 * np.sqrt(expected / 4000) + 1e-9).all()


def test_people_watch_what_they_like():
    data, truth = generate(users=1000, items=500, ratings=60_000, seed=0)
    ratings = data.ratings
    watched = np.einsum(
        "nk,nk->n", truth.user_factors[ratings.user], truth.item_factors[ratings.item]
    )
    everything = truth.user_factors @ truth.item_factors.T
    assert watched.mean() > everything.mean() + 0.5 * everything.std()


def test_nothing_is_rated_before_it_is_out():
    data, truth = generate(users=1000, items=2000, ratings=60_000, seed=0)
    ratings = data.ratings
    assert (ratings.timestamp < truth.released[ratings.item]).mean() < 0.005
    assert ratings.timestamp.min() >= synthetic.FIRST_RATING
    assert ratings.timestamp.max() <= synthetic.LAST_RATING


def test_sequels_are_named_so_and_come_after_what_they_continue():
    data, truth = generate(users=400, items=1000, ratings=60_000, seed=0)
    titles = [title.rsplit(" (", 1)[0] for title in data.catalog.titles]
    places = {title: code for code, title in enumerate(titles)}
    sequels = {places[title]: places[title[:-2]] for title in titles if title.endswith(" 2")}
    assert 0.01 < len(sequels) / len(titles) < 0.05
    ratings = data.ratings
    when = dict(zip(zip(ratings.user, ratings.item, strict=True), ratings.timestamp, strict=True))
    both = [
        (when[user, first], when[user, sequel])
        for sequel, first in sequels.items()
        for user in range(400)
        if (user, first) in when and (user, sequel) in when
    ]
    assert len(both) > 50
    assert all(first < sequel for first, sequel in both)
    for sequel, first in sequels.items():
        assert truth.released[first] < truth.released[sequel]
        assert (data.catalog.genre_matrix[first] == data.catalog.genre_matrix[sequel]).all()


def test_moods_last_for_a_while():
    data, _ = generate(users=1000, items=500, ratings=60_000, seed=0)
    order = np.lexsort((data.ratings.timestamp, data.ratings.user))
    genre = data.catalog.genre_matrix[data.ratings.item[order]].argmax(axis=1)
    same_user = np.diff(data.ratings.user[order]) == 0
    by_chance = float(np.square(np.bincount(genre) / len(genre)).sum())
    assert (np.diff(genre) == 0)[same_user].mean() > 2 * by_chance


def test_titles_stay_different_when_the_words_run_out():
    data, _ = generate(users=10, items=2500, ratings=200, seed=0)
    assert len({title.rsplit(" (", 1)[0] for title in data.catalog.titles}) == 2500


@pytest.mark.parametrize("block", [2_000, 10**9])
def test_written_data_read_back_as_the_generated(block, tmp_path, monkeypatch):
    monkeypatch.setattr(synthetic, "BLOCK_ROWS", block)
    data, truth = generate(**SIZE, seed=2)
    written = write_generated(tmp_path / "g", **SIZE, seed=2)
    repeated = read(tmp_path / "g")
    assert sorted(contents(tmp_path / "g")) == ["movies.csv", "ratings.csv"]
    assert repeated.ratings.fingerprint() == data.ratings.fingerprint()
    assert repeated.ratings.timestamp.tolist() == data.ratings.timestamp.tolist()
    assert repeated.catalog.frame.equals(data.catalog.frame)
    assert repeated.catalog.genre_names == data.catalog.genre_names
    assert written.item_factors.tobytes() == truth.item_factors.tobytes()


def test_writing_holds_only_a_block_at_a_time(tmp_path, monkeypatch):
    done = [0.0]

    @contextmanager
    def recording_progress(*_):
        yield lambda amount, _: done.append(amount)

    monkeypatch.setattr(synthetic, "progress", recording_progress)
    monkeypatch.setattr(synthetic, "BLOCK_ROWS", 1_000)
    write_generated(tmp_path, **SIZE, seed=0)
    data = read(tmp_path)
    assert done[-1] == SIZE["ratings"]
    # a user is never cut in two
    assert np.diff(done).max() <= 1_000 + data.ratings.user_counts.max()
    assert len(done) > 5

"""Axes and genres as directions: planted ones are found, numbers against loops."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matinee.analysis import axes
from matinee.analysis.axes import embedding_axes, varimax
from matinee.errors import SettingError
from matinee.models import EASE, Bias, ImplicitALS, Popularity

matrices = st.tuples(st.integers(12, 40), st.integers(1, 6), st.integers(0, 10**6))


def drawn(rows, axes, seed):
    """Anything from round clouds to few movies far out."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(rows, axes)) ** rng.choice([1, 3]) * rng.uniform(0.01, 10, axes)


def random_rotation(axes, seed):
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(axes, axes)))[0]


def criterion(loadings):
    """Kaiser's: the sum over axes of the variance of the squares."""
    total = 0.0
    for axis in loadings.T:
        squares = [float(one) ** 2 for one in axis]
        mean = sum(squares) / len(squares)
        total += sum((one - mean) ** 2 for one in squares) / len(squares)
    return total


@given(matrices)
def test_varimax_is_a_rotation_that_never_makes_axes_less_simple(shape):
    loadings = drawn(*shape)
    rotation = varimax(loadings)
    np.testing.assert_allclose(rotation.T @ rotation, np.eye(shape[1]), atol=1e-10)
    before = criterion(loadings)
    assert criterion(loadings @ rotation) >= before * (1 - 1e-6) - 1e-12


@given(axes=st.integers(2, 5), seed=st.integers(0, 10**6))
def test_varimax_finds_a_simple_structure_that_was_turned(axes, seed):
    rng = np.random.default_rng(seed)
    rows = np.repeat(np.arange(axes), 12)
    simple = np.eye(axes)[rows] * rng.uniform(0.5, 2, (len(rows), 1))  # one axis for each row
    simple *= rng.choice([-1, 1], (len(rows), 1))
    turned = simple @ random_rotation(axes, seed)
    found = turned @ varimax(turned)
    likeness = np.abs(simple.T @ found) / (simple**2).sum(axis=0)[:, None]
    assert sorted(likeness.argmax(axis=1)) == list(range(axes))
    np.testing.assert_allclose(likeness.max(axis=1), 1, atol=1e-3)
    np.testing.assert_allclose(np.sort(likeness, axis=1)[:, :-1], 0, atol=0.03)


def test_varimax_continues_after_a_step_down():
    loadings = np.array(
        [
            [0.2, -14.4, -13.2],
            [0.9, 5.4, 5.1],
            [-0.9, -6.9, 4.8],
            [0.2, -9.8, 4.4],
            [0.7, 9.0, -5.8],
            [1.6, -7.5, 2.2],
        ]
    )
    found = criterion(loadings @ varimax(loadings))
    assert found >= criterion(loadings)  # 6703 against 6729
    best = max(criterion(loadings @ random_rotation(3, seed)) for seed in range(500))
    assert found > 0.95 * best  # about 20,000


def test_two_axes_are_turned_to_the_best_of_all_angles():
    loadings = drawn(60, 2, 5)
    angles = np.linspace(0, math.pi / 2, 2001)
    best = max(
        criterion(loadings @ np.array([[math.cos(a), -math.sin(a)], [math.sin(a), math.cos(a)]]))
        for a in angles
    )
    assert criterion(loadings @ varimax(loadings)) == pytest.approx(best, rel=1e-5)


def planted(by_hand, rotation=None):
    """Forty movies along each of three axes of widths 4, 2 and 1, a genre at either end."""
    rng = np.random.default_rng(6)
    axis = np.repeat([0, 1, 2], 40)
    length = np.tile(np.repeat([1.0, -0.9], 20), 3) * rng.uniform(0.9, 1.1, 120)
    item_factors = np.eye(3)[axis] * (np.array([4, 2, 1])[axis] * length)[:, None]
    genres = [["ABC"[a] + ("+" if one > 0 else "-")] for a, one in zip(axis, length, strict=True)]
    item_factors = (item_factors if rotation is None else item_factors @ rotation) + np.array(
        [5, -3, 1]
    )
    return by_hand(item_factors, genres=genres, counts=rng.integers(10, 30, 120).tolist())


@pytest.mark.slow
@pytest.mark.parametrize("rotation", ["principal", "varimax"])
def test_planted_axes_are_found_with_their_genres_at_the_ends(by_hand, rotation):
    found = embedding_axes(planted(by_hand, random_rotation(3, 1)), rotation=rotation)
    assert found.axes["axis"].to_list() == [1, 2, 3]
    np.testing.assert_allclose(found.axes["variance_share"], np.array([16, 4, 1]) / 21, atol=0.01)
    assert [row[0] for row in found.axes["high_genres"]] == ["A+", "B+", "C+"]
    assert [row[0] for row in found.axes["low_genres"]] == ["A-", "B-", "C-"]


@pytest.mark.parametrize("rotation", ["principal", "varimax"])
def test_rotating_all_factors_changes_nothing_that_is_shown(by_hand, rotation):
    one = embedding_axes(planted(by_hand), rotation=rotation)
    other = embedding_axes(planted(by_hand, random_rotation(3, 8)), rotation=rotation)
    for column in ("low_titles", "high_titles", "low_genres", "high_genres"):
        firsts = [[row[0] for row in which.axes[column]] for which in (one, other)]
        assert firsts[0] == firsts[1]
    np.testing.assert_allclose(one.axes["variance_share"], other.axes["variance_share"], atol=1e-4)
    for table, column in (("genre_positions", "position"), ("genre_similarity", "cosine")):
        np.testing.assert_allclose(
            getattr(one, table)[column], getattr(other, table)[column], atol=1e-3
        )


def test_principal_axes_against_eigenvectors(model):
    found = embedding_axes(model, 4)
    rows = found.embeddings.factors.astype(np.float64)
    rows -= rows.mean(axis=0)
    widths, axes = np.linalg.eigh(rows.T @ rows / len(rows))
    shares = (widths / widths.sum())[::-1]
    np.testing.assert_allclose(found.axes["variance_share"], shares[:4], rtol=1e-4)
    positions = {row[:2]: row[2] for row in found.genre_positions.rows()}
    titles = [model.catalog.titles[code] for code in found.embeddings.indices]
    lists = model.catalog.frame[found.embeddings.indices]["genres"].to_list()
    for at, axis in enumerate(axes.T[::-1][:4]):
        place = rows @ axis
        place *= 1 if sum(place**3) > 0 else -1
        order = sorted(range(len(place)), key=lambda row: place[row])
        assert found.axes["low_titles"][at].to_list() == [titles[row] for row in order[:5]]
        assert found.axes["high_titles"][at].to_list() == [titles[row] for row in order[::-1][:5]]
        means = {}
        for genre in model.catalog.genre_names:
            own = [place[row] for row, genres in enumerate(lists) if genre in genres]
            if len(own) >= 5:
                means[genre] = sum(own) / len(own) / place.std()
                assert positions[at + 1, genre] == pytest.approx(means[genre], abs=1e-4)
        assert {genre for axis, genre in positions if axis == at + 1} == set(means)
        rising = sorted(means, key=means.get)
        assert found.axes["low_genres"][at].to_list() == rising[:3]
        assert found.axes["high_genres"][at].to_list() == rising[::-1][:3]


def test_varimax_shares_add_up_to_those_of_the_axes_it_turned(model):
    principal, turned = (embedding_axes(model, 3, rotation=r) for r in ("principal", "varimax"))
    assert turned.rotation == "varimax"
    assert turned.axes["variance_share"].sum() == pytest.approx(
        principal.axes["variance_share"].sum()
    )
    assert turned.axes["variance_share"].is_sorted(descending=True)
    assert turned.axes["variance_share"][0] < principal.axes["variance_share"][0]


def test_the_widest_comes_first_however_varimax_orders_the_axes(by_hand, monkeypatch):
    model = planted(by_hand)
    principal = embedding_axes(model)
    monkeypatch.setattr("matinee.analysis.axes.varimax", lambda places: np.eye(3)[::-1])
    turned = embedding_axes(model, rotation="varimax")
    assert turned.axes.equals(principal.axes)
    assert turned.genre_positions.equals(principal.genre_positions)


def test_similarity_of_genres_is_the_cosine_of_their_means(by_hand):
    item_factors = [[2, 0]] * 5 + [[-1, 1]] * 5 + [[-1, -1]] * 5 + [[0, 9], [0, -9]]
    genres = [["A"]] * 5 + [["B"]] * 5 + [["C"]] * 5 + [["few"]] * 2
    found = embedding_axes(by_hand(item_factors, genres=genres)).genre_similarity
    cosines = {row[:2]: row[2] for row in found.rows()}
    assert {one for one, _ in cosines} == {"A", "B", "C"}  # the others are too few
    corner = -math.sqrt(0.5)
    right = {"AA": 1, "BB": 1, "CC": 1, "AB": corner, "AC": corner, "BC": 0}
    for (one, other), cosine in cosines.items():
        assert cosine == pytest.approx(right["".join(sorted(one + other))], abs=1e-6)


def test_ends_are_shown_from_the_best_known(model, monkeypatch):
    monkeypatch.setattr("matinee.analysis.axes.WELL_KNOWN", 20)
    found = embedding_axes(model, 2)
    known = {model.catalog.titles[code] for code in found.embeddings.indices[:20]}
    for column in ("low_titles", "high_titles"):
        assert {title for row in found.axes[column] for title in row} <= known


def test_there_are_no_more_axes_than_dimensions(model, by_hand):
    assert embedding_axes(model, 99).axes.height == 6
    assert embedding_axes(model, 99).axes["variance_share"].sum() == pytest.approx(1)
    assert embedding_axes(model, 1, rotation="varimax").axes.height == 1
    assert embedding_axes(by_hand(np.eye(3)[:, :2]), 5).axes.height == 2


@pytest.mark.parametrize("rotation", ["principal", "varimax"])
def test_without_genres_there_are_titles_alone(by_hand, rotation):
    titles = [f"<script>alert({i})</script>" for i in range(12)]
    item_factors = np.random.default_rng(0).normal(size=(12, 3))
    found = embedding_axes(by_hand(item_factors, titles=titles), rotation=rotation)
    assert found.genre_positions.is_empty()
    assert found.genre_similarity.is_empty()
    assert found.genre_positions.columns == ["axis", "genre", "position"]
    assert [row.to_list() for row in found.axes["high_genres"]] == [[], [], []]
    assert {title for row in found.axes["low_titles"] for title in row} <= set(titles)


def test_every_head_with_factors_has_axes(both, parts):
    assert embedding_axes(both, 9, head="ranking").axes.height == 5
    assert embedding_axes(ImplicitALS(factors=3, iterations=1).fit(parts[0])).axes.height == 3
    assert embedding_axes(EASE().fit(parts[0]), 4).axes.height == 4


def test_nonsense_is_refused(model, parts):
    with pytest.raises(SettingError, match="one of 'principal', 'varimax', got 'oblimin'"):
        embedding_axes(model, rotation="oblimin")
    with pytest.raises(SettingError, match="n must be >= 1, got 0"):
        embedding_axes(model, 0)
    for estimator in (Bias(iterations=1), Popularity()):
        with pytest.raises(SettingError, match=r"without factors|no rating head"):
            embedding_axes(estimator.fit(parts[0]))


def test_no_title_and_no_genre_is_at_both_ends(by_hand):
    genres = [[name] for name in ("War", "Drama", "Comedy")] * 6
    item_factors = np.random.default_rng(4).normal(size=(18, 4))
    for model in (
        by_hand(item_factors, genres=genres),
        by_hand(item_factors[:7], genres=genres[:7]),
    ):
        for row in embedding_axes(model, 3).axes.rows(named=True):
            assert row["low_titles"]
            assert row["high_titles"]
            assert not set(row["low_titles"]) & set(row["high_titles"])
            assert not set(row["low_genres"]) & set(row["high_genres"])


def test_wide_factors_have_the_same_first_axes(by_hand, monkeypatch):
    pytest.importorskip("sklearn")
    model = by_hand(np.random.default_rng(5).normal(size=(30, 12)) * np.arange(1, 13))
    whole = embedding_axes(model, 3).axes
    monkeypatch.setattr(axes, "WIDE", 5)
    some = embedding_axes(model, 3).axes
    assert some.drop("variance_share").equals(whole.drop("variance_share"))
    np.testing.assert_allclose(some["variance_share"], whole["variance_share"], rtol=1e-6)

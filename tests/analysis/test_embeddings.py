"""Which items and users are compared, and their neighbours, against loops over pairs."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matinee.analysis import embeddings
from matinee.analysis.embeddings import item_embeddings, user_embeddings
from matinee.errors import SettingError
from matinee.models import ALS, EASE, Bias, ImplicitALS, Popularity


def cosine(one, other):
    product = sum(float(a) * float(b) for a, b in zip(one, other, strict=True))
    return product / math.hypot(*map(float, one)) / math.hypot(*map(float, other))


def in_order(counts, least=10):
    """Codes with enough ratings, the most rated first, equal ones by code."""
    known = [code for code, count in enumerate(counts) if count >= least]
    return sorted(known, key=lambda code: -counts[code])


def test_movies_stand_by_their_number_of_ratings_with_their_factors(model):
    found = item_embeddings(model)
    counts = model.item_counts.tolist()
    assert found.indices.tolist() == in_order(counts)
    assert (found.of, found.head, len(found)) == ("items", "rating", len(in_order(counts)))
    assert found.counts.tolist() == [counts[code] for code in found.indices]
    for index, factors in zip(found.indices, found.factors, strict=True):
        assert factors.tolist() == model.rating_head.item_params[index, 1:].tolist()


def test_users_stand_by_their_number_of_ratings_with_their_factors(both):
    for head, rows in (
        ("rating", both.rating_head.user_params[:, 1:]),
        ("ranking", both.ranking_head.user_params),
    ):
        found = user_embeddings(both, head)
        counts = np.diff(both.interactions.indptr).tolist()
        assert found.indices.tolist() == in_order(counts)
        assert (found.of, found.head) == ("users", head)
        assert found.factors.tolist() == [rows[code].tolist() for code in found.indices]


def test_what_is_left_out_is_said(by_hand):
    item_factors = np.eye(6)
    model = by_hand(item_factors, counts=[9, 10, 30, 11, 0, 10])
    assert item_embeddings(model).left_out == "Left out: 2 items with under 10 ratings."
    assert item_embeddings(model).indices.tolist() == [2, 3, 1, 5]
    some = item_embeddings(model, max_items=3)
    assert some.indices.tolist() == [2, 3, 1]
    assert "2 items with under 10 ratings" in some.left_out
    assert "1 not among the 3 most popular" in some.left_out
    assert item_embeddings(model, min_ratings=9).indices.tolist() == [2, 3, 1, 5, 0]
    assert item_embeddings(by_hand(item_factors)).left_out == ""
    assert item_embeddings(by_hand(item_factors), max_items=6).left_out == ""


def test_users_with_few_ratings_are_left_out(by_hand):
    seen = [list(range(n)) for n in (12, 3, 10, 9, 11)]
    found = user_embeddings(by_hand(np.eye(12), seen=seen))
    assert found.indices.tolist() == [0, 4, 2]
    assert found.left_out == "Left out: 2 users with under 10 ratings."


def test_movies_all_with_the_same_number_of_ratings_keep_their_order(by_hand):
    found = item_embeddings(by_hand(np.eye(7), counts=[15] * 7), max_items=4)
    assert found.indices.tolist() == [0, 1, 2, 3]


def test_movies_without_ratings_are_left_out_under_a_true_name(by_hand):
    found = item_embeddings(by_hand(np.eye(5), counts=[4, 3, 2, 1, 0]), min_ratings=0)
    assert found.indices.tolist() == [0, 1, 2, 3]
    assert "under 0 ratings" not in found.left_out


def test_by_default_the_factors_are_those_that_similar_items_compares(model, both, parts):
    lists = ImplicitALS(factors=3, iterations=1).fit(parts[0])
    for one, head in (
        (model, "rating"),
        (both, "rating"),
        (lists, "ranking"),
        (Bias(iterations=1).fit(parts[0]).with_ranking(lists), "ranking"),
    ):
        found = item_embeddings(one)
        assert found.head == user_embeddings(one).head == head
        for row, near in zip(found.indices[:5], found.neighbours(3), strict=False):
            alike = one.similar_items(int(one.items[int(row)]), 3)["item_id"].to_list()
            assert one.items[found.indices[near]].to_list() == alike


def test_item_weights_have_movies_but_no_users(parts):
    model = EASE().fit(parts[0])
    assert item_embeddings(model).factors.shape[1] == len(model.catalog)
    with pytest.raises(SettingError, match="The ranking head of this model has no user factors"):
        user_embeddings(model)


@pytest.mark.parametrize("of", [item_embeddings, user_embeddings])
def test_a_model_without_factors_is_refused(of, parts, both):
    for estimator in (Bias(iterations=1), Popularity(), ALS(factors=0, iterations=1)):
        with pytest.raises(SettingError, match=r"no user factors|without factors|no rating head"):
            of(estimator.fit(parts[0]))
    with pytest.raises(SettingError, match="'loudness'"):
        of(both, "loudness")


def test_a_head_that_is_not_there_is_named(model):
    with pytest.raises(SettingError, match="no ranking head"):
        item_embeddings(model, "ranking")
    with pytest.raises(SettingError, match="no ranking head"):
        user_embeddings(model, "ranking")


def test_under_three_movies_are_nothing_to_compare(by_hand):
    model = by_hand(np.eye(4), counts=[12, 12, 3, 3])
    with pytest.raises(SettingError, match="Only 2 items have 10 or more ratings"):
        item_embeddings(model)
    with pytest.raises(SettingError, match="Only 0 users have 10 or more ratings"):
        user_embeddings(model)
    for most in (0, -1):
        with pytest.raises(SettingError, match=f"max_items must be >= 3, got {most}"):
            item_embeddings(model, max_items=most)


def test_keeping_too_few_is_not_blamed_on_the_ratings(by_hand):
    with pytest.raises(SettingError) as caught:
        item_embeddings(by_hand(np.eye(6)), max_items=2)
    assert "Only 2 items have" not in str(caught.value)


def test_directions_of_items_have_length_one(by_hand):
    found = item_embeddings(by_hand([[3, 4], [0, 0.5], [-8, 6], [0, 0]])).directions
    np.testing.assert_allclose(found, [[0.6, 0.8], [0, 1], [-0.8, 0.6], [0, 0]], atol=1e-7)


def test_directions_of_users_are_differences_from_the_average(by_hand):
    user_factors = [[10, 5], [10, 3], [11, 4], [9, 4]]  # on average (10, 4)
    model = by_hand(np.ones((10, 2)), seen=[list(range(10))] * 4, user_factors=user_factors)
    found = user_embeddings(model).directions
    np.testing.assert_allclose(found, [[0, 1], [0, -1], [1, 0], [-1, 0]], atol=1e-6)


@given(st.data())
def test_neighbours_are_those_of_a_search_through_all_pairs(by_hand, data):
    items, block = data.draw(st.integers(3, 12)), data.draw(st.integers(1, 13))
    n, seed = data.draw(st.integers(0, 14)), data.draw(st.integers(0, 9999))
    item_factors = np.random.default_rng(seed).normal(size=(items, 3))
    found = item_embeddings(by_hand(item_factors))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embeddings, "BLOCK", block)
        near = found.neighbours(n)
    assert near.shape == (items, min(n, items - 1))
    for row in range(items):
        likeness = {
            other: cosine(found.factors[row], found.factors[other])
            for other in range(items)
            if other != row
        }
        assert len(set(near[row])) == near.shape[1]
        best = sorted(likeness.values(), reverse=True)[:n]
        assert [likeness[other] for other in near[row]] == pytest.approx(best, abs=1e-6)


def test_a_block_boundary_changes_no_neighbour(model, monkeypatch):
    found = item_embeddings(model)
    whole = found.neighbours()
    assert whole.shape == (len(found), 5)
    for block in (1, 7, len(found) - 1, len(found), len(found) + 1):
        monkeypatch.setattr(embeddings, "BLOCK", block)
        assert np.array_equal(found.neighbours(), whole)

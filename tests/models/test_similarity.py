"""Similar users, and by whose factors anything is compared."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import matinee
from matinee.analysis.embeddings import item_embeddings, user_embeddings
from matinee.errors import SettingError, UnknownIdError
from matinee.models import ALS, EASE, Bias, ImplicitALS, UserProfile


def expected_order(model, head, target, own, measure):
    """Users by similarity, from differences to the mean of those with ten ratings, in float64."""
    factors = model.heads[head].user_factors.astype(np.float64)
    counts = np.diff(model.interactions.indptr)
    average = factors[counts >= 10].mean(axis=0)
    apart, wanted = factors - average, target - average
    similarity = apart @ wanted
    if measure == "cosine":
        similarity /= np.linalg.norm(apart, axis=1) * np.linalg.norm(wanted)
    ranked = [user for user in np.argsort(-similarity, kind="stable") if user != own]
    known = [user for user in ranked if counts[user] >= 10]
    few = [user for user in ranked if 0 < counts[user] < 10]
    return [*known, *few], similarity


@pytest.mark.parametrize("measure", ["cosine", "dot"])
@pytest.mark.parametrize("head", ["rating", "ranking"])
def test_similar_users_are_those_whose_factors_differ_alike_from_the_average(both, head, measure):
    for user in (1, 150, 300):
        target = both.heads[head].user_factors[user - 1].astype(np.float64)
        order, similarity = expected_order(both, head, target, user - 1, measure)
        found = both.similar_users(user, n=25, head=head, measure=measure)
        assert found["user_id"].to_list() == [code + 1 for code in order[:25]]
        np.testing.assert_allclose(
            found["similarity"], similarity[order[:25]], rtol=1e-3, atol=1e-5
        )
        counts = np.diff(both.interactions.indptr)
        assert found["n_ratings"].to_list() == counts[order[:25]].tolist()
    assert both.similar_users(7, head="rating").equals(both.similar_users(7))


@pytest.mark.parametrize("head", ["rating", "ranking"])
def test_a_new_user_is_most_similar_to_the_user_with_the_same_ratings(both, head):
    twin = both.user_profile(12)
    found = both.similar_users(UserProfile(twin.items, twin.values), n=1, head=head)
    assert found["user_id"][0] == 12
    assert found["similarity"][0] == pytest.approx(1, abs=1e-2)


def test_users_with_few_ratings_come_last_and_those_without_never(parts):
    ratings = parts[0].ratings
    kept = (ratings.user > 20) | (ratings.user % 2 == 1)  # some users have none
    few = (ratings.user == 3) | (ratings.user == 5)
    kept &= ~few | (np.cumsum(few) % 9 == 0)
    train = replace(parts[0], ratings=ratings.take(kept), official={})
    found = ALS(factors=3, iterations=2).fit(train).similar_users(100, n=1000)
    counts = found["n_ratings"].to_list()
    assert min(counts) > 0
    assert [count >= 10 for count in counts] == sorted((c >= 10 for c in counts), reverse=True)
    assert found.height == int((np.bincount(train.ratings.user) > 0).sum()) - 1
    with pytest.raises(UnknownIdError, match="no ratings"):
        ALS(factors=3, iterations=2).fit(train).similar_users(1)


@pytest.fixture(scope="module")
def likes():
    """(ALS and ImplicitALS on ratings that are all 5, ALS alone)."""
    rng = np.random.default_rng(0)
    pairs = pl.DataFrame({"user": rng.integers(0, 60, 1500), "item": rng.integers(0, 40, 1500)})
    data = matinee.read(pairs.unique(maintain_order=True).with_columns(rating=pl.lit(5.0)))
    alone = ALS(factors=3, iterations=3).fit(data)
    return alone.with_ranking(ImplicitALS(factors=3, iterations=3).fit(data)), alone


def test_where_ratings_are_all_the_same_items_are_compared_by_who_has_them(likes):
    model, _ = likes
    assert model.heads_with("items") == model.heads_with("users") == ["ranking"]
    assert model.similar_items(1).equals(model.similar_items(1, head="ranking"))
    assert model.similar_users(1).equals(model.similar_users(1, head="ranking"))
    assert model.similar_items(1)["similarity"].n_unique() > 1
    assert item_embeddings(model).head == user_embeddings(model).head == "ranking"
    np.testing.assert_array_equal(model.item_factors(), model.ranking_head.item_factors)


def test_factors_that_say_nothing_are_refused_in_one_line(likes):
    model, alone = likes
    message = "The factors of the rating head are all zero"
    for asked in (
        lambda: alone.similar_items(1),
        lambda: alone.similar_users(1),
        lambda: model.similar_items(1, head="rating"),
        lambda: item_embeddings(alone),
        lambda: alone.recommend(1, measure="cosine"),
    ):
        with pytest.raises(SettingError) as refused:
            asked()
        assert "\n" not in str(refused.value)
        assert message in str(refused.value) or "none that say something" in str(refused.value)


def test_models_without_factors_of_users_have_no_similar_ones(parts):
    with pytest.raises(SettingError, match="The ranking head of this model has no user factors"):
        EASE(regularization=20).fit(parts[0]).similar_users(1)
    with pytest.raises(SettingError, match="no user factors"):
        Bias().fit(parts[0]).similar_users(1)

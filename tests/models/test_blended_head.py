"""The default order of rankings counts what a user rated, towards and away."""

import numpy as np
import polars as pl
import pytest

import matinee
from matinee.models import ALS, EASE, Bias, ImplicitALS, Popularity
from matinee.models.blended_head import BLEND, BlendedHead


def test_the_default_scores_are_the_sum_of_both_heads(both):
    ranked = both.scores(both.user_ids.values, head="ranking").astype(float)
    lengths = np.diff(both.interactions.indptr)
    of_positives = ranked[np.repeat(np.arange(len(lengths)), lengths), both.interactions.indices]
    weight = BLEND * of_positives.mean() / both.interactions.values.std(dtype=float)
    users = [1, 17, both.fold_in({1: 5, 2: 1, 9: 4.5}), both.fold_in({})]
    parts = [both.scores(users, head=head).astype(float) for head in ("ranking", "rating")]
    np.testing.assert_allclose(both.scores(users), parts[0] + weight * parts[1], atol=2e-5)


def test_lists_are_the_best_of_the_default_scores(both):
    for user in (1, 17, both.fold_in({1: 5, 2: 1})):
        scores = both.scores(user)
        seen = both.user_profile(user).items.tolist()
        order = [index for index in np.argsort(-scores, kind="stable") if index not in seen]
        listed = both.recommend(user, n=30)
        assert listed["item_id"].to_list() == both.items[order[:30]].to_list()
        assert np.array_equal(listed["score"], scores[order[:30]])


@pytest.mark.parametrize("ranker", [EASE(), Popularity()])
def test_other_rankers_make_lists_alone(model, parts, ranker):
    ranked = ranker.fit(parts[0])
    with_both = model.with_ranking(ranked)
    assert np.array_equal(with_both.scores([1, 2]), ranked.scores([1, 2]))


def test_a_rating_head_without_factors_is_blended_too(parts):
    model = Bias().fit(parts[0]).with_ranking(ImplicitALS(factors=4).fit(parts[0]))
    assert isinstance(model.head(), BlendedHead)
    parts_sum = model.explain(1, 3)["contribution"].sum()
    assert parts_sum == pytest.approx(float(model.scores(1)[2]), abs=1e-4)


def test_data_whose_ratings_are_all_the_same_are_ranked_by_who_watched_what(parts):
    train = parts[0]
    same = matinee.read(train.to_frame().select("user_id", "item_id", rating=1.0))
    graded, pure = (
        ImplicitALS(factors=4, rating_weight=weight).fit(same).ranking_head.item_params
        for weight in (None, 0.0)
    )
    assert np.array_equal(graded, pure)
    model = matinee.fit(same)
    assert list(model.heads) == ["ranking"]
    blended = ALS(factors=2).fit(same).with_ranking(model)
    np.testing.assert_allclose(blended.scores([1, 2]), model.scores([1, 2]), atol=1e-6)


def test_fit_trains_both_heads_as_one_would_by_hand(parts):
    model = matinee.fit(parts[0])
    by_hand = ALS().fit(parts[0]).with_ranking(ImplicitALS().fit(parts[0]))
    assert model.recommend(3).equals(by_hand.recommend(3))
    popular = matinee.fit(parts[0], Bias(), Popularity())
    assert repr(popular).startswith("Recommender(Bias and Popularity")


@pytest.fixture(scope="module")
def two_kinds():
    """Two kinds of 30 items; everybody watches both, and likes the one or the other."""
    rng = np.random.default_rng(0)
    rows = []
    for user in range(300):
        taste = user % 2
        for item in rng.choice(60, 25, replace=False).tolist():
            liked = (item // 30) == taste
            rows.append((user, item, float(rng.choice([4, 5]) if liked else rng.choice([1, 2]))))
    table = pl.DataFrame(rows, schema=["user_id", "item_id", "rating"], orient="row")
    return matinee.fit(matinee.read(table))


def test_the_opposite_ratings_give_another_list(two_kinds):
    """Watching tells nothing here: only ratings can."""
    lists = []
    for loved in (0, 1):
        rated = {kind * 30 + k: 5.0 if kind == loved else 1.0 for kind in (0, 1) for k in range(4)}
        lists.append(two_kinds.recommend(two_kinds.fold_in(rated))["item_id"].to_list())
    assert not set(lists[0]) & set(lists[1])
    assert max(lists[0]) < 30 <= min(lists[1])


def test_what_is_hated_counts_against_its_kin(two_kinds):
    user = two_kinds.fold_in({0: 5.0, 1: 5.0, 30: 1.0, 31: 1.0})
    parts = two_kinds.explain(user, 40)
    adds = dict(parts.select("item_id", "contribution").iter_rows())
    assert max(adds[30], adds[31]) < 0
    assert parts.filter(pl.col("component") == "interactions")["contribution"][0] > 0
    assert parts["contribution"].sum() == pytest.approx(float(two_kinds.scores(user)[40]), abs=1e-4)
    assert two_kinds.scores(user)[10] > two_kinds.scores(user)[40]

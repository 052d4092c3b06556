"""Making lists within what single users may get, by cosine, and the users for an item."""

from dataclasses import replace

import numpy as np
import pandas as pd
import polars as pl
import pytest

from matinee.errors import SettingError, UnknownIdError
from matinee.models import EASE, Bias, Popularity, UserKNN
from matinee.models import topk as topk_module


@pytest.fixture(scope="module", params=["both", "rating", "ranking", "bias", "ease", "userknn"])
def asked(request, both, parts):
    """(model, head): every kind of order."""
    others = {"bias": Bias(), "ease": EASE(regularization=20), "userknn": UserKNN()}
    other = others.get(request.param)
    if other:
        return other.fit(parts[0]), None
    return both, None if request.param == "both" else request.param


@pytest.fixture(scope="module")
def pairs(both):
    """Pairs of some users and items, in no order, some of them twice and some seen."""
    rng = np.random.default_rng(0)
    frame = pl.DataFrame(
        {
            "user_id": rng.integers(1, 120, 3000),
            "item_id": both.items[:150].sample(3000, with_replacement=True, seed=1),
        }
    )
    return frame.sample(fraction=1.0, shuffle=True, seed=2)


def slowly(model, head, user, n, allow=None, block=None, exclude_seen=True):
    """Ids of the n best of all scores that a user may get."""
    scores = model.scores(user, head=head)
    out = set(model.user_profile(user).items.tolist()) if exclude_seen else set()

    def named(frame):
        return set((frame.filter(pl.col("user_id") == user)["item_id"] - 1).to_list())

    out |= named(block) if block is not None else set()
    codes = named(allow) if allow is not None else range(len(scores))
    order = sorted((-scores[code], code) for code in codes if code not in out)
    return model.items[[code for _, code in order[:n]]].to_list()


@pytest.mark.thorough
@pytest.mark.parametrize("exclude_seen", [True, False])
@pytest.mark.parametrize("which", ["allow", "block", "both"])
def test_pairs_are_allowed_and_blocked_user_by_user(asked, pairs, which, exclude_seen, monkeypatch):
    monkeypatch.setattr(topk_module, "BLOCK", 3000)  # a few users at a time
    model, head = asked
    allowed, blocked = pairs.head(2000), pairs.tail(1500)
    given = {"allow": {"allow": allowed}, "block": {"block": blocked}}
    given["both"] = given["allow"] | given["block"]
    lists = model.recommend(n=6, head=head, exclude_seen=exclude_seen, **given[which])
    found = dict(lists.group_by("user_id").agg("item_id").rows())
    for user in range(1, 301):
        expected = slowly(model, head, user, 6, exclude_seen=exclude_seen, **given[which])
        assert found.get(user, []) == expected
    scores = {user: model.scores(user, head=head) for user in (1, 50, 119)}
    for user, item, score in lists.select("user_id", "item_id", "score").iter_rows():
        if user in scores:
            assert score == scores[user][item - 1]  # to the last bit


def test_pairs_may_be_in_any_form_and_of_users_who_get_no_list(both, pairs):
    few = pairs.head(300)
    expected = both.recommend([5, 7, 5], block=few)
    for form in (
        few.rows(),
        pd.DataFrame(few.to_dict(as_series=False)),
        few.lazy(),
        few.select(pl.col("item_id").alias("movie"), pl.col("user_id").alias("user")),
    ):
        assert both.recommend([5, 7, 5], block=form).equals(expected)
    titled = [(str(user), both.catalog.titles[item - 1]) for user, item in few.rows()]
    assert both.recommend([5, 7, 5], block=titled).equals(expected)
    assert both.recommend(5, block=few).equals(expected.head(10).drop("user_id"))
    assert both.recommend(5, allow=[]).is_empty()
    assert both.recommend(5, block=[]).equals(both.recommend(5))
    assert both.recommend(5, block=[("stranger", 1)]).equals(both.recommend(5))
    with pytest.raises(UnknownIdError, match="No Such Film"):
        both.recommend(5, block=[(5, "No Such Film")])


def test_pairs_of_new_users_name_their_places(both):
    ann, bob = both.fold_in({1: 5, 2: 3}), both.fold_in({3: 1})
    best = both.recommend([ann, bob], n=1)["item_id"].to_list()
    left = both.recommend([ann, bob], n=3, block=[(1, best[1]), (7, 1)])
    assert best[0] in left.filter(pl.col("user_id") == 0)["item_id"]
    assert best[1] not in left.filter(pl.col("user_id") == 1)["item_id"]
    only = both.recommend([ann, bob], allow=[(0, 9), (0, 1), (0, 8)])
    assert sorted(only["item_id"].to_list()) == [8, 9]  # and the seen one is left out
    assert both.recommend(ann, allow=[(0, 9)])["item_id"].to_list() == [9]
    with pytest.raises(SettingError, match="place"):
        both.recommend(ann, allow=[("ann", 9)])


def test_pairs_go_with_filters_and_dials(both, pairs):
    allowed = [(5, item) for item in range(1, 101)]
    found = both.recommend(5, n=200, allow=allowed, min_ratings=30, exclude=[7], exclude_seen=False)
    assert set(found["item_id"]) == {
        item for item in range(1, 101) if both.item_counts[item - 1] >= 30 and item != 7
    }
    everything = [(5, item) for item in both.items]
    for dials in ({"discover": 0.5}, {"diverse": 0.4}, {"discover": 0.3, "diverse": 0.3}):
        assert both.recommend(5, allow=everything, **dials).equals(both.recommend(5, **dials))


@pytest.mark.parametrize("head", ["ranking", "rating"])
def test_lists_by_cosine_are_those_of_the_dense_formula(both, head):
    source = both.heads[head]
    users, items = (x.astype(np.float64) for x in (source.user_factors, source.item_factors))
    cosines = (users @ items.T) / np.outer(*(np.linalg.norm(x, axis=1) for x in (users, items)))
    for user in (1, 44, 300):
        found = both.recommend(user, n=8, head=head, measure="cosine", exclude_seen=False)
        order = np.argsort(-cosines[user - 1], kind="stable")[:8]
        assert found["item_id"].to_list() == both.items[order].to_list()
        np.testing.assert_allclose(found["score"], cosines[user - 1][order], atol=1e-5)
    by_default = both.recommend(3, measure="cosine")
    assert by_default.equals(both.recommend(3, measure="cosine", head="ranking"))
    assert not by_default.equals(both.recommend(3, head="ranking"))
    new = both.fold_in({1: 5, 9: 0.5})
    assert both.recommend(new, measure="cosine", head=head)["score"].is_between(-1.001, 1.001).all()


def test_what_has_no_factors_of_both_sides_has_no_cosine(both, parts):
    for estimator in (Bias(), Popularity(), EASE(regularization=20)):
        with pytest.raises(SettingError, match="measure='cosine' compares factors of users"):
            estimator.fit(parts[0]).recommend(1, measure="cosine")
    with pytest.raises(SettingError, match="measure must be 'cosine' or 'dot', got 'angle'"):
        both.recommend(1, measure="angle")
    with pytest.raises(SettingError, match="head must be"):
        both.recommend(1, measure="cosine", head="magic")


@pytest.mark.parametrize("exclude_seen", [True, False])
def test_the_users_for_an_item_are_those_who_score_it_highest(asked, exclude_seen, monkeypatch):
    monkeypatch.setattr(topk_module, "BLOCK", 3000)
    model, head = asked
    scores = model.scores(head=head)
    for item in (1, 77, 200):
        found = model.recommend_users(item, n=20, head=head, exclude_seen=exclude_seen)
        column = scores[:, item - 1].astype(np.float64)
        seen = [item - 1 in model.user_profile(user).items for user in range(1, 301)]
        order = np.argsort(-np.where(np.array(seen) & exclude_seen, -np.inf, column), kind="stable")
        assert found["user_id"].to_list() == (order[:20] + 1).tolist()
        assert found["score"].to_list() == column[order[:20]].tolist()
        counts = [len(model.user_profile(user).items) for user in found["user_id"]]
        assert found["n_ratings"].to_list() == counts
        if model.rating_head:
            users = found["user_id"]
            assert np.allclose(found["predicted_rating"], model.predict(users, item), atol=1e-5)


def test_fewer_users_are_listed_where_there_are_fewer(both):
    counts = both.item_counts
    item = int(np.argmax(counts))
    found = both.recommend_users(both.items[item], n=10_000)
    assert found.height == 300 - counts[item]
    title = both.catalog.titles[item]
    assert both.recommend_users(title, n=3).equals(found.head(3))
    with pytest.raises(SettingError, match="n must be >= 1"):
        both.recommend_users(1, n=0)
    with pytest.raises(UnknownIdError, match="99999"):
        both.recommend_users(99999)


def test_a_user_whose_scores_are_no_numbers_is_nobodys_audience(both):
    rows = both.ranking_head.user_params.copy()
    rows[6] = np.nan
    spoilt = replace(both, ranking_head=replace(both.ranking_head, user_params=rows))
    assert 7 not in spoilt.recommend_users(1, n=300, exclude_seen=False)["user_id"]
    assert spoilt.recommend(7, allow=[(7, 1), (7, 2)], exclude_seen=False).is_empty()


def test_scores_without_a_user_are_those_of_all(both):
    assert both.scores().shape == (300, 200)
    assert np.array_equal(both.scores()[41], both.scores(42))


def test_frames_of_pandas_may_hold_pairs(both):
    frame = pd.DataFrame({"user_id": [5, 5], "item_id": [1, 2]})
    assert set(both.recommend(5, allow=frame, exclude_seen=False)["item_id"]) == {1, 2}

"""Users and lists where the data have no ratings."""

from dataclasses import replace

import numpy as np
import pandas as pd
import polars as pl
import pytest

from matinee.errors import SettingError, UnknownIdError
from matinee.models import EASE, ImplicitALS


@pytest.fixture(scope="module")
def seen_once(parts):
    """Who has what, without ratings."""
    ratings = parts[0].ratings
    once = np.ones(len(ratings), np.float32)
    return replace(parts[0], ratings=replace(ratings, values=once, scale=None), official={})


@pytest.fixture(scope="module")
def liker(seen_once):
    return ImplicitALS(factors=4, iterations=4).fit(seen_once)


@pytest.mark.parametrize(
    "items",
    [[3, 9], {3: None, 9: 1}, pl.Series([9, 3]), pd.Series([3, 9]), pl.DataFrame({"item": [3, 9]})],
    ids=range(5),
)
def test_items_alone_make_a_new_user(liker, items):
    user = liker.fold_in(items)
    assert repr(user) == "UserProfile(2 items)"
    assert user.items.tolist() == [2, 8]
    assert user.values.tolist() == [1, 1]
    assert liker.recommend(user).equals(liker.recommend(liker.fold_in([(3, 1), (9, 1)])))


def test_a_training_user_folded_in_by_their_items_gets_their_own_list(liker):
    known = liker.user_profile(5)
    assert repr(known) == f"UserProfile({len(known.items)} items)"
    folded = liker.fold_in([liker.catalog.titles[item] for item in known.items])
    assert liker.recommend(folded)["item_id"].to_list() == liker.recommend(5)["item_id"].to_list()


def test_weights_must_be_numbers_above_zero(liker):
    assert liker.fold_in({3: 4.5}).values.tolist() == [4.5]
    for weight in (0, -1, np.nan, np.inf, 1e39, "3", True, 10**400):
        with pytest.raises(SettingError, match="is not > 0: how often, or a weight"):
            liker.fold_in({3: weight})
    with pytest.raises(SettingError, match="named twice"):
        liker.fold_in([3, 9, 3])


def test_a_rating_is_missed_where_the_model_learned_from_ratings(both):
    title = both.catalog.titles[2]
    with pytest.raises(SettingError) as refused:
        both.fold_in([title, 9])
    assert str(refused.value) == (
        f"{title} comes without a rating. This model learned from ratings, 0.5 to 5 in steps of "
        "0.5: give each item one."
    )


def test_all_that_needs_no_rating_is_answered(liker, seen_once):
    assert liker.recommend(5, n=3).columns == ["item_id", "title", "genres", "score"]
    assert liker.recommend_users(5, n=3).columns == ["user_id", "score", "n_ratings"]
    assert liker.similar_users(5, n=3).height == 3
    assert liker.similar_items(5, n=3).height == 3
    assert EASE(regularization=9).fit(seen_once).recommend([5], block=[(5, 1)]).height == 10
    gone = replace(
        seen_once, ratings=seen_once.ratings.take(seen_once.ratings.user != 4), official={}
    )
    with pytest.raises(UnknownIdError, match="no interactions in the training set"):
        ImplicitALS(factors=2, iterations=1).fit(gone).recommend(5)

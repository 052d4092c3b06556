"""Lists of both kinds of factors against the sorted scores of every movie."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest


def sorted_scores(model, user, head, n, exclude_seen, able):
    """Ids of the n best by a sort that never heard of panels."""
    scores = model.scores(user, head=head)
    out = set(model.user_profile(user).items.tolist()) if exclude_seen else set()
    order = np.lexsort((np.arange(len(scores)), -scores))
    return model.items[[code for code in order if able[code] and code not in out][:n]].to_list()


@pytest.mark.parametrize("head", ["rating", "ranking"])
@pytest.mark.parametrize("exclude_seen", [True, False])
@pytest.mark.parametrize("n", [1, 10, 10_000])
def test_lists_for_all_are_the_sorted_scores(both, head, exclude_seen, n):
    lists = both.recommend(n=n, head=head, exclude_seen=exclude_seen, threads=1)
    repeated = both.recommend(n=n, head=head, exclude_seen=exclude_seen, threads=3)
    assert lists.equals(repeated)
    found = lists.group_by("user_id", maintain_order=True).agg("item_id").rows()
    assert len(found) == len(both.user_ids)
    everything = np.ones(len(both.catalog), bool)
    for user, items in found:
        assert items == sorted_scores(both, user, head, n, exclude_seen, everything)


@pytest.mark.parametrize("head", ["rating", "ranking"])
def test_filters_leave_the_order_as_it_is(both, head):
    genre = both.catalog.genre_names[1]
    able = both.catalog.genre_matrix[:, 1] > 0
    able &= both.item_counts >= 20
    for user in (1, 40, 300):
        found = both.recommend(user, n=12, head=head, where={"genres": genre}, min_ratings=20)
        assert found["item_id"].to_list() == sorted_scores(both, user, head, 12, True, able)


def test_movies_that_score_the_same_come_in_the_order_of_their_ids(both):
    rows = both.rating_head.item_params.copy()
    rows[10:] = rows[10]
    same = replace(both, rating_head=replace(both.rating_head, item_params=rows))
    found = same.recommend(3, n=20, head="rating", exclude=list(range(1, 11)))
    seen = set(same.items[same.user_profile(3).items].to_list())
    assert found["item_id"].to_list() == [item for item in range(11, 200) if item not in seen][:20]


@pytest.mark.parametrize("head", ["rating", "ranking"])
def test_a_user_whose_row_is_no_number_gets_no_list_and_spoils_no_other(both, head):
    own = both.heads[head]
    rows = own.user_params.copy()
    rows[6] = np.nan
    spoilt = replace(both, **{f"{head}_head": replace(own, user_params=rows)})
    assert spoilt.recommend(7, head=head).is_empty()
    expected = both.recommend(n=5, head=head).filter(pl.col("user_id") != 7)
    assert (
        spoilt.recommend(n=5, head=head)
        .drop("predicted_rating")
        .equals(expected.drop("predicted_rating"))
    )


def test_predicted_ratings_beside_a_list_by_them_are_its_scores_on_the_scale(both):
    found = both.recommend([1, 2, 3], head="rating")
    assert found["predicted_rating"].equals(found["score"].clip(0.5, 5.0).alias("predicted_rating"))

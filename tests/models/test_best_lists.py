"""Lists of both kinds of factors against the sorted scores of every movie."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest


def sorted_scores(model, user, by, n, exclude_seen, able):
    """Ids of the n best by a sort that never heard of panels."""
    scores = model.scores(user, by=by)
    out = set(model.viewer(user).items.tolist()) if exclude_seen else set()
    order = np.lexsort((np.arange(len(scores)), -scores))
    return model.items[[code for code in order if able[code] and code not in out][:n]].to_list()


@pytest.mark.parametrize("by", ["stars", "ranking"])
@pytest.mark.parametrize("exclude_seen", [True, False])
@pytest.mark.parametrize("n", [1, 10, 10_000])
def test_lists_for_all_are_the_sorted_scores(both, by, exclude_seen, n):
    lists = both.recommend(n=n, by=by, exclude_seen=exclude_seen, threads=1)
    again = both.recommend(n=n, by=by, exclude_seen=exclude_seen, threads=3)
    assert lists.equals(again)
    found = lists.group_by("user", maintain_order=True).agg("item").rows()
    assert len(found) == len(both.user_ids)
    everything = np.ones(len(both.catalog), bool)
    for user, items in found:
        assert items == sorted_scores(both, user, by, n, exclude_seen, everything)


@pytest.mark.parametrize("by", ["stars", "ranking"])
def test_filters_leave_the_order_as_it_is(both, by):
    genre = both.catalog.genre_names[1]
    able = both.catalog.genre_matrix[:, 1] > 0
    able &= both.item_counts >= 20
    for user in (1, 40, 300):
        found = both.recommend(user, n=12, by=by, genres=genre, min_ratings=20)
        assert found["item"].to_list() == sorted_scores(both, user, by, 12, True, able)


def test_movies_that_score_the_same_come_in_the_order_of_their_ids(both):
    rows = both.rating.item_rows.copy()
    rows[10:] = rows[10]
    same = replace(both, rating=replace(both.rating, item_rows=rows))
    found = same.recommend(3, n=20, by="stars", exclude=list(range(1, 11)))
    seen = set(same.items[same.viewer(3).items].to_list())
    assert found["item"].to_list() == [one for one in range(11, 200) if one not in seen][:20]


@pytest.mark.parametrize("by", ["stars", "ranking"])
def test_a_viewer_whose_row_is_no_number_gets_no_list_and_spoils_nobody_elses(both, by):
    field = {"stars": "rating", "ranking": "ranking"}[by]
    head = both.heads[field]
    rows = head.user_rows.copy()
    rows[6] = np.nan
    spoilt = replace(both, **{field: replace(head, user_rows=rows)})
    assert spoilt.recommend(7, by=by).is_empty()
    expected = both.recommend(n=5, by=by).filter(pl.col("user") != 7)
    assert spoilt.recommend(n=5, by=by).drop("stars").equals(expected.drop("stars"))


def test_stars_beside_a_list_by_stars_are_its_scores_on_the_scale(both):
    found = both.recommend([1, 2, 3], by="stars")
    assert found["stars"].equals(found["score"].clip(0.5, 5.0).alias("stars"))

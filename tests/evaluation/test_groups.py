"""Metrics by group, counted by plain loops."""

from dataclasses import replace
from itertools import pairwise
from math import log2, sqrt

import numpy as np
import polars as pl
import pytest

import matinee
from matinee.evaluation import evaluate_groups, holdout
from matinee.evaluation.uncertainty import bootstrap_interval
from matinee.models import Bias, ImplicitALS

SIDES = ("users", "items")


@pytest.fixture(scope="module")
def gaps(generated):
    """(train, test, model): training lacks users 0 to 14 and movies 0 to 9."""
    ratings = generated[0].ratings
    known = (ratings.user >= 15) & (ratings.item >= 10)
    tested = ~known | (np.random.default_rng(0).uniform(size=len(ratings)) < 0.1)
    train, test = (replace(generated[0], ratings=ratings.take(mask)) for mask in (~tested, tested))
    values = Bias(iterations=3).fit(train)
    return train, test, values.with_ranking(ImplicitALS(factors=4, iterations=2).fit(train))


# --- the same by plain loops


def slow_groups(counts):
    """Codes of those without ratings, if any; then of the quarters of the others."""
    counts = counts.tolist()
    parts = {-1: [code for code, n in enumerate(counts) if n == 0]}
    known = [n for n in counts if n]
    for value in sorted(set(known)):
        alike = [code for code, n in enumerate(counts) if n == value]
        before = sum(n < value for n in known)
        middle = (before + len(alike) / 2) / len(known)
        parts.setdefault(int(4 * middle), []).extend(alike)
    return [sorted(part) for part in parts.values() if part]


def slow_rmse(model, test, rows):
    users, items = test.ratings.user_ids.values, test.ratings.item_ids.values
    errors = []
    for row in rows:
        user, item = (int(codes[row]) for codes in (test.ratings.user, test.ratings.item))
        predicted = float(model.predict([users[user]], [items[item]], unknown="average")[0])
        errors.append((predicted - float(test.ratings.values[row])) ** 2)
    return sqrt(sum(errors) / len(errors)) if errors else None


def slow_metrics(model, train, test, part, of):
    """The group's ranking metric of each test user."""
    seen, expected = {}, {}
    for rows, ratings in ((seen, train.ratings), (expected, test.ratings)):
        for user, item in zip(ratings.user.tolist(), ratings.item.tolist(), strict=True):
            rows.setdefault(user, set()).add(item)
    values = []
    for user in sorted(seen.keys() & expected.keys()):
        relevant = expected[user] & set(part) if of == "items" else expected[user]
        if (of == "users" and user not in part) or not relevant:
            continue
        (scores,) = model.scores([train.ratings.user_ids.values[user]])
        order = sorted(range(len(scores)), key=lambda code: (-scores[code], code))
        listed = [code for code in order if code not in seen[user]]
        if of == "items":
            values.append(len(relevant & set(listed[:20])) / min(20, len(relevant)))
            continue
        dcg = sum(1 / log2(k + 2) for k, code in enumerate(listed[:10]) if code in relevant)
        values.append(dcg / sum(1 / log2(k + 2) for k in range(min(10, len(relevant)))))
    return values


def assert_counted(model, train, test):
    result = evaluate_groups(model, train, test)
    for of in SIDES:
        counts = train.ratings.user_counts if of == "users" else train.ratings.item_counts
        tested = test.ratings.user if of == "users" else test.ratings.item
        of_side = [group for group in result if group.side == of]
        for group, part in zip(of_side, slow_groups(counts), strict=True):
            assert group.size == len(part)
            assert group.min_ratings == counts[part].min()
            assert group.max_ratings == counts[part].max()
            rows = [row for row, code in enumerate(tested.tolist()) if code in set(part)]
            assert group.test_ratings == len(rows)
            assert (group.rmse and group.rmse.value) == pytest.approx(slow_rmse(model, test, rows))
            values = slow_metrics(model, train, test, part, of)
            assert (group.ranking is not None) == bool(values)
            if values:
                assert group.ranking.value == pytest.approx(sum(values) / len(values))
                interval = bootstrap_interval(np.array(values))
                assert (group.ranking.ci_low, group.ranking.ci_high) == pytest.approx(interval)
    return result


@pytest.mark.slow
def test_groups_are_those_counted_by_hand(both, parts):
    result = assert_counted(both, *parts)
    assert [group.side for group in result].count("users") == 4
    errors = [group.rmse for group in result if group.rmse]
    assert all(rmse.ci_low < rmse.value < rmse.ci_high for rmse in errors)


@pytest.mark.slow
def test_users_and_items_without_training_ratings_are_a_group_of_their_own(gaps):
    train, test, model = gaps
    result = assert_counted(model, train, test)
    users, items = (next(group for group in result if group.side == of) for of in SIDES)
    assert (users.min_ratings, users.max_ratings, users.size) == (0, 0, 15)
    assert (items.min_ratings, items.max_ratings) == (0, 0)
    assert items.size >= 10
    assert users.rmse
    assert users.ranking is None  # whom nothing is known of has no list
    assert items.ranking is not None


def test_every_user_and_test_rating_is_in_one_group(gaps):
    train, test, model = gaps
    result = evaluate_groups(model, train, test)
    everybody = {"users": len(train.ratings.user_ids), "items": len(train.catalog)}
    for of, n in everybody.items():
        of_side = [group for group in result if group.side == of]
        assert sum(group.size for group in of_side) == n
        assert sum(group.test_ratings for group in of_side) == len(test)
        assert all(group.max_ratings < other.min_ratings for group, other in pairwise(of_side))


# --- counts that cannot be divided, models that cannot be evaluated


def tiny(counts, heldout=1):
    """(train, test): user u rated ``counts[u]`` movies in training, and then group more."""
    pairs = [(u, (u + k) % 40) for u, n in enumerate(counts) for k in range(n + heldout)]
    last = [k >= n for n in counts for k in range(n + heldout)]
    users, items = zip(*pairs, strict=True)
    table = pl.DataFrame({"user": users, "item": items}).with_columns(
        rating=1.0 + (pl.col("user") + pl.col("item")) % 5
    )
    data = matinee.read(table, scale=(1, 5, 1))
    tested = np.array(last)
    train, test = (data.ratings.take(mask) for mask in (~tested, tested))
    return replace(data, ratings=train), replace(data, ratings=test)


def users_of(counts, estimator=None):
    train, test = tiny(counts)
    groups = evaluate_groups((estimator or Bias(iterations=2)).fit(train), train, test)
    return [
        (group.min_ratings, group.max_ratings, group.size)
        for group in groups
        if group.side == "users"
    ]


def test_users_who_are_all_the_same_are_one_group():
    assert users_of([5] * 8) == [(5, 5, 8)]
    assert users_of([3]) == [(3, 3, 1)]


def test_users_of_the_same_number_are_in_the_same_group():
    counts = [1, 1, 1, 2, 3, 3, 3, 3, 3, 3, 8, 8, 9, 9, 9]
    result = users_of(counts)
    assert sum(members for _, _, members in result) == len(counts)
    for (_, most, _), (least, _, _) in pairwise(result):
        assert most < least


def test_users_of_as_many_numbers_are_about_equal_groups():
    result = users_of([*range(1, 34)])
    assert len(result) == 4
    assert all(abs(members - 33 / 4) <= 1 for _, _, members in result)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ([1] * 10 + [2] * 10 + [3] * 10 + [4] * 10, [(n, n, 10) for n in (1, 2, 3, 4)]),
        ([1] * 12 + [9] * 4, [(1, 1, 12), (9, 9, 4)]),
    ],
    ids=["quarters", "many-alike"],
)
def test_groups_are_as_equal_as_ties_allow(counts, expected):
    assert users_of(counts) == expected


def test_a_model_without_a_rating_head_has_ranking_metrics_only(parts):
    model = ImplicitALS(factors=3, iterations=2).fit(parts[0])
    result = evaluate_groups(model, *parts)
    assert {group.rmse for group in result} == {None}
    assert all(group.ranking for group in result if group.side == "users")


def test_without_test_users_there_are_rating_metrics(generated):
    ratings = generated[0].ratings
    known = ratings.user < 150
    train, test = (replace(generated[0], ratings=ratings.take(group)) for group in (known, ~known))
    result = evaluate_groups(Bias(iterations=2).fit(train), train, test)
    assert {group.ranking for group in result} == {None}
    unknown, *others = (group for group in result if group.side == "users")
    assert (unknown.size, unknown.test_ratings) == (150, len(test))
    assert unknown.rmse
    assert {(group.test_ratings, group.rmse) for group in others} == {(0, None)}


@pytest.mark.slow
def test_a_task_says_whose_rankings_are_evaluated(both, parts):
    everybody, some = evaluate_groups(both, *parts), holdout(*parts).sample(40, seed=1)
    sampled_negatives = evaluate_groups(both, *parts, task=some)
    assert [replace(group, ranking=None) for group in sampled_negatives] == [
        replace(group, ranking=None) for group in everybody
    ]
    evaluated = [group for group in sampled_negatives if group.side == "users" and group.ranking]
    by_hand = []
    for part in slow_groups(parts[0].ratings.user_counts):
        of_side = sorted(set(part) & set(some.users.tolist()))
        by_hand.append(slow_metrics(both, *parts, of_side, "users"))
    for group, values in zip(evaluated, filter(None, by_hand), strict=True):
        assert group.ranking.value == pytest.approx(sum(values) / len(values))


def test_a_group_of_one_test_user_has_no_interval_of_the_rmse():
    train, test = tiny([2, 3, 4, 9], heldout=3)
    result = evaluate_groups(Bias(iterations=2).fit(train), train, test)
    alone = [group for group in result if group.side == "users" and group.size == 1]
    assert [group.min_ratings for group in alone] == [2, 3, 4, 9]
    assert all((group.rmse.ci_low, group.rmse.ci_high) == (None, None) for group in alone)
    only, test = tiny([6], heldout=3)
    (group,) = (o for o in evaluate_groups(Bias().fit(only), only, test) if o.side == "users")
    assert (group.test_ratings, group.rmse.ci_low, group.rmse.ci_high) == (3, None, None)
    assert group.ranking.ci_low == group.ranking.value == group.ranking.ci_high

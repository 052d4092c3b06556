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


def slow_parts(counts):
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
        who, what = (int(one[row]) for one in (test.ratings.user, test.ratings.item))
        predicted = float(model.predict([users[who]], [items[what]], unknown="average")[0])
        errors.append((predicted - float(test.ratings.values[row])) ** 2)
    return sqrt(sum(errors) / len(errors)) if errors else None


def slow_metrics(model, train, test, part, of):
    """The group's ranking metric of each test user."""
    seen, wanted = {}, {}
    for rows, ratings in ((seen, train.ratings), (wanted, test.ratings)):
        for who, what in zip(ratings.user.tolist(), ratings.item.tolist(), strict=True):
            rows.setdefault(who, set()).add(what)
    values = []
    for who in sorted(seen.keys() & wanted.keys()):
        relevant = wanted[who] & set(part) if of == "items" else wanted[who]
        if (of == "users" and who not in part) or not relevant:
            continue
        (scores,) = model.scores([train.ratings.user_ids.values[who]])
        order = sorted(range(len(scores)), key=lambda code: (-scores[code], code))
        listed = [code for code in order if code not in seen[who]]
        if of == "items":
            values.append(len(relevant & set(listed[:20])) / min(20, len(relevant)))
            continue
        found = sum(1 / log2(at + 2) for at, code in enumerate(listed[:10]) if code in relevant)
        values.append(found / sum(1 / log2(at + 2) for at in range(min(10, len(relevant)))))
    return values


def assert_served_as_counted(model, train, test):
    found = evaluate_groups(model, train, test)
    for of in SIDES:
        counts = train.ratings.user_counts if of == "users" else train.ratings.item_counts
        tested = test.ratings.user if of == "users" else test.ratings.item
        mine = [one for one in found if one.side == of]
        for one, part in zip(mine, slow_parts(counts), strict=True):
            assert one.size == len(part)
            assert (one.min_ratings, one.max_ratings) == (counts[part].min(), counts[part].max())
            rows = [row for row, code in enumerate(tested.tolist()) if code in set(part)]
            assert one.test_ratings == len(rows)
            assert (one.rmse and one.rmse.value) == pytest.approx(slow_rmse(model, test, rows))
            values = slow_metrics(model, train, test, part, of)
            assert (one.ranking is not None) == bool(values)
            if values:
                assert one.ranking.value == pytest.approx(sum(values) / len(values))
                interval = bootstrap_interval(np.array(values))
                assert (one.ranking.ci_low, one.ranking.ci_high) == pytest.approx(interval)
    return found


def test_parts_are_served_as_counted_by_hand(both, parts):
    found = assert_served_as_counted(both, *parts)
    assert [one.side for one in found].count("users") == 4
    assert all(one.rmse.ci_low < one.rmse.value < one.rmse.ci_high for one in found if one.rmse)


def test_those_whom_training_does_not_know_are_a_part_of_their_own(gaps):
    train, test, model = gaps
    found = assert_served_as_counted(model, train, test)
    users, items = (next(one for one in found if one.side == of) for of in SIDES)
    assert (users.min_ratings, users.max_ratings, users.size) == (0, 0, 15)
    assert (items.min_ratings, items.max_ratings) == (0, 0)
    assert items.size >= 10
    assert users.rmse
    assert users.ranking is None  # whom nothing is known of has no list
    assert items.ranking is not None


def test_everybody_and_every_test_rating_is_in_one_part(gaps):
    train, test, model = gaps
    found = evaluate_groups(model, train, test)
    everybody = {"users": len(train.ratings.user_ids), "items": len(train.catalog)}
    for of, n in everybody.items():
        mine = [one for one in found if one.side == of]
        assert sum(one.size for one in mine) == n
        assert sum(one.test_ratings for one in mine) == len(test)
        assert all(one.max_ratings < other.min_ratings for one, other in pairwise(mine))


# --- counts that cannot be divided, models that cannot be evaluated


def tiny(counts, heldout=1):
    """(train, test): user u rated ``counts[u]`` movies in training, and then one more."""
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
    found = evaluate_groups((estimator or Bias(iterations=2)).fit(train), train, test)
    return [(one.min_ratings, one.max_ratings, one.size) for one in found if one.side == "users"]


def test_users_who_are_all_the_same_are_one_part():
    assert users_of([5] * 8) == [(5, 5, 8)]
    assert users_of([3]) == [(3, 3, 1)]


def test_users_of_the_same_number_are_in_the_same_part():
    counts = [1, 1, 1, 2, 3, 3, 3, 3, 3, 3, 8, 8, 9, 9, 9]
    found = users_of(counts)
    assert sum(members for _, _, members in found) == len(counts)
    for (_, most, _), (least, _, _) in pairwise(found):
        assert most < least


def test_users_of_as_many_numbers_are_about_equal_parts():
    found = users_of([*range(1, 34)])
    assert len(found) == 4
    assert all(abs(members - 33 / 4) <= 1 for _, _, members in found)


@pytest.mark.parametrize(
    ("counts", "wanted"),
    [
        ([1] * 10 + [2] * 10 + [3] * 10 + [4] * 10, [(n, n, 10) for n in (1, 2, 3, 4)]),
        ([1] * 12 + [9] * 4, [(1, 1, 12), (9, 9, 4)]),
    ],
    ids=["quarters", "many-alike"],
)
def test_parts_are_as_equal_as_ties_allow(counts, wanted):
    assert users_of(counts) == wanted


def test_a_model_without_a_rating_head_has_lists_only(parts):
    model = ImplicitALS(factors=3, iterations=2).fit(parts[0])
    found = evaluate_groups(model, *parts)
    assert {one.rmse for one in found} == {None}
    assert all(one.ranking for one in found if one.side == "users")


def test_where_nobody_can_be_evaluated_values_are(generated):
    ratings = generated[0].ratings
    known = ratings.user < 150
    train, test = (replace(generated[0], ratings=ratings.take(one)) for one in (known, ~known))
    found = evaluate_groups(Bias(iterations=2).fit(train), train, test)
    assert {one.ranking for one in found} == {None}
    unknown, *others = (one for one in found if one.side == "users")
    assert (unknown.size, unknown.test_ratings) == (150, len(test))
    assert unknown.rmse
    assert {(one.test_ratings, one.rmse) for one in others} == {(0, None)}


def test_an_task_says_whose_lists_are_evaluated(both, parts):
    everybody, some = evaluate_groups(both, *parts), holdout(*parts).sample(40, seed=1)
    sampled_negatives = evaluate_groups(both, *parts, task=some)
    assert [replace(one, ranking=None) for one in sampled_negatives] == [
        replace(one, ranking=None) for one in everybody
    ]
    evaluated = [one for one in sampled_negatives if one.side == "users" and one.ranking]
    by_hand = []
    for part in slow_parts(parts[0].ratings.user_counts):
        mine = sorted(set(part) & set(some.users.tolist()))
        by_hand.append(slow_metrics(both, *parts, mine, "users"))
    for one, values in zip(evaluated, filter(None, by_hand), strict=True):
        assert one.ranking.value == pytest.approx(sum(values) / len(values))


def test_a_part_of_one_evaluated_user_has_no_interval_of_the_rmse():
    train, test = tiny([2, 3, 4, 9], heldout=3)
    found = evaluate_groups(Bias(iterations=2).fit(train), train, test)
    alone = [one for one in found if one.side == "users" and one.size == 1]
    assert [one.min_ratings for one in alone] == [2, 3, 4, 9]
    assert all((one.rmse.ci_low, one.rmse.ci_high) == (None, None) for one in alone)
    only, test = tiny([6], heldout=3)
    (one,) = (o for o in evaluate_groups(Bias().fit(only), only, test) if o.side == "users")
    assert (one.test_ratings, one.rmse.ci_low, one.rmse.ci_high) == (3, None, None)
    assert one.ranking.ci_low == one.ranking.value == one.ranking.ci_high

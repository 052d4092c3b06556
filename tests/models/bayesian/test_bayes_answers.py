"""What a model of draws answers, and whether its answers agree with each other."""

import numpy as np
import pytest

from matinee.errors import SettingError, UnknownIdError

pytestmark = pytest.mark.slow  # a chain of every kind, to begin with

ITEMS = [1, 5, 9, 44]


@pytest.fixture
def pairs(bayes, parts):
    """400 training pairs as ids, and when they were rated."""
    ratings = parts[0].ratings.take(np.arange(0, 8000, 20))
    return ratings.user_ids.values[ratings.user], bayes.items[ratings.item], ratings.timestamp


@pytest.mark.thorough
def test_distributions_agree_with_expected_values(bayes, pairs):
    *who, times = pairs
    for at in (None, times):
        values = bayes.predict(*who, at)
        chances = bayes.predict_proba(*who, at)
        assert chances.shape == (400, 10)
        assert chances.columns == ["0.5", "1", "1.5", "2", "2.5", "3", "3.5", "4", "4.5", "5"]
        assert chances.to_numpy().min() >= 0
        np.testing.assert_allclose(chances.sum_horizontal(), 1.0, atol=1e-5)
        mean = chances.to_numpy() @ np.arange(0.5, 5.5, 0.5)
        if bayes.rating_head.ordinal:
            np.testing.assert_allclose(mean, values, atol=1e-4)
        else:  # a normal number may leave the scale, the nearest level does not
            inside = np.abs(values - 2.75) < 1
            np.testing.assert_allclose(mean[inside], values[inside], atol=0.05)
            assert (np.abs(mean - 2.75) < np.abs(values - 2.75) + 0.05).all()


def test_ranges_lie_around_expected_values_on_the_scale(bayes, pairs):
    *who, times = pairs
    widths = []
    for level in (0.3, 0.6, 0.95):
        values, ranges = bayes.predict(*who, times, interval=level)
        assert (values.dtype, ranges.dtype, ranges.shape) == (np.float32, np.float32, (400, 2))
        assert np.array_equal(values, bayes.predict(*who, times))
        assert (ranges >= 0.5).all()
        assert (ranges <= 5).all()
        assert (ranges[:, 0] <= values).all()
        assert (values <= ranges[:, 1]).all()
        widths.append(ranges[:, 1] - ranges[:, 0])
    assert (widths[0] < widths[1]).all()
    assert (widths[1] < widths[2]).all()


@pytest.mark.parametrize("level", [0, 1, 90, -0.1])
def test_what_is_no_probability_is_refused(bayes, level):
    with pytest.raises(SettingError, match="in \\(0, 1\\)"):
        bayes.predict(1, ITEMS, interval=level)


def test_pairs_are_answered_one_by_one_as_together(bayes, pairs):
    users, items, times = (part[:30] for part in pairs)
    for at in (None, times):
        together = bayes.predict(users, items, at)
        for k in range(30):
            when = None if at is None else int(at[k])
            assert bayes.predict(users[k], items[k], when)[0] == together[k]


def test_time_matters_near_ratings_and_is_forgotten_far_away(bayes, pairs):
    users, rated_items, times = pairs
    there = bayes.predict(users, rated_items, times)
    near = bayes.predict(users, rated_items, times + 1)
    ages = bayes.predict(users, rated_items, times + 10**10)
    assert np.abs(there - near).mean() < np.abs(there - ages).mean()
    assert not np.array_equal(there, bayes.predict(users, rated_items))
    # where a drift is far away, one is less sure
    head = bayes.rating_head
    codes = np.searchsorted(bayes.user_ids.values, users)
    items = np.searchsorted(bayes.items, rated_items)
    spread = [
        head.predictive(codes.astype(np.int32), items.astype(np.int32), at).deviation().mean()
        for at in (times, times + 10**10)
    ]
    assert spread[0] < spread[1]


def test_times_out_of_range_count_as_the_nearest_date(bayes):
    last = bayes.predict(1, ITEMS, 10**11)
    for late in (10**12, 10**18, 2**63 - 1, np.uint64(2**63 - 1)):
        np.testing.assert_allclose(bayes.predict(1, ITEMS, late), last, atol=1e-5)
    first = bayes.predict(1, ITEMS, -(10**11))
    for early in (-(10**12), -(2**63)):
        np.testing.assert_allclose(bayes.predict(1, ITEMS, early), first, atol=1e-5)
    assert not np.allclose(first, last)


@pytest.mark.parametrize(
    "times", ["today", 1.5, [1, 2], [[1, 2, 3, 4]], [None] * 4, np.uint64(2**63), []]
)
def test_times_that_are_none_are_refused(bayes, times):
    with pytest.raises(SettingError, match="whole Unix seconds") as refused:
        bayes.predict(1, ITEMS, times)
    assert "\n" not in str(refused.value)


def test_an_unknown_user_is_the_average_one_and_less_sure(bayes):
    with pytest.raises(UnknownIdError):
        bayes.predict("x", ITEMS)
    for at in (None, 10**9):
        values, ranges = bayes.predict(["x", 1], [1, 1], at, interval=0.6, unknown="average")
        known = bayes.predict(1, 1, at, interval=0.6)
        assert values[1] == known[0][0]
        assert ranges[0, 1] - ranges[0, 0] > ranges[1, 1] - ranges[1, 0]
    average = bayes.predict("x", bayes.items, unknown="average")
    interactions = bayes.interactions.indptr[1:] > bayes.interactions.indptr[:-1]
    everybody = [
        bayes.predict(user, bayes.items)
        for user in bayes.user_ids.values.filter(interactions)[:150]
    ]
    assert np.corrcoef(average, np.mean(everybody, axis=0))[0, 1] > 0.95
    assert np.abs(average - np.mean(everybody, axis=0)).mean() < 0.2


def test_a_new_user_with_the_ratings_of_another_gets_nearly_their_predictions(bayes):
    """But for the noise of other draws, traits, and moods of the day."""
    misses, spreads = [], []
    for user in bayes.user_ids.values[:60:3]:
        own = bayes.user_profile(user)
        twin = bayes.fold_in(dict(zip(bayes.items[own.items], own.values, strict=True)))
        values = bayes.predict(user, bayes.items)
        misses.append(bayes.predict(twin, bayes.items) - values)
        spreads.append(values - bayes.predict("x", bayes.items, unknown="average"))
    misses, spreads = np.array(misses), np.array(spreads)
    assert np.sqrt(np.square(misses).mean()) < 0.45 * np.sqrt(np.square(spreads).mean())
    assert abs(misses.mean()) < 0.05
    assert np.corrcoef(misses.ravel() + spreads.ravel(), spreads.ravel())[0, 1] > 0.9


def test_folding_in_is_the_same_every_time_and_alone_as_among_others(bayes):
    twins = [bayes.fold_in({1: 5, 8: 2}), bayes.fold_in({1: 5, 8: 2})]
    one, other = (bayes.predict(twin, ITEMS, interval=0.9) for twin in twins)
    assert np.array_equal(one[0], other[0])
    assert np.array_equal(one[1], other[1])
    chances = bayes.predict_proba(twins[0], ITEMS)
    np.testing.assert_allclose(chances.sum_horizontal(), 1.0, atol=1e-5)
    lists = bayes.recommend([*twins, 1], n=4)
    assert lists.height == 12


def test_good_ratings_raise_what_is_expected(bayes):
    many = [int(item) for item in bayes.items[:40]]
    high, low = (bayes.fold_in(dict.fromkeys(many, values)) for values in (5, 0.5))
    new = bayes.fold_in({})
    values = [bayes.predict(user, bayes.items[40:]).mean() for user in (low, new, high)]
    assert values[0] + 0.3 < values[1] < values[2] - 0.1


def test_a_new_user_without_ratings_is_the_average_user(bayes):
    values, ranges = bayes.predict(bayes.fold_in({}), bayes.items, interval=0.8)
    average, wide = bayes.predict("x", bayes.items, interval=0.8, unknown="average")
    assert np.abs(values - average).mean() < 0.1
    # every one of the draws is one user: together they are as unsure as of anybody
    assert (ranges[:, 1] - ranges[:, 0]).mean() == pytest.approx(
        (wide[:, 1] - wide[:, 0]).mean(), rel=0.15
    )


def test_the_average_scores_as_the_draws_expect(bayes, pairs):
    users, items, _ = pairs
    expected = bayes.predict(users, items)
    scores = np.array(
        [
            bayes.scores(user)[bayes.catalog.ids.code(item)]
            for user, item in zip(users[:150], items[:150], strict=True)
        ]
    )
    miss = np.clip(scores, 0.5, 5) - expected[:150]
    assert abs(miss.mean()) < 0.03
    assert np.sqrt(np.square(miss).mean()) < 0.25 * expected.std()


def test_lists_likeness_and_reasons_work(bayes):
    listed = bayes.recommend(1, n=5)
    assert listed["score"].is_sorted(descending=True)
    codes = bayes.catalog.ids.codes(listed["item_id"])
    assert listed["score"].to_numpy() == pytest.approx(bayes.scores(1)[codes], abs=1e-4)
    assert listed["predicted_rating"].to_numpy() == pytest.approx(
        np.clip(listed["score"], 0.5, 5), abs=1e-5
    )
    assert bayes.item_factors().shape == (200, 3)
    alike = bayes.similar_items(1, n=4, min_ratings=1)
    assert alike.height == 4
    assert alike["similarity"].is_sorted(descending=True)
    for user in (1, bayes.fold_in({1: 5, 8: 2})):
        parts = bayes.explain(user, 9)
        assert parts["contribution"].sum() == pytest.approx(bayes.scores(user)[8], abs=1e-4)


def test_scores_of_a_new_user_are_near_what_their_draws_expect(bayes):
    own = bayes.user_profile(1)
    twin = bayes.fold_in(dict(zip(bayes.items[own.items], own.values, strict=True)))
    scores, values = bayes.scores(twin), bayes.predict(twin, bayes.items)
    assert np.corrcoef(scores, values)[0, 1] > 0.9
    assert abs(np.clip(scores, 0.5, 5).mean() - values.mean()) < 0.3


def test_a_new_user_has_no_history_in_time(bayes):
    user = bayes.fold_in({bayes.items[0]: 3})
    with pytest.raises(SettingError, match="no history in time; omit timestamps"):
        bayes.predict(user, bayes.items[:2], 1_000_000_000)


@pytest.mark.parametrize("interval", [0, 1, -0.1, float("nan"), "wide"])
def test_an_interval_is_a_probability(bayes, interval):
    with pytest.raises(SettingError, match="a probability in"):
        bayes.predict(bayes.user_ids.values[0], bayes.items[0], interval=interval)


def test_an_interval_may_be_any_kind_of_number(bayes):
    user, item = bayes.user_ids.values[0], bayes.items[0]
    _, one = bayes.predict(user, item, interval=np.float32(0.5))
    _, other = bayes.predict(user, item, interval=0.5)
    assert np.array_equal(one, other)

"""Choosing what iALS assumes: the validation set, what it measures, and what is chosen by it."""

from dataclasses import replace
from math import log2

import numpy as np
import polars as pl
import pytest

import matinee
from matinee.models import ImplicitALS
from matinee.models.held_out import discounted_gain, split_by_pair
from matinee.models.implicit_als import CHOICES, UNOBSERVED


@pytest.fixture(scope="module")
def dataset():
    """Seven ratings of each of many users, most of items of their own kind."""
    rng = np.random.default_rng(3)
    users, per_kind, kinds = 1500, 50, 6
    rows = []
    for user in range(users):
        weights = np.tile(1 / np.arange(2, per_kind + 2), kinds)
        weights[np.arange(kinds * per_kind) // per_kind == user % kinds] *= 20
        items = rng.choice(len(weights), 7, replace=False, p=weights / weights.sum())
        rows += [(user, int(item), float(rng.integers(1, 11) / 2)) for item in items]
    return matinee.read(pl.DataFrame(rows, ["user_id", "item_id", "rating"], orient="row"))


@pytest.fixture(scope="module")
def halves(dataset):
    """A training and a validation set, and a model of the former."""
    part, validation = split_by_pair(dataset, seed=0)
    return part, validation, ImplicitALS(factors=8, regularization=0.01).fit(part)


def pairs(dataset):
    return set(zip(dataset.ratings.user.tolist(), dataset.ratings.item.tolist(), strict=True))


def shuffled(dataset):
    order = np.random.default_rng(0).permutation(len(dataset))
    return replace(dataset, ratings=dataset.ratings.take(order))


def test_a_tenth_is_held_out_whatever_the_order_of_the_rows(dataset, halves):
    part, validation, _ = halves
    assert pairs(part) | pairs(validation) == pairs(dataset)
    assert not pairs(part) & pairs(validation)
    assert len(validation) / len(dataset) == pytest.approx(0.1, abs=0.02)
    assert [pairs(each) for each in split_by_pair(shuffled(dataset), seed=0)] == [
        pairs(part),
        pairs(validation),
    ]
    assert pairs(split_by_pair(dataset, seed=1)[1]) != pairs(validation)


@pytest.mark.parametrize("min_rating", [None, 3.5])
def test_the_gain_is_that_of_lists_made_one_by_one(halves, min_rating):
    part, validation, model = halves
    head = replace(model.ranking_head, min_rating=min_rating)
    known = set(np.unique(part.ratings.item).tolist())
    held_out = validation.ratings
    gains = []
    for user in np.unique(held_out.user):
        mine = part.ratings.user == user
        if not mine.any():
            continue
        seen, values = part.ratings.item[mine], part.ratings.values[mine].astype(float)
        mean = head.rating_mean + (values - head.rating_mean).sum() / (len(values) + 50)
        scores = head.item_params @ head.user_params[user]
        allowed = known - set(seen.tolist())
        places = sorted(allowed, key=lambda item: -scores[item])[:10]
        gain = 0.0
        for row in np.flatnonzero(held_out.user == user):
            value = float(held_out.values[row])
            if held_out.item[row] in places and (min_rating is None or value >= min_rating):
                away = np.clip((value - mean) / head.rating_std, -3, 3)
                factor = 1 + abs(away) * (1.5 if away < 0 else 1.0)
                preference = 1 + head.rating_weight * away * factor
                gain += max(preference, 0.0) / log2(places.index(held_out.item[row]) + 2)
        gains.append(gain)
    assert discounted_gain(head, part, validation) == pytest.approx(np.mean(gains), rel=1e-5)
    assert np.mean(gains) > 0


def test_what_ranks_the_validation_set_best_is_trained_with(dataset, halves):
    part, validation, _ = halves
    gains = []
    for unobserved, multiple in CHOICES:
        default = ImplicitALS(unobserved=unobserved).default_regularization(part.ratings)
        trial = ImplicitALS(
            factors=40, iterations=5, unobserved=unobserved, regularization=multiple * default
        )
        gains.append(discounted_gain(trial.fit(part).ranking_head, part, validation))
    falls = [k for k in range(1, len(gains)) if gains[k] <= gains[k - 1]]
    unobserved, multiple = CHOICES[falls[0] - 1 if falls else -1]
    head = ImplicitALS(factors=40).fit(dataset).ranking_head
    default = ImplicitALS(unobserved=unobserved).default_regularization(dataset.ratings)
    assert head.unobserved == unobserved != UNOBSERVED  # few ratings of each user
    assert head.regularization == pytest.approx(multiple * default, rel=1e-6)


def test_the_choice_does_not_depend_on_the_order_of_the_rows(dataset):
    estimator = ImplicitALS(factors=6)
    head, other = (estimator.fit(each).ranking_head for each in (dataset, shuffled(dataset)))
    assert head.regularization == other.regularization
    assert np.array_equal(head.item_params, other.item_params)


@pytest.mark.parametrize("given", [{"unobserved": 0.1}, {"regularization": 0.02}])
def test_with_one_of_them_given_nothing_is_chosen(dataset, given):
    estimator = ImplicitALS(factors=4, iterations=2, **given)
    head = estimator.fit(dataset).ranking_head
    default = estimator.default_regularization(dataset.ratings)
    assert head.unobserved == given.get("unobserved", UNOBSERVED)
    assert head.regularization == given.get("regularization", default)


def test_few_positives_tell_nothing(dataset):
    few = replace(dataset, ratings=dataset.ratings.take(np.arange(3000)))
    estimator = ImplicitALS(factors=4, iterations=2)
    head = estimator.fit(few).ranking_head
    assert head.unobserved == UNOBSERVED
    assert head.regularization == estimator.default_regularization(few.ratings)

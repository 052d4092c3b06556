"""What to ask a new user first, against the plain definition."""

import numpy as np

import matinee
from matinee.data import generate
from matinee.service.first_items import NOISE, FirstItems


def moved(covariance, weights, told, noise):
    """The weighted variance of all predictions that remains after ratings of some items."""
    kept = covariance
    if told:
        part = covariance[np.ix_(told, told)] + noise * np.eye(len(told))
        kept = covariance - covariance[:, told] @ np.linalg.solve(part, covariance[told])
    return float(weights @ np.diag(kept))


def test_each_item_lowers_what_is_unknown_most(model):
    first = FirstItems.of(model)
    place = {int(code): at for at, code in enumerate(first.codes)}
    noise = NOISE * float(np.diag(first.covariance).mean())
    told = []
    for code in first.choose([], 6):
        before = moved(first.covariance, first.weights, told, noise)
        gains = [
            weight * (before - moved(first.covariance, first.weights, [*told, at], noise))
            for at, weight in enumerate(first.weights)
        ]
        for at in told:
            gains[at] = -np.inf
        assert place[code] == int(np.argmax(gains))
        told.append(place[code])


def test_what_is_known_is_not_asked_again(model):
    first = FirstItems.of(model)
    ten = first.choose([], 10)
    assert len(set(ten)) == 10
    assert first.choose(ten[:4], 6) == ten[4:]
    assert not set(first.choose(ten, 500)) & set(ten)


def test_without_factors_the_best_known_are_asked_for():
    data, _ = generate(users=50, items=40, ratings=900, seed=1)
    model = matinee.Popularity().fit(data)
    counts = model.index.item_counts
    first = FirstItems.of(model).choose([], 5)
    assert sorted(counts[first], reverse=True) == sorted(counts, reverse=True)[:5]

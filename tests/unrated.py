"""Data sets as interactions without ratings, and with ratings that are all the same."""

from dataclasses import replace

import numpy as np

from matinee.data.ratings import RatingScale


def as_interactions(data, times=None):
    """The same pairs without ratings: how often each occurs, by default mostly once or twice."""
    if times is None:
        times = np.random.default_rng(0).geometric(0.6, len(data))
    return replace(data, ratings=replace(data.ratings, scale=None, values=np.float32(times)))


def all_ones(data):
    """The same pairs, each rated 1."""
    ones = np.ones(len(data), np.float32)
    return replace(data, ratings=replace(data.ratings, scale=RatingScale(1, 1), values=ones))

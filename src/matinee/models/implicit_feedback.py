"""From ratings to implicit feedback: what is positive, with what weight and preference.

Who rated an item has watched it; how they rated it says how much more of its kind they want. With d
a rating's distance from the user's mean, in standard deviations of all ratings, its preference is

    1 + rating_weight * d (1 + |d|)             above the mean,
    1 + rating_weight * d (1 + DISLIKE |d|)     below it, under 0 where an item is hated:

what stands out counts more than proportionally, and dislikes count most. A user of few ratings is
taken to use the scale as others do: the mean is that of their ratings and `MEAN_STRENGTH` average
ones.
"""

from dataclasses import dataclass

import numpy as np

from matinee._types import F32
from matinee.data.dataset import Dataset
from matinee.errors import SettingError, check_number
from matinee.kernels.csr import Rows
from matinee.kernels.implicit_als import gram
from matinee.kernels.parallel import aligned_zeros, balanced_blocks, run_blocks

CONFIDENCES = ("none", "rating", "counts")
DISLIKE = 1.5  # how much more a dislike that stands out counts than a like
FARTHEST = 3.0  # standard deviations: what lies beyond is no rating but an outlier
MEAN_STRENGTH = 50.0  # average ratings that a user's mean is computed with
PARTS = 16  # of the sum over rows in `shared_gram`: each needs a matrix of its own


def positives(
    interactions: Rows, min_rating: float | None, confidence: str = "none", average: float = 1.0
) -> Rows:
    """The ratings of at least `min_rating` (None: all), with weights in place of the values: 1, the
    rating, or log(1 + count) (Hu, Koren & Volinsky 2008, section 4), each divided by `average`.
    """
    indptr, indices, values = interactions
    if min_rating is not None:
        kept = values >= min_rating
        indptr = np.concatenate(([0], np.cumsum(kept)))[indptr]
        indices, values = indices[kept], values[kept]
    return Rows(indptr, indices, confidence_weights(values, confidence) / np.float32(average))


@dataclass(frozen=True)
class PreferenceScale:
    """How ratings become preferences, here and of new users; see above."""

    rating_weight: float  # 0: every positive has preference 1
    mean: float  # of all training ratings
    std: float

    def user_means(self, interactions: Rows) -> F32:
        """The mean rating of each user, drawn to that of all, (users,)."""
        counts = np.diff(interactions.indptr)
        row = np.repeat(np.arange(len(counts)), counts)
        away = np.bincount(row, interactions.values - self.mean, minlength=len(counts))
        return (self.mean + away / (counts + MEAN_STRENGTH)).astype(np.float32)

    def preferences(self, values: F32, means: F32, min_rating: float | None = None) -> F32:
        """The preferences of the positives among ratings, given the means of their users."""
        if min_rating is not None:
            kept = values >= min_rating
            values, means = values[kept], means[kept]
        if self.rating_weight == 0 or self.std == 0:
            return np.ones(len(values), np.float32)
        away = np.clip((values - means) / np.float32(self.std), -FARTHEST, FARTHEST)
        curve = np.where(away < 0, np.float32(DISLIKE), np.float32(1.0)) * np.abs(away)
        away *= (1 + curve) * np.float32(self.rating_weight)
        return np.asarray(1 + away, np.float32)

    def of_users(self, interactions: Rows, min_rating: float | None) -> F32:
        """The preferences of the positives in rows of users."""
        means = np.repeat(self.user_means(interactions), np.diff(interactions.indptr))
        return self.preferences(interactions.values, means, min_rating)


def user_positives(train: Dataset, min_rating: float | None) -> Rows:
    """The positives of every user, all weights 1; SettingError if there is none."""
    interactions = positives(train.ratings.by_user, min_rating)
    if len(interactions.indices) == 0:
        if min_rating is None:
            raise SettingError(f"{train.name}: no ratings to learn from.")
        raise SettingError(f"{train.name}: no rating is >= {min_rating:g}; lower min_rating.")
    return interactions


def confidence_weights(values: F32, confidence: str) -> F32:
    """Unscaled weights of positives with these ratings or counts."""
    if confidence == "none":
        return np.ones_like(values)
    weights = np.log1p(values) if confidence == "counts" else values
    if len(weights) and not weights.min() > 0:
        raise SettingError(
            f"confidence={confidence!r} needs ratings > 0; choose another or set min_rating."
        )
    return weights.astype(np.float32)


def check_min_rating(min_rating: float | None) -> None:
    """Refuse a threshold that is not a finite number."""
    if min_rating is not None:
        check_number("min_rating", min_rating, np.isfinite, "a finite number")


def shared_gram(rows: F32, weight: float) -> F32:
    """``weight * rows' rows``, float32 (width, width), the same for any number of threads."""
    blocks = balanced_blocks(np.arange(len(rows) + 1), PARTS)
    width = rows.shape[1]
    sums = np.empty((len(blocks), width, width), np.float32)

    def one(start: int, stop: int) -> None:
        gram(start, stop, rows, sums[blocks.index((start, stop))])

    run_blocks(one, blocks)
    whole = aligned_zeros(width, width)
    np.multiply(sums.sum(axis=0), np.float32(weight), out=whole)
    return whole

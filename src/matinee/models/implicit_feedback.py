"""From ratings to implicit feedback: which interactions are positive, and with what weight."""

import numpy as np

from matinee._types import F32
from matinee.data.dataset import Dataset
from matinee.errors import SettingError
from matinee.kernels.csr import Rows
from matinee.kernels.implicit_als import gram
from matinee.kernels.parallel import aligned_zeros, balanced_blocks, run_blocks

CONFIDENCES = ("none", "rating", "counts")
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
    if min_rating is not None and not np.isfinite(min_rating):
        raise SettingError(f"min_rating must be a finite number, got {min_rating}.")


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

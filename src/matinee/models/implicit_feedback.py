"""From ratings to what a ranking head learns from: who watched what, and how sure that is."""

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
    """The ratings that count as positive, with their weights in place of stars.

    Parameters
    ----------
    interactions : Rows
    min_rating : float or None
        Least stars of a positive; None: every rating is one.
    confidence : {"none", "rating", "counts"}
        Weight 1; in proportion to the stars; in proportion to log(1 + count), for tables whose
        values are counts (Hu, Koren & Volinsky 2008, section 4).
    average : float
        What weighs 1 with a confidence, so that weights are about 1 whatever the scale.
    """
    indptr, indices, values = interactions
    if min_rating is not None:
        kept = values >= min_rating
        indptr = np.concatenate(([0], np.cumsum(kept)))[indptr]
        indices, values = indices[kept], values[kept]
    return Rows(indptr, indices, confidence_weights(values, confidence) / np.float32(average))


def user_positives(train: Dataset, min_rating: float | None) -> Rows:
    """The positives of every user, all weights 1; SettingError if there is none."""
    watched = positives(train.ratings.by_user, min_rating)
    if len(watched.indices) == 0:
        least = "" if min_rating is None else f" has {min_rating:g} stars or more; lower liked"
        raise SettingError(f"{train.name}: no rating{least or 's to learn from'}.")
    return watched


def confidence_weights(values: F32, confidence: str) -> F32:
    """Unscaled weights of positives with so many stars."""
    if confidence == "none":
        return np.ones_like(values)
    trusted = np.log1p(values) if confidence == "counts" else values
    if len(trusted) and not trusted.min() > 0:
        raise SettingError(
            f"confidence={confidence!r} needs positives above 0 stars; choose another or set liked."
        )
    return trusted.astype(np.float32)


def check_liked(min_rating: float | None) -> None:
    """Refuse a threshold that is no number of stars."""
    if min_rating is not None and not np.isfinite(min_rating):
        raise SettingError(f"liked is a number of stars, not {min_rating}.")


def shared_gram(rows: F32, weight: float, threads: int | None = None) -> F32:
    """``weight * rows' rows``, float32 (width, width), the same for any number of threads."""
    blocks = balanced_blocks(np.arange(len(rows) + 1), PARTS)
    width = rows.shape[1]
    sums = np.empty((len(blocks), width, width), np.float32)

    def one(start: int, stop: int) -> None:
        gram(start, stop, rows, sums[blocks.index((start, stop))])

    run_blocks(one, blocks, threads=threads)
    whole = aligned_zeros(width, width)
    np.multiply(sums.sum(axis=0), np.float32(weight), out=whole)
    return whole

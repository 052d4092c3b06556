"""From ratings to what a ranking head learns from: who watched what, and how sure that is."""

import numpy as np
from numpy.typing import NDArray

from matinee.data.dataset import Dataset
from matinee.errors import SettingError
from matinee.kernels.csr import Rows
from matinee.kernels.implicit_als import gram
from matinee.kernels.parallel import aligned_zeros, equal_blocks, run_blocks

CONFIDENCES = ("none", "stars", "counts")
PARTS = 16  # of the sum over rows in `shared_gram`: each needs a matrix of its own


def positives(
    rated: Rows, liked: float | None, confidence: str = "none", average: float = 1.0
) -> Rows:
    """The ratings that count as positive, with their weights in place of stars.

    Parameters
    ----------
    rated : Rows
    liked : float or None
        Least stars of a positive; None: every rating is one.
    confidence : {"none", "stars", "counts"}
        Weight 1; in proportion to the stars; in proportion to log(1 + count), for tables whose
        values are counts (Hu, Koren & Volinsky 2008, section 4).
    average : float
        What weighs 1 with a confidence, so that weights are about 1 whatever the scale.
    """
    indptr, indices, stars = rated
    if liked is not None:
        kept = stars >= liked
        indptr = np.concatenate(([0], np.cumsum(kept)))[indptr]
        indices, stars = indices[kept], stars[kept]
    return Rows(indptr, indices, trust(stars, confidence) / np.float32(average))


def watched_by(train: Dataset, liked: float | None) -> Rows:
    """The positives of every viewer, all weights 1; SettingError if there is none."""
    watched = positives(train.ratings.by_user, liked)
    if len(watched.indices) == 0:
        least = "" if liked is None else f" has {liked:g} stars or more; lower liked"
        raise SettingError(f"{train.name}: no rating{least or 's to learn from'}.")
    return watched


def trust(stars: NDArray[np.float32], confidence: str) -> NDArray[np.float32]:
    """Unscaled weights of positives with so many stars."""
    if confidence == "none":
        return np.ones_like(stars)
    trusted = np.log1p(stars) if confidence == "counts" else stars
    if len(trusted) and not trusted.min() > 0:
        raise SettingError(
            f"confidence={confidence!r} needs positives above 0 stars; choose another or set liked."
        )
    return trusted.astype(np.float32)


def check_liked(liked: float | None) -> None:
    """Refuse a threshold that is no number of stars."""
    if liked is not None and not np.isfinite(liked):
        raise SettingError(f"liked is a number of stars, not {liked}.")


def shared_gram(
    rows: NDArray[np.float32], weight: float, threads: int | None = None
) -> NDArray[np.float32]:
    """``weight * rows' rows``, float32 (width, width), the same for any number of threads."""
    blocks = equal_blocks(np.arange(len(rows) + 1), PARTS)
    width = rows.shape[1]
    sums = np.empty((len(blocks), width, width), np.float32)

    def one(start: int, stop: int) -> None:
        gram(start, stop, rows, sums[blocks.index((start, stop))])

    run_blocks(one, blocks, threads=threads)
    whole = aligned_zeros(width, width)
    np.multiply(sums.sum(axis=0), np.float32(weight), out=whole)
    return whole

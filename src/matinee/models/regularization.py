"""How strong the pull to the prior mean is when nobody says."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from matinee.data import Ratings
from matinee.kernels import Rows, equal_blocks, run_blocks, sum_over_entries

SHARE = 0.5  # of the pull that would hold all noise down: see docs/defaults.md
LIST_SHARE = 0.27  # the same for lists: see docs/defaults.md


def against_noise(ratings: Ratings, exponent: float) -> float:
    """A regularization that lets patterns through and holds noise down, in squared stars.

    With the penalty ``regularization * (sum_u n_u^v |p_u|^2 + sum_i n_i^v |q_i|^2)``, a matrix
    factorization shrinks every singular value of the residual stars, each divided by
    ``(n_u n_i)^(v/2)``, by the regularization, and drops those below it (Srebro & Salakhutdinov
    2010; Mazumder, Hastie & Tibshirani 2010). What noise of standard deviation s brings about
    there is at most about

        s * (sqrt(mean n_i^(1-v) / n_u^v) + sqrt(mean n_u^(1-v) / n_i^v))

    with means over ratings: the bound of Bandeira & van Handel (2016) for random matrices, typical
    rows in the place of the largest. Patterns a little weaker than that are still worth their
    noise, so a share of it is best. s is taken from the stars.

    Parameters
    ----------
    ratings : Ratings
    exponent : float
        v above.

    Examples
    --------
    >>> from matinee.data.generated import generate
    >>> data, _ = generate(viewers=60, movies=50, ratings=1500, seed=0)
    >>> 0.5 < against_noise(data.ratings, 0.5) < 5
    True
    """
    spread = float(ratings.stars.std(dtype=np.float64))
    sides = ratings.by_user, ratings.by_item
    pulls = [np.maximum(np.diff(side.indptr), 1).astype(np.float64) ** exponent for side in sides]
    return SHARE * max(spread, float(np.finfo(np.float32).eps)) * _bound(sides, pulls)


def against_chance(
    sides: tuple[Rows, Rows], pulls: tuple[NDArray[np.float64], NDArray[np.float64]]
) -> float:
    """The same for who watched what, where the pull of row u is d_u and that of row i is d_i.

    What is seen there of viewers who watch at random, each as much and each movie as often as they
    do, has singular values of at most about

        sqrt(mean sum_i 1 / (d_u d_i)) + sqrt(mean sum_u 1 / (d_u d_i))

    with means over positives of the sums over those of the same row.

    Parameters
    ----------
    sides : pair of Rows
        The positives by viewer and by movie.
    pulls : pair of float64 (rows,)
        Above 0 where a row has positives.
    """
    return LIST_SHARE * _bound(sides, pulls)


def _bound(sides: Sequence[Rows], pulls: Sequence[NDArray[np.float64]]) -> float:
    """Both means of row lengths of the matrix whose entries are ``1 / sqrt(d_u d_i)``."""
    lengths = 0.0
    for side, own, others in zip(sides, pulls, pulls[::-1], strict=True):
        sums = np.empty(len(own))
        inverse = np.divide(1.0, others, out=np.zeros_like(others), where=others > 0)
        run_blocks(
            sum_over_entries,
            equal_blocks(side.indptr),
            side.indptr,
            side.indices,
            inverse,
            sums,
        )
        weight = np.divide(np.diff(side.indptr), own, out=np.zeros_like(own), where=own > 0)
        lengths += math.sqrt((weight * sums).sum() / max(1, len(side.indices)))
    return lengths

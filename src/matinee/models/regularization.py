"""How strong the pull to the prior mean is when nobody says."""

import math

import numpy as np

from matinee.data import Ratings
from matinee.kernels import equal_blocks, run_blocks, sum_over_entries

SHARE = 0.54  # of the pull that would hold all noise down: see docs/performance.md


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
    sides = (ratings.by_user, ratings.by_item)
    counts = [np.maximum(np.diff(side.indptr), 1).astype(np.float64) for side in sides]
    lengths = 0.0
    for side, own, others in zip(sides, counts, counts[::-1], strict=True):
        sums = np.empty(len(own))
        blocks = equal_blocks(side.indptr)
        pull = others**-exponent
        run_blocks(sum_over_entries, blocks, side.indptr, side.indices, pull, sums)
        lengths += math.sqrt((own ** (1 - exponent) * sums).sum() / max(1, len(ratings)))
    return SHARE * max(spread, float(np.finfo(np.float32).eps)) * lengths

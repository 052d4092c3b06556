"""How far ratings lie from what would be said of them without them.

A chain has seen the ratings it was trained on. What it would say of one had it not seen that one is
the average of its draws weighted by ``1 / p(rating | draw)`` (Gelfand, Dey & Chang 1992): no rating
has to be held out to know how wide ranges must be.
"""

import numpy as np
from numpy.typing import NDArray

from matinee.kernels import add_probabilities, even_blocks, normal_quantile, run_blocks

PROMISES = np.arange(1, 200) / 200
"""Probabilities of ranges for which the stretch is known."""
LEAST = 1e-6  # probability that is divided by


class LeftOut:
    """Some training ratings, and the mean and variance of what each would be without itself.

    Parameters
    ----------
    stars : float32 (n,)
    levels : float32 (levels,)
    """

    def __init__(self, stars: NDArray[np.float32], levels: NDArray[np.float32]) -> None:
        self.stars, self.levels = stars.astype(np.float64), levels.astype(np.float64)
        self.sums = np.zeros((3, len(stars)))  # of weights, of weighted stars, of their squares

    def add(
        self,
        scores: NDArray[np.float32],
        noise: float,
        cuts: NDArray[np.float64],
        mean: float,
        threads: int | None = None,
    ) -> None:
        """One draw more.

        Parameters
        ----------
        scores : float32 (n,)
            Of these ratings, drift included.
        noise : float
            Variance of the noise.
        cuts : float64 (levels + 1,)
            None where stars are normal.
        mean : float
            Of normal stars.
        """
        if len(cuts):
            found = np.zeros((len(scores), len(self.levels)))
            spread = np.full(len(scores), noise, np.float32)
            asked = cuts, scores, spread, found
            run_blocks(add_probabilities, even_blocks(len(scores)), *asked, threads=threads)
            level = np.searchsorted(self.levels, self.stars)
            chance = found[np.arange(len(level)), level]
            first, second = found @ self.levels, found @ self.levels**2
        else:
            first = scores + np.float64(mean)
            chance = np.exp(-((self.stars - first) ** 2) / (2 * noise)) / np.sqrt(noise)
            second = first * first + noise
        weight = 1 / np.maximum(chance, LEAST)
        self.sums = self.sums + weight * np.stack([np.ones(len(weight)), first, second])

    def stretch(self) -> NDArray[np.float32]:
        """How many times a normal number's range a range must reach, for each of `PROMISES`."""
        mean, square = self.sums[1:] / self.sums[0]
        deviation = np.sqrt(np.maximum(square - mean * mean, 1e-12))
        reach = np.quantile(np.abs(self.stars - mean) / deviation, PROMISES)
        usual = [normal_quantile((1 + promise) / 2) for promise in PROMISES]
        return np.asarray(np.maximum(reach, 1e-3) / np.array(usual), np.float32)

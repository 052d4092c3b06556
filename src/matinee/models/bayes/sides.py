"""Viewers, movies, dates: the rows of one side of the model, and what they are drawn from."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matinee.kernels import LANES, inner, times
from matinee.models.bayes.features import Features
from matinee.models.bayes.links import Link

PRIOR_ROWS = 2.0  # that the prior of the mean counts for
SPREAD = 0.1  # the root of the scale of dates' prior: they change little


@dataclass
class Side:
    """The rows ``first`` to ``first + size`` of the model, normal around ``mean + features @ B``.

    Mean and precision matrix have a normal-Wishart prior (Salakhutdinov & Mnih 2008, section 3.2).

    Parameters
    ----------
    number : int
        0 for viewers, 1 for movies, 2 for dates.
    first, size : int
    indptr, entries : int64 (size + 1,), int32 (ratings,)
        The ratings of each row, as places in the order of the chain.
    link : Link
    mean : float64 (width,)
        Bias first, then factors, as everywhere. Of dates it is zero: else it could not be told
        from the other biases.
    precision : float64 (width, width)
    """

    number: int
    first: int
    size: int
    indptr: NDArray[np.int64]
    entries: NDArray[np.int32]
    link: Link
    mean: NDArray[np.float64]
    precision: NDArray[np.float64]

    @classmethod
    def start(
        cls, number: int, first: int, codes: NDArray[np.integer], features: Features, width: int
    ) -> "Side":
        """A side whose row codes[k] is the one of rating k."""
        size = len(features.by_row.indptr) - 1
        order = np.argsort(codes, kind="stable").astype(np.int32)
        indptr = np.concatenate(([0], np.cumsum(np.bincount(codes, minlength=size))))
        return cls(
            number,
            first,
            size,
            indptr.astype(np.int64),
            order,
            Link.start(features, width),
            np.zeros(width),
            np.eye(width) / SPREAD**2,
        )

    @property
    def moves(self) -> bool:
        """Whether its mean is free."""
        return self.number < 2

    def draw_prior(
        self,
        rows: NDArray[np.float64],
        settled: bool,
        rng: np.random.Generator,
        threads: int | None = None,
    ) -> NDArray[np.float64]:
        """Draw precision, mean, groups' precisions and link given the rows.

        Parameters
        ----------
        rows : float64 (size, width)
        settled : bool
            Whether groups' precisions are drawn, too: while the rows are next to nothing, they
            would grow, and take hundreds of sweeps to come down again.

        Returns
        -------
        float64 (size, width)
            The prior mean of each row.
        """
        count, width = rows.shape
        linked = self.link.features.columns > 0
        left = rows - self.link.means(threads) if linked else rows
        expected = np.eye(width)
        if self.moves:
            average = left.mean(axis=0)
            shrunk = count * PRIOR_ROWS / (count + PRIOR_ROWS)
            around = left - average
            scatter = inner(around, around, threads) + shrunk * np.outer(average, average)
        else:
            expected *= SPREAD**2
            scatter = inner(left, left, threads)
        if linked:
            scatter += self.link.scatter(threads)
        freedom = width + count + self.link.features.columns
        self.precision = draw_wishart(expected + scatter, freedom, rng)
        if self.moves:
            root = np.linalg.cholesky(self.precision)
            noise = np.linalg.solve(root.T, rng.standard_normal(width))
            self.mean = (count * average + np.sqrt(count + PRIOR_ROWS) * noise) / (
                count + PRIOR_ROWS
            )
        if not linked:
            return np.broadcast_to(self.mean, rows.shape)
        if settled:
            self.link.draw_precisions(self.precision, rng, threads)
        self.link.draw(rows - self.mean, self.precision, rng, threads)
        return self.mean + self.link.means(threads)


Pulls = tuple[NDArray[np.float32], NDArray[np.float32], np.float32, NDArray[np.float32]]


def pulls(
    precision: NDArray[np.float64],
    unit: float,
    away: NDArray[np.float64],
    noise: NDArray[np.float32],
    width: int,
    threads: int | None = None,
) -> Pulls:
    """What `draw_rows` wants to know of a prior: `prior`, `pull`, `own_pull`, `noise`.

    Parameters
    ----------
    precision : float64 (1 + factors, 1 + factors)
    unit : float
        Precision of the noise around scores, which the kernel takes for 1.
    away : float64 (rows, 1 + factors)
        Prior means less the rows as they stand.
    noise : float32 (rows, 1 + factors)
    width : int
        Of the table of factors.
    """
    factors = len(precision) - 1
    scaled = precision / unit
    prior = np.zeros((width, width + LANES), np.float32)
    np.fill_diagonal(prior, 1.0)
    prior[:factors, :factors] = scaled[1:, 1:]
    prior[:factors, width + 1] = scaled[0, 1:]
    wide = np.zeros((2, len(away), 1 + width), np.float32)
    wide[0, :, : 1 + factors] = times(away, scaled, threads)
    wide[1, :, : 1 + factors] = noise / np.sqrt(unit)
    return prior, wide[0], np.float32(scaled[0, 0]), wide[1]


def draw_wishart(
    inverse_scale: NDArray[np.float64], freedom: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """A draw from the Wishart distribution of that scale, by Bartlett's decomposition."""
    width = len(inverse_scale)
    root = np.linalg.cholesky(np.linalg.inv(inverse_scale))
    lower = np.tril(rng.standard_normal((width, width)), -1)
    lower[np.diag_indices(width)] = np.sqrt(rng.chisquare(freedom - np.arange(width)))
    half = root @ lower
    return np.asarray(half @ half.T)

"""One side of a factorization in training: viewers or movies, and what their rows are pulled to."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matinee.data import Catalog
from matinee.kernels import (
    Rows,
    add_up_rows,
    aligned_zeros,
    equal_blocks,
    halve_rows,
    room_for_halves,
    run_blocks,
    transpose,
)

SPAN = 5  # years that count as the same time


@dataclass
class Side:
    """Viewers or movies: their ratings, their rows, and the prior mean of each."""

    rated: Rows
    weights: NDArray[np.float64]  # (rows,) of the pull to the prior mean; 0: pulls at nothing
    features: Rows  # a row each: the constant is column 0
    weighted_features: Rows  # the same by feature, times the weights
    gram: NDArray[np.float64]  # (features, features): weighted products of features
    rows: NDArray[np.float32]  # (rows, width)
    link: NDArray[np.float64]  # (features, width)
    prior: NDArray[np.float32]  # (rows, width) = features @ link
    solver: NDArray[np.float64] | None = None  # from weighted rows to the link
    halves: NDArray[np.uint16] | None = None  # room for what `halved` gives

    @classmethod
    def start(
        cls, rated: Rows, features: NDArray[np.float32], width: int, weights: NDArray[np.float64]
    ) -> "Side":
        """All rows zero, and all prior means.

        Parameters
        ----------
        rated : Rows
        features : float32 (rows, features)
            The constant first.
        width : int
        weights : float64 (rows,)
        """
        n, k = features.shape
        weighted = features * weights[:, None]
        # einsum rather than a matrix product: its sums do not depend on a library's threads
        gram = np.einsum("nf,ng->fg", weighted, features)
        at = np.nonzero(features)
        indptr = np.concatenate(([0], np.cumsum(np.count_nonzero(features, axis=1))))
        columns = at[1].astype(np.int32)
        sparse = Rows(indptr.astype(np.int64), columns, features[at])
        by_feature = transpose(Rows(sparse.indptr, columns, weighted[at].astype(np.float32)), k)
        rows, prior = aligned_zeros(n, width), aligned_zeros(n, width)
        return cls(rated, weights, sparse, by_feature, gram, rows, np.zeros((k, width)), prior)

    def go_on(self, rows: NDArray[np.float32], link: NDArray[np.float32] | None = None) -> None:
        """Begin with rows of an earlier training, of as many columns or fewer.

        Parameters
        ----------
        rows : float32 (rows, earlier width)
        link : float32 (features, earlier width), optional
        """
        self.rows[:, : rows.shape[1]] = rows
        if link is not None and len(link) == len(self.link):
            self.link[:, : link.shape[1]] = link
            self._apply_link()

    def halved(self, skip: int, threads: int | None = None) -> NDArray[np.uint16]:
        """The rows as they are now, from column `skip` on, as conjugate gradients read them."""
        if self.halves is None:
            self.halves = room_for_halves(len(self.rows), self.rows.shape[1] - skip)
        halve_rows(self.rows, skip, self.halves, threads)
        return self.halves

    def relink(self, link_ridge: float, threads: int | None = None) -> None:
        """The link that makes the prior means fit the rows best: weighted ridge regression."""
        right = np.empty_like(self.link)
        blocks = equal_blocks(self.weighted_features.indptr)
        run_blocks(add_up_rows, blocks, *self.weighted_features, self.rows, right, threads=threads)
        if self.solver is None:  # once: a library's threads would keep the processors busy
            ridge = link_ridge * np.eye(len(self.gram))
            self.solver = np.asarray(np.linalg.inv(self.gram + ridge), np.float64)
        self.link = np.einsum("fg,gk->fk", self.solver, right)
        self._apply_link(threads)

    def _apply_link(self, threads: int | None = None) -> None:
        blocks = equal_blocks(self.features.indptr)
        run_blocks(add_up_rows, blocks, *self.features, self.link, self.prior, threads=threads)

    def penalty(self, link_ridge: float) -> float:
        """Weighted squared distances of rows from their prior means, and the link's own size."""
        away = self.rows - self.prior
        distance = np.einsum("nk,nk->n", away, away)
        return float((self.weights * distance).sum() + link_ridge * np.square(self.link).sum())


def movie_features(catalog: Catalog, features: str) -> NDArray[np.float32]:
    """What the prior mean of a movie depends on: a constant, genres, and when it came out.

    Parameters
    ----------
    catalog : Catalog
    features : {"none", "genres", "genres+years"}
        Years are spans of `SPAN`; a movie without a year is in none.

    Returns
    -------
    float32 (movies, features)
        The constant first.
    """
    columns = [np.ones((len(catalog), 1), np.float32)]
    if features != "none":
        columns.append(catalog.genre_matrix)
    if features == "genres+years":
        span = (catalog.frame["year"] // SPAN).to_numpy()  # NaN where there is no year
        columns.append((span[:, None] == np.unique(span[span == span])).astype(np.float32))
    return np.concatenate(columns, axis=1)


def link_of_genres(
    rated: Rows, catalog: Catalog, rows: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What trained vectors of movies say of their genres, and movies without ratings by that.

    For trainers that know no prior mean: the link that `ALS` has in its loop is fitted afterwards.

    Parameters
    ----------
    rated : Rows
        Ratings by movie.
    catalog : Catalog
    rows : float32 (movies, width)

    Returns
    -------
    link : float32 (1 + genres, width)
    rows : float32 (movies, width)
        Those of movies without ratings replaced.
    """
    counts = np.diff(rated.indptr)
    features = movie_features(catalog, "genres")
    side = Side.start(rated, features, rows.shape[1], np.sqrt(counts))
    side.rows[:] = rows
    side.relink(float(np.sqrt(len(rated.indices))))
    known = (counts > 0)[:, None]
    return side.link.astype(np.float32), np.where(known, rows, side.prior)

"""One side of a factorization in training: users or movies, and what their rows are pulled to."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from matinee._types import F32, F64, U16
from matinee.data.catalog import Catalog
from matinee.data.ratings import Ratings
from matinee.kernels.als import add_up_rows
from matinee.kernels.csr import Rows, sum_over_entries, transpose
from matinee.kernels.linalg import float16_buffer, to_float16
from matinee.kernels.parallel import aligned_zeros, balanced_blocks, run_blocks

SPAN = 5  # years that count as the same time


@dataclass
class FactorMatrix:
    """Users or movies: their ratings, their rows, and the prior mean of each."""

    interactions: Rows
    weights: F64  # (rows,) of the pull to the prior mean; 0: pulls at nothing
    features: Rows  # a row each: the constant is column 0
    weighted_features: Rows  # the same by feature, times the weights
    gram: F64  # (features, features): weighted products of features
    rows: F32  # (rows, width)
    link: F64  # (features, width)
    prior: F32  # (rows, width) = features @ link
    solver: F64 | None = None  # from weighted rows to the link
    halves: U16 | None = None  # room for what `halved` gives

    @classmethod
    def start(
        cls,
        interactions: Rows,
        features: F32,
        width: int,
        weights: F64,
    ) -> "FactorMatrix":
        """All rows zero, and all prior means.

        Parameters
        ----------
        interactions : Rows
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
        return cls(
            interactions, weights, sparse, by_feature, gram, rows, np.zeros((k, width)), prior
        )

    def warm_start(self, rows: F32, link: F32 | None = None) -> None:
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

    def halved(self, skip: int, threads: int | None = None) -> U16:
        """The rows as they are now, from column `skip` on, as conjugate gradients read them."""
        if self.halves is None:
            self.halves = float16_buffer(len(self.rows), self.rows.shape[1] - skip)
        to_float16(self.rows, skip, self.halves, threads)
        return self.halves

    def update_prior(self, link_ridge: float, threads: int | None = None) -> None:
        """The link that makes the prior means fit the rows best: weighted ridge regression."""
        right = np.empty_like(self.link)
        blocks = balanced_blocks(self.weighted_features.indptr)
        run_blocks(add_up_rows, blocks, *self.weighted_features, self.rows, right, threads=threads)
        if self.solver is None:  # once: a library's threads would keep the processors busy
            ridge = link_ridge * np.eye(len(self.gram))
            self.solver = np.asarray(np.linalg.inv(self.gram + ridge), np.float64)
        self.link = np.einsum("fg,gk->fk", self.solver, right)
        self._apply_link(threads)

    def _apply_link(self, threads: int | None = None) -> None:
        blocks = balanced_blocks(self.features.indptr)
        run_blocks(add_up_rows, blocks, *self.features, self.link, self.prior, threads=threads)

    def penalty(self, link_ridge: float) -> float:
        """Weighted squared distances of rows from their prior means, and the link's own size."""
        away = self.rows - self.prior
        distance = np.einsum("nk,nk->n", away, away)
        return float((self.weights * distance).sum() + link_ridge * np.square(self.link).sum())


def item_features(catalog: Catalog, features: str) -> F32:
    """What the prior mean of a movie depends on: a constant, genres, and when it came out.

    Parameters
    ----------
    catalog : Catalog
    features : {"none", "genres", "genres+years"}
        Years are spans of `SPAN`; a movie without a year is in none.

    Returns
    -------
    float32 (items, features)
        The constant first.
    """
    columns = [np.ones((len(catalog), 1), np.float32)]
    if features != "none":
        columns.append(catalog.genre_matrix)
    if features == "genres+years":
        span = (catalog.frame["year"] // SPAN).to_numpy()  # NaN where there is no year
        columns.append((span[:, None] == np.unique(span[span == span])).astype(np.float32))
    return np.concatenate(columns, axis=1)


def genre_prior(interactions: Rows, catalog: Catalog, rows: F32) -> tuple[F32, F32]:
    """What trained vectors of movies say of their genres, and movies without ratings by that.

    For trainers that know no prior mean: the link that `ALS` has in its loop is fitted afterwards.

    Parameters
    ----------
    interactions : Rows
        Ratings by movie.
    catalog : Catalog
    rows : float32 (items, width)

    Returns
    -------
    link : float32 (1 + genres, width)
    rows : float32 (items, width)
        Those of movies without ratings replaced.
    """
    counts = np.diff(interactions.indptr)
    features = item_features(catalog, "genres")
    side = FactorMatrix.start(interactions, features, rows.shape[1], np.sqrt(counts))
    side.rows[:] = rows
    side.update_prior(float(np.sqrt(len(interactions.indices))))
    known = (counts > 0)[:, None]
    return side.link.astype(np.float32), np.where(known, rows, side.prior)


SHARE = 0.5  # of the pull that would hold all noise down: see docs/defaults.md
LIST_SHARE = 0.27  # the same for lists: see docs/defaults.md


def noise_regularization(ratings: Ratings, exponent: float) -> float:
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
    >>> from matinee.data.synthetic import generate
    >>> data, _ = generate(users=60, items=50, ratings=1500, seed=0)
    >>> 0.5 < noise_regularization(data.ratings, 0.5) < 5
    True
    """
    spread = float(ratings.values.std(dtype=np.float64))
    sides = ratings.by_user, ratings.by_item
    prior_weights = [
        np.maximum(np.diff(side.indptr), 1).astype(np.float64) ** exponent for side in sides
    ]
    return SHARE * max(spread, float(np.finfo(np.float32).eps)) * _bound(sides, prior_weights)


def implicit_noise_regularization(
    sides: tuple[Rows, Rows], prior_weights: tuple[F64, F64]
) -> float:
    """The same for who watched what, where the pull of row u is d_u and that of row i is d_i.

    What is seen there of users who watch at random, each as much and each movie as often as they
    do, has singular values of at most about

        sqrt(mean sum_i 1 / (d_u d_i)) + sqrt(mean sum_u 1 / (d_u d_i))

    with means over positives of the sums over those of the same row.

    Parameters
    ----------
    sides : pair of Rows
        The positives by user and by movie.
    prior_weights : pair of float64 (rows,)
        Above 0 where a row has positives.
    """
    return LIST_SHARE * _bound(sides, prior_weights)


def _bound(sides: Sequence[Rows], prior_weights: Sequence[F64]) -> float:
    """Both means of row lengths of the matrix whose entries are ``1 / sqrt(d_u d_i)``."""
    lengths = 0.0
    for side, own, others in zip(sides, prior_weights, prior_weights[::-1], strict=True):
        sums = np.empty(len(own))
        inverse = np.divide(1.0, others, out=np.zeros_like(others), where=others > 0)
        run_blocks(
            sum_over_entries,
            balanced_blocks(side.indptr),
            side.indptr,
            side.indices,
            inverse,
            sums,
        )
        weight = np.divide(np.diff(side.indptr), own, out=np.zeros_like(own), where=own > 0)
        lengths += math.sqrt((weight * sums).sum() / max(1, len(side.indices)))
    return lengths

"""The heads that know what people watch: factors, item to item weights, popularity."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from matinee.kernels.als import add_up_rows
from matinee.kernels.csr import Rows, take_rows
from matinee.kernels.implicit_als import improve_rows
from matinee.kernels.linalg import on_whole_lanes
from matinee.kernels.parallel import equal_blocks, run_blocks
from matinee.kernels.scoring import pack
from matinee.models.head import check_array
from matinee.models.implicit_feedback import CONFIDENCES, positives, shared_gram
from matinee.models.packed_items import Products
from matinee.models.queries import Audience

UNTIL_SOLVED = 100  # conjugate gradient steps at most; rows stop when they are solved


@dataclass(frozen=True, eq=False)
class RankingFactors:
    """``score(u, i) = p_u . q_i``, near 1 for what the viewer would watch and 0 for the rest.

    Parameters
    ----------
    user_rows, item_rows : float32 (users, factors), (items, factors)
        A movie without positives has the row that its genres give it.
    nobody : float32 (factors,)
        The row of a viewer without positives: the average one.
    popularity : float32 (items,)
        Positives of each movie in training.
    regularization, exponent, unobserved : float
        As in training, for new viewers.
    liked : float or None
        Least stars of a positive; None: every rating is one.
    confidence : str
    average : float
        What confidence is relative to.
    trainer : dict
    history : polars.DataFrame
    """

    user_rows: NDArray[np.float32]
    item_rows: NDArray[np.float32]
    nobody: NDArray[np.float32]
    popularity: NDArray[np.float32]
    regularization: float
    exponent: float
    unobserved: float
    liked: float | None
    confidence: str
    average: float
    trainer: Mapping[str, Any]
    history: pl.DataFrame

    @property
    def vectors(self) -> NDArray[np.float32] | None:
        """(items, factors) float32: what movies are compared by."""
        return self.item_rows

    @property
    def viewer_vectors(self) -> NDArray[np.float32] | None:
        """(users, factors) float32."""
        return self.user_rows

    @cached_property
    def products(self) -> Products:
        """Its movies packed for scoring; made when it is first asked for scores."""
        panels = pack(self.item_rows, self.user_rows, biased=False)
        return Products(np.float32(0.0), False, panels)

    @cached_property
    def _whole(self) -> NDArray[np.float32]:
        """The weight of the unobserved times the sum of q q' over movies with positives."""
        known = self.item_rows * (self.popularity > 0)[:, None]
        return shared_gram(known, self.unobserved)

    @cached_property
    def _wide_rows(self) -> NDArray[np.float32]:
        return on_whole_lanes(self.item_rows)

    def _penalty(self, counts: NDArray[np.integer]) -> NDArray[np.float32]:
        movies = np.count_nonzero(self.popularity)
        weight = (counts + self.unobserved * movies) ** self.exponent
        return (self.regularization * weight).astype(np.float32)

    def rows(self, audience: Audience) -> NDArray[np.float32]:
        """Factors of each viewer, float32 (viewers, factors); see `RatingHead.rows`."""
        rows = self.user_rows[audience.codes]
        new = np.flatnonzero(audience.codes < 0)
        if len(new):
            watched = self._positives(take_rows(audience.rated, new))
            solved = np.zeros((len(new), rows.shape[1]), np.float32)
            run_blocks(
                improve_rows,
                equal_blocks(watched.indptr),
                *watched,
                self._wide_rows,
                self._whole,
                self._penalty(np.diff(watched.indptr)),
                np.zeros_like(solved),
                solved,
                UNTIL_SOLVED,
            )
            solved[np.diff(watched.indptr) == 0] = self.nobody
            rows[new] = solved
        return rows

    def scores(self, audience: Audience, threads: int | None = None) -> NDArray[np.float32]:
        """Score of every movie for every viewer, float32 (viewers, items)."""
        return self.products.scores(self.rows(audience), len(self.item_rows), threads)

    def contributions(
        self, audience: Audience, item: int
    ) -> tuple[dict[str, float], NDArray[np.float64]]:
        """What each positive adds: ``c_j q_i A^-1 q_j`` (Hu et al. 2008, section 5), in float64."""
        watched = self._positives(audience.rated)
        from_ratings = np.zeros(len(audience.rated.indices))
        q = self.item_rows.astype(np.float64)
        if len(watched.indices) == 0:
            return {"prior": float(q[item] @ self.nobody)}, from_ratings
        design = q[watched.indices]
        normal = self._whole + (design.T * watched.values) @ design
        normal[np.diag_indices_from(normal)] += self._penalty(np.array([len(design)]))[0]
        parts = watched.values * (design @ np.linalg.solve(normal, q[item]))
        from_ratings[np.isin(audience.rated.indices, watched.indices)] = parts
        return {}, from_ratings

    def _positives(self, rated: Rows) -> Rows:
        return positives(rated, self.liked, self.confidence, self.average)

    def check(self, viewers: int, movies: int, genres: int) -> None:
        """Raise ValueError unless all fields fit together and a model of that size."""
        width = len(self.nobody)
        check_array("user_rows", self.user_rows, (viewers, width))
        check_array("item_rows", self.item_rows, (movies, width))
        check_array("nobody", self.nobody, (width,))
        check_array("popularity", self.popularity, (movies,))
        positive = (self.regularization, self.unobserved, self.average)
        if not (all(0 < value < np.inf for value in positive) and 0 <= self.exponent <= 2):
            raise ValueError("a setting of the ranking head makes no sense")
        if self.confidence not in CONFIDENCES or (self.popularity < 0).any() or width < 1:
            raise ValueError("a setting of the ranking head makes no sense")


@dataclass(frozen=True, eq=False)
class ItemWeights:
    """``score(u, i) = sum over the viewer's positives j of weights[j, i]``.

    Parameters
    ----------
    weights : float32 (items, items)
    popularity : float32 (items,)
        Positives of each movie in training: the scores of a viewer without positives.
    liked : float or None
    trainer : dict
    history : polars.DataFrame
    """

    weights: NDArray[np.float32]
    popularity: NDArray[np.float32]
    liked: float | None
    trainer: Mapping[str, Any]
    history: pl.DataFrame

    @property
    def vectors(self) -> NDArray[np.float32] | None:
        """(items, items) float32: what else the viewers of a movie watch."""
        return self.weights

    @property
    def viewer_vectors(self) -> NDArray[np.float32] | None:
        """None: a viewer is what they watched."""
        return None

    def scores(self, audience: Audience, threads: int | None = None) -> NDArray[np.float32]:
        """Score of every movie for every viewer, float32 (viewers, items)."""
        watched = positives(audience.rated, self.liked)
        out = np.empty((len(audience), len(self.weights)), np.float32)
        blocks = equal_blocks(watched.indptr)
        run_blocks(add_up_rows, blocks, *watched, self.weights, out, threads=threads)
        out[np.diff(watched.indptr) == 0] = self.popularity
        return out

    def contributions(
        self, audience: Audience, item: int
    ) -> tuple[dict[str, float], NDArray[np.float64]]:
        """The weight from each positive to the movie."""
        watched = positives(audience.rated, self.liked)
        from_ratings = np.zeros(len(audience.rated.indices))
        if len(watched.indices) == 0:
            return {"movie": float(self.popularity[item])}, from_ratings
        mine = np.isin(audience.rated.indices, watched.indices)
        from_ratings[mine] = self.weights[watched.indices, item]
        return {}, from_ratings

    def check(self, viewers: int, movies: int, genres: int) -> None:
        """Raise ValueError unless all fields fit together and a model of that size."""
        check_array("weights", self.weights, (movies, movies))
        check_array("popularity", self.popularity, (movies,))


@dataclass(frozen=True, eq=False)
class PopularityHead:
    """``score(u, i)`` = how many viewers watched the movie, whoever asks.

    Parameters
    ----------
    popularity : float32 (items,)
        Positives of each movie in training.
    trainer : dict
    history : polars.DataFrame
    """

    popularity: NDArray[np.float32]
    trainer: Mapping[str, Any]
    history: pl.DataFrame

    @property
    def vectors(self) -> NDArray[np.float32] | None:
        """None: popularity does not tell which movies are alike."""
        return None

    @property
    def viewer_vectors(self) -> NDArray[np.float32] | None:
        """None: all viewers are the same."""
        return None

    def scores(self, audience: Audience, threads: int | None = None) -> NDArray[np.float32]:
        """Score of every movie for every viewer, float32 (viewers, items)."""
        return np.tile(self.popularity, (len(audience), 1))

    def contributions(
        self, audience: Audience, item: int
    ) -> tuple[dict[str, float], NDArray[np.float64]]:
        """The movie's viewers, and nothing from the viewer's own ratings."""
        return {"movie": float(self.popularity[item])}, np.zeros(len(audience.rated.indices))

    def check(self, viewers: int, movies: int, genres: int) -> None:
        """Raise ValueError unless all fields fit together and a model of that size."""
        check_array("popularity", self.popularity, (movies,))

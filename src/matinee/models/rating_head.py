"""The head that knows stars: two matrices whose rows are biases and factors."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from matinee.kernels.als import predict_pairs, solve_rows_exact
from matinee.kernels.csr import take_rows
from matinee.kernels.parallel import equal_blocks, even_blocks, run_blocks
from matinee.kernels.scoring import pack
from matinee.models.head import check_array
from matinee.models.packed_items import Products
from matinee.models.queries import Audience

FEW_PAIRS = 1000  # sooner scored than another thread would start
ROUNDING = 1e-4  # stars: what float32 rows may be off the exact solution


@dataclass(frozen=True, eq=False)
class RatingHead:
    """``score(u, i) = mean + b_u + b_i + p_u . q_i``, in stars.

    Parameters
    ----------
    mean : float
        Mean stars of the training ratings.
    user_rows, item_rows : float32 (users, 1 + factors), (items, 1 + factors)
        Bias first, then factors.
    user_prior : float32 (1 + factors,)
        The row of a viewer about whom nothing is known.
    genre_rows : float32 (1 + genres, 1 + factors)
        What makes the prior mean of a movie: a constant, then a row for each genre that was a
        feature (none if features were off).
    regularization, exponent : float
        As in training, for new viewers.
    trainer : dict
    history : polars.DataFrame
        One row per iteration: loss, train and test error, seconds since the start.
    """

    mean: float
    user_rows: NDArray[np.float32]
    item_rows: NDArray[np.float32]
    user_prior: NDArray[np.float32]
    genre_rows: NDArray[np.float32]
    regularization: float
    exponent: float
    trainer: Mapping[str, Any]
    history: pl.DataFrame

    @property
    def vectors(self) -> NDArray[np.float32] | None:
        """(items, factors) float32: what movies are compared by; None without factors."""
        return self.item_rows[:, 1:] if self.item_rows.shape[1] > 1 else None

    @property
    def viewer_vectors(self) -> NDArray[np.float32] | None:
        """(users, factors) float32: factors without the bias; None without factors."""
        return self.user_rows[:, 1:] if self.user_rows.shape[1] > 1 else None

    @cached_property
    def products(self) -> Products:
        """Its movies packed for scoring; made when it is first asked for scores."""
        panels = pack(self.item_rows, self.user_rows, biased=True)
        return Products(np.float32(self.mean), True, panels)

    def rows(self, audience: Audience) -> NDArray[np.float32]:
        """Bias and factors of each viewer, float32 (viewers, 1 + factors).

        Of a training viewer their own; of somebody new the row that training would have solved
        for them with everything else as it is.
        """
        rows = self.user_rows[audience.codes]
        new = np.flatnonzero(audience.codes < 0)
        if len(new):
            rated = take_rows(audience.rated, new)
            solved = np.empty((len(new), rows.shape[1]), np.float32)
            run_blocks(
                solve_rows_exact,
                equal_blocks(rated.indptr),
                *rated,
                np.float32(self.mean),
                self.item_rows,
                np.tile(self.user_prior, (len(new), 1)),
                np.float32(self.regularization),
                np.float32(self.exponent),
                solved,
            )
            rows[new] = solved
        return rows

    def scores(self, audience: Audience, threads: int | None = None) -> NDArray[np.float32]:
        """Stars of every movie for every viewer, not clipped, float32 (viewers, items)."""
        return self.products.scores(self.rows(audience), len(self.item_rows), threads)

    def pairs(
        self,
        users: NDArray[np.int32],
        items: NDArray[np.int32],
        times: NDArray[np.int64] | None = None,
        threads: int | None = None,
    ) -> NDArray[np.float32]:
        """Stars of pairs, not clipped; -1 is the viewer or movie nothing is known of."""
        stars = np.empty(len(users), np.float32)
        run_blocks(
            predict_pairs,
            even_blocks(len(users), FEW_PAIRS),
            users,
            items,
            np.float32(self.mean),
            self.user_rows,
            self.item_rows,
            self.user_prior,
            self.genre_rows[0],
            stars,
            threads=threads,
        )
        return stars

    def listed(
        self, audience: Audience, who: NDArray[np.intp], items: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        """Stars of movie ``items[k]`` for viewer ``who[k]`` of the audience, not clipped."""
        here = replace(self, user_rows=self.rows(audience))
        return here.pairs(who.astype(np.int32), items)

    def contributions(
        self, audience: Audience, item: int
    ) -> tuple[dict[str, float], NDArray[np.float64]]:
        """Mean, bias, prior, and what each rating adds.

        A viewer's row is ridge regression on their ratings, so it is linear in them: with design
        rows ``z = [1, q]``, A the normal matrix and m the prior mean,

            score(u, i) = mean + b_i + z_i . m + sum_j (z_i A^-1 z_j) * (stars_j - what m predicts)

        (Hu, Koren & Volinsky 2008, section 5, with biases and a prior mean). In float64. Gradient
        steps end near that solution, not at it; ``"training"`` is what they leave.
        """
        _, codes, stars = audience.rated
        prior = self.user_prior.astype(np.float64)
        rows = self.item_rows[codes].astype(np.float64)
        design = np.column_stack([np.ones(len(rows)), rows[:, 1:]])
        target = np.concatenate([[1.0], self.item_rows[item, 1:]]).astype(np.float64)
        surprise = stars - self.mean - rows[:, 0] - design @ prior
        normal = design.T @ design
        penalty = self.regularization * max(1, len(codes)) ** self.exponent
        normal[np.diag_indices_from(normal)] += penalty
        from_ratings = (design @ np.linalg.solve(normal, target)) * surprise
        general = {
            "mean": self.mean,
            "movie": float(self.item_rows[item, 0]),
            "prior": float(target @ prior),
        }
        if audience.codes[0] >= 0:
            own = self.user_rows[audience.codes[0]].astype(np.float64) - prior
            left = float(target @ own - from_ratings.sum())
            if abs(left) > ROUNDING:
                general["training"] = left
        return general, from_ratings

    def check(self, viewers: int, movies: int, genres: int) -> None:
        """Raise ValueError unless all fields fit together and a model of that size."""
        width, linked = len(self.user_prior), len(self.genre_rows)
        if width < 1 or linked not in (1, 1 + genres):
            raise ValueError("the vectors do not fit the genres")
        check_array("user_rows", self.user_rows, (viewers, width))
        check_array("item_rows", self.item_rows, (movies, width))
        check_array("user_prior", self.user_prior, (width,))
        check_array("genre_rows", self.genre_rows, (linked, width))
        if not (np.isfinite(self.mean) and 0 < self.regularization < np.inf):
            raise ValueError("a setting of the rating head makes no sense")
        if not 0 <= self.exponent <= 1:
            raise ValueError("a setting of the rating head makes no sense")

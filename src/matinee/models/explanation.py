"""Splitting a score into what each of the viewer's own ratings contributes to it."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from matinee.data import Catalog
from matinee.models.viewer import Viewer


def contributions(
    viewer: Viewer,
    mean: np.float32,
    item_rows: NDArray[np.float32],
    item: int,
    prior: NDArray[np.float32],
    penalty: float,
) -> tuple[float, NDArray[np.float64]]:
    """The parts of a score beyond the mean and the movie's bias.

    A viewer's row is ridge regression on their ratings, so it is linear in them: with design
    rows ``z = [1, q]``, A the normal matrix and m the prior mean,

        score(u, i) = mean + b_i + z_i . m + sum_j (z_i A^-1 z_j) * (stars_j - what m predicts)

    (Hu, Koren & Volinsky 2008, section 5, with biases and a prior mean). Computed in float64.

    Parameters
    ----------
    viewer : Viewer
        With a row solved from `item_rows`, `prior` and `penalty`.
    mean : float32
    item_rows : float32 (items, 1 + factors)
    item : int
        Code of the movie.
    prior : float32 (1 + factors,)
    penalty : float
        Of the viewer's squared distance from the prior mean.

    Returns
    -------
    from_prior : float
        ``z_i . m``
    from_ratings : float64 (n,)
        The terms of the sum, in the order of ``viewer.items``.
    """
    rows = item_rows[viewer.items].astype(np.float64)
    design = np.column_stack([np.ones(len(rows)), rows[:, 1:]])
    target = np.concatenate([[1.0], item_rows[item, 1:]]).astype(np.float64)
    surprise = viewer.stars - float(mean) - rows[:, 0] - design @ prior.astype(np.float64)
    normal = design.T @ design
    normal[np.diag_indices_from(normal)] += penalty
    from_ratings = (design @ np.linalg.solve(normal, target)) * surprise
    return float(target @ prior), from_ratings


def parts_of_a_score(
    catalog: Catalog,
    viewer: Viewer,
    general: tuple[float, float, float],
    from_ratings: NDArray[np.float64],
) -> pl.DataFrame:
    """Mean, movie and prior, then the ratings by weight, as `FactorModel.explain` returns them."""
    order = np.argsort(-np.abs(from_ratings), kind="stable")
    codes = viewer.items[order]
    rated = catalog.rows(codes).select(
        part=pl.lit("rating"),
        item="item",
        title="title",
        stars=pl.Series(viewer.stars[order]),
        contribution=pl.Series(from_ratings[order]),
    )
    first = pl.DataFrame({"part": ["mean", "movie", "prior"], "contribution": general})
    return pl.concat([first, rated], how="diagonal").select(rated.columns)

"""Splitting a score into what each of the viewer's own ratings contributes to it."""

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from matinee.models.viewer import Viewer

if TYPE_CHECKING:
    from matinee.models.factor_model import FactorModel


def explain_score(model: "FactorModel", viewer: Viewer, item: int) -> pl.DataFrame:
    """Parts of ``score(viewer, item)``; see `FactorModel.explain`.

    A viewer's row is ridge regression on their ratings, so it is linear in them: with design
    rows ``z = [1, q]``, A the normal matrix and m the prior mean,

        score(u, i) = mean + b_i + z_i . m + sum_j (z_i A^-1 z_j) * (stars_j - what m predicts)

    (Hu, Koren & Volinsky 2008, section 5, with biases and a prior mean). Computed in float64.
    """
    rows = model.item_rows.astype(np.float64)[viewer.items]
    design = np.column_stack([np.ones(len(rows)), rows[:, 1:]])
    target_row = model.item_rows[item].astype(np.float64)
    target = np.concatenate([[1.0], target_row[1:]])
    prior = model.user_prior.astype(np.float64)
    surprise = viewer.stars - float(model.mean) - rows[:, 0] - design @ prior
    normal = design.T @ design
    penalty = model.regularization * max(1, len(rows)) ** model.exponent
    normal[np.diag_indices_from(normal)] += penalty
    contributions = (design @ np.linalg.solve(normal, target)) * surprise
    order = np.argsort(-np.abs(contributions), kind="stable")
    codes = viewer.items[order]
    given = pl.DataFrame(
        {
            "part": ["rating"] * len(order),
            "item": model.items[codes],
            "title": model.catalog.frame["title"][codes],
            "stars": pl.Series(viewer.stars[order]),
            "contribution": contributions[order],
        }
    )
    general = pl.DataFrame(
        {
            "part": ["mean", "movie", "viewer"],
            "contribution": [float(model.mean), target_row[0], float(target @ prior)],
        }
    )
    return pl.concat([general, given], how="diagonal").select(given.columns)

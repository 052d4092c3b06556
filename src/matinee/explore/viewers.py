"""Looking at one viewer."""

from typing import Any

import numpy as np
import polars as pl

from matinee.models import FactorModel


def favourites(model: FactorModel, user: Any, n: int = 10) -> pl.DataFrame:
    """The movies a viewer gave most stars to, the best known first among equals.

    Parameters
    ----------
    user : id or Viewer
    n : int

    Returns
    -------
    polars.DataFrame
        Columns `item`, `title`, `genres`, `stars` (as given).
    """
    viewer = model.viewer(user)
    order = np.lexsort((-model.item_counts[viewer.items], -viewer.stars))[:n]
    best = model.catalog.rows(viewer.items[order])
    return best.with_columns(stars=pl.Series(viewer.stars[order]))


def typical_viewer(model: FactorModel) -> Any:
    """Id of the first viewer with about as many training ratings as most."""
    counts = np.diff(model.rated.indptr)
    known = np.flatnonzero(counts)
    distance = np.abs(counts[known] - np.median(counts[known]))
    return model.user_ids.values[int(known[distance.argmin()])]

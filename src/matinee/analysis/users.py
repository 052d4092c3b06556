"""Looking at one viewer."""

from typing import Any

import numpy as np
import polars as pl

from matinee.analysis.traits import stars_of_movies, traits_of_movies
from matinee.errors import SettingError
from matinee.kernels.csr import Rows
from matinee.models.queries import Viewer
from matinee.models.recommender import FactorModel


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
    viewer = _checked(model, user)
    order = np.lexsort((-model.item_counts[viewer.items], -viewer.stars))[:n]
    best = model.catalog.rows(viewer.items[order])
    return best.with_columns(stars=pl.Series(viewer.stars[order]))


def typical_viewer(model: FactorModel, quantile: float = 0.5) -> Any:
    """Id of the first viewer with about as many training ratings as most.

    Or as a given part of all viewers have at most.

    Parameters
    ----------
    model : FactorModel
    quantile : float
        From 0, the least active viewer, to 1, the most active.

    Raises
    ------
    SettingError
        For another quantile.
    """
    if not 0 <= quantile <= 1:
        raise SettingError(f"A quantile lies between 0 and 1, not at {quantile:g}.")
    counts = np.diff(model.rated.indptr)
    known = np.flatnonzero(counts)
    distance = np.abs(counts[known] - np.quantile(counts[known], quantile))
    return model.user_ids.values[int(known[distance.argmin()])]


def taste(model: FactorModel, user: Any) -> pl.DataFrame:
    """What a viewer watches and likes, beside the average viewer.

    Parameters
    ----------
    user : id or Viewer

    Returns
    -------
    polars.DataFrame
        Columns `trait`, `kind` (``"genre"``, ``"years"``, ``"popularity"``), `share` (of their
        ratings that went to movies with the trait), `share_of_all` (the same, mean over all
        training viewers), `stars` (mean they gave to such movies; null if they rated none),
        `stars_of_all` (mean that everybody gave).

    Examples
    --------
    >>> import matinee
    >>> from matinee.data.synthetic import generate
    >>> data, _ = generate(viewers=60, movies=50, ratings=1500, seed=0)
    >>> model = matinee.BiasOnly().fit(data)
    >>> bands = taste(model, 1).filter(pl.col("kind") == "popularity")
    >>> round(bands["share"].sum(), 6), round(bands["share_of_all"].sum(), 6)
    (1.0, 1.0)
    """
    viewer = _checked(model, user)
    traits = traits_of_movies(model)
    n = len(viewer.items)
    own = Rows(np.array([0, n], np.int64), viewer.items, viewer.stars)
    counts = model.item_counts
    stars_of = stars_of_movies(model)
    mine = traits.matrix[viewer.items]
    with np.errstate(invalid="ignore"):
        columns = {
            "share": traits.of_viewers(own)[0],
            "share_of_all": np.nanmean(traits.of_viewers(model.rated), axis=0),
            "stars": (viewer.stars @ mine) / mine.sum(axis=0),
            "stars_of_all": (stars_of @ traits.matrix) / (counts @ traits.matrix),
        }
    return pl.DataFrame(
        {
            "trait": traits.names,
            "kind": traits.kinds,
            **{name: pl.Series(values, dtype=pl.Float64) for name, values in columns.items()},
        },
        schema_overrides={"trait": pl.String, "kind": pl.String},
    ).with_columns(pl.selectors.float().fill_nan(None))


def reasons(model: FactorModel, user: Any, n: int = 10, because: int = 3) -> pl.DataFrame:
    """What a viewer should watch, each with the ratings that speak most for it.

    Parameters
    ----------
    user : id or Viewer
    n : int
    because : int
        Ratings named, at most; none by a model whose scores do not come apart.

    Returns
    -------
    polars.DataFrame
        As of `FactorModel.recommend`, and `because` (titles, the weightiest first).
    """
    found = model.recommend(user, n)
    audience, head = model.audience([user]), model.head()
    rated = audience.rated.indices
    titles: list[list[str]] = []
    for code in model.catalog.ids.codes(found["item"].to_list()):
        try:
            _, adds = head.contributions(audience, int(code))
        except SettingError:  # a network: its scores are no sum over ratings
            titles.append([])
            continue
        best = np.argsort(-adds, kind="stable")[:because]
        titles.append([model.catalog.titles[rated[at]] for at in best if adds[at] > 0])
    return found.with_columns(because=pl.Series(titles, dtype=pl.List(pl.String)))


def _checked(model: FactorModel, user: Any) -> Viewer:
    """The viewer, whose ratings are of movies this model has; SettingError for another's."""
    audience = model.audience([user])
    return Viewer(audience.rated.indices, audience.rated.values)

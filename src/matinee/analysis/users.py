"""Looking at one user."""

from typing import Any

import numpy as np
import polars as pl

from matinee.analysis.traits import item_mean_ratings, traits_of_items
from matinee.errors import SettingError
from matinee.kernels.csr import Rows
from matinee.models.queries import UserProfile
from matinee.models.recommender import Recommender


def top_rated(model: Recommender, user: Any, n: int = 10) -> pl.DataFrame:
    """The movies a user gave most stars to, the best known first among equals.

    Parameters
    ----------
    user : id or UserProfile
    n : int

    Returns
    -------
    polars.DataFrame
        Columns `item`, `title`, `genres`, `values` (as given).
    """
    profile = _checked(model, user)
    order = np.lexsort((-model.item_counts[profile.items], -profile.values))[:n]
    best = model.catalog.rows(profile.items[order])
    return best.with_columns(values=pl.Series(profile.values[order]))


def typical_user(model: Recommender, quantile: float = 0.5) -> Any:
    """Id of the first user with about as many training ratings as most.

    Or as a given part of all users have at most.

    Parameters
    ----------
    model : Recommender
    quantile : float
        From 0, the least active user, to 1, the most active.

    Raises
    ------
    SettingError
        For another quantile.
    """
    if not 0 <= quantile <= 1:
        raise SettingError(f"A quantile lies between 0 and 1, not at {quantile:g}.")
    counts = np.diff(model.interactions.indptr)
    known = np.flatnonzero(counts)
    distance = np.abs(counts[known] - np.quantile(counts[known], quantile))
    return model.user_ids.values[int(known[distance.argmin()])]


def genre_profile(model: Recommender, user: Any) -> pl.DataFrame:
    """What a user watches and likes, beside the average user.

    Parameters
    ----------
    user : id or UserProfile

    Returns
    -------
    polars.DataFrame
        Columns `trait`, `kind` (``"genre"``, ``"years"``, ``"popularity"``), `share` (of their
        ratings that went to movies with the trait), `share_of_all` (the same, mean over all
        training users), `values` (mean they gave to such movies; null if they rated none),
        `values_of_all` (mean that everybody gave).

    Examples
    --------
    >>> import matinee
    >>> from matinee.data.synthetic import generate
    >>> data, _ = generate(users=60, items=50, ratings=1500, seed=0)
    >>> model = matinee.Bias().fit(data)
    >>> bands = genre_profile(model, 1).filter(pl.col("kind") == "popularity")
    >>> round(bands["share"].sum(), 6), round(bands["share_of_all"].sum(), 6)
    (1.0, 1.0)
    """
    profile = _checked(model, user)
    traits = traits_of_items(model)
    n = len(profile.items)
    own = Rows(np.array([0, n], np.int64), profile.items, profile.values)
    counts = model.item_counts
    rating_of = item_mean_ratings(model)
    mine = traits.matrix[profile.items]
    with np.errstate(invalid="ignore"):
        columns = {
            "share": traits.of_users(own)[0],
            "share_of_all": np.nanmean(traits.of_users(model.interactions), axis=0),
            "rating": (profile.values @ mine) / mine.sum(axis=0),
            "stars_of_all": (rating_of @ traits.matrix) / (counts @ traits.matrix),
        }
    return pl.DataFrame(
        {
            "trait": traits.names,
            "kind": traits.kinds,
            **{name: pl.Series(values, dtype=pl.Float64) for name, values in columns.items()},
        },
        schema_overrides={"trait": pl.String, "kind": pl.String},
    ).with_columns(pl.selectors.float().fill_nan(None))


def explain_recommendations(
    model: Recommender, user: Any, n: int = 10, because: int = 3
) -> pl.DataFrame:
    """What a user should watch, each with the ratings that speak most for it.

    Parameters
    ----------
    user : id or UserProfile
    n : int
    because : int
        Ratings named, at most; none by a model whose scores do not come apart.

    Returns
    -------
    polars.DataFrame
        As of `Recommender.recommend`, and `because` (titles, the weightiest first).
    """
    found = model.recommend(user, n)
    user_batch, head = model.user_batch([user]), model.head()
    interactions = user_batch.interactions.indices
    titles: list[list[str]] = []
    for code in model.catalog.ids.codes(found["item_id"].to_list()):
        try:
            _, adds = head.contributions(user_batch, int(code))
        except SettingError:  # a network: its scores are no sum over ratings
            titles.append([])
            continue
        best = np.argsort(-adds, kind="stable")[:because]
        titles.append([model.catalog.titles[interactions[at]] for at in best if adds[at] > 0])
    return found.with_columns(because=pl.Series(titles, dtype=pl.List(pl.String)))


def _checked(model: Recommender, user: Any) -> UserProfile:
    """The user, whose ratings are of movies this model has; SettingError for another's."""
    user_batch = model.user_batch([user])
    return UserProfile(user_batch.interactions.indices, user_batch.interactions.values)

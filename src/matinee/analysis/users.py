"""One user: the ratings behind their recommendations, and how they differ from the average user."""

from typing import Any

import numpy as np
import polars as pl

from matinee.analysis.traits import item_rating_sums, traits_of_items
from matinee.errors import SettingError
from matinee.kernels.csr import Rows
from matinee.models.profiles import UserProfile
from matinee.models.recommender import Recommender


def top_rated(model: Recommender, user: Any, n: int = 10) -> pl.DataFrame:
    """The n items a user rated highest, the most popular first among equals.

    `user` is an id or a UserProfile. Columns `item_id`, `title`, `genres`, `rating` (as given); of
    interactions without ratings `weight` (how often), the highest first.
    """
    profile = _checked(model, user)
    order = np.lexsort((-model.item_counts[profile.items], -profile.values))[:n]
    best = model.catalog.rows(profile.items[order])
    name = "weight" if model.scale is None else "rating"
    return best.with_columns(pl.Series(name, profile.values[order]))


def typical_user(model: Recommender, quantile: float = 0.5) -> Any:
    """Id of the first user whose number of training ratings is nearest to a quantile of all users'.

    `quantile` is from 0, the least active user, to 1, the most active; SettingError otherwise.
    """
    if not 0 <= quantile <= 1:
        raise SettingError(f"quantile must be between 0 and 1, got {quantile:g}.")
    counts = model.user_counts
    active = np.flatnonzero(counts)
    distance = np.abs(counts[active] - np.quantile(counts[active], quantile))
    return model.user_ids.values[int(active[distance.argmin()])]


def genre_profile(model: Recommender, user: Any) -> pl.DataFrame:
    """What a user (id or UserProfile) watches and likes, beside the average user.

    Columns `trait`, `kind` (``"genre"``, ``"decade"``, ``"popularity"``), `share` (of the user's
    ratings that went to items with the trait), `share_of_all` (its mean over all training users),
    `mean_rating` (that the user gave to such items; null if they rated none) and
    `mean_rating_of_all` (over all users); both are null for interactions without ratings.

    Examples
    --------
    >>> model = matinee.Bias().fit(data)
    >>> bands = genre_profile(model, 1).filter(pl.col("kind") == "popularity")
    >>> round(bands["share"].sum(), 6), round(bands["share_of_all"].sum(), 6)
    (1.0, 1.0)
    """
    profile = _checked(model, user)
    traits = traits_of_items(model)
    row = Rows(np.array([0, len(profile.items)], np.int64), profile.items, profile.values)
    rated = traits.matrix[profile.items]
    counts, sums = model.item_counts, item_rating_sums(model)
    with np.errstate(invalid="ignore"):
        columns = {
            "share": traits.of_users(row)[0],
            "share_of_all": np.nanmean(traits.of_users(model.interactions), axis=0),
            "mean_rating": (profile.values @ rated) / rated.sum(axis=0),
            "mean_rating_of_all": (sums @ traits.matrix) / (counts @ traits.matrix),
        }
    if model.scale is None:
        columns |= dict.fromkeys(("mean_rating", "mean_rating_of_all"), None)
    names = {"trait": traits.names, "kind": traits.kinds}
    schema = dict.fromkeys(names, pl.String) | dict.fromkeys(columns, pl.Float64)
    return pl.DataFrame(names | columns, schema, nan_to_null=True)


def explain_recommendations(
    model: Recommender, user: Any, n: int = 10, because: int = 3, head: str | None = None
) -> pl.DataFrame:
    """The table of `Recommender.recommend`, with the ratings that contribute most to each score.

    The column `because` has at most so many titles, the largest contribution first; none by a model
    whose scores are no sum over ratings. `user` is an id or a UserProfile, `head` as there.
    """
    recommended = model.recommend(user, n, head=head)
    batch, order = model.user_batch([user]), model.head(head)
    rated = batch.interactions.indices
    codes = model.catalog.ids.codes(recommended["item_id"].to_list())
    try:
        _, contributions = order.contributions(batch, codes)
    except SettingError:  # a network, whose scores are no sum over ratings
        contributions = np.zeros((len(codes), len(rated)))
    largest = np.argsort(-contributions, axis=1, kind="stable")[:, :because]
    reasons = [
        [model.catalog.titles[rated[entry]] for entry in entries if of_item[entry] > 0]
        for entries, of_item in zip(largest, contributions, strict=True)
    ]
    return recommended.with_columns(because=pl.Series(reasons, dtype=pl.List(pl.String)))


def _checked(model: Recommender, user: Any) -> UserProfile:
    """The user's ratings; SettingError for the profile of another model."""
    batch = model.user_batch([user])
    return UserProfile(batch.interactions.indices, batch.interactions.values)

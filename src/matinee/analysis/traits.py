"""What movies have in common: genres, the decade they came out in, how well known they are."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from matinee._types import F32, F64, I32, Floats
from matinee.kernels.csr import Rows, sum_weighted_rows
from matinee.kernels.parallel import balanced_blocks, run_blocks
from matinee.models.recommender import Recommender

BANDS = {"best known 1 %": 0.01, "next 4 %": 0.05, "next 15 %": 0.2, "the other 80 %": 1.0}
"""Movies by the rank of their number of ratings: where each band ends, as a part of all."""
MOST_GENRES = 40  # the most frequent, that are told of
NO_GENRE = "no genre"


@dataclass(frozen=True, eq=False)
class ItemTraits:
    """Yes or no for each movie and trait.

    Parameters
    ----------
    names : list of str
        ``"Horror"``, ``"1980s"``, ``"best known 1 %"``.
    kinds : list of str
        ``"genre"``, ``"years"`` or ``"popularity"``.
    matrix : float32 (items, traits)
        1 where the movie has the trait.
    """

    names: list[str]
    kinds: list[str]
    matrix: F32

    def of_users(self, interactions: Rows) -> F32:
        """The part of each user's ratings that went to movies with the trait.

        Parameters
        ----------
        interactions : Rows
            A row for each user.

        Returns
        -------
        float32 (users, traits)
            nan for users without ratings.
        """
        indptr, indices, _ = interactions
        out = np.empty((len(indptr) - 1, len(self.names)), np.float32)
        ones = np.ones(len(indices), np.float32)
        run_blocks(
            sum_weighted_rows, balanced_blocks(indptr), indptr, indices, ones, self.matrix, out
        )
        with np.errstate(invalid="ignore"):
            out /= np.diff(indptr)[:, None]
        return out


def traits_of_items(model: Recommender) -> ItemTraits:
    """Genres (the `MOST_GENRES` most frequent), decades and bands of popularity of all movies."""
    catalog = model.catalog
    decade = (catalog.frame["year"] // 10 * 10).to_numpy()  # nan where there is no year
    decades = np.unique(decade[decade == decade])
    ranks = np.argsort(np.argsort(-model.item_counts, kind="stable"))
    ends = np.ceil(np.array(list(BANDS.values())) * len(catalog))
    band = np.searchsorted(ends, ranks, side="right")
    often = catalog.genre_matrix.sum(axis=0)
    told = np.sort(np.argsort(-often, kind="stable")[:MOST_GENRES])
    genres = [catalog.genre_names[at] for at in told]
    names = [*genres, *(f"{int(year)}s" for year in decades), *BANDS]
    kinds = ["genre"] * len(genres) + ["years"] * len(decades)
    kinds += ["popularity"] * len(BANDS)
    parts = [
        catalog.genre_matrix[:, told],
        (decade[:, None] == decades).astype(np.float32),
        (band[:, None] == np.arange(len(BANDS))).astype(np.float32),
    ]
    return ItemTraits(names, kinds, np.ascontiguousarray(np.concatenate(parts, axis=1)))


def lifts(traits: ItemTraits, members: Floats, labels: I32) -> pl.DataFrame:
    """What groups have more of than all of them together.

    Parameters
    ----------
    traits : ItemTraits
    members : float (n, traits)
        How much of each trait each member has, from 0 to 1.
    labels : int32 (n,)
        The group of each member, from 0.

    Returns
    -------
    polars.DataFrame
        Columns `group`, `trait`, `kind`, `share` (mean over the group), `share_of_all`, `lift`
        (one over the other) and `weight` (``share * log(lift)``: what the trait adds to the
        Kullback-Leibler divergence of the group from all, so that neither a rare trait of few
        members nor a common one of all stands out), the weightiest first within each group.
    """
    groups = int(labels.max()) + 1
    overall = members.mean(axis=0, dtype=np.float64)
    share = np.stack([members[labels == g].mean(axis=0, dtype=np.float64) for g in range(groups)])
    with np.errstate(divide="ignore", invalid="ignore"):
        lift = np.where(overall > 0, share / overall, 1.0)
        weight = np.where(share > 0, share * np.log(lift), 0.0)
    return pl.DataFrame(
        {
            "group": np.repeat(np.arange(groups), len(traits.names)),
            "trait": traits.names * groups,
            "kind": traits.kinds * groups,
            "share": share.ravel(),
            "share_of_all": np.tile(overall, groups),
            "lift": lift.ravel(),
            "weight": weight.ravel(),
        },
        schema_overrides={"trait": pl.String, "kind": pl.String},
    ).sort("group", "weight", descending=[False, True], maintain_order=True)


def main_genres(model: Recommender) -> list[str]:
    """One genre for each movie: the rarest it has, which says most; `NO_GENRE` without any."""
    catalog = model.catalog
    matrix = catalog.genre_matrix
    if matrix.shape[1] == 0:
        return [NO_GENRE] * len(catalog)
    rarity = np.where(matrix > 0, matrix.sum(axis=0), np.inf)
    names = np.array([*catalog.genre_names, NO_GENRE], dtype=object)
    chosen: list[str] = names[np.where(matrix.any(axis=1), rarity.argmin(axis=1), -1)].tolist()
    return chosen


def item_mean_ratings(model: Recommender) -> F64:
    """All stars that each movie got in training, added up, (movies,)."""
    _, items, values = model.interactions
    return np.asarray(np.bincount(items, values, len(model.catalog)), np.float64)

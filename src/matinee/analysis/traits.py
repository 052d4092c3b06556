"""Traits of items: genre, decade, popularity; and which groups have more of a trait."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from matinee._types import F32, F64, I32, Floats, Ints
from matinee.kernels.csr import Rows, sum_weighted_rows
from matinee.kernels.parallel import balanced_blocks, run_blocks
from matinee.models.recommender import Recommender

POPULARITY_BANDS = {"top 1%": 0.01, "next 4%": 0.05, "next 15%": 0.2, "bottom 80%": 1.0}
"""Where each band of items, ranked by number of ratings, ends: a share of all items."""
MAX_GENRES = 40  # the most frequent
NO_GENRE = "no genre"
ROWS_AT_ONCE = 4096  # of a matrix of genres, which may be wide


@dataclass(frozen=True, eq=False)
class ItemTraits:
    """Which item has which trait; `kinds` are "genre", "decade" and "popularity"."""

    names: list[str]
    kinds: list[str]
    matrix: F32  # (items, traits): 1 where the item has the trait

    def of_users(self, interactions: Rows) -> F32:
        """Share of each user's ratings given to items with the trait, (users, traits), or nan."""
        indptr, indices, _ = interactions
        shares = np.empty((len(indptr) - 1, len(self.names)), np.float32)
        ones = np.ones(len(indices), np.float32)
        blocks = balanced_blocks(indptr)
        run_blocks(sum_weighted_rows, blocks, indptr, indices, ones, self.matrix, shares)
        with np.errstate(invalid="ignore"):
            shares /= np.diff(indptr)[:, None]
        return shares


def traits_of_items(model: Recommender) -> ItemTraits:
    """The most frequent genres, the decades and the bands of popularity of all items."""
    catalog = model.catalog
    decade = (catalog.frame["year"] // 10 * 10).to_numpy()  # nan where there is no year
    decades = np.unique(decade[decade == decade])
    ranks = np.argsort(np.argsort(-model.item_counts, kind="stable"))
    ends = np.ceil(np.array(list(POPULARITY_BANDS.values())) * len(catalog))
    band = np.searchsorted(ends, ranks, side="right")
    chosen = frequent_genres(catalog.genre_matrix)
    named = {
        "genre": [catalog.genre_names[column] for column in chosen],
        "decade": [f"{int(year)}s" for year in decades],
        "popularity": list(POPULARITY_BANDS),
    }
    columns = [
        catalog.genre_matrix[:, chosen],
        (decade[:, None] == decades).astype(np.float32),
        (band[:, None] == np.arange(len(POPULARITY_BANDS))).astype(np.float32),
    ]
    return ItemTraits(
        [name for names in named.values() for name in names],
        [kind for kind, names in named.items() for _ in names],
        np.ascontiguousarray(np.concatenate(columns, axis=1)),
    )


def frequent_genres(matrix: F32) -> Ints:
    """The columns of the `MAX_GENRES` most frequent genres of an (items, genres) matrix."""
    return np.sort(np.argsort(-matrix.sum(axis=0), kind="stable")[:MAX_GENRES])


def lifts(traits: ItemTraits, members: Floats, labels: I32) -> pl.DataFrame:
    """How much more of each trait a group has than all groups together.

    `members` (n, traits) holds how much of each trait each member has, from 0 to 1; `labels` its
    group, from 0. Columns `group`, `trait`, `kind`, `share` (mean over the group), `share_of_all`,
    `lift` (their ratio) and `weight`, the largest first within a group: ``share * log(lift)``, what
    the trait adds to the Kullback-Leibler divergence of the group from all, so that neither a rare
    trait of few members nor a common one of all stands out.
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
    """One genre for each item: the rarest it has, which says most; `NO_GENRE` without any."""
    matrix, names = model.catalog.genre_matrix, model.catalog.genre_names
    if not names:
        return [NO_GENRE] * len(model.catalog)
    counts, choices, genres = matrix.sum(axis=0), [*names, NO_GENRE], []
    for start in range(0, len(matrix), ROWS_AT_ONCE):
        rows = matrix[start : start + ROWS_AT_ONCE]
        rarest = np.where(rows > 0, counts, np.float32(np.inf)).argmin(axis=1)
        rarest[~rows.any(axis=1)] = len(names)
        genres += [choices[column] for column in rarest]
    return genres


def item_rating_sums(model: Recommender) -> F64:
    """Sum of the training ratings of each item, (items,)."""
    _, items, values = model.interactions
    return np.asarray(np.bincount(items, values, len(model.catalog)), np.float64)

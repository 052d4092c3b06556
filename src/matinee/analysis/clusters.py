"""Groups of movies, or of users, whose vectors point the same way."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from matinee._types import F32, I32, I64, Ints
from matinee.analysis.embeddings import EmbeddingSet, item_embeddings, user_embeddings
from matinee.analysis.traits import ItemTraits, lifts, main_genres, traits_of_items
from matinee.errors import SettingError, require_extra
from matinee.evaluation.protocols import generator_of
from matinee.kernels.csr import take_rows
from matinee.models.recommender import Recommender
from matinee.progress import progress

TRIED = range(4, 17)  # numbers of clusters, where none is given
SEEDS = 5  # of the clusterings that are compared for stability
STARTS = 4  # of k-means; the best is kept
MANY = 20_000  # rows; k and stability are found on a sample of more
SAMPLE = 2_000  # rows that the silhouette is computed on
SHOWN = 5  # titles of a cluster
LEAST_LIFT = {"items": 1.25, "users": 1.1}  # of a trait that may name a cluster;
LEAST_SHARE = 0.1  # users differ less, for all watch a bit of everything
TWICE_NAMED = 3  # genres that a name has at most, where two have two in common


@dataclass(frozen=True, eq=False)
class Clusters:
    """A division into k clusters, numbered from the largest on, and how good it is.

    Parameters
    ----------
    space : EmbeddingSet
        What was divided.
    labels : int32 (n,)
        Cluster of each row of the space.
    table : polars.DataFrame
        A row for each cluster: `cluster`, `name`, `size`, `typical` (titles, or users' ids, whose
        vectors are nearest to the centre), `popular` (of movies, the most rated; of users, the
        movies that most of them have rated compared with everybody).
    traits : polars.DataFrame
        See `lifts`; `cluster` in place of `group`.
    silhouettes : polars.DataFrame
        `k`, `silhouette` of every k that was tried.
    silhouette : float
        From -1 to 1, by cosine distance: how much nearer the members of a cluster are to one
        another than to the next cluster. With so many dimensions, 0.2 is a lot.
    genre_agreement : float
        Normalized mutual information of clusters and `main_genres` (for users: the genre they
        watch most, compared with everybody), adjusted for chance (Vinh et al. 2010): 0 is what
        chance agrees, 1 is the same division.
    stability : float
        Mean adjusted Rand index between clusterings of other seeds: 1 if they agree.
    """

    space: EmbeddingSet
    labels: I32
    table: pl.DataFrame
    traits: pl.DataFrame
    silhouettes: pl.DataFrame
    silhouette: float
    genre_agreement: float
    stability: float

    @property
    def names(self) -> list[str]:
        """Name of each cluster."""
        return self.table["name"].to_list()

    def as_json(self) -> dict[str, Any]:
        """Plain values with stable keys."""
        return {
            "of": self.space.of,
            "head": self.space.head,
            "k": self.table.height,
            "silhouette": self.silhouette,
            "genre_agreement": self.genre_agreement,
            "stability": self.stability,
            "left_out": self.space.left_out,
            "clusters": self.table.to_dicts(),
            "traits": self.traits.to_dicts(),
            "silhouettes": self.silhouettes.to_dicts(),
        }


def find_clusters(
    model: Recommender,
    k: int | None = None,
    *,
    of: str = "items",
    head: str | None = None,
    seed: int = 0,
) -> Clusters:
    """Divide movies, or users, by k-means on the directions of their vectors.

    Parameters
    ----------
    model : Recommender
    k : int, optional
        By default the number from 4 to 16 with the highest silhouette.
    of : {"items", "users"}
        Those with at least ten training ratings.
    head : {"rating", "ranking"}, optional
        Whose vectors; by default those that `Recommender.similar_items` compares.
    seed : int

    Returns
    -------
    Clusters
        Named by the genres and years they hold more of than all movies here do (by a quarter at
        least; of users, a tenth more), if a tenth of the cluster has them.

    Raises
    ------
    SettingError
        For a number of clusters that makes no sense, or a head without vectors.

    Examples
    --------
    >>> import matinee
    >>> from matinee.data.synthetic import generate
    >>> data, _ = generate(users=200, items=150, ratings=8000, seed=0)
    >>> model = matinee.ALS(factors=4).fit(data)
    >>> found = find_clusters(model, 4)
    >>> found.table["size"].sum() == len(found.space)
    True
    >>> find_clusters(model, of="users").table.columns
    ['cluster', 'name', 'size', 'typical', 'popular']
    """
    require_extra("charts", "sklearn")
    from sklearn.metrics import adjusted_rand_score

    if of not in ("items", "users"):
        raise SettingError(f"Clusters are of 'movies' or of 'users', not of {of!r}.")
    space = item_embeddings(model, head) if of == "items" else user_embeddings(model, head)
    if k is not None and not 2 <= k < len(space):
        raise SettingError(f"k lies between 2 and {len(space) - 1} here, not at {k}.")
    rows = space.directions
    distinct = space.distinct  # vectors of a single factor have two
    if distinct < max(2, k or 2):
        raise SettingError(
            f"Vectors of {of} in {distinct} different directions make no {k or 2} clusters."
        )
    tried = [k] if k else [one for one in TRIED if one < distinct] or [2]
    some = rows[_sample(len(rows), MANY, seed)] if len(rows) > MANY else rows
    evaluated = _sample(len(some), SAMPLE, seed)  # the same for every k
    scores, divided = [], []
    with progress("Clustering", len(tried) + SEEDS) as tick:
        for done, clusters in enumerate(tried, 1):
            divided.append(_divide(some, clusters, seed))
            scores.append(_silhouette(some[evaluated], divided[-1].labels_[evaluated]))
            tick(done, f"{clusters} clusters")
        best = int(np.argmax(scores))
        seeds = [divided[best].labels_]
        for other in range(1, SEEDS):
            seeds.append(_divide(some, tried[best], seed + other).labels_)
            tick(len(tried) + other, "again, with another seed")
        chosen = divided[best] if some is rows else _divide(rows, tried[best], seed)
    labels, centres = _largest_first(chosen)
    agreements = [
        adjusted_rand_score(one, two) for at, one in enumerate(seeds) for two in seeds[:at]
    ]
    traits = traits_of_items(model)
    members = (
        traits.matrix[space.codes]
        if of == "items"
        else traits.of_users(take_rows(model.interactions, space.codes))
    )
    found = lifts(traits, members, labels).rename({"group": "cluster"})
    return Clusters(
        space,
        labels,
        _described(model, space, labels, rows @ centres.T, found),
        found,
        silhouettes=pl.DataFrame({"k": tried, "silhouette": scores}),
        silhouette=scores[best],
        genre_agreement=_genre_agreement(model, space, labels, traits, members),
        stability=float(np.mean(agreements)),
    )


def _divide(rows: F32, k: int, seed: int) -> Any:
    from sklearn.cluster import KMeans

    return KMeans(k, n_init=STARTS, random_state=seed).fit(rows)


def _sample(n: int, most: int, seed: int) -> I64:
    return generator_of(seed).choice(n, min(most, n), replace=False)


def _silhouette(rows: F32, labels: I32) -> float:
    from sklearn.metrics import silhouette_score

    if not 2 <= len(np.unique(labels)) < len(rows):
        return 0.0
    return float(silhouette_score(rows, labels, metric="cosine"))


def _largest_first(divided: Any) -> tuple[I32, F32]:
    """Labels by size of the cluster, and the centres in that order, of length 1."""
    sizes = np.bincount(divided.labels_, minlength=len(divided.cluster_centers_))
    order = np.argsort(-sizes, kind="stable")
    labels = np.argsort(order)[divided.labels_].astype(np.int32)
    centres = divided.cluster_centers_[order]
    lengths = np.linalg.norm(centres, axis=1, keepdims=True)
    return labels, (centres / np.maximum(lengths, np.finfo(np.float32).tiny)).astype(np.float32)


def _described(
    model: Recommender,
    space: EmbeddingSet,
    labels: I32,
    nearness: F32,
    found: pl.DataFrame,
) -> pl.DataFrame:
    """The table of clusters."""
    groups = range(int(labels.max()) + 1)
    typical, popular = [], []
    for group in groups:
        rows = np.flatnonzero(labels == group)
        nearest = rows[np.argsort(-nearness[rows, group], kind="stable")[:SHOWN]]
        typical.append(_named(model, space, nearest))
        # rows of a space stand by their number of ratings
        popular.append(
            _named(model, space, rows[:SHOWN])
            if space.of == "items"
            else _watched_more(model, space.codes[rows])
        )
    return pl.DataFrame(
        {
            "cluster": list(groups),
            "name": _names(found, groups, LEAST_LIFT[space.of]),
            "size": np.bincount(labels, minlength=len(groups)),
            "typical": typical,
            "popular": popular,
        }
    )


def _named(model: Recommender, space: EmbeddingSet, rows: Ints) -> list[str]:
    codes = space.codes[rows]
    if space.of == "items":
        return [model.catalog.titles[code] for code in codes]
    return [str(one) for one in model.user_ids.values[codes]]


def _watched_more(model: Recommender, users: I32) -> list[str]:
    """Titles that these users rated more than everybody did, weighted as in `lifts`."""
    watched = take_rows(model.interactions, users).indices
    here = np.bincount(watched, minlength=len(model.catalog)) / len(users)
    everybody = int(np.count_nonzero(np.diff(model.interactions.indptr)))
    with np.errstate(divide="ignore", invalid="ignore"):
        weight = np.where(here > 0, here * np.log(here * everybody / model.item_counts), 0.0)
    best = np.argsort(-weight, kind="stable")[:SHOWN]
    return [model.catalog.titles[code] for code in best if weight[code] > 0]


def _names(traits: pl.DataFrame, groups: Iterable[int], least_lift: float) -> list[str]:
    """The genres and the years a cluster has most more of; a third genre where two are alike."""
    telling = traits.filter(pl.col("lift") >= least_lift, pl.col("share") >= LEAST_SHARE)

    def name(group: int, genres: int) -> str:
        rows = telling.filter(pl.col("cluster") == group)
        kinds = {
            kind: rows.filter(pl.col("kind") == kind)["trait"].to_list()
            for kind in ("genre", "years")
        }
        parts = [", ".join(kinds["genre"][:genres]), *kinds["years"][:1]]
        return ", ".join(part for part in parts if part) or "a bit of everything"

    names = [name(group, 2) for group in groups]
    return [
        name(group, TWICE_NAMED) if names.count(names[group]) > 1 else names[group]
        for group in groups
    ]


def _genre_agreement(
    model: Recommender,
    space: EmbeddingSet,
    labels: I32,
    traits: ItemTraits,
    members: F32,
) -> float:
    from sklearn.metrics import adjusted_mutual_info_score

    if not model.catalog.genre_names:
        return 0.0
    if space.of == "items":
        every = main_genres(model)
        genres = [every[code] for code in space.codes]
    else:
        watched = members[:, [kind == "genre" for kind in traits.kinds]]
        genres = (watched - watched.mean(axis=0)).argmax(axis=1).tolist()
    return float(adjusted_mutual_info_score(genres, labels))

"""Groups of items, or of users, whose embeddings point the same way."""

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import polars as pl

from matinee._types import F32, I32, I64, Ints
from matinee.analysis.embeddings import EmbeddingSet, item_embeddings, user_embeddings
from matinee.analysis.traits import ItemTraits, lifts, main_genres, traits_of_items
from matinee.errors import SettingError, require_extra, shortened
from matinee.evaluation.protocols import random_generator
from matinee.kernels.csr import take_rows
from matinee.models.recommender import Recommender
from matinee.models.similarity import unit_rows
from matinee.progress import progress

K_RANGE = range(4, 17)  # numbers of clusters that are tried by default
SEEDS = 5  # clusterings that are compared for stability
RESTARTS = 4  # of k-means; the best is kept
MAX_ROWS = 20_000  # k and stability are found on a sample of more
MAX_SILHOUETTE_ROWS = 2_000
EXAMPLES = 5  # titles of a cluster
MIN_LIFT = {"items": 1.25, "users": 1.1}  # of a trait that may name a cluster;
MIN_SHARE = 0.1  # users differ less, for all of them watch a bit of everything
UNNAMED = "mixed"


@dataclass(frozen=True, eq=False)
class Clusters:
    """A division into k clusters, numbered from the largest on, and how good it is.

    `labels`, int32 (n,), are for each row of `embeddings` the row of its cluster in `table`, which
    has `cluster` (its number, from 1), `name`, `named_by` (the traits in the name), `size`,
    `typical` (titles, or users' ids, that are nearest to the centre) and `popular` (the most rated
    items; of users, the items that most of them have rated compared with all users). `traits` has
    `cluster`, `trait`, `kind`, `share` (of the cluster), `share_of_all`, `lift` (their ratio) and
    `weight`, by which they are sorted within a cluster (``share * log(lift)``).

    `silhouette` is from -1 to 1, by cosine distance: how much nearer the members of a cluster are
    to one another than to the next cluster. With so many dimensions, 0.2 is a lot. `silhouettes`
    has it for every `k` that was tried. `genre_agreement` is the mutual information of clusters and
    main genres (for users: the genre they watch most, compared with all users), normalized and
    adjusted for chance (Vinh et al. 2010): 0 is what chance agrees, 1 the same division.
    `stability` is the mean adjusted Rand index between clusterings of other seeds: 1 if they agree.
    """

    embeddings: EmbeddingSet
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

    @property
    def titles(self) -> list[str]:
        """Number and name of each cluster: ``"1 Horror, 1980s"``."""
        return [f"{number} {name}" for number, name in self.table["cluster", "name"].rows()]

    def to_dict(self) -> dict[str, Any]:
        """Plain values with stable keys."""
        return {
            "of": self.embeddings.of,
            "head": self.embeddings.head,
            "k": self.table.height,
            "silhouette": self.silhouette,
            "genre_agreement": self.genre_agreement,
            "stability": self.stability,
            "left_out": self.embeddings.left_out,
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
    """Divide items, or users, by k-means on the directions of their embeddings.

    Divided are those with at least ten training ratings: ``of="items"`` or ``"users"``. `k` is by
    default the number from 4 to 16 with the highest silhouette, `head` the one that
    `Recommender.similar_items` compares by. Clusters are named by the genres and the decade they
    have more of than all together (by a quarter at least; of users, by a tenth), if a tenth of the
    cluster has them. SettingError for a number that makes no sense, or a head without factors.

    Examples
    --------
    >>> model = matinee.ALS(factors=4).fit(data)
    >>> clusters = find_clusters(model, 4)
    >>> clusters.table["size"].sum() == len(clusters.embeddings)
    True
    >>> find_clusters(model, of="users").table.columns
    ['cluster', 'name', 'named_by', 'size', 'typical', 'popular']
    """
    require_extra("charts", "sklearn")
    if of not in MIN_LIFT:
        raise SettingError(f"of must be one of 'items', 'users', got {shortened(of)}.")
    embeddings = item_embeddings(model, head) if of == "items" else user_embeddings(model, head)
    if k is not None and not 2 <= k < len(embeddings):
        raise SettingError(f"k must be between 2 and {len(embeddings) - 1}, got {shortened(k)}.")
    distinct = embeddings.distinct  # a single factor has two directions
    if distinct < max(2, k or 2):
        raise SettingError(
            f"The {embeddings.noun} factors point in {distinct} different directions only; "
            f"that is too few for {k or 2} clusters."
        )
    rows = embeddings.directions
    candidates = [k] if k else [k for k in K_RANGE if k < distinct] or [2]
    chosen, scores, stability = _best_k(rows, candidates, seed)
    labels, centres = _largest_first(chosen)
    item_traits = traits_of_items(model)
    members = (
        item_traits.matrix[embeddings.indices]
        if of == "items"
        else item_traits.of_users(take_rows(model.interactions, embeddings.indices))
    )
    traits = lifts(item_traits, members, labels).rename({"group": "cluster"})
    traits = traits.with_columns(pl.col("cluster") + 1)
    return Clusters(
        embeddings,
        labels,
        _table(model, embeddings, labels, rows @ centres.T, traits),
        traits,
        silhouettes=pl.DataFrame({"k": candidates, "silhouette": scores}),
        silhouette=max(scores),
        genre_agreement=_genre_agreement(model, embeddings, labels, item_traits, members),
        stability=stability,
    )


def _best_k(rows: F32, candidates: list[int], seed: int) -> tuple[Any, list[float], float]:
    """K-means of the best k; the silhouette of every k; the stability of the best over seeds."""
    from sklearn.metrics import adjusted_rand_score

    sample = rows[_sample(len(rows), MAX_ROWS, seed)] if len(rows) > MAX_ROWS else rows
    scored = _sample(len(sample), MAX_SILHOUETTE_ROWS, seed)  # the same for every k
    fits, scores = [], []
    with progress("Clustering", len(candidates) + SEEDS) as tick:
        for done, k in enumerate(candidates, 1):
            fits.append(_k_means(sample, k, seed))
            scores.append(_silhouette(sample[scored], fits[-1].labels_[scored]))
            tick(done, f"{k} clusters")
        best = int(np.argmax(scores))
        labelings = [fits[best].labels_]
        for other in range(1, SEEDS):
            labelings.append(_k_means(sample, candidates[best], seed + other).labels_)
            tick(len(candidates) + other, "stability over seeds")
        chosen = fits[best] if sample is rows else _k_means(rows, candidates[best], seed)
    agreements = [adjusted_rand_score(*pair) for pair in combinations(labelings, 2)]
    return chosen, scores, float(np.mean(agreements))


def _k_means(rows: F32, k: int, seed: int) -> Any:
    from sklearn.cluster import KMeans

    return KMeans(k, n_init=RESTARTS, random_state=seed).fit(rows)


def _sample(n: int, size: int, seed: int) -> I64:
    return random_generator(seed).choice(n, min(size, n), replace=False)


def _silhouette(rows: F32, labels: I32) -> float:
    from sklearn.metrics import silhouette_score

    if not 2 <= len(np.unique(labels)) < len(rows):
        return 0.0
    return float(silhouette_score(rows, labels, metric="cosine"))


def _largest_first(k_means: Any) -> tuple[I32, F32]:
    """Labels by size of the cluster, and the centres in that order, of length 1."""
    sizes = np.bincount(k_means.labels_, minlength=len(k_means.cluster_centers_))
    order = np.argsort(-sizes, kind="stable")
    labels = np.argsort(order)[k_means.labels_].astype(np.int32)
    return labels, unit_rows(k_means.cluster_centers_[order]).astype(np.float32)


def _table(
    model: Recommender, embeddings: EmbeddingSet, labels: I32, nearness: F32, traits: pl.DataFrame
) -> pl.DataFrame:
    """The table `Clusters.table`."""

    def examples(rows: Ints) -> list[str]:
        indices = embeddings.indices[rows[:EXAMPLES]]
        if embeddings.of == "users":
            return [str(user) for user in model.user_ids.values[indices]]
        return [model.catalog.titles[index] for index in indices]

    k = int(labels.max()) + 1
    typical, popular = [], []
    for label in range(k):
        rows = np.flatnonzero(labels == label)  # the most rated first
        typical.append(examples(rows[np.argsort(-nearness[rows, label], kind="stable")]))
        popular.append(
            examples(rows)
            if embeddings.of == "items"
            else _watched_more(model, embeddings.indices[rows])
        )
    named_by = _naming_traits(traits, k, MIN_LIFT[embeddings.of])
    return pl.DataFrame(
        {
            "cluster": np.arange(1, k + 1),
            "name": [", ".join(names) or UNNAMED for names in named_by],
            "named_by": pl.Series(named_by, dtype=pl.List(pl.String)),
            "size": np.bincount(labels, minlength=k),
            "typical": typical,
            "popular": popular,
        }
    )


def _watched_more(model: Recommender, users: I32) -> list[str]:
    """Titles that these users rated more often than all users did, weighted as in `lifts`."""
    rated = take_rows(model.interactions, users).indices
    share = np.bincount(rated, minlength=len(model.catalog)) / len(users)
    all_users = int(np.count_nonzero(model.user_counts))
    with np.errstate(divide="ignore", invalid="ignore"):
        weight = np.where(share > 0, share * np.log(share * all_users / model.item_counts), 0.0)
    best = np.argsort(-weight, kind="stable")[:EXAMPLES]
    return [model.catalog.titles[index] for index in best if weight[index] > 0]


def _naming_traits(traits: pl.DataFrame, k: int, min_lift: float) -> list[list[str]]:
    """Two genres and a decade that mark each cluster; three genres where two clusters agree."""
    distinctive = traits.filter(pl.col("lift") >= min_lift, pl.col("share") >= MIN_SHARE)

    def chosen(cluster: int, n_genres: int) -> list[str]:
        own = distinctive.filter(pl.col("cluster") == cluster)
        genres, decades = (own.filter(kind=kind)["trait"] for kind in ("genre", "decade"))
        return [*genres[:n_genres], *decades[:1]]

    short = [chosen(cluster, 2) for cluster in range(1, k + 1)]
    return [
        chosen(cluster, 3) if short.count(names) > 1 else names
        for cluster, names in enumerate(short, 1)
    ]


def _genre_agreement(
    model: Recommender, embeddings: EmbeddingSet, labels: I32, traits: ItemTraits, members: F32
) -> float:
    from sklearn.metrics import adjusted_mutual_info_score

    if not model.catalog.genre_names:
        return 0.0
    if embeddings.of == "items":
        genre_of = main_genres(model)
        genres: list[Any] = [genre_of[index] for index in embeddings.indices]
    else:
        shares = members[:, [kind == "genre" for kind in traits.kinds]]
        genres = (shares - shares.mean(axis=0)).argmax(axis=1).tolist()
    return float(adjusted_mutual_info_score(genres, labels))

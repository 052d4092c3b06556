"""Items in two dimensions, close to one another where their embeddings are alike."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from matinee._types import Floats
from matinee.analysis.clusters import Clusters
from matinee.analysis.embeddings import MAX_POINTS, MIN_ROWS, EmbeddingSet, item_embeddings
from matinee.analysis.traits import item_rating_sums, main_genres
from matinee.errors import ExtraError, SettingError, install_command, require_extra, shortened
from matinee.evaluation.protocols import random_generator
from matinee.models.recommender import Recommender
from matinee.progress import progress

METHODS = ("tsne", "pca", "umap")
PERPLEXITY = 30.0  # roughly the number of neighbours that count
N_NEIGHBOURS = 5  # named with each item


@dataclass(frozen=True, eq=False)
class Projection:
    """Items as points in the plane, and clusters by the same head; from `project`.

    `points` has a row for each item, the most rated first: `item_id`, `title`, `year`, `genres`
    (joined by ``|``), `genre` (the rarest of them), `mean_rating` (null without ratings) and
    `n_ratings` (in training), `x`, `y`, `neighbours` (titles of the nearest five by cosine, one a
    line); with `clusters`, `cluster` (number and name), too.
    """

    embeddings: EmbeddingSet
    clusters: Clusters | None
    method: str
    points: pl.DataFrame


def project(
    model: Recommender,
    method: str = "tsne",
    *,
    head: str | None = None,
    clusters: Clusters | None = None,
    max_items: int = MAX_POINTS,
    seed: int = 0,
) -> Projection:
    """Project the embeddings of the `max_items` most rated items to two dimensions.

    t-SNE (``"tsne"``, van der Maaten & Hinton 2008) and UMAP (``"umap"``, McInnes et al. 2018) keep
    neighbours together; distances between groups and their sizes mean nothing. ``"pca"`` keeps what
    two straight axes can. `head` is by default the one that `Recommender.similar_items` compares
    by; `clusters`, from `find_clusters`, of items by the same head, are added to the points. They
    take as long as the projection, which does not need them.

    Raises SettingError for an unknown method or head, ExtraError if UMAP is not installed.

    Examples
    --------
    >>> projection = project(matinee.ALS(factors=4).fit(data), "pca")
    >>> projection.points.select("x", "y").shape
    (45, 2)
    """
    require_extra("charts", "sklearn")
    if method not in METHODS:
        raise SettingError(f"method must be one of 'tsne', 'pca', 'umap', got {shortened(method)}.")
    embeddings = item_embeddings(model, head, max_items=max_items)
    if embeddings.factors.shape[1] < 2 or embeddings.distinct < MIN_ROWS:
        raise SettingError("The embeddings lie on a line or in one point: there is nothing to map.")
    if clusters and not _starts_with(clusters.embeddings, embeddings):
        raise SettingError("clusters must be of the items of the same model, by the same head.")
    random_generator(seed)  # refuses what is no seed
    reducer = _reducer(method, len(embeddings), seed)
    with progress("Projecting"):
        plane = reducer.fit_transform(embeddings.directions)
    # the same picture whatever the unit: centred, and of spread 1
    plane = plane - plane.mean(axis=0)
    plane /= max(float(plane.std()), np.finfo(np.float32).tiny)
    return Projection(embeddings, clusters, method, _points(model, embeddings, clusters, plane))


def _starts_with(whole: EmbeddingSet, part: EmbeddingSet) -> bool:
    """Whether the first rows of `whole` are those of `part`."""
    n = len(part)
    same = whole.of == part.of and np.array_equal(whole.indices[:n], part.indices)
    return same and np.array_equal(whole.factors[:n], part.factors)


def _reducer(method: str, n: int, seed: int) -> Any:
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    if method == "pca":
        return PCA(2, random_state=seed)
    if method == "tsne":
        perplexity = min(PERPLEXITY, (n - 1) / 3)
        return TSNE(perplexity=perplexity, init="pca", random_state=seed)
    try:
        import umap
    except ImportError:
        raise ExtraError(f"UMAP needs umap-learn: {install_command('umap-learn')}") from None
    return umap.UMAP(
        n_neighbors=min(15, n - 1), metric="cosine", random_state=seed, n_jobs=1, init="pca"
    )


def _points(
    model: Recommender, embeddings: EmbeddingSet, clusters: Clusters | None, plane: Floats
) -> pl.DataFrame:
    catalog, indices = model.catalog, embeddings.indices
    titles, genre_of = catalog.frame["title"], main_genres(model)
    near = embeddings.neighbours(N_NEIGHBOURS)
    means = pl.Series(item_rating_sums(model)[indices] / embeddings.counts).round(2)
    points = catalog.rows(indices).with_columns(
        year=catalog.frame["year"][indices],
        genre=pl.Series([genre_of[index] for index in indices]),
        mean_rating=pl.lit(None, pl.Float64) if model.scale is None else means,
        n_ratings=pl.Series(embeddings.counts),
        x=pl.Series(plane[:, 0].astype(np.float64)).round(3),
        y=pl.Series(plane[:, 1].astype(np.float64)).round(3),
        neighbours=pl.Series(["\n".join(titles[indices[row]].to_list()) for row in near]),
    )
    if clusters is None:
        return points
    # clusters may be of more items; both have the most rated first
    cluster_of = [clusters.titles[label] for label in clusters.labels[: len(indices)]]
    return points.with_columns(cluster=pl.Series(cluster_of))

"""Movies in two dimensions, near to one another where their vectors are alike."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from matinee._types import Floats
from matinee.analysis.clusters import Clusters, find_clusters
from matinee.analysis.embeddings import FEWEST, MOST, EmbeddingSet, item_embeddings
from matinee.analysis.traits import item_mean_ratings, main_genres
from matinee.errors import ExtraError, SettingError, install_command, require_extra
from matinee.evaluation.protocols import generator_of
from matinee.models.recommender import Recommender
from matinee.progress import progress

METHODS = ("tsne", "pca", "umap")
PERPLEXITY = 30.0  # neighbours that count, roughly
NEAR = 5  # neighbours named with each movie


@dataclass(frozen=True, eq=False)
class Projection:
    """Where movies lie.

    Parameters
    ----------
    space : EmbeddingSet
    clusters : Clusters
        Of the same head.
    method : {"tsne", "pca", "umap"}
    points : polars.DataFrame
        A row for each movie, the most rated first: `item`, `title`, `year`, `genres` (joined by
        ``|``), `genre` (see `main_genres`), `cluster` (number and name), `values` (mean of the
        training ratings), `ratings`, `x`, `y`, `near` (titles of
        the nearest five by cosine, on lines).
    """

    space: EmbeddingSet
    clusters: Clusters
    method: str
    points: pl.DataFrame


def project(
    model: Recommender,
    method: str = "tsne",
    *,
    head: str | None = None,
    clusters: Clusters | None = None,
    most: int = MOST,
    seed: int = 0,
) -> Projection:
    """Lay the movies out in two dimensions.

    Parameters
    ----------
    model : Recommender
    method : {"tsne", "pca", "umap"}
        t-SNE (van der Maaten & Hinton 2008) and UMAP (McInnes et al. 2018) keep neighbours
        together, and neither distances between groups nor their sizes mean anything. PCA keeps
        what two straight axes can.
    head : {"rating", "ranking"}, optional
        Whose vectors; by default those that `Recommender.similar_items` compares.
    clusters : Clusters, optional
        Of movies, by the same head; found if not given.
    most : int
        Movies to keep, the most rated.
    seed : int

    Raises
    ------
    SettingError
        For an unknown method or head.
    ExtraError
        If UMAP is not installed.

    Examples
    --------
    >>> import matinee
    >>> from matinee.data.synthetic import generate
    >>> data, _ = generate(users=200, items=150, ratings=8000, seed=0)
    >>> layout = project(matinee.ALS(factors=4).fit(data), "pca")
    >>> layout.points.select("x", "y").shape
    (124, 2)
    """
    require_extra("charts", "sklearn")
    if method not in METHODS:
        raise SettingError(f"method is one of {', '.join(METHODS)}, not {method!r}.")
    space = item_embeddings(model, head, most=most)
    if space.item_factors.shape[1] < 2 or space.distinct < FEWEST:
        raise SettingError("These vectors lie on a line or in a point; there is nothing to map.")
    if clusters and not _same_vectors(clusters.space, space):
        raise SettingError("These clusters are not of movies by the same head of the same model.")
    generator_of(seed)  # refuses what is no seed
    place = _placer(method, len(space), seed)
    clusters = clusters or find_clusters(model, head=space.head, seed=seed)
    with progress("Laying out the map"):
        where = place.fit_transform(space.directions)
    # the same picture whatever the unit: centred, and of spread 1
    where = (where - where.mean(axis=0)) / max(float(where.std()), np.finfo(np.float32).tiny)
    return Projection(space, clusters, method, _points(model, space, clusters, where))


def _same_vectors(whole: EmbeddingSet, part: EmbeddingSet) -> bool:
    """Whether a space begins with the rows of another one."""
    n = len(part)
    same = whole.of == part.of and np.array_equal(whole.codes[:n], part.codes)
    return same and np.array_equal(whole.item_factors[:n], part.item_factors)


def _placer(method: str, n: int, seed: int) -> Any:
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
    model: Recommender, space: EmbeddingSet, clusters: Clusters, where: Floats
) -> pl.DataFrame:
    catalog, codes = model.catalog, space.codes
    rating_of = item_mean_ratings(model)
    titles = catalog.frame["title"]
    near = space.neighbours(NEAR)
    every_genre = main_genres(model)
    names, number = (
        clusters.names,
        dict(zip(clusters.space.codes.tolist(), clusters.labels.tolist(), strict=True)),
    )
    return catalog.rows(codes).with_columns(
        year=catalog.frame["year"][codes],
        genre=pl.Series([every_genre[code] for code in codes]),
        cluster=pl.Series([f"{number[code] + 1} {names[number[code]]}" for code in codes.tolist()]),
        values=pl.Series(rating_of[codes] / space.counts).round(2),
        ratings=pl.Series(space.counts),
        x=pl.Series(where[:, 0].astype(np.float64)).round(3),
        y=pl.Series(where[:, 1].astype(np.float64)).round(3),
        near=pl.Series(["\n".join(titles[codes[row]].to_list()) for row in near]),
    )

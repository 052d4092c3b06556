"""What the axes of the item embeddings tell apart, and which genres point the same way."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from matinee._types import F32, F64, Floats
from matinee.analysis.embeddings import EmbeddingSet, item_embeddings
from matinee.analysis.traits import frequent_genres
from matinee.errors import SettingError, require_extra, shortened
from matinee.models.recommender import Recommender
from matinee.models.similarity import unit_rows

ROTATIONS = ("principal", "varimax")
WELL_KNOWN = 500  # the most rated items, from which the titles at the ends are taken
TITLES_PER_END, GENRES_PER_END = 5, 3
MAX_STEPS, TOLERANCE = 500, 1e-8  # of varimax
FLAT = 1e-6  # of the widest axis: rounding rather than an axis
WIDE = 1000  # dimensions from which on a full decomposition takes too long
MIN_ITEMS = 5  # of a genre, to have a direction


@dataclass(frozen=True, eq=False)
class EmbeddingAxes:
    """Rotated axes of the item factors, and genres as directions; from `embedding_axes`.

    `axes` has a row for each axis, the widest first: `axis`, `variance_share` (of all dimensions),
    `low_titles`, `high_titles` (of well-known items below and above the mean, the furthest first),
    `low_genres`, `high_genres`. `genre_positions` has `axis`, `genre` and `position`, the mean of
    the genre's items in standard deviations of all; `genre_similarity` has `genre`, `other` and the
    `cosine` of their mean differences from the average item.
    """

    embeddings: EmbeddingSet
    rotation: str
    axes: pl.DataFrame
    genre_positions: pl.DataFrame
    genre_similarity: pl.DataFrame


def embedding_axes(
    model: Recommender, n: int = 6, *, rotation: str = "principal", head: str | None = None
) -> EmbeddingAxes:
    """The n axes along which item factors vary most.

    Single factors have no meaning: any rotation of both sides predicts the same. So they are
    rotated first: to the principal axes, or further by varimax (Kaiser 1958), which looks for axes
    along which few items lie far out.

    There are fewer, if the factors have fewer dimensions. `head` is by default the one that
    `Recommender.similar_items` compares by. Raises SettingError for an unknown `rotation`, n below
    1, or a head without factors.

    Examples
    --------
    >>> result = embedding_axes(matinee.ALS(factors=4).fit(data), 2)
    >>> result.axes.select("axis", pl.col("low_titles").list.len()).rows()
    [(1, 5), (2, 5)]
    """
    if rotation not in ROTATIONS:
        raise SettingError(
            f"rotation must be one of 'principal', 'varimax', got {shortened(rotation)}."
        )
    if n < 1:
        raise SettingError(f"n must be >= 1, got {shortened(n)}.")
    embeddings = item_embeddings(model, head)
    coordinates, shares = _rotated(embeddings.factors, n, rotation)
    standardized = coordinates / np.maximum(coordinates.std(axis=0), np.finfo(np.float64).tiny)
    genres = model.catalog.genre_matrix[embeddings.indices]
    frequent = frequent_genres(genres)
    frequent = frequent[genres[:, frequent].sum(axis=0) >= MIN_ITEMS]
    names = [model.catalog.genre_names[column] for column in frequent]
    weights = genres[:, frequent] / genres[:, frequent].sum(axis=0)
    positions = weights.T @ standardized  # (genres, axes)
    centred = embeddings.factors - embeddings.factors.mean(axis=0)
    return EmbeddingAxes(
        embeddings,
        rotation,
        _describe_axes(model, embeddings, standardized, shares, positions, names),
        pl.DataFrame(
            {
                "axis": np.repeat(np.arange(1, len(shares) + 1), len(names)),
                "genre": pl.Series(names * len(shares), dtype=pl.String),
                "position": positions.T.ravel(),
            }
        ),
        _similarity(weights.T @ centred, names),
    )


def varimax(loadings: F64) -> F64:
    """The rotation (axes, axes) after which the squares of the columns vary most (Kaiser 1958).

    Found by repeated singular value decompositions.
    """

    def criterion(rotated: F64) -> float:
        return float((rotated**2).var(axis=0).sum())

    rotation = best = np.eye(loadings.shape[1])
    highest = criterion(loadings)
    for _ in range(MAX_STEPS):
        rotated = loadings @ rotation
        gradient = loadings.T @ (rotated**3 - rotated * np.mean(rotated**2, axis=0))
        left, _, right = np.linalg.svd(gradient)
        previous, rotation = rotation, left @ right
        value = criterion(loadings @ rotation)
        if value > highest:  # a step may go down before the next ones go further up
            best, highest = rotation, value
        if np.abs(rotation - previous).max() < TOLERANCE:
            break
    return np.asarray(best, np.float64)


def _rotated(factors: F32, n: int, rotation: str) -> tuple[F64, F64]:
    """Coordinates of the items on the n widest axes, and the axes' shares of all variance."""
    centred = factors.astype(np.float64) - factors.mean(axis=0, dtype=np.float64)
    if centred.shape[1] > WIDE:  # of EASE
        require_extra("charts", "sklearn")
        from sklearn.utils.extmath import randomized_svd

        _, widths, axes = randomized_svd(centred, n, random_state=0)
    else:
        _, widths, axes = np.linalg.svd(centred, full_matrices=False)
    n = min(n, max(1, int((widths > FLAT * widths[0]).sum())))
    coordinates = centred @ axes[:n].T
    if rotation == "varimax":
        coordinates = coordinates @ varimax(coordinates)
    # the longer tail to the right, so that signs do not depend on chance
    coordinates = coordinates * np.where((coordinates**3).sum(axis=0) < 0, -1.0, 1.0)
    variance = coordinates.var(axis=0)
    order = np.argsort(-variance, kind="stable")
    total = max(float(centred.var(axis=0).sum()), np.finfo(np.float64).tiny)
    return coordinates[:, order], variance[order] / total


def _describe_axes(
    model: Recommender,
    embeddings: EmbeddingSet,
    standardized: F64,
    shares: F64,
    positions: F64,
    genres: list[str],
) -> pl.DataFrame:
    """The table `EmbeddingAxes.axes`."""

    def titles(rows: list[int]) -> list[str]:
        return [model.catalog.titles[index] for index in embeddings.indices[rows]]

    table = []
    for axis, coordinate in enumerate(standardized.T):
        position = positions[:, axis]
        by_position = np.argsort(position, kind="stable").tolist()
        order = np.argsort(coordinate[:WELL_KNOWN], kind="stable").tolist()
        low, high = order[:TITLES_PER_END], order[::-1][:TITLES_PER_END]
        low_genres = [genres[row] for row in by_position if position[row] < 0]
        high_genres = [genres[row] for row in by_position[::-1] if position[row] > 0]
        table.append(
            {
                "axis": axis + 1,
                "variance_share": float(shares[axis]),
                "low_titles": titles([row for row in low if coordinate[row] < 0]),
                "high_titles": titles([row for row in high if coordinate[row] > 0]),
                "low_genres": low_genres[:GENRES_PER_END],
                "high_genres": high_genres[:GENRES_PER_END],
            }
        )
    ends = ("low_titles", "high_titles", "low_genres", "high_genres")
    return pl.DataFrame(table, schema_overrides=dict.fromkeys(ends, pl.List(pl.String)))


def _similarity(means: Floats, genres: list[str]) -> pl.DataFrame:
    """Cosines of all pairs of genres."""
    unit = unit_rows(means)
    return pl.DataFrame(
        {
            "genre": [genre for genre in genres for _ in genres],
            "other": genres * len(genres),
            "cosine": (unit @ unit.T).ravel().astype(np.float64),
        },
        schema_overrides={"genre": pl.String, "other": pl.String},
    )

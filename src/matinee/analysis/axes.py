"""What the axes of a factor space tell apart, and which genres lie close in it."""

from dataclasses import dataclass
from itertools import product

import numpy as np
import polars as pl

from matinee._types import F32, F64, Floats
from matinee.analysis.embeddings import EmbeddingSet, item_embeddings
from matinee.analysis.traits import MOST_GENRES
from matinee.errors import SettingError, require_extra
from matinee.models.recommender import Recommender

ROTATIONS = ("principal", "varimax")
KNOWN = 500  # the best known movies, from which the ends of an axis are shown
ENDS = 5  # titles at either end
AT_ENDS = 3  # genres there
GENRE_ENDS = ("low_genres", "high_genres")
STEPS, BURN_IN_END = 500, 1e-8  # of the search for simple axes
FLAT = 1e-6  # of the widest axis: no axis at all
WIDE = 1000  # dimensions, from which on a full decomposition takes too long
LEAST_ITEMS = 5  # of a genre, to have a vector


@dataclass(frozen=True, eq=False)
class EmbeddingAxes:
    """Axes, and genres as directions.

    Parameters
    ----------
    space : EmbeddingSet
    rotation : {"principal", "varimax"}
    axes : polars.DataFrame
        A row for each axis, the widest first: `axis`, `share` (of the variance of all
        dimensions), `ci_low`, `ci_high` (titles of well-known movies below and above the mean, the
        furthest first), `low_genres`, `high_genres`.
    genre_positions : polars.DataFrame
        `axis`, `genre`, `position`: mean of the genre's movies, in standard deviations of all.
    genre_likeness : polars.DataFrame
        `genre`, `other`, `cosine` of the genres' mean differences from the average movie.
    """

    space: EmbeddingSet
    rotation: str
    axes: pl.DataFrame
    genre_positions: pl.DataFrame
    genre_likeness: pl.DataFrame


def embedding_axes(
    model: Recommender, n: int = 6, *, rotation: str = "principal", head: str | None = None
) -> EmbeddingAxes:
    """The n widest axes of the movies' vectors.

    Factors as trained have no meaning one by one: any rotation of both sides predicts the same. So
    they are turned first, to the principal axes, or from these on by varimax (Kaiser 1958), which
    looks for axes along which few movies lie far out.

    Parameters
    ----------
    model : Recommender
    n : int
        Fewer, if the vectors have fewer dimensions.
    rotation : {"principal", "varimax"}
    head : {"rating", "ranking"}, optional

    Raises
    ------
    SettingError

    Examples
    --------
    >>> import matinee
    >>> from matinee.data.synthetic import generate
    >>> data, _ = generate(users=200, items=150, ratings=8000, seed=0)
    >>> found = embedding_axes(matinee.ALS(factors=4).fit(data), 2)
    >>> found.axes.select("axis", pl.col("low").list.len())
    shape: (2, 2)
    ┌──────┬─────┐
    │ axis ┆ low │
    │ ---  ┆ --- │
    │ i64  ┆ u32 │
    ╞══════╪═════╡
    │ 1    ┆ 5   │
    │ 2    ┆ 5   │
    └──────┴─────┘
    """
    if rotation not in ROTATIONS:
        raise SettingError(f"rotation is one of {', '.join(ROTATIONS)}, not {rotation!r}.")
    if n < 1:
        raise SettingError(f"n is at least 1, not {n}.")
    space = item_embeddings(model, head)
    places, share = _turned(space.item_factors, n, rotation)
    scaled = places / np.maximum(places.std(axis=0), np.finfo(np.float64).tiny)
    genres = model.catalog.genre_matrix[space.codes]
    items = genres.sum(axis=0)
    some = np.sort(np.argsort(-items, kind="stable")[:MOST_GENRES])
    some = some[items[some] >= LEAST_ITEMS]
    names = [model.catalog.genre_names[at] for at in some]
    weights = genres[:, some] / genres[:, some].sum(axis=0)
    means = weights.T @ scaled  # (genres, axes)
    return EmbeddingAxes(
        space,
        rotation,
        _axes(model, space, scaled, share, means, names),
        pl.DataFrame(
            {
                "axis": np.repeat(np.arange(1, len(share) + 1), len(names)),
                "genre": names * len(share),
                "position": means.T.ravel(),
            },
            schema_overrides={"genre": pl.String},
        ),
        _likeness(weights.T @ (space.item_factors - space.item_factors.mean(axis=0)), names),
    )


def varimax(loadings: F64) -> F64:
    """The rotation after which the squares of the columns vary most (Kaiser 1958).

    Parameters
    ----------
    loadings : float64 (n, axes)

    Returns
    -------
    float64 (axes, axes)
        Orthogonal; ``loadings @ rotation`` has the largest sum of variances of squares that
        repeated singular value decompositions find.
    """

    def criterion(turned: F64) -> float:
        return float((turned**2).var(axis=0).sum())

    rotation = best = np.eye(loadings.shape[1])
    highest = criterion(loadings)
    for _ in range(STEPS):
        turned = loadings @ rotation
        slope = loadings.T @ (turned**3 - turned * np.mean(turned**2, axis=0))
        left, _, right = np.linalg.svd(slope)
        before, rotation = rotation, left @ right
        reached = criterion(loadings @ rotation)
        if reached > highest:  # a step may go down before the next ones go further up
            best, highest = rotation, reached
        if np.abs(rotation - before).max() < BURN_IN_END:
            break
    return np.asarray(best, np.float64)


def _turned(item_factors: F32, n: int, rotation: str) -> tuple[F64, F64]:
    """Places of movies on the axes, the widest first, and the axes' shares of all variance."""
    centred = item_factors.astype(np.float64) - item_factors.mean(axis=0, dtype=np.float64)
    if centred.shape[1] > WIDE:  # of EASE; the first axes are all that is asked for
        require_extra("charts", "sklearn")
        from sklearn.utils.extmath import randomized_svd

        _, sizes, axes = randomized_svd(centred, n, random_state=0)
    else:
        _, sizes, axes = np.linalg.svd(centred, full_matrices=False)
    n = min(n, max(1, int((sizes > FLAT * sizes[0]).sum())))  # the others are rounding
    places = centred @ axes[:n].T
    if rotation == "varimax":
        places = places @ varimax(places)
    # the longer tail to the right, so that a sign is no matter of chance
    places = places * np.where((places**3).sum(axis=0) < 0, -1.0, 1.0)
    variance = places.var(axis=0)
    order = np.argsort(-variance, kind="stable")
    everything = max(float(centred.var(axis=0).sum()), np.finfo(np.float64).tiny)
    return places[:, order], variance[order] / everything


def _axes(
    model: Recommender,
    space: EmbeddingSet,
    scaled: F64,
    share: F64,
    means: F64,
    names: list[str],
) -> pl.DataFrame:
    rows = []
    for axis, place in enumerate(scaled.T):
        order = np.argsort(place[:KNOWN], kind="stable")  # rows stand by their number of ratings
        sorted_genres = np.argsort(means[:, axis], kind="stable")
        ci_low = [names[at] for at in sorted_genres if means[at, axis] < 0]
        ci_high = [names[at] for at in sorted_genres[::-1] if means[at, axis] > 0]
        ends = {
            "low": [row for row in order[:ENDS] if place[row] < 0],
            "high": [row for row in order[::-1][:ENDS] if place[row] > 0],
        }
        titles = {
            end: [model.catalog.titles[code] for code in space.codes[found]]
            for end, found in ends.items()
        }
        rows.append(
            {
                "axis": axis + 1,
                "share": float(share[axis]),
                **titles,
                **dict(zip(GENRE_ENDS, (ci_low[:AT_ENDS], ci_high[:AT_ENDS]), strict=True)),
            }
        )
    texts = pl.List(pl.String)
    return pl.DataFrame(rows, schema_overrides=dict.fromkeys(("low", "high", *GENRE_ENDS), texts))


def _likeness(item_factors: Floats, names: list[str]) -> pl.DataFrame:
    lengths = np.linalg.norm(item_factors, axis=1, keepdims=True)
    unit = item_factors / np.maximum(lengths, np.finfo(np.float32).tiny)
    pairs = list(product(names, names))
    return pl.DataFrame(
        {
            "genre": [one for one, _ in pairs],
            "other": [other for _, other in pairs],
            "cosine": (unit @ unit.T).ravel().astype(np.float64),
        },
        schema_overrides={"genre": pl.String, "other": pl.String},
    )

"""The vectors one looks at: those that say more of a movie or a viewer than of its prior mean."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from matinee.errors import SettingError
from matinee.models.recommender import BY, FactorModel
from matinee.models.topk import ENOUGH_RATINGS

HEAD_TITLES = {"stars": "rating head", "ranking": "ranking head"}
FEWEST = 3  # rows that can be compared
MOST = 10_000  # points that a page shows smoothly
NEAREST = 1000  # rows compared with all others at a time


@dataclass(frozen=True, eq=False)
class Space:
    """Vectors of movies or of viewers, from one head of a model.

    Parameters
    ----------
    of : {"movies", "viewers"}
    by : {"stars", "ranking"}
        Whose vectors.
    codes : int32 (n,)
        Which movies or viewers, the most rated first.
    vectors : float32 (n, width)
        As the head has them.
    counts : int64 (n,)
        Training ratings of each.
    left_out : str
        A sentence on those that are not here; empty if all are.
    """

    of: str
    by: str
    codes: NDArray[np.int32]
    vectors: NDArray[np.float32]
    counts: NDArray[np.int64]
    left_out: str

    def __len__(self) -> int:
        return len(self.codes)

    @cached_property
    def directions(self) -> NDArray[np.float32]:
        """(n, width) float32 of length 1, whose products are cosines.

        Viewers are taken as differences from the average viewer first: what all like, the popular,
        would make them all alike.
        """
        rows = self.vectors
        if self.of == "viewers":
            rows = rows - rows.mean(axis=0)
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        unit: NDArray[np.float32] = rows / np.maximum(lengths, np.finfo(np.float32).tiny)
        return unit

    @cached_property
    def distinct(self) -> int:
        """How many different directions there are."""
        return len(np.unique(self.directions, axis=0))

    def neighbours(self, n: int = 5) -> NDArray[np.intp]:
        """Rows of the n nearest by cosine to each, nearest first, (rows, at most n)."""
        unit = self.directions
        n = min(n, len(unit) - 1)
        found = np.empty((len(unit), n), np.intp)
        for first in range(0, len(unit), NEAREST):
            part = slice(first, min(first + NEAREST, len(unit)))
            cosines = unit[part] @ unit.T
            cosines[np.arange(len(cosines)), np.arange(part.start, part.stop)] = -np.inf
            near = np.argpartition(-cosines, n - 1, axis=1)[:, :n] if n else found[part]
            order = np.argsort(-np.take_along_axis(cosines, near, axis=1), axis=1, kind="stable")
            found[part] = np.take_along_axis(near, order, axis=1)
        return found


def movie_space(
    model: FactorModel,
    by: str | None = None,
    *,
    min_ratings: int = ENOUGH_RATINGS,
    most: int | None = None,
) -> Space:
    """The movies' vectors of one head.

    Parameters
    ----------
    model : FactorModel
    by : {"stars", "ranking"}, optional
        By default those that `FactorModel.similar` compares.
    min_ratings : int
        Movies with fewer are left out: their vectors are mostly those of their genres.
    most : int, optional
        Keep only so many, the most rated.

    Raises
    ------
    SettingError
        If the head has no vectors, or there are under three such movies.

    Examples
    --------
    >>> import matinee
    >>> from matinee.data.synthetic import generate
    >>> data, _ = generate(viewers=60, movies=50, ratings=1500, seed=0)
    >>> space = movie_space(matinee.ALS(factors=4).fit(data))
    >>> space.vectors.shape, space.left_out
    ((42, 4), 'Left out: 8 movies with under 10 ratings.')
    """
    vectors = model.vectors(by)
    by = by or _usual(model, "vectors")
    if most is not None and most < FEWEST:
        raise SettingError(f"At least {FEWEST} movies are kept, not {most}.")
    return _space("movies", by, vectors, model.item_counts, min_ratings, most)


def vector_lengths(model: FactorModel, by: str | None = None) -> pl.DataFrame:
    """How long the movies' vectors are: columns `title`, `ratings` (in training), `length`.

    Of the 10,000 most rated movies at most, the most rated first.

    Parameters
    ----------
    model : FactorModel
    by : {"stars", "ranking"}, optional
    """
    space = movie_space(model, by, most=MOST)
    return pl.DataFrame(
        {
            "title": model.catalog.frame["title"][space.codes],
            "ratings": space.counts,
            "length": np.linalg.norm(space.vectors, axis=1).astype(np.float64).round(4),
        }
    )


def viewer_space(model: FactorModel, by: str | None = None) -> Space:
    """The training viewers' vectors of one head; those with under ten ratings are left out."""
    by = by or _usual(model, "viewer_vectors")
    vectors = model.head(by).viewer_vectors
    if vectors is None:
        raise SettingError(f"The {HEAD_TITLES[by]} of this model has no vectors of viewers.")
    counts = np.diff(model.rated.indptr)
    return _space("viewers", by, vectors, counts, ENOUGH_RATINGS, None)


def _usual(model: FactorModel, what: str) -> str:
    """The head whose vectors are compared where nobody says which."""
    having = [BY[name] for name, head in model.heads.items() if getattr(head, what) is not None]
    return next(iter(having or [BY[name] for name in model.heads]))


def _space(
    of: str,
    by: str,
    vectors: NDArray[np.float32],
    counts: NDArray[np.int64],
    least: int,
    most: int | None,
) -> Space:
    least = max(1, least)
    known = np.flatnonzero(counts >= least)
    if len(known) < FEWEST:
        raise SettingError(
            f"Only {len(known)} {of} have {least} ratings or more; it takes {FEWEST} to compare."
        )
    order = known[np.argsort(-counts[known], kind="stable")]
    kept = order[:most].astype(np.int32)
    parts = []
    if few := len(counts) - len(known):
        parts.append(
            f"{few:,} {of if few > 1 else of.removesuffix('s')} with under {least} ratings"
        )
    if beyond := len(order) - len(kept):
        parts.append(f"{beyond:,} not among the {len(kept):,} most rated")
    left_out = f"Left out: {' and '.join(parts)}." if parts else ""
    return Space(of, by, kept, vectors[kept], counts[kept], left_out)


FAMILIAR = (
    "Toy Story (1995)",
    "Star Wars: Episode IV - A New Hope (1977)",
    "Alien (1979)",
    "Casablanca (1942)",
    "Star Wars (1977)",
)
"""Movies of the MovieLens editions that most people know; one is called otherwise in ml-100k."""


def familiar_movies(model: FactorModel, n: int = 4) -> list[str]:
    """Titles that a person has an opinion of: those of `FAMILIAR`, then the most rated.

    Examples
    --------
    >>> import matinee
    >>> from matinee.data.synthetic import generate
    >>> data, _ = generate(viewers=60, movies=50, ratings=1500, seed=0)
    >>> familiar_movies(matinee.BiasOnly().fit(data), 1)
    ['Restless Harbor (2003)']
    """
    titles = model.catalog.titles
    rated = [titles[code] for code in np.argsort(-model.item_counts, kind="stable")]
    known = set(rated)
    chosen = [title for title in FAMILIAR if title in known]
    return list(dict.fromkeys([*chosen, *rated]))[:n]


def neighbours(model: FactorModel, movies: Sequence[Any] | None = None, n: int = 8) -> pl.DataFrame:
    """The nearest well-known movies by the vectors of each head, side by side.

    Well known is the half with more ratings of those that have at least ten: whether a neighbour
    makes sense, one can judge of a movie one knows.

    Parameters
    ----------
    model : FactorModel
    movies : sequence of ids or titles, optional
        By default `familiar_movies`.
    n : int

    Returns
    -------
    polars.DataFrame
        Columns `movie`, `place`, and the titles by each head that has vectors (``"rating head"``,
        ``"ranking head"``).

    Raises
    ------
    UnknownIdError, SettingError
        For an unknown movie, or a model without vectors.
    """
    if movies is not None and not len(movies):
        raise SettingError("Name at least one movie.")
    heads = [BY[name] for name, head in model.heads.items() if head.vectors is not None]
    counts = model.item_counts[model.item_counts >= ENOUGH_RATINGS]
    least = int(np.median(counts)) if len(counts) else ENOUGH_RATINGS
    parts = []
    for movie in familiar_movies(model) if movies is None else movies:
        columns = {
            HEAD_TITLES[by]: model.similar(movie, n, by=by, min_ratings=least)["title"]
            for by in heads or ["stars"]
        }
        title = model.catalog.titles[model.movie(movie)]
        parts.append(
            pl.DataFrame(columns)
            .with_row_index("place", offset=1)
            .insert_column(0, pl.Series("movie", [title] * n)[: len(next(iter(columns.values())))])
        )
    return pl.concat(parts)

"""The vectors one looks at: those that say more of a movie or a user than of its prior mean."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from matinee._types import F32, I32, I64, Ints
from matinee.errors import SettingError
from matinee.models.recommender import Recommender
from matinee.models.topk import MIN_RATINGS

HEAD_TITLES = {"rating": "rating head", "ranking": "ranking head"}
FEWEST = 3  # rows that can be compared
MOST = 10_000  # points that a page shows smoothly
NEAREST = 1000  # rows compared with all others at a time


@dataclass(frozen=True, eq=False)
class EmbeddingSet:
    """Vectors of movies or of users, from one head of a model.

    Parameters
    ----------
    of : {"items", "users"}
    head : {"rating", "ranking"}
        Whose vectors.
    codes : int32 (n,)
        Which movies or users, the most rated first.
    item_factors : float32 (n, width)
        As the head has them.
    counts : int64 (n,)
        Training ratings of each.
    left_out : str
        A sentence on those that are not here; empty if all are.
    """

    of: str
    head: str
    codes: I32
    item_factors: F32
    counts: I64
    left_out: str

    def __len__(self) -> int:
        return len(self.codes)

    @cached_property
    def directions(self) -> F32:
        """(n, width) float32 of length 1, whose products are cosines.

        Users are taken as differences from the average user first: what all like, the popular,
        would make them all alike.
        """
        rows = self.item_factors
        if self.of == "users":
            rows = rows - rows.mean(axis=0)
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        unit: F32 = rows / np.maximum(lengths, np.finfo(np.float32).tiny)
        return unit

    @cached_property
    def distinct(self) -> int:
        """How many different directions there are."""
        return len(np.unique(self.directions, axis=0))

    def neighbours(self, n: int = 5) -> Ints:
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


def item_embeddings(
    model: Recommender,
    head: str | None = None,
    *,
    min_ratings: int = MIN_RATINGS,
    most: int | None = None,
) -> EmbeddingSet:
    """The movies' vectors of one head.

    Parameters
    ----------
    model : Recommender
    head : {"rating", "ranking"}, optional
        By default those that `Recommender.similar_items` compares.
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
    >>> data, _ = generate(users=60, items=50, ratings=1500, seed=0)
    >>> space = item_embeddings(matinee.ALS(factors=4).fit(data))
    >>> space.item_factors.shape, space.left_out
    ((42, 4), 'Left out: 8 movies with under 10 ratings.')
    """
    item_factors = model.item_factors(head)
    head = head or _default(model, "item_factors")
    if most is not None and most < FEWEST:
        raise SettingError(f"At least {FEWEST} movies are kept, not {most}.")
    return _space("items", head, item_factors, model.item_counts, min_ratings, most)


def vector_lengths(model: Recommender, head: str | None = None) -> pl.DataFrame:
    """How long the movies' vectors are: columns `title`, `ratings` (in training), `length`.

    Of the 10,000 most rated movies at most, the most rated first.

    Parameters
    ----------
    model : Recommender
    head : {"rating", "ranking"}, optional
    """
    space = item_embeddings(model, head, most=MOST)
    return pl.DataFrame(
        {
            "title": model.catalog.frame["title"][space.codes],
            "ratings": space.counts,
            "length": np.linalg.norm(space.item_factors, axis=1).astype(np.float64).round(4),
        }
    )


def user_embeddings(model: Recommender, head: str | None = None) -> EmbeddingSet:
    """The training users' vectors of one head; those with under ten ratings are left out."""
    head = head or _default(model, "user_factors")
    item_factors = model.head(head).user_factors
    if item_factors is None:
        raise SettingError(f"The {HEAD_TITLES[head]} of this model has no vectors of users.")
    counts = np.diff(model.interactions.indptr)
    return _space("users", head, item_factors, counts, MIN_RATINGS, None)


def _default(model: Recommender, what: str) -> str:
    """The head whose vectors are compared where nobody says which."""
    having = [name for name, head in model.heads.items() if getattr(head, what) is not None]
    return next(iter(having or list(model.heads)))


def _space(
    of: str,
    head: str,
    item_factors: F32,
    counts: I64,
    least: int,
    most: int | None,
) -> EmbeddingSet:
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
    return EmbeddingSet(of, head, kept, item_factors[kept], counts[kept], left_out)


FAMILIAR = (
    "Toy Story (1995)",
    "Star Wars: Episode IV - A New Hope (1977)",
    "Alien (1979)",
    "Casablanca (1942)",
    "Star Wars (1977)",
)
"""Movies of the MovieLens editions that most people know; one is called otherwise in ml-100k."""


def familiar_items(model: Recommender, n: int = 4) -> list[str]:
    """Titles that a person has an opinion of: those of `FAMILIAR`, then the most rated.

    Examples
    --------
    >>> import matinee
    >>> from matinee.data.synthetic import generate
    >>> data, _ = generate(users=60, items=50, ratings=1500, seed=0)
    >>> familiar_items(matinee.Bias().fit(data), 1)
    ['Restless Harbor (2003)']
    """
    titles = model.catalog.titles
    interactions = [titles[code] for code in np.argsort(-model.item_counts, kind="stable")]
    known = set(interactions)
    chosen = [title for title in FAMILIAR if title in known]
    return list(dict.fromkeys([*chosen, *interactions]))[:n]


def neighbours(model: Recommender, items: Sequence[Any] | None = None, n: int = 8) -> pl.DataFrame:
    """The nearest well-known movies by the vectors of each head, side by side.

    Well known is the half with more ratings of those that have at least ten: whether a neighbour
    makes sense, one can judge of a movie one knows.

    Parameters
    ----------
    model : Recommender
    items : sequence of ids or titles, optional
        By default `familiar_items`.
    n : int

    Returns
    -------
    polars.DataFrame
        Columns `item`, `place`, and the titles by each head that has vectors (``"rating head"``,
        ``"ranking head"``).

    Raises
    ------
    UnknownIdError, SettingError
        For an unknown movie, or a model without vectors.
    """
    if items is not None and not len(items):
        raise SettingError("Name at least one movie.")
    heads = [
        name for name, vectors_head in model.heads.items() if vectors_head.item_factors is not None
    ]
    counts = model.item_counts[model.item_counts >= MIN_RATINGS]
    least = int(np.median(counts)) if len(counts) else MIN_RATINGS
    parts = []
    for item in familiar_items(model) if items is None else items:
        columns = {
            HEAD_TITLES[head]: model.similar_items(item, n, head=head, min_ratings=least)["title"]
            for head in heads or ["rating"]
        }
        title = model.catalog.titles[model.item_index(item)]
        parts.append(
            pl.DataFrame(columns)
            .with_row_index("place", offset=1)
            .insert_column(0, pl.Series("item", [title] * n)[: len(next(iter(columns.values())))])
        )
    return pl.concat(parts)

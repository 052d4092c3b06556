"""Embeddings of items and users with enough ratings to be compared, and their neighbours."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from matinee._types import F32, I32, I64, Ints
from matinee.errors import SettingError, shortened
from matinee.models.recommender import Recommender
from matinee.models.similarity import MIN_RATINGS, average_user, unit_rows

MIN_ROWS = 3  # fewer cannot be compared
MAX_POINTS = 10_000  # that a page shows smoothly
BLOCK = 1000  # rows compared with all others at a time

FAMILIAR = (
    "Toy Story (1995)",
    "Star Wars: Episode IV - A New Hope (1977)",
    "Alien (1979)",
    "Casablanca (1942)",
    "Star Wars (1977)",
)
"""Movies of the MovieLens editions that most people know; ml-100k has another title for one."""


@dataclass(frozen=True, eq=False)
class EmbeddingSet:
    """Factors of items or of users, from one head of a model.

    `of` is ``"items"`` or ``"users"``, `head` ``"rating"`` or ``"ranking"``; `noun` is what one of
    them is called on screen, `unit` what they have: "rating", or "interaction" without one.
    `indices`, int32 (n,), say which they are, the most rated (or most active) first, `factors` are
    float32 (n, width), and `counts`, int64 (n,), their training ratings. `left_out` is a sentence
    on those that are not here, empty if all are.
    """

    of: str
    noun: str
    unit: str
    head: str
    indices: I32
    factors: F32
    counts: I64
    left_out: str

    def __len__(self) -> int:
        return len(self.indices)

    @cached_property
    def directions(self) -> F32:
        """(n, width) float32 rows of length 1, whose dot products are cosines.

        Users are centred first: the popularity that all of them share would make them all alike.
        """
        rows = self.factors
        if self.of == "users":
            rows = rows - average_user(rows, self.counts)
        return np.asarray(unit_rows(rows), np.float32)

    @cached_property
    def distinct(self) -> int:
        """How many different directions there are."""
        return len(np.unique(self.directions, axis=0))

    def neighbours(self, n: int = 5) -> Ints:
        """Rows of the n nearest by cosine to each, nearest first, (rows, at most n)."""
        unit = self.directions
        n = min(n, len(unit) - 1)
        nearest = np.empty((len(unit), n), np.intp)
        for first in range(0, len(unit), BLOCK):
            block = slice(first, min(first + BLOCK, len(unit)))
            cosines = unit[block] @ unit.T
            cosines[np.arange(len(cosines)), np.arange(block.start, block.stop)] = -np.inf
            near = np.argpartition(-cosines, n - 1, axis=1)[:, :n] if n else nearest[block]
            order = np.argsort(-np.take_along_axis(cosines, near, axis=1), axis=1, kind="stable")
            nearest[block] = np.take_along_axis(near, order, axis=1)
        return nearest


def item_embeddings(
    model: Recommender,
    head: str | None = None,
    *,
    min_ratings: int = MIN_RATINGS,
    max_items: int | None = None,
) -> EmbeddingSet:
    """The item factors of one head, by default that which `Recommender.similar_items` compares by.

    Items with fewer than `min_ratings` are left out, for their factors come mostly from the prior;
    of the others, the `max_items` most rated are kept. Raises SettingError if the head has no
    factors, or fewer than three items are left.

    Examples
    --------
    >>> embeddings = item_embeddings(matinee.ALS(factors=4).fit(data))
    >>> embeddings.factors.shape, embeddings.left_out
    ((45, 4), 'Left out: 5 movies with under 10 ratings.')
    """
    head = model.head_with("items", head)
    factors = model.item_factors(head)
    if max_items is not None and max_items < MIN_ROWS:
        raise SettingError(f"max_items must be >= {MIN_ROWS}, got {shortened(max_items)}.")
    named = "items", model.catalog.noun, model.index.unit, head
    return _well_known(*named, factors, model.item_counts, min_ratings, max_items)


def user_embeddings(model: Recommender, head: str | None = None) -> EmbeddingSet:
    """The user factors of one head; users with under ten training ratings are left out."""
    head = model.head_with("users", head)
    factors = model.user_factors(head)
    counts = model.user_counts
    named = "users", "user", model.index.unit, head
    return _well_known(*named, factors, counts, MIN_RATINGS, None)


def embedding_norms(model: Recommender, head: str | None = None) -> pl.DataFrame:
    """Norms of the item factors of one head against popularity.

    Columns `title`, `n_ratings` (in training) and `norm`, of the 10,000 most rated items at most,
    the most rated first.
    """
    embeddings = item_embeddings(model, head, max_items=MAX_POINTS)
    return pl.DataFrame(
        {
            "title": model.catalog.frame["title"][embeddings.indices],
            "n_ratings": embeddings.counts,
            "norm": np.linalg.norm(embeddings.factors, axis=1).astype(np.float64).round(4),
        }
    )


def familiar_items(model: Recommender, n: int = 4) -> list[str]:
    """Titles that most people have an opinion of: those of `FAMILIAR`, then the most rated.

    Examples
    --------
    >>> familiar_items(matinee.Bias().fit(data), 1)
    ['A Desert for Inga (1941)']
    """
    titles = model.catalog.titles
    by_popularity = [titles[index] for index in np.argsort(-model.item_counts, kind="stable")]
    familiar = set(FAMILIAR).intersection(by_popularity)
    first = [title for title in FAMILIAR if title in familiar]
    return list(dict.fromkeys([*first, *by_popularity]))[:n]


def neighbours(model: Recommender, items: Sequence[Any] | None = None, n: int = 8) -> pl.DataFrame:
    """The nearest well-known items by the factors of each head, side by side.

    Well known is the more popular half of the items with at least ten ratings: only of those can
    most people tell whether a neighbour makes sense.

    `items` are ids or titles, by default `familiar_items`. Columns `title`, `rank` (from 1) and,
    for each head with factors (``"rating"``, ``"ranking"``), the title of the neighbour. Raises
    UnknownIdError for an unknown item, SettingError for no item or a model without factors.
    """
    if items is not None and not len(items):
        raise SettingError("items must name at least one item, got none.")
    heads = model.heads_with("items")
    counts = model.item_counts[model.item_counts >= MIN_RATINGS]
    well_known = int(np.median(counts)) if len(counts) else MIN_RATINGS
    frames = []
    for item in familiar_items(model) if items is None else items:
        near = pl.DataFrame(
            {
                head: model.similar_items(item, n, head=head, min_ratings=well_known)["title"]
                for head in heads or ["rating"]  # which refuses a model without factors
            }
        )
        title = pl.Series("title", [model.catalog.titles[model.item_index(item)]] * near.height)
        frames.append(near.with_row_index("rank", offset=1).insert_column(0, title))
    return pl.concat(frames)


def _well_known(
    of: str,
    noun: str,
    unit: str,
    head: str,
    factors: F32,
    counts: I64,
    min_ratings: int,
    max_rows: int | None,
) -> EmbeddingSet:
    """The rows with enough ratings, the most rated first, and a sentence on the others."""
    min_ratings = max(1, min_ratings)
    enough = np.flatnonzero(counts >= min_ratings)
    if len(enough) < MIN_ROWS:
        raise SettingError(
            f"Only {len(enough)} {noun}s have {min_ratings} or more {unit}s; "
            f"at least {MIN_ROWS} are needed."
        )
    order = enough[np.argsort(-counts[enough], kind="stable")]
    kept = order[:max_rows].astype(np.int32)
    reasons = []
    if few := len(counts) - len(enough):
        reasons.append(f"{few:,} {noun}{'s' if few > 1 else ''} with under {min_ratings} {unit}s")
    if beyond := len(order) - len(kept):
        reasons.append(f"{beyond:,} not among the {len(kept):,} most popular")
    left_out = f"Left out: {' and '.join(reasons)}." if reasons else ""
    return EmbeddingSet(of, noun, unit, head, kept, factors[kept], counts[kept], left_out)

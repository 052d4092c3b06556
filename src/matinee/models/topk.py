"""Which items may be listed, the best of them for many users at once, and similar ones."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl

from matinee._types import F32, I32, I64, Bools
from matinee.data.id_map import as_sequence
from matinee.errors import SettingError
from matinee.kernels.parallel import run_blocks, uniform_blocks
from matinee.kernels.topk import top_n, topk_dense
from matinee.models.blended_head import BlendedHead
from matinee.models.head import Head
from matinee.models.queries import TrainingIndex, UserBatch
from matinee.models.ranking_heads import FactorRankingHead
from matinee.models.rating_head import FactorRatingHead
from matinee.progress import progress

MIN_RATINGS = 10  # with fewer, the factors of an item are mostly its genres'
BLOCK = 8_000_000  # numbers held at a time: 32 MB


def allowed_items(
    index: TrainingIndex,
    include: Any,
    exclude: Any,
    genres: Any,
    years: tuple[int, int] | None,
    min_ratings: int,
) -> Bools:
    """Mask of the items that pass all filters of `Recommender.recommend`, (items,)."""
    catalog = index.catalog
    allowed = np.full(len(catalog), include is None)
    for items, listed in ((include, True), (exclude, False)):
        if items is not None:
            codes = np.array([index.item(item) for item in as_sequence(items)], np.intp)
            allowed[codes] = listed
    if min_ratings > 0:
        allowed &= index.item_counts >= min_ratings
    if genres is not None:
        genres = as_sequence(genres)
        columns = {name.casefold(): column for column, name in enumerate(catalog.genre_names)}
        unknown = [name for name in genres if name.casefold() not in columns]
        if unknown:
            raise SettingError(
                f"No genre {unknown[0]!r}; there are {', '.join(catalog.genre_names)}."
            )
        wanted = [columns[name.casefold()] for name in genres]
        allowed &= catalog.genre_matrix[:, wanted].any(axis=1)
    if years:
        if not (isinstance(years, tuple | list) and [type(year) for year in years] == [int, int]):
            raise SettingError(f"years must be (first, last), got {years!r}.")
        between = pl.col("year").is_between(*years).fill_null(False)
        allowed &= catalog.frame.select(between).to_series().to_numpy()
    return allowed


def top_items(
    head: Head,
    batch: UserBatch,
    allowed: Bools,
    exclude_seen: bool,
    n: int,
    offsets: F32 | None = None,
) -> tuple[I32, F32]:
    """Indices (-1: none left) and scores of the n best items of each user, ties by index.

    `offsets`, (items,), are added to the scores of all users.
    """
    users = len(batch)
    n = min(n, max(1, int(np.count_nonzero(allowed))))
    factors = head if isinstance(head, FactorRatingHead | FactorRankingHead | BlendedHead) else None
    numbers = factors.width if factors else len(allowed)  # a row, or every score
    codes, scores = np.empty((users, n), np.int32), np.empty((users, n), np.float32)
    with progress("Recommending", users) as tick:
        for first, last in user_blocks(users, numbers):
            block = batch.part(first, last)
            seen = block.interactions
            if not exclude_seen:
                seen = seen._replace(indptr=np.zeros_like(seen.indptr))
            out = codes[first:last], scores[first:last]
            if factors:
                factors.packed.best(factors.rows(block), seen, allowed, *out, offsets)
            else:
                rows = uniform_blocks(last - first)
                block_scores = head.scores(block)
                if offsets is not None:
                    block_scores = block_scores + offsets
                arguments = block_scores, allowed, seen.indptr, seen.indices, *out
                run_blocks(topk_dense, rows, *arguments)
            tick(last, "")
    return codes, scores


def user_blocks(users: int, numbers: int) -> Iterator[tuple[int, int]]:
    """Ranges of users, each of so many numbers, that fit into `BLOCK` numbers."""
    step = max(1, BLOCK // max(1, numbers))
    return ((first, min(first + step, users)) for first in range(0, users, step))


def most_similar(
    item_factors: F32, counts: I64, code: int, n: int, measure: str, min_ratings: int
) -> tuple[F32, I32]:
    """Similarity of every item to one, and the n most similar; see `Recommender.similar_items`."""
    n = min(n, len(item_factors))
    # the same sums on any machine, which a matrix product does not promise
    similarity = np.einsum("ik,k->i", item_factors, item_factors[code])
    if measure == "cosine":
        lengths = np.linalg.norm(item_factors, axis=1)
        similarity = similarity / np.maximum(lengths * lengths[code], np.finfo(np.float32).tiny)
    known = counts >= max(1, min_ratings)
    codes = np.empty(0, np.int32)
    for allowed in (known, ~known & (counts > 0)):
        allowed[code] = False
        best = np.empty(n - len(codes), np.int32)
        top_n(similarity, allowed, best, np.empty(len(best), np.float32))
        codes = np.concatenate([codes, best[best >= 0]])
    return similarity, codes

"""Which movies may be listed, and the best of them for many viewers at once."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from matinee.data import Catalog
from matinee.errors import SettingError
from matinee.kernels import best_items, equal_blocks, run_blocks, top_n
from matinee.progress import progress

ENOUGH_RATINGS = 10  # with fewer, the vector of a movie is mostly its genres
BATCH = 8192  # viewers between two ticks of the progress bar


def allowed_items(
    catalog: Catalog,
    include: list[int] | None,
    exclude: list[int],
    genres: list[str],
    years: tuple[int, int] | None,
) -> NDArray[np.bool_]:
    """Mask of the movies that pass all filters, bool (items,)."""
    allowed = np.full(len(catalog), include is None)
    if include is not None:
        allowed[include] = True
    allowed[exclude] = False
    if genres:
        names = {name.casefold(): at for at, name in enumerate(catalog.genre_names)}
        unknown = [name for name in genres if name.casefold() not in names]
        if unknown:
            raise SettingError(
                f"There is no genre {unknown[0]!r}; there are {', '.join(catalog.genre_names)}."
            )
        wanted = [names[name.casefold()] for name in genres]
        allowed &= catalog.genre_matrix[:, wanted].any(axis=1)
    if years:
        if not (isinstance(years, tuple | list) and [type(year) for year in years] == [int, int]):
            raise SettingError(f"years are (first, last), not {years!r}.")
        between = pl.col("year").is_between(*years).fill_null(False)
        allowed &= catalog.frame.select(between).to_series().to_numpy()
    return allowed


def best_lists(
    mean: np.float32,
    user_rows: NDArray[np.float32],
    item_rows: NDArray[np.float32],
    allowed: NDArray[np.bool_],
    indptr: NDArray[np.int64],
    seen: NDArray[np.int32],
    n: int,
    threads: int | None,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The n best movies of each viewer; memory is n per viewer and one score per movie and thread.

    Parameters
    ----------
    indptr, seen : int64 (users + 1,), int32
        Movies to leave out for each viewer, as compressed rows.

    Returns
    -------
    codes, scores : int32 and float32 (users, n)
        Best first; -1 where no movie is left.
    """
    users = len(user_rows)
    n = min(n, max(1, int(allowed.sum())))
    codes, scores = np.empty((users, n), np.int32), np.empty((users, n), np.float32)
    with progress("Recommending", users) as tick:
        for first in range(0, users, BATCH):
            batch = equal_blocks(np.arange(min(BATCH, users - first) + 1))
            blocks = [(first + start, first + stop) for start, stop in batch]
            run_blocks(
                best_items,
                blocks,
                mean,
                user_rows,
                item_rows,
                allowed,
                indptr,
                seen,
                codes,
                scores,
                threads=threads,
            )
            tick(blocks[-1][1], "")
    return codes, scores


def most_alike(
    vectors: NDArray[np.float32], counts: NDArray[np.int64], code: int, n: int, measure: str
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Likeness of every movie to one, and the n most alike; see `FactorModel.similar`.

    Parameters
    ----------
    vectors : float32 (items, factors)
    counts : int64 (items,)
        Ratings of each movie.
    code, n : int
    measure : {"cosine", "dot"}
    """
    n = min(n, len(vectors))
    likeness = np.einsum("ik,k->i", vectors, vectors[code])  # the same sums on any machine
    if measure == "cosine":
        lengths = np.linalg.norm(vectors, axis=1)
        likeness = likeness / np.maximum(lengths * lengths[code], np.finfo(np.float32).tiny)
    known = counts >= ENOUGH_RATINGS
    codes = np.empty(0, np.int32)
    for allowed in (known, ~known & (counts > 0)):
        allowed[code] = False
        more = np.empty(n - len(codes), np.int32)
        top_n(likeness, allowed, more, np.empty(len(more), np.float32))
        codes = np.concatenate([codes, more[more >= 0]])
    return likeness, codes

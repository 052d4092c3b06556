"""What viewers and movies are known by beside their ratings: sparse columns, in named groups."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matinee.data import Dataset, Ratings
from matinee.kernels import Rows, add_up_rows, compress, equal_blocks, run_blocks, transpose
from matinee.models.side import movie_features

YEARS_OF_AGE = 5  # that count as the same age
FEW_BLOCKS = 8  # a pass takes a few milliseconds: more would spend them on threads
TRAITS = ("age", "gender", "occupation")

Entries = tuple[NDArray[np.integer], NDArray[np.integer], NDArray[np.floating], int]
"""Row, column and value of each entry of a group, and how many columns it has."""


@dataclass(frozen=True, eq=False)
class Features:
    """Sparse features of one side.

    Parameters
    ----------
    names : tuple of str
        Of the groups.
    group : int64 (columns,)
        Which group a column is of.
    by_row, by_column : Rows
        The matrix, a row for each viewer or movie, and its transpose.
    """

    names: tuple[str, ...]
    group: NDArray[np.int64]
    by_row: Rows
    by_column: Rows

    @classmethod
    def of_groups(cls, rows: int, groups: dict[str, Entries]) -> "Features":
        """All groups side by side."""
        sizes = [columns for *_, columns in groups.values()]
        starts = np.concatenate(([0], np.cumsum(sizes))).astype(np.int64)
        none = np.empty(0)
        row = np.concatenate([none, *(part[0] for part in groups.values())]).astype(np.int32)
        shifted = [part[1] + at for part, at in zip(groups.values(), starts, strict=False)]
        column = np.concatenate([none, *shifted]).astype(np.int32)
        value = np.concatenate([none, *(part[2] for part in groups.values())]).astype(np.float32)
        by_row = compress(row, column, value, rows)
        by_column = transpose(by_row, int(starts[-1]))
        return cls(tuple(groups), np.repeat(np.arange(len(sizes)), sizes), by_row, by_column)

    def fingerprint(self) -> str:
        """SHA-256 of all of it."""
        digest = hashlib.sha256(repr(self.names).encode())
        for array in (self.group, *self.by_row):
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()

    @property
    def columns(self) -> int:
        return len(self.group)

    def times(self, table: NDArray[np.float32], threads: int | None = None) -> NDArray[np.float32]:
        """Features times a table, (columns, width), to a row for each viewer or movie."""
        return _product(self.by_row, table, threads)

    def transposed_times(
        self, rows: NDArray[np.float32], threads: int | None = None
    ) -> NDArray[np.float32]:
        """The transpose times rows, to one for each column."""
        return _product(self.by_column, rows, threads)

    def only(self, names: Iterable[str], table: NDArray[np.float32]) -> NDArray[np.float32]:
        """A table whose rows are zero but for those of some groups."""
        kept = [at for at, name in enumerate(self.names) if name in set(names)]
        return np.where(np.isin(self.group, kept)[:, None], table, np.float32(0.0))


def _product(matrix: Rows, table: NDArray[np.float32], threads: int | None) -> NDArray[np.float32]:
    out = np.empty((len(matrix.indptr) - 1, table.shape[1]), np.float32)
    blocks = equal_blocks(matrix.indptr, FEW_BLOCKS)
    run_blocks(add_up_rows, blocks, *matrix, table, out, threads=threads)
    return out


def features_of_viewers(train: Dataset, names: Iterable[str]) -> Features:
    """Age (in spans), gender and occupation where they are known; the movies somebody rated.

    ``"rated"`` has ``1 / sqrt(n)`` for each of n movies (SVD++: Koren 2008).
    """
    ratings, groups = train.ratings, {}
    if "traits" in names and train.viewers is not None:
        for trait in TRAITS:
            if trait in train.viewers.columns:
                column = train.viewers[trait]
                known = column.drop_nulls().to_numpy()
                kinds = known // YEARS_OF_AGE if trait == "age" else known
                groups[trait] = _one_of_each(np.flatnonzero(column.is_not_null()), kinds)
    if "rated" in names:
        groups["rated"] = _shares(ratings.user, ratings.item, len(ratings.item_ids), ratings)
    return Features.of_groups(len(ratings.user_ids), groups)


def features_of_movies(train: Dataset, names: Iterable[str]) -> Features:
    """Genres and years as in `movie_features`; the viewers who rated a movie, as above."""
    ratings, groups = train.ratings, {}
    genres = movie_features(train.catalog, "genres")[:, 1:]
    if "genres" in names:
        groups["genres"] = _dense(genres)
    if "years" in names:
        both = movie_features(train.catalog, "genres+years")
        groups["years"] = _dense(both[:, 1 + genres.shape[1] :])
    if "raters" in names:
        groups["raters"] = _shares(ratings.item, ratings.user, len(ratings.user_ids), ratings)
    return Features.of_groups(len(ratings.item_ids), groups)


def _one_of_each(rows: NDArray[np.intp], kinds: NDArray[np.generic]) -> Entries:
    known, code = np.unique(kinds, return_inverse=True)
    return rows, code, np.ones(len(rows), np.float32), len(known)


def _dense(matrix: NDArray[np.float32]) -> Entries:
    row, column = np.nonzero(matrix)
    return row, column, matrix[row, column], matrix.shape[1]


def _shares(
    row: NDArray[np.int32], column: NDArray[np.int32], columns: int, ratings: Ratings
) -> Entries:
    counts = np.bincount(row)
    return row, column, 1 / np.sqrt(counts[row]), columns

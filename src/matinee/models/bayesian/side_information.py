"""Side information: sparse features of users and items in named groups, linked to prior means."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from matinee._types import F32, F64, I32, I64, Floats, Ints
from matinee.data.attributes import Attributes
from matinee.data.dataset import Dataset
from matinee.data.ratings import Ratings
from matinee.kernels.csr import compress, row_of_entries, transpose
from matinee.kernels.linalg import inner, times
from matinee.models.ridge import Solver, SparseMatrix, solver_for

Entries = tuple[Ints, Ints, Floats, int]
"""Row, column and value of each entry of a group, and how many columns it has."""


@dataclass(frozen=True, eq=False)
class Features(SparseMatrix):
    """Sparse features of one side: a row for each user or item."""

    names: tuple[str, ...]  # of the groups
    group: I64  # (columns,) which group a column belongs to

    @classmethod
    def of_groups(cls, rows: int, groups: dict[str, Entries]) -> "Features":
        """All groups side by side."""
        sizes = [columns for *_, columns in groups.values()]
        starts = np.concatenate(([0], np.cumsum(sizes))).astype(np.int64)
        none = np.empty(0)
        row = np.concatenate([none, *(part[0] for part in groups.values())]).astype(np.int32)
        shifted = [part[1] + start for part, start in zip(groups.values(), starts, strict=False)]
        column = np.concatenate([none, *shifted]).astype(np.int32)
        value = np.concatenate([none, *(part[2] for part in groups.values())]).astype(np.float32)
        by_row = compress(row, column, value, rows)
        by_column = transpose(by_row, int(starts[-1]))
        return cls(by_row, by_column, tuple(groups), np.repeat(np.arange(len(sizes)), sizes))

    def fingerprint(self) -> str:
        """SHA-256 of all of it."""
        digest = hashlib.sha256(repr(self.names).encode())
        for array in (self.group, *self.by_row):
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()

    def only(self, names: Iterable[str], table: F32) -> F32:
        """The table with zeros in all rows but those of these groups."""
        kept = [number for number, name in enumerate(self.names) if name in set(names)]
        return np.where(np.isin(self.group, kept)[:, None], table, np.float32(0.0))


def features_of_users(train: Dataset, names: Sequence[str]) -> Features:
    """What is known of users; the n items rated, ``1 / sqrt(n)`` each (Koren 2008)."""
    ratings, groups = train.ratings, _known(train.users, names)
    if "rated" in names:
        groups["rated"] = _shares(ratings.user, ratings.item, len(ratings.item_ids), ratings)
    return Features.of_groups(len(ratings.user_ids), groups)


def features_of_items(train: Dataset, names: Sequence[str]) -> Features:
    """What is known of items; the users who rated an item, as above."""
    ratings, groups = train.ratings, _known(train.catalog.attributes, names)
    if "raters" in names:
        groups["raters"] = _shares(ratings.item, ratings.user, len(ratings.user_ids), ratings)
    return Features.of_groups(len(ratings.item_ids), groups)


def _known(attributes: Attributes, names: Sequence[str]) -> dict[str, Entries]:
    """The features of each of the named attributes."""
    groups: dict[str, Entries] = {}
    for name in attributes.names:
        if name in names:
            features, columns = attributes.select([name])
            row, column = row_of_entries(features), features.indices - 1
            kept = column >= 0  # the constant is the mean of the prior
            groups[name] = row[kept], column[kept], features.values[kept], len(columns) - 1
    return groups


def _shares(row: I32, column: I32, columns: int, ratings: Ratings) -> Entries:
    counts = np.bincount(row)
    return row, column, 1 / np.sqrt(counts[row]), columns


FIRST_PRECISION = 1.0
SHAPE = RATE = 1.0  # of the gamma prior of a group's precision


@dataclass
class FeatureLink:
    """The weights B of the features, and the precision of each group's prior."""

    features: Features
    table: F32  # B, (columns, width)
    precisions: F64  # (groups,)
    solver: Solver = field(repr=False)

    @classmethod
    def start(cls, features: Features, width: int) -> "FeatureLink":
        table = np.zeros((features.columns, width), np.float32)
        precisions = np.full(len(features.names), FIRST_PRECISION)
        return cls(features, table, precisions, solver_for(features))

    def means(self) -> F32:
        """features @ B, (rows, width)."""
        return self.features.times(self.table)

    def scatter(self) -> F64:
        """B' diag(precisions) B, which the posterior of L needs, (width, width)."""
        table = self.table.astype(np.float64)
        return inner(table, self.precisions[self.features.group][:, None] * table)

    def draw_precisions(self, precision: F64, rng: np.random.Generator) -> None:
        """Draw each group's precision given B and L."""
        table = self.table.astype(np.float64)
        squares = np.einsum("dw,dw->d", times(table, precision), table)
        sums = np.bincount(self.features.group, squares, len(self.precisions))
        sizes = np.bincount(self.features.group, minlength=len(self.precisions))
        shapes = SHAPE + sizes * table.shape[1] / 2
        self.precisions = rng.gamma(shapes) / (RATE + sums / 2)

    def draw(self, centred: F64, precision: F64, rng: np.random.Generator) -> None:
        """Draw B given the rows less their mean, (rows, width), and L."""
        root = np.linalg.inv(np.linalg.cholesky(precision))
        weight = self.precisions[self.features.group]
        noise = rng.standard_normal((len(centred) + len(weight), centred.shape[1]))
        noise = times(noise, root)
        ours, theirs = noise[: len(centred)], noise[len(centred) :]
        right = self.features.transposed_times((centred + ours).astype(np.float32))
        right += (np.sqrt(weight)[:, None] * theirs).astype(np.float32)
        self.table = self.solver.solve(weight, right)

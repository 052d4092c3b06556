"""What was watched says what comes next: transitions by ridge regression, and lifts by counting."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from matinee._types import F32, F64, I32, I64, Bools, Floats
from matinee.data.ratings import DAY, Ratings
from matinee.kernels.csr import Rows, compress, row_of_entries, take_rows, transpose
from matinee.kernels.parallel import balanced_blocks, run_blocks
from matinee.kernels.transitions import count_before, sum_products, sum_tails, sum_targets
from matinee.progress import progress

NUMBERS = 16_000_000  # of targets that are solved or counted at a time
LIFT_STRENGTH = 80.0  # of what is expected by chance: see `count_lifts`
LIFT_REACH = 5  # places within which pairs are counted
TINY = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True, eq=False)
class Histories:
    """What each user watched, in order."""

    indptr: I64  # (users + 1,)
    items: I32  # (interactions,)
    moments: F64  # (interactions,), as `Ratings.moments`
    n_items: int

    @classmethod
    def of(cls, ratings: Ratings) -> "Histories":
        """Those of a training set."""
        interactions, moments = ratings.by_user, ratings.moments
        order = np.lexsort((moments, row_of_entries(interactions)))
        return cls(
            interactions.indptr,
            interactions.indices[order],
            moments[order],
            len(ratings.item_ids),
        )

    @cached_property
    def users(self) -> I32:
        """Whose each interaction is, (interactions,)."""
        counts = np.diff(self.indptr)
        return np.repeat(np.arange(len(counts), dtype=np.int32), counts)

    @cached_property
    def by_item(self) -> Rows:
        """Where each item was watched, a row for each: the numbers of the interactions."""
        entries = np.arange(len(self.items), dtype=np.int32)
        return compress(self.items, entries, np.ones(len(entries), np.float32), self.n_items)


def decays(moments: Floats, places: F32, days: F32) -> F32:
    """What weights are multiplied by from one interaction to the next, float32 (interactions,
    features); that of a user's first interaction means nothing.
    """
    gaps = np.diff(moments, prepend=moments[:1]) / DAY
    gaps = np.where(gaps > 0, gaps, 0.0)  # NaN, where only the order is known, and none
    return np.exp(-(1 / places + gaps[:, None] / days)).astype(np.float32)


def solve_transitions(
    histories: Histories,
    steps: F32,
    *,
    sources: int,
    kept: int,
    regularization: float,
    discount: float,
) -> Rows:
    """Ridge regression from what was watched to what came next: row ``feature * n_items + item``.

    With a row x of weights of sources at each place of a history and a row y that is 1 for the
    item that follows, the sum of ``|y - x W|^2 + regularization |W|^2`` is minimized over W (as in
    Choi et al. 2021, "Session-aware Linear Item-Item Models", SLIST). What comes k places later is
    a target of ``discount ** k``.

    Sources are the items that most users watched, so that the system stays as small. Of all
    weights, `kept` for each row on average, the largest in magnitude, are kept.
    """
    n_items, counts = histories.n_items, np.diff(histories.by_item.indptr)
    most = np.argsort(-counts, kind="stable")[: min(sources, int(np.count_nonzero(counts)))]
    walk = _Walk.of(histories, steps, np.sort(most).astype(np.int32))
    inverse = walk.inverse(regularization)
    width, least = len(inverse), 0.0
    blocks, parts = _blocks(n_items, width), []
    with progress("Solving what comes next", len(blocks)) as tick:
        for done, block in enumerate(blocks, 1):
            weights = walk.targets(block, discount) @ inverse
            least = least or _least_of(weights, kept * width / n_items)  # the first is a sample
            parts.append(_entries(weights, np.abs(weights) >= max(least, TINY)))
            tick(done, "")
    return walk.by_source(transpose(_in_order(parts, blocks), width))


def count_lifts(histories: Histories, steps: F32) -> Rows:
    """How much oftener than by chance one item follows another soon: a row for each item.

    ``log(1 + C_ij / (LIFT_STRENGTH p_j))``, C being the sum over pairs of the decays in between,
    for what follows within a few places, and p the share of all interactions: the logarithm of a
    smoothed lift, up to a number that is the same for all j. Summed over a history, they are the
    log-odds of naive Bayes.
    """
    n_items, (indptr, entries, _) = histories.n_items, histories.by_item
    counts = np.diff(indptr)
    codes = np.empty(LIFT_REACH * len(entries), np.int32)
    sums, found = np.empty(len(codes), np.float32), np.zeros(n_items, np.int64)
    walk = histories.users, histories.indptr, histories.items, steps, LIFT_REACH, n_items
    run_blocks(count_before, balanced_blocks(indptr), indptr, entries, *walk, codes, sums, found)
    room = LIFT_REACH * counts
    place = np.arange(len(codes)) - np.repeat(LIFT_REACH * indptr[:-1], room)
    filled = place < np.repeat(found, room)
    expected = LIFT_STRENGTH * (counts + 1.0) / (counts + 1.0).sum()
    lifts = np.log1p(sums[filled] / np.repeat(expected, found)).astype(np.float32)
    by_target = Rows(np.concatenate(([0], np.cumsum(found))), codes[filled], lifts)
    return transpose(by_target, n_items)


@dataclass(frozen=True, eq=False)
class _Walk:
    """What is summed on walks through histories, from a row of weights at each place."""

    histories: Histories
    steps: F32
    sources: I32  # (sources,) items, ascending
    source_of: I32  # (items,) the number of each as a source; -1: it is none

    @classmethod
    def of(cls, histories: Histories, steps: F32, sources: I32) -> "_Walk":
        """Through histories with the decays of features, looking at some of the items."""
        source_of = np.full(histories.n_items, -1, np.int32)
        source_of[sources] = np.arange(len(sources), dtype=np.int32)
        return cls(histories, steps, sources, source_of)

    @property
    def _shared(self) -> tuple[I32, I64, I32, F32]:
        histories = self.histories
        return histories.users, histories.indptr, histories.items, self.steps

    def inverse(self, regularization: float) -> F32:
        """Of the normal equations, (features * sources, features * sources)."""
        features, size = self.steps.shape[1], len(self.sources)
        indptr = self.histories.indptr
        tails = np.empty((len(self.steps), features, features), np.float32)
        run_blocks(sum_tails, balanced_blocks(indptr), indptr, self.steps, tails)
        normal = np.zeros((features, size, features, size), np.float32)
        where = take_rows(self.histories.by_item, self.sources)
        arguments = where.indptr, where.indices, *self._shared, tails, self.source_of, normal
        run_blocks(sum_products, balanced_blocks(where.indptr), *arguments)
        square = normal.reshape(features * size, features * size)
        square[np.diag_indices_from(square)] += np.float32(regularization)
        return np.asarray(np.linalg.inv(square), np.float32)

    def targets(self, items: I64, discount: float) -> F32:
        """The right-hand sides of some targets, (targets, features * sources)."""
        out = np.zeros((len(items), self.steps.shape[1], len(self.sources)), np.float32)
        where = take_rows(self.histories.by_item, items)
        arguments = *self._shared, self.source_of, np.float32(discount), out
        blocks = balanced_blocks(where.indptr)
        run_blocks(sum_targets, blocks, where.indptr, where.indices, *arguments)
        return out.reshape(len(items), -1)

    def by_source(self, weights: Rows) -> Rows:
        """Rows of sources as rows of all items, most of which are empty."""
        counts = np.zeros((self.steps.shape[1], self.histories.n_items), np.int64)
        counts[:, self.sources] = np.diff(weights.indptr).reshape(len(counts), -1)
        return weights._replace(indptr=np.concatenate(([0], np.cumsum(counts))))


def _least_of(sample: F32, kept: float) -> float:
    """The magnitude that so many weights of each target reach, on average."""
    sizes = np.abs(sample).ravel()
    place = len(sizes) - min(len(sizes), max(1, round(kept * len(sample))))
    return float(np.partition(sizes, place)[place])


def _blocks(n_items: int, width: int) -> list[I64]:
    """Targets that are looked at together, from all over the catalogue."""
    count = max(1, -(-n_items * width // NUMBERS))
    return [np.arange(first, n_items, count) for first in range(min(count, n_items))]


def _entries(values: F32, kept: Bools) -> Rows:
    """Some of the entries, by row."""
    row, column = np.nonzero(kept)
    indptr = np.concatenate(([0], np.cumsum(kept.sum(axis=1))))
    return Rows(indptr, column.astype(np.int32), values[row, column])


def _in_order(parts: list[Rows], blocks: list[I64]) -> Rows:
    """The rows of all blocks as one matrix."""
    counts = np.concatenate([np.diff(part.indptr) for part in parts])
    joined = Rows(
        np.concatenate(([0], np.cumsum(counts))),
        np.concatenate([part.indices for part in parts]),
        np.concatenate([part.values for part in parts]),
    )
    return take_rows(joined, np.argsort(np.concatenate(blocks)))

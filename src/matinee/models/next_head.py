"""The head that knows in which order things were watched: what comes next."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from matinee._types import F32, F64, I32, I64, Floats, Ints
from matinee.kernels.csr import Rows, row_of_entries, take_rows
from matinee.kernels.parallel import balanced_blocks, run_blocks
from matinee.kernels.transitions import fading_weights, sum_transitions
from matinee.models.head import Components, check_array, is_csr
from matinee.models.profiles import UserBatch
from matinee.models.queries import Sizes
from matinee.models.ranking_heads import FactorRankingHead
from matinee.models.transitions import decays

LEAST = np.float32(3e-4)
"""Of a sum of transitions: what is less counts as this."""
LEAST_TASTE = np.float32(3e-3)
"""The same of a long-term score."""


@dataclass(frozen=True, eq=False)
class NextHead:
    """``score(u, i) = max(T, LEAST) * exp(lift_weight * L) * max(Q, LEAST_TASTE) ** taste_weight``.

    T and L are sums over what u watched, which weighs the less the longer ago it is: of
    transitions, by which an item comes next, and of lifts, by how much oftener than by chance
    (`matinee.models.transitions`). Q is the long-term score, the user's taste as a whole.
    """

    long_term: FactorRankingHead  # what the user would watch, whenever
    indptr: I64  # (features * items + 1,): transitions of row feature * items + item, in CSR
    targets: I32  # (transitions,)
    transitions: F32  # (transitions,)
    lift_indptr: I64  # (items + 1,): lifts of what follows each item, in CSR
    lift_targets: I32  # (lifts,)
    lifts: F32  # (lifts,)
    places: F32  # (features + 1,): after how many interactions a weight has faded to 1 / e; the
    # last is that of lifts
    days: F32  # (features + 1,): after how many days between interactions it has
    lift_weight: float
    taste_weight: float
    trend: F32  # (items,): popularity of late, 1 on average
    next_weight: float  # of this order and of the trend in `TimelyHead`
    trend_weight: float
    lead: float  # how much better that was than the long-term order, in NDCG@10
    estimator: Mapping[str, Any]
    history: pl.DataFrame

    @property
    def item_factors(self) -> F32 | None:
        """Those of the long-term head."""
        return self.long_term.item_factors

    @property
    def user_factors(self) -> F32 | None:
        """Those of the long-term head."""
        return self.long_term.user_factors

    def scores(self, batch: UserBatch) -> F32:
        transitions, lifts = self.sums(batch)
        return np.maximum(transitions, LEAST) * self.factors(lifts, self.long_term.scores(batch))

    def factors(self, lifts: F32, long_term: F32) -> F32:
        """What sums of transitions are multiplied by, of sums of lifts and long-term scores, all
        float32 (users, items).
        """
        of_taste = np.float32(self.taste_weight) * log_at_least(long_term, LEAST_TASTE)
        return np.asarray(np.exp(np.float32(self.lift_weight) * lifts + of_taste))

    def sums(self, batch: UserBatch) -> tuple[F32, F32]:
        """The sums of transitions and of lifts, float32 (users, items)."""
        history, weights, _ = self._weighted(batch)
        rows = Rows(self.indptr, self.targets, self.transitions)
        return self._summed(history, weights[:, :-1], rows), self._lifted(history, weights)

    def _lifted(self, history: Rows, weights: F32) -> F32:
        rows = Rows(self.lift_indptr, self.lift_targets, self.lifts)
        return self._summed(history, weights[:, -1:], rows)

    def _summed(self, history: Rows, weights: F32, rows: Rows) -> F32:
        out = np.empty((len(history.indptr) - 1, len(self.trend)), np.float32)
        arguments = *history[:2], np.ascontiguousarray(weights), *rows, out
        run_blocks(sum_transitions, balanced_blocks(history.indptr), *arguments)
        return out

    def timeliness(self, transitions: F32, lifts: F32) -> F32:
        """What `TimelyHead` multiplies by, float32 (users, items)."""
        coming = log_at_least(transitions, LEAST) + np.float32(self.lift_weight) * lifts
        of_late = np.float32(self.trend_weight) * np.log(self.trend)
        return np.asarray(np.exp(np.float32(self.next_weight) * coming + of_late))

    def _weighted(self, batch: UserBatch) -> tuple[Rows, F32, I64]:
        """The interactions in order, the weights of each (features), and where each comes from.

        Where the order is not known, each has the mean weight of all places.
        """
        indptr, items, values = batch.interactions
        row, moments = row_of_entries(batch.interactions), batch.moments
        if moments is None:
            moments = np.full(len(row), np.nan)
        order = np.lexsort((moments, row))
        weights = np.empty((len(row), len(self.places)), np.float32)
        steps = decays(moments[order], self.places, self.days)
        run_blocks(fading_weights, balanced_blocks(indptr), indptr, steps, weights)
        unknown = np.isnan(moments[order])  # as all of a user's are, or none
        if unknown.any():
            counts = np.maximum(np.diff(indptr), 1)
            for weight in weights.T:
                means = np.bincount(row, weight, minlength=len(counts)) / counts
                weight[unknown] = means[row[unknown]]
        return Rows(indptr, items[order], values[order]), weights, order

    def contributions(self, batch: UserBatch, items: Ints) -> tuple[Components, F64]:
        """What the transitions of each item that was watched add, times all else."""
        history, weights, order = self._weighted(batch)
        column = np.full(len(self.trend), -1, np.int64)
        column[items] = np.arange(len(items))
        from_ratings = np.zeros((len(items), len(order)))
        rows = Rows(self.indptr, self.targets, self.transitions)
        for feature, weight in enumerate(weights[:, :-1].T.astype(np.float64)):
            own = take_rows(rows, feature * len(self.trend) + history.indices.astype(np.int64))
            entry, place = row_of_entries(own), column[own.indices]
            asked = place >= 0
            parts = (weight[entry] * own.values)[asked]
            from_ratings[place[asked], order[entry[asked]]] += parts
        lifts = self._lifted(history, weights)
        factors = self.factors(lifts, self.long_term.scores(batch))[0, items]
        return scaled_contributions([{} for _ in items], from_ratings, factors, LEAST)

    def check(self, sizes: Sizes) -> None:
        self.long_term.check(sizes)
        features = len(self.places) - 1
        for name in ("places", "days"):
            check_array(name, getattr(self, name), (features + 1,))
        check_array("trend", self.trend, (sizes.items,))
        check_array("transitions", self.transitions, self.targets.shape)
        check_array("lifts", self.lifts, self.lift_targets.shape)
        if not (
            is_csr(self.indptr, self.targets, features * sizes.items, sizes.items)
            and is_csr(self.lift_indptr, self.lift_targets, sizes.items, sizes.items)
        ):
            raise ValueError("transitions or lifts do not fit the items")
        weights = self.lift_weight, self.taste_weight, self.next_weight, self.trend_weight
        fitting = (
            features > 0
            and (self.places > 0).all()
            and (self.days > 0).all()
            and (self.trend > 0).all()
            and all(0 <= weight < np.inf for weight in weights)
            and np.isfinite(self.lead)
        )
        if not fitting:
            raise ValueError("a number of what comes next is out of range")


def log_at_least(values: F32, least: np.float32) -> F32:
    """The logarithm of values, those that are less counting as `least`."""
    return np.log(np.maximum(values, least))


def scaled_contributions(
    general: Components, from_ratings: F64, factors: Floats, least: np.float32
) -> tuple[Components, F64]:
    """Contributions to a score that counts as `least` if it is less, times a factor for each item.

    What it lacks to that is a component of its own.
    """
    sums = from_ratings.sum(axis=1) + [sum(of_item.values()) for of_item in general]
    scaled: Components = []
    for of_item, total, factor in zip(general, sums.tolist(), factors.tolist(), strict=True):
        scaled.append({name: factor * value for name, value in of_item.items()})
        if total < least:
            scaled[-1]["lacking"] = factor * (float(least) - total)
    return scaled, from_ratings * factors[:, None]

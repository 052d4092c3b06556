"""What comes next: lists that know the order in which things were watched."""

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from matinee.data.dataset import Dataset
from matinee.errors import SettingError
from matinee.models.base import Estimator, FitContext
from matinee.models.implicit_als import ImplicitALS
from matinee.models.next_choice import HeldOut, Weights, choose, trend
from matinee.models.next_head import NextHead
from matinee.models.queries import TrainingIndex
from matinee.models.ranking_heads import FactorRankingHead
from matinee.models.recommender import Recommender
from matinee.models.transitions import Histories, count_lifts, decays, solve_transitions

LIFT_PLACES = 2.0  # until the weight of a lift has faded to 1/e
TRIAL_FACTORS, TRIAL_ITERATIONS = 64, 6  # of the long-term scores; enough to tell what is best


@dataclass(frozen=True, kw_only=True)
class NextItem(Estimator):
    """What comes next: item-to-item transitions in closed form, times the user's taste as a whole.

    What a user watched weighs less the longer ago it is: features that have faded to 1/e after
    `short` and after `long` interactions, or after `days` between two. Ridge regression from these
    weights to the item that comes next gives the transitions (Choi, Kim, Lee, Shim & Lee 2021,
    "Session-aware Linear Item-Item Models for Session-based Recommendation"; Park, Yoon, Choi &
    Lee 2025, "Temporal Linear Item-Item Model for Sequential Recommendation"). Their sum is
    multiplied by powers of lifts, how much oftener than by chance one item follows another soon,
    and of the score of `ImplicitALS`: ``head="next"``. The weights are those that find the last
    item of users in a part of the training set. Whether lists are better by small powers of all
    this and of popularity of late is found out on its last three tenths in time; if they are,
    the default order is ``"timely"`` (`Recommender.recommend`).

    Needs timestamps; those of a user that are the same are in the order of the rows. The inverse
    is LAPACK's, so that the last digits depend on the machine.

    Parameters
    ----------
    short, long : float
        Interactions until a weight has faded to 1/e.
    days : float
        Days without interactions until it has.
    regularization : float
        Of the ridge regression.
    discount : float
        What comes k interactions later than next counts as next with weight ``discount ** k``.
    sources : int
        What is learned from: the items that most users watched, as many as this. Time grows with
        the cube, memory with the square. Any item can be what comes next.
    kept : int
        Transitions of a source and feature that are kept, on average; the largest of all are.
    factors, seed : int
        Of the long-term `ImplicitALS`.

    Examples
    --------
    >>> model = matinee.NextItem(factors=8).fit(data)
    >>> model.recommend(1, n=3, head="next").columns
    ['item_id', 'title', 'genres', 'score']
    """

    predicts = "ranking"

    short: float = 1.5
    long: float = 10.0
    days: float = 30.0
    regularization: float = 200.0
    discount: float = 0.3
    sources: int = 2_000
    kept: int = 500
    factors: int = 128
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_positive("short", "long", "days", "regularization")
        self._check_at_least(sources=1, kept=1, factors=1, seed=0)
        if not 0 <= self.discount < 1:
            raise SettingError(f"discount must be ≥ 0 and < 1, got {self.discount:g}.")

    def _fit(self, train: Dataset, context: FitContext) -> Recommender:
        train.ratings.timestamp_for("NextItem")
        started = time.perf_counter()
        long_term = self._long_term(train, context.threads)
        weights = self._choose(train, long_term, context.threads)
        head = self._head(train, long_term, weights)
        seconds = time.perf_counter() - started
        head = replace(head, history=pl.DataFrame({"iteration": [1], "seconds": [seconds]}))
        return Recommender(TrainingIndex.of(train, moments=True), ranking_head=head)

    def _long_term(
        self, train: Dataset, threads: int | None, like: FactorRankingHead | None = None
    ) -> Any:
        """The taste of users as a whole; a smaller model with what was chosen for another one."""
        estimator = ImplicitALS(factors=self.factors, seed=self.seed)
        if like is not None:
            estimator = replace(
                estimator,
                factors=min(self.factors, TRIAL_FACTORS),
                iterations=TRIAL_ITERATIONS,
                regularization=like.regularization,
                unobserved=like.unobserved,
            )
        return estimator.fit(train, threads=threads).ranking_head

    def _head(self, train: Dataset, long_term: FactorRankingHead, weights: Weights) -> NextHead:
        """What is learned from a training set, with these weights."""
        histories = Histories.of(train.ratings)
        places = np.array([self.short, self.long, LIFT_PLACES], np.float32)
        days = np.full(len(places), self.days, np.float32)
        steps = decays(histories.moments, places, days)
        transitions = solve_transitions(
            histories,
            np.ascontiguousarray(steps[:, :-1]),
            sources=self.sources,
            kept=self.kept,
            regularization=self.regularization,
            discount=self.discount,
        )
        return NextHead(
            long_term,
            *transitions,
            *count_lifts(histories, np.ascontiguousarray(steps[:, -1])),
            places=places,
            days=days,
            lift_weight=weights.lift_weight,
            taste_weight=weights.taste_weight,
            trend=trend(train.ratings, weights.days),
            next_weight=weights.next_weight,
            trend_weight=weights.trend_weight,
            lead=weights.lead,
            estimator=self.to_config(),
            history=pl.DataFrame(),
        )

    def _choose(self, train: Dataset, long_term: FactorRankingHead, threads: int | None) -> Weights:
        """The weights of the head, chosen with a smaller model of a part."""
        held_out = HeldOut.of(train)
        if held_out is None:
            return Weights()
        small = self._long_term(held_out.part, threads, long_term)
        return choose(self._head(held_out.part, small, Weights()), held_out)

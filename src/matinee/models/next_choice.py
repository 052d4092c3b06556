"""How far the user's taste as a whole counts in what comes next: chosen on what is held out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from matinee._types import F32, F64
from matinee.data.dataset import Dataset
from matinee.data.ratings import Ratings
from matinee.errors import SettingError
from matinee.kernels.csr import Rows, take_rows
from matinee.kernels.parallel import run_blocks, uniform_blocks
from matinee.kernels.topk import topk_dense
from matinee.models.held_out import LENGTH, gains_found
from matinee.models.next_head import LEAST, LEAST_TASTE, NextHead, log_at_least
from matinee.models.profiles import UserBatch
from matinee.models.queries import TrainingIndex

TASTE_WEIGHTS = (0.0, 0.3, 0.6, 1.0, 1.4)  # that are tried
LIFT_WEIGHTS = (0.0, 0.1, 0.2, 0.33, 0.5)
NEXT_WEIGHTS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5)
TREND_WEIGHTS = (0.0, 0.1, 0.2, 0.4, 0.8, 1.6)
DAYS = 7.0, 30.0  # of the trend
TREND_STRENGTH = 1_000.0  # as if so many interactions of late were spread as all are
SURE = 2.5  # the best of many options is ahead by some of them by chance
TENTHS = 3  # of the training set, the last in time, that are held out
USERS = 1_000  # whose lists are looked at, for each question
NUMBERS = 8_000_000  # scores held at a time
Terms = Callable[[F32, F32, F32], list[F32]]
"""Terms of the logarithm of a score, of sums of transitions and of lifts, and long-term scores."""


@dataclass(frozen=True, eq=False)
class Question:
    """Users with what they are known by, and what their lists should hold."""

    batch: UserBatch
    wanted: Rows

    @classmethod
    def of(cls, known: Dataset, held_out: Dataset) -> "Question":
        """A sample of the users who are in both of two parts of the ratings."""
        by_user, wanted = known.ratings.by_user, held_out.ratings.by_user
        users = np.flatnonzero(np.diff(by_user.indptr) * np.diff(wanted.indptr))
        users = users[:: max(1, -(-len(users) // USERS))]
        batch = TrainingIndex.of(known, moments=True).batch_of(users.astype(np.int32))
        new = replace(batch, codes=np.full(len(users), -1, np.int32))
        return cls(new, take_rows(wanted, users))

    def ndcg(self, scores: F32, first: int) -> F64:
        """NDCG of the lists that scores make, of the users from `first` on, (users,)."""
        users = np.arange(first, first + len(scores))
        seen, wanted = take_rows(self.batch.interactions, users), take_rows(self.wanted, users)
        codes = np.empty((len(scores), min(LENGTH, scores.shape[1])), np.int32)
        every = np.ones(scores.shape[1], bool)
        out = seen.indptr, seen.indices, codes, np.empty(codes.shape, np.float32)
        run_blocks(topk_dense, uniform_blocks(len(scores)), scores, every, *out)
        ones = np.ones(len(wanted.indices), np.float32)
        discounts = 1 / np.log2(np.arange(2, LENGTH + 2))
        ideal = np.cumsum(discounts)[np.minimum(np.diff(wanted.indptr), LENGTH) - 1]
        return np.asarray(gains_found(codes, wanted, ones, scores.shape[1]) / ideal)

    def answers(self, head: NextHead, terms: Terms, weights: Sequence[Sequence[float]]) -> F64:
        """NDCG of the lists that each row of weights makes, of terms whose weighted sum is the
        logarithm of the score, (rows, users).
        """
        found = np.zeros((len(weights), len(self.batch)))
        step = max(1, NUMBERS // len(head.trend))
        for first in range(0, len(self.batch), step):
            block = self.batch.part(first, first + step)
            logarithms = terms(*head.sums(block), head.long_term.scores(block))
            for number, row in enumerate(weights):
                scores = np.zeros((len(block), len(head.trend)), np.float32)
                for weight, term in zip(row, logarithms, strict=True):
                    if weight:
                        scores += np.float32(weight) * term
                found[number, first : first + step] = self.ndcg(scores, first)
        return found


@dataclass(frozen=True)
class Weights:
    """What is chosen of a `NextHead`."""

    lift_weight: float = 0.33
    taste_weight: float = 1.0
    days: float = DAYS[-1]  # of the trend
    next_weight: float = 0.0
    trend_weight: float = 0.0
    lead: float = 0.0


@dataclass(frozen=True, eq=False)
class HeldOut:
    """What is held out to choose by: the last tenths in time, then each user's last item."""

    part: Dataset  # to learn from
    last: Question
    later: list[tuple[list[F32], Question]]  # the trends before each tenth, by `DAYS`

    @classmethod
    def of(cls, train: Dataset) -> "HeldOut | None":
        """Of a training set; None where there is too little of it, or all at one time."""
        known, later = train, []
        try:
            for tenth in range(TENTHS):
                known, held_out = known.split("temporal", test_fraction=1 / (10 - tenth))
                trends = [trend(known.ratings, days) for days in DAYS]
                later.append((trends, Question.of(known, held_out)))
            part, held_out = known.split("leave-last-out")
        except SettingError:
            return None
        return cls(part, Question.of(part, held_out), later)


def choose(head: NextHead, held_out: HeldOut) -> Weights:
    """The weights by which lists hold most of what was held out.

    A head that has learned from the part is asked what the last item of each user is, and, by
    timely lists, what users watched in each tenth.
    """
    pairs = list(product(LIFT_WEIGHTS, TASTE_WEIGHTS))

    def of_next(transitions: F32, lifts: F32, long_term: F32) -> list[F32]:
        return [log_at_least(transitions, LEAST), lifts, log_at_least(long_term, LEAST_TASTE)]

    found = held_out.last.answers(head, of_next, [(1.0, *pair) for pair in pairs]).sum(axis=1)
    if not found.any():
        return Weights()
    lift_weight, taste_weight = pairs[int(np.argmax(found))]
    options = list(product(DAYS, NEXT_WEIGHTS, TREND_WEIGHTS))
    weights = [
        (1.0, of_following, *(of_trend * (each == days) for each in DAYS))
        for days, of_following, of_trend in options
    ]
    answers = []
    for trends, question in held_out.later:
        logarithms = [np.log(each) for each in trends]

        def timely(
            transitions: F32, lifts: F32, long_term: F32, trends: list[F32] = logarithms
        ) -> list[F32]:
            following = log_at_least(transitions, LEAST) + np.float32(lift_weight) * lifts
            return [log_at_least(long_term, LEAST_TASTE), following, *trends]

        answers.append(question.answers(head, timely, weights))
    together = np.concatenate(answers, axis=1)
    best = int(np.argmax(together.sum(axis=1)))
    return Weights(lift_weight, taste_weight, *options[best], _lead(together[best] - together[0]))


def _lead(gains: F64) -> float:
    """The mean of what users gain, or 0 if it may be chance: less than `SURE` standard errors."""
    if len(gains) < 2:
        return 0.0
    mean, error = float(gains.mean()), float(gains.std(ddof=1)) / len(gains) ** 0.5
    return mean if mean > SURE * error else 0.0


def trend(ratings: Ratings, days: float) -> F32:
    """Popularity of each item of late, (items,): in proportion to the interactions of the last
    `days`, the mean being 1. Where these are few, what was popular before counts.
    """
    recent, items = ratings.item[ratings.recent(days, "A trend")], len(ratings.item_ids)
    ever = ratings.item_counts + 1.0
    of_late = np.bincount(recent, minlength=items) + TREND_STRENGTH * ever / ever.sum()
    return np.asarray(of_late / of_late.mean(), np.float32)

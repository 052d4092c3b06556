"""Which items to ask a new user about: the ones whose ratings would move the predictions of known
items most, one after the other, so that the second asks for what the first has not told.

With rows z of items, ``rating(i) = z_i . x``, and x spread over users with covariance C, a rating
of i (with noise of variance s) changes the variance of the prediction of j by
``(z_j C z_i)^2 / (s + z_i C z_i)`` (active learning by expected change; Rubens et al. 2015).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from matinee._types import F32, F64, I64
from matinee.models.recommender import Recommender

CANDIDATES = 400  # the best known items; others would rarely have been seen
NOISE = (
    0.6  # variance of a rating around its prediction, in units of the variance that is predicted
)
SAMPLE = 20_000  # users, of whom at least half as many tell how ratings go together
SEEN = 0.5  # exponent of popularity: how much likelier it is that a popular item has been seen


@dataclass(frozen=True, eq=False)
class FirstItems:
    """The best known items, and how their ratings go together."""

    codes: I64  # (candidates,) the best known first
    weights: F64  # (candidates,) how likely each has been seen; the sum is 1
    covariance: F64 | None  # (candidates, candidates) of predicted ratings over users

    @classmethod
    def of(cls, model: Recommender) -> "FirstItems":
        """Of a model; without factors, the best known items are asked for."""
        counts = model.index.item_counts
        codes = np.argsort(-counts, kind="stable")[:CANDIDATES]
        codes = codes[counts[codes] > 0]
        weights = counts[codes].astype(np.float64) ** SEEN
        heads = [head for head in (model.rating_head, model.ranking_head) if head is not None]
        for head in heads:
            users, items = head.user_factors, head.item_factors
            if users is not None and items is not None and len(users) > 1:
                sample = users[:: len(users) // SAMPLE + 1]
                return cls(codes, weights / weights.sum(), _covariance(sample, items[codes]))
        return cls(codes, weights / max(weights.sum(), 1e-12), None)

    def choose(self, known: Sequence[int], n: int) -> list[int]:
        """Codes of n items to ask for next, of a user whose ratings of `known` there are."""
        place = {int(code): at for at, code in enumerate(self.codes)}
        told = [place[code] for code in known if code in place]
        left = np.ones(len(self.codes), bool)
        left[told] = False
        if self.covariance is None:
            return [int(code) for code in self.codes[left][:n]]
        noise = NOISE * float(np.diag(self.covariance).mean())
        covariance = self.covariance.copy()
        for at in told:
            _observe(covariance, at, noise)
        chosen: list[int] = []
        while len(chosen) < n and left.any():
            moved = (covariance**2 @ self.weights) / (noise + np.diag(covariance))
            at = int(np.argmax(np.where(left, self.weights * moved, -np.inf)))
            chosen.append(int(self.codes[at]))
            left[at] = False
            _observe(covariance, at, noise)
        return chosen


def _covariance(users: F32, items: F32) -> F64:
    """That of ``items @ x`` over users."""
    spread = np.cov(users.astype(np.float64), rowvar=False).reshape(users.shape[1], -1)
    wide = items.astype(np.float64)
    return np.asarray(wide @ spread @ wide.T)


def _observe(covariance: F64, at: int, noise: float) -> None:
    """What remains unknown when one of them has been rated."""
    column = covariance[:, at].copy()
    covariance -= np.outer(column, column) / (noise + column[at])

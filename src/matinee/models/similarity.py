"""Which items, or users, are most alike by their factors."""

from typing import Protocol, runtime_checkable

import numpy as np

from matinee._types import F32, I32, I64, Floats
from matinee.errors import SettingError, check_choice, check_whole
from matinee.kernels.topk import top_n
from matinee.models.head import Head
from matinee.models.profiles import UserBatch

MEASURES = ("cosine", "dot")
MIN_RATINGS = 10  # with fewer, the factors of an item are mostly its genres'


@runtime_checkable
class RowHead(Head, Protocol):
    """A head that has a row for each user, or solves one for a new user."""

    def rows(self, batch: UserBatch) -> F32:
        """Rows of users, float32 (users, width): a bias, if there is one, then factors."""


def check_measure(measure: str) -> None:
    """Refuse what is no way to compare factors."""
    check_choice("measure", measure, MEASURES)


def check_comparison(measure: str, n: int, min_ratings: int) -> None:
    """Refuse arguments of a comparison that make no sense."""
    check_measure(measure)
    check_whole("n", n, 1)
    check_whole("min_ratings", min_ratings, 0)


def most_similar(
    factors: F32, counts: I64, target: F32, own: int, n: int, measure: str, min_ratings: int
) -> tuple[F32, I32]:
    """The n rows most similar to a `target` and their similarities; `own` is the target's, or -1.

    Rows with fewer ratings than `min_ratings` come last, rows without any never.
    """
    n = min(n, len(factors))
    # the same sums on any machine, which a matrix product does not promise
    similarity = np.einsum("ik,k->i", factors, target)
    if measure == "cosine":
        lengths = np.linalg.norm(factors, axis=1) * np.linalg.norm(target)
        similarity = similarity / np.maximum(lengths, np.finfo(np.float32).tiny)
    known = counts >= max(1, min_ratings)
    codes = np.empty(0, np.int32)
    for allowed in (known, ~known & (counts > 0)):
        if own >= 0:
            allowed[own] = False
        best = np.empty(n - len(codes), np.int32)
        top_n(similarity, allowed, best, np.empty(len(best), np.float32))
        codes = np.concatenate([codes, best[best >= 0]])
    return similarity[codes].astype(np.float32), codes


def user_factors_of(head: Head, batch: UserBatch, width: int) -> F32:
    """Factors without biases of the users of a batch, float32 (users, width)."""
    if not isinstance(head, RowHead):
        raise SettingError("This model has no factors of users.")
    return head.rows(batch)[:, -width:]


def average_user(user_factors: F32, counts: I64) -> F32:
    """The mean factors of the users with `MIN_RATINGS` ratings, or of all if there are none.

    Users are compared as differences from it: what all of them share would make them all alike.
    """
    known = counts >= MIN_RATINGS
    return np.asarray(user_factors[known if known.any() else slice(None)].mean(axis=0), np.float32)


def unit_rows(rows: Floats) -> Floats:
    """The rows, divided by their lengths."""
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: Floats = rows / np.maximum(norms, np.finfo(np.float32).tiny)
    return unit

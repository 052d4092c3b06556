"""Users as models see them: one, as what they rated, and several together."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from matinee._types import F32, F64, I32, Ints
from matinee.kernels.csr import Rows, sum_weighted_rows, take_rows
from matinee.kernels.parallel import balanced_blocks, run_blocks


@dataclass(frozen=True, eq=False)
class UserProfile:
    """The ratings of one user: all that a model needs to know of a person.

    `Recommender.fold_in` makes one for a new user; wherever a model takes a user's id, it takes a
    `UserProfile` as well.

    Parameters
    ----------
    items : int32 (n,)
        Indices of the items rated, ascending.
    values : float32 (n,)
        The ratings, on the scale; of interactions without ratings, how often, or their weight.
    features : Rows or None
        A row of what is known of them beside ratings, as `Attributes.features`.
    rated : bool
        Whether these are ratings.
    moments : float64 (n,) or None
        When each item was watched, in seconds from any moment; None: not known.
    """

    items: I32
    values: F32
    features: Rows | None = None
    rated: bool = True
    moments: F64 | None = None

    def __repr__(self) -> str:
        count = len(self.items)
        noun = "rating" if self.rated else "item"
        return f"UserProfile({count} {noun}{'' if count == 1 else 's'})"


@dataclass(frozen=True, eq=False)
class UserBatch:
    """Several users: what heads score, and what lists are made for."""

    codes: I32  # (users,) indices of training users; -1 for a new user
    interactions: Rows  # a row for each user, items ascending
    features: Rows | None = None  # a row for each user; None: nothing is known of them
    moments: F64 | None = None  # of each interaction; NaN for users of whom none is known

    def prior_means(self, unknown: F32, coefficients: F32) -> F32:
        """The prior mean of each user's row, (users, width); `unknown` is that of any user."""
        if self.features is None or len(coefficients) == 0:
            return np.tile(unknown, (len(self), 1))
        means = np.empty((len(self), len(unknown)), np.float32)
        blocks = balanced_blocks(self.features.indptr)
        run_blocks(sum_weighted_rows, blocks, *self.features, coefficients, means)
        return means

    def part(self, start: int, stop: int) -> "UserBatch":
        """The users `start` to `stop`."""
        if start == 0 and stop >= len(self):
            return self
        return self.take(np.arange(start, min(stop, len(self))))

    def take(self, rows: Ints) -> "UserBatch":
        """Some of the users, by their places."""
        features = self.features and take_rows(self.features, rows)
        moments = take_moments(self.interactions, self.moments, rows)
        return UserBatch(self.codes[rows], take_rows(self.interactions, rows), features, moments)

    def profiles(self) -> Iterator[UserProfile]:
        """The users one by one."""
        for row in range(len(self)):
            one = self.take(np.array([row]))
            yield UserProfile(*one.interactions[1:], one.features, moments=one.moments)

    def __len__(self) -> int:
        return len(self.codes)


def take_moments(interactions: Rows, moments: F64 | None, rows: Ints) -> F64 | None:
    """The moments of the interactions in some rows, as `take_rows`; None where there are none."""
    if moments is None:
        return None
    by_row: Any = interactions._replace(values=moments)  # type: ignore[arg-type]
    return np.asarray(take_rows(by_row, rows).values, np.float64)


def stacked(profiles: list[UserProfile]) -> tuple[Rows, F64 | None]:
    """The interactions of several users as rows, and their moments, where any are known."""
    lengths = [len(profile.items) for profile in profiles]
    indptr = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
    items = np.concatenate([np.empty(0, np.int32), *(p.items for p in profiles)])
    values = np.concatenate([np.empty(0, np.float32), *(p.values for p in profiles)])
    rows = Rows(indptr, items.astype(np.int32), values.astype(np.float32))
    if all(profile.moments is None for profile in profiles):
        return rows, None
    known = [np.full(len(p.items), np.nan) if p.moments is None else p.moments for p in profiles]
    return rows, np.concatenate(known)

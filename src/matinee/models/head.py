"""What a model asks of its heads, whatever trained them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
import polars as pl

from matinee._types import F32, F64, I32, I64, Array, Ints
from matinee.models.queries import UserBatch

if TYPE_CHECKING:
    from matinee.models.bayesian.predictive import Predictive


class Head(Protocol):
    """The part of a model that scores movies for users: in stars, or to rank by.

    Heads are frozen dataclasses. Their fields that are arrays and numbers are what a run saves.
    """

    @property
    def estimator(self) -> Mapping[str, Any]:
        """Name and hyperparameters of the recipe."""

    @property
    def history(self) -> pl.DataFrame:
        """A row for each iteration of the training; empty if there were none."""

    @property
    def item_factors(self) -> F32 | None:
        """A vector for each movie, float32 (items, width), to compare movies by; None: no such."""

    @property
    def user_factors(self) -> F32 | None:
        """A vector for each training user, float32 (users, width); None: no such."""

    def scores(self, user_batch: UserBatch, threads: int | None = None) -> F32:
        """Score of every movie for every user, float32 (users, items)."""

    def contributions(self, user_batch: UserBatch, item: int) -> tuple[dict[str, float], F64]:
        """The score of a movie for an audience of one, in parts that add up to it.

        What is general, by name, and what each of the user's ratings adds, in their order.
        """

    def check(self, users: int, items: int, genres: int) -> None:
        """Raise ValueError unless all fields fit together and a model of that size."""


class RatingHead(Head, Protocol):
    """A head whose scores are stars, which it can also predict for pairs."""

    def pairs(
        self,
        users: I32,
        items: I32,
        times: I64 | None = None,
        threads: int | None = None,
    ) -> F32:
        """Stars of pairs, not clipped; -1 is the user or movie nothing is known of.

        `times`, in Unix seconds, are for heads that know of time.
        """

    def listed(self, user_batch: UserBatch, who: Ints, items: I32) -> F32:
        """Stars of movie ``items[k]`` for user ``who[k]`` of the audience, not clipped."""


@runtime_checkable
class ProbabilisticHead(RatingHead, Protocol):
    """A head that knows how sure it is of stars: its answers come as a `Predictive`."""

    def predictive(
        self,
        users: I32,
        items: I32,
        times: I64 | None = None,
        threads: int | None = None,
    ) -> "Predictive":
        """Of pairs, as `pairs`."""

    def predictive_of(self, user_batch: UserBatch, who: Ints, items: I32) -> "Predictive":
        """Of movies for users of an audience, as `listed`."""


def check_array(name: str, array: Array, shape: tuple[int, ...]) -> None:
    """Raise ValueError unless this is float32 of that shape, and finite."""
    if array.dtype != np.float32 or array.shape != shape:
        raise ValueError(f"{name} has another type or shape than it should")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} holds a value that is not a number")

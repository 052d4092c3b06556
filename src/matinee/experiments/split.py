"""How a data set becomes a training and a test set."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from matinee._types import I64
from matinee.data.dataset import Dataset
from matinee.evaluation.protocols import subset
from matinee.kernels.csr import pair_keys
from matinee.models.loading import load
from matinee.models.recommender import Recommender

SIZED_SPLITS = ("random", "temporal", "hashed")  # they have a test fraction


@dataclass(frozen=True)
class Split:
    """How to make training and test set: the arguments of `Dataset.split`.

    With a `test_fraction` of 0 there is no test set: all is the training set. `warm_start` is the
    folder of the run that training starts from, or None: what that run has learned from stays in
    the training set, for it would not be a test.
    """

    method: str = "random"
    test_fraction: float = 0.1
    seed: int = 0
    warm_start: str | None = None

    def __str__(self) -> str:
        """In words: ``random, test fraction 0.1, seed 3``."""
        if self.test_fraction == 0:
            return "no test set"
        fraction = f", test fraction {self.test_fraction:g}" if self.method in SIZED_SPLITS else ""
        earlier = f", new to {Path(self.warm_start).name}" if self.warm_start else ""
        return f"{self.method}{fraction}, seed {self.seed}{earlier}"

    def apply(self, dataset: Dataset) -> tuple[Dataset, Dataset]:
        """Training and test set."""
        if self.test_fraction == 0:
            everything = np.ones(len(dataset), bool)
            return subset(dataset, everything), subset(dataset, ~everything)
        train, test = dataset.split(self.method, test_fraction=self.test_fraction, seed=self.seed)
        if self.earlier is None:
            return train, test
        held_out = np.isin(_pairs(dataset), _pairs(not_learned(test, self.earlier)))
        return subset(dataset, ~held_out), subset(dataset, held_out)

    @cached_property
    def earlier(self) -> Recommender | None:
        """The model that training starts from; RunError if the run is gone."""
        return None if self.warm_start is None else load(self.warm_start)


def not_learned(test: Dataset, earlier: Recommender) -> Dataset:
    """The ratings of a test set that an earlier model has not learned from."""
    indptr, items, _ = earlier.interactions
    users = test.ratings.user_ids.codes(earlier.user_ids.values)
    of_items = test.ratings.item_ids.codes(earlier.items)[items]
    of_users = np.repeat(users, np.diff(indptr))
    both = (of_users >= 0) & (of_items >= 0)
    learned = pair_keys(of_users[both], of_items[both], len(test.catalog))
    return subset(test, ~np.isin(_pairs(test), learned))


def _pairs(dataset: Dataset) -> I64:
    """A number for each pair of a user and an item."""
    return pair_keys(dataset.ratings.user, dataset.ratings.item, len(dataset.catalog))

"""A model asked as a service asks it: not by the ids of users, but by what they have rated."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from matinee._types import F32, F64, I32
from matinee.data.dataset import Dataset
from matinee.kernels.csr import take_rows
from matinee.models.profiles import UserProfile, take_moments
from matinee.models.recommender import Recommender


@dataclass(frozen=True, eq=False)
class FoldedIn:
    """Answers by ids of a training set, whose users are folded in with their ratings of it.

    The model may be trained on other data, with other users and items: so two models are compared
    on equal terms. Of items that it does not know it predicts the average, and ranks them last.
    """

    model: Recommender
    train: Dataset

    def predict(
        self, users: Any, items: Any, timestamps: Any = None, *, unknown: str = "average"
    ) -> F32:
        """Predicted ratings of pairs of user and item, float32 (n,); times are of no account."""
        codes = self.train.ratings.user_ids.codes(users)
        predicted = np.empty(len(codes), np.float32)
        order = np.argsort(codes, kind="stable")
        for rows in np.split(order, np.flatnonzero(np.diff(codes[order])) + 1):
            profile = self._profile(int(codes[rows[0]]))
            predicted[rows] = self.model.predict(profile, items[rows], unknown=unknown)
        return predicted

    def scores(self, users: Any, *, head: str | None = None) -> F32:
        """What rankings are sorted by, float32 (users, items)."""
        codes = self.train.ratings.user_ids.codes(users)
        scores = self.model.scores([self._profile(int(code)) for code in codes], head=head)
        known = self._codes >= 0
        placed = np.full((len(codes), len(self._codes)), scores.min() - 1, np.float32)
        placed[:, known] = scores[:, self._codes[known]]
        return placed

    @cached_property
    def _codes(self) -> I32:
        """The model's code of each item; -1 where it has none."""
        return self.model.index.catalog.ids.codes(self.train.catalog.ids.values)

    @cached_property
    def _moments(self) -> F64 | None:
        """Those of the training ratings, if the model asks for them."""
        asked = self.model.index.moments is not None and self.train.ratings.timestamp is not None
        return self.train.ratings.moments if asked else None

    def _profile(self, user: int) -> UserProfile:
        rows = np.array([user])
        ratings = take_rows(self.train.ratings.by_user, rows)
        items = self._codes[ratings.indices]
        known = items >= 0
        order = np.argsort(items[known])
        index = self.model.index
        code = int(index.user_ids.codes([self.train.ratings.user_ids.values[user]])[0])
        has_features = code >= 0 and index.users_known[code]
        features = index.profile_of(code).features if has_features else None
        values, rated = ratings.values[known][order], index.scale is not None
        moments = take_moments(self.train.ratings.by_user, self._moments, rows)
        moments = None if moments is None else moments[known][order]
        return UserProfile(items[known][order], values, features, rated, moments)

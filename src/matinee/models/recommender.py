"""What the floors above may ask of a model, whatever trained it."""

from typing import Any, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray


class Recommender(Protocol):
    """Ids in, ids and titles out."""

    @property
    def items(self) -> pl.Series:
        """Ids of all movies the model can recommend, in the order of `scores`."""

    def predict(
        self, users: Any, items: Any, timestamps: Any = None, *, unknown: str = "error"
    ) -> NDArray[np.float32]:
        """Stars for pairs of a viewer and a movie, given at some time, float32 (n,)."""

    def scores(self, user: Any, *, by: str | None = None) -> NDArray[np.float32]:
        """What lists are ranked by: float32 (items,), of several viewers (viewers, items)."""

    def recommend(self, user: Any, n: int = 10, *, by: str | None = None) -> pl.DataFrame:
        """The best n movies: columns `item`, `title`, `genres`, `stars`, `score`."""

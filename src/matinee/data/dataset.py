"""Ratings and movies together, from wherever they came."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import polars as pl

from matinee._types import Bools
from matinee.data import splits
from matinee.data.catalog import Catalog
from matinee.data.ratings import Ratings
from matinee.errors import SettingError


@dataclass(frozen=True, eq=False)
class Dataset:
    """Ratings, the movies they are about, and where both are from.

    Parameters
    ----------
    ratings : Ratings
    catalog : Catalog
        In the order of the item codes; holds movies without ratings too.
    user_attributes : polars.DataFrame or None
        Attributes (age, gender, occupation) by user code, where the edition has them.
    name, source, licence : str
        What to call it, where it was read from, and on what terms it may be used.
    official : dict of str to bool array
        Test part of each split that the edition comes with.
    reading : dict
        Options it was read with, so that a run can read it again.
    """

    ratings: Ratings
    catalog: Catalog
    user_attributes: pl.DataFrame | None = None
    name: str = "table"
    source: str = ""
    licence: str = ""
    official: Mapping[str, Bools] = field(default_factory=dict)
    reading: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        users, items = len(self.ratings.user_ids), len(self.catalog)
        return f"Dataset({self.name!r}, {users:,} users, {items:,} movies, {len(self):,} ratings)"

    def __len__(self) -> int:
        return len(self.ratings)

    def to_frame(self) -> pl.DataFrame:
        """A row for each rating, with what is known of the movie.

        Columns `user_id`, `item_id`, `values`, `timestamp` where there are any, `title`, `year`, `genres`.
        To go on with some rows only, filter them and `read` the rest.

        Examples
        --------
        >>> from matinee.data import read
        >>> from matinee.data.synthetic import generate
        >>> data, _ = generate(users=30, items=40, ratings=900, seed=1)
        >>> min_rating = read(data.to_frame().filter(pl.col("rating") >= 4))
        >>> len(min_rating) == int((data.ratings.values >= 4).sum())
        True
        """
        ratings = self.ratings
        columns = {
            "user_id": ratings.user_ids.values[ratings.user],
            "item_id": ratings.item_ids.values[ratings.item],
            "rating": ratings.values,
        }
        if ratings.timestamp is not None:
            columns["timestamp"] = ratings.timestamp
        return pl.DataFrame(columns).hstack(self.catalog.frame[ratings.item])

    def split(
        self, method: str = "random", *, test_fraction: float = 0.1, last: int = 1, seed: int = 0
    ) -> tuple["Dataset", "Dataset"]:
        """A training and a test part, over the same codes.

        Parameters
        ----------
        method : str
            ``"random"``: a fraction of all ratings, whoever's they are; ``"leave-last-out"``: the `last`
            ratings of each user who has more than that; ``"temporal"``: the latest fraction of
            all ratings; or an official split of the edition (``"u1"`` ... ``"u5"``, ``"ua"``,
            ``"ub"`` of ml-100k).
        test_fraction : float
            Between 0 and 1, of all ratings.
        last : int
            Ratings per user held out by ``"leave-last-out"``.
        seed : int

        Raises
        ------
        SettingError
            For a split that the data do not allow.

        Examples
        --------
        >>> from matinee.data.synthetic import generate
        >>> data, _ = generate(users=30, items=40, ratings=900, seed=1)
        >>> train, test = data.split("random", test_fraction=0.2, seed=0)
        >>> len(train), len(test)
        (720, 180)
        """
        if method in self.official:
            test = self.official[method]
        elif method == "random":
            test = splits.random(len(self), test_fraction, seed)
        elif method == "leave-last-out":
            test = splits.last(self.ratings, last)
        elif method == "temporal":
            test = splits.temporal(self.ratings, test_fraction)
        else:
            known = ", ".join(["random", "leave-last-out", "temporal", *self.official])
            raise SettingError(f"{self.name} has no split {method!r}; there are {known}.")
        if not test.any() or test.all():
            raise SettingError(
                f"{self.name}: the split {method!r} leaves one part empty; "
                "choose another one, or another test fraction."
            )
        return self._part(~test), self._part(test)

    def folds(self, k: int = 5, seed: int = 0) -> Iterator[tuple["Dataset", "Dataset"]]:
        """k pairs of training and test part; each rating is in exactly one test part.

        Examples
        --------
        >>> from matinee.data.synthetic import generate
        >>> data, _ = generate(users=30, items=40, ratings=900, seed=1)
        >>> [len(test) for train, test in data.folds(4)]
        [225, 225, 225, 225]

        Raises
        ------
        SettingError
            If there are not so many ratings, or k is below 2.
        """
        tests = splits.folds(len(self), k, seed)
        return ((self._part(~test), self._part(test)) for test in tests)

    def official_folds(self) -> list[str]:
        """Official splits whose test parts hold each rating once: ``"u1"`` to ``"u5"`` of ml-100k.

        Raises
        ------
        SettingError
            If the data come with none.
        """
        names = splits.disjoint(self.official)
        if not names:
            raise SettingError(
                f"{self.name} comes with no folds of its own; give a number of them."
            )
        return names

    def _part(self, rows: Bools) -> "Dataset":
        return replace(self, ratings=self.ratings.take(rows), official={})

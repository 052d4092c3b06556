"""Ratings or interactions, users and items together."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from matinee._html import html_block, html_table
from matinee._types import Bools
from matinee.data import splits
from matinee.data.attributes import Attributes
from matinee.data.catalog import Catalog
from matinee.data.ratings import Ratings
from matinee.errors import SettingError, shortened

PREVIEW_ROWS = 5


@dataclass(frozen=True, eq=False)
class Dataset:
    """Ratings, the items they are about, and where both come from.

    Parameters
    ----------
    ratings : Ratings
    catalog : Catalog
        In the order of the item codes; holds items without ratings too.
    user_attributes : polars.DataFrame or None
        `user_id` and attributes (`age`, `gender` and `occupation` of MovieLens) by user code.
    name, source, licence : str
        What to call it, where it was read from, and its terms of use.
    official : dict of str to bool (n,)
        Test set of each split that the data come with.
    reading : dict
        Options it was read with, so that a run can read it again.
    notes : tuple of str
        What was left out or added up in reading, in words.
    """

    ratings: Ratings
    catalog: Catalog
    user_attributes: pl.DataFrame | None = None
    name: str = "table"
    source: str = ""
    licence: str = ""
    official: Mapping[str, Bools] = field(default_factory=dict)
    reading: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        users, items = len(self.ratings.user_ids), f"{len(self.catalog):,} {self.catalog.noun}s"
        return f"Dataset({self.name!r}, {users:,} users, {items}, {len(self):,} {self.unit}s)"

    def _repr_html_(self) -> str:
        users, items = len(self.ratings.user_ids), len(self.catalog)
        cells = users * items
        sizes = {
            "users": f"{users:,}",
            f"{self.catalog.noun}s": f"{items:,}",
            f"{self.unit}s": f"{len(self):,}",
            "density": f"{len(self) / cells:.2%}" if cells else "",
            **({"scale": self.ratings.scale} if self.ratings.scale else {}),
        }
        first = replace(self, ratings=self.ratings.take(np.arange(min(PREVIEW_ROWS, len(self)))))
        frame = first.to_frame().with_columns(pl.col("genres").list.join(", "))
        if "timestamp" in frame.columns:
            frame = frame.with_columns(pl.from_epoch("timestamp").dt.to_string("%Y-%m-%d %H:%M"))
        preview = html_table(frame.columns, frame.rows(), caption=f"first {self.unit}s")
        return html_block(f"Dataset {self.name}", html_table(None, sizes.items()), preview)

    def __len__(self) -> int:
        return len(self.ratings)

    @cached_property
    def users(self) -> Attributes:
        """What is known of the users, as features; without any where there is no such table."""
        frame = pl.DataFrame() if self.user_attributes is None else self.user_attributes
        return Attributes.of(frame.drop("user_id", strict=False), len(self.ratings.user_ids))

    @property
    def unit(self) -> str:
        """What a row is: ``"rating"``, or ``"interaction"`` where there are no ratings."""
        return "interaction" if self.ratings.scale is None else "rating"

    def to_frame(self) -> pl.DataFrame:
        """A row for each rating, with the item's attributes.

        Columns `user_id`, `item_id`, `rating` (or `weight`), `timestamp` (if there are any),
        `title`, `genres`, `year` and further attributes, but for those that are called like a
        column of the ratings. To use some of the ratings only, filter the frame and `read` it.

        Examples
        --------
        >>> liked = matinee.read(data.to_frame().filter(pl.col("rating") >= 4))
        >>> len(liked) == int((data.ratings.values >= 4).sum())
        True
        """
        frame = self.ratings.to_frame()
        about_items = self.catalog.frame.drop(frame.columns, strict=False)
        return frame.hstack(about_items[self.ratings.item])

    def split(
        self, method: str = "random", *, test_fraction: float = 0.1, last: int = 1, seed: int = 0
    ) -> tuple["Dataset", "Dataset"]:
        """A training and a test set that share ids and codes.

        Raises SettingError if the data have no such split, or a set would be empty.

        Parameters
        ----------
        method : str
            ``"random"``: a fraction of all ratings; ``"leave-last-out"``: the `last` latest
            ratings of each user who has more than that; ``"temporal"``: the latest fraction of
            all ratings; ``"hashed"``: about a fraction, by a hash of user and item, so that data
            that grow keep what was held out; or an official split of the data (``"u1"`` to
            ``"u5"``, ``"ua"``, ``"ub"`` of ml-100k).
        test_fraction : float
            Between 0 and 1, of all ratings.
        last : int
            Ratings per user that ``"leave-last-out"`` holds out.
        seed : int

        Examples
        --------
        >>> train, test = data.split("random", test_fraction=0.2, seed=0)
        >>> len(train), len(test)
        (1200, 300)
        """
        if method in self.official:
            test = self.official[method]
        elif method == "random":
            test = splits.random(len(self), test_fraction, seed)
        elif method == "leave-last-out":
            test = splits.leave_last_out(self.ratings, last)
        elif method == "temporal":
            test = splits.temporal(self.ratings, test_fraction)
        elif method == "hashed":
            test = splits.hashed(self.ratings, test_fraction, seed)
        else:
            valid = ", ".join(repr(name) for name in (*splits.METHODS, *self.official))
            raise SettingError(
                f"The split of {self.name} must be one of {valid}, got {shortened(method)}."
            )
        if not test.any() or test.all():
            raise SettingError(
                f"{self.name}: the split {shortened(method)} leaves the training or the test set "
                "empty; choose another split or test fraction."
            )
        return self._take(~test), self._take(test)

    def folds(self, k: int = 5, seed: int = 0) -> Iterator[tuple["Dataset", "Dataset"]]:
        """k pairs of training and test set; each rating is in exactly one test set.

        Raises SettingError if k is below 2 or above the number of ratings.

        Examples
        --------
        >>> [len(test) for train, test in data.folds(4)]
        [375, 375, 375, 375]
        """
        tests = splits.folds(len(self), k, seed)
        return ((self._take(~test), self._take(test)) for test in tests)

    def official_folds(self) -> list[str]:
        """Splits whose test sets hold each rating once (u1 to u5 of ml-100k); else SettingError."""
        names = splits.disjoint(self.official)
        if not names:
            raise SettingError(f"{self.name} has no official folds; give a number of folds.")
        return names

    def _take(self, rows: Bools) -> "Dataset":
        return replace(self, ratings=self.ratings.take(rows), official={})

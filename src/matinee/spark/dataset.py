"""Ratings in Spark: ids coded, checked, and kept in the shared folder."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from matinee.data.catalog import Catalog
from matinee.data.id_map import IdMap
from matinee.data.ratings import RatingScale

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True, eq=False)
class SparkDataset:
    """Ratings or interactions of a data set whose users one machine need not hold.

    Parameters
    ----------
    ratings : DataFrame
        A row for each rating: `user` and `item`, codes, int; `rating`, float, or how often for
        interactions; `timestamp`, Unix seconds, bigint, where there are any. No pair twice.
    users : DataFrame
        A row for each user, in order of their codes: `user`, int, and `user_id`, bigint or string.
        As in `IdMap`, the code of an id is its place among all of them, sorted.
    catalog : Catalog
        The items, by code; they fit on one machine.
    n_ratings, n_users : int
    scale : RatingScale or None
        None: interactions without ratings.
    name, source : str
        What to call it, and where it was read from.
    notes : tuple of str
        What was left out or added up in reading, in words.
    """

    ratings: "DataFrame"
    users: "DataFrame"
    catalog: Catalog
    n_ratings: int
    n_users: int
    scale: RatingScale | None
    name: str
    source: str
    notes: tuple[str, ...] = ()

    @property
    def unit(self) -> str:
        """What a row is: ``"rating"``, or ``"interaction"`` where there are no ratings."""
        return "interaction" if self.scale is None else "rating"

    def user_ids(self) -> IdMap:
        """Ids of all users, in the memory of the driver."""
        table = self.users.select("user", "user_id").toArrow().sort_by("user")
        return IdMap(pl.Series(pl.from_arrow(table["user_id"])))

    @property
    def differ(self) -> bool:
        """Whether these are ratings, and not all the same: else there is nothing to predict."""
        return self.scale is not None and self.scale.low < self.scale.high


def by_user(ratings: "DataFrame") -> "DataFrame":
    """A row for each user: `user`; `items`, ascending, and `values`, their ratings."""
    from pyspark.sql.functions import expr

    pairs = expr("array_sort(collect_list(struct(item, float(rating) as rating)))").alias("pairs")
    grouped = ratings.groupBy("user").agg(pairs)
    return grouped.selectExpr("user", "pairs.item as items", "pairs.rating as values")

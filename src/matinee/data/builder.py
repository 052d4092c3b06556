"""From what a reader found to a `Dataset`: rows checked, ids coded, movies and users lined up."""

from dataclasses import replace

import numpy as np
import polars as pl

from matinee.data.catalog import Catalog
from matinee.data.dataset import Dataset
from matinee.data.delimited import LARGEST_ID, PlainColumns
from matinee.data.id_map import encode, ids_seen
from matinee.data.movielens import ParsedTable, official_masks
from matinee.data.ratings import Ratings, RatingScale
from matinee.data.validation import LAST_SECOND, Origin, check_ratings
from matinee.errors import DataError
from matinee.kernels.csr import Empty, csr_and_csc, dense_rank, find_duplicate, mark_seen


def assemble(
    parts: ParsedTable, scale: RatingScale | None, duplicates: str, empty: Empty = np.empty
) -> Dataset:
    """Check every row, turn ids into codes, and line movies and users up with them.

    Both orders of the ratings are made on the way, in arrays that `empty` makes.

    Raises
    ------
    DataError
        Naming the first bad cell, or a pair that is there twice.
    """
    found = parts.ratings
    ratings = _code_plain(found, parts, scale) if isinstance(found, PlainColumns) else None
    if ratings is None:  # a table, or something is wrong in it
        table = found.frame() if isinstance(found, PlainColumns) else found
        ratings = _code_table(table, parts, scale)
    sizes = len(ratings.user_ids), len(ratings.item_ids)
    ways = csr_and_csc(ratings.user, ratings.item, ratings.values, *sizes, empty)
    ratings = ratings.sorted_as(*ways)
    if repeated := find_duplicate(ratings.by_user):
        if duplicates == "error":
            raise _repeated(ratings, *repeated, parts.origin)
        if parts.official:
            raise DataError("The official splits need every pair once; these data were changed.")
        ratings = _merge(ratings, duplicates)
    user_attributes = None
    if parts.users is not None:
        user_attributes = pl.DataFrame({"user_id": ratings.user_ids.values}).join(
            parts.users, on="user_id", how="left", maintain_order="left"
        )
    official = {}
    if parts.official:
        user, item = ratings.user_ids.values[ratings.user], ratings.item_ids.values[ratings.item]
        official = official_masks(parts.official, user, item)
    return Dataset(
        ratings, Catalog.build(ratings.item_ids, parts.items), user_attributes, official=official
    )


def _code_plain(
    found: PlainColumns, parts: ParsedTable, scale: RatingScale | None
) -> Ratings | None:
    """Ratings in the very columns that were read; None if a closer look is needed."""
    scale = scale or RatingScale.of(found.values)
    sound = (
        not (parts.positive_ids and found.seen[:, 0].any())
        and (found.timestamp is None or found.timestamp.max() <= LAST_SECOND)
        and scale.first_off(found.values) is None
    )
    if not sound:
        return None
    item_ids = _item_ids(parts)
    if item_ids is not None:
        if item_ids.dtype == pl.String or not item_ids.is_between(0, LARGEST_ID).all():
            return None
        mark_seen(item_ids.to_numpy(), 0, found.seen[1])
    ids = []
    for numbers, seen in zip((found.user, found.item), found.seen, strict=True):
        ids.append(ids_seen(seen))
        dense_rank(numbers, 0, seen[: ids[-1].values[-1] + 1], out=numbers)
    return Ratings(found.user, found.item, found.values, found.timestamp, ids[0], ids[1], scale)


def _code_table(table: pl.DataFrame, parts: ParsedTable, scale: RatingScale | None) -> Ratings:
    table, scale = check_ratings(table, parts.origin, scale, parts.positive_ids)
    catalog_ids = _item_ids(parts)
    if catalog_ids is not None and (catalog_ids.dtype == pl.String) != (
        table["item_id"].dtype == pl.String
    ):
        # "007" beside 7: text holds both
        table = table.with_columns(pl.col("item_id").cast(pl.String))
        catalog_ids = catalog_ids.cast(pl.String)
    user_ids, user = encode(table["user_id"])
    item_ids, item = encode(table["item_id"], catalog_ids)
    stamps = table["timestamp"].to_numpy() if "timestamp" in table.columns else None
    return Ratings(user, item, table["rating"].to_numpy(), stamps, user_ids, item_ids, scale)


def _item_ids(parts: ParsedTable) -> pl.Series | None:
    """The ids of the movies that are described, each once."""
    if parts.items is None:
        return None
    ids = parts.items["item_id"]
    again = ~ids.is_first_distinct()
    for bad, what in (
        (ids.is_null(), "the cell is empty"),
        (again, "movie {} stands here for the second time"),
    ):
        if bad.any():
            row = bad.arg_max() or 0
            raise parts.items_origin.error(row, "item_id", what.format(ids[row]))
    return ids


def _repeated(ratings: Ratings, user: int, item: int, origin: Origin) -> DataError:
    first, again = ((ratings.user == user) & (ratings.item == item)).nonzero()[0][:2]
    return origin.error(
        int(again),
        "item_id",
        f"user {ratings.user_ids.values[user]} rated movie {ratings.item_ids.values[item]} "
        f"already in row {int(first) + origin.first_row}",
        'Keep one: duplicates="last" or "mean" (--duplicates last)',
    )


def _merge(ratings: Ratings, how: str) -> Ratings:
    """One rating for each (user, movie), in the order of first appearance."""
    table = pl.DataFrame(
        {"user_id": ratings.user, "item_id": ratings.item, "rating": ratings.values}
    )
    latest = [pl.col("rating").last()]
    if ratings.timestamp is not None:
        table = table.with_columns(timestamp=pl.Series(ratings.timestamp))
        latest = [
            pl.col("rating").sort_by("timestamp", maintain_order=True).last(),
            pl.col("timestamp").max(),
        ]
    if how == "mean":
        latest[0] = pl.col("rating").mean()
    merged = table.group_by("user_id", "item_id", maintain_order=True).agg(latest)
    values = merged["rating"].cast(pl.Float32).to_numpy()
    between_steps = not ratings.scale.holds(values).all()
    return replace(
        ratings,
        user=merged["user_id"].to_numpy(),
        item=merged["item_id"].to_numpy(),
        values=values,
        timestamp=merged["timestamp"].to_numpy() if ratings.timestamp is not None else None,
        scale=replace(ratings.scale, step=0.0) if between_steps else ratings.scale,
    )

"""From parsed tables to a `Dataset`: rows checked, ids coded, items and users aligned."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl

from matinee._types import Bools
from matinee.data.attributes import normalized
from matinee.data.catalog import Catalog
from matinee.data.dataset import Dataset
from matinee.data.delimited import MAX_PLAIN_ID, PlainColumns
from matinee.data.id_map import encode, id_map_of
from matinee.data.ratings import Ratings, RatingScale
from matinee.data.validation import LAST_SECOND, Origin, check_ratings, first_true
from matinee.errors import DataError
from matinee.kernels.csr import Empty, csr_and_csc, dense_rank, find_duplicate, mark_seen


@dataclass(frozen=True)
class ParsedTable:
    """What a reader returns: columns not yet checked, with original ids."""

    ratings: pl.DataFrame | PlainColumns  # user_id, item_id, rating and perhaps timestamp
    origin: Origin
    items: pl.DataFrame | None = None  # item_id, title, genres, year, as far as there are any
    items_origin: Origin = field(default_factory=lambda: Origin("items"))
    users: pl.DataFrame | None = None  # user_id and attributes
    scale: RatingScale | None = None
    positive_ids: bool = False  # whether ids below 1 are refused, as in all MovieLens editions
    official: Mapping[str, pl.DataFrame] = field(default_factory=dict)  # user_id, item_id of tests


def build_dataset(
    parsed: ParsedTable, scale: RatingScale | None, duplicates: str, empty: Empty = np.empty
) -> Dataset:
    """Check every row, turn ids into codes, align items and users, and sort ratings both ways."""
    if isinstance(parsed.ratings, pl.DataFrame):
        ratings = _encode_table(parsed.ratings, parsed, scale)
    elif (plain := _encode_plain(parsed.ratings, parsed, scale)) is not None:
        ratings = plain
    else:
        ratings = _encode_table(parsed.ratings.frame(), parsed, scale)
    sizes = len(ratings.user_ids), len(ratings.item_ids)
    rows = csr_and_csc(ratings.user, ratings.item, ratings.values, *sizes, empty)
    ratings = ratings.with_rows(*rows)
    if duplicate := find_duplicate(ratings.by_user):
        if duplicates == "error":
            raise _duplicate_error(ratings, *duplicate, parsed.origin)
        if parsed.official:
            raise DataError("Official splits need each pair of user and item once; keep u.data.")
        ratings = _merge(ratings, duplicates)
    user_attributes = None
    if parsed.users is not None:
        ids = ratings.user_ids.values
        known = parsed.users.select(pl.col("user_id").cast(ids.dtype))
        known = known.with_columns(*normalized(parsed.users.drop("user_id")))
        user_attributes = pl.DataFrame({"user_id": ids}).join(
            known, on="user_id", how="left", maintain_order="left"
        )
    official = _official_masks(parsed.official, ratings) if parsed.official else {}
    catalog = Catalog.build(ratings.item_ids, parsed.items)
    return Dataset(ratings, catalog, user_attributes, official=official)


def _encode_plain(
    columns: PlainColumns, parsed: ParsedTable, scale: RatingScale | None
) -> Ratings | None:
    """Ratings in the very arrays that were read; None if the rows need a closer look."""
    scale = scale or RatingScale.infer(columns.values)
    valid = (
        not (parsed.positive_ids and columns.seen[:, 0].any())
        and (columns.timestamp is None or columns.timestamp.max() <= LAST_SECOND)
        and scale.first_outside(columns.values) is None
    )
    if not valid:
        return None
    catalog_ids = _catalog_ids(parsed)
    if catalog_ids is not None:
        if catalog_ids.dtype == pl.String or not catalog_ids.is_between(0, MAX_PLAIN_ID).all():
            return None
        mark_seen(catalog_ids.to_numpy(), 0, columns.seen[1])
    id_maps = []
    for ids, seen in zip((columns.user, columns.item), columns.seen, strict=True):
        id_maps.append(id_map_of(seen))
        dense_rank(ids, 0, seen[: id_maps[-1].values[-1] + 1], out=ids)
    user_ids, item_ids = id_maps
    return Ratings(
        columns.user, columns.item, columns.values, columns.timestamp, user_ids, item_ids, scale
    )


def _encode_table(table: pl.DataFrame, parsed: ParsedTable, scale: RatingScale | None) -> Ratings:
    table, scale = check_ratings(table, parsed.origin, scale, parsed.positive_ids)
    catalog_ids = _catalog_ids(parsed)
    if catalog_ids is not None and (catalog_ids.dtype == pl.String) != (
        table["item_id"].dtype == pl.String
    ):
        # "007" beside 7: text holds both
        table = table.with_columns(pl.col("item_id").cast(pl.String))
        catalog_ids = catalog_ids.cast(pl.String)
    user_ids, user = encode(table["user_id"])
    item_ids, item = encode(table["item_id"], catalog_ids)
    timestamp = table["timestamp"].to_numpy() if "timestamp" in table.columns else None
    return Ratings(user, item, table["rating"].to_numpy(), timestamp, user_ids, item_ids, scale)


def _catalog_ids(parsed: ParsedTable) -> pl.Series | None:
    """The item ids of the table of items; an empty or repeated one is refused."""
    if parsed.items is None:
        return None
    ids = parsed.items["item_id"]
    problems = (
        (ids.is_null(), "the cell is empty"),
        (~ids.is_first_distinct(), "item {} has a row already"),
    )
    for invalid, message in problems:
        if (row := first_true(invalid)) is not None:
            raise parsed.items_origin.error(row, "item_id", message.format(ids[row]))
    return ids


def _official_masks(tests: Mapping[str, pl.DataFrame], ratings: Ratings) -> dict[str, Bools]:
    """For each official split, which of the ratings are its test set."""
    ids = ["user_id", "item_id"]
    pairs, masks = ratings.to_frame().select(ids).with_row_index("row"), {}
    for name, test in tests.items():
        rows = pairs.join(test.select(ids), on=ids)["row"]
        if len(rows) != test.height:
            raise DataError(
                f"{name}.test: {test.height - len(rows)} of its rows are not in u.data. "
                "Get a fresh copy of the archive."
            )
        masks[name] = np.zeros(len(ratings), bool)
        masks[name][rows.to_numpy()] = True
    return masks


def _duplicate_error(ratings: Ratings, user: int, item: int, origin: Origin) -> DataError:
    first, second = ((ratings.user == user) & (ratings.item == item)).nonzero()[0][:2]
    return origin.error(
        int(second),
        "item_id",
        f"user {ratings.user_ids.values[user]} rated item {ratings.item_ids.values[item]} "
        f"already in row {int(first) + origin.first_row}",
        'Keep one: duplicates="last" or "mean" (--duplicates last)',
    )


def _merge(ratings: Ratings, how: str) -> Ratings:
    """One rating for each pair of user and item, in the order of first appearance."""
    table = pl.DataFrame(ratings.columns)
    value, latest = pl.col("values"), []
    if ratings.timestamp is not None:
        value = value.sort_by("timestamp", maintain_order=True)
        latest = [pl.col("timestamp").max()]
    value = pl.col("values").mean().cast(pl.Float32) if how == "mean" else value.last()
    merged = table.group_by("user", "item", maintain_order=True).agg(value, *latest)
    columns: dict[str, Any] = {column.name: column.to_numpy() for column in merged}
    scale = ratings.scale
    if scale and not scale.contains(columns["values"]).all():
        scale = replace(scale, step=0.0)
    return replace(ratings, **columns, scale=scale)

"""From parsed tables to a `Dataset`: rows checked, ids coded, items and users aligned."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from matinee._types import Bools, Floats
from matinee.data.attributes import normalized
from matinee.data.catalog import Catalog
from matinee.data.dataset import Dataset
from matinee.data.delimited import MAX_PLAIN_ID, PlainColumns
from matinee.data.events import merge, weighed
from matinee.data.id_map import encode, id_map_of
from matinee.data.ratings import MAX_LEVELS, Ratings, RatingScale
from matinee.data.reading_options import ReadingOptions
from matinee.data.validation import LAST_SECOND, Origin, check_ratings, first_true, id_problems
from matinee.errors import DataError, SettingError, shortened
from matinee.kernels.codes import dense_rank, distinct, mark_seen
from matinee.kernels.csr import Empty, csr_and_csc, find_duplicate


@dataclass(frozen=True)
class ParsedTable:
    """What a reader returns: columns not yet checked, with original ids."""

    ratings: pl.DataFrame | PlainColumns  # user_id, item_id; rating or weight or event; timestamp
    origin: Origin
    items: pl.DataFrame | None = None  # item_id, title, genres, year, attributes, as far as any
    items_origin: Origin = field(default_factory=lambda: Origin("items"))
    users: pl.DataFrame | None = None  # user_id and attributes
    users_origin: Origin = field(default_factory=lambda: Origin("users"))
    scale: RatingScale | None = None
    likely_scale: RatingScale | None = None  # that of the layout, if the ratings are all on it
    positive_ids: bool = False  # whether ids below 1 are refused, as in ml-100k and ml-1m
    official: Mapping[str, pl.DataFrame] = field(default_factory=dict)  # user_id, item_id of tests

    def scale_of(self, values: Floats, given: RatingScale | None) -> RatingScale:
        """The scale of the ratings: given, known, likely, or inferred."""
        if scale := given or self.scale:
            return scale
        likely = self.likely_scale
        if likely and likely.first_outside(values) is None:
            return likely
        return RatingScale.infer(values)


def build_dataset(parsed: ParsedTable, options: ReadingOptions, empty: Empty = np.empty) -> Dataset:
    """Check every row, turn ids into codes, align items and users, and sort ratings both ways."""
    notes: list[str] = []
    origin = parsed.origin
    if (plain := _encode_plain(parsed, options)) is not None:
        ratings = plain
    else:
        table = parsed.ratings
        table = table if isinstance(table, pl.DataFrame) else table.frame()
        table, origin, notes = weighed(table, origin, options)
        ratings = _encode_table(table, parsed, origin, options.scale)
    sizes = len(ratings.user_ids), len(ratings.item_ids)
    rows = csr_and_csc(ratings.user, ratings.item, ratings.values, *sizes, empty)
    ratings = ratings.with_rows(*rows)
    how = options.duplicates or ("error" if ratings.scale else "sum")
    if how == "sum" and ratings.scale:
        raise SettingError(
            "duplicates='sum' is for interactions without ratings; for ratings: 'last' or 'mean'."
        )
    if duplicate := find_duplicate(ratings.by_user):
        if how == "error":
            raise _duplicate_error(ratings, *duplicate, origin)
        if parsed.official:
            raise DataError("Official splits need each pair of user and item once; keep u.data.")
        before = len(ratings)
        ratings = merge(ratings, how)
        done = {"sum": "added up", "last": "left out for a later one", "mean": "averaged"}[how]
        n = before - len(ratings)
        what = "1 repetition" if n == 1 else f"{n:,} repetitions"
        notes.append(f"{what} of a pair of user and item {done}")
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
    return Dataset(ratings, catalog, user_attributes, official=official, notes=tuple(notes))


def _encode_plain(parsed: ParsedTable, options: ReadingOptions) -> Ratings | None:
    """Ratings in the very arrays that were read; None if the rows need a closer look."""
    columns = parsed.ratings
    if isinstance(columns, pl.DataFrame) or options.event_weights is not None or options.missing:
        return None
    rated = columns.value == "rating"
    levels = distinct(columns.values, MAX_LEVELS)
    values = columns.values if levels is None else levels
    scale = parsed.scale_of(values, options.scale) if rated else None
    valid = (
        not (parsed.positive_ids and columns.seen[:, 0].any())
        and (columns.timestamp is None or columns.timestamp.max() <= LAST_SECOND)
        and (
            scale.first_outside(values) is None
            if scale
            else options.scale is None and values.min() > 0
        )
    )
    if not valid:
        return None
    for seen, described in zip(columns.seen, described_ids(parsed), strict=True):
        if described is not None:
            if described.dtype == pl.String or not described.is_between(0, MAX_PLAIN_ID).all():
                return None
            mark_seen(described.to_numpy(), 0, seen)
    id_maps = []
    for ids, seen in zip((columns.user, columns.item), columns.seen, strict=True):
        id_maps.append(id_map_of(seen))
        dense_rank(ids, 0, seen[: id_maps[-1].values[-1] + 1], out=ids)
    user_ids, item_ids = id_maps
    return Ratings(
        columns.user, columns.item, columns.values, columns.timestamp, user_ids, item_ids, scale
    )


def _encode_table(
    table: pl.DataFrame, parsed: ParsedTable, origin: Origin, scale: RatingScale | None
) -> Ratings:
    value = "rating" if "rating" in table.columns else "weight"
    values = table[value].cast(pl.Float32)
    if table.height and value == "rating" and values.is_finite().fill_null(False).all():
        scale = parsed.scale_of(values.to_numpy(), scale)
    table, scale = check_ratings(table, origin, scale, parsed.positive_ids)
    id_maps, codes = [], []
    for name, described in zip(("user_id", "item_id"), described_ids(parsed), strict=True):
        ids = table[name]
        if described is not None and (described.dtype == pl.String) != (ids.dtype == pl.String):
            # "007" beside 7: text holds both
            ids, described = ids.cast(pl.String), described.cast(pl.String)
        id_map, code = encode(ids, described)
        id_maps.append(id_map)
        codes.append(code)
    timestamp = table["timestamp"].to_numpy() if "timestamp" in table.columns else None
    user, item = codes
    user_ids, item_ids = id_maps
    return Ratings(user, item, table[value].to_numpy(), timestamp, user_ids, item_ids, scale)


def described_ids(parsed: ParsedTable) -> tuple[pl.Series | None, pl.Series | None]:
    """The ids of the tables of users and of items; a bad or repeated one is refused."""
    found = []
    for table, name, origin in (
        (parsed.users, "user_id", parsed.users_origin),
        (parsed.items, "item_id", parsed.items_origin),
    ):
        ids = None if table is None else table[name]
        if ids is not None:
            noun = name.removesuffix("_id")
            problems = (
                (ids.is_null(), "the cell is empty"),
                (~ids.is_first_distinct(), f"{noun} {{}} has a row already"),
                *id_problems(ids),
            )
            for invalid, message in problems:
                if (row := first_true(invalid)) is not None:
                    shown = shortened(ids[row]) if ids.dtype == pl.String else ids[row]
                    raise origin.error(row, name, message.format(shown))
        found.append(ids)
    return found[0], found[1]


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
    who, what = (
        shortened(ids.values[code]) if ids.are_text else str(ids.values[code])
        for ids, code in ((ratings.user_ids, user), (ratings.item_ids, item))
    )
    verb, advice = "rated", 'duplicates="last" or "mean" (--duplicates last)'
    if ratings.scale is None:
        verb, advice = "has", 'duplicates="sum" or "last" (--duplicates sum)'
    return origin.error(
        int(second),
        "item_id",
        f"user {who} {verb} item {what} already in row {origin.place(int(first))[1]}",
        f"Keep one: {advice}",
    )

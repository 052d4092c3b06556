"""From the rows of a table to what counts: ratings, or interactions without them and their
weights. Rows that mean "not rated", or weigh nothing, are left out here.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import polars as pl

from matinee.data.ratings import Ratings
from matinee.data.reading_options import ReadingOptions
from matinee.data.validation import Origin, first_true, value_column
from matinee.errors import DataError, SettingError, cut, shortened

MAX_EVENTS = 20
"""A column with more distinct values is no column of events."""


def weighed(
    table: pl.DataFrame, origin: Origin, options: ReadingOptions
) -> tuple[pl.DataFrame, Origin, list[str]]:
    """The rows that count, with a column `rating` or `weight`; where they came from; notes."""
    notes: list[str] = []
    given = options.event_weights
    if "rating" in table.columns:
        if given is not None:
            raise SettingError(
                "event_weights are for interactions, but this table has ratings; to leave them "
                "out: --columns rating=none."
            )
        table = table.drop("weight", "event", strict=False)
        kept = ~_unrated(table["rating"], options.missing)
        if kept.any() or table.height == 0:
            if not kept.all():
                notes.append(f"{_rows(int((~kept).sum()))} left out as not rated")
                origin = origin.only(kept.arg_true())
                table = table.filter(kept)
            rating = value_column(table["rating"], origin)
            return table.with_columns(rating.alias("rating")), origin, notes
        notes.append("no row has a rating: each counts as an interaction")
        table = table.drop("rating")
    if options.scale is not None:
        raise SettingError(
            f"{cut(origin.file)}: a scale is for ratings, and there are none. "
            "Name their column: --columns rating=NAME."
        )
    weight = pl.Series("weight", [1.0], dtype=pl.Float32).new_from_index(0, table.height)
    if "weight" in table.columns:
        weight = value_column(table["weight"], origin).cast(pl.Float32)
    if "event" in table.columns:
        weight = (weight * _event_weights(table["event"], origin, given)).alias("weight")
    elif given is not None:
        raise SettingError(
            f"{cut(origin.file)}: no column looks like an event. Name it: --columns event=NAME."
        )
    table = table.with_columns(weight).drop("event", strict=False)
    kept = (weight != 0).fill_null(True)
    if not kept.all():
        notes.append(f"{_rows(int((~kept).sum()))} of weight 0 left out")
        table, origin = table.filter(kept), origin.only(kept.arg_true())
    return table, origin, notes


def _rows(n: int) -> str:
    return "1 row" if n == 1 else f"{n:,} rows"


def _unrated(rating: pl.Series, missing: tuple[float | str, ...]) -> pl.Series:
    """Which cells of a column of ratings mean "not rated"."""
    unrated = pl.Series([False], dtype=pl.Boolean).new_from_index(0, len(rating))
    is_text = rating.dtype == pl.String
    if rating.dtype.is_nested() or rating.dtype == pl.Binary:  # which are refused later on
        return unrated
    numbers = rating.cast(pl.Float64, strict=False) if missing else rating
    for token in missing:
        if token == "":
            unrated |= rating.is_null() | (rating == "" if is_text else numbers.is_nan())
        elif is_text:
            unrated |= rating == (token if isinstance(token, str) else f"{token:g}")
        if token != "" and (number := _number(token)) is not None:
            unrated |= numbers == number
        unrated = unrated.fill_null(False)
    return unrated


def _number(token: float | str) -> float | None:
    try:
        return float(token)
    except ValueError:
        return None


def _event_weights(
    events: pl.Series, origin: Origin, weights: Mapping[str, float] | None
) -> pl.Series:
    """The weight of each row's event; 1 for all where the column does not hold events."""
    try:
        names = events.cast(pl.String).str.strip_chars(" ")
    except pl.exceptions.PolarsError:
        raise origin.type_error(events, "text") from None
    ones = pl.Series([1.0], dtype=pl.Float32).new_from_index(0, len(events))
    if weights is None:
        counts = names.value_counts(sort=True).drop_nulls()
        if 2 <= counts.height <= MAX_EVENTS:
            raise unweighed(counts, origin)
        return ones
    unknown = first_true(names.is_not_null() & ~names.is_in(list(weights)))
    empty = first_true(names.is_null() | (names == "").fill_null(False))
    if empty is not None and "" not in weights:
        raise origin.error(empty, "event", "the cell is empty")
    if unknown is not None:
        known = cut(", ".join(weights), 120)
        problem = f"{shortened(names[unknown])} has no weight in event_weights ({known})"
        raise origin.error(unknown, "event", problem, "Give it one; 0 leaves its rows out")
    return names.replace_strict(weights, default=None, return_dtype=pl.Float32)


def unweighed(counts: pl.DataFrame, origin: Origin) -> DataError:
    """The error for events that nobody has weighed, most frequent first."""
    values = counts[:, 0].to_list()
    shown = ", ".join(f"{cut(value, 30)} ({count:,})" for value, count in counts.rows())
    column = cut(origin.names.get("event", "event"), 40)
    typed = all(re.fullmatch(r"[\w.+-]{1,30}", value) for value in values)
    weights = ",".join(f"{value}=1" for value in values)
    give = f"--event-weights {weights}" if typed else "event_weights={...}"
    return DataError(
        f"{cut(origin.file)}, column {column}: there are {len(values)} kinds of events: "
        f"{cut(shown, 300)}. Say how much each counts: {give}; or --columns event=none, "
        "and each row counts 1."
    )


def merge(ratings: Ratings, how: str) -> Ratings:
    """One row for each pair of user and item, in the order of first appearance."""
    table = pl.DataFrame(ratings.columns)
    value, times = pl.col("values"), []
    if ratings.timestamp is not None:
        value = value.sort_by("timestamp", maintain_order=True)
        times = [pl.col("timestamp").max()]
        if how == "sum":
            times.append(pl.col("timestamp").min().alias("first_timestamp"))
    values = {
        "sum": pl.col("values").cast(pl.Float64).sum().cast(pl.Float32),
        "mean": pl.col("values").mean().cast(pl.Float32),
        "last": value.last(),
    }
    merged = table.group_by("user", "item", maintain_order=True).agg(values[how], *times)
    columns: dict[str, Any] = {column.name: column.to_numpy() for column in merged}
    scale = ratings.scale
    if scale and not scale.contains(columns["values"]).all():
        scale = replace(scale, step=0.0)
    return replace(ratings, **columns, scale=scale)

"""From cells to rows that count: ratings, or interactions with weights. Every row is checked, all
rows in one pass; bad ones are counted, and one is named.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as sf
from pyspark.sql.types import StringType

from matinee.data.builder import ParsedTable
from matinee.data.events import MAX_EVENTS, unweighed
from matinee.data.ratings import MAX_LEVELS, RatingScale
from matinee.data.reading_options import ReadingOptions
from matinee.data.validation import (
    ADVICE,
    LAST_SECOND,
    MAX_ID_BYTES,
    UNPRINTABLE,
    Origin,
)
from matinee.errors import DataError, SettingError, cut, shortened
from matinee.spark.cells import FILE, LINE, ORDER, Cells
from matinee.spark.forms import IDS, Facts, facts_of, id_of, number, value_of, with_times
from matinee.spark.session import Workspace

VALUE = "value"
SECONDS = "seconds"
COUNTS = "counts"
SHOWN = 200  # letters of a bad cell
EXACT, LARGE = 2**10, 2**20
"""Sums of millions of numbers with steps of 1 / `EXACT` that are not `LARGE` have no error."""
TOLERANCE = 1e-3  # of a step, as in `RatingScale.contains`


@dataclass(frozen=True)
class Rows:
    """Rows without a fault.

    `frame` has the columns `user_id` and `item_id` (bigint or string), `value` (float), `seconds`
    (bigint) if there are times, and those by which the last of several rows is found. The values
    add up to the same in any order if they are `exact`.
    """

    frame: DataFrame
    n: int
    scale: RatingScale | None
    exact: bool
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Check:
    """What rows may not be: `problem` is what they have, `name` the column that is shown."""

    name: str
    bad: Column
    problem: str
    advice: str = "Correct or remove them"


def checked(workspace: Workspace, cells: Cells, options: ReadingOptions) -> Rows:
    """The rows of a table that count; DataError if one has a fault."""
    rated, cells, notes = _rated(cells, options)
    facts = facts_of(cells)
    total = facts["rows"]
    label = cells.files.label
    if total == 0:
        raise DataError(f"{label}: there are no {'ratings' if rated else 'interactions'} in it.")
    _check_settings(cells, rated, options)
    frame, columns = cells.frame, {}
    if "timestamp" in frame.columns:
        frame, columns[SECONDS] = with_times(workspace, cells, facts, options.time_format)
    for name in IDS:
        columns[name] = id_of(name, cells, facts)
    checks = [*_line_checks(cells)]
    if rated:
        columns[VALUE] = value_of("rating", cells, facts)
    else:
        weight = sf.lit(1.0).cast("float")
        if "weight" in frame.columns:
            weight = value_of("weight", cells, facts)
        if "event" in frame.columns:
            weight = (weight * _event_weight(cells, options.event_weights)).cast("float")
        columns[VALUE] = weight
        checks += _event_checks(cells, options.event_weights)
    given = [sf.col(name).alias(f"given_{name}") for name in frame.columns if name != SECONDS]
    understood = [column.alias(name) for name, column in columns.items()]
    frame = frame.select(*given, *understood).withColumnsRenamed(
        {f"given_{name}": name for name in frame.columns if name not in (*IDS,)}
    )
    counts = sf.lit(True) if rated else sf.coalesce(sf.col(VALUE) != 0, sf.lit(True))
    frame = frame.withColumn(COUNTS, counts)
    checks += [*_cell_checks(frame, cells, facts, rated)]
    n, exact, scale = _run(frame, cells, checks, rated, options)
    if n < total:
        notes.append(f"{'1 row' if total - n == 1 else f'{total - n:,} rows'} of weight 0 left out")
    if n == 0:
        raise DataError(f"{label}: there are no interactions in it.")
    kept = [*IDS, VALUE, *([SECONDS] if SECONDS in columns else [])]
    if options.duplicates == "last":
        kept += [FILE, *ORDER]
    return Rows(frame.filter(COUNTS).select(*kept), n, scale, exact, tuple(notes))


def _rated(cells: Cells, options: ReadingOptions) -> tuple[bool, Cells, list[str]]:
    """Whether there are ratings; the cells without those that mean "not rated"; notes."""
    frame, notes = cells.frame, []
    if "rating" not in frame.columns:
        return False, cells, []
    if options.event_weights is not None:
        raise SettingError(
            "event_weights are for interactions, but this table has ratings; to leave them "
            "out: --columns rating=none."
        )
    others = frame.drop("weight", "event")
    if options.missing:
        unrated = sf.coalesce(_unrated(cells, options.missing), sf.lit(False))
        found = frame.agg(sf.count_if(unrated), sf.count_if(~unrated)).head()
        n, n_rated = found or (0, 0)
        if n and not n_rated:
            notes.append("no row has a rating: each counts as an interaction")
            return False, cells.of(frame.drop("rating")), notes
        if n:
            notes.append(f"{'1 row' if n == 1 else f'{n:,} rows'} left out as not rated")
            others = others.filter(~unrated)
    return True, cells.of(others), notes


def _unrated(cells: Cells, missing: tuple[float | str, ...]) -> Column:
    """Whether a cell of the ratings means "not rated"."""
    cell, is_text = sf.col("rating"), isinstance(cells.kind("rating"), StringType)
    numbers = number(cell) if is_text else cell.try_cast("double")
    unrated = sf.lit(False)
    for token in missing:
        if token == "":
            unrated |= cell.isNull() if is_text else cell.isNull() | sf.isnan(numbers)
            continue
        if is_text:
            unrated |= cell == sf.lit(token if isinstance(token, str) else f"{token:g}")
        try:
            unrated |= numbers == sf.lit(float(token))
        except ValueError:
            continue
    return unrated


def _check_settings(cells: Cells, rated: bool, options: ReadingOptions) -> None:
    """Refuse options that are for other data."""
    label = cells.files.label
    if not rated and options.scale is not None:
        raise SettingError(
            f"{label}: a scale is for ratings, and there are none. "
            "Name their column: --columns rating=NAME."
        )
    if not rated and options.event_weights is not None and "event" not in cells.frame.columns:
        raise SettingError(
            f"{label}: no column looks like an event. Name it: --columns event=NAME."
        )


# events


def _event_weight(cells: Cells, weights: Mapping[str, float] | None) -> Column:
    """The weight of each row's event; 1 for all where the column does not hold events."""
    name = sf.coalesce(sf.btrim(sf.col("event").cast("string")), sf.lit(""))
    if weights is None:
        counted = cells.frame.groupBy(name.alias("event")).count().filter("event != ''")
        counts = counted.orderBy(sf.desc("count"), "event").limit(MAX_EVENTS + 1).collect()
        if 2 <= len(counts) <= MAX_EVENTS:
            table = pl.DataFrame(
                {"event": [row[0] for row in counts], "count": [row[1] for row in counts]}
            )
            raise unweighed(table, Origin(cells.files.label, names=cells.names))
        return sf.lit(1.0)
    weight = sf.lit(None).cast("double")
    for event, value in weights.items():
        weight = sf.when(name == event, sf.lit(value)).otherwise(weight)
    return weight


def _event_checks(cells: Cells, weights: Mapping[str, float] | None) -> Iterator[_Check]:
    if weights is None or "event" not in cells.frame.columns:
        return
    name = sf.coalesce(sf.btrim(sf.col("event").cast("string")), sf.lit(""))
    if "" not in weights:
        yield _Check("event", name == "", "have an empty event")
    known = cut(", ".join(weights), 120)
    yield _Check(
        "event",
        (name != "") & ~name.isin(*weights),
        f"have an event without a weight in event_weights ({known})",
        "Give it one; 0 leaves its rows out",
    )


# checks


def _line_checks(cells: Cells) -> Iterator[_Check]:
    """Lines of text that are no rows."""
    if cells.is_text:
        yield _Check(
            LINE,
            sf.col(LINE).isNotNull(),
            "have more fields than there are columns, a stray quote, or letters that are not UTF-8",
        )


def _cell_checks(frame: DataFrame, cells: Cells, facts: Facts, rated: bool) -> Iterator[_Check]:
    """What may be wrong with cells, in the order of checking."""
    for name in IDS:
        yield from _id_checks(name, frame, cells)
    given, value = ("rating" if rated else "weight"), sf.col(VALUE)
    if given in frame.columns:
        advice = ADVICE["rating"] if rated else "Correct or remove them"
        yield _Check(given, sf.col(given).isNull(), f"have an empty {given}", advice)
        invalid = sf.col(given).isNotNull() & value_of(given, cells, facts).isNull()
        yield _Check(given, invalid, f"have a {given} that is not a number")
        infinite = sf.isnan(value) | (sf.abs(value) == float("inf"))
        yield _Check(given, infinite, f"have a {given} that is not a finite number")
        if not rated:
            yield _Check(given, value < 0, "have a weight below 0")
    if SECONDS in frame.columns:
        cell, seconds, advice = sf.col("timestamp"), sf.col(SECONDS), ADVICE["timestamp"]
        yield _Check("timestamp", cell.isNull(), "have an empty time", advice)
        outside = seconds.isNull() | ~seconds.between(-LAST_SECOND, LAST_SECOND)
        yield _Check(
            "timestamp",
            cell.isNotNull() & outside,
            "have a time that is none, or after the year 9999",
            "Give its form, as in --time-format %d/%m/%Y, or " + advice[0].lower() + advice[1:],
        )


def _id_checks(name: str, frame: DataFrame, cells: Cells) -> Iterator[_Check]:
    given, cell, noun = sf.col(f"given_{name}"), sf.col(name), name.removesuffix("_id")
    is_text = isinstance(frame.schema[name].dataType, StringType)
    yield _Check(name, given.isNull(), f"have an empty id of the {noun}")
    if cells.whole_ids:
        whole = sf.coalesce(given.try_cast("bigint") >= 1, sf.lit(False))
        yield _Check(name, ~whole, f"have an id of the {noun} that is no whole number from 1 on")
    elif not is_text:
        fraction = given.isNotNull() & cell.isNull()
        yield _Check(name, fraction, f"have an id of the {noun} that is neither whole nor text")
    else:
        bad = (sf.btrim(cell) == "") | cell.rlike(UNPRINTABLE) | ~sf.is_valid_utf8(cell)
        yield _Check(name, bad, f"have control characters in the id of the {noun}")
        long = sf.octet_length(cell) > MAX_ID_BYTES
        yield _Check(name, long, f"have an id of the {noun} that is too long")


def _run(
    frame: DataFrame, cells: Cells, checks: list[_Check], rated: bool, options: ReadingOptions
) -> tuple[int, bool, RatingScale | None]:
    """The number of rows that count, whether they add up to the same in any order, and their
    scale; DataError for the first fault.
    """
    numbered = not any(isinstance(frame.schema[name].dataType, StringType) for name in IDS)
    scales = cells.scales if rated and (cells.certain or numbered) else ()
    if options.scale:
        scales = (options.scale,)
    counts, value = sf.col(COUNTS), sf.col(VALUE)
    found = frame.agg(
        sf.count_if(counts),
        sf.count_if((value * EXACT != sf.rint(value * EXACT)) | (sf.abs(value) > LARGE)),
        *(sf.count_if(counts & check.bad) for check in checks),
        *(sf.count_if(~on_scale(scale, value)) for scale in scales),
    ).head()
    assert found is not None  # noqa: S101 - sums over no rows are a row
    n, exact = found[0], found[1] == 0
    faults, outside = found[2 : len(checks) + 2], found[len(checks) + 2 :]
    for check, n_bad in zip(checks, faults, strict=True):
        if n_bad:
            raise _fault(frame, cells, check, n_bad, n)
    if not rated:
        return n, exact, None
    on = [scale for scale, n_bad in zip(scales, outside, strict=True) if n_bad == 0]
    if on:
        return n, exact, on[0]
    if options.scale or cells.certain:
        scale = scales[-1]
        off = _Check(
            "rating",
            ~on_scale(scale, value),
            f"have a rating that is not on the scale {scale}",
            "If that is right, give the scale: scale=(low, high) (--scale LOW:HIGH)",
        )
        raise _fault(frame, cells, off, outside[-1], n)
    distinct = frame.select(value).distinct().limit(MAX_LEVELS + 1).toArrow()[VALUE].to_numpy()
    if len(distinct) > MAX_LEVELS:
        ends = frame.agg(sf.min(value), sf.max(value)).head()
        distinct = np.append(distinct, np.array(ends, np.float32))
    parsed = ParsedTable(pl.DataFrame(), Origin(cells.files.label))
    return n, exact, parsed.scale_of(distinct.astype(np.float32), None)


def on_scale(scale: RatingScale, value: Column) -> Column:
    """Whether a rating is on a scale, as `RatingScale.contains` says."""
    number = value.cast("double")
    within = (value >= sf.lit(scale.low).cast("float")) & (
        value <= sf.lit(scale.high).cast("float")
    )
    if scale.step:
        steps = (number - scale.low) / scale.step
        within &= sf.abs(steps - sf.rint(steps)) < TOLERANCE
    return sf.coalesce(within, sf.lit(False))


def _fault(frame: DataFrame, cells: Cells, check: _Check, n_bad: int, n: int) -> DataError:
    """The error for rows with a fault, one of which is named: the first by file and cell."""
    given = f"given_{check.name}" if check.name in IDS else check.name
    text = sf.left(sf.make_valid_utf8(sf.col(given).cast("string")), sf.lit(SHOWN))
    bad = frame.filter(sf.col(COUNTS) & check.bad)
    row = bad.agg(sf.min(sf.struct(sf.col(FILE), text.alias("text"))).alias("first")).head()
    assert row is not None  # noqa: S101 - sums over no rows are a row
    file, value = row["first"]
    where = cells.files.shown(file)
    if check.name != LINE:
        where += f", column {cells.named(check.name)}"
    is_text = isinstance(frame.schema[given].dataType, StringType)
    shown = f"such as {shortened(value) if is_text else value} in" if value else "one of them in"
    has = check.problem if n_bad > 1 else check.problem.replace("have ", "has ", 1)
    return DataError(
        f"{cells.files.label}: {n_bad:,} of {n:,} rows {has}, {shown} {where}. {check.advice}."
    )

"""What the cells of each column mean, which is decided by all of them, as on one machine."""

from collections.abc import Iterator
from functools import reduce
from operator import or_
from typing import Any

import polars as pl
import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as sf
from pyspark.sql.types import (
    BooleanType,
    ByteType,
    DataType,
    DateType,
    DecimalType,
    DoubleType,
    FloatType,
    IntegerType,
    LongType,
    NumericType,
    ShortType,
    StringType,
    TimestampNTZType,
    TimestampType,
)

from matinee.data import times
from matinee.data.validation import (
    DECIMAL_COMMA,
    EXTREME_ID,
    FRACTION,
    THOUSANDS,
    WHOLE_ID,
    Origin,
)
from matinee.errors import DataError, cut
from matinee.spark.cells import Cells
from matinee.spark.session import Workspace

Facts = dict[str, Any]
IDS = ("user_id", "item_id")
WHOLE = (ByteType, ShortType, IntegerType, LongType)
SAMPLE = 100  # dates, to find their form


def number(cell: Column, kind: str = "double") -> Column:
    """Text as a number; null where it is none, or one that only Java knows, such as 5f."""
    java_only = [sf.contains(cell, sf.lit(letter)) for letter in "xX"]
    java_only += [sf.endswith(cell, sf.lit(letter)) for letter in "dDfF"]
    return sf.when(~reduce(or_, java_only), cell.try_cast(kind))


def facts_of(cells: Cells) -> Facts:
    """All that has to be known of all cells before a single one is understood."""
    wanted: dict[str, Column] = {"rows": sf.count(sf.lit(1))}
    for name in cells.frame.columns:
        if name in IDS:
            wanted |= _id_facts(name, cells)
        elif name in ("rating", "weight") and isinstance(cells.kind(name), StringType):
            wanted |= _value_facts(name)
        elif name == "timestamp":
            wanted |= _time_facts(cells.kind(name))
    row = cells.frame.agg(*(column.alias(name) for name, column in wanted.items())).head()
    assert row is not None  # noqa: S101 - sums over no rows are a row
    return row.asDict()


# ids


def _id_facts(name: str, cells: Cells) -> dict[str, Column]:
    cell, kind = sf.col(name), cells.kind(name)
    if isinstance(kind, StringType) and cells.is_text:
        whole, large = (
            cell.rlike(WHOLE_ID),
            ~sf.coalesce(_moderate(cell.try_cast("bigint")), sf.lit(False)),
        )
        return {
            f"{name}.texts": sf.count_if(~whole & ~cell.rlike(FRACTION)),
            f"{name}.fractions": sf.count_if(~whole),
            f"{name}.large": sf.count_if(whole & large),
        }
    if isinstance(kind, LongType | DecimalType):
        return {f"{name}.large": sf.count_if(~_moderate(cell))}
    return {}


def _moderate(cell: Column) -> Column:
    """Whether whole numbers can be ids as they are."""
    return (cell > sf.lit(-EXTREME_ID)) & (cell < sf.lit(EXTREME_ID))


def id_of(name: str, cells: Cells, facts: Facts) -> Column:
    """Ids as bigint or string; null where a number is no whole one."""
    cell, kind = sf.col(name), cells.kind(name)
    if cells.whole_ids:
        return cell.try_cast("bigint")
    if isinstance(kind, StringType):
        if not cells.is_text or facts[f"{name}.texts"]:
            return cell
        if facts[f"{name}.fractions"]:
            return _whole(cell.try_cast("double"))
        return cell if facts[f"{name}.large"] else cell.try_cast("bigint")
    if isinstance(kind, WHOLE):
        return cell.cast("string") if facts.get(f"{name}.large") else cell.cast("bigint")
    if isinstance(kind, DecimalType):
        whole = sf.when(cell == sf.round(cell), cell.cast("decimal(38,0)"))
        return whole.cast("string") if facts[f"{name}.large"] else whole.cast("bigint")
    if isinstance(kind, FloatType | DoubleType):
        return _whole(cell.cast("double"))
    raise _type_error(cells, name, "whole numbers or text")


def _whole(cell: Column) -> Column:
    moderate = (cell == sf.rint(cell)) & (sf.abs(cell) < float(EXTREME_ID))
    return sf.when(moderate, cell.try_cast("bigint"))


# ratings and weights


def _value_facts(name: str) -> dict[str, Column]:
    cell = sf.col(name)
    with_comma = cell.rlike(DECIMAL_COMMA)
    invalid = cell.isNotNull() & number(cell).isNull()
    return {
        f"{name}.invalid": sf.count_if(invalid & ~with_comma),
        f"{name}.decimal": sf.count_if(with_comma & ~cell.rlike(THOUSANDS)),
    }


def value_of(name: str, cells: Cells, facts: Facts) -> Column:
    """Ratings or weights as float; null where a cell is no number."""
    cell, kind = sf.col(name), cells.kind(name)
    if isinstance(kind, StringType):
        if facts[f"{name}.decimal"] and not facts[f"{name}.invalid"]:
            cell = sf.replace(cell, sf.lit(","), sf.lit("."))
        return number(cell, "float")
    if isinstance(kind, NumericType):
        return cell.try_cast("float")
    raise _type_error(cells, name, "numbers")


# times


def _time_facts(kind: DataType) -> dict[str, Column]:
    cell = sf.col("timestamp")
    facts, numbers = {}, cell.try_cast("double")
    if isinstance(kind, StringType):
        numbers = number(cell)
        facts = {
            "texts": sf.count_if(cell.isNotNull() & numbers.isNull()),
            "fractions": sf.count_if(cell.isNotNull() & cell.try_cast("bigint").isNull()),
        }
    elif not isinstance(kind, NumericType):
        return {}
    finite = sf.when(sf.abs(numbers) < float("inf"), numbers)
    return {**facts, "low": sf.min(finite), "high": sf.max(finite)}


def with_times(
    workspace: Workspace, cells: Cells, facts: Facts, time_format: str | None
) -> tuple[DataFrame, Column]:
    """A frame like that of the cells, and its column of Unix seconds; null where there is none."""
    cell, kind = sf.col("timestamp"), cells.kind("timestamp")
    if isinstance(kind, DateType | TimestampType | TimestampNTZType):
        return cells.frame, sf.unix_seconds(cell.cast("timestamp"))
    if isinstance(kind, BooleanType) or not isinstance(kind, NumericType | StringType):
        raise _type_error(cells, "timestamp", "Unix seconds or dates")
    form = time_format if time_format not in times.UNITS else None
    if form is None and not facts.get("texts"):
        _check_not_dates(cells, facts, time_format)
        largest = max(abs(facts["low"] or 0), abs(facts["high"] or 0))
        unit = times.UNITS[time_format] if time_format else times.unit_of(largest)
        if isinstance(kind, WHOLE) or facts.get("fractions") == 0:
            whole = cell.try_cast("bigint")
            below = sf.try_subtract(whole, sf.pmod(whole, sf.lit(unit)))
            return cells.frame, sf.call_function("div", below, sf.lit(unit))
        seconds = cell.try_cast("double") / unit
        return cells.frame, sf.when(sf.abs(seconds) < EXTREME_ID, sf.floor(seconds))
    frame, form = cells.frame, form or _form_of_dates(cells)
    if not isinstance(kind, (*WHOLE, StringType)):
        frame = frame.withColumn("timestamp", cell.cast("double"))

    def dated(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            column = pl.Series(pl.from_arrow(batch.column("dates")))
            seconds = times.dated(column, form).cast(pl.Int64).to_arrow()
            at = batch.schema.get_field_index("dates")
            yield batch.set_column(at, "seconds", seconds)

    columns = [name for name in frame.columns if name != "timestamp"]
    frame = frame.select(*columns, "timestamp", sf.col("timestamp").alias("dates"))
    schema = frame.withColumnRenamed("dates", "seconds").schema
    fields = [
        f"`{field.name}` {'bigint' if field.name == 'seconds' else field.dataType.simpleString()}"
        for field in schema
    ]
    frame = workspace.keep("dated", frame.mapInArrow(dated, ", ".join(fields)))
    return frame, sf.col("seconds")


def _check_not_dates(cells: Cells, facts: Facts, time_format: str | None) -> None:
    """Refuse numbers that may be dates such as 20190213, or Unix seconds."""
    low, high = facts["low"], facts["high"]
    if time_format or low is None or not times.look_like_dates(low, high):
        return
    text = sf.col("timestamp").cast("string")
    others = cells.frame.filter(sf.try_to_timestamp(text, sf.lit("yyyyMMdd")).isNull())
    if others.isEmpty():
        raise DataError(
            f"{cells.files.label}, column {cells.named('timestamp')}: {low:.0f} may be a date or "
            "Unix seconds. Say which: --time-format %Y%m%d, or --time-format s."
        )


def _form_of_dates(cells: Cells) -> str | None:
    """The form of the dates in a column of text, by a few of them; None: ISO, or none."""
    text = sf.col("timestamp")
    dates = cells.frame.select(text).distinct()
    groups = [sf.regexp_extract(text, times.NUMERIC_DATE, at).try_cast("int") for at in (1, 2)]
    telling = [sf.min(sf.when(group > 12, text)) for group in groups]
    found = dates.agg(*telling).head()
    sample = [row[0] for row in dates.dropna().orderBy("timestamp").limit(SAMPLE).collect()]
    sample += [each for each in found or () if each]
    return times.form_of(pl.Series("timestamp", sample, pl.String), _Column(cells))


class _Column(Origin):
    """The origin of a few cells of a column, whose rows are not known."""

    def __init__(self, cells: Cells) -> None:
        super().__init__(cells.files.label, names=cells.names)

    def error(self, row: int, column: str, problem: str, advice: str = "") -> DataError:
        """The error for one of them."""
        name = cut(self.names.get(column, column))
        return DataError(f"{self.file}, column {name}: {problem}. {advice}.")


def _type_error(cells: Cells, name: str, expected: str) -> DataError:
    kind = cut(cells.kind(name).simpleString())
    return DataError(
        f"{cells.files.label}, column {cells.named(name)}: must be {expected}, got {kind}."
    )

"""From files to a `SparkDataset`: the ratings of a table, read and checked by Spark."""

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as sf

from matinee.data import cache
from matinee.data.builder import ParsedTable, described_ids
from matinee.data.catalog import Catalog
from matinee.data.compression import Scratch
from matinee.data.id_map import IdMap
from matinee.data.movielens import items_100k, items_dat
from matinee.data.ratings import RatingScale
from matinee.data.reading import locate
from matinee.data.reading_options import ReadingOptions
from matinee.data.sources import check_file
from matinee.data.tables import TableReader
from matinee.data.validation import Origin
from matinee.errors import DataError, SettingError, bounded, shortened
from matinee.spark.cells import FILE, ORDER, read_cells, told_of_files
from matinee.spark.coding import code_items, code_users
from matinee.spark.dataset import SparkDataset
from matinee.spark.rows import SECONDS, VALUE, Rows, checked, on_scale
from matinee.spark.session import Workspace
from matinee.spark.sources import URL, Files, find_files

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

log = logging.getLogger(__name__)

REPEATED = "repeated"
DONE = {"sum": "added up", "last": "left out for a later one", "mean": "averaged"}
NO_USERS = "tables of users are not used by Spark"
NO_TITLES = "titles and genres beside the ratings are not used by Spark; those of --items are"


def read(
    workspace: Workspace, source: str, options: ReadingOptions, name: str | None = None
) -> SparkDataset:
    """Read ratings, or interactions without ratings, of any number of users.

    The same as `matinee.read` makes of the same files, but for attributes of users, titles in the
    table of ratings, and official splits, of which there are none. All of it is in the workspace.

    Parameters
    ----------
    workspace : Workspace
    source : str
        What `matinee.read` takes that is a path, a pattern or a name; or a URL that Spark can
        read, of a file or a folder: CSV, TSV, a MovieLens layout, JSON lines, or Parquet.
    options : ReadingOptions
        Those of `matinee.read`.
    name : str, optional
        What to call the data set; by default the name of the folder or file.

    Raises
    ------
    DataError
        There is no such source, or it has bad rows: they are counted, and one is named.
    SettingError
        An option does not fit the data.
    """
    started = time.monotonic()
    workspace = workspace.within("data")
    options = _with_stored(source, options)
    with Scratch() as scratch, told_of_files(shortened(source)):
        files = find_files(workspace, source, scratch, options.items)
        with told_of_files(files.label), _settings(workspace.spark, files.n_parts):
            reader = TableReader(options, scratch)
            cells = read_cells(workspace, files, reader)
            described = _described(reader, files)
            rows = checked(workspace, cells, options)
            dataset = _coded(workspace, rows, described, options, files)
    notes = [*dataset.notes]
    if options.users:
        notes.append(NO_USERS)
    if {"title", "genres"} & cells.names.keys():
        notes.append(NO_TITLES)
    seconds = time.monotonic() - started
    size = f"{dataset.n_ratings:,} {dataset.unit}s"
    log.info("read %s from %s in %.1f s", size, bounded(files.source), seconds)
    return replace(dataset, name=name or dataset.name, notes=tuple(notes))


def _with_stored(source: str, options: ReadingOptions) -> ReadingOptions:
    """The options, with those with which the data were added to the cache, and no users' names."""
    given = {key: value for key, value in options.to_dict().items() if value not in (None, {})}
    stored = {} if URL.match(source) else cache.stored_reading(locate(source))
    merged = ReadingOptions.of(stored | given)
    columns = {key: name for key, name in merged.columns.items() if not key.startswith("users.")}
    if merged.items:
        check_file(Path(merged.items))
    return replace(merged, columns=columns)


@contextmanager
def _settings(spark: "SparkSession", n_parts: int) -> Iterator[None]:
    """Settings of Spark while data are read: partitions by their size, nanoseconds as numbers."""
    settings: Mapping[str, str] = {
        "spark.sql.shuffle.partitions": str(n_parts),
        "spark.sql.legacy.parquet.nanosAsLong": "true",
        "spark.sql.files.ignoreCorruptFiles": "false",
        "spark.sql.files.ignoreMissingFiles": "false",
    }
    before = {name: str(spark.conf.get(name)) for name in settings}
    for name, value in settings.items():
        spark.conf.set(name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            spark.conf.set(name, value)


def _described(reader: TableReader, files: Files) -> ParsedTable:
    """The table of items, read on this machine as for `matinee.read`."""
    folder, items, origin = files.head.parent, None, Origin("items")
    if files.head.name == "u.data" and (folder / "u.item").exists():
        items, origin = items_100k(folder), Origin("u.item")
    elif files.head.name == "ratings.dat" and (folder / "movies.dat").exists():
        items, origin = items_dat(folder), Origin("movies.dat")
    parsed = ParsedTable(pl.DataFrame(), Origin(files.label), items, origin)
    return reader.describe(parsed, files.items, None)


def _coded(
    workspace: Workspace, rows: Rows, parsed: ParsedTable, options: ReadingOptions, files: Files
) -> SparkDataset:
    """Ratings by the codes of users and items, each pair once."""
    how = options.duplicates or ("error" if rows.scale else "sum")
    if how == "sum" and rows.scale:
        raise SettingError(
            "duplicates='sum' is for interactions without ratings; for ratings: 'last' or 'mean'."
        )
    users, n_users = code_users(workspace, rows.frame, files.label)
    items, item_ids = code_items(workspace, rows.frame, described_ids(parsed)[1], files.label)
    coded = rows.frame.join(users, "user_id").join(items, "item_id")
    # by the id, as the join has brought the rows of a user together
    before = sf.lag("item").over(Window.partitionBy("user_id").orderBy("item"))
    coded = coded.withColumn(REPEATED, sf.coalesce(sf.col("item") == before, sf.lit(False)))
    ratings = workspace.keep("coded", coded.drop("user_id", "item_id"))
    n_repeated, notes = ratings.filter(REPEATED).count(), list(rows.notes)
    if n_repeated and how == "error":
        raise _duplicate_error(ratings, users, item_ids, n_repeated, rows.scale, files)
    scale = rows.scale
    if n_repeated:
        what = "1 repetition" if n_repeated == 1 else f"{n_repeated:,} repetitions"
        notes.append(f"{what} of a pair of user and item {DONE[how]}")
        merged = _merged(ratings, how, rows.exact)
        ratings = workspace.keep("merged", merged)
        scale = _scale_of_means(ratings, scale) if how == "mean" else scale
    stamps = ["timestamp"] if SECONDS in rows.frame.columns else []
    ratings = ratings.withColumnsRenamed({VALUE: "rating", SECONDS: "timestamp"})
    return SparkDataset(
        ratings.select("user", "item", "rating", *stamps),
        users,
        Catalog.build(item_ids, parsed.items),
        rows.n - n_repeated,
        n_users,
        scale,
        files.name,
        files.source,
        tuple(notes),
    )


def _merged(ratings: DataFrame, how: str, exact: bool) -> DataFrame:
    """Each pair once, with a value that does not depend on the order in which its rows are met."""
    value, timed = sf.col(VALUE).cast("double"), SECONDS in ratings.columns
    total = sf.sum(value)
    if not exact:  # then the order of adding up decides on the last bit
        total = sf.aggregate(sf.sort_array(sf.collect_list(value)), sf.lit(0.0), lambda a, b: a + b)
    merged = {"sum": total, "mean": total / sf.count(sf.lit(1))}
    if how == "last":
        places = [name for name in (SECONDS, FILE, *ORDER) if name in ratings.columns]
        merged["last"] = sf.max_by(VALUE, sf.struct(*places))
    stamps = [sf.max(SECONDS).alias(SECONDS)] if timed else []
    return ratings.groupBy("user", "item").agg(merged[how].cast("float").alias(VALUE), *stamps)


def _scale_of_means(ratings: DataFrame, scale: RatingScale | None) -> RatingScale | None:
    """The scale of means of ratings: without steps, if one is between them."""
    if scale is None or ratings.filter(~on_scale(scale, sf.col(VALUE))).isEmpty():
        return scale
    return replace(scale, step=0.0)


def _duplicate_error(
    ratings: DataFrame,
    users: DataFrame,
    item_ids: IdMap,
    n_repeated: int,
    scale: RatingScale | None,
    files: Files,
) -> DataError:
    first = ratings.filter(REPEATED).agg(sf.min(sf.struct("user", "item")).alias("pair")).head()
    user, item = first["pair"] if first else (0, 0)
    found = users.filter(sf.col("user") == user).head()
    who, what = (
        shortened(each) if isinstance(each, str) else str(each)
        for each in (found["user_id"] if found else user, item_ids.values[item])
    )
    verb, advice = "rated", 'duplicates="last" or "mean" (--duplicates last)'
    if scale is None:
        verb, advice = "has", 'duplicates="sum" or "last" (--duplicates sum)'
    rows = "1 row repeats" if n_repeated == 1 else f"{n_repeated:,} rows repeat"
    return DataError(
        f"{files.label}: {rows} a pair of user and item: user {who} {verb} item {what} more than "
        f"once. Keep one: {advice}."
    )

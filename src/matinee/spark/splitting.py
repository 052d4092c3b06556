"""Which ratings form the test set, as in `Dataset.split`, decided by Spark."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from pyspark.sql import Column, Window
from pyspark.sql import functions as sf

from matinee.data import splits
from matinee.errors import SettingError, shortened
from matinee.experiments.split import Split
from matinee.spark.dataset import SparkDataset
from matinee.spark.session import Workspace

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

HELD_OUT = "held_out"
BINS = 2**14  # of times, in each step of finding one among them
HASH_BITS = 53  # of 64, as many as a float has


def split(
    workspace: Workspace, dataset: SparkDataset, how: Split
) -> tuple["DataFrame", "DataFrame"]:
    """The ratings of the training and of the test set, with the columns of `dataset.ratings`.

    ``"hashed"`` and ``"temporal"`` hold out the same ratings as on one machine. ``"random"`` is
    decided by a hash of user, item and seed, so the test set has about the given fraction, and is
    the same however the ratings are spread. ``"leave-last-out"`` holds out the latest rating of
    each user who has more than one; of several in the same second, that of the last item by code.
    With a test fraction of 0, all ratings are the training set.

    Raises SettingError if there is no such split, or a set would be empty.
    """
    ratings = dataset.ratings
    workspace = workspace.within("split")
    if how.warm_start is not None:
        raise SettingError("Spark trains from nothing; leave out the run to start from.")
    if how.test_fraction == 0:
        return ratings, ratings.limit(0)
    if how.method not in splits.METHODS:
        valid = ", ".join(map(repr, splits.METHODS))
        raise SettingError(
            f"The split of {dataset.name} must be one of {valid} with Spark, which has no official "
            f"ones; got {shortened(how.method)}."
        )
    if how.method == "leave-last-out":
        marked = ratings.withColumn(HELD_OUT, _is_last(dataset))
    else:
        splits.check_fraction(how.test_fraction)
        if how.method == "hashed":
            marked = _hashed(workspace, dataset, how)
        elif how.method == "temporal":
            marked = ratings.withColumn(HELD_OUT, _is_late(dataset, how.test_fraction))
        else:
            marked = ratings.withColumn(HELD_OUT, _is_chosen(how))
    kept = workspace.keep("split", marked, partition_by=HELD_OUT)
    sets = kept.filter(~sf.col(HELD_OUT)), kept.filter(HELD_OUT)
    if any(each.isEmpty() for each in sets):
        raise SettingError(
            f"{dataset.name}: the split {shortened(how.method)} leaves the training or the test "
            "set empty; choose another split or test fraction."
        )
    train, test = (each.select(*ratings.columns) for each in sets)
    return train, test


def _is_chosen(how: Split) -> Column:
    """Whether a hash of user, item and seed is among the lowest `fraction` of all hashes."""
    if how.seed < 0:
        raise SettingError(f"seed must be ≥ 0, got {shortened(how.seed)}.")
    mixed = sf.xxhash64(sf.lit(f"random {how.seed}"), "user", "item")
    limit = round(how.test_fraction * 2**HASH_BITS)
    return sf.shiftrightunsigned(mixed, 64 - HASH_BITS) < sf.lit(limit)


# by time


def _is_last(dataset: SparkDataset) -> Column:
    """Whether a rating is the latest of a user who has more than one."""
    _check_times(dataset)
    of_user = Window.partitionBy("user")
    latest_first = of_user.orderBy(sf.desc("timestamp"), sf.desc("item"))
    is_latest = sf.row_number().over(latest_first) == 1
    return is_latest & (sf.count(sf.lit(1)).over(of_user) > 1)


def _is_late(dataset: SparkDataset, fraction: float) -> Column:
    """Whether a rating is among the latest, at most `fraction` of all."""
    _check_times(dataset)
    n_train = max(1, dataset.n_ratings - round(dataset.n_ratings * fraction))
    return sf.col("timestamp") > sf.lit(_nth_time(dataset.ratings, n_train))


def _nth_time(ratings: "DataFrame", n: int) -> int:
    """The n-th time, from 1 on, of all in order: counted in bins, then in bins of one of these."""
    time = sf.col("timestamp")
    ends = ratings.agg(sf.min(time), sf.max(time)).head()
    low, high = ends or (0, 0)
    while low < high:
        width = (high - low) // BINS + 1
        at = sf.expr(f"(timestamp - {low}L) div {width}L").alias("bin")
        counted = ratings.filter(time.between(low, high)).groupBy(at).count().toArrow()
        counts = np.zeros(BINS, np.int64)
        counts[counted["bin"].to_numpy()] = counted["count"].to_numpy()
        upto = np.cumsum(counts)
        found = int(np.searchsorted(upto, n))
        n -= int(upto[found] - counts[found])
        low, high = low + found * width, min(high, low + (found + 1) * width - 1)
    return int(low)


def _check_times(dataset: SparkDataset) -> None:
    if "timestamp" not in dataset.ratings.columns:
        raise SettingError("These ratings have no timestamps, so they cannot be split by time.")


# by ids


def _hashed(workspace: Workspace, dataset: SparkDataset, how: Split) -> "DataFrame":
    """The ratings, and whether each is held out by the hashes of its user and its item."""
    seed, fraction = how.seed, how.test_fraction

    def of_users(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            hashes = splits.hashes(batch.column("user_id").to_pylist(), f"user {seed}")
            yield pa.record_batch(
                [batch.column("user"), hashes.view(np.int64)], ["user", "of_user"]
            )

    def decided(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            of_user, of_item = (
                batch.column(name).to_numpy().view(np.uint64) for name in ("of_user", "of_item")
            )
            held_out = pa.array(splits.chosen(of_user, of_item, fraction))
            yield batch.select(names).append_column(HELD_OUT, held_out)

    users = workspace.keep(
        "user_hashes", dataset.users.mapInArrow(of_users, "user int, of_user bigint")
    )
    ids = dataset.catalog.ids.values
    items = pa.table(
        {
            "item": np.arange(len(ids), dtype=np.int32),
            "of_item": splits.hashes(ids.to_list(), f"item {seed}").view(np.int64),
        }
    )
    of_items = workspace.keep("item_hashes", workspace.spark.createDataFrame(items))
    names = dataset.ratings.columns
    fields = [f"{each.name} {each.dataType.simpleString()}" for each in dataset.ratings.schema]
    joined = dataset.ratings.join(users, "user").join(of_items, "item")
    return joined.mapInArrow(decided, ", ".join([*fields, f"{HELD_OUT} boolean"]))

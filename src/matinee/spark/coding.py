"""Dense codes for ids, however many there are: the place of each among all of them, sorted."""

import numpy as np
import polars as pl
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as sf

from matinee.data.id_map import IdMap, encode
from matinee.errors import DataError
from matinee.spark.session import Workspace

MOST_CODES = 2**31 - 1
MOST_ITEMS = 20_000_000
PLACES = 33  # bits of a place within a partition, in `monotonically_increasing_id`


def code_users(workspace: Workspace, rows: DataFrame, label: str) -> tuple[DataFrame, int]:
    """A row for each user, with columns `user` and `user_id`, and their number."""
    n_parts = int(str(workspace.spark.conf.get("spark.sql.shuffle.partitions")))
    ids = rows.select("user_id").distinct()
    ids = ids.repartitionByRange(n_parts, "user_id").sortWithinPartitions("user_id")
    # where the ranges end is drawn, and may be drawn in another way: so places are kept
    placed = workspace.keep("placed", ids.withColumn("place", sf.monotonically_increasing_id()))
    part, place = sf.shiftright("place", PLACES), sf.expr(f"place & {2**PLACES - 1}L")
    sizes = {row[0]: row[1] for row in placed.groupBy(part.alias("part")).count().collect()}
    n = sum(sizes.values())
    if n > MOST_CODES:
        raise DataError(
            f"{label}: {n:,} users are more than {MOST_CODES:,}, the most there can be."
        )
    before = np.cumsum([0, *(sizes.get(at, 0) for at in range(max(sizes) + 1))])
    offset = sf.get(sf.lit(before.tolist()), part.cast("int"))
    return placed.select((offset + place).cast("int").alias("user"), "user_id"), n


def code_items(
    workspace: Workspace, rows: DataFrame, described: pl.Series | None, label: str
) -> tuple[DataFrame, IdMap]:
    """A row for each rated item, with columns `item` and `item_id`; and all ids, also those of
    items that are only `described`.
    """
    found = rows.select("item_id").distinct().limit(MOST_ITEMS + 1).toArrow()
    if len(found) > MOST_ITEMS:
        raise DataError(
            f"{label}: there are more than {MOST_ITEMS:,} items, which one machine has to hold."
        )
    ids = pl.Series(pl.from_arrow(found["item_id"])).alias("item_id")
    if described is not None and (described.dtype == pl.String) != (ids.dtype == pl.String):
        ids, described = ids.cast(pl.String), described.cast(pl.String)  # "007" beside 7
    id_map, codes = encode(ids, described)
    table = pa.table({"item": codes, "item_id": found["item_id"]})
    return workspace.keep("items", workspace.spark.createDataFrame(table)), id_map

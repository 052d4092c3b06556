"""What a training in Spark leaves: the users in the shared folder, and the models made of it."""

import math
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow as pa

from matinee._types import F32, I64
from matinee.data.dataset import Dataset
from matinee.data.id_map import IdMap
from matinee.data.ratings import Ratings
from matinee.kernels.parallel import machine_memory
from matinee.models.blended_head import BlendedHead
from matinee.models.population import Population
from matinee.models.queries import TrainingIndex
from matinee.models.recommender import Recommender
from matinee.models.reranking import SAMPLE
from matinee.models.serialization import no_interactions
from matinee.models.users_in_parts import USERS_PER_FILE, rows_in
from matinee.spark.blocks import Cut
from matinee.spark.dataset import SparkDataset, by_user
from matinee.spark.halves import ROWS, of_kind
from matinee.spark.session import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyspark.sql import DataFrame

PIECE = 2**28  # bytes that are gathered at a time: a session may limit what it sends at once
SHARE = 0.25  # of this machine's memory, for a model that is held as a whole


@dataclass(frozen=True, eq=False)
class SparkModel:
    """Trained heads, and the users with their rows and ratings in the shared folder.

    Parameters
    ----------
    data : SparkDataset
    heads : dict
        By name, without rows of users.
    users : DataFrame
        A row for each user with training ratings: `user`, `user_id`, `rating_row` and
        `ranking_row` (of the heads there are), `items` and `values` as in the parts of a run.
    item_counts : int64 (items,)
        Training ratings of each item.
    std : float
        Standard deviation of all training ratings.
    whole : bool
        Whether the values are all whole numbers.
    seconds : dict
        How long the training of each head took.
    """

    data: SparkDataset
    heads: dict[str, Any]
    users: "DataFrame"
    item_counts: I64
    std: float
    whole: bool
    seconds: dict[str, float]

    @property
    def size(self) -> int:
        """Bytes of the rows and ratings of all users."""
        width = sum(head.width for head in self.heads.values())
        return int(4 * (width * self.data.n_users + 2 * self.item_counts.sum()))

    @property
    def is_large(self) -> bool:
        """Whether this machine had better not hold all of it."""
        return self.size > SHARE * machine_memory()

    def in_memory(self) -> Recommender:
        """The ordinary recommender of all users."""
        n = 1 + self.size // PIECE
        pieces = (self.users.filter(f"pmod(user, {n}) = {k}").toArrow() for k in range(n))
        users = pl.concat(pl.DataFrame(pl.from_arrow(piece)) for piece in pieces).sort("user")
        index = self._index(self.data.user_ids(), users)
        heads = {}
        for name, head in self.heads.items():
            rows = np.tile(_unknown(head), (len(index.user_ids), 1))
            rows[users["user"].to_numpy()] = rows_in(users[f"{name}_row"], head.width)
            heads[f"{name}_head"] = replace(head, user_params=rows)
        return Recommender(index, **heads)

    def base(self) -> Recommender:
        """The items, and a sample of users: what a run with its users in parts begins with."""
        n_users = self.users.count()
        step = -(-n_users // SAMPLE)
        sample = self.users.filter(f"pmod(xxhash64(user), {step}) = 0").toArrow()
        users = pl.DataFrame(pl.from_arrow(sample)).sort("user")
        ids = IdMap(users["user_id"])
        index = self._index(ids, users.with_columns(user=pl.int_range(pl.len(), dtype=pl.Int32)))
        heads: dict[str, Any] = {
            f"{name}_head": replace(head, user_params=rows_in(users[f"{name}_row"], head.width))
            for name, head in self.heads.items()
        }
        weight = None
        if len(heads) == 2:
            order = heads["ranking_head"], heads["rating_head"]
            weight = BlendedHead.of(*order, index.interactions).weight
            weight *= float(index.interactions.values.std(dtype=np.float64)) / (self.std or 1.0)
        unrated = "times" if self.whole else "weight"
        population = Population(
            n_users=n_users,
            item_counts=self.item_counts,
            sample=np.arange(len(ids), dtype=np.int32),
            value_name=unrated if self.data.scale is None else "rating",
            blend_weight=weight,
        )
        none = no_interactions(len(ids))
        return Recommender(replace(index, interactions=none, population=population), **heads)

    @contextmanager
    def write_users(self, workspace: Workspace) -> "Iterator[list[Path]]":
        """Parquet files of users, each with a range of ids, as a run in parts has them."""
        n_files = max(1, math.ceil(self.users.count() / USERS_PER_FILE))
        columns = [name for name in self.users.columns if name != "user"]
        ordered = self.users.select(columns).repartitionByRange(n_files, "user_id")
        workspace.keep("parts", ordered.sortWithinPartitions("user_id"))
        with workspace.fetched("parts") as folder:
            yield [
                file
                for file in sorted(folder.glob("*.parquet"))
                if pl.scan_parquet(file, glob=False).select(pl.len()).collect().item()
            ]

    def _index(self, ids: IdMap, users: pl.DataFrame) -> TrainingIndex:
        """These users, by their place in `ids`, with all of their ratings."""
        lengths = users["items"].list.len().to_numpy()
        codes = np.repeat(users["user"].to_numpy(), lengths)
        columns = codes, users["items"].explode().to_numpy(), users["values"].explode().to_numpy()
        catalog, scale = self.data.catalog, self.data.scale
        ratings = Ratings(*columns, None, ids, catalog.ids, scale)
        return TrainingIndex.of(Dataset(ratings, catalog, name=self.data.name))


def users_of(
    workspace: Workspace,
    data: SparkDataset,
    ratings: "DataFrame",
    cut: Cut,
    heads: "dict[str, tuple[Any, DataFrame]]",
) -> "DataFrame":
    """Users with training ratings, as `SparkModel` has them, of heads and their rows in blocks."""
    users = data.users.join(by_user(ratings), "user")
    columns = ["user", "user_id"]
    for name, (head, told) in heads.items():
        unroll = partial(_unrolled, cut, head.width, _unknown(head))
        rows = of_kind(told, ROWS).mapInArrow(unroll, "user int, row array<float>")
        users = users.join(rows.withColumnRenamed("row", f"{name}_row"), "user")
        columns.append(f"{name}_row")
    return workspace.keep("trained-users", users.select(*columns, "items", "values"))


def _unrolled(
    cut: Cut, width: int, unknown: F32, batches: "Iterator[pa.RecordBatch]"
) -> "Iterator[pa.RecordBatch]":
    """A row for each user of blocks; one without positives has that of an unknown user."""
    for batch in batches:
        for key, content in zip(batch["block"].to_pylist(), batch["content"], strict=True):
            rows = np.frombuffer(content.as_buffer(), np.float32).reshape(-1, width)
            rows = np.where(rows.any(axis=1, keepdims=True), rows, unknown)
            offsets = np.arange(0, rows.size + 1, width, dtype=np.int32)
            lists = pa.ListArray.from_arrays(offsets, rows.ravel())
            codes = pa.array(cut.codes("user", key))
            yield pa.RecordBatch.from_arrays([codes, lists], ["user", "row"])


def _unknown(head: Any) -> F32:
    """The row of a user of whom a head knows nothing."""
    row: F32 = head.user_prior if hasattr(head, "user_prior") else head.default_user
    return row

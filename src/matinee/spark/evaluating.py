"""Evaluation in Spark, with the laptop's own functions on the users of a batch at a time.

Executors make a row for each test user, which is kept; what is left here is sums of these rows, or
the rows themselves where users are few, so that intervals are the laptop's, too.
"""

import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from statistics import NormalDist
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow as pa

from matinee._types import F32, I64
from matinee.data.catalog import Catalog
from matinee.data.id_map import IdMap
from matinee.data.ratings import RatingScale
from matinee.errors import SettingError
from matinee.evaluation.evaluator import RANKING_METRICS, defined_metrics, top_of_task
from matinee.evaluation.metrics import METRICS, TopK, disliked_hits, interval_around, signed_errors
from matinee.evaluation.protocols import RankingTask
from matinee.evaluation.ranking_metrics import gini_of_counts
from matinee.evaluation.results import RankingMetrics, RatingMetrics
from matinee.evaluation.uncertainty import LEVEL, MANY_USERS, MetricValue, mean_with_interval
from matinee.kernels.csr import Rows
from matinee.kernels.parallel import thread_limit
from matinee.models.loading import load_base
from matinee.models.recommender import Recommender
from matinee.models.users_in_parts import with_users, write_base
from matinee.spark.dataset import by_user
from matinee.spark.executors import USERS, as_arrow
from matinee.spark.failures import in_one_line
from matinee.spark.session import Workspace
from matinee.spark.shared_run import SharedRun

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

LEAST_TASKS = 4
LISTED = 10  # places of a list that count for the metrics of the whole catalogue
OF_RATINGS = "user int, known boolean, n bigint, squared double, absolute double, of_new bigint"


def evaluate_ratings(
    workspace: Workspace, base: Recommender, users: "DataFrame", test: "DataFrame"
) -> RatingMetrics:
    """Predict every test rating and compare, as `matinee.evaluation.evaluate_ratings`.

    Parameters
    ----------
    workspace : Workspace
    base : Recommender
        The items, and a sample of users: the base of a run in parts.
    users : DataFrame
        `user`, the code, int, and `rating_row`, `ranking_row`, `items`, `values` as in the parts
        of a run. Users who are missing count as without training ratings.
    test : DataFrame
        `user`, `item`, `rating`: codes and ratings.
    """
    grouped = _by_user(test).join(users, "user", "left")
    with _rows_by_user(workspace, base, grouped, _errors, OF_RATINGS) as rows:
        sums = rows.selectExpr(
            "count(*) as users",
            "sum(n) as n",
            "sum(squared) as squared",
            "sum(absolute) as absolute",
            "sum(squared * squared) as ss",
            "sum(squared * n) as sn",
            "sum(n * n) as nn",
            "sum(of_new) as of_new",
            "sum(if(known, 0, n)) as by_new",
        ).first()
    if sums is None or not sums.n:
        raise SettingError("There is no test rating to predict.")
    mean = sums.squared / sums.n
    around = None
    if sums.users > 1:
        residuals = max(0.0, sums.ss - 2 * mean * sums.sn + mean**2 * sums.nn)
        around = interval_around(mean, residuals, sums.users, sums.n)
    return RatingMetrics(
        sums.n,
        mean**0.5,
        around and (around[0] ** 0.5, around[1] ** 0.5),
        sums.absolute / sums.n,
        sums.by_new,
        sums.of_new,
    )


def evaluate_ranking(
    workspace: Workspace,
    base: Recommender,
    users: "DataFrame",
    test: "DataFrame",
    *,
    head: str | None = None,
    min_rating: float | None = None,
) -> RankingMetrics:
    """Rank all items for every test user with training ratings: the protocol `holdout`.

    Arguments are those of `evaluate_ratings`, and of `matinee.evaluation.evaluate_ranking`; so are
    the metrics. Intervals of more than 20,000 users are those of the normal distribution there,
    too.
    """
    relevant = test if min_rating is None else _liked(test, min_rating)
    grouped = _by_user(relevant).join(users.where("size(items) > 0"), "user")
    spread = _spread(users)
    names = [name for name in defined_metrics(_task(base, spread)) if name not in _OF_CATALOG]
    columns = ", ".join(f"`{name}` double" for name in names)
    schema = f"user int, listed array<int>, hits int, disliked int, {columns}"
    work = partial(_metrics, names=tuple(names), spread=spread, head=head)
    with _rows_by_user(workspace, base, grouped, work, schema) as rows:
        n_users = rows.count()
        if n_users == 0:
            raise SettingError("No test user has both training ratings and a relevant test rating.")
        metrics = _means(rows, names, n_users) | _of_catalog(rows, base, spread)
    return RankingMetrics("holdout", n_users, metrics)


def _liked(test: "DataFrame", min_rating: float) -> "DataFrame":
    """The ratings from that one on, compared as numbers of 32 bits, as on one machine."""
    from pyspark.sql.functions import lit

    return test.where(test["rating"] >= lit(float(min_rating)).cast("float"))


def _by_user(test: "DataFrame") -> "DataFrame":
    """A row for each test user: `test_items`, ascending, and `test_values`."""
    names = {"items": "test_items", "values": "test_values"}
    return by_user(test).withColumnsRenamed(names)


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation of all training ratings."""

    mean: float
    std: float


def _spread(users: "DataFrame") -> Spread:
    every = users.selectExpr("explode(values) as value").selectExpr(
        "avg(double(value)) as mean", "stddev_pop(double(value)) as std"
    )
    found = every.first()
    if found is None or found.mean is None:
        raise SettingError("No user has a training rating.")
    return Spread(found.mean, found.std)


@contextmanager
def _rows_by_user(
    workspace: Workspace,
    base: Recommender,
    grouped: "DataFrame",
    work: Callable[[Recommender, pl.DataFrame], pl.DataFrame],
    schema: str,
) -> Iterator["DataFrame"]:
    """What `work` makes of the users of each batch, and of the model that has them, kept."""
    codes = IdMap(pl.Series(range(-len(base.user_ids), 0), dtype=pl.Int64))  # no user's
    heads: dict[str, Any] = {f"{name}_head": head for name, head in base.heads.items()}
    index = replace(base.index, user_ids=codes)
    with TemporaryDirectory(prefix="matinee-") as folder:
        run = write_base(Recommender(index, **heads), Path(folder, "base"))
        shared = SharedRun.of(run)
        shared.offer(workspace)
        population = base.index.population
        n_users = population.n_users if population else 0
        few = grouped.coalesce(max(LEAST_TASKS, n_users // USERS))  # empty tasks take time, too
        frame = few.mapInArrow(_in_batches(shared, work), schema)
        with in_one_line():
            yield workspace.keep(f"evaluation-{secrets.token_hex(8)}", frame)


def _in_batches(
    run: SharedRun, work: Callable[[Recommender, pl.DataFrame], pl.DataFrame]
) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """For `mapInArrow`: the users of a batch, and what is made of them."""

    def evaluated(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        with thread_limit(1):
            for batch in batches:
                frame = pl.DataFrame(pl.from_arrow(batch)).sort("user")
                if frame.height == 0:
                    continue
                known = frame.filter(pl.col("items").is_not_null())
                ids = known["user"].cast(pl.Int64).alias("user_id")
                model = with_users(_base(run), known.with_columns(ids))
                made = work(model, frame)
                yield from as_arrow(made, _plain(made.to_arrow().schema)).to_batches()

    return evaluated


def _plain(schema: pa.Schema) -> pa.Schema:
    """A schema of polars with lists as Spark has them."""
    fields = [
        pa.field(field.name, pa.list_(field.type.value_type))
        if pa.types.is_large_list(field.type)
        else field
        for field in schema
    ]
    return pa.schema(fields)


@cache
def _base(run: SharedRun) -> Recommender:
    """The base, open in this process of an executor."""
    return load_base(run.find())


def _flat(column: pl.Series) -> Any:
    return column.explode().to_numpy()


def _errors(model: Recommender, frame: pl.DataFrame) -> pl.DataFrame:
    """The errors of the test ratings of each user, summed."""
    counts = frame["test_items"].list.len().to_numpy().astype(np.int64)
    items, actual = _flat(frame["test_items"]), _flat(frame["test_values"])
    ids = np.repeat(frame["user"].to_numpy().astype(np.int64), counts)
    predicted = model.predict(ids, model.items.gather(items), unknown="average")
    errors, row = signed_errors(predicted, actual), np.repeat(np.arange(len(counts)), counts)
    n = len(counts)
    known = (frame["items"].list.len().fill_null(0) > 0).alias("known")
    return pl.DataFrame(
        [
            frame["user"],
            known,
            pl.Series("n", counts),
            pl.Series("squared", np.bincount(row, np.square(errors), n)),
            pl.Series("absolute", np.bincount(row, np.abs(errors), n)),
            pl.Series("of_new", np.bincount(row[model.item_counts[items] == 0], minlength=n)),
        ]
    )


_OF_CATALOG = ("disliked_share@10", "coverage@10", "gini@10")
"""Metrics that no single user has."""


def _metrics(
    model: Recommender,
    frame: pl.DataFrame,
    *,
    names: tuple[str, ...],
    spread: Spread,
    head: str | None,
) -> pl.DataFrame:
    """The ranking metrics of each user, and what those of the catalogue are made of."""
    users = model.index.users(frame["user"].cast(pl.Int64))
    counts = frame["test_items"].list.len().to_numpy()
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    relevant = Rows(indptr, _flat(frame["test_items"]), _flat(frame["test_values"]))
    task = _task(model, spread, users, relevant)
    top = top_of_task(model, task, head=head)
    first = top.first(LISTED)
    listed = [row[row >= 0] for row in first.items]
    return pl.DataFrame(
        [
            frame["user"],
            pl.Series("listed", listed).cast(pl.List(pl.Int32)),
            pl.Series("hits", np.count_nonzero(first.hits, axis=1).astype(np.int32)),
            pl.Series("disliked", _disliked(first, model.scale).astype(np.int32)),
            *(pl.Series(name, _computed(name, top)) for name in names),
        ]
    )


def _computed(name: str, top: TopK) -> Any:
    return np.asarray(RANKING_METRICS[name](top.first(METRICS[name].k)), np.float64)


def _disliked(top: TopK, scale: RatingScale | None) -> I64:
    return np.zeros(len(top.items), np.int64) if scale is None else disliked_hits(top)


@dataclass(frozen=True, eq=False)
class _Ratings:
    """What metrics ask of all training ratings, which nothing here holds."""

    user_ids: IdMap
    item_counts: I64
    user_counts: I64
    values: F32  # two values with the mean and the standard deviation of all
    known_scale: RatingScale | None
    differ: bool


@dataclass(frozen=True, eq=False)
class _Train:
    """A training set as far as metrics look at it."""

    name: str
    catalog: Catalog
    ratings: _Ratings


def _task(
    model: Recommender, spread: Spread, users: Any = None, relevant: Rows | None = None
) -> RankingTask:
    """The task of `holdout` for some users of a model."""
    population = model.index.population
    values = np.array([spread.mean - spread.std, spread.mean + spread.std])
    ratings = _Ratings(
        model.user_ids,
        model.item_counts,
        np.broadcast_to(np.int64(1), population.n_users if population else 0),
        values,
        model.scale,
        model.scale is not None and spread.std > 0,
    )
    users = np.zeros(1, np.int32) if users is None else users
    history = model.index.batch_of(users).interactions
    return RankingTask(
        protocol="holdout",
        train=_Train("training set", model.catalog, ratings),  # type: ignore[arg-type]
        users=users,
        history=history,
        folded_in=False,
        relevant=history if relevant is None else relevant,
    )


def _means(rows: "DataFrame", names: list[str], n_users: int) -> dict[str, MetricValue]:
    """The mean of each metric over users, without nan, and its interval."""
    if n_users <= MANY_USERS:
        table = pl.DataFrame(pl.from_arrow(rows.select("user", *_quoted(names)).toArrow()))
        table = table.sort("user")
        return {name: mean_with_interval(table[name].to_numpy()) for name in names}
    aggregates = [
        f"{what}(nanvl(`{name}`, NULL)) as `{what} {name}`" for name in names for what in _MOMENTS
    ]
    sums = rows.selectExpr(*aggregates).collect()[0].asDict()
    return {name: _normal(*(sums[f"{what} {name}"] for what in _MOMENTS)) for name in names}


_MOMENTS = ("avg", "stddev_samp", "count")


def _quoted(names: list[str]) -> list[str]:
    return [f"`{name}`" for name in names]


def _normal(mean: float | None, std: float | None, users: int) -> MetricValue:
    """A mean with the interval of the normal distribution."""
    if mean is None or std is None:
        return MetricValue(float("nan"))
    half_width = NormalDist().inv_cdf((1 + LEVEL) / 2) * std / users**0.5
    return MetricValue(mean, mean - half_width, mean + half_width)


def _of_catalog(rows: "DataFrame", base: Recommender, spread: Spread) -> dict[str, MetricValue]:
    """The metrics of the whole catalogue."""
    n_items, found = len(base.items), {}
    listed = rows.selectExpr("explode(listed) as item").groupBy("item").count().collect()
    counts = np.zeros(n_items, np.int64)
    for item, count in listed:
        counts[item] = count
    if base.scale is not None and spread.std > 0:
        hits, disliked = rows.selectExpr("sum(hits)", "sum(disliked)").collect()[0]
        found["disliked_share@10"] = disliked / hits if hits else float("nan")
    found["coverage@10"] = np.count_nonzero(counts) / n_items
    found["gini@10"] = gini_of_counts(counts)
    return {name: MetricValue(float(value)) for name, value in found.items()}

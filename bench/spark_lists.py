"""Seconds for the top ten of all users in Spark: ours, and MLlib's `recommendForAllUsers`.

python bench/spark_lists.py [ROUNDS]

3.2 million generated ratings by 32,000 users of 10,000 items, 64 factors, local[2]. The factors of
both are those of MLlib's ALS, so both make the same lists but for ties and rounding. Each round
measures both in turn, lists written as Parquet each time; ours with titles, genres and predicted
ratings, MLlib's with codes and scores. In the end ours are compared with the laptop's.
"""

import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from pyspark.ml.recommendation import ALS, ALSModel

import matinee
from matinee.data import generate
from matinee.models import Recommender
from matinee.models.queries import TrainingIndex
from matinee.models.rating_head import FactorRatingHead
from matinee.models.users_in_parts import write_in_parts
from matinee.spark.recommending import recommend_all
from matinee.spark.session import Workspace, open_workspace

ROUNDS = 5
USERS, ITEMS, RATINGS, FACTORS, N = 32_000, 10_000, 3_200_000, 64, 10
MASTER = "local[2]"


def seconds(work: Callable[[], Any]) -> float:
    """How long it takes, once."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def trained(workspace: Workspace, data: matinee.Dataset) -> ALSModel:
    """MLlib's model of the ratings, by the codes of users and items."""
    ratings = data.ratings
    frame = pl.DataFrame({"user": ratings.user, "item": ratings.item, "rating": ratings.values})
    path = workspace.path("ratings.parquet")
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    frame.write_parquet(path)
    als = ALS(rank=FACTORS, maxIter=3, regParam=0.1, seed=0, intermediateStorageLevel="MEMORY_ONLY")
    return als.setUserCol("user").setItemCol("item").fit(workspace.spark.read.parquet(path))


def rows_of(factors: Any, count: int) -> np.ndarray:
    """MLlib's factors by code, behind a bias of zero."""
    rows = np.zeros((count, 1 + FACTORS), np.float32)
    table = factors.toArrow()
    rows[table["id"].to_numpy(), 1:] = np.array(table["features"].to_pylist(), np.float32)
    return rows


def ours(model: ALSModel, data: matinee.Dataset) -> Recommender:
    """The same factors as our own model."""
    users, items = rows_of(model.userFactors, USERS), rows_of(model.itemFactors, ITEMS)
    head = FactorRatingHead(
        mean=0.0,
        user_params=users,
        item_params=items,
        user_prior=np.zeros(1 + FACTORS, np.float32),
        item_prior=np.zeros(1 + FACTORS, np.float32),
        user_coefficients=np.empty((0, 1 + FACTORS), np.float32),
        regularization=0.1,
        exponent=1.0,
        bias_regularization=0.1,
        bias_exponent=1.0,
        estimator={"name": "ALS of MLlib"},
        history=pl.DataFrame(),
    )
    return Recommender(TrainingIndex.of(data), rating_head=head)


def main() -> None:
    """Measure both in turn and print medians as JSON."""
    rounds = int(sys.argv[1]) if sys.argv[1:] else ROUNDS
    data, _ = generate(users=USERS, items=ITEMS, ratings=RATINGS, seed=0)
    with tempfile.TemporaryDirectory() as folder, open_workspace(MASTER) as workspace:
        theirs = trained(workspace, data)
        model = ours(theirs, data)
        whole = model.save(f"{folder}/whole")
        parts = write_in_parts(model, f"{folder}/parts", users_per_file=4096)
        out = Path(folder, "ours")

        def by_us(run: Path, **options: Any) -> None:
            shutil.rmtree(out, ignore_errors=True)
            recommend_all(workspace, run, str(out), N, **options)

        def by_mllib() -> None:
            lists = theirs.recommendForAllUsers(N)
            lists.write.mode("overwrite").parquet(f"{folder}/theirs")

        work = {
            "mllib": by_mllib,
            "matinee": lambda: by_us(whole, exclude_seen=False),
            "matinee, users in parts": lambda: by_us(parts, exclude_seen=False),
            "matinee, seen left out": lambda: by_us(whole),
        }
        times: dict[str, list[float]] = {name: [] for name in work}
        for _ in range(rounds):
            for name, each in work.items():
                times[name].append(seconds(each))
                print(name, f"{times[name][-1]:.2f}", file=sys.stderr)
        lists = pl.read_parquet(out / "part=*" / "*.parquet", hive_partitioning=False)
        lists = lists.sort("user_id", maintain_order=True)
        report = {name: statistics.median(taken) for name, taken in times.items()}
        equal = lists.equals(model.recommend(None, N))
        print(json.dumps({"seconds": report, "equal to the laptop's": equal}, indent=2))


if __name__ == "__main__":
    main()

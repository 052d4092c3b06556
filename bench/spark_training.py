"""Training in Spark: seconds beside MLlib's own ALS, accuracy beside this machine's.

python bench/spark_training.py DATASET [ROUNDS]

Both train on the same 90 % of the ratings (`random`, seed 0) with as many factors and iterations,
in one session of Spark on two processors, in turn; reading and starting are not counted, cutting
into blocks is. MLlib is given the ratings as they are, cached; and its best regularization of
those tried, on the residuals of damped biases, says how accurate it can be.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.ml import recommendation as mllib

import matinee
from matinee.data import Dataset
from matinee.evaluation.evaluator import evaluate_ranking, evaluate_ratings
from matinee.evaluation.protocols import holdout
from matinee.experiments.training import fit_and_evaluate
from matinee.models import ALS, ImplicitALS
from matinee.spark.dataset import SparkDataset
from matinee.spark.session import Workspace, open_workspace
from matinee.spark.training import train

MASTER = "local[2]"
PENALTIES = (0.1, 0.085, 0.07, 0.055)  # of MLlib, to choose the best of
DAMPING, SWEEPS = 4.0, 10  # of biases
SCHEMA = "user int, item int, rating float"


def seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    """How long it takes, and what comes of it."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def in_spark(workspace: Workspace, part: Dataset, values: np.ndarray, name: str) -> SparkDataset:
    """A training set as reading in Spark makes it, with these values as ratings."""
    spark, ratings = workspace.spark, part.ratings
    columns = {"user": ratings.user, "item": ratings.item, "rating": values.astype(np.float32)}
    kept = workspace.keep(name, spark.createDataFrame(pa.table(columns), SCHEMA))
    codes = np.arange(len(ratings.user_ids), dtype=np.int32)
    users = pa.table({"user": codes, "user_id": ratings.user_ids.values.to_arrow()})
    frame = workspace.keep(f"{name}-users", spark.createDataFrame(users, "user int, user_id long"))
    sizes = len(part), len(codes), ratings.scale, part.name, ""
    return SparkDataset(kept, frame, part.catalog, *sizes)


def damped_biases(part: Dataset) -> tuple[float, np.ndarray, np.ndarray]:
    """Mean and biases of users and items, each as if it had some average ratings more."""
    user, item, values = part.ratings.user, part.ratings.item, part.ratings.values
    mean = float(values.mean(dtype=np.float64))
    of_users, of_items = np.zeros(len(part.ratings.user_ids)), np.zeros(len(part.catalog))
    per_user, per_item = (np.bincount(codes) + DAMPING for codes in (user, item))
    for _ in range(SWEEPS):
        sums = np.bincount(item, values - mean - of_users[user])
        of_items[: len(sums)] = sums / per_item
        sums = np.bincount(user, values - mean - of_items[item])
        of_users[: len(sums)] = sums / per_user
    return mean, of_users, of_items


def peer(frame: Any, factors: int, iterations: int, penalty: float, **more: Any) -> Any:
    """MLlib's model, its factors computed."""
    estimator = mllib.ALS(
        rank=factors,
        maxIter=iterations,
        regParam=penalty,
        userCol="user",
        itemCol="item",
        ratingCol="rating",
        seed=0,
        **more,
    )
    model = estimator.fit(frame)
    model.userFactors.count(), model.itemFactors.count()
    return model


def rmse_of_peer(model: Any, biases: tuple[float, np.ndarray, np.ndarray], test: Dataset) -> float:
    """The error of biases and MLlib's factors together, clipped to the scale."""
    mean, of_users, of_items = biases
    rows = []
    for frame, size in ((model.userFactors, len(of_users)), (model.itemFactors, len(of_items))):
        table = frame.toArrow()
        factors = np.zeros((size, model.rank), np.float32)
        factors[table["id"].to_numpy()] = table["features"].to_pylist()
        rows.append(factors)
    user, item, scale = test.ratings.user, test.ratings.item, test.ratings.known_scale
    predicted = mean + of_users[user] + of_items[item]
    predicted += np.einsum("nk,nk->n", rows[0][user], rows[1][item])
    errors = np.clip(predicted, scale.low, scale.high) - test.ratings.values
    return float(np.sqrt(np.mean(np.square(errors))))


def measure(dataset: str, rounds: int) -> dict[str, Any]:
    """All of the above."""
    training, test = matinee.read(dataset).split("random", test_fraction=0.1, seed=0)
    task = holdout(training, test)
    laptop = fit_and_evaluate(training, test, ALS(), ranker=ImplicitALS(), track_test=False)
    found: dict[str, Any] = {"spark": [], "mllib": [], "mllib_implicit": [], "spark_ranking": []}
    explicit, implicit = ALS(), ImplicitALS()
    with open_workspace(MASTER) as workspace:
        data = in_spark(workspace, training, training.ratings.values, "ratings")
        cached = data.ratings.cache()
        cached.count()
        train(workspace, data, data.ratings, [ALS(iterations=1), ImplicitALS(iterations=1)])
        for _ in range(rounds):
            for estimator, name in ((explicit, "spark"), (implicit, "spark_ranking")):
                took, model = seconds(lambda e=estimator: train(workspace, data, cached, [e]))
                found[name].append(took)
            sizes = explicit.factors, explicit.iterations
            found["mllib"].append(seconds(lambda s=sizes: peer(cached, *s, 0.1))[0])
            sizes = implicit.factors, implicit.iterations
            work = lambda s=sizes: peer(cached, *s, 0.1, implicitPrefs=True, alpha=1.0)  # noqa: E731
            found["mllib_implicit"].append(seconds(work)[0])
        medians = {name: statistics.median(times) for name, times in found.items()}
        model = train(workspace, data, data.ratings, [explicit, implicit]).in_memory()
        biases = damped_biases(training)
        mean, of_users, of_items = biases
        ratings = training.ratings
        residuals = ratings.values - mean - of_users[ratings.user] - of_items[ratings.item]
        frame = in_spark(workspace, training, residuals, "residuals").ratings.cache()
        sizes = explicit.factors, explicit.iterations
        errors = {p: rmse_of_peer(peer(frame, *sizes, p), biases, test) for p in PENALTIES}
    rmse = evaluate_ratings(model, training, test).rmse
    ndcg = evaluate_ranking(model, task)["ndcg@10"]
    expected = laptop.rating and laptop.rating.rmse
    gain = evaluate_ranking(laptop.model, task)["ndcg@10"]
    return {
        "seconds": medians,
        "times_of_mllib": {
            "ratings": medians["spark"] / medians["mllib"],
            "ranking": medians["spark_ranking"] / medians["mllib_implicit"],
        },
        "rmse": {"spark": rmse, "laptop": expected, "mllib": errors},
        "ndcg@10": {"spark": ndcg, "laptop": gain},
    }


if __name__ == "__main__":
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    print(json.dumps(measure(sys.argv[1], rounds), indent=2))

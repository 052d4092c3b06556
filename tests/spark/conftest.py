"""One session of Spark for all tests of a process; a second one cannot be open beside it."""

import shutil

import numpy as np
import pyarrow as pa
import pytest

from matinee.spark.dataset import SparkDataset
from matinee.spark.session import open_workspace


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Whatever starts Spark takes long."""
    for item in items:
        if "workspace" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.thorough)


@pytest.fixture(scope="session")
def workspace():
    if shutil.which("java") is None:
        pytest.skip("Java is not installed")
    with open_workspace("local[2]") as workspace:
        workspace.spark.conf.set("spark.sql.shuffle.partitions", 4)
        yield workspace


@pytest.fixture(scope="session")
def in_spark(workspace):
    """A function that makes of a `Dataset` what reading in Spark would."""

    def made(dataset):
        return in_workspace(workspace, dataset)

    return made


def in_workspace(workspace, dataset):
    """The ratings and users of a `Dataset` in the shared folder."""
    spark, ratings = workspace.spark, dataset.ratings
    columns = {"user": ratings.user, "item": ratings.item, "rating": ratings.values}
    ids = ratings.user_ids.values
    users = {"user": np.arange(len(ids), dtype=np.int32), "user_id": ids.to_arrow()}
    kind = "string" if ratings.user_ids.are_text else "bigint"
    name = f"{dataset.name}-{len(dataset)}"
    schema = "user int, item int, rating float"
    frame = spark.createDataFrame(pa.table(columns), schema)
    kept = workspace.keep(f"{name}-ratings", frame)
    frame = spark.createDataFrame(pa.table(users), f"user int, user_id {kind}")
    return SparkDataset(
        kept,
        workspace.keep(f"{name}-users", frame),
        dataset.catalog,
        len(dataset),
        len(ids),
        ratings.scale,
        dataset.name,
        dataset.source,
    )

"""A session of Spark on this machine, started once."""

import os
import sys

import pytest


@pytest.fixture(scope="session")
def workspace():
    """A workspace of two executors' worth of this machine."""
    from matinee.spark.session import open_workspace

    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    with open_workspace("local[2]") as opened:
        yield opened

"""One session of Spark for all tests of a process; a second one cannot be open beside it."""

import pytest

from matinee.spark.session import open_workspace


@pytest.fixture(scope="session")
def workspace():
    with open_workspace("local[2]") as workspace:
        yield workspace

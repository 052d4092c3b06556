"""One session of Spark for all tests of a process."""

import pytest


@pytest.fixture(scope="session")
def workspace():
    """Spark on two processors of this machine, and a folder that it shares with the tests."""
    pytest.importorskip("pyspark")
    from matinee.spark.session import open_workspace

    with open_workspace("local[2]") as opened:
        yield opened

"""A real cluster: executors with an installed package, workers that die, and what is left."""

import socket
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from cluster import PATIENCE, Cluster, absent
from jobs import LONG

import matinee
from matinee.data.synthetic import write_generated

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.skipif(absent() is not None, reason=str(absent())),
]

JOBS = Path(__file__).with_name("jobs.py")
PARTITIONS = 12  # tasks of each of the two stages of `sums`


@pytest.fixture(scope="module")
def cluster():
    """A cluster for all tests of this file."""
    cluster = Cluster()
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
    assert cluster.processes() == []
    assert not cluster.folder.exists()


@pytest.fixture(autouse=True)
def whole(request):
    """Before the next test no driver is at work, and there are two workers."""
    yield
    if "cluster" in request.fixturenames:
        cluster = request.getfixturevalue("cluster")
        cluster.kill("driver")
        while len(cluster.workers) < 2:
            cluster.start_worker()


def start(cluster, job, *arguments):
    """A driver with this job."""
    return cluster.start_driver(JOBS, job, cluster.url, str(cluster.storage), *arguments)


def test_executors_have_the_wheel_and_need_no_place_to_write_to(cluster):
    cold, warm = cluster.result(start(cluster, "where"))
    for file, python, compiled, _ in cold["rows"] + warm["rows"]:
        assert Path(file).is_relative_to(cluster.python.parents[1])
        assert python == str(cluster.python)
        assert compiled <= 1  # once on a machine, in whichever of its processes
    assert max(seconds for *_, seconds in warm["rows"]) < 0.1
    assert list(cluster.storage.iterdir()) == []
    for log in cluster.folder.glob("machine-*/**/stderr"):
        assert "Traceback" not in log.read_text()


def tasks(folder):
    """(stage, machine) of the tasks that have begun, in this order."""
    return [tuple(path.name.split()[1:]) for path in sorted(folder.iterdir())]


def disturbed(cluster, folder, moment):
    """What the job returns if a machine dies while it does the task of this number, or None."""
    folder.mkdir()
    driver = start(cluster, "sums", str(folder))
    if moment is not None:
        end = time.monotonic() + PATIENCE
        while len(begun := tasks(folder)) <= moment:
            assert driver.poll() is None, (cluster.folder / "driver.log").read_text()
            assert time.monotonic() < end
            time.sleep(0.01)
        cluster.kill_worker(begun[moment][1])
        assert driver.poll() is None
        cluster.start_worker()
    return cluster.result(driver)


@pytest.fixture(scope="module")
def undisturbed(cluster, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed") / "begun"
    result = disturbed(cluster, folder, None)
    assert sorted(stage for stage, _ in tasks(folder)) == ["first"] * 12 + ["second"] * 12
    assert {machine for _, machine in tasks(folder)} == set(cluster.workers)
    return result


# within the first stage, at its end, and within the second, which needs what the first has left
@pytest.mark.parametrize("moment", [0, 5, 10, 14, 20])
def test_a_machine_that_dies_changes_nothing(cluster, undisturbed, tmp_path, moment):
    folder = tmp_path / "begun"
    assert disturbed(cluster, folder, moment) == undisturbed
    assert len(tasks(folder)) > 2 * PARTITIONS  # what was lost was computed once more


@pytest.fixture(scope="module")
def data(cluster):
    """A folder of generated ratings that all machines can read."""
    folder = cluster.storage.parent / "data"
    write_generated(folder, users=3000, items=400, ratings=120_000, seed=1)
    return folder


@pytest.fixture(scope="module")
def quiet_training(cluster, data):
    """What training says, and the run, where no machine dies."""
    run = cluster.storage.parent / "run"
    result = cluster.result(start(cluster, "trained", str(data), str(run)))
    return result, run


def kill_when(cluster, driver, begun):
    """Let a machine die once something has begun; another one takes its place."""
    end = time.monotonic() + PATIENCE
    while not begun():
        assert driver.poll() is None, (cluster.folder / "driver.log").read_text()[-5000:]
        assert time.monotonic() < end
        time.sleep(0.05)
    cluster.kill_worker(cluster.workers[0])
    assert driver.poll() is None
    cluster.start_worker()


# the folders in which halves of iterations are kept
@pytest.mark.parametrize("place", ["rated-by-user", "ratings-users-1", "ranking-items-0"])
def test_a_machine_that_dies_in_training_changes_nothing(
    cluster, data, quiet_training, tmp_path, place
):
    driver = start(cluster, "trained", str(data), str(tmp_path / "run"))
    kill_when(cluster, driver, lambda: any(cluster.storage.glob(f"*/*/{place}")))
    np.testing.assert_allclose(cluster.result(driver), quiet_training[0], rtol=1e-6)


@pytest.mark.parametrize("parts", [1, 2])
def test_a_machine_that_dies_while_lists_are_made_changes_nothing(cluster, quiet_training, parts):
    run = quiet_training[1]
    out = [str(cluster.storage.parent / f"out-{parts}-{which}") for which in ("quiet", "hurt")]
    expected = cluster.result(start(cluster, "listed", str(run), out[0]))
    driver = start(cluster, "listed", str(run), out[1])
    kill_when(cluster, driver, lambda: len(list(Path(out[1]).glob("part=*"))) >= parts)
    assert cluster.result(driver) == expected
    lists = matinee.load(run).recommend(n=LONG)
    assert expected[:2] == [lists["user_id"].n_unique(), lists.height]
    assert expected[3] == 4


TABLES = [[[100, 165.0]], [[0, 34], [1, 33], [2, 33]], [[33, 16], [33, 17], [34, 17]]]


def test_each_kind_of_function_runs_on_executors(cluster):
    assert cluster.result(start(cluster, "tables")) == TABLES


@pytest.mark.skipif(find_spec("grpc") is None, reason="pyspark[connect] is not installed")
def test_spark_connect_does_all_of_it(cluster, data, quiet_training, tmp_path):
    result, run = quiet_training
    with cluster.connect() as url:
        where = JOBS, "trained", url, str(cluster.storage), str(data), str(tmp_path / "run")
        np.testing.assert_allclose(cluster.result(cluster.start_driver(*where)), result, rtol=1e-6)
        out = cluster.storage.parent / "connected"
        listed = cluster.start_driver(JOBS, "listed", url, str(cluster.storage), str(run), str(out))
        assert cluster.result(listed)[1] == matinee.load(run).recommend(n=LONG).height


@pytest.mark.skipif(find_spec("grpc") is None, reason="pyspark[connect] is not installed")
def test_spark_connect(cluster):
    log = cluster.folder / "driver.log"
    with cluster.connect() as url:
        arguments = [JOBS, "tables", url, str(cluster.storage)]
        assert cluster.result(cluster.start_driver(*arguments)) == TABLES
        before = log.stat().st_size
        failing = cluster.start_driver(JOBS, "failing", url, str(cluster.storage))
        assert failing.wait(PATIENCE) == 1
    said = log.read_bytes()[before:].decode().splitlines()
    assert said[-1] == "matinee.errors.DataError: ratings.csv, row 3: 7 is no rating."
    assert list(cluster.storage.iterdir()) == []


def test_an_error_in_an_executor_is_one_line(cluster):
    log = cluster.folder / "driver.log"
    before = log.stat().st_size if log.exists() else 0
    driver = start(cluster, "failing")
    assert driver.wait(PATIENCE) == 1
    said = log.read_bytes()[before:].decode().splitlines()
    assert said[-1] == "matinee.errors.DataError: ratings.csv, row 3: 7 is no rating."


def test_a_master_that_is_another_program(cluster, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"spark://127.0.0.1:{server.getsockname()[1]}"
        began = time.monotonic()
        driver = cluster.start_driver(JOBS, "count", url, str(tmp_path))
        assert driver.wait(PATIENCE) == 1
    assert time.monotonic() - began < PATIENCE / 2
    said = (cluster.folder / "driver.log").read_text().splitlines()[-1]
    assert said == (
        f"matinee.errors.SettingError: Spark did not start at {url}: "
        "All masters are unresponsive! Giving up."
    )


def test_nothing_is_left_of_a_cluster_that_is_stopped_at_work():
    cluster = Cluster()
    try:
        cluster.start()
        (cluster.storage / "begun").mkdir()
        driver = start(cluster, "sums", str(cluster.storage / "begun"))
        end = time.monotonic() + PATIENCE
        while not tasks(cluster.storage / "begun"):
            assert time.monotonic() < end
            time.sleep(0.1)
        # a master, two workers, their executors with Python, the driver with its JVM
        assert len(cluster.processes()) >= 9
    finally:
        cluster.stop()
    assert driver.wait(10) != 0
    shown = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout  # noqa: S607
    assert str(cluster.folder) not in shown
    assert cluster.processes() == []
    assert not cluster.folder.exists()

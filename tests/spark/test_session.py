"""A session of Spark: found or started, what it says where there can be none, and its end."""

import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pytest

from matinee.errors import DataError, ExtraError, MatineeError, SettingError
from matinee.spark import session
from matinee.spark.session import SETTINGS, open_workspace

pytestmark = pytest.mark.slow

JOBS = Path(__file__).with_name("jobs.py")


def test_executors_of_this_machine_run_this_python(workspace):
    def look(batches):
        for _ in batches:
            pass
        yield pa.RecordBatch.from_pydict({"python": [sys.executable]})

    look = by_value(look)
    rows = workspace.spark.range(2, numPartitions=2).mapInArrow(look, "python string").collect()
    assert [row.python for row in rows] == [sys.executable] * 2


def test_what_is_kept_is_read_back(workspace):
    frame = workspace.spark.range(10).selectExpr("id", "id % 2 AS half")
    kept = workspace.keep("kept", frame, partition_by="half")
    assert {tuple(row) for row in kept.select("id", "half").collect()} == {
        (i, i % 2) for i in range(10)
    }
    assert Path(workspace.folder, "kept", "half=1").is_dir()


def test_a_session_that_is_open_is_used_and_left_as_it_was(workspace, tmp_path):
    spark = workspace.spark
    name = next(iter(SETTINGS))
    spark.conf.set(name, "Europe/Vienna")
    try:
        with open_workspace(storage=str(tmp_path)) as inner:
            assert inner.spark is spark or inner.spark._jsparkSession == spark._jsparkSession
            assert spark.conf.get(name) == SETTINGS[name]
            inner.keep("x", spark.range(3))
            assert list(tmp_path.iterdir()) == [Path(inner.folder)]
        assert spark.conf.get(name) == "Europe/Vienna"
    finally:
        spark.conf.set(name, SETTINGS[name])
    assert spark.range(3).count() == 3
    assert list(tmp_path.iterdir()) == []


def test_a_session_that_another_thread_has_opened_is_used(workspace):
    def use():
        with open_workspace() as inner:
            counted.append(inner.keep("x", inner.spark.range(3)).count())

    counted = []
    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert counted == [3]
    assert workspace.spark.range(4).count() == 4


def test_no_second_session_is_opened_elsewhere(workspace):
    with refused("A session of Spark at local[2] is open in this process"), open_workspace("yarn"):
        pass


def test_what_this_package_raises_in_an_executor_arrives_as_it_was(workspace):
    def refuse(batches):
        from matinee.errors import DataError

        yield from ()
        raise DataError("ratings.csv, row 3: 7 is no rating.")

    with (
        pytest.raises(DataError, match=r"^ratings.csv, row 3: 7 is no rating\.$"),
        open_workspace() as inner,
    ):
        inner.keep("refused", inner.spark.range(2).mapInArrow(by_value(refuse), "id long"))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("raise ValueError('no\\nsuch\\nthing')", "Spark failed: ValueError: no"),
        pytest.param(
            "import nowhere",
            "No module named 'nowhere' in the Python of the executors: install it there",
            marks=pytest.mark.thorough,
        ),
        pytest.param(
            "__import__('os')._exit(3)",
            "Python worker exited unexpectedly",
            marks=pytest.mark.thorough,
        ),
    ],
)
def test_what_else_goes_wrong_in_an_executor_is_one_line_with_a_log(
    workspace, tmp_path, monkeypatch, body, said
):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    scope = {}
    exec(f"def run(batches):\n    yield from ()\n    {body}", scope)  # noqa: S102
    with refused(said) as found, open_workspace() as inner:
        inner.spark.range(2, numPartitions=1).mapInArrow(scope["run"], "id long").collect()
    (log,) = tmp_path.glob("matinee-spark-*.log")
    assert f"Its log is {log}." in str(found.value)
    assert "Traceback" in log.read_text()


def test_what_spark_refuses_is_one_line(workspace, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for ask, said, kind in (
        (lambda spark: spark.read.parquet("/nowhere"), "does not exist: file:/nowhere", DataError),
        (lambda spark: spark.range(3).select("nope"), "`nope` cannot be resolved", SettingError),
        (lambda spark: spark.sql("SELECT CAST('a' AS int)").collect(), "'a'", SettingError),
    ):
        with refused(said, kind), open_workspace() as inner:
            ask(inner.spark)
    assert capfd.readouterr().err == ""


def test_a_bug_of_the_driver_is_no_failure_of_spark(workspace):
    with pytest.raises(KeyError), open_workspace():
        raise KeyError("bug")


@pytest.mark.parametrize("storage", ["/dev/null", "s3a://bucket/folder", "moon://folder"])
def test_a_folder_that_executors_cannot_write_to(workspace, storage):
    with refused(f"Executors cannot write to {storage}: "), open_workspace(storage=storage):
        pass


def test_a_folder_that_executors_do_not_share(workspace, tmp_path):
    class Scattered:  # what half of the executors write is on disks of their own
        read = workspace.spark.read

        def range(self, n, numPartitions):
            return workspace.spark.range(n // 2, numPartitions=numPartitions)

    with refused("share no"):
        session._check_shared(Scattered(), "/data", str(tmp_path / "x"))


def test_a_cluster_that_does_not_begin_is_told_of(workspace, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(session, "WAIT", 0.01)
    with open_workspace(storage=str(tmp_path)):
        pass
    assert "has not written a first small table yet" in caplog.text


# Where there can be no session


@pytest.fixture
def alone(monkeypatch):
    """As in a process without a session."""
    monkeypatch.setattr(session, "_open_session", lambda: None)
    monkeypatch.delenv("JAVA_HOME", raising=False)


@contextmanager
def refused(said, kind=SettingError):
    with pytest.raises(MatineeError) as found:
        yield found
    assert type(found.value) is kind
    assert said in str(found.value)
    assert "\n" not in str(found.value)


@pytest.mark.parametrize("package", ["pyspark", "pyarrow", "pandas"])
def test_without_the_extra(monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with refused(f"Spark needs {package}, which is not installed: ", ExtraError), open_workspace():
        pass


def java(folder, version):
    """A program that says of itself what this version of Java says."""
    program = folder / "bin" / "java"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2020-01-01' >&2\n")
    program.chmod(0o755)
    return program


@pytest.mark.parametrize(("version", "number"), [("1.8.0_412", 8), ("11.0.2", 11)])
def test_an_old_java(alone, tmp_path, monkeypatch, version, number):
    program = java(tmp_path, version)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    said = f"Spark needs Java 17 or newer; {program} is Java {number}."
    with refused(said), open_workspace("local[1]"):
        pass


@pytest.mark.parametrize("version", ["17", "17.0.15", "21.0.1", "25-ea"])
def test_a_java_that_is_new_enough(alone, tmp_path, monkeypatch, version):
    monkeypatch.setenv("JAVA_HOME", str(java(tmp_path, version).parents[1]))
    session._check_java()


def test_no_java(alone, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with refused("Spark needs Java 17 or newer; there is none here."), open_workspace("local[1]"):
        pass
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with refused(f"there is none in JAVA_HOME, {tmp_path}."), open_workspace("local[1]"):
        pass


@pytest.mark.parametrize("url", ["spark://127.0.0.1:{}", "sc://127.0.0.1:{}/;token=secret"])
def test_a_master_that_is_not_there(alone, url):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        began = time.monotonic()
        with refused(f"No Spark answers at {url[:5]}") as found, open_workspace(url.format(port)):
            pass
    assert time.monotonic() - began < 5
    assert "Connection refused" in str(found.value)
    assert "secret" not in str(found.value)


@pytest.mark.parametrize("url", ["spark://", "spark://host:port", "spark://[::1"])
def test_a_url_that_is_none(alone, url):
    with refused(f"No Spark answers at {url}: "), open_workspace(url):
        pass


# A session in a process of its own


def driver(tmp_path, *arguments):
    environment = os.environ | {"TMPDIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, env=environment, timeout=120, cwd=tmp_path
    )


@pytest.mark.thorough
def test_nothing_is_left_of_a_session_that_was_started(tmp_path):
    done = driver(tmp_path, "-W", "error", JOBS, "count", "local[1]")
    assert (done.stdout, done.stderr, done.returncode) == ("7\n", "", 0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("master", "said"),
    [
        ("moon", "Spark did not start at moon: "),
        ("yarn", "Spark did not start at yarn: When running with master 'yarn' either HADOOP_CONF"),
        ("local[none]", "Spark did not start at local[none]: Could not parse Master URL"),
    ],
)
def test_a_master_of_which_spark_knows_nothing(tmp_path, master, said):
    done = driver(tmp_path, JOBS, "count", master)
    assert done.stderr.splitlines()[-1].startswith(f"matinee.errors.SettingError: {said}")
    assert list(tmp_path.iterdir()) == []


def test_the_end_of_a_session_hides_no_signal_that_has_interrupted_it():
    class Interrupted:
        def stop(self):
            raise KeyError("p")  # what py4j makes of the answer to an earlier call

    session._stop(Interrupted())


def test_a_remote_folder_that_stays_behind_hides_no_signal_either(caplog):
    class Interrupted:
        @property
        def org(self):
            raise KeyError("p")

    session._remove(SimpleNamespace(_jvm=Interrupted()), "s3a://bucket/folder")
    (told,) = caplog.records
    assert told.getMessage() == "s3a://bucket/folder is not needed any more, and cannot be removed"


@pytest.mark.thorough
def test_a_jvm_that_is_killed(tmp_path):
    done = driver(tmp_path, JOBS, "dying", "local[1]")
    (log,) = tmp_path.glob("matinee-spark-*.log")
    said = "Spark failed: its JVM on this machine has ended"
    assert done.stderr.splitlines()[-1].startswith(f"matinee.errors.SettingError: {said}")
    assert [*tmp_path.glob("matinee-*")] == [log]


def by_value(function):
    """The function as of the main program, which goes along: executors have no tests."""
    function.__module__ = "__main__"
    return function

"""The connection to Spark, and the folder that driver and executors share.

Only the DataFrame API is used, so that Spark Connect can do all of it, too.
"""

import logging
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import getproxies

from matinee.errors import (
    ExtraError,
    SettingError,
    cut,
    install_command,
    printable,
    require_extra,
)
from matinee.kernels.parallel import machine_memory
from matinee.spark.failures import in_one_line, is_sparks, reason, why_not_started

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

log = logging.getLogger(__name__)

LOCAL, CONNECT = "local", "sc://"
PORTS = {"spark": 7077, "sc": 15002}
ANSWERS_WITHIN = 10  # seconds
WAIT = 60  # seconds for a first small table, before a word is said of it
JAVA = 17
PYTHON = "PYSPARK_PYTHON"
SHARE = 0.25  # of the machine's memory, for the JVM that is all of a local Spark
MOST, LEAST = 32 * 2**30, 2**30  # bytes of it
SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    # what is small in bytes may be much work, so partitions are not merged for their size
    "spark.sql.adaptive.coalescePartitions.enabled": "false",
    "spark.sql.adaptive.advisoryPartitionSizeInBytes": "64m",
    "spark.sql.shuffle.partitions": "32",  # until it is known how much there is
}
TASKS = 16  # of the test whether a folder is shared: some for every executor
NOT_YET = (
    "The cluster has not written a first small table yet: it is busy, or its workers have less "
    "memory or fewer cores than the settings ask for (spark.executor.memory, spark.executor.cores)"
)
LOGGERS = ("SQLQueryContextLogger", "DataFrameQueryContextLogger")
"""To which pyspark writes errors that it raises, too, with the whole stack of the JVM."""
AT_START = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "ERROR",
    "spark.driver.maxResultSize": "0",  # what is gathered here is known to fit
}
QUIET = """\
rootLogger.level = error
rootLogger.appenderRef.stderr.ref = stderr
appender.stderr.type = Console
appender.stderr.name = stderr
appender.stderr.target = SYSTEM_ERR
appender.stderr.layout.type = PatternLayout
appender.stderr.layout.pattern = %d{HH:mm:ss} %p %c{1}: %m%n%ex
"""
"""How the JVM logs: as Spark would, but for what it says before it has read its settings."""


@dataclass(frozen=True)
class Workspace:
    """A session of Spark, and a folder in which every executor can read and write.

    What is kept in it is deterministic input for what follows: an executor that is lost takes
    nothing with it, and nothing is computed twice in two ways.
    """

    spark: "SparkSession"
    folder: str  # a path, or a URL such as s3a://bucket/folder

    def path(self, name: str) -> str:
        """Where something of this name is kept, as a URL."""
        return as_url(f"{self.folder}/{name}")

    def keep(self, name: str, frame: "DataFrame", partition_by: str | None = None) -> "DataFrame":
        """Write a table as Parquet, and return what was written.

        With `partition_by`, the rows of each value of this column are in a folder of their own.
        """
        writer = frame.write.mode("overwrite").option("compression", "none")
        if partition_by is not None:
            writer = writer.partitionBy(partition_by)
        writer.parquet(self.path(name))
        kept = self.spark.read.schema(frame.schema).parquet(literal(self.path(name)))
        return kept.select(frame.columns)  # for that of the folders has become the last

    def within(self, name: str) -> "Workspace":
        """The same with a new folder in this one, for what may be done more than once."""
        return replace(self, folder=f"{self.folder}/{name}-{secrets.token_hex(4)}")

    @contextmanager
    def fetched(self, name: str) -> Iterator[Path]:
        """A folder of this machine with the Parquet files that are kept under a name."""
        if "://" not in self.folder:
            yield Path(self.folder, name)
            return
        files = self.spark.read.format("binaryFile").load(literal(self.path(name)))
        with tempfile.TemporaryDirectory(prefix="matinee-") as folder:
            for number, (path,) in enumerate(sorted(files.select("path").collect())):
                content = files.filter(files["path"] == path).select("content").collect()[0][0]
                Path(folder, f"{number}.parquet").write_bytes(content)
            yield Path(folder)


def as_url(path: str) -> str:
    """A path of this machine as a URL, for a cluster may look for bare paths elsewhere."""
    return path if "://" in path else f"file://{Path(path).absolute()}"


def literal(path: str) -> str:
    """A path in which Spark finds no pattern."""
    return re.sub(r"([*?\[\]{}\\])", r"\\\1", path)


@contextmanager
def open_workspace(master: str | None = None, storage: str | None = None) -> Iterator[Workspace]:
    """Start or find a session of Spark, and a folder for it that is removed in the end.

    Parameters
    ----------
    master : str, optional
        As of Spark: ``local[4]``, ``spark://host:7077``, ``yarn``; ``sc://host`` for Spark Connect.
        By default the session there is, in a notebook or a job of `spark-submit`; else this
        machine.
    storage : str, optional
        A path or URL under which all executors can read and write. By default a temporary folder,
        which is enough where all of Spark is on this machine.

    Raises
    ------
    SettingError
        There is no Java, no such master, or no such folder; or whatever Spark raises while the
        workspace is in use, as one line (`one_line` in `failures`).
    ExtraError
        A package is missing.
    """
    with _quiet():
        spark, started, scratch = _session(master)
        before = {name: spark.conf.get(name, None) for name in SETTINGS}
        try:
            with in_one_line(_log(scratch)):
                for name, value in SETTINGS.items():
                    spark.conf.set(name, value)
                with _folder(spark, storage, scratch) as folder:
                    yield Workspace(spark, folder)
        finally:
            if started:
                _stop(spark)
            else:
                _set(spark, before)
            if scratch is not None:
                shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what pyspark says of pandas, which nothing here uses."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "PySpark does not yet", FutureWarning)
        yield


def _stop(spark: "SparkSession") -> None:
    """Stop a session, whose JVM may have ended, or may still have to answer what a signal has
    interrupted: then py4j takes that for the answer to this.
    """
    try:
        spark.stop()
    except Exception as problem:
        log.debug("the session did not stop: %r", problem)


def _set(spark: "SparkSession", settings: dict[str, str | None]) -> None:
    for name, value in settings.items():
        if value is None:
            spark.conf.unset(name)
        else:
            spark.conf.set(name, value)


def _log(scratch: str | None) -> Path | None:
    """What the JVM says, where it was started here."""
    return None if scratch is None else Path(scratch, "log")


def _session(master: str | None) -> tuple["SparkSession", bool, str | None]:
    """A session, whether it was started here, and a folder of this machine that goes with it."""
    require_extra("spark", "pyspark", "pyarrow", "pandas")
    from pyspark.logger import PySparkLogger
    from pyspark.sql import SparkSession

    builder = SparkSession.Builder().appName("matinee")
    if master is not None and master.startswith(CONNECT):
        session: tuple[SparkSession, bool, str | None] = _connected(builder, master), True, None
    elif (found := _open_session()) is not None:
        there = found.conf.get("spark.master", None)
        if master not in (None, there):
            raise SettingError(
                f"A session of Spark at {there} is open in this process; use that, or stop it."
            )
        return found, False, None
    elif master is None and "PYSPARK_GATEWAY_PORT" in os.environ:
        session = builder.getOrCreate(), True, None  # of spark-submit, which has said all the rest
    else:
        session = _started(builder, master or f"{LOCAL}[*]")
    for logger in LOGGERS:
        PySparkLogger.getLogger(logger).setLevel(logging.CRITICAL)
    logging.getLogger("py4j").setLevel(logging.CRITICAL)
    return session


def _open_session() -> "SparkSession | None":
    """The session of this process, whichever thread has opened it."""
    from pyspark.errors import PySparkRuntimeError
    from pyspark.sql import SparkSession

    try:
        return SparkSession.active()
    except PySparkRuntimeError:
        return None


def _started(builder: "SparkSession.Builder", master: str) -> tuple["SparkSession", bool, str]:
    """What `_session` returns of one with a JVM on this machine."""
    _check_java()
    _check_answers(master)
    scratch = tempfile.mkdtemp(prefix="matinee-spark-")
    try:
        for name, value in (*AT_START.items(), *_at_start(master, scratch)):
            builder = builder.config(name, value)
        with _python_of_executors(master), _stderr_into(Path(scratch, "log")):
            return builder.getOrCreate(), True, scratch
    except Exception as problem:
        said = why_not_started(problem, Path(scratch, "log"))
        shutil.rmtree(scratch, ignore_errors=True)
        raise SettingError(f"Spark did not start at {cut(master)}: {said}") from None


def _connected(builder: "SparkSession.Builder", url: str) -> "SparkSession":
    """A session of Spark Connect; its URL may hold a token, so no message does."""
    from pyspark.errors import PySparkException

    host = url.partition("/;")[0]
    if not getproxies():
        _check_answers(host)
    try:
        return builder.remote(url).getOrCreate()
    except ImportError:
        command = install_command("pyspark[connect]")
        raise ExtraError(f"Spark Connect needs more than pyspark: {command}") from None
    except PySparkException as problem:
        raise SettingError(f"{cut(host)} opens no session: {reason(str(problem))}.") from None


def _check_answers(master: str) -> None:
    """Refuse a master at whose address there is none, for which Spark itself looks long.

    That one is another program's shows within a minute, when Spark gives up.
    """
    scheme, _, hosts = master.partition("://")
    if scheme not in PORTS:
        return
    problem = "that is no address"
    for host in hosts.split(","):
        try:
            address = urlsplit(f"//{host}")
            port = address.port or PORTS[scheme]
            socket.create_connection((address.hostname or "", port), ANSWERS_WITHIN).close()
        except (OSError, ValueError) as refusal:
            problem = getattr(refusal, "strerror", None) or str(refusal)
        else:
            return
    raise SettingError(f"No Spark answers at {cut(master)}: {printable(problem)}.")


def _at_start(master: str, scratch: str) -> Iterator[tuple[str, str]]:
    """Settings that Spark takes only as it starts."""
    yield "spark.master", master
    log = Path(scratch) / "log4j2.properties"
    log.write_text(QUIET, encoding="utf-8")
    # beside the options of those whose cluster it is, and before them
    yield "spark.driver.defaultJavaOptions", f"-Dlog4j2.configurationFile={log.as_uri()}"
    if not master.startswith(LOCAL):
        return
    memory = int(min(max(SHARE * machine_memory(), LEAST), MOST)) // 2**20
    yield "spark.driver.memory", f"{memory}m"
    yield "spark.driver.host", "127.0.0.1"
    yield "spark.driver.bindAddress", "127.0.0.1"
    yield "spark.local.dir", scratch


@contextmanager
def _python_of_executors(master: str) -> Iterator[None]:
    """On this machine, this Python; that of a cluster is named by `PYSPARK_PYTHON`, or python3.

    A session reads the variable as it starts, and takes no setting for it.
    """
    before = os.environ.get(PYTHON)
    if master.startswith(LOCAL):
        os.environ[PYTHON] = sys.executable
    try:
        yield
    finally:
        os.environ.pop(PYTHON, None)
        if before is not None:
            os.environ[PYTHON] = before


@contextmanager
def _stderr_into(file: Path) -> Iterator[None]:
    """Let processes that are started here, the JVM and its workers, say what they say in a file."""
    sys.stderr.flush()
    before = os.dup(2)
    try:
        with file.open("ab") as log:
            os.dup2(log.fileno(), 2)
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)


def _check_java() -> None:
    """Refuse to start a JVM where there is none, or one that is too old."""
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home, "bin", "java")) if home else shutil.which("java")
    try:
        if java is None:
            raise FileNotFoundError
        said = subprocess.run([java, "-version"], capture_output=True, check=True, timeout=60)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        where = f"in JAVA_HOME, {printable(cut(home))}" if home else "here"
        raise SettingError(f"Spark needs Java {JAVA} or newer; there is none {where}.") from None
    found = re.search(rb'version "(1\.)?([0-9]+)', said.stderr)
    if found and int(found[2]) < JAVA:
        raise SettingError(f"Spark needs Java {JAVA} or newer; {java} is Java {int(found[2])}.")


@contextmanager
def _folder(spark: "SparkSession", storage: str | None, scratch: str | None) -> Iterator[str]:
    """A new folder that driver and executors share, removed in the end."""
    name = f"matinee-{secrets.token_hex(8)}"
    if storage is None:
        if _jvm(spark) is None or not str(spark.conf.get("spark.master")).startswith(LOCAL):
            raise SettingError(
                "Executors of a cluster share no folder of this machine; name one where all of "
                "them can read and write: --storage URL."
            )
        with tempfile.TemporaryDirectory(prefix="matinee-spark-", dir=scratch) as folder:
            yield folder
        return
    folder = f"{storage.rstrip('/')}/{name}"
    if "://" not in folder:
        folder = str(Path(folder).resolve())
    try:
        _check_shared(spark, storage, f"{folder}/shared")
        yield folder
    finally:
        _remove(spark, folder)


def _check_shared(spark: "SparkSession", storage: str, folder: str) -> None:
    """Refuse a folder in which executors cannot write, or not where all others read.

    What each executor writes to a disk of its own is lost without an error.
    """
    waiting = threading.Timer(WAIT, log.warning, [NOT_YET])
    waiting.daemon = True
    waiting.start()
    try:
        spark.range(TASKS, numPartitions=TASKS).write.parquet(folder)
        found = spark.read.schema("id long").parquet(folder).count()
    except Exception as problem:
        if not is_sparks(problem):
            raise
        why = reason(str(problem))
        raise SettingError(f"Executors cannot write to {cut(storage)}: {why}.") from None
    finally:
        waiting.cancel()
    if found != TASKS:
        raise SettingError(
            f"Executors and this machine share no {cut(storage)}: what was written there is not "
            "all there; name a folder that all of them have: --storage URL."
        )


def _jvm(spark: "SparkSession") -> Any:
    """The driver's JVM, which Spark Connect keeps to itself."""
    return getattr(spark, "_jvm", None)


def _remove(spark: "SparkSession", folder: str) -> None:
    """Remove a folder; a remote one by way of Hadoop, which Spark Connect does not reach."""
    if "://" not in folder:
        shutil.rmtree(folder, ignore_errors=True)
    elif (jvm := _jvm(spark)) is not None:
        try:
            path = jvm.org.apache.hadoop.fs.Path(folder)
            path.getFileSystem(spark._jsc.hadoopConfiguration()).delete(path, True)
        except Exception as problem:  # of any kind: see `_stop`
            log.warning("%s is not needed any more, and cannot be removed", folder)
            log.debug("it was not removed: %r", problem)
    else:
        log.warning("%s is not needed any more; Spark Connect cannot remove it", folder)

"""A standalone cluster of the tests' own: a master and two workers on loopback, each as if on a
machine of its own. Neither their home nor the installed packages can be written to.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from urllib.request import urlopen

from wheels import install

# where the tests are root: root without what lets it write wherever it wants
POWERLESS = ["setpriv", "--inh-caps=-all", "--bounding-set=-all"]
MACHINE = "CLUSTER_MACHINE"  # in the environment of all that runs on one of its machines
DAEMON = "org.apache.spark.deploy"
CONNECT = "org.apache.spark.sql.connect.service.SparkConnectServer"
PATIENCE = 300  # seconds, for machines with much else to do
SETTINGS = (  # of a server of Spark Connect
    "spark.connect.grpc.binding.address=127.0.0.1",
    "spark.connect.grpc.binding.port=0",
    "spark.ui.enabled=false",
)
# nothing of a killed JVM is left among the temporary files of others
JAVA_OPTIONS = "-XX:-UsePerfData -Djava.io.tmpdir={}"


def absent():
    """Why there can be no cluster here, or None."""
    if not Path("/proc/self/environ").exists():
        return "which process belongs to a cluster is read from /proc"
    if find_spec("pyspark") is None or shutil.which("java") is None:
        return "Spark or Java is not installed"
    if os.geteuid() == 0 and shutil.which(POWERLESS[0]) is None:
        return "root could write anywhere, and there is no setpriv"
    return None


class Cluster:
    """Two workers with one core each are there after `start`, and nothing is left after `stop`."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="spark-"))
        self.python = install(self.folder)
        self.storage = self.folder / "storage"
        self.storage.mkdir()
        self._home = self.folder / "home"
        self._home.mkdir(mode=0o555)
        self.workers = []
        self.url = self.page = None
        self._daemons, self._drivers = {}, []

    def start(self):
        """Start the master and two workers, and wait until they know each other."""
        options = ["--host", "127.0.0.1", "--port", "0", "--webui-port", "0"]
        self._start_daemon("master", "spark-class", f"{DAEMON}.master.Master", *options)
        self.url = self._said("master", r"Starting Spark master at (spark://[\w.:]+)")
        port = self._said("master", r"(?:Bound MasterWebUI|'MasterUI').* (?:port |:)(\d+)")
        self.page = f"http://127.0.0.1:{port}/json/"
        self.start_worker()
        self.start_worker()

    def start_worker(self):
        """Start one more worker, on a new machine, and wait until the master has it; its name."""
        name = f"machine-{len(self._daemons)}"
        options = ["--host", "127.0.0.1", "--webui-port", "0", "--cores", "1", "--memory", "1g"]
        options += ["--work-dir", self.folder / name / "work", self.url]
        self._start_daemon(name, "spark-class", f"{DAEMON}.worker.Worker", *options)
        self.workers.append(name)
        self._wait_for_workers(name)
        return name

    def kill_worker(self, name):
        """Kill all that runs on a machine, as if it had lost power."""
        self.workers.remove(name)
        self.kill(name)
        self._wait_for_workers("master")

    @contextmanager
    def connect(self):
        """The URL of a server of Spark Connect, which takes all of the cluster meanwhile."""
        (self.folder / "connect.log").unlink(missing_ok=True)  # of an earlier one, on its port
        options = ["--master", self.url, "--class", CONNECT]
        for setting in SETTINGS:
            options += ["--conf", setting]
        self._start_daemon("connect", "spark-submit", *options, "spark-internal")
        try:
            port = self._said("connect", r"Spark Connect server started at: \S+:(\d+)")
            yield f"sc://127.0.0.1:{port}"
        finally:
            self.kill("connect")
            self._daemons.pop("connect").wait()

    def start_driver(self, *arguments, **variables):
        """Start Python with the installed package, on a machine beside the cluster's."""
        log = (self.folder / "driver.log").open("ab")
        with log:
            driver = subprocess.Popen(
                [*_prefix(), self.python, *arguments],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=self._home,
                env=self._environment("driver") | variables,
            )
        self._drivers.append(driver)
        return driver

    def result(self, driver):
        """What a driver printed, as JSON, once it has ended."""
        said, _ = driver.communicate(timeout=PATIENCE)
        assert driver.returncode == 0, (self.folder / "driver.log").read_text()[-5000:]
        return json.loads(said)

    def processes(self, machine=None):
        """All that runs on a machine of the cluster, or on any of them: ids of processes."""
        mark = f"{MACHINE}={self.folder}/{machine or ''}".encode()
        found = []
        for path in Path("/proc").glob("[0-9]*/environ"):
            try:
                variables = path.read_bytes().split(b"\0")
            except OSError:  # it has ended, or it is another user's
                continue
            if any(v == mark if machine else v.startswith(mark) for v in variables):
                found.append(int(path.parent.name))
        return found

    def stop(self):
        """Kill all of the cluster and of its drivers, and remove all that they have written."""
        self.kill()
        for process in [*self._drivers, *self._daemons.values()]:
            with process:  # takes leave of it, and closes what it wrote to
                pass
        shutil.rmtree(self.folder)

    def kill(self, machine=None):
        """Kill all that runs on a machine, or on all of them, and wait until it has ended."""
        end = time.monotonic() + PATIENCE
        while found := self.processes(machine):
            assert time.monotonic() < end, found
            for process in found:
                try:
                    os.kill(process, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            for process in [*self._drivers, *self._daemons.values()]:
                process.poll()  # takes leave of those that have ended
            time.sleep(0.02)

    def _start_daemon(self, name, program, *arguments):
        from pyspark.find_spark_home import _find_spark_home

        program = Path(_find_spark_home(), "bin", program)
        with (self.folder / f"{name}.log").open("ab") as log:
            self._daemons[name] = subprocess.Popen(
                [*_prefix(), program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._home,
                env=self._environment(name),
            )

    def _environment(self, machine):
        """The variables of a process: none of the tests' own but where programs are."""
        temporary = self.folder / machine / "tmp"
        temporary.mkdir(parents=True, exist_ok=True)
        kept = {name: os.environ[name] for name in ("PATH", "JAVA_HOME") if name in os.environ}
        return kept | {
            MACHINE: f"{self.folder}/{machine}",
            "HOME": str(self._home),
            "LANG": "C.UTF-8",
            "TMPDIR": str(temporary),
            "JAVA_TOOL_OPTIONS": JAVA_OPTIONS.format(temporary),
            "PYSPARK_PYTHON": str(self.python),
            "SPARK_CONF_DIR": str(self.folder),
            "SPARK_DAEMON_MEMORY": "512m",
            "SPARK_LOCAL_DIRS": str(temporary),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_MASTER_OPTS": "-Dspark.master.rest.enabled=false",  # which has a port of its own
        }

    def _wait_for_workers(self, name):
        """Wait until the master knows which workers are alive."""

        def known():
            with urlopen(self.page, timeout=10) as page:  # noqa: S310
                return json.load(page)["aliveworkers"] == len(self.workers)

        self._wait(name, known)

    def _said(self, name, pattern):
        """What a daemon says of itself in its log, sooner or later."""
        log = self.folder / f"{name}.log"
        self._wait(name, lambda: re.search(pattern, log.read_text()))
        return re.search(pattern, log.read_text())[1]

    def _wait(self, name, ready):
        end = time.monotonic() + PATIENCE
        while not ready():
            log = (self.folder / f"{name}.log").read_text()
            assert self._daemons[name].poll() is None, log
            assert time.monotonic() < end, log
            time.sleep(0.1)


def _prefix():
    return POWERLESS if os.geteuid() == 0 else []

"""A PostgreSQL server of the tests' own: in a temporary folder, on a socket, for one session."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name))
UNPRIVILEGED = ("postgres", "nobody")  # whom a server runs as where the tests are root
OPTIONS = {
    "listen_addresses": "",
    "fsync": "on",
    "max_connections": "60",
    "shared_buffers": "16MB",
    "max_wal_size": "64MB",
    "wal_writer_delay": "10s",  # nothing is on the disk sooner than it must be
}


def absent():
    """Why there can be no server here, or None."""
    if os.name != "posix":
        return "PostgreSQL's own server is started on Unix"
    if not PROGRAMS and shutil.which("initdb") is None:
        return "PostgreSQL is not installed (apt-get install postgresql)"
    if os.geteuid() == 0 and _user() is None:
        return "PostgreSQL refuses to run as root, and there is no user postgres or nobody"
    return None


def _user():
    """The user that a server runs as, where it may not be this one."""
    import pwd

    names = {entry.pw_name for entry in pwd.getpwall()}
    return next((name for name in UNPRIVILEGED if name in names), None)


class PostgresServer:
    """Starts with `start`, is gone after `remove`."""

    def __init__(self):
        # a socket's path has 107 characters at most
        self.folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
        self._as = {}
        if os.geteuid() == 0:
            name = _user()
            shutil.chown(self.folder, name)
            self._as = {"user": name, "group": _group(name), "extra_groups": []}
        self._process = None
        self._places = 0
        # as text is ordered in English, to which the store must not listen
        arguments = ["--locale=C.UTF-8", "--encoding=UTF8", "--locale-provider=icu"]
        if self._run("initdb", *arguments, "--icu-locale=en", check=False).returncode:
            self._run("initdb", *arguments[:2])  # before 15 it knows only the system's languages

    def _program(self, name):
        return str(PROGRAMS[-1] / name) if PROGRAMS else shutil.which(name)

    def _run(self, name, *arguments, check=True):
        data = self.folder / "data"
        command = [
            self._program(name),
            "-D",
            data,
            "-U",
            "matinee",
            "-A",
            "trust",
            "-N",
            *arguments,
        ]
        return subprocess.run(command, capture_output=True, check=check, cwd="/", **self._as)

    def start(self):
        """Start the server, and wait until it answers."""
        settings = OPTIONS | {"unix_socket_directories": str(self.folder)}
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._program("postgres"), "-D", self.folder / "data", *options],
                stdout=log,
                stderr=log,
                cwd="/",
                **self._as,
            )
        end = time.monotonic() + 60
        while True:
            try:
                self.execute("SELECT 1")
                return
            except Exception:
                assert self._process.poll() is None, (self.folder / "log").read_text()
                assert time.monotonic() < end, (self.folder / "log").read_text()
                time.sleep(0.05)

    def stop(self, how=signal.SIGINT):
        """Stop the server; SIGQUIT at once, as if it had crashed."""
        self._process.send_signal(how)
        self._process.wait(60)

    def remove(self):
        """Stop the server and remove all that it has written."""
        if self._process is not None and self._process.poll() is None:
            self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder)

    def execute(self, statement, database="postgres"):
        """The rows of a statement, outside of a transaction."""
        import psycopg

        address = {"host": str(self.folder), "user": "matinee", "dbname": database}
        with psycopg.connect(**address, autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def new_place(self):
        """A URL under which there is nothing yet: a schema of its own, which costs less."""
        self._places += 1
        self.execute(f"CREATE SCHEMA place_{self._places}")
        return self.url(f"&options=-csearch_path%3Dplace_{self._places}")

    def url(self, options="", database="postgres"):
        """The URL of a database of this server."""
        return f"postgresql://matinee@/{database}?host={quote(str(self.folder), safe='')}{options}"


def _group(name):
    import pwd

    return pwd.getpwnam(name).pw_gid

"""The databases a store can be in: SQLite in one file, or PostgreSQL by a URL."""

import os
import random
import sqlite3
import stat
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any
from weakref import WeakSet

from sqlalchemy import URL, Connection, Engine, Pool, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from matinee.errors import SettingError, StoreError, printable, require_extra, shortened
from matinee.storage.regular import KINDS
from matinee.storage.writing import check_place, sync, writing

SCHEMES = ("postgresql", "postgres", "postgresql+psycopg")
CONNECTIONS = {"pool_size": 8, "max_overflow": 32, "pool_timeout": 10}  # a thread pool's worth
WRITE = "matinee_write"  # execution option of a connection whose transactions write
BUSY_SECONDS = 5.0  # to wait for another process to finish writing to SQLite
BUSY_PAUSE = 0.0005, 0.002  # seconds between attempts, drawn anew each time
BUSY = (
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_BUSY_RECOVERY,
    sqlite3.SQLITE_BUSY_SNAPSHOT,
    sqlite3.SQLITE_LOCKED,
)
PATIENT = {  # what is found out by waiting, in the words of libpq
    "application_name": "matinee",
    "connect_timeout": 3,  # seconds
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,  # milliseconds until what is not confirmed counts as lost
}
_creating = threading.Lock()
_engines: WeakSet[Engine] = WeakSet()
_inherited: list[Pool] = []


def make_engine(where: str | Path) -> tuple[Engine, str]:
    """The engine for a path or a URL, and how messages call it: without a password."""
    if not isinstance(where, str | Path) or not str(where) or "\0" in str(where):
        raise SettingError(
            f"store must be a path or a URL postgresql://..., got {shortened(where)}."
        )
    is_url = isinstance(where, str) and "://" in where
    engine, name = _postgresql(str(where)) if is_url else _sqlite(Path(where))
    _engines.add(engine)
    return engine, name


def _leave_to_parent() -> None:
    """In a forked process, new connections: those of its parent must not even be closed."""
    for engine in list(_engines):
        _inherited.append(engine.pool)
        engine.dispose(close=False)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_parent)


def _sqlite(given: Path) -> tuple[Engine, str]:
    path = Path(os.path.realpath(given))
    with _creating:  # no other thread opens the file before it is closed here
        _create(path, given)
    # with an absolute path, no name of a file means anything else to SQLite
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        connect_args={"timeout": 0},  # `_begin` waits, and `Transactions`
        **CONNECTIONS,
    )
    event.listen(engine, "connect", _configure)
    event.listen(engine, "begin", _begin)
    return engine, printable(str(given))


def _create(path: Path, given: Path) -> None:
    """An empty file that only its owner may read, unless there is one: SQLite adds the rest.

    One that is there is never opened here: closing it again would end the locks that SQLite holds
    on it elsewhere in this process.
    """
    try:
        kind = stat.S_IFMT(path.stat().st_mode)
        if kind != stat.S_IFREG:
            what = KINDS.get(kind, "something else")
            raise StoreError(f"{given}: it is {what}, not a file; choose another place.")
        return
    except FileNotFoundError:
        check_place(given)
    except OSError as problem:
        raise StoreError(f"{given}: cannot be read: {problem.strerror}.") from None
    with writing(given, "Choose another place."):
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):  # another process was faster
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        sync(path.parent)


def _configure(connection: Any, _: Any) -> None:
    """Settings of a new connection to SQLite.

    With a write-ahead log readers and a writer do not wait for each other, and FULL has every
    commit on the disk before it returns.
    """
    connection.isolation_level = None  # `_begin` says when a transaction begins, not Python
    try:
        (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
        if mode != "wal":
            raise StoreError(
                "SQLite cannot keep its log there (a network disk?); choose another place."
            )
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA secure_delete=ON")  # what is forgotten is overwritten
        connection.execute("PRAGMA trusted_schema=OFF")
    except BaseException:
        connection.close()
        raise


def _begin(connection: Connection) -> None:
    """Begin a transaction that writes; it has the lock from the start, so it cannot be refused.

    One that reads asks a single statement, which is a transaction by itself.

    SQLite itself would ask for a lock in pauses of up to a tenth of a second, and rarely meet a
    moment in which others who write all the time do not hold it.
    """
    if not connection.get_execution_options().get(WRITE, False):
        return
    cursor = connection.connection.cursor()
    end = time.monotonic() + BUSY_SECONDS
    while time.monotonic() < end:
        try:
            cursor.execute("BEGIN IMMEDIATE")
            return
        except sqlite3.OperationalError as problem:
            if problem.sqlite_errorcode not in BUSY:
                break
            time.sleep(random.uniform(*BUSY_PAUSE))  # noqa: S311
    connection.exec_driver_sql("BEGIN IMMEDIATE")  # whose error is one of SQLAlchemy


def is_busy(problem: DBAPIError) -> bool:
    """Whether SQLite refused because another connection writes."""
    return getattr(problem.orig, "sqlite_errorcode", None) in BUSY


def _postgresql(where: str) -> tuple[Engine, str]:
    scheme = where.partition("://")[0]
    if scheme not in SCHEMES:
        raise SettingError(
            f"store must be a path or a URL postgresql://..., got one of {shortened(scheme)}."
        )
    require_extra("service", "psycopg")
    try:
        url = make_url(where).set(drivername="postgresql+psycopg")
    except (ArgumentError, ValueError):  # whose message may hold the password
        raise SettingError(
            "store must be a URL like postgresql://USER:PASSWORD@HOST:PORT/DATABASE."
        ) from None
    port = f":{url.port}" if url.port else ""
    name = printable(f"postgresql://{url.host or ''}{port}/{url.database or ''}")
    engine = create_engine(
        url,
        connect_args={key: value for key, value in PATIENT.items() if key not in url.query},
        isolation_level="READ COMMITTED",
        **CONNECTIONS,
    )
    return engine, name

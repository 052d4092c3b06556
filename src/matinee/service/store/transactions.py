"""Transactions that are tried again where that is safe, and whose errors are one line.

A database may be busy or restart, a connection may be lost. Until it commits, a transaction has
done nothing, so it is run again. Whether a commit took place whose answer was lost, PostgreSQL is
asked: writing twice would undo what others wrote in between. A server that has crashed cannot tell:
it gives the numbers of transactions that were not on the disk yet to others.
"""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, Row, exc, text
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError

from matinee.errors import StoreError
from matinee.service.store.engine import WRITE, is_busy

T = TypeVar("T")

PATIENCE = 10.0  # seconds in which a transaction is tried again
LOCK_TIMEOUT = "10000"  # milliseconds to wait for another process that writes for the same user
FIRST_PAUSE, LONGEST_PAUSE = 0.02, 1.0  # seconds between attempts
TRANSIENT = (  # beginnings of PostgreSQL's codes
    "08",  # connections
    "40",  # serialization failures, deadlocks
    "53300",  # too many connections
    "55P03",  # a lock was not available
    "57P01", "57P02", "57P03",  # it shuts down, has crashed, or starts
)  # fmt: skip
WILL_PASS = ("starting up", "shutting down", "recovery", "too many", "slots", "terminating")
"""Of what PostgreSQL says to whom it refuses to connect, which comes without a code."""
SINCE = "array[pg_postmaster_start_time(), (SELECT stats_reset FROM pg_stat_bgwriter)]"
"""Since when the server has been running: recovering from a crash, it forgets its statistics."""
BEGIN_WRITE = text(
    "SELECT set_config('lock_timeout', :timeout, true), pg_advisory_xact_lock(:lock),"
    " txid_current() AS number,"
    f" {SINCE} AS since"
)
FATE = text(f"SELECT txid_status(:number) AS fate, {SINCE} AS since")


class Transactions:
    """Runs functions in transactions of a database, as `name` in messages."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        self._name = name
        self._postgresql = engine.dialect.name == "postgresql"

    def read(self, work: Callable[[Connection], T], patience: float | None = None) -> T:
        """What a function returns that only reads."""
        return self._run(
            lambda: self._attempt(work, None), PATIENCE if patience is None else patience
        )

    def write(self, work: Callable[[Connection], T], lock: int, *, repeatable: bool = False) -> T:
        """What a function returns, once all that it wrote is on the disk.

        Two with the same `lock`, 64 bits, follow one another; in SQLite all do. One is `repeatable`
        that sees by itself whether it was done before.
        """
        return self._run(lambda: self._attempt(work, lock, repeatable), PATIENCE)

    def _attempt(
        self, work: Callable[[Connection], T], lock: int | None, repeatable: bool = True
    ) -> T:
        with self._engine.connect() as connection:
            connection.execution_options(**{WRITE: lock is not None})
            begun = None
            with connection.begin() as transaction:
                if lock is not None and self._postgresql:
                    values = {"timeout": LOCK_TIMEOUT, "lock": lock}
                    row = connection.execute(BEGIN_WRITE, values).one()
                    begun = None if repeatable else row
                result = work(connection)
                try:
                    transaction.commit()
                except BaseException as problem:
                    connection.invalidate()  # it may be anywhere in the transaction
                    lost = isinstance(problem, DBAPIError) and problem.connection_invalidated
                    if not (lost and begun is not None and self._took_place(begun)):
                        raise
            return result

    def _took_place(self, begun: Row[Any]) -> bool:
        """Whether a transaction was committed whose connection was lost while it was."""

        def ask(connection: Connection) -> Row[Any]:
            return connection.execute(FATE, {"number": begun.number}).one()

        with suppress(StoreError):
            for _ in pauses(PATIENCE):
                now = self.read(ask)
                if now.fate == "committed" and now.since != begun.since:
                    break  # perhaps another's, of the same number
                if now.fate != "in progress":
                    return bool(now.fate == "committed")
        raise StoreError(f"{self._name}: it is not known whether this was kept; ask again.")

    def _run(self, attempt: Callable[[], T], patience: float) -> T:
        for last in pauses(patience):
            try:
                return attempt()
            except SQLAlchemyError as problem:
                if last or not is_transient(problem):
                    raise self._error(problem) from problem
        raise AssertionError("the last pause is the last")

    def _error(self, problem: SQLAlchemyError) -> StoreError:
        cause = problem.orig if isinstance(problem, DBAPIError) else None
        said = str(cause or problem).strip().partition("\n")[0].partition(" (Background")[0]
        away = is_transient(problem)
        what = "the store is away or busy" if away else "the store cannot be used"
        return StoreError(f"{self._name}: {what}: {said.rstrip('.') or type(problem).__name__}.")


def pauses(patience: float) -> Iterator[bool]:
    """Whether this is the last attempt, again and again, with growing pauses in between."""
    end = time.monotonic() + patience
    pause = FIRST_PAUSE
    while time.monotonic() < end:
        yield False
        # at random times, so that those who collided do not meet again
        time.sleep(min(pause * random.uniform(0.5, 1.5), max(0.0, end - time.monotonic())))  # noqa: S311
        pause = min(2 * pause, LONGEST_PAUSE)
    yield True


def is_transient(problem: SQLAlchemyError) -> bool:
    """Whether the same may succeed a moment later."""
    if not isinstance(problem, DBAPIError):
        return isinstance(problem, exc.TimeoutError)  # all connections are in use
    if is_busy(problem) or problem.connection_invalidated:
        return True
    code = getattr(problem.orig, "sqlstate", None)
    if code is not None:
        return str(code).startswith(TRANSIENT)
    # without a code: refused by a server, or no server there
    said = str(problem.orig)
    refused = "FATAL" in said and not any(words in said for words in WILL_PASS)
    away = type(problem.orig).__module__.startswith("psycopg")
    return isinstance(problem, OperationalError) and away and not refused

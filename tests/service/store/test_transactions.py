"""Databases that are busy, restart or are gone, and connections that are lost."""

import signal
import sqlite3
import sys
import threading
import time

import psycopg
import pytest
from sqlalchemy import event

from forked import said_in_a_fork
from matinee.errors import StoreError
from matinee.service.store import Store, UserKey, engine, transactions

pytestmark = [pytest.mark.slow]


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(transactions, "PATIENCE", 0.5)
    monkeypatch.setattr(engine, "BUSY_SECONDS", 0.2)


@pytest.fixture
def shop(postgres):
    """(store, url) in PostgreSQL."""
    url = postgres.new_place()
    store = Store.open(url)
    yield store, url
    store.close()


def values(store, user):
    return {row.item_id: row.rating for row in store.all_of(user)}


class TestSQLite:
    @pytest.fixture
    def path(self, tmp_path):
        return tmp_path / "feedback.sqlite3"

    @pytest.fixture
    def blocked(self, path):
        """A connection of another program that writes, until it is rolled back."""
        other = sqlite3.connect(path, check_same_thread=False)
        yield other
        other.close()

    def test_a_write_waits_for_others(self, path, ann, blocked, monkeypatch):
        monkeypatch.setattr(engine, "BUSY_SECONDS", 0.1)  # asked for several times
        store = Store.open(path)
        blocked.execute("BEGIN IMMEDIATE")
        threading.Timer(0.5, blocked.rollback).start()
        begun = time.monotonic()
        store.put(ann, "1", rating=4, kind="rating")
        assert time.monotonic() - begun >= 0.5
        assert values(store, ann) == {"1": 4.0}
        store.close()

    def test_a_write_that_waited_long_is_refused_and_reading_is_not(
        self, path, ann, blocked, impatient
    ):
        store = Store.open(path)
        store.put(ann, "1", rating=4, kind="rating")
        blocked.execute("BEGIN IMMEDIATE")
        told = r"feedback\.sqlite3: the store is away or busy: database is locked\.$"
        with pytest.raises(StoreError, match=told):
            store.put(ann, "1", rating=5, kind="rating")
        assert values(store, ann) == {"1": 4.0}
        store.check()
        blocked.rollback()
        store.put(ann, "1", rating=5, kind="rating")
        assert values(store, ann) == {"1": 5.0}
        store.close()

    def test_a_full_disk_is_one_line_and_loses_nothing(self, path, ann):
        store = Store.open(path)

        def limit(connection, _):
            connection.execute("PRAGMA max_page_count = 12")

        event.listen(store._transactions._engine, "connect", limit)
        store._transactions._engine.dispose()
        acknowledged = []

        def fill():
            while len(acknowledged) < 10_000:
                item = "x" * 200 + str(len(acknowledged))
                acknowledged.append(store.put(ann, item, rating=1, kind="rating"))

        with pytest.raises(StoreError, match=r"cannot be used: database or disk is full\.$"):
            fill()
        assert store.all_of(ann) == acknowledged != []
        store.close()

    def test_a_file_that_is_damaged_is_one_line(self, path, ann):
        store = Store.open(path)
        store.put(ann, "1", rating=4, kind="rating")
        store.close()
        with sqlite3.connect(path) as other:
            other.execute("UPDATE matinee_feedback SET item_id = x'ff'")
        other.close()
        store = Store.open(path)
        with pytest.raises(StoreError, match="the store is damaged: it has a row"):
            store.all_of(ann)
        with sqlite3.connect(path) as other:
            other.execute("UPDATE matinee_feedback SET item_id = '1', updated_at = 'soon'")
        other.close()
        with pytest.raises(StoreError, match="the store is damaged: 'soon' is no time"):
            store.list(ann)
        store.close()
        path.write_bytes(path.read_bytes()[:4096] + b"\xff" * (path.stat().st_size - 4096))
        with pytest.raises(StoreError, match="cannot be used: database disk image is malformed"):
            Store.open(path)


@pytest.mark.parametrize("name", ["BUSY", "FULL"])
def test_a_commit_that_is_refused_leaves_nothing_open(tmp_path, ann, monkeypatch, name):
    """SQLite, unlike PostgreSQL, keeps the transaction then."""
    store = Store.open(tmp_path / "feedback")
    dialect = store._transactions._engine.dialect
    commit, asked = dialect.do_commit, []

    def do_commit(connection):
        asked.append(connection)
        if len(asked) > 1:
            return commit(connection)
        problem = sqlite3.OperationalError("refused")
        problem.sqlite_errorcode = getattr(sqlite3, f"SQLITE_{name}")
        raise problem

    monkeypatch.setattr(dialect, "do_commit", do_commit)
    if name == "FULL":
        with pytest.raises(StoreError, match=r"cannot be used: refused\.$"):
            store.put(ann, "1", rating=1, kind="rating")
        assert store.all_of(ann) == []
    kept = store.put(ann, "1", rating=2, kind="rating")
    assert store.all_of(ann) == [kept]
    with sqlite3.connect(tmp_path / "feedback") as other:
        assert other.execute("SELECT rating FROM matinee_feedback").fetchall() == [(2.0,)]
        other.execute("UPDATE matinee_feedback SET rating = 3")  # nothing holds the lock
    other.close()
    store.close()


def test_threads_and_their_connections(store):
    """More threads than connections are kept, each with a user of its own."""

    def write(number):
        for rating in range(10):
            store.put(UserKey("shop", f"user {number}"), "1", rating=rating, kind="rating")

    threads = [threading.Thread(target=write, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [row.rating for row in store.export("shop")] == [9.0] * 20


def test_more_at_once_than_there_are_connections_is_one_line(tmp_path, ann, monkeypatch):
    limits = {"pool_size": 1, "max_overflow": 0, "pool_timeout": 0.1}
    monkeypatch.setattr(engine, "CONNECTIONS", limits)
    monkeypatch.setattr(transactions, "PATIENCE", 0.2)
    store = Store.open(tmp_path / "feedback")
    with store._transactions._engine.connect():
        told = r"the store is away or busy: QueuePool limit [^(]+, timeout 0\.10\.$"
        with pytest.raises(StoreError, match=told):
            store.all_of(ann)
    assert store.all_of(ann) == []
    store.close()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")
def test_a_forked_process_has_connections_of_its_own(store, ann):
    store.put(ann, "1", rating=1, kind="rating")
    pool = store._transactions._engine.pool

    def in_the_child():
        assert store._transactions._engine.pool is not pool
        store.put(ann, "2", rating=2, kind="rating")
        return values(store, ann)

    assert said_in_a_fork(in_the_child) == {"1": 1.0, "2": 2.0}
    store.put(ann, "3", rating=3, kind="rating")
    assert values(store, ann) == {"1": 1.0, "2": 2.0, "3": 3.0}


def test_lost_connections_are_made_again(shop, postgres, ann):
    store, _ = shop
    for number in range(3):
        store.put(ann, str(number), rating=number, kind="rating")
        postgres.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'matinee'"
        )
        assert len(store.all_of(ann)) == number + 1


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT])
def test_a_restart_of_the_server_is_waited_for(shop, postgres, ann, how):
    store, _ = shop
    store.put(ann, "1", rating=1, kind="rating")
    postgres.stop(how)
    restart = threading.Timer(0.5, postgres.start)
    restart.start()
    store.put(ann, "2", rating=2, kind="rating")
    assert values(store, ann) == {"1": 1.0, "2": 2.0}
    restart.join()


def test_a_server_that_stays_away_is_one_line(shop, postgres, ann, impatient):
    store, url = shop
    postgres.stop()
    try:
        for ask in (
            lambda: store.put(ann, "1", rating=1, kind="rating"),
            lambda: store.all_of(ann),
            lambda: Store.open(url),
            store.check,
        ):
            begun = time.monotonic()
            with pytest.raises(StoreError) as caught:
                ask()
            assert time.monotonic() - begun < 10
            assert "postgresql:///postgres: the store is away or busy: connection" in str(
                caught.value
            )
            assert "\n" not in str(caught.value)
    finally:
        postgres.start()
    store.check()
    store.put(ann, "1", rating=1, kind="rating")


def test_a_password_is_in_no_message(postgres, impatient):
    url = postgres.url().replace("matinee@", "other:secret@")
    with pytest.raises(StoreError) as caught:
        Store.open(url)
    assert "does not exist" in str(caught.value)
    assert "the store cannot be used" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_deadlocks_and_serialization_failures_are_tried_again(shop, ann):
    store, _ = shop
    attempts = []

    def fail_twice(connection, *_):
        if len(attempts) < 2:
            code = ("40001", "40P01")[len(attempts)]
            attempts.append(code)
            connection.exec_driver_sql(
                f"DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{code}'; END $$"
            )

    event.listen(store._transactions._engine, "commit", fail_twice)
    store.put(ann, "1", rating=1, kind="rating")
    assert attempts == ["40001", "40P01"]
    assert values(store, ann) == {"1": 1.0}


class TestLostWhileCommitting:
    """The answer to a commit is lost; meanwhile another process writes the same item."""

    @pytest.fixture
    def lose(self, shop, postgres, ann, monkeypatch):
        store, url = shop
        other = Store.open(url)
        dialect = store._transactions._engine.dialect
        commit = dialect.do_commit

        def prepare(committed):
            def do_commit(connection):
                monkeypatch.setattr(dialect, "do_commit", commit)
                number = connection.dbapi_connection.info.backend_pid
                if committed:
                    commit(connection)
                    other.put(ann, "1", rating=2, kind="rating")
                postgres.execute(f"SELECT pg_terminate_backend({number})")
                if not committed:
                    other.put(ann, "1", rating=2, kind="rating")
                commit(connection) if not committed else connection.execute("SELECT 1")

            monkeypatch.setattr(dialect, "do_commit", do_commit)

        yield prepare
        other.close()

    def test_what_took_place_is_not_done_twice(self, shop, ann, lose):
        store, _ = shop
        lose(committed=True)
        kept = store.put(ann, "1", rating=1, kind="rating")
        assert kept.rating == 1.0
        assert values(store, ann) == {"1": 2.0}  # of the other, who was later

    def test_what_did_not_take_place_is_done(self, shop, ann, lose):
        store, _ = shop
        lose(committed=False)
        kept = store.put(ann, "1", rating=1, kind="rating")
        assert store.all_of(ann) == [kept]

    def test_a_delete_that_took_place_has_deleted(self, shop, ann, lose):
        store, _ = shop
        store.put(ann, "1", rating=1, kind="rating")
        lose(committed=True)
        assert store.delete(ann, "1") is True
        assert values(store, ann) == {"1": 2.0}

    @pytest.mark.parametrize("key", [None, "1"])
    def test_what_a_crash_undid_is_not_taken_for_what_others_did(
        self, shop, postgres, ann, monkeypatch, key
    ):
        """The server gives the number of the lost transaction to the next one, which is kept."""
        store, _ = shop
        store.put(ann, "1", rating=2, kind="rating", key="0")
        dialect = store._transactions._engine.dialect
        lost, numbers = [], [0]

        def do_commit(connection):
            monkeypatch.undo()
            lost.extend(connection.execute("SELECT txid_current()").fetchone())
            postgres.stop(signal.SIGQUIT)
            postgres.start()
            while numbers[-1] < lost[0]:
                numbers.extend(postgres.execute("SELECT txid_current()")[0])
            connection.execute("SELECT 1")  # it is gone

        monkeypatch.setattr(dialect, "do_commit", do_commit)
        if key is None:
            with pytest.raises(StoreError, match="not known whether this was kept; ask again"):
                store.put(ann, "1", rating=1, kind="rating")
            assert values(store, ann) == {"1": 2.0}
        kept = store.put(ann, "1", rating=1, kind="rating", key=key)
        assert lost == numbers[-1:]
        assert store.all_of(ann) == [kept]

    def test_a_request_with_a_key_is_done_once_whatever_is_lost(self, shop, ann, lose):
        store, _ = shop
        store.put(ann, "2", rating=3, kind="rating", key="0")  # old keys are removed before it
        lose(committed=True)
        kept = store.put(ann, "1", rating=1, kind="rating", key="1")
        assert kept.rating == 1.0
        assert values(store, ann) == {"2": 3.0, "1": 2.0}

    def test_what_nobody_can_tell_is_said(self, shop, postgres, ann, monkeypatch, impatient):
        store, _ = shop
        dialect = store._transactions._engine.dialect

        def do_commit(connection):
            postgres.stop(signal.SIGQUIT)
            raise psycopg.OperationalError("server closed the connection unexpectedly")

        monkeypatch.setattr(dialect, "do_commit", do_commit)
        monkeypatch.setattr(dialect, "is_disconnect", lambda *_: True)
        try:
            with pytest.raises(StoreError, match="not known whether this was kept; ask again"):
                store.put(ann, "1", rating=1, kind="rating")
        finally:
            monkeypatch.undo()
            postgres.start()


def test_a_process_that_stands_still_holds_up_its_user_for_a_while(shop, ann, monkeypatch):
    store, url = shop
    monkeypatch.setattr(transactions, "LOCK_TIMEOUT", "200")
    monkeypatch.setattr(transactions, "PATIENCE", 0.1)
    still = Store.open(url)
    held, finish = threading.Event(), threading.Event()

    def stand_still(_):
        held.set()
        finish.wait(30)

    event.listen(still._transactions._engine, "commit", stand_still)
    thread = threading.Thread(target=lambda: still.put(ann, "1", rating=1, kind="rating"))
    thread.start()
    try:
        assert held.wait(30)
        with pytest.raises(StoreError, match="away or busy: canceling statement due to lock"):
            store.put(ann, "1", rating=2, kind="rating")
        store.put(UserKey("shop", "bob"), "1", rating=2, kind="rating")
    finally:
        finish.set()
        thread.join()
    still.close()
    store.put(ann, "1", rating=3, kind="rating")
    assert values(store, ann) == {"1": 3.0}

"""Processes are killed while they write: what was acknowledged is there, once, with its value."""

import os
import random
import signal
import sys
import time

import pytest
import writers

from matinee.service.store import Store

N_WRITERS = 8
PATIENCE = 60  # seconds for all writers to have written something

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="processes are forked and killed")


@pytest.fixture
def kill_writers(where, tmp_path):
    """A function that lets writers work, kills them, and compares the store with their logs."""
    chance = random.Random()  # noqa: S311

    def once(disturb=lambda: None):
        logs = [writers.Log(tmp_path, writer) for writer in range(N_WRITERS)]
        before = [len(log.read()) for log in logs]
        parent, numbers = writers.start(where, tmp_path, N_WRITERS)
        alive = set(numbers)
        try:
            _wait(logs, before, parent)
            disturb()
            _wait(logs, [len(log.read()) for log in logs], parent)
            for number in chance.sample(numbers, N_WRITERS):
                time.sleep(chance.uniform(0, 0.05))
                assert parent.poll() is None, "a writer has failed"
                os.kill(number, signal.SIGKILL)
                alive.remove(number)
        finally:
            for number in alive:
                os.kill(number, signal.SIGKILL)
            parent.wait()
            parent.stdout.close()
        _compare(where, logs)

    return once


def _wait(logs, before, parent):
    """Wait until every writer has been acknowledged something more."""
    end = time.monotonic() + PATIENCE
    while any(len(log.read()) < n + 2 for log, n in zip(logs, before, strict=True)):
        assert parent.poll() is None, "the writers have failed"
        assert time.monotonic() < end, "the writers do not write"
        time.sleep(0.01)


def _compare(where, logs):
    store = Store.open(where)
    exported = list(store.export(writers.TENANT))
    assert len({(row.user_id, row.item_id) for row in exported}) == len(exported)
    for writer, log in enumerate(logs):
        user, ours = writers.user_of(writer), set(writers.items_of(writer))
        acknowledged, open_request = _replayed(log.read())
        there = _rows(store, user, ours)
        if open_request is None:
            assert _same(there, acknowledged)
            continue
        # the last request was done as a whole, or not at all
        was_done = not _same(there, acknowledged)
        answer = writers.ask(store, writer, open_request)
        afterwards = _rows(store, user, ours)
        acknowledged.update({item: rest for item, *rest in answer})
        if was_done and open_request[3] is not None:  # asked again, it has changed nothing
            assert afterwards == there
        if was_done:
            assert _same(there, acknowledged, times=open_request[3] is not None)
        assert _same(afterwards, acknowledged)
        log.write("done", answer)
    store.close()


def _replayed(lines):
    """{item: [rating, kind, time]} after all that was done, and what was begun and is not done."""
    state, begun = {}, None
    for what, content in lines:
        if what == "begin":
            begun = content
        else:
            state.update({item: rest for item, *rest in content})
            begun = None
    return state, begun


def _rows(store, user, ours):
    listed = [row for row in store.all_of(user) if row.item_id in ours]
    rows = {row.item_id: [row.rating, row.kind, row.updated_at.isoformat()] for row in listed}
    assert len(rows) == len(listed)
    return rows


def _same(there, expected, times=True):
    """Whether these rows are there and no others, with their times as far as these are known."""
    expected = {item: values for item, values in expected.items() if values[1] is not None}
    return there.keys() == expected.keys() and all(
        there[item][:2] == values[:2] and (not times or values[2] in (None, there[item][2]))
        for item, values in expected.items()
    )


@pytest.mark.thorough
@pytest.mark.slow
def test_what_was_acknowledged_survives_kills(kill_writers):
    for _ in range(3):
        kill_writers()


@pytest.mark.thorough
def test_what_was_acknowledged_survives_many_kills(kill_writers):
    for _ in range(20):
        kill_writers()


@pytest.mark.thorough
def test_what_was_acknowledged_survives_crashes_of_the_server(kill_writers, where, postgres):
    if not where.startswith("postgresql"):
        pytest.skip("SQLite has no server")

    def crash():
        postgres.stop(signal.SIGQUIT)
        postgres.start()

    for _ in range(5):
        kill_writers(crash)

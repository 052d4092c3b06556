"""Several processes behind one address: one store, one account of what was measured, one end."""

import os
import re
import signal
import sys
import time
from pathlib import Path

import httpx
import pytest
from own_process import PATIENCE, OwnProcess

API = "/api/v1"

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc"),
]


@pytest.fixture
def service(run, tmp_path):
    started = OwnProcess(run, tmp_path / "feedback.sqlite", tmp_path / "log", "--workers", 2)
    yield started
    started.stop()


def workers_of(service):
    """The process ids of the workers."""
    children = Path(f"/proc/{service.pid}/task/{service.pid}/children").read_text().split()
    return [int(pid) for pid in children if b"spawn_main" in command_of(pid)]


def command_of(pid):
    """How a process was started; empty for one that is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def until(holds):
    """Wait until something holds."""
    end = time.monotonic() + PATIENCE
    while not (found := holds()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return found


def ask(service, path, **parameters):
    """The answer on a connection of its own, whichever worker takes it."""
    return httpx.get(service.address + path, params=parameters, timeout=PATIENCE)


def both_ready(service):
    answers = [ask(service, "/health/ready").status_code for _ in range(20)]
    return set(answers) == {200}


def test_they_share_what_is_told_and_what_is_measured(service):
    until(lambda: both_ready(service))
    for item in range(1, 21):
        url = f"{service.address}{API}/users/ann/feedback/{item}"
        assert httpx.put(url, json={"rating": 4.0}).status_code == 200
        told = ask(service, f"{API}/users/ann/feedback", limit=100).json()["feedback"]
        assert len(told) == item
    counted = ask(service, "/metrics").text
    assert 'matinee_feedback_total{kind="rating"} 20.0' in counted
    trained = re.search(r"^matinee_model_trained_timestamp_seconds (\S+)$", counted, re.MULTILINE)
    assert float(trained[1]) > 1e9


def test_one_that_dies_is_replaced_and_all_end_together(service):
    before = until(lambda: len(workers_of(service)) == 2 and workers_of(service))
    os.kill(before[0], signal.SIGKILL)
    after = until(lambda: len(now := workers_of(service)) == 2 and now != before and now)
    assert before[1] in after
    until(lambda: both_ready(service))
    assert service.stop() == 0
    assert not any(command_of(pid) for pid in after)

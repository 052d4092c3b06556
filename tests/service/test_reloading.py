"""Another run in place of the served one: every request is answered, from the old or the new."""

import threading
import time

import httpx
import pytest

from matinee.service.app import create_app
from matinee.service.reloading import Reloader, stamp_of
from matinee.service.settings import ServiceSettings


@pytest.mark.thorough
@pytest.mark.slow
def test_no_request_fails_while_runs_take_turns(model, tmp_path, serving):
    run = tmp_path / "run"
    model.save(run)
    app = create_app(ServiceSettings(run=run, store=str(tmp_path / "f.sqlite")))
    state = app.state.service
    statuses, stop = [], threading.Event()
    with serving(app) as address, httpx.Client(base_url=address) as client:
        while client.get("/health/ready").status_code == 503:
            time.sleep(0.02)

        def ask():
            with httpx.Client(base_url=address) as mine:
                while not stop.is_set():
                    answer = mine.get("/api/v1/users/5/recommendations", params={"n": 5})
                    statuses.append(answer.status_code)
                    time.sleep(0.02)

        threads = [threading.Thread(target=ask) for _ in range(2)]
        for thread in threads:
            thread.start()
        for _ in range(2):
            before = state.served
            model.save(run)
            until = time.monotonic() + 30
            while state.served is before and time.monotonic() < until:
                time.sleep(0.05)
            assert state.served is not before
        stop.set()
        for thread in threads:
            thread.join()
    assert len(statuses) > 20
    assert set(statuses) == {200}


def test_a_damaged_run_leaves_the_old_one(model, served, tmp_path):
    run = tmp_path / "run"
    model.save(run)
    app = create_app(ServiceSettings(run=run, store=str(tmp_path / "f.sqlite")), served)
    reloader = Reloader(app.state.service)
    (run / "manifest.json").write_text("{}")
    reloader.look()
    assert app.state.service.served is served
    assert reloader.loaded == stamp_of(run)
    model.save(run)
    reloader.look()
    assert app.state.service.served is not served
    app.state.service.store.close()


def test_no_run_at_all(tmp_path):
    assert stamp_of(tmp_path / "nothing") is None

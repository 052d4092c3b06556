"""Clients ask without pause while runs are replaced and the service is stopped: no answer is lost,
and none is of two runs.
"""

import gc
import json
import random
import signal
import threading
import time
import weakref
from functools import partial

import httpx
import pytest
from own_process import PATIENCE, OwnProcess

import matinee
from matinee.data import generate
from matinee.models import ALS, ImplicitALS
from matinee.service.app import create_app
from matinee.service.reloading import Reloader
from matinee.service.settings import ServiceSettings

API = "/api/v1"
N_CLIENTS = 8
SIZES = {"a": 150, "b": 120, "c": 90}  # items of each run, whose titles begin with its name

pytestmark = pytest.mark.thorough


@pytest.fixture(scope="module")
def models():
    """A model for each of `SIZES`."""
    made = {}
    for name, n_items in SIZES.items():
        data, _ = generate(users=60, items=n_items, ratings=20 * n_items, seed=n_items)
        frame = data.catalog.frame
        items = frame.with_columns(
            item_id=data.catalog.ids.values, title=name + " " + frame["title"]
        )
        named = matinee.read(data.to_frame().select("user_id", "item_id", "rating"), items=items)
        rating, ranking = ALS(factors=4, iterations=2), ImplicitALS(factors=4, iterations=2)
        made[name] = rating.fit(named).with_ranking(ranking.fit(named))
    return made


class Client(threading.Thread):
    """Asks until it is told to stop, and checks each answer."""

    def __init__(self, address, number, stop):
        super().__init__()
        self.address, self.number, self.stop = address, number, stop
        self.n_answers, self.runs, self.failure = 0, set(), None

    def run(self):
        chance = random.Random(self.number)  # noqa: S311
        questions = [self.lists, self.search, self.item, self.rate, self.about]
        try:
            with httpx.Client(base_url=self.address, timeout=PATIENCE) as http:
                while not self.stop.is_set():
                    chance.choice(questions)(http, chance.randint(1, max(SIZES.values())))
                    self.n_answers += 1
        except BaseException as failure:
            self.failure = failure

    def lists(self, http, item):
        body = {"ratings": [{"item_id": item % 90 + 1, "rating": 5}], "n": 50}
        self.one_run(http.post(f"{API}/recommendations", json=body).raise_for_status().json())

    def search(self, http, item):
        found = http.get(f"{API}/items", params={"limit": 50}).raise_for_status().json()
        assert len(self.one_run(found)) == 50

    def item(self, http, item):
        answer = http.get(f"{API}/items/{item}")
        if answer.status_code == 200:
            (name,) = {*self.one_run({"items": [answer.json()]})}
            assert item <= SIZES[name]
        else:
            assert (answer.status_code, item > min(SIZES.values())) == (404, True)

    def rate(self, http, item):
        path = f"{API}/users/{self.number}x/feedback/{item % 90 + 1}"
        answer = http.put(path, json={"rating": 4}).raise_for_status().json()
        assert answer["rating"] == 4
        listed = http.get(f"{API}/users/{self.number}x/recommendations").raise_for_status()
        self.one_run(listed.json())

    def about(self, http, item):
        model = http.get(f"{API}/model").raise_for_status().json()
        assert model["n_items"] in SIZES.values()

    def one_run(self, answer):
        """The names of the run in the titles of an answer, which must be one alone."""
        items = answer["items"]
        told = [item["title"] for item in items]
        told += [reason["title"] for item in items for reason in item.get("reasons", ())]
        names = [title[0] for title in told]
        assert len(set(names)) == 1
        assert all(item["item_id"] <= SIZES[names[0]] for item in items)
        self.runs |= set(names)
        return names[: len(items)]


def until(is_so):
    """Wait for something."""
    end = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_no_request_fails_while_runs_are_replaced(models, tmp_path, serving, monkeypatch):
    monkeypatch.setattr("matinee.service.app.Reloader", partial(Reloader, seconds=0.05))
    folder, stop = tmp_path / "run", threading.Event()
    models["a"].save(folder)
    settings = ServiceSettings(run=folder, store=str(tmp_path / "f.sqlite"), rate=1e6)
    app = create_app(settings)
    state, earlier = app.state.service, []
    with serving(app) as address:
        until(lambda: state.served is not None)
        clients = [Client(address, number, stop) for number in range(N_CLIENTS)]
        for client in clients:
            client.start()
        for name in "bcab!cabcab":
            before = weakref.ref(state.served)
            if name == "!":
                (folder / "manifest.json").write_text("{}")
                time.sleep(0.3)  # it is looked at, and left alone
                assert before() is state.served
                continue
            earlier.append(before)
            models[name].save(folder)
            until(lambda before=before: before() is not state.served)
            answered = [client.n_answers for client in clients]
            for client, n in zip(clients, answered, strict=True):
                until(lambda client=client, n=n: client.n_answers > n + 1 or client.failure)
        stop.set()
        for client in clients:
            client.join()
        assert [client.failure for client in clients] == [None] * N_CLIENTS
        assert {run for client in clients for run in client.runs} == set(SIZES)
        gc.collect()
        assert [before() for before in earlier] == [None] * len(earlier)  # no model is kept


def test_what_was_accepted_is_answered_when_it_stops(run, tmp_path):
    log, kept = tmp_path / "log", {}
    service = OwnProcess(run, tmp_path / "f.sqlite", log)
    started = threading.Barrier(N_CLIENTS + 1)

    def write(number):
        """Write, each time on a connection of its own, until there is none any more."""
        started.wait()
        single = httpx.Limits(max_keepalive_connections=0)
        with httpx.Client(base_url=service.address, timeout=PATIENCE, limits=single) as http:
            for item in range(1, 151):
                try:
                    answer = http.put(f"{API}/users/{number}/feedback/{item}", json={"rating": 3})
                except httpx.TransportError:
                    return  # not accepted, or else it is in the log
                assert answer.status_code == 200
                kept[number, item] = answer.json()

    threads = [threading.Thread(target=write, args=[number]) for number in range(N_CLIENTS)]
    for thread in threads:
        thread.start()
    started.wait()
    until(lambda: len(kept) > 3 * N_CLIENTS)
    assert service.stop() == 128 + signal.SIGTERM
    for thread in threads:
        thread.join()
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    answered = [line for line in lines if line.get("method") == "PUT"]
    assert [line["status"] for line in answered] == [200] * len(answered)
    assert len(answered) == len(kept)
    following = OwnProcess(run, tmp_path / "f.sqlite", log)
    try:
        for number in range(N_CLIENTS):
            path = f"{following.address}{API}/users/{number}/feedback"
            told = httpx.get(path, params={"limit": 500}).json()["feedback"]
            assert {row["item_id"]: row for row in told} == {
                item: row for (whose, item), row in kept.items() if whose == number
            }
    finally:
        following.kill()

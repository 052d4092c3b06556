"""The service is killed while clients write over HTTP: what was answered is there, once, whole."""

import random
import signal
import sys
import threading
import time

import httpx
import pytest
from own_process import PATIENCE, OwnProcess

ROUNDS = 20
N_CLIENTS = 8
USERS = 3  # whom the clients share
ITEMS = 5  # of each client: most writes replace something
RATINGS = [1.0, 2.0, 3.0, 4.0, 5.0]

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.skipif(sys.platform == "win32", reason="processes are killed by signals"),
]


class Client:
    """Writes ratings of items that are its own, and knows what it was answered."""

    def __init__(self, number):
        self.number, self.n_asked, self.n_answered = number, 0, 0
        self.user = f"user {number % USERS}"
        self.items = [number * ITEMS + place + 1 for place in range(ITEMS)]
        self.kept = {}  # what the last answer about each item said
        self.open = None  # a request without an answer: (item, rating, key)
        self.failure = None
        self.chance = random.Random(number)  # noqa: S311

    def work(self, address):
        """Write until the service is gone."""
        with httpx.Client(base_url=address, timeout=PATIENCE) as http:
            while True:
                self.n_asked += 1
                key = f"{self.number}/{self.n_asked}"
                self.open = self.chance.choice(self.items), self.chance.choice(RATINGS), key
                try:
                    while not self.ask(http):
                        pass
                except httpx.TransportError:
                    return
                except BaseException as failure:
                    self.failure = failure
                    raise

    def ask(self, http):
        """Send the open request; whether it was done, for a database may be away meanwhile."""
        item, rating, key = self.open
        answer = http.put(
            f"/api/v1/users/{self.user}/feedback/{item}",
            json={"rating": rating},
            headers={"Idempotency-Key": key},
        )
        assert answer.status_code in (200, 503), answer.text
        if answer.status_code == 200:
            self.kept[item], self.open = answer.json(), None
            self.n_answered += 1
        return answer.status_code == 200

    def compare(self, http):
        """All that was answered is there; the open request was done or not, and is done once."""
        there, before = self.there(http), self.kept.copy()
        if self.open is None:
            assert there == before
            return
        item, rating, _ = self.open
        found = there.get(item)
        was_done = found != before.get(item)
        end = time.monotonic() + PATIENCE  # what a killed process had locked is freed in a moment
        while not self.ask(http):
            assert time.monotonic() < end
        answer = self.kept[item]
        assert answer["rating"] == rating
        if was_done:  # asked once more, it has changed nothing
            assert answer == found
        assert there == (before | {item: answer} if was_done else before)
        assert self.there(http) == self.kept

    def there(self, http):
        """What the service has of the client's items."""
        answer = http.get(f"/api/v1/users/{self.user}/feedback", params={"limit": 500})
        assert answer.status_code == 200, answer.text
        assert answer.json()["next_cursor"] is None
        rows = [row for row in answer.json()["feedback"] if row["item_id"] in self.items]
        found = {row["item_id"]: row for row in rows}
        assert len(found) == len(rows)
        return found


@pytest.fixture
def crash(where, request):
    """A function that ends the database at once and starts it anew; None of SQLite."""
    if not where.startswith("postgresql"):
        return None
    server = request.getfixturevalue("postgres")

    def once(how):
        server.stop(how)
        for attempt in range(20):  # processes of a killed server hold its memory for a moment
            try:
                return server.start()
            except AssertionError:
                if attempt == 19:
                    raise
                time.sleep(0.1)
        return None

    return once


def wait_for_answers(clients, n):
    """Wait until so many more writes have been answered."""
    before, end = sum(one.n_answered for one in clients), time.monotonic() + PATIENCE
    while sum(one.n_answered for one in clients) < before + n:
        assert [one.failure for one in clients] == [None] * N_CLIENTS
        assert time.monotonic() < end
        time.sleep(0.005)


def test_what_was_answered_survives(run, where, crash, tmp_path):
    chance = random.Random(7)  # noqa: S311
    clients = [Client(number) for number in range(N_CLIENTS)]
    service = OwnProcess(run, where, tmp_path / "log")
    try:
        for number in range(ROUNDS):
            threads = [threading.Thread(target=one.work, args=[service.address]) for one in clients]
            for thread in threads:
                thread.start()
            wait_for_answers(clients, N_CLIENTS)
            time.sleep(chance.uniform(0, 0.3))
            if crash is not None and number % 4 == 3:
                crash(chance.choice([signal.SIGQUIT, signal.SIGKILL]))
                wait_for_answers(clients, N_CLIENTS)
            service.kill()
            for thread in threads:
                thread.join()
            assert [one.failure for one in clients] == [None] * N_CLIENTS
            service = OwnProcess(run, where, tmp_path / "log")
            with httpx.Client(base_url=service.address, timeout=PATIENCE) as http:
                for one in clients:
                    one.compare(http)
    finally:
        service.kill()

"""A small run behind a real server, in a thread of this process."""

import threading
import time
from contextlib import contextmanager

import httpx
import polars as pl
import pytest

import matinee
from matinee.data import generate
from matinee.experiments import Split, train_and_evaluate
from matinee.models import ALS, ImplicitALS
from matinee.service.app import create_app
from matinee.service.served import Served
from matinee.service.server import server_of
from matinee.service.settings import ServiceSettings
from unrated import as_interactions

collect_ignore = ["contract_hooks.py"]  # Schemathesis takes it, in a process of its own
ODD_IDS = [
    "a/b", "50% off?", "50%25", "#1", "..", ".", "a/../b", "Amélie ☂", "x/similar", "é ü", "\\",
    "&;=+",
]  # fmt: skip
LONG_ID = "x" * 300  # more than a store keeps


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """A saved run with both heads."""
    data, _ = generate(users=120, items=150, ratings=4000, seed=5)
    estimators = ALS(factors=8, iterations=4), ImplicitALS(factors=8, iterations=4)
    result = train_and_evaluate(data, estimators[0], Split(), ranker=estimators[1])
    return result.model.save(tmp_path_factory.mktemp("runs") / "small")


@pytest.fixture(scope="session")
def served(run):
    return Served.load(run)


@pytest.fixture(scope="session")
def odd_ids():
    return ODD_IDS


@pytest.fixture(scope="session")
def text_served(tmp_path_factory):
    """A model of a table whose ids are texts, such as make trouble in paths."""
    others = (f"film {number}" for number in range(len(ODD_IDS), 39))
    return _with_ids([*ODD_IDS, *others, LONG_ID], tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="session")
def large_served(tmp_path_factory):
    """A model of a table whose ids are numbers of 61 bits, which JavaScript would round."""
    return _with_ids([2**60 + number for number in range(40)], tmp_path_factory.mktemp("runs"))


def _with_ids(ids, folder):
    """A small run, served, whose items have these ids."""
    data, _ = generate(users=60, items=40, ratings=1500, seed=3)
    ids = pl.Series(ids)
    frame = data.to_frame()
    ratings = frame.select("user_id", "rating").with_columns(
        item_id=ids.gather(frame["item_id"] - 1)
    )
    items = data.catalog.frame.with_columns(item_id=ids)
    model = ALS(factors=4, iterations=2).fit(matinee.read(ratings, items=items))
    return Served.load(model.save(folder / "table"))


@pytest.fixture(scope="session")
def unrated_run(generated, tmp_path_factory):
    """A saved run of interactions without ratings."""
    model = ImplicitALS(factors=4, iterations=2).fit(as_interactions(generated[0]))
    return model.save(tmp_path_factory.mktemp("runs") / "unrated")


@pytest.fixture(scope="session")
def model(run):
    return matinee.load(run)


@pytest.fixture(scope="session")
def serving():
    """A context manager: an application on a port of its own; yields its address."""
    return _serving


@contextmanager
def _serving(app):
    server = server_of(app)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def start(run, served, tmp_path):
    """Starts a service with settings; yields a client of it."""
    opened = []

    def started(**settings):
        settings = {"run": run, "store": str(tmp_path / "feedback.sqlite"), **settings}
        context = _serving(create_app(ServiceSettings(**settings), served))
        address = context.__enter__()
        client = httpx.Client(base_url=address)
        opened.append((context, client))
        return client

    yield started
    for context, client in opened:
        client.close()
        context.__exit__(None, None, None)


@pytest.fixture
def client(start):
    return start()

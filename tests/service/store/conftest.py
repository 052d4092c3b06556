"""Stores of both kinds."""

import pytest
from postgres_server import PostgresServer, absent

from matinee.service.store import Store, UserKey


@pytest.fixture(scope="session")
def postgres():
    """A running server, for the whole session."""
    if reason := absent():
        pytest.skip(reason)
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def where(request, tmp_path):
    """Where an empty store may be: a path or a URL."""
    if request.param == "sqlite":
        return str(tmp_path / "feedback.sqlite3")
    return request.getfixturevalue("postgres").new_place()


@pytest.fixture
def store(where):
    """An empty store of each kind."""
    opened = Store.open(where)
    yield opened
    opened.close()


@pytest.fixture
def ann():
    return UserKey("shop", "ann")

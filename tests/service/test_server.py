"""The socket of the service, and who holds its connections."""

import contextlib
import socket

import httpx
import pytest

from matinee.service import connections, guards
from matinee.service.app import create_app
from matinee.service.server import _listening
from matinee.service.settings import ServiceSettings


def test_small_answers_are_sent_at_once():
    with contextlib.closing(_listening("127.0.0.1", 0)) as listening:
        client = socket.create_connection(listening.getsockname())
        accepted, _ = listening.accept()
        with client, accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def opened(address, said):
    """A connection on which something has been sent."""
    host, port = address.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)), timeout=30)
    connection.sendall(said)
    return connection


def test_a_connection_that_says_nothing_is_closed(run, served, serving, tmp_path, monkeypatch):
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.1)
    app = create_app(ServiceSettings(run=run, store=str(tmp_path / "f.sqlite")), served)
    with serving(app) as address:
        for said in (b"", b"GET /health/live HTT", b"GET /health/live HTTP/1.1\r\nHost: loc"):
            with opened(address, said) as silent:
                assert silent.recv(100) == b""
        live = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
        with opened(address, live + live[:20]) as half:
            said = b""
            while part := half.recv(4096):
                said += part
            assert said.count(b"HTTP/1.1 200") == 1


def test_a_head_without_end(run, served, serving, tmp_path):
    app = create_app(ServiceSettings(run=run, store=str(tmp_path / "f.sqlite")), served)
    with serving(app) as address:
        endless = opened(address, b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n")
        with endless, pytest.raises(ConnectionError):
            endless.sendall((b"X: " + b"a" * 2000 + b"\r\n") * 10_000)
        long = (
            b"item_id,title,rating\n" + (b"3," + b"a" * 900 + b",4\n") * 200
        )  # a body may be longer, of course
        answer = httpx.post(f"{address}/api/v1/users/ann/import", content=long)
        assert answer.json()["imported"] == 1


def test_more_connections_than_can_be_held(run, served, serving, tmp_path, monkeypatch):
    monkeypatch.setattr(connections.Connection, "most", 2)
    app = create_app(ServiceSettings(run=run, store=str(tmp_path / "f.sqlite")), served)
    live = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with (
        serving(app) as address,
        opened(address, live) as first,
        opened(address, live) as second,
    ):
        assert first.recv(100).startswith(b"HTTP/1.1 200")
        assert second.recv(100).startswith(b"HTTP/1.1 200")
        with opened(address, b"") as third, contextlib.suppress(ConnectionError):
            assert third.recv(100) == b""


def test_a_body_that_does_not_come(client, monkeypatch):
    monkeypatch.setattr(guards, "BODY_SECONDS", 0.05)
    address = str(client.base_url)
    head = b"POST /api/v1/recommendations HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n"
    with opened(address, head + b"Content-Type: application/json\r\n\r\n{") as slow:
        said = b""
        while part := slow.recv(4096):
            said += part
    assert said.startswith(b"HTTP/1.1 408 ")
    assert b"problem+json" in said

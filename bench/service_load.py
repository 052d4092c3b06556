"""Asking a service over several connections at once, none of which ever waits between questions."""

import asyncio
import json
import time
from functools import partial
from typing import NamedTuple, cast

import uvloop

CONNECTIONS = 16


class Load(NamedTuple):
    """What came of it."""

    seconds: list[float]  # that each answer took
    failed: int  # answers other than 200, and connections that broke off


def get(path: str) -> bytes:
    """A request as it is sent."""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()


def post(path: str, body: object) -> bytes:
    """The same, with a body of JSON."""
    content = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content


def ask(port: int, requests: list[bytes], seconds: float) -> Load:
    """Send the requests, over and over, for so many seconds."""
    return uvloop.run(_ask(port, requests, time.perf_counter() + seconds))


async def _ask(port: int, requests: list[bytes], until: float) -> Load:
    loop, connections = asyncio.get_running_loop(), []
    for number in range(CONNECTIONS):
        first = number * len(requests) // CONNECTIONS
        make = partial(Connection, requests, first, until)
        _, connection = await loop.create_connection(make, "127.0.0.1", port)
        connections.append(connection)
    await asyncio.gather(*(connection.done for connection in connections))
    return Load(
        [spent for connection in connections for spent in connection.spent],
        sum(connection.failed for connection in connections),
    )


class Connection(asyncio.Protocol):
    """A connection that asks the next question as soon as one is answered."""

    def __init__(self, requests: list[bytes], first: int, until: float) -> None:
        self.requests, self.place, self.until = requests, first, until
        self.spent: list[float] = []
        self.failed = 0
        self.answer = b""
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to ask."""
        self.transport = cast(asyncio.Transport, transport)
        self.ask()

    def ask(self) -> None:
        """Send the next request."""
        self.started = time.perf_counter()
        self.transport.write(self.requests[self.place % len(self.requests)])
        self.place += 1

    def data_received(self, data: bytes) -> None:
        """Note how long it took, once the answer is complete."""
        self.answer += data
        head, end, body = self.answer.partition(b"\r\n\r\n")
        if not end or len(body) < length_of(head):
            return
        now = time.perf_counter()
        self.spent.append(now - self.started)
        self.failed += not head.startswith(b"HTTP/1.1 200")
        self.answer = b""
        if now < self.until:
            self.ask()
        else:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing more is asked."""
        self.failed += exc is not None or time.perf_counter() < self.until
        self.done.set_result(None)


def length_of(head: bytes) -> int:
    """The length of the body that the head of an answer announces."""
    lines = head.lower().split(b"\r\n")
    return next(int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length:"))

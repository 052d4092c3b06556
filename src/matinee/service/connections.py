"""Connections as they are accepted: each holds a file, so one that asks nothing is closed."""

import asyncio
import contextlib
from typing import TYPE_CHECKING

with contextlib.suppress(ImportError):  # not on Windows, which has no such limit
    import resource

if TYPE_CHECKING:
    from uvicorn.protocols.http.h11_impl import H11Protocol as Protocol
else:  # whichever parser is installed
    from uvicorn.protocols.http.auto import AutoHTTPProtocol as Protocol

HEAD_SECONDS = 20.0  # in which the head of a request is to come, letter by letter or at once
MAX_HEAD = 2**16  # bytes
WAITING = 256  # connections that are not accepted yet; as many may be accepted at a time
OTHER_FILES = 128  # the store's connections, and what else is open


class Connection(Protocol):
    """A connection on which the head of each request comes in time, and is no longer than most."""

    most = 4096  # at a time

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.most:
            transport.abort()
        self.head = 0  # bytes of one that is not complete
        self.seen = self.cycle
        self.watch = self.loop.call_later(HEAD_SECONDS, self.look)

    def connection_lost(self, exc: Exception | None) -> None:
        self.watch.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        before = self.cycle
        super().data_received(data)
        self.head = self.head + len(data) if self.waits and self.cycle is before else 0
        if self.head > MAX_HEAD:
            self.transport.close()

    @property
    def waits(self) -> bool:
        """Whether no request is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def look(self) -> None:
        """Close it if there was no request since the last look."""
        if self.waits and self.cycle is self.seen:
            self.transport.close()
            return
        self.seen = self.cycle
        self.watch = self.loop.call_later(HEAD_SECONDS, self.look)


def allow_many() -> None:
    """Open as many files as the system lets this process: by default it is but a thousand. Where
    it does not allow more, fewer connections: without a file left, none could be refused.
    """
    if "resource" not in globals():
        return
    files, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        files = most
    if files != resource.RLIM_INFINITY:
        room = max(files - WAITING - OTHER_FILES, files // 4)
        Connection.most = min(Connection.most, room)

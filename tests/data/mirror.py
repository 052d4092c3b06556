"""A server on this machine that publishes archives, well or badly, as a test tells it."""

import hashlib
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Mirror:
    """What is published, how the server behaves, and what it was asked for."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    moved: dict[str, str] = field(default_factory=dict)  # path -> where it redirects to
    ranges: bool = True  # whether the server can resume
    shifted: int = 0  # how many bytes further it resumes than it was asked to
    length: bool = True  # whether it says how long a file is
    stop_after: int | None = None  # bytes of an archive after which the connection ends
    reset: bool = False  # whether it ends with a reset rather than quietly
    pause: float = 0  # seconds in the middle of an archive
    requests: list[tuple[str, str | None]] = field(default_factory=list)  # path, Range

    def publish(self, name: str, content: bytes) -> None:
        """Put an archive and its checksum on the server."""
        md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
        self.files[f"/{name}.zip"] = content
        self.files[f"/{name}.zip.md5"] = f"MD5 ({name}.zip) = {md5}\n".encode()


@contextmanager
def serve() -> Iterator[Mirror]:
    """A running mirror."""
    mirror = Mirror()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self, mirror)

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        mirror.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield mirror
        finally:
            server.shutdown()
            thread.join()


def answer(request: BaseHTTPRequestHandler, mirror: Mirror) -> None:
    wanted = request.headers.get("Range")
    mirror.requests.append((request.path, wanted))
    if request.path in mirror.moved:
        request.send_response(302)
        request.send_header("Location", mirror.moved[request.path])
        request.send_header("Content-Length", "0")
        request.end_headers()
        return
    content = mirror.files.get(request.path)
    if content is None:
        request.send_error(404)
        return
    start = 0
    if wanted and mirror.ranges:
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) + mirror.shifted
        if start >= len(content):
            request.send_response(416)
            request.send_header("Content-Range", f"bytes */{len(content)}")
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        request.send_response(206)
        request.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
    else:
        request.send_response(200)
    rest = content[start:]
    if mirror.length:
        request.send_header("Content-Length", str(len(rest)))
    request.end_headers()
    if mirror.pause and request.path.endswith(".zip"):
        request.wfile.write(rest[: len(rest) // 2])
        time.sleep(mirror.pause)
        rest = rest[len(rest) // 2 :]
    cut = mirror.stop_after is not None and request.path.endswith(".zip")
    request.wfile.write(rest[: mirror.stop_after] if cut else rest)
    if mirror.reset:
        # lingering for no time at all makes the close a reset
        request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.connection.close()

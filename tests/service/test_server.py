"""The socket of the service."""

import contextlib
import socket

from matinee.service.server import _listening


def test_small_answers_are_sent_at_once():
    with contextlib.closing(_listening("127.0.0.1", 0)) as listening:
        client = socket.create_connection(listening.getsockname())
        accepted, _ = listening.accept()
        with client, accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)

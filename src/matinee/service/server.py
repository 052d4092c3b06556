"""The server process: a socket, the application, and a log of JSON lines."""

import contextlib
import logging
import os
import socket
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from typing import Any

import structlog
import uvicorn
from fastapi import FastAPI
from pydantic_core import to_json
from uvicorn.supervisors import Multiprocess

from matinee.errors import SettingError, shortened
from matinee.progress import be_silent
from matinee.service.app import create_app
from matinee.service.connections import WAITING, Connection, allow_many
from matinee.service.measures import SHARED
from matinee.service.settings import ServiceSettings
from matinee.service.store.store import Store

DRAIN_SECONDS = 20  # how long requests that have begun may take when the service is stopped


def serve(
    settings: ServiceSettings, announce: Callable[[str], None] = lambda address: None
) -> None:
    """Serve until the process is told to stop; requests that have begun are answered.

    `announce` is called with the address of the page as soon as it can be opened.
    """
    _settle()
    with contextlib.closing(_listening(settings.host, settings.port)) as listening:
        app = create_app(settings) if settings.workers == 1 else None
        host, port = listening.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        announce(f"http://{shown}:{port}/")
        if app is not None:
            server_of(app).run(sockets=[listening])
            return
        Store.open(settings.store).close()  # what is wrong with it is told once
        config = configured(partial(_worker, settings), factory=True, workers=settings.workers)
        with tempfile.TemporaryDirectory() as folder:
            os.environ[SHARED] = folder
            Multiprocess(config, [listening]).run()


def _worker(settings: ServiceSettings) -> FastAPI:
    """The application of one of several processes."""
    _settle()
    return create_app(settings)


def _settle() -> None:
    """What a process needs before it serves."""
    configure_log()
    be_silent()
    allow_many()


def server_of(app: FastAPI) -> uvicorn.Server:
    """What runs an application; where it is given no socket, on any free port of this machine."""
    return uvicorn.Server(configured(app))


def configured(app: Any, **more: Any) -> uvicorn.Config:
    """How uvicorn is to serve an application."""
    return uvicorn.Config(
        app,
        http=Connection,
        backlog=WAITING,
        port=0,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # which would believe any process of this machine
        timeout_graceful_shutdown=DRAIN_SECONDS,
        lifespan="on",
        **more,
    )


def _listening(host: str, port: int) -> socket.socket:
    """A socket that listens; SettingError if the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=WAITING)
    except OSError as problem:
        reason = problem.strerror or str(problem)
        raise SettingError(
            f"{shortened(host)}, port {port}: {reason}. Choose another one with --port."
        ) from None
    # or the body of an answer waits, 40 ms, until its head is acknowledged
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def configure_log() -> None:
    """One JSON object a line, on stderr; of users nothing but ids."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(
                lambda event, **_: to_json(event, serialize_unknown=True).decode()
            ),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )

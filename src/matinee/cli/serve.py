"""matinee serve"""

import os
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from matinee.cli import options
from matinee.cli.options import find_run
from matinee.cli.output import say
from matinee.errors import require_extra


def serve(
    run: Annotated[str | None, Argument(metavar="[RUN]", help="By default the newest.")] = None,
    host: Annotated[str, Option(help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, Option(help="0: any that is free.")] = 8000,
    store: options.Store = options.STORE,
    token: Annotated[
        str | None,
        Option(envvar="MATINEE_TOKEN", help="What callers of the API must send as a bearer token."),
    ] = None,
    tenant: options.Tenant = "default",
    behind_proxy: Annotated[
        bool, Option("--behind-proxy", help="A reverse proxy decides who may ask.")
    ] = False,
    workers: Annotated[int, Option(metavar="N", help="Processes that answer.")] = 1,
    rate: Annotated[
        float, Option(help="Requests per second of one address; four times as many at once.")
    ] = 50.0,
) -> None:
    """Serve a run over HTTP: a page to rate on, and an API.

    What users tell is kept in the store. Ctrl-C stops the service; requests that have begun are
    answered.
    """
    require_extra("service", "fastapi", "uvicorn", "sqlalchemy", "structlog", "rapidfuzz")
    # before numpy is loaded: requests are answered side by side, and threads of the BLAS of each
    # would wait for one another, busily
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    folder = find_run(run)
    from matinee.service.server import serve as serve_run
    from matinee.service.settings import ServiceSettings

    settings = ServiceSettings(
        run=Path(folder),
        store=store,
        host=host,
        port=port,
        token=token,
        tenant=tenant,
        behind_proxy=behind_proxy,
        rate=rate,
        workers=workers,
    )
    serve_run(settings, lambda address: say(f"{folder.name} at {address}  (Ctrl-C stops it)"))

"""The application: routes, errors, headers, limits, and the loading of the run beside it all."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anyio import to_thread
from fastapi import Depends, FastAPI

import matinee
from matinee.service import openapi, problems
from matinee.service.api import about, feedback, items, page_user, recommendations
from matinee.service.guards import API, Guards
from matinee.service.identity import TOKEN, token_sent
from matinee.service.measures import Measures
from matinee.service.page.routes import page_router
from matinee.service.paths import EncodedPaths
from matinee.service.proxy import BehindProxy
from matinee.service.reloading import Reloader
from matinee.service.served import Served
from matinee.service.settings import ServiceSettings
from matinee.service.state import ServiceState
from matinee.service.store.store import Store

OPEN = (recommendations.of_posted, items.router, page_user.router, about.router)
"""Routes that the page needs, and that tell and change nothing of others."""
THREADS = 4  # that answer at a time; some of them wait for the store
GUARDED = (recommendations.router, feedback.router)


def create_app(settings: ServiceSettings, served: Served | None = None) -> FastAPI:
    """The application of a service; without `served` it loads the run when it starts."""
    store = Store.open(settings.store)
    state = ServiceState(settings, store, Measures(), store.secret(settings.tenant))
    if served is not None:
        state.serve(served)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        # more threads than this would take turns on the processors, and all answers wait
        to_thread.current_default_thread_limiter().total_tokens = THREADS
        reloader = Reloader(state)
        reloader.start()
        yield
        reloader.close()
        state.store.close()

    app = FastAPI(
        title="matinee",
        version=matinee.__version__,
        summary="What to watch, predicted ratings, similar movies, and why",
        lifespan=lifespan,
        docs_url=None,  # its page fetches scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,  # or a deletion of feedback on "" could forget its user
    )
    app.state.service = state
    problems.install(app)
    openapi.install(app, state)
    # TOKEN tells the document
    token = [] if settings.token is None else [Depends(TOKEN), Depends(token_sent)]
    for router in GUARDED:
        app.include_router(router, prefix=API, dependencies=token, responses=problems.RESPONSES)
    for router in OPEN:
        app.include_router(router, prefix=API, responses=problems.RESPONSES)
    app.include_router(about.health, responses=problems.RESPONSES)
    app.include_router(page_router(state.page_item))
    app.add_middleware(Guards, state=state)
    # the last one added is the first that sees a request
    app.add_middleware(EncodedPaths)
    if settings.behind_proxy:
        app.add_middleware(BehindProxy)  # before the guards, which count addresses
    return app
